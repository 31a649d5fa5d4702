"""Raw results become tables of ratios."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import dask_tax, exactness, federation, growth

_MARKER = "<!-- {suite}:{end} -->"

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
    found["PLINK 1.9"] = "present" if shutil.which("plink1.9") else "absent"
    found["PCAone"] = "present" if shutil.which("PCAone") else "absent"
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
    rows: list[Row] = session["outcomes"]
    if session["suite"] == "exact":
        # How fast the machine was is of no account there.
        return f"{session['date']}; {_programs(session)}.\n\n{exactness.table(rows)}"
    own = {"growth": growth.table, "dask": dask_tax.table, "federation": federation.table}
    body = own.get(session["suite"], _peers)
    return f"{_circumstances(session)}\n\n{body(rows)}"


def failure(row: Row) -> str:
    """What failed, in one line; nothing if it did not, or was not run."""
    if not row["failure"].startswith("failed"):
        return ""
    named = [str(row[name]) for name in ("size", "title", "program") if name in row]
    return f"{', '.join(named)}: {row['failure']}"


def write_between_markers(readme: Path, suite: str, text: str) -> None:
    """Replace what lies between a suite's markers of a README."""
    begin, end = (_MARKER.format(suite=suite, end=which) for which in ("begin", "end"))
    whole = readme.read_text(encoding="utf-8")
    before, rest = whole.split(begin, 1)
    _, after = rest.split(end, 1)
    readme.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _programs(session: Row) -> str:
    return ", ".join(f"{name} {version}" for name, version in session["versions"].items())


def _circumstances(session: Row) -> str:
    there, settings = session["machine"], session["settings"]
    used = _programs(session)
    threads = " and ".join(str(one) for one in settings["threads"])
    lines = [
        f"{session['date']}; {there['cores']:g} cores, {there['memory_gib']:g} GiB of memory; "
        f"{threads} threads for every program; medians of {settings['runs']} runs unless a table "
        f"says otherwise. {used}."
    ]
    if settings["quick"]:
        lines.append("**Quick run: it shows that everything works, not how fast it is.**")
    if there["load_before"] > 0.5:
        lines.append(
            f"**The machine was not idle (load {there['load_before']:g} at the start): "
            f"do not use these ratios.**"
        )
    return "\n\n".join(lines)


def _peers(rows: Sequence[Row]) -> str:
    """Tables of sizes and threads, and the growth over sizes where there are several."""
    groups = dict.fromkeys((row["size"], row["threads"]) for row in rows)
    parts = [_size_table([row for row in rows if _group(row) == group]) for group in groups]
    fitted = _growth_table(rows)
    return "\n\n".join([*parts, fitted] if fitted else parts)


def _group(row: Row) -> tuple[str, int]:
    return row["size"], row["threads"]


def _size_table(rows: Sequence[Row]) -> str:
    first = rows[0]
    threads = "1 thread" if first["threads"] == 1 else f"{first['threads']} threads"
    lines = [
        f"### {first['size']}: {first['people']:,} people × {first['variants']:,} variants, "
        f"{threads}",
        "",
        "| job | against | wall | CPU | warm | peak memory, ours : theirs | answers | runs "
        "| *ours: wall, warm* | *theirs: wall, warm* |",
        "|---|---|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    by_job = {row["job"]: [one for one in rows if one["job"] == row["job"]] for row in rows}
    for own, *others in by_job.values():
        near = [one | _NOT_COMPARED for one in by_job.get(own["beside"], [])[1:]]
        lines += [_comparison(own, other) for other in (*others, *near)]
        if not others and not near:
            lines.append(_alone(own))
    return "\n".join(lines)


# What is set beside a job whose question is another.
_NOT_COMPARED = {"agreement": "times only"}


def _comparison(own: Row, other: Row) -> str:
    name = f"| {own['title']} | {other['program']} "
    failure = f"genome_eu {own['failure']}" if own["failure"] else other["failure"]
    if failure:
        return f"{name}| | | | | {failure} | | | |"
    cells = [
        _ratio(_median(other, "wall_s"), _median(own, "wall_s")),
        _ratio(_cpu(other), _cpu(own)),
        _warm_ratio(own, other),
        f"{_mib(own)} : {_mib(other)} MiB",
        other["agreement"],
        f"{_runs(own)} : {_runs(other)}",
        *(f"*{_seconds(_median(one, 'wall_s'))}, {_seconds(_warm(one))}*" for one in (own, other)),
    ]
    return f"{name}| {' | '.join(cells)} |"


def _alone(own: Row) -> str:
    seconds = f"*{_seconds(_median(own, 'wall_s'))}, {_seconds(_warm(own))}*"
    cells = [own["failure"] or "–", _runs(own), seconds, ""]
    return f"| {own['title']} | – | | | | {_mib(own)} MiB | {' | '.join(cells)} |"


def _runs(row: Row) -> str:
    """Runs behind each median: of whole processes, and of warm calls where they are not as many."""
    whole, warm = len(row["whole_process"]), len(row["in_process_s"])
    return str(whole) if warm in (0, whole) else f"{whole}, {warm}"


def _warm_ratio(own: Row, other: Row) -> str:
    if not math.isnan(_warm(other)):
        return _ratio(_warm(other), _warm(own))
    # PLINK starts in milliseconds and has no warm call: its whole process stands for one.
    return f"{_ratio(_median(other, 'wall_s'), _warm(own))} †" if own["in_process_s"] else "–"


def _growth_table(rows: Sequence[Row]) -> str:
    """Exponents k of time ∝ genotypes^k, fitted over the sizes."""
    lines = []
    for key in dict.fromkeys((row["title"], row["program"], row["threads"]) for row in rows):
        mine = [
            row
            for row in rows
            if (row["title"], row["program"], row["threads"]) == key and not row["failure"]
        ]
        if len({row["size"] for row in mine}) < 2:
            continue
        genotypes = [row["people"] * row["variants"] for row in mine]
        cells = [
            _exponent(genotypes, [_median(row, "wall_s") for row in mine]),
            _exponent(genotypes, [_warm(row) for row in mine]),
            _exponent(genotypes, [_peak(row) for row in mine]),
        ]
        lines.append(f"| {' | '.join(map(str, key))} | {' | '.join(cells)} |")
    if not lines:
        return ""
    header = [
        "### Growth: exponents k of genotypes^k",
        "",
        "| job | program | threads | wall | warm | peak memory |",
        "|---|---|--:|--:|--:|--:|",
    ]
    return "\n".join([*header, *lines])


def _exponent(genotypes: Sequence[int], values: Sequence[float]) -> str:
    if not all(value > 0 for value in values):
        return "–"
    return f"{growth.exponent(genotypes, values):.2f}"


def _median(row: Row, name: str) -> float:
    return _middle([cost[name] for cost in row["whole_process"]])


def _cpu(row: Row) -> float:
    return _middle([cost["user_s"] + cost["system_s"] for cost in row["whole_process"]])


def _peak(row: Row) -> float:
    return max((cost["peak_bytes"] for cost in row["whole_process"]), default=math.nan)


def _warm(row: Row) -> float:
    return _middle(row["in_process_s"])


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


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
    peak = _peak(row)
    return "–" if math.isnan(peak) else f"{peak / 2**20:,.0f}"
