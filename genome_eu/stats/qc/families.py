"""Mendelian errors: children whose calls cannot come from their parents'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.compiled import compiled
from genome_eu.stats.aggregate import Private
from genome_eu.stats.block import Block
from genome_eu.stats.qc.people import Place

# Codes of the tables: 0, 1, 2 copies of the ALT, and a missing call.
_MISSING = 3
_GAMETES: tuple[tuple[int, ...], ...] = ((0,), (0, 1), (1,), (0, 1))

# As compiled code sees them.
_AUTOSOME, _X = int(Place.AUTOSOME), int(Place.X)


@dataclass(frozen=True, eq=False)
class Trios(Private):
    """Children of a site whose father and mother are both there; positions, int64 (trios,)."""

    child: NDArray
    father: NDArray
    mother: NDArray


@dataclass(frozen=True, eq=False)
class MendelErrors(Private):
    """Impossible calls.

    Attributes
    ----------
    by_row : int64 array, shape (rows,)
        Trios with an impossible call at each row.
    by_trio : int64 array, shape (trios,)
        Rows with an impossible call of each trio.
    """

    by_row: NDArray
    by_trio: NDArray


def find_trios(
    sample_id: Sequence[str], father: Sequence[str | None], mother: Sequence[str | None]
) -> Trios:
    """Trios among the people of a site, in the order of the children.

    Parameters
    ----------
    sample_id, father, mother : sequence of str, one for each person
        Ids; an empty one, 0, or one that nobody of the site has, names nobody.
    """
    place = {one: number for number, one in enumerate(sample_id)}
    found = [
        (number, place[str(dad)], place[str(mum)])
        for number, (dad, mum) in enumerate(zip(father, mother, strict=True))
        if str(dad) in place and str(mum) in place and str(dad) != "0" and str(mum) != "0"
    ]
    child, dads, mums = np.array(found, np.int64).reshape(-1, 3).T
    return Trios(child, dads, mums)


def summarize(block: Block, place: NDArray, trios: Trios, male: NDArray) -> MendelErrors:
    """Count impossible calls in a block: PLINK 1.9's ``--mendel`` and ``--me``.

    A child's call is an error where no gamete of each parent gives it; a parent without a call can
    give either allele. On X outside the pseudo-autosomal regions sons are compared with their
    mother, and a call of two alleles in a son is as missing. Only autosomes and X count.

    Parameters
    ----------
    block : Block
        Rows × people.
    place : int array, shape (rows,)
        The `Place` of each row.
    trios : Trios
    male : bool array, shape (people,)
        Who is male by the table of people.
    """
    by_row, by_trio = np.zeros(block.rows, np.int64), np.zeros(len(trios.child), np.int64)
    if by_row.size and by_trio.size:
        everybody = block.dosages()
        child, father, mother = (
            np.where(calls < 0, _MISSING, calls).astype(np.int8)
            for calls in (everybody[:, who] for who in (trios.child, trios.father, trios.mother))
        )
        tables = np.stack([_errors_of_two(), _errors_of_sons()])
        son = male[trios.child].astype(np.int64)
        _count(child, father, mother, np.asarray(place), son, tables, by_row, by_trio)
    return MendelErrors(by_row, by_trio)


def _errors_of_two() -> NDArray[np.bool_]:
    """Whether a child's call (first) is impossible given father's and mother's; (4, 4, 4)."""
    table = np.ones((4, 4, 4), bool)
    for father, of_father in enumerate(_GAMETES):
        for mother, of_mother in enumerate(_GAMETES):
            for one in of_father:
                for other in of_mother:
                    table[one + other, father, mother] = False
    table[_MISSING] = False
    return table


def _errors_of_sons() -> NDArray[np.bool_]:
    """The same of a son's one X, which is his mother's."""
    table = np.zeros((4, 4, 4), bool)
    for mother, gametes in enumerate(_GAMETES):
        for copies in (0, 1):
            table[2 * copies, :, mother] = copies not in gametes
    return table


@compiled
def _count(
    child: NDArray,
    father: NDArray,
    mother: NDArray,
    place: NDArray,
    son: NDArray,
    tables: NDArray,
    by_row: NDArray,
    by_trio: NDArray,
) -> None:
    for row in range(child.shape[0]):
        on_x = place[row] == _X
        if not on_x and place[row] != _AUTOSOME:
            continue
        for trio in range(child.shape[1]):
            table = tables[son[trio] if on_x else 0]
            if table[child[row, trio], father[row, trio], mother[row, trio]]:
                by_row[row] += 1
                by_trio[trio] += 1
