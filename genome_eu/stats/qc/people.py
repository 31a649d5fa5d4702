"""Quality of each person's genotypes: call rate, heterozygosity, sex, Ti/Tv, singletons.

All of it is of single people: `Private`, so that none of it can leave the site.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Private
from genome_eu.stats.block import GenotypeBlock
from genome_eu.stats.ploidy import PloidyClass

#: F on X below which a person has two X chromosomes, and above which one.
FEMALE_BELOW, MALE_ABOVE = 0.2, 0.8


class Place(IntEnum):
    """Where a row lies, as far as people are measured on it."""

    AUTOSOME = 0
    X = 1  # outside the pseudo-autosomal regions
    Y = 2
    ELSEWHERE = 3


class Change(IntEnum):
    """What a row's ALT is."""

    TRANSITION = 0
    TRANSVERSION = 1
    OTHER = 2  # not one base for another


class Variation(IntEnum):
    """How far the people of the site differ at a row."""

    NONE = 0
    SINGLETON = 1  # one copy of the ALT among everybody
    SOME = 2


_SHAPE = (len(Place), len(Change), len(Variation), 4)
_PLACES = {
    PloidyClass.AUTOSOMAL: Place.AUTOSOME,
    PloidyClass.X: Place.X,
    PloidyClass.Y: Place.Y,
}
_PURINES, _PYRIMIDINES = frozenset("AG"), frozenset("CT")


@dataclass(frozen=True, eq=False)
class PersonSums(Private):
    """Each person's genotypes by kind of row.

    Attributes
    ----------
    tallies : int64 array, shape (people, places, changes, variations, 4)
        Rows with 0, 1 and 2 copies of the ALT, and with a missing call.
    expected_het : float64 array, shape (people, 2)
        Σ 2p(1−p) over the rows that a person is called in, on autosomes and on X.
    """

    tallies: NDArray
    expected_het: NDArray


@dataclass(frozen=True, eq=False)
class PersonMeasures(Private):
    """What is measured of each person; arrays over people, NaN where there is nothing to measure.

    Attributes
    ----------
    n_rows, n_called, call_rate
        Rows, called rows, and their ratio; Y counts for males only.
    n_observed, observed_hom, expected_hom, f
        Rows of autosomes where the site's people differ and the person is called, homozygous calls
        among them, how many are expected by the site's frequencies, and 1 − observed/expected
        heterozygotes: PLINK 2's ``--het``.
    heterozygosity
        Share of heterozygous calls among the called, over all rows of autosomes.
    x_observed, x_f, y_call_rate
        The same F and its rows on X, and the share of called rows of Y.
    inferred_sex
        M or F by `x_f`; unknown between the thresholds or without X.
    transitions, transversions, ti_tv
        Rows of autosomes where the person carries an ALT that is one base for another.
    singletons
        Rows of autosomes whose only copy of the ALT among the site's people is the person's.
    """

    n_rows: NDArray
    n_called: NDArray
    call_rate: NDArray
    n_observed: NDArray
    observed_hom: NDArray
    expected_hom: NDArray
    f: NDArray
    heterozygosity: NDArray
    x_observed: NDArray
    x_f: NDArray
    y_call_rate: NDArray
    inferred_sex: NDArray
    transitions: NDArray
    transversions: NDArray
    ti_tv: NDArray
    singletons: NDArray


def places(ploidy: NDArray) -> NDArray[np.int8]:
    """The `Place` of each row, int8 (rows,), from its `PloidyClass`."""
    found = np.full(len(ploidy), Place.ELSEWHERE, np.int8)
    for kind, place in _PLACES.items():
        found[ploidy == kind] = place
    return found


def changes(ref: NDArray | pd.Series, alt: NDArray | pd.Series) -> NDArray[np.int8]:
    """The `Change` of each row, int8 (rows,), from its REF and ALT (str arrays or Series)."""
    # Rows are many and alleles few: each pair is looked at once.
    (of_ref, refs), (of_alt, alts) = pd.factorize(ref), pd.factorize(alt)
    pairs, code = np.unique(of_ref * np.int64(max(len(alts), 1)) + of_alt, return_inverse=True)
    distinct = [_change(str(refs[one // len(alts)]), str(alts[one % len(alts)])) for one in pairs]
    return np.array(distinct, np.int8)[code.reshape(-1)]


def _change(ref: str, alt: str) -> Change:
    pair = {ref.upper(), alt.upper()}
    if len(pair) != 2 or not pair <= _PURINES | _PYRIMIDINES:
        return Change.OTHER
    return Change.TRANSITION if pair in (_PURINES, _PYRIMIDINES) else Change.TRANSVERSION


def summarize(block: GenotypeBlock, place: NDArray, change: NDArray, groups: NDArray) -> PersonSums:
    """Count each person's genotypes in a block, as they were called.

    Parameters
    ----------
    block : Block
        Rows × people; calls of two alleles in haploid people are what the sex check looks for, so
        they must not have been set to missing.
    place, change : int arrays, shape (rows,)
        The `Place` and `Change` of each row.
    groups : int array, shape (people,)
        1 for males, 0 for others, −1 for people who do not count: frequencies are not theirs.
    """
    counts = block.counts(groups, 2)
    carried, called = _alleles(counts, np.asarray(place))
    variation = np.full(block.rows, Variation.SOME)
    variation[carried == 1] = Variation.SINGLETON
    variation[(carried == 0) | (carried == called)] = Variation.NONE
    kind = np.ravel_multi_index((place, change, variation), _SHAPE[:3])
    present, of_row = np.unique(kind, return_inverse=True)
    tallies = np.zeros((block.people, int(np.prod(_SHAPE[:3])), 4), np.int64)
    tallies[:, present] = block.rcounts(of_row.reshape(-1), len(present))
    expected = _expected_het(carried, called, np.asarray(place))
    _, missed = block.rmatmul(np.zeros_like(expected), expected)
    return PersonSums(tallies.reshape(-1, *_SHAPE), expected.sum(axis=0) - missed)


def _alleles(counts: NDArray, place: NDArray) -> tuple[NDArray, NDArray]:
    """Copies of the ALT and alleles called of each row, int64 (rows,).

    Males have one copy of X and of Y, nobody else has a Y, and calls of two alleles in somebody who
    has one copy do not count.
    """
    others, males = counts[:, 0], counts[:, 1]
    carried = others[:, 1] + 2 * others[:, 2] + males[:, 1] + 2 * males[:, 2]
    called = 2 * (others[:, :3].sum(axis=1) + males[:, :3].sum(axis=1))
    single, single_called = males[:, 2], males[:, 0] + males[:, 2]
    on_x, on_y = place == Place.X, place == Place.Y
    carried = np.where(on_x, others[:, 1] + 2 * others[:, 2] + single, carried)
    called = np.where(on_x, 2 * others[:, :3].sum(axis=1) + single_called, called)
    return np.where(on_y, single, carried), np.where(on_y, single_called, called)


def _expected_het(carried: NDArray, called: NDArray, place: NDArray) -> NDArray[np.float64]:
    """2p(1−p) of each row, in the column of autosomes or of X; float64 (rows, 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = np.where(called > 0, carried / called, 0.0)
    both = 2.0 * frequency * (1.0 - frequency)
    return np.stack(
        [np.where(place == one, both, 0.0) for one in (Place.AUTOSOME, Place.X)], axis=1
    )


def add(one: PersonSums, other: PersonSums) -> PersonSums:
    """Sums of the same people over more rows."""
    return PersonSums(one.tallies + other.tallies, one.expected_het + other.expected_het)


def finalize(
    sums: PersonSums,
    male: NDArray,
    *,
    female_below: float = FEMALE_BELOW,
    male_above: float = MALE_ABOVE,
) -> PersonMeasures:
    """Measures of each person.

    Parameters
    ----------
    sums : PersonSums
        Over all rows of the site.
    male : bool array, shape (people,)
        Who is male by the table of people.
    female_below, male_above : float
        Of F on X, for `inferred_sex`: PLINK 1.9's ``--check-sex``.

    Notes
    -----
    F is 1 − O/E of heterozygous calls, over rows where the people who counted differ, with their
    frequencies and without correction for their number: PLINK 2's ``--het`` and PLINK 1.9's
    ``--check-sex``, where everybody is a founder.
    """
    of_place = sums.tallies.sum(axis=(2, 3))
    counted = of_place.sum(axis=1)
    counted = counted - np.where(male[:, np.newaxis], 0, of_place[:, Place.Y])
    n_rows = counted.sum(axis=1)
    n_called = counted[:, :3].sum(axis=1)
    autosomes = of_place[:, Place.AUTOSOME]
    n_observed, het, expected = _heterozygosity(sums, Place.AUTOSOME)
    x_observed, x_het, x_expected = _heterozygosity(sums, Place.X)
    x_f = 1.0 - _ratio(x_het, x_expected)
    carriers = sums.tallies[:, Place.AUTOSOME, :, :, 1:3].sum(axis=-1)
    transitions = carriers[:, Change.TRANSITION].sum(axis=-1)
    transversions = carriers[:, Change.TRANSVERSION].sum(axis=-1)
    sex = np.full(len(male), "unknown", dtype=object)
    sex[x_f < female_below] = "F"
    sex[x_f > male_above] = "M"
    y = of_place[:, Place.Y]
    return PersonMeasures(
        n_rows=n_rows,
        n_called=n_called,
        call_rate=_ratio(n_called, n_rows),
        n_observed=n_observed,
        observed_hom=n_observed - het,
        expected_hom=n_observed - expected,
        f=1.0 - _ratio(het, expected),
        heterozygosity=_ratio(autosomes[:, 1], autosomes[:, :3].sum(axis=1)),
        x_observed=x_observed,
        x_f=x_f,
        y_call_rate=_ratio(y[:, :3].sum(axis=1), y.sum(axis=1)),
        inferred_sex=sex,
        transitions=transitions,
        transversions=transversions,
        ti_tv=_ratio(transitions, transversions),
        singletons=carriers[:, :, Variation.SINGLETON].sum(axis=1),
    )


def _heterozygosity(sums: PersonSums, place: Place) -> tuple[NDArray, NDArray, NDArray]:
    """Called rows where people differ, heterozygous calls in them, and how many are expected."""
    counts = sums.tallies[:, place, :, Variation.SINGLETON :].sum(axis=(1, 2))
    return counts[:, :3].sum(axis=1), counts[:, 1], sums.expected_het[:, place]


def _ratio(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    """Quotients; NaN where the denominator is 0 or, from rounding, next to it."""
    some = np.abs(denominator) > 1e-9
    return np.divide(numerator, denominator, out=np.full(len(some), np.nan), where=some)
