"""How time and memory of this project grow with people and with variants."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accounting import ProcessFailed
from benchmarks.data import SIZES, Size, prepare
from benchmarks.job import MISSING
from benchmarks.jobs import GROWTH
from benchmarks.session import Settings, inside_one_process

Row = dict[str, Any]

#: Exponents at or below this count as linear.
LINEAR = 1.05
AXES = ("people", "variants")


@dataclass(frozen=True)
class Series:
    """Sizes that differ in one of their numbers."""

    axis: str
    sizes: tuple[Size, ...]
    title: str = ""


def _series(axis: str, numbers: Sequence[int], other: int) -> Series:
    sizes = ((n, other) if axis == "people" else (other, n) for n in numbers)
    title = f"{other:,} {'variants' if axis == 'people' else 'people'}"
    return Series(axis, tuple(Size(f"{p:,} × {v:,}", p, v) for p, v in sizes), title)


SERIES = (
    _series("people", (100, 300, 1_000, 3_000, 10_000), 20_000),
    replace(
        _series("variants", (1_000, 3_000, 10_000, 30_000, 100_000), 2_000),
        title="2,000 people; dashed: 10,000 people",
    ),
    Series("variants", (SIZES["billion"], SIZES["ten-billion"])),
)
QUICK = (
    _series("people", (100, 200), 2_000),
    Series("variants", (Size("100 × 2,000", 100, 2_000), Size("tiled", 100, 4_000, tile=2_000))),
)


def points(series: Sequence[Series], settings: Settings, *, together: bool) -> Iterator[Row]:
    """Measure every question at every size of every series.

    Each has a process of its own, or all of a size share one if only to see that they work.
    """
    names = list(GROWTH)
    known: dict[Size, list[Row]] = {}
    for number, one in enumerate(series):
        for size in one.sizes:
            if size not in known:
                processes = [names] if together else [[name] for name in names]
                known[size] = [row for some in processes for row in _process(size, some, settings)]
            for row in known[size]:
                yield {"series": number, "axis": one.axis, **row}


def _process(size: Size, names: Sequence[str], settings: Settings) -> list[Row]:
    data = prepare(size, MISSING, settings.seed, settings.work, settings.say)
    settings.say(f"{size}: {', '.join(names)}")
    seconds: dict[tuple[str, str], list[float]] = {}
    peak, failure = 0, ""
    try:
        asked = [(name, name, data) for name in names]
        seconds, cost = inside_one_process("genome_eu", asked, settings)
        peak = cost.peak_bytes
    except ProcessFailed as error:
        failure = f"failed: {error}"
    return [
        {
            "size": size.name,
            "people": size.people,
            "variants": size.variants,
            "threads": settings.limits.threads,
            "job": name,
            "title": GROWTH[name].title,
            "in_process_s": seconds.get((name, name), []),
            "peak_bytes": peak,
            "failure": failure,
        }
        for name in names
    ]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The k of values ∝ sizes^k that fits best."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def table(rows: Sequence[Row]) -> str:
    """Fitted exponents, and the first and last of each series, as Markdown."""
    lines = [
        "### Growth with people and with variants",
        "",
        f"Exponents k of size^k, fitted to all points of a series and to its last two; up to "
        f"{LINEAR:g} is linear.",
        "",
        "| question | series | threads | k | k, last step | warm, first : last "
        "| peak memory, first : last |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for mine in _curves(rows):
        lines.append(_line(mine))
    return "\n".join(lines)


def _curves(rows: Sequence[Row]) -> list[list[Row]]:
    """Points that belong on one line."""
    keys = dict.fromkeys((row["threads"], row["series"], row["job"]) for row in rows)
    return [
        [row for row in rows if (row["threads"], row["series"], row["job"]) == key] for key in keys
    ]


def _line(mine: Sequence[Row]) -> str:
    first, last = mine[0], mine[-1]
    axis = first["axis"]
    other = "variants" if axis == "people" else "people"
    name = (
        f"| {first['title']} | {first[axis]:,} to {last[axis]:,} {axis}, {first[other]:,} {other} "
        f"| {first['threads']}"
    )
    failures = [row["failure"] for row in mine if row["failure"]]
    if failures:
        return f"{name} | {failures[0]} | | | |"
    sizes, seconds = [row[axis] for row in mine], [_seconds(row) for row in mine]
    cells = [
        f"{exponent(sizes, seconds):.2f}",
        f"{exponent(sizes[-2:], seconds[-2:]):.2f}",
        f"{seconds[0]:.2g} s : {seconds[-1]:.2g} s",
        f"{_mib(first):,.0f} : {_mib(last):,.0f} MiB",
    ]
    return f"{name} | {' | '.join(cells)} |"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw warm seconds, and peak memory, against people and against variants."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex="col", sharey="row")
    labels: dict[str, Any] = {}
    for mine in _curves([row for row in rows if not row["failure"]]):
        first = mine[0]
        column, sizes = AXES.index(first["axis"]), [row[first["axis"]] for row in mine]
        style = {
            "color": f"C{list(GROWTH).index(first['job'])}",
            "marker": "o" if first["threads"] == rows[-1]["threads"] else "x",
            "linestyle": "--" if first["series"] >= len(AXES) else "-",
        }
        (line,) = axes[0, column].loglog(sizes, [_seconds(row) for row in mine], **style)
        axes[1, column].loglog(sizes, [_mib(row) for row in mine], **style)
        labels.setdefault(f"{first['title']}; threads: {first['threads']}", line)
    legend = {"loc": "lower center", "ncols": 2, "frameon": False, "fontsize": "small"}
    figure.legend(labels.values(), labels.keys(), **legend)
    for column, one in enumerate(SERIES[: len(AXES)]):
        axes[0, column].set_title(one.title, fontsize="medium")
        axes[1, column].set_xlabel(one.axis)
    axes[0, 0].set_ylabel("warm, seconds")
    axes[1, 0].set_ylabel("peak memory, MiB")
    for one in axes.flat:
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(rect=(0, 0.015 * (len(labels) + 2), 1, 1))
    # Without a date and random ids, the same numbers give the same file.
    with mpl.rc_context({"svg.hashsalt": "growth", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _seconds(row: Row) -> float:
    return statistics.median(row["in_process_s"])


def _mib(row: Row) -> float:
    return row["peak_bytes"] / 2**20
