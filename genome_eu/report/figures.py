"""Interactive figures of the report, as the plain data that plotly.js draws.

Only aggregates are drawn: nothing here reads a variable that has people in it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from genome_eu.formats.rows import TOTAL, contigs
from genome_eu.report.plots import CHROMOSOME_COLOURS, GROUP_COLOURS, HIGHLIGHT
from genome_eu.report.points import (
    GENOME_WIDE,
    AssociationTests,
    Genome,
    alt_frequency,
    association_tests,
    genome,
    quantiles,
    shown_groups,
    thin,
)
from genome_eu.stats.inflation import genomic_inflation

MANHATTAN_POINTS = 8_000
LOADING_POINTS = 4_000
SCATTER_POINTS = 2_000
MOST_GROUPS = 8
MOST_COMPONENTS = 4


@dataclass(frozen=True, eq=False)
class Figure:
    """One drawing of the page.

    Attributes
    ----------
    title, caption : str
        Plain text; the page escapes it.
    data : list of dict
        Plotly traces. Text in them is escaped already, because plotly reads tags in labels.
    layout : dict
    width : str
        Part of the page's width on a large screen: "third", "half", "most" or "whole".
    """

    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    width: str = "half"


def label(text: object) -> str:
    """Text that plotly shows as it is, whatever tags it holds."""
    return html.escape(str(text))


def _numbers(values: np.ndarray, digits: int = 5) -> list[float | None]:
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in values.tolist()]


def _layout(height: int, x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    axis = {"gridcolor": "rgba(128,140,150,0.18)", "zeroline": False, "automargin": True}
    return {
        "height": height,
        "margin": {"l": 52, "r": 14, "t": 28, "b": 44},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#9aa7af", "activecolor": "#2b6a8c"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": {"bgcolor": "#22313a", "font": {"color": "#ffffff"}},
        "showlegend": False,
        "dragmode": "zoom",
        "xaxis": {**axis, **x},
        "yaxis": {**axis, **y},
        **more,
    }


def _title(text: str) -> dict[str, Any]:
    return {"title": {"text": label(text), "standoff": 8}}


def _chromosome_axis(place: Genome) -> dict[str, Any]:
    names = [
        label(name) if k < 12 or k % 2 or not name.isdigit() else ""
        for k, name in enumerate(place.names)
    ]
    edge = 0.01 * (place.x.max() - place.x.min()) + 1
    return {
        **_title("chromosome"),
        "range": _numbers(np.array([place.x.min() - edge, place.x.max() + edge])),
        "tickvals": _numbers(place.centres),
        "ticktext": names,
        "tickangle": 0,
        "showgrid": False,
    }


def _row_text(dataset: xr.Dataset, rows: np.ndarray) -> list[str]:
    """What a pointer over a row shows: place, alleles and id."""
    part = dataset[["variant_position", "variant_allele", "variant_id"]].isel(variants=rows)
    alleles = part["variant_allele"].values
    text = []
    for contig, position, (ref, alt), name in zip(
        contigs(dataset)[rows],
        part["variant_position"].values,
        alleles,
        part["variant_id"].values,
        strict=True,
    ):
        shown = "" if name in (".", "") else f" {name}"
        text.append(label(f"{contig}:{int(position)} {ref}>{alt}{shown}"))
    return text


def _along_genome(
    dataset: xr.Dataset,
    place: Genome,
    rows: np.ndarray,
    height: np.ndarray,
    what: str,
    limit: int,
) -> list[dict[str, Any]]:
    chosen = thin(place.x[rows], height, limit, keep=np.abs(height))
    shown = rows[chosen]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": _numbers(place.x[shown], 7),
            "y": _numbers(height[chosen]),
            "text": _row_text(dataset, shown),
            "hovertemplate": "%{text}<br>" + label(what) + " %{y}<extra></extra>",
            "marker": {
                "size": 4,
                # Numbers on a scale of colours: half the size of writing the colours out.
                "color": (place.contig[shown] % 2).tolist(),
                "cmin": 0,
                "cmax": 2,
                "colorscale": [
                    [0, CHROMOSOME_COLOURS[0]],
                    [0.5, CHROMOSOME_COLOURS[1]],
                    [1, HIGHLIGHT],
                ],
            },
        }
    ]


def manhattan(dataset: xr.Dataset, tests: AssociationTests) -> Figure:
    """One trait's tests along the genome."""
    place = genome(dataset)
    data = _along_genome(
        dataset, place, tests.rows, tests.neg_log10_p, "−log10 p", MANHATTAN_POINTS
    )
    line = -np.log10(GENOME_WIDE)
    found = tests.neg_log10_p > line
    for index, y in enumerate(data[0]["y"]):
        if y > line:
            data[0]["marker"]["color"][index] = 2
    top = max(line, tests.neg_log10_p.max(initial=0.0)) * 1.06
    rule = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": line,
        "y1": line,
        "line": {"color": HIGHLIGHT, "width": 1, "dash": "dash"},
    }
    drawn = len(data[0]["x"])
    caption = f"{len(tests.rows):,} tests, {int(found.sum()):,} below 5e-8 (dashed line)."
    if drawn < len(tests.rows):
        caption += f" {drawn:,} points are drawn: the highest, and a selection of the rest."
    return Figure(
        f"{tests.label}: Manhattan plot",
        caption,
        data,
        _layout(
            340,
            _chromosome_axis(place),
            {**_title("−log10 p"), "range": [0, float(top)]},
            shapes=[rule],
        ),
        width="most",
    )


def qq(tests: AssociationTests) -> Figure:
    """One trait's observed p-values against those expected of no effect."""
    points = quantiles(tests.neg_log10_p, 1500)
    top = float(points.expected.max(initial=1.0))
    around = np.concatenate([points.expected, points.expected[::-1]])
    band = np.concatenate([points.low, points.high[::-1]])
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    data: list[dict[str, Any]] = [
        {
            **line,
            "x": _numbers(around),
            "y": _numbers(band),
            "fill": "toself",
            "fillcolor": "rgba(138,169,186,0.28)",
            "line": {"width": 0},
        },
        {**line, "x": [0, top], "y": [0, top], "line": {"color": "#8a949b", "width": 1}},
        {
            "type": "scatter",
            "mode": "markers",
            "x": _numbers(points.expected),
            "y": _numbers(points.observed),
            "hovertemplate": "expected %{x}<br>observed %{y}<extra></extra>",
            "marker": {"size": 4, "color": CHROMOSOME_COLOURS[0]},
        },
    ]
    factor = genomic_inflation(tests.neg_log10_p)
    return Figure(
        f"{tests.label}: expected and observed p-values",
        f"Genomic control λ = {factor:.3f}. The band holds 95 % of the points, each by itself, "
        "if nothing is associated and the tests are independent.",
        data,
        _layout(340, _title("expected −log10 p"), _title("observed −log10 p")),
        width="third",
    )


def association_figures(dataset: xr.Dataset, traits: list[str]) -> list[Figure]:
    """Manhattan and quantile plot of each trait."""
    figures = []
    for trait in traits:
        tests = association_tests(dataset, trait)
        figures += [manhattan(dataset, tests), qq(tests)]
    return figures


def frequency_figures(dataset: xr.Dataset) -> list[Figure]:
    """Each group against everybody, and how far the groups are from each other."""
    groups = shown_groups(dataset)
    frequency = {name: alt_frequency(dataset, name) for name in (TOTAL, *groups)}
    figures = []
    if len(groups) > 2:
        figures.append(_distances(groups, frequency))
    for k, name in enumerate(groups[:MOST_GROUPS]):
        both = np.flatnonzero(np.isfinite(frequency[TOTAL]) & np.isfinite(frequency[name]))
        x, y = frequency[TOTAL][both], frequency[name][both]
        far = np.abs(y - x)
        chosen = thin(x, y - x, SCATTER_POINTS, keep=far)
        data: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, 1],
                "y": [0, 1],
                "hoverinfo": "skip",
                "line": {"color": "#8a949b", "width": 1},
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": _numbers(x[chosen]),
                "y": _numbers(y[chosen]),
                "text": _row_text(dataset, both[chosen]),
                "hovertemplate": "%{text}<br>everybody %{x}<br>"
                + label(name)
                + " %{y}<extra></extra>",
                "marker": {"size": 4, "opacity": 0.6, "color": _colour(k)},
            },
        ]
        unit = {"range": [-0.02, 1.02], "dtick": 0.25}
        mean = far.mean() if len(far) else float("nan")
        caption = f"{len(both):,} rows; the frequencies differ by {mean:.4f} on average."
        if len(chosen) < len(both):
            caption += f" {len(chosen):,} of them are drawn, the most different included."
        figures.append(
            Figure(
                f"{name} against everybody",
                caption,
                data,
                _layout(
                    320,
                    {**_title("ALT frequency, everybody"), **unit},
                    {**_title(f"ALT frequency, {name}"), **unit},
                ),
                width="third",
            )
        )
    return figures


def _colour(k: int) -> str:
    return GROUP_COLOURS[k % len(GROUP_COLOURS)]


def _distances(groups: list[str], frequency: dict[str, np.ndarray]) -> Figure:
    size = len(groups)
    distance = np.full((size, size), np.nan)
    for i, one in enumerate(groups):
        for j, other in enumerate(groups[:i]):
            gap = np.abs(frequency[one] - frequency[other])
            if np.isfinite(gap).any():
                distance[i, j] = distance[j, i] = np.nanmean(gap)
    names = [label(name) for name in groups]
    data = [
        {
            "type": "heatmap",
            "x": names,
            "y": names,
            "z": [_numbers(row) for row in distance],
            "texttemplate": "%{z:.3f}" if size <= 10 else "",
            "hovertemplate": "%{x} and %{y}<br>%{z:.4f}<extra></extra>",
            "colorscale": [[0, "#dfe9ee"], [1, "#2b6a8c"]],
            "showscale": False,
            "hoverongaps": False,
            "xgap": 2,
            "ygap": 2,
        }
    ]
    category = {"type": "category", "showgrid": False}
    return Figure(
        "How far the groups' frequencies are from each other",
        "Mean absolute difference of the ALT frequency over the rows that both groups show.",
        data,
        _layout(320, category, {**category, "autorange": "reversed"}),
        width="third" if size <= 6 else "half",
    )


def pca_figures(dataset: xr.Dataset) -> list[Figure]:
    """Mean scores of each site, and the loadings along the genome; never people."""
    figures = []
    if "site_pca_mean" in dataset and dataset.sizes["components"] > 1:
        means = np.asarray(dataset["site_pca_mean"].values, dtype=np.float64)
        names = [str(name) for name in dataset["site_id"].values]
        known = "site_n" in dataset
        people = dataset["site_n"].values.tolist() if known else [None] * len(names)
        data: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": _numbers(means[:, 0]),
                "y": _numbers(means[:, 1]),
                "text": [label(name) for name in names],
                "textposition": "top center",
                "cliponaxis": False,
                "customdata": [f"{n:,} people" if n is not None else "" for n in people],
                "hovertemplate": "%{text}<br>%{customdata}<br>%{x}, %{y}<extra></extra>",
                "marker": {"size": 13, "color": [_colour(k) for k in range(len(names))]},
            }
        ]
        figures.append(
            Figure(
                "Where the sites lie",
                "Mean score of each site's people on the first two components. "
                "The scores themselves stay at the sites.",
                data,
                _layout(340, _title("mean of PC1"), _title("mean of PC2")),
            )
        )
    if "sample_pca_explained_variance" in dataset:
        figures.append(_eigenvalues(dataset["sample_pca_explained_variance"].values))
    place = genome(dataset)
    loadings = np.asarray(dataset["sample_pca_component"].values, dtype=np.float64)
    for k in range(min(loadings.shape[1], MOST_COMPONENTS)):
        rows = np.flatnonzero(np.isfinite(loadings[:, k]))
        name = f"PC{k + 1}"
        data = _along_genome(dataset, place, rows, loadings[rows, k], name, LOADING_POINTS)
        drawn = len(data[0]["x"])
        figures.append(
            Figure(
                f"{name}: loadings along the genome",
                f"{len(rows):,} rows"
                + (f", of which {drawn:,} are drawn" if drawn < len(rows) else "")
                + ". A few tall towers would mean that the component shows a region of the "
                "genome rather than ancestry.",
                data,
                _layout(240, _chromosome_axis(place), _title("loading")),
                width="whole",
            )
        )
    return figures


def _eigenvalues(values: np.ndarray) -> Figure:
    bars = {
        "type": "bar",
        "x": [f"PC{k + 1}" for k in range(len(values))],
        "y": _numbers(np.asarray(values, dtype=np.float64)),
        "hovertemplate": "%{x}: %{y}<extra></extra>",
        "marker": {"color": CHROMOSOME_COLOURS[0]},
    }
    return Figure(
        "Eigenvalues",
        "Eigenvalues of ZᵀZ/M over people.",
        [bars],
        _layout(340, {"type": "category", "showgrid": False}, {"rangemode": "tozero"}),
    )
