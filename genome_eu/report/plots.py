"""Static plots for notebooks: each takes a result and gives back matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from genome_eu.errors import UsageError
from genome_eu.formats.rows import TOTAL, require
from genome_eu.report.points import (
    GENOME_WIDE,
    Genome,
    alt_frequency,
    association_tests,
    genome,
    quantiles,
    shown_groups,
)
from genome_eu.report.points import thin as thin_points
from genome_eu.stats.inflation import genomic_inflation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHROMOSOME_COLOURS = ("#2b6a8c", "#8aa9ba")
HIGHLIGHT = "#c2502e"
# Okabe and Ito's colours, which people with colour blindness can tell apart.
GROUP_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#777777")
POINTS = 20_000


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _chromosomes(ax: Axes, place: Genome) -> None:
    # Names of the short last chromosomes would overlap if all were written.
    labels = [
        name if k < 12 or k % 2 or not name.isdigit() else "" for k, name in enumerate(place.names)
    ]
    ax.set_xticks(place.centres, labels, fontsize="small")
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel("chromosome")
    ax.margins(x=0.01)


def manhattan(
    dataset: xr.Dataset, trait: str | None = None, ax: Axes | None = None, *, thin: bool = True
) -> Axes:
    """Manhattan plot of one trait.

    Parameters
    ----------
    dataset : Dataset
        A result of gwas().
    trait : str, optional
        The first trait when none is named.
    ax : Axes, optional
    thin : bool
        Draw at most 20,000 points; the highest are always drawn.
    """
    tests = association_tests(dataset, trait)
    place = genome(dataset)
    x, contig = place.x[tests.rows], place.contig[tests.rows]
    height = tests.neg_log10_p
    chosen = _chosen(x, height, thin)
    ax = _axes(ax, 10, 3.6)
    colours = np.array(CHROMOSOME_COLOURS)[contig[chosen] % 2]
    ax.scatter(x[chosen], height[chosen], s=5, c=colours, linewidths=0, rasterized=True)
    line = -np.log10(GENOME_WIDE)
    hits = chosen[height[chosen] > line]
    ax.scatter(x[hits], height[hits], s=12, c=HIGHLIGHT, linewidths=0, zorder=3)
    ax.axhline(line, color=HIGHLIGHT, linewidth=0.8, linestyle="--")
    ax.text(1, line, " 5e-8", transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    _chromosomes(ax, place)
    ax.set_ylim(0, max(line, height.max(initial=0)) * 1.06)
    ax.set_ylabel("−log10 p")
    ax.set_title(tests.label, loc="left")
    return ax


def _chosen(x: np.ndarray, height: np.ndarray, thinned: bool) -> np.ndarray:
    return thin_points(x, height, POINTS if thinned else max(len(x), 1))


def qq(
    dataset: xr.Dataset, trait: str | None = None, ax: Axes | None = None, *, thin: bool = True
) -> Axes:
    """Quantile-quantile plot of one trait, with genomic control's lambda.

    The band holds 95 % of the points, each by itself, if the tests are independent and
    nothing is associated. The parameters are those of `manhattan`.
    """
    tests = association_tests(dataset, trait)
    height = tests.neg_log10_p
    points = quantiles(height, 2000 if thin else max(len(height), 1))
    ax = _axes(ax, 4, 4)
    ax.fill_between(points.expected, points.low, points.high, color="#8aa9ba", alpha=0.3, lw=0)
    top = points.expected.max(initial=1)
    ax.plot([0, top], [0, top], color="0.5", linewidth=0.8)
    ax.scatter(points.expected, points.observed, s=6, c=CHROMOSOME_COLOURS[0], linewidths=0)
    text = f"λ = {genomic_inflation(height):.3f}\n{len(height):,} tests"
    ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top")
    ax.set_xlabel("expected −log10 p")
    ax.set_ylabel("observed −log10 p")
    ax.set_title(tests.label, loc="left")
    return ax


def frequency_comparison(
    dataset: xr.Dataset, groups: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Allele frequencies of one group against others.

    Parameters
    ----------
    dataset : Dataset
        A result of frequencies().
    groups : sequence of str, optional
        The first goes on the horizontal axis, each other one is drawn against it. "Total"
        is everybody. Default: everybody against each group.
    ax : Axes, optional
    """
    names = [TOTAL, *shown_groups(dataset)] if groups is None else list(groups)
    shown_groups(dataset, names)
    if len(names) < 2:
        raise UsageError("frequency_comparison needs two groups; name them, such as FIN and TSI.")
    ax = _axes(ax, 4.6, 4.6)
    first = alt_frequency(dataset, names[0])
    for k, name in enumerate(names[1:]):
        other = alt_frequency(dataset, name)
        both = np.isfinite(first) & np.isfinite(other)
        x, y = first[both], other[both]
        chosen = thin_points(x, y - x, POINTS // (len(names) - 1), keep=np.abs(y - x))
        colour = GROUP_COLOURS[k % len(GROUP_COLOURS)]
        ax.scatter(
            x[chosen],
            y[chosen],
            s=4,
            c=colour,
            alpha=0.6,
            linewidths=0,
            label=name,
            rasterized=True,
        )
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_xlabel(f"ALT frequency, {_everybody(names[0])}")
    if len(names) == 2:
        ax.set_ylabel(f"ALT frequency, {_everybody(names[1])}")
    else:
        ax.set_ylabel("ALT frequency in the group")
        ax.legend(markerscale=3, frameon=False, fontsize="small")
    return ax


def _everybody(name: str) -> str:
    return "everybody" if name == TOTAL else name


def pca_loadings(dataset: xr.Dataset, component: int = 1, ax: Axes | None = None) -> Axes:
    """Loadings of one component along the genome.

    A few tall towers mean that the component shows a region (an inversion, a long stretch
    of linkage) rather than ancestry.

    Parameters
    ----------
    dataset : Dataset
        A result of pca().
    component : int
        Counted from 1.
    ax : Axes, optional
    """
    column = _components(dataset, [component])[0]
    loading = np.asarray(dataset["sample_pca_component"].values)[:, column]
    place = genome(dataset)
    used = np.flatnonzero(np.isfinite(loading))
    height = loading[used]
    chosen = used[thin_points(place.x[used], height, POINTS, keep=np.abs(height))]
    ax = _axes(ax, 10, 2.8)
    colours = np.array(CHROMOSOME_COLOURS)[place.contig[chosen] % 2]
    ax.scatter(place.x[chosen], loading[chosen], s=5, c=colours, linewidths=0, rasterized=True)
    ax.axhline(0, color="0.5", linewidth=0.8)
    _chromosomes(ax, place)
    ax.set_ylabel(f"loading on PC{component}")
    return ax


def pca_scores(
    dataset: xr.Dataset,
    components: tuple[int, int] = (1, 2),
    colour: Sequence[Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Scores of a cohort's own people.

    Parameters
    ----------
    dataset : Dataset
        A cohort's result of pca(); a federation's has no people.
    components : pair of int
        Counted from 1.
    colour : sequence, optional
        A group for each person, in the order of ``sample_id``.
    ax : Axes, optional

    Raises
    ------
    UsageError
        If the result comes from a federation.
    """
    if "sample_pca_projection" not in dataset:
        raise UsageError(
            "this result has no scores of people; those stay at their sites. "
            "Use pca_site_means for a federation."
        )
    first, second = _components(dataset, components)
    scores = np.asarray(dataset["sample_pca_projection"].values)
    groups = np.zeros(len(scores), int).astype(str) if colour is None else np.asarray(colour)
    if len(groups) != len(scores):
        raise UsageError(f"colour has {len(groups)} values for {len(scores)} people.")
    groups = groups.astype(str)
    ax = _axes(ax, 5, 4.5)
    for k, name in enumerate(np.unique(groups)):
        own = groups == name
        ax.scatter(
            scores[own, first],
            scores[own, second],
            s=12,
            c=GROUP_COLOURS[k % len(GROUP_COLOURS)],
            linewidths=0,
            alpha=0.8,
            label=name,
        )
    if colour is not None:
        ax.legend(frameon=False, fontsize="small")
    ax.set_xlabel(f"PC{components[0]}")
    ax.set_ylabel(f"PC{components[1]}")
    return ax


def pca_site_means(
    dataset: xr.Dataset, components: tuple[int, int] = (1, 2), ax: Axes | None = None
) -> Axes:
    """Mean scores of each site of a federation. The parameters are those of `pca_scores`."""
    require(dataset, ["site_pca_mean", "site_id"])
    first, second = _components(dataset, components)
    means = np.asarray(dataset["site_pca_mean"].values)
    ax = _axes(ax, 5, 4.5)
    ax.scatter(means[:, first], means[:, second], s=60, c=CHROMOSOME_COLOURS[0], linewidths=0)
    for name, mean in zip(dataset["site_id"].values, means, strict=True):
        ax.annotate(
            str(name), (mean[first], mean[second]), xytext=(6, 4), textcoords="offset points"
        )
    ax.margins(0.15)
    ax.set_xlabel(f"mean of PC{components[0]}")
    ax.set_ylabel(f"mean of PC{components[1]}")
    return ax


def _components(dataset: xr.Dataset, numbers: Sequence[int]) -> list[int]:
    require(dataset, ["sample_pca_component"])
    known = dataset.sizes["components"]
    for number in numbers:
        if not 1 <= number <= known:
            raise UsageError(f"there is no PC{number}; the result has PC1 to PC{known}.")
    return [number - 1 for number in numbers]
