"""What a federation costs: its time against its sites' own compute, and bundles of many rows.

`python -m benchmarks.federation COHORT…` asks sites as processes over a folder, then has each
compute alone; it is one process of the suite `federation`. The others are `large_bundle`'s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.accounting import ProcessFailed, measured
from benchmarks.data import SIZES, Model, Size, prepare
from benchmarks.job import MISSING
from benchmarks.session import Settings, environment

Row = dict[str, Any]

SITES, COVARIATES = 5, 12
#: What a federation may cost beyond its sites' own compute: a part of it, or seconds a round.
PART, ROUND_S = 0.25, 2.0
ROWS, MEMORY = 10_000_000, 2**30
QUICK_ROWS = 100_000
_MODEL = Model(1, COVARIATES)
# One step of the iteration is all that is wanted of a PCA.
_ONE_ROUND = 0.999


def _questions() -> dict[str, Callable[[Any], Any]]:
    trait, covariates = _MODEL.trait_names[0], list(_MODEL.covariate_names)
    return {
        f"GWAS, 1 trait, {COVARIATES} covariates": lambda eu: eu.gwas(trait, covariates=covariates),
        "PCA, one step": lambda eu: eu.pca(10, tolerance=_ONE_ROUND),
    }


def rounds(cohorts: list[Path], runs: int) -> list[Row]:
    """Seconds of each question by the federation and by its sites alone, plain and secure."""
    # Shared with the tests: parties as processes, with keys and a signed roster.
    from tests.federation.processes import federation

    told = []
    for secure in (False, True):
        with tempfile.TemporaryDirectory(prefix="genome-eu-federation-") as name:
            folder = Path(name)
            (folder / "exchange").mkdir()
            sites = {f"S{number}": path for number, path in enumerate(cohorts, 1)}
            eu = federation(
                folder / "eu", sites, str(folder / "exchange"), secure_sum=secure, timeout_s=600
            )
            for site in eu.sites:
                site.words += ("--device", "cpu")
            with eu.serving():
                timed = [_timed(eu.roster, folder / f"studies-{run}") for run in range(runs + 1)]
            # The first run compiles and reads; it is not told.
            alone = [_alone(sites, folder / f"studies-{runs}") for _ in range(runs + 1)][1:]
        for title in _questions():
            row = {"title": title, "secure_sum": secure, "rounds": timed[0][title]["rounds"]}
            row |= {name: [one[title][name] for one in timed[1:]] for name in ("wall_s", "bytes")}
            row["own_s"] = [one[title] for one in alone]
            beyond, allowed = _beyond(row)
            row["failure"] = f"failed: {beyond:.1f} s beyond" if beyond > allowed else ""
            told.append(row)
    return told


def _beyond(row: Row) -> tuple[float, float]:
    """Seconds beyond the sites' own compute, and how many are allowed."""
    wall, own = statistics.median(row["wall_s"]), statistics.median(row["own_s"])
    return wall - own, max(PART * own, ROUND_S * row["rounds"])


def _timed(roster: Path, studies: Path) -> dict[str, Row]:
    from genome_eu.federation.opening import open_federation

    found = {}
    for title, ask in _questions().items():
        eu = open_federation(roster, studies=studies / _folder(title))
        begin = time.perf_counter()
        ask(eu)
        wall = time.perf_counter() - begin
        answers = list((studies / _folder(title)).rglob("rounds/*/S*.tar"))
        plans = list((studies / _folder(title)).rglob("rounds/*/plan.tar"))
        sent = sum(path.stat().st_size for path in answers) // SITES
        found[title] = {"wall_s": wall, "rounds": len(plans), "bytes": sent}
    return found


def _alone(sites: dict[str, Path], studies: Path) -> dict[str, float]:
    """Seconds that all sites together need to answer the same plans, one after the other."""
    from genome_eu.disclosure import load_policy
    from genome_eu.federation.bundle import Bundle
    from genome_eu.federation.site import Site

    seconds = {}
    for title in _questions():
        plans = sorted((studies / _folder(title)).rglob("rounds/*/plan.tar"))
        seconds[title] = 0.0
        for name, path in sites.items():
            site = Site.open(name, path, load_policy("open-data"))
            for bundle in map(Bundle, plans):
                plan, inputs = bundle.manifest.content, bundle.inputs()
                assert plan is not None  # noqa: S101 - `inputs` has looked
                begin = time.perf_counter()
                for _ in site.answer(plan, inputs):
                    pass
                seconds[title] += time.perf_counter() - begin
    return seconds


def _folder(title: str) -> str:
    return title.partition(",")[0].lower()


def pieces(settings: Settings, *, quick: bool) -> Iterator[list[Row]]:
    """Everything that the suite measures, in processes of its own."""
    size, rows = (SIZES["small"], QUICK_ROWS) if quick else (SIZES["large"], ROWS)
    yield _overhead(size, settings)
    for secure in (False, True):
        with tempfile.TemporaryDirectory(dir=settings.work, prefix="bundle-") as folder:
            for step in ("write", "read"):
                words = [str(rows), folder, *["--secure"] * secure]
                yield [_step(step, words, settings, secure=secure, rows=rows)]
    yield [_step("names", [str(rows)], settings, rows=rows)]


def _overhead(size: Size, settings: Settings) -> list[Row]:
    cohorts = [
        str(prepare(size, MISSING, seed, settings.work, settings.say).cohort)
        for seed in range(settings.seed, settings.seed + SITES)
    ]
    settings.say(f"{SITES} sites of {size}")
    try:
        found = _process("federation", [*cohorts, "--runs", str(settings.pace.runs)], settings)
    except ProcessFailed as error:
        return [{"title": "five sites", "failure": f"failed: {error}"}]
    return [{"people": size.people, "variants": size.variants} | row for row in found]


def _step(step: str, words: list[str], settings: Settings, **about: Any) -> Row:
    settings.say(f"{step} {' '.join(words)}")
    row: Row = {"title": _TITLES[step], "step": step, "failure": "", **about}
    try:
        row |= _process("large_bundle", [step, *words], settings)
    except ProcessFailed as error:
        return row | {"failure": f"failed: {error}"}
    if step != "names" and max(row["peaks"].values()) > MEMORY:
        row["failure"] = f"failed: {max(row['peaks'].values()) / 2**20:,.0f} MiB of memory"
    return row


_TITLES = {
    "write": "a site judges, writes, seals and posts",
    "read": "the coordinator fetches, opens, verifies and reads",
    "names": "a panel is written, read and intersected",
}


def _process(module: str, words: list[str], settings: Settings) -> Any:
    """A fresh process; what it found."""
    out = settings.work / "runs" / f"{module}.json"
    threads = settings.limits.threads
    measured(
        [sys.executable, "-m", f"benchmarks.{module}", *words, "--out", str(out)],
        out.with_suffix(".log"),
        env=environment("genome_eu", threads),
        cores=threads,
        timeout_s=settings.timeout_s,
    )
    return json.loads(out.read_text())


def table(rows: list[Row]) -> str:
    """What was found, as Markdown."""
    lines = [
        "### A federation against its sites' own compute",
        "",
        f"Allowed beyond the sites' own compute: {PART:.0%} of it or {ROUND_S:g} s a round, "
        "whichever is more.",
        "",
        "| question | sums | rounds | sites' own compute | federation | beyond | a round "
        "| allowed | a site sends |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_asked_line(row) for row in rows if "own_s" in row]
    stepped = [_step_line(row) for row in rows if "seconds" in row]
    if stepped:
        lines += [
            "",
            f"### One round of a GWAS, 1 trait, {COVARIATES} covariates",
            "",
            "| who | sums | rows | bundle | seconds | peak memory |",
            "|---|---|--:|--:|---|--:|",
            *stepped,
        ]
    lines += [f"\n{row['title']}: {row['failure']}." for row in rows if row["failure"]]
    return "\n".join(lines)


def _asked_line(row: Row) -> str:
    beyond, allowed = _beyond(row)
    cells = [
        row["title"],
        "secure" if row["secure_sum"] else "plain",
        str(row["rounds"]),
        f"{statistics.median(row['own_s']):.2f} s",
        f"{statistics.median(row['wall_s']):.2f} s",
        f"{beyond:.2f} s",
        f"{beyond / row['rounds']:.2f} s",
        f"{allowed:.2f} s",
        f"{statistics.median(row['bytes']) / 2**20:.1f} MiB",
    ]
    return f"| {' | '.join(cells)} |"


def _step_line(row: Row) -> str:
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row["seconds"].items())
    size = f"{row['bytes'] / 2**20:,.0f} MiB" if "bytes" in row else ""
    peak = f"{max(row['peaks'].values()) / 2**20:,.0f} MiB"
    sums = {True: "secure", False: "plain"}.get(row.get("secure"), "")
    return f"| {row['title']} | {sums} | {row['rows']:,} | {size} | {steps} | {peak} |"


def main() -> None:
    """Time questions to these cohorts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.federation")
    parser.add_argument("cohorts", nargs="+", type=Path, help="stores that the benchmarks made")
    parser.add_argument("--runs", type=int, default=3, help="timed runs")
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    given = parser.parse_args()
    found = rounds(given.cohorts, given.runs)
    print(table(found))
    if given.out:
        given.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
