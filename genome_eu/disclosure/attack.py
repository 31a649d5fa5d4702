"""The attacks of the literature on released sums: what an attacker makes of them.

Each function takes numbers as they were released, and what the attacker knows besides, and gives
what follows about people. `SECURITY.md` has what each achieves, without protection and with.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genome_eu.disclosure.membership import membership_evidence, membership_power
from genome_eu.errors import BadInput
from genome_eu.stats.aggregate import AnyAggregate
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.pca import row_scale

__all__ = [
    "UNKNOWN",
    "difference",
    "explained",
    "extend_genomes",
    "likelihood_ratio",
    "many_traits",
    "membership_evidence",
    "membership_power",
    "one_missing_call",
    "one_person_covariate",
    "rank_exhaustion",
    "subtract",
    "trait_products",
    "whose_genomes",
]

#: What a function gives where the attack does not find a genotype.
UNKNOWN = -1

# Directions of the released numbers that are this much smaller than the largest are rounding.
_NEGLIGIBLE = 1e-9
# Room for rounding, in copies of an allele, and in shares of a length.
_NEAR = 1e-3


def likelihood_ratio(
    genotypes: ArrayLike, published: ArrayLike, reference: ArrayLike
) -> NDArray[np.float64]:
    """Evidence that each person belongs to a cohort whose allele frequencies were published.

    Parameters
    ----------
    genotypes : int8 array, shape (rows, people)
        Copies of ALT of the people in question, −1 where missing.
    published : float64 array, shape (rows,)
        ALT frequencies of the cohort; NaN where withheld.
    reference : float64 array, shape (rows,)
        ALT frequencies of the population that the cohort was drawn from.

    Returns
    -------
    float64 array, shape (people,)
        ln likelihood if a member, less ln likelihood if not:
        Σ g ln(Y/p) + (2−g) ln((1−Y)/(1−p)), over rows where both frequencies lie within 0 and 1.

    References
    ----------
    Homer et al. (2008), PLoS Genet 4:e1000167; Sankararaman et al. (2009), Nat Genet 41:965–967.
    """
    y, p = np.asarray(published, float), np.asarray(reference, float)
    # A frequency of 0 or 1 would exclude people outright: a stronger attack on the rows where the
    # reference is exact, a wrong one where an allele is merely missing from it.
    with np.errstate(invalid="ignore"):
        usable = (y > 0) & (y < 1) & (p > 0) & (p < 1)
    y, p = y[usable], p[usable]
    dosage = np.asarray(genotypes)[usable]
    called = dosage >= 0
    carried = np.where(called, dosage, 0).T @ np.log(y / p)
    others = np.where(called, 2 - dosage, 0).T @ np.log((1 - y) / (1 - p))
    return carried + others


def explained(
    projections: ArrayLike, frequency: ArrayLike, genotypes: ArrayLike
) -> NDArray[np.float64]:
    """How much of each candidate's genome lies in the span of released projections, 0 to 1.

    Projections ZS (of a PCA's iteration, its loadings, or products with covariates) are
    combinations of the members' genomes, so that of a member about columns/people is explained, and
    of a stranger about columns/rows. Neither S nor anybody's scores need be known.

    Parameters
    ----------
    projections : float64 array, shape (rows, columns)
    frequency : float64 array, shape (rows,)
        What the projection standardized genotypes with.
    genotypes : int8 array, shape (rows, candidates)
        −1 where missing.
    """
    z = _standardized(genotypes, np.asarray(frequency))
    inside = _basis(np.asarray(projections)).T @ z
    return (inside**2).sum(axis=0) / (z**2).sum(axis=0)


def difference(larger: GenotypeCounts, smaller: GenotypeCounts) -> NDArray[np.int8]:
    """The genotypes of the one person by whom two releases of allele counts differ.

    Returns
    -------
    int8 array, shape (rows,)
        −1 where the person has no call, or a release withholds the row.

    References
    ----------
    Dwork & Roth (2014), Found Trends Theor Comput Sci 9:211–407, section 1.
    """
    if int(larger.people[0]) - int(smaller.people[0]) != 1:
        raise BadInput("the two releases do not differ by one person")
    alleles = larger.allele_count[:, 0] - smaller.allele_count[:, 0]
    called = larger.called[:, 0] - smaller.called[:, 0]
    shown = larger.alleles_shown[:, 0] & smaller.alleles_shown[:, 0] & (called == 1)
    return np.where(shown, alleles, UNKNOWN).astype(np.int8)


def one_person_covariate(
    products: ArrayLike, weights: ArrayLike, mean_dosage: ArrayLike | None = None
) -> NDArray[np.int8]:
    """The genotypes of the one person whom a combination of columns sets apart.

    Parameters
    ----------
    products : float64 array, shape (rows, columns)
        Released sums of dosage × column (Xᵀg, yᵀg) over people.
    weights : float64 array, shape (columns,)
        What makes the columns 1 for one person and 0 for all others: a single 1 for an indicator of
        that person; (1, −1)/d for two columns that differ in that person alone, by d.
    mean_dosage : float64 array, shape (rows,), optional
        Released mean copies of ALT, where columns were centred before they were multiplied.

    References
    ----------
    DataSHIELD disclosure checks: Gaye et al. (2014), Int J Epidemiol 43:1929–1944.
    """
    found = np.asarray(products) @ np.asarray(weights)
    if mean_dosage is not None:
        found = found + np.asarray(mean_dosage)
    return _whole(found)


def one_missing_call(missing: ArrayLike, products: ArrayLike) -> tuple[NDArray, NDArray]:
    """Covariates and traits of the people who alone lack a call in some row.

    Parameters
    ----------
    missing : int array, shape (rows,)
        Released numbers of missing calls.
    products : float64 array, shape (rows, columns)
        Released sums over missing calls (Xᵀm, yᵀm), on the plan's public origins and scales.

    Returns
    -------
    people : float64 array, shape (people found, columns)
        Each distinct person once.
    rows : int array, shape (people found,)
        How many rows that person alone is missing in: the same values in another row are the same
        person, so the pattern of missing calls is linked to them too.
    """
    alone = np.asarray(products)[np.asarray(missing) == 1]
    keys = np.round(alone, 6)
    _, first, rows = np.unique(keys, axis=0, return_index=True, return_counts=True)
    return alone[first], rows


def rank_exhaustion(columns: ArrayLike, products: ArrayLike) -> NDArray[np.int8]:
    """Genotypes of all people from enough products with columns that the attacker knows.

    Each product is a linear equation in the genotypes of a row. A person is determined once some
    combination of all columns released so far is 1 for that person and 0 for everybody else; with
    as many independent columns as people, everybody is.

    Parameters
    ----------
    columns : float64 array, shape (people, columns)
        Covariates, traits and chosen scores of the people, accumulated over requests.
    products : float64 array, shape (rows, columns)
        Released sums of dosage × column.

    Returns
    -------
    int8 array, shape (rows, people)
        −1 for people who are not determined.

    References
    ----------
    Dinur & Nissim (2003), PODS: 202–210.
    """
    known = np.asarray(columns, float)
    basis = _basis(known)
    determined = (basis**2).sum(axis=1) > 1.0 - _NEAR
    solved = np.asarray(products) @ np.linalg.pinv(known, rcond=_NEGLIGIBLE)
    return np.where(determined, _whole(solved), UNKNOWN).astype(np.int8)


def extend_genomes(
    projections: ArrayLike, frequency: ArrayLike, known: ArrayLike, genotypes: ArrayLike
) -> NDArray[np.int8]:
    """All genotypes of members of whom a few rows are known, from as many projections as people.

    The projections' columns then span everybody's genome: the combination that gives a member's
    known rows gives all other rows too. The known rows must outnumber the people.

    Parameters
    ----------
    projections : float64 array, shape (rows, columns)
        Accumulated over rounds, standardized with the same frequencies.
    frequency : float64 array, shape (rows,)
    known : int array, shape (known rows,)
        Which rows the attacker has: those of a genotyping array, say.
    genotypes : int8 array, shape (known rows, candidates)
        Called genotypes of the candidates there.

    Returns
    -------
    int8 array, shape (rows, candidates)
        −1 for candidates whose known rows are no combination of the projections: not members.
    """
    p, known = np.asarray(frequency), np.asarray(known)
    basis = _basis(np.asarray(projections))
    if known.size <= basis.shape[1]:
        raise BadInput(
            f"{known.size} known rows do not determine {basis.shape[1]} weights; give more"
        )
    z = _standardized(genotypes, p[known])
    weights = np.linalg.lstsq(basis[known], z, rcond=None)[0]
    left = np.linalg.norm(z - basis[known] @ weights, axis=0)
    members = left < _NEAR * np.linalg.norm(z, axis=0)
    found = 2.0 * p[:, None] + (basis @ weights) / row_scale(p)[:, None]
    return np.where(members, _whole(found), UNKNOWN).astype(np.int8)


def trait_products(
    beta: ArrayLike, se: ArrayLike, df: ArrayLike, trait_square: ArrayLike
) -> NDArray[np.float64]:
    """Centred gᵀy from published effects and standard errors of a fit without covariates.

    Parameters
    ----------
    beta, se : float64 arrays, shape (rows, traits)
    df : int array, broadcast with them
        Residual degrees of freedom.
    trait_square : float64 array, shape (traits,)
        Σ(y − ȳ)², which whoever knows the traits knows.

    Notes
    -----
    SE² = (yᵀy/V − β²)/df gives V = gᵀg; gᵀy = βV.
    """
    effect = np.asarray(beta)
    return effect * np.asarray(trait_square) / (np.asarray(df) * np.asarray(se) ** 2 + effect**2)


def many_traits(traits: ArrayLike, products: ArrayLike) -> NDArray[np.int8]:
    """Genotypes of people whose many traits are known, from the traits' association results.

    Fewer equations than people: what is missing comes from genotypes being 0, 1 or 2. Each row is
    solved within 0 and 2 and rounded; if the rounded genotypes give all released products, they are
    the only ones that do, and the attacker knows it.

    Parameters
    ----------
    traits : float64 array, shape (people, traits)
        Known traits, and a column of ones where allele counts were released too.
    products : float64 array, shape (rows, traits)
        Released sums of dosage × trait.

    Returns
    -------
    int8 array, shape (rows, people)
        −1 in the rows that are not found.

    References
    ----------
    Donoho & Tanner (2010), Discrete Comput Geom 43:522–541 (recovery within a box);
    Im et al. (2012), Am J Hum Genet 90:591–598 (many traits).
    """
    from scipy.optimize import lsq_linear

    known, released = np.asarray(traits, float), np.asarray(products, float)
    scale = np.linalg.norm(known, axis=0)
    solved = [
        lsq_linear(known.T, row, bounds=(0.0, 2.0), method="bvls").x
        for row in np.where(np.isfinite(released), released, 0.0)
    ]
    found = _whole(np.reshape(solved, (released.shape[0], known.shape[0])))
    with np.errstate(invalid="ignore"):
        fits = (np.abs(found @ known - released) <= _NEAR * scale).all(axis=1)
    return np.where(fits[:, None], found, UNKNOWN).astype(np.int8)


def whose_genomes(traits: ArrayLike, products: ArrayLike, genomes: ArrayLike) -> NDArray[np.intp]:
    """Which of several genomes belongs to each person of a table of traits.

    Parameters
    ----------
    traits, products : float64 arrays, (people, traits) and (rows, traits)
        As for `many_traits`, far fewer than would give genotypes.
    genomes : int8 array, shape (rows, candidates)
        Genomes without names, from another source.

    Returns
    -------
    int array, shape (people,)
        The candidate whose genome agrees best with what the products say of the person.

    References
    ----------
    Im et al. (2012), Am J Hum Genet 90:591–598.
    """
    estimate = np.asarray(products) @ np.linalg.pinv(np.asarray(traits, float))
    candidates = np.asarray(genomes, float)
    candidates = candidates - candidates.mean(axis=1, keepdims=True)
    estimate = estimate - estimate.mean(axis=1, keepdims=True)
    agreement = estimate.T @ candidates / np.linalg.norm(candidates, axis=0)
    return agreement.argmax(axis=1)


def subtract(total: AnyAggregate, own: AnyAggregate) -> AnyAggregate:
    """What the other sites sum to, for a participant that takes its own numbers from the answer.

    Of two sites, that is the other one's whole answer; a secure sum hides nothing of it.
    """
    rest = {
        item.name: getattr(total, item.name) - getattr(own, item.name)
        for item in fields(total)
        if item.metadata["merge"] == "total"
    }
    return replace(total, **rest)


def _whole(values: NDArray) -> NDArray[np.int8]:
    """The genotypes that values are near to; −1 where a value is NaN or no genotype."""
    with np.errstate(invalid="ignore"):
        nearest = np.clip(np.rint(values), UNKNOWN, 3)
    return np.where((nearest >= 0) & (nearest <= 2), nearest, UNKNOWN).astype(np.int8)


def _standardized(genotypes: ArrayLike, frequency: NDArray) -> NDArray[np.float64]:
    dosage = np.asarray(genotypes)
    z = row_scale(frequency)[:, None] * (dosage - 2.0 * frequency[:, None])
    return np.where(dosage >= 0, z, 0.0)


def _basis(columns: NDArray) -> NDArray[np.float64]:
    """An orthonormal basis of the columns' span, without directions that are only rounding."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > _NEGLIGIBLE * sizes.max(initial=0.0)]
