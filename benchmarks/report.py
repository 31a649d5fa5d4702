"""Raw results become tables of ratios."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

_LIBRARIES = ("sgkit", "bio2zarr", "numpy", "numba", "dask", "zarr", "xarray", "scipy")

Row = dict[str, Any]


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    from genome_eu import __version__

    found = {"genome_eu": __version__, "python": platform.python_version()}
    try:
        said = subprocess.run(["plink2", "--version"], capture_output=True, text=True, check=True)
        found["PLINK 2"] = said.stdout.strip().removeprefix("PLINK ").split(" (")[0]
    except (OSError, subprocess.CalledProcessError):
        found["PLINK 2"] = "absent"
    return found | {name: importlib.metadata.version(name) for name in _LIBRARIES}


def machine() -> dict[str, float]:
    """Cores and memory, and how busy it was; nothing that names it."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cpus(),
        "memory_gib": round(memory() / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
    }


def memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpus() -> int:
    return os.cpu_count() or 1


def tables(session: Row) -> str:
    """Everything that a session found, as Markdown."""
    parts = [_circumstances(session)]
    rows: list[Row] = session["outcomes"]
    for size in dict.fromkeys(row["size"] for row in rows):
        parts.append(_size_table([row for row in rows if row["size"] == size]))
    growth = _growth_table(rows)
    return "\n\n".join([*parts, growth] if growth else parts)


def write_between_markers(readme: Path, text: str) -> None:
    """Replace what lies between the markers of a README."""
    whole = readme.read_text(encoding="utf-8")
    before, rest = whole.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _circumstances(session: Row) -> str:
    there, settings = session["machine"], session["settings"]
    used = ", ".join(f"{name} {version}" for name, version in session["versions"].items())
    lines = [
        f"{session['date']}; {there['cores']:g} cores, {there['memory_gib']:g} GiB of memory; "
        f"{settings['threads']} threads for every program; medians of {settings['runs']} runs. "
        f"{used}."
    ]
    if settings["quick"]:
        lines.append("**Quick run: it shows that everything works, not how fast it is.**")
    if there["load_before"] > 0.5:
        lines.append(
            f"**The machine was not idle (load {there['load_before']:g} at the start): "
            f"do not use these ratios.**"
        )
    return "\n\n".join(lines)


def _size_table(rows: Sequence[Row]) -> str:
    first = rows[0]
    lines = [
        f"### {first['size']}: {first['people']:,} people × {first['variants']:,} variants",
        "",
        "| job | against | wall | CPU | warm | peak memory, ours : theirs "
        "| answers | *ours: wall, warm* |",
        "|---|---|--:|--:|--:|--:|---|--:|",
    ]
    for job in dict.fromkeys(row["job"] for row in rows):
        own, *others = [row for row in rows if row["job"] == job]
        lines += [_comparison(own, other) for other in others]
    return "\n".join(lines)


def _comparison(own: Row, other: Row) -> str:
    name = f"| {own['title']} | {other['program']} "
    failure = f"genome_eu {own['failure']}" if own["failure"] else other["failure"]
    if failure:
        return f"{name}| | | | | {failure} | |"
    cells = [
        _ratio(_median(other, "wall_s"), _median(own, "wall_s")),
        _ratio(_cpu(other), _cpu(own)),
        _warm_ratio(own, other),
        f"{_mib(own)} : {_mib(other)} MiB",
        other["agreement"],
        f"*{_seconds(_median(own, 'wall_s'))}, {_seconds(_warm(own))}*",
    ]
    return f"{name}| {' | '.join(cells)} |"


def _warm_ratio(own: Row, other: Row) -> str:
    if not math.isnan(_warm(other)):
        return _ratio(_warm(other), _warm(own))
    # PLINK starts in milliseconds and has no warm call: its whole process stands for one.
    return f"{_ratio(_median(other, 'wall_s'), _warm(own))} †" if own["in_process_s"] else "–"


def _growth_table(rows: Sequence[Row]) -> str:
    """Exponents k of time ∝ genotypes^k, fitted over the sizes."""
    lines = []
    for job, program in dict.fromkeys((row["title"], row["program"]) for row in rows):
        mine = [
            row
            for row in rows
            if (row["title"], row["program"]) == (job, program) and not row["failure"]
        ]
        if len(mine) < 2:
            continue
        genotypes = [row["people"] * row["variants"] for row in mine]
        cells = [
            _exponent(genotypes, [_median(row, "wall_s") for row in mine]),
            _exponent(genotypes, [_warm(row) for row in mine]),
            _exponent(genotypes, [_peak(row) for row in mine]),
        ]
        lines.append(f"| {job} | {program} | {' | '.join(cells)} |")
    if not lines:
        return ""
    header = [
        "### Growth: exponents k of genotypes^k",
        "",
        "| job | program | wall | warm | peak memory |",
        "|---|---|--:|--:|--:|",
    ]
    return "\n".join([*header, *lines])


def _exponent(genotypes: Sequence[int], values: Sequence[float]) -> str:
    if not all(value > 0 for value in values):
        return "–"
    return f"{np.polyfit(np.log(genotypes), np.log(values), 1)[0]:.2f}"


def _median(row: Row, name: str) -> float:
    return statistics.median(cost[name] for cost in row["whole_process"])


def _cpu(row: Row) -> float:
    return statistics.median(cost["user_s"] + cost["system_s"] for cost in row["whole_process"])


def _peak(row: Row) -> float:
    return max(cost["peak_bytes"] for cost in row["whole_process"])


def _warm(row: Row) -> float:
    return statistics.median(row["in_process_s"]) if row["in_process_s"] else math.nan


def _ratio(theirs: float, ours: float) -> str:
    if math.isnan(theirs) or math.isnan(ours) or not ours:
        return "–"
    return f"{_figures(theirs / ours)}×"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{_figures(value)} s"


def _figures(value: float) -> str:
    """Two significant figures; ratios of times deserve no more."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.{max(1, 1 - math.floor(math.log10(value)))}f}" if value > 0 else "0"


def _mib(row: Row) -> str:
    return f"{_peak(row) / 2**20:,.0f}"
