"""Passes over a cohort for quality control: of its people, their kinship, and its trios.

What they give is of single people, and stays at the site.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore
from genome_eu.cohort.ploidy import sexes
from genome_eu.compute.passes import block_rows, each, stream
from genome_eu.compute.progress import Progress
from genome_eu.errors import BadInput
from genome_eu.stats import kinship
from genome_eu.stats.kinship import Relatives
from genome_eu.stats.qc import families, people
from genome_eu.stats.qc.families import MendelErrors, Trios
from genome_eu.stats.qc.people import PersonMeasures, PersonSums

# Bytes of packed rows that a worker reads for a tile of pairs: fewer cost a pass over the counts of
# the tile more often.
_PAIR_BLOCK_BYTES = 64 * 2**20


def person_measures(
    store: CohortStore, included: NDArray, *, backend: str = "cpu", size: int | None = None
) -> PersonMeasures:
    """Measures of everybody in the store, by the frequencies of the included; one pass.

    Parameters
    ----------
    store : CohortStore
    included : bool array, shape (people,)
        Whose frequencies are expected.
    backend : str
        Kernel backend.
    size : int, optional
        Rows of a block.
    """
    male, _ = sexes(store)
    groups = np.where(included, male.astype(np.int64), -1)
    rows = np.arange(store.n_rows)
    names = store.rows
    changes = people.changes(names["ref"], names["alt"])
    whole: PersonSums | None = None
    with Progress(f"{store.name}: people", rows.size) as progress:
        for part in stream(
            store,
            rows,
            people.summarize,
            groups,
            by_row=(people.places(store.ploidy), changes),
            size=size or store.block_rows,
            summary_bytes=8 * 144 * store.people,
            backend=backend,
            progress=progress,
        ):
            whole = part if whole is None else people.add(whole, part)
    assert whole is not None  # noqa: S101 - a store has rows
    return people.finalize(whole, male)


def relatives(
    store: CohortStore,
    included: NDArray,
    above: float,
    *,
    backend: str = "cpu",
    size: int | None = None,
) -> Relatives:
    """Pairs of included people whose kinship on autosomes exceeds `above`.

    Every worker reads the rows for one tile of pairs at a time, so that memory depends on neither
    people nor rows.

    Parameters
    ----------
    store : CohortStore
    included : bool array, shape (people,)
        Who counts.
    above : float
        Kinship that a pair must exceed.
    backend : str
        Kernel backend.
    size : int, optional
        Rows of a block.

    Raises
    ------
    BadInput
        There are no rows on autosomes.
    """
    rows = np.flatnonzero(store.autosomal)
    tiles = [
        (first, others)
        for first, others in kinship.tiles(store.people)
        if all(included[some.start : some.stop].any() for some in (first, others))
    ]
    if not rows.size:
        raise BadInput(f"cohort {store.name} has no variants on autosomes to tell kinship by")
    nothing = kinship.no_relatives(store.people, above)
    if not tiles:
        return nothing
    block = size or max(block_rows(store), _PAIR_BLOCK_BYTES // -(-store.people // 4))
    with Progress(f"{store.name}: kinship", rows.size * len(tiles)) as progress:
        parts = each(
            store,
            rows,
            tiles,
            kinship.summarize,
            kinship.relatives,
            store.people,
            above,
            included,
            add=kinship.add,
            size=block,
            backend=backend,
            progress=progress,
        )
        return kinship.join([nothing, *parts])


def mendel_errors(
    store: CohortStore,
    rows: NDArray,
    trios: Trios,
    *,
    backend: str = "cpu",
    size: int | None = None,
) -> MendelErrors:
    """Impossible calls of the trios at some rows, in their order.

    Parameters
    ----------
    store : CohortStore
    rows : int64 array
        Rows of the store.
    trios : Trios
        Of its people.
    backend : str
        Kernel backend.
    size : int, optional
        Rows of a block.
    """
    if not trios.child.size or not rows.size:
        return MendelErrors(np.zeros(rows.size, np.int64), np.zeros(trios.child.size, np.int64))
    male, _ = sexes(store)
    parts = list(
        stream(
            store,
            rows,
            families.summarize,
            trios,
            male,
            by_row=(people.places(store.ploidy[rows]),),
            # Calls are unpacked, a byte each.
            size=size or block_rows(store, max(1, store.people // 8)),
            backend=backend,
        )
    )
    return MendelErrors(
        np.concatenate([part.by_row for part in parts]),
        np.sum([part.by_trio for part in parts], axis=0),
    )
