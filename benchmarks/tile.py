"""A large cohort store that repeats the packed rows of a small one, under names of its own.

Everything that a question reads is there and true; `call_genotype` is declared and empty, so the
store takes a tenth of an import's time and disk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.cohort.arrays import ZARR_2, create_array
from genome_eu.cohort.packing import GROUP, PackedStep, write_packed_group

_VARIANTS_AT_ONCE = 1_000
_COLUMN_CHUNK = 2**18


class _Repeated:
    """The calls of a store, over and over."""

    imputed = False

    def __init__(self, store: CohortStore) -> None:
        self._store = store

    def pack(self, variants: slice, n_alts: NDArray) -> PackedStep:
        """Packed rows of some variants; no alleles, so none to digest."""
        rows = np.arange(variants.start, variants.stop) % self._store.n_rows
        return PackedStep(self._store.read(rows).packed, b"")


def write_tiled(source: Path, target: Path, variants: pd.DataFrame) -> None:
    """Write a store whose row j holds the genotypes of row j modulo those of another store.

    Parameters
    ----------
    source : path
        A store of variants with one ALT each.
    target : path
        The store to make.
    variants : DataFrame
        Columns contig (numbers from 1), id, position, a1 (ALT) and a2 (REF).
    """
    store = open_store(source)
    root = zarr.open_group(str(target), mode="w", **({} if ZARR_2 else {"zarr_format": 2}))
    contigs = variants["contig"].unique()
    columns = {
        "contig_id": contigs.astype(np.str_),
        "sample_id": store.sample_id,
        "variant_contig": np.searchsorted(contigs, variants["contig"]).astype(np.int16),
        "variant_position": variants["position"].to_numpy(np.int32),
        "variant_id": variants["id"].to_numpy(np.str_),
        "variant_allele": variants[["a2", "a1"]].to_numpy(np.str_),
    }
    for name, values in columns.items():
        chunks = (min(len(values), _COLUMN_CHUNK), *values.shape[1:])
        create_array(root, name, values.shape, chunks, values.dtype, fill_value=None)[:] = values
    shape = (len(variants), store.people, 2)
    create_array(root, "call_genotype", shape, (_VARIANTS_AT_ONCE, *shape[1:]), np.int8)
    facts, _ = write_packed_group(
        root,
        store.samples,
        source=str(source),
        progress=lambda _: None,
        calls=_Repeated(store),
    )
    kept = dict(zarr.open_group(str(source), mode="r")[GROUP].attrs)
    root[GROUP].attrs.update({**kept, **facts})
    zarr.consolidate_metadata(str(target))
