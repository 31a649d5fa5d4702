"""Weighing studies: fixed and random effects, heterogeneity, sample sizes, genomic control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import BadInput, UsageError
from genome_eu.stats.inflation import CHI2_MEDIAN
from genome_eu.stats.meta.alleles import Aligned, Study, align
from genome_eu.stats.tails import (
    chi2_neg_log10_p,
    normal_from_neg_log10_p,
    normal_neg_log10_p,
)

#: How studies are weighed: by the inverse of their variances, or by their numbers of people.
SCHEMES = ("ivw", "samplesize")
#: What `MetaAnalysis.errcode` counts in; `ONE_STUDY` has an effect, but says nothing of others.
ERRCODES = (".", "ONE_STUDY")


@dataclass(frozen=True, eq=False)
class Combined:
    """A weighted mean over studies, each float64 (variants,)."""

    beta: NDArray
    se: NDArray

    @property
    def z(self) -> NDArray:
        """Effects over their standard errors."""
        return self.beta / self.se


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """How far studies differ, (variants,); one study does not differ from itself."""

    q: NDArray
    df: NDArray  # int64
    i_squared: NDArray  # share between 0 and 1
    neg_log10_p: NDArray


def fixed_effect(beta: NDArray, se: NDArray) -> Combined:
    """Mean of effects weighted by 1/SE².

    Parameters
    ----------
    beta, se : float64 array, shape (studies, variants)
        NaN where a study lacks the variant.
    """
    weight = np.where(np.isnan(se), 0.0, 1.0 / se**2)
    total = weight.sum(axis=0)
    return Combined((weight * np.nan_to_num(beta)).sum(axis=0) / total, np.sqrt(1.0 / total))


def cochran(values: NDArray, weight: NDArray, expected: NDArray) -> Heterogeneity:
    """Cochran's Q = Σ w (x − x̂)² and I² = (Q − df)/Q.

    Parameters
    ----------
    values, weight, expected : float64 array, shape (studies, variants)
        NaN values are absent.

    References
    ----------
    Cochran (1954), Biometrics 10:101–129; Higgins & Thompson (2002), Stat Med 21:1539–1558.
    """
    present = ~np.isnan(values)
    off = np.where(present, values - expected, 0.0)
    df = present.sum(axis=0) - 1
    # The mean of one study is that study, but for rounding.
    q = np.where(df > 0, (np.where(present, weight, 0.0) * off**2).sum(axis=0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        i_squared = np.where(q > df, (q - df) / q, 0.0)
    return Heterogeneity(
        q=q,
        df=df,
        i_squared=i_squared,
        neg_log10_p=np.where(df > 0, chi2_neg_log10_p(q, np.maximum(df, 1)), 0.0),
    )


def random_effects(beta: NDArray, se: NDArray) -> tuple[Combined, NDArray]:
    """DerSimonian and Laird's estimate, and the variance between studies τ², (variants,).

    Parameters
    ----------
    beta, se : float64 array, shape (studies, variants)
        NaN where a study lacks the variant.

    References
    ----------
    DerSimonian & Laird (1986), Control Clin Trials 7:177–188.
    """
    weight = np.where(np.isnan(se), 0.0, 1.0 / se**2)
    fixed = fixed_effect(beta, se)
    differ = cochran(beta, weight, fixed.beta)
    total = weight.sum(axis=0)
    spread = total - (weight**2).sum(axis=0) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        tau2 = np.where(differ.df > 0, np.maximum(differ.q - differ.df, 0.0) / spread, 0.0)
    return fixed_effect(beta, np.sqrt(se**2 + tau2)), tau2


def sample_size(z: NDArray, n: NDArray) -> tuple[NDArray, NDArray]:
    """Stouffer's z with weights √n, and Σn: Σ √n z / √Σn, both (variants,).

    Parameters
    ----------
    z, n : float64 array, shape (studies, variants)
        NaN where a study lacks the variant.

    References
    ----------
    Willer, Li & Abecasis (2010), Bioinformatics 26:2190–2191.
    """
    weight = np.where(np.isnan(z), 0.0, n)
    total = weight.sum(axis=0)
    return (np.sqrt(weight) * np.nan_to_num(z)).sum(axis=0) / np.sqrt(total), total


def study_inflation(chi2: NDArray) -> float:
    """A study's λ, at least 1: METAL's median is the upper of two middle ones."""
    tested = chi2[~np.isnan(chi2)]
    if not tested.size:
        return 1.0
    middle = tested.size // 2
    return max(float(np.partition(tested, middle)[middle]) / CHI2_MEDIAN, 1.0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """What studies say together of each variant, arrays of shape (variants,).

    With the scheme `samplesize` there are no effects: `fixed` and `random` are NaN, and `z` has
    the sign of the effect.
    """

    fixed: Combined
    z: NDArray
    heterogeneity: Heterogeneity
    tau2: NDArray
    random: Combined

    @property
    def neg_log10_p(self) -> NDArray:
        """−log10 p of the common effect."""
        return normal_neg_log10_p(self.z)

    @property
    def random_neg_log10_p(self) -> NDArray:
        """−log10 p of the mean of effects that differ between studies."""
        return normal_neg_log10_p(self.random.z)


@dataclass(frozen=True, eq=False)
class MetaAnalysis:
    """A meta-analysis, arrays of shape (variants,); effects are of `aligned.effect_allele`.

    `direction` has one of `+`, `-`, `0` and `?` (absent) for each study. `n` counts the people of
    the studies that have the variant, and `frequency` is theirs, weighted as the effects are; both
    are NaN where one of them does not say. `inflation` is what the χ² of each study were divided
    by, and `errcode` a place in `ERRCODES`.
    """

    aligned: Aligned
    studies: tuple[str, ...]
    scheme: str
    n_studies: NDArray  # int64
    direction: NDArray  # str
    n: NDArray
    frequency: NDArray
    estimate: Estimate
    errcode: NDArray  # int8
    inflation: dict[str, float]


def combine(
    studies: Sequence[Study],
    *,
    scheme: str = "ivw",
    genomic_control: bool = False,
    palindromic: str = "keep",
) -> MetaAnalysis:
    """Combine summary statistics of studies that share no people.

    Parameters
    ----------
    studies : sequence of Study
        Their order decides whose alleles are named, and the order of `direction`.
    scheme : {"ivw", "samplesize"}
        Inverse-variance weights (needs effects and standard errors), or z weighted by √n (needs
        p-values, signs and numbers of people).
    genomic_control : bool
        Divide each study's statistics by its λ where that is above 1.
    palindromic : {"keep", "drop"}
        See `align`.

    Returns
    -------
    MetaAnalysis

    Raises
    ------
    UsageError
        There are fewer than two studies, two of the same name, or an unknown scheme.
    BadInput
        A study has no row with the numbers that the scheme needs.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"scheme={scheme!r}: choose {' or '.join(SCHEMES)}")
    if len(studies) < 2:
        raise UsageError("a meta-analysis takes at least two studies")
    names = tuple(study.name for study in studies)
    if len(set(names)) < len(names):
        raise UsageError("two studies have the same name; name them apart")
    kept = [_usable(study, scheme) for study in studies]
    aligned = align(kept, palindromic=palindromic)
    for before, after in zip(studies, kept, strict=True):
        aligned.left_out[before.name]["rows without usable numbers"] = before.rows - after.rows

    beta = aligned.gather([study.beta for study in kept], signed=True)
    n = aligned.gather([study.n for study in kept])
    if scheme == "ivw":
        se = aligned.gather([study.se for study in kept])
        inflation = _control(genomic_control, (beta / se) ** 2)
        se = se * np.sqrt(inflation)
        estimate = _by_variance(beta, se)
        weight, direction = 1.0 / se**2, _directions(beta)
    else:
        size = aligned.gather(
            [normal_from_neg_log10_p(study.neg_log10_p) for study in kept], signed=True
        )
        # The sign of zero counts: an effect printed as 0 is taken as positive, -0 as negative.
        negative = aligned.gather([np.signbit(study.beta) for study in kept])
        z = np.where(negative == 1.0, -size, size)
        inflation = _control(genomic_control, z**2)
        estimate = _by_sample_size(z / np.sqrt(inflation), n)
        weight, direction = n, _directions(z)
    frequency = aligned.gather([study.frequency for study in kept])
    frequency = np.where(aligned.sign < 0, 1.0 - frequency, frequency)
    present = aligned.place >= 0
    n_studies = present.sum(axis=0)
    weight = np.where(present, weight, 0.0)
    return MetaAnalysis(
        aligned=aligned,
        studies=names,
        scheme=scheme,
        n_studies=n_studies,
        direction=direction,
        n=np.where(present, n, 0.0).sum(axis=0),
        frequency=(weight * np.where(present, frequency, 0.0)).sum(axis=0) / weight.sum(axis=0),
        estimate=estimate,
        errcode=(n_studies == 1).astype(np.int8),
        inflation=dict(zip(names, map(float, inflation[:, 0]), strict=True)),
    )


def _usable(study: Study, scheme: str) -> Study:
    """The rows whose numbers the scheme can use."""
    with np.errstate(invalid="ignore"):
        if scheme == "ivw":
            rows = np.isfinite(study.beta) & np.isfinite(study.se) & (study.se > 0)
            needed = "an effect and a standard error above 0"
        else:
            rows = (
                ~np.isnan(study.beta)
                & np.isfinite(study.neg_log10_p)
                & (study.neg_log10_p >= 0)
                & (study.n > 0)
            )
            needed = "an effect, a p-value above 0 and a number of people"
    if not rows.any():
        raise BadInput(
            f"study {study.name} has no row with {needed}; name its columns, or choose the other "
            f"scheme"
        )
    return study.select(rows)


def _control(wanted: bool, chi2: NDArray) -> NDArray:
    """λ of each study, (studies, 1); 1 where it is not wanted."""
    return np.array([[study_inflation(line) if wanted else 1.0] for line in chi2])


def _by_variance(beta: NDArray, se: NDArray) -> Estimate:
    fixed = fixed_effect(beta, se)
    random, tau2 = random_effects(beta, se)
    return Estimate(fixed, fixed.z, cochran(beta, 1.0 / se**2, fixed.beta), tau2, random)


def _by_sample_size(z: NDArray, n: NDArray) -> Estimate:
    combined, total = sample_size(z, n)
    none = np.full(combined.shape, np.nan)
    # What a study of its size would show of the common effect (METAL's test).
    differ = cochran(z, np.ones_like(z), np.sqrt(n) * combined / np.sqrt(total))
    return Estimate(Combined(none, none), combined, differ, none, Combined(none, none))


def _directions(values: NDArray) -> NDArray:
    """`+`, `-`, `0` or `?` of each study, joined by variant."""
    signs = np.select([np.isnan(values), values > 0, values < 0], ["?", "+", "-"], default="0")
    joined = signs[0].astype(object)
    for line in signs[1:]:
        joined = joined + line.astype(object)
    return joined
