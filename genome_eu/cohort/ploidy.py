"""Reading rows where some people are haploid: which of their calls cannot be right.

The packed rows hold what the source calls. Who is haploid follows from the table of people, which
may change after the import, so heterozygous calls of haploid people are set aside when rows are
read. A site with several ALTs has a row for each, and a call of two different alleles shows in two
of them at most; it is missing in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.exchanged import stored
from genome_eu.kernels import HaploidBlock, HaploidCalls, haploid_block
from genome_eu.kernels.dense import DenseBlock, codes_of_calls

if TYPE_CHECKING:
    from genome_eu.cohort.store import CohortStore


def sexes(store: CohortStore) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who is male and who is female by the table of people, each bool (people,)."""
    table = store.samples
    if "sex" not in table:
        nobody = np.zeros(store.people, bool)
        return nobody, nobody
    sex = table["sex"].astype(str).to_numpy()
    return sex == "M", sex == "F"


def read_haploid(
    store: CohortStore, rows: slice | NDArray, calls: HaploidCalls, backend: str = "cpu"
) -> HaploidBlock:
    """Read packed genotypes with the heterozygous calls of haploid people missing.

    Parameters
    ----------
    store : CohortStore
    rows : slice or int64 array
        As for `CohortStore.read`, and so is what it raises.
    calls : HaploidCalls
        Who is haploid, and how their dosages count.
    backend : str
        Kernels that the block carries.
    """
    block = store.read(rows, backend)
    hets = calls.hets(block.packed)
    if isinstance(rows, slice):
        rows = np.arange(*rows.indices(store.n_rows))
    first, last = store.rows_of_site(stored(rows)[0])
    several = np.flatnonzero(last - first > 1)
    if several.size:
        # Every row of these sites, each site once.
        starts, place = np.unique(first[several], return_inverse=True)
        sizes = (last - first)[several][np.unique(place, return_index=True)[1]]
        edges = np.cumsum(sizes) - sizes
        siblings = np.repeat(starts - edges, sizes) + np.arange(int(sizes.sum()))
        found = calls.hets(store.read(siblings).packed)
        hets[several] = np.bitwise_or.reduceat(found, edges, axis=0)[place]
    return haploid_block(block, calls, hets)


def read_haploid_dosages(
    store: CohortStore, rows: slice | NDArray, calls: HaploidCalls, backend: str = "cpu"
) -> HaploidBlock:
    """Read dosages where some people have one copy.

    Of a cohort without dosages, hard calls are given for them: those that `read_haploid` keeps.

    Parameters are those of `read_haploid`.
    """
    block = store.read_dosages(rows, backend)
    kept = block
    if not store.has_dosages:
        found = read_haploid(store, rows, calls)
        if found.kept is not found.called:
            kept = DenseBlock(codes_of_calls(found.kept.dosages()), block.people, block.backend)
    return HaploidBlock(block, kept, calls)
