"""Every statistic over sites against the same of everybody: the largest difference, measured.

Sites are cohorts of one process, each behind its airlock, with the policy for open data. Nothing is
timed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.exactness.difference import LAW, difference
from benchmarks.exactness.people import SPLITS, People, Split, simulate

if TYPE_CHECKING:
    from benchmarks.exactness.asked import Answers
    from benchmarks.session import Settings

Row = dict[str, Any]

MISSING = (0.0, 0.01, 0.1)
#: What the quick run looks at.
QUICK = ((0.1, Split(2, small=True)),)


def pieces(settings: Settings, *, quick: bool) -> Iterator[list[Row]]:
    """Every way to spread the people, with every share of missing calls."""
    rates = {missing for missing, _ in QUICK} if quick else MISSING
    everybody = {}
    for missing in sorted(rates):
        settings.say(f"simulating people with {missing:.0%} of calls missing")
        folder = settings.work / f"exact-missing{missing:g}-seed{settings.seed}"
        everybody[missing] = simulate(folder, missing, settings.seed).folder
    # The longest first, so that none is left over.
    whole = [(missing, split) for split in SPLITS for missing in MISSING]
    asked = list(QUICK) if quick else sorted(whole, key=lambda one: -one[1].sites)
    workers = min(settings.limits.threads, len(asked))
    with ProcessPoolExecutor(workers, get_context("spawn"), _alone) as pool:
        waiting = {
            pool.submit(compared, everybody[missing], missing, split): (missing, split)
            for missing, split in asked
        }
        for done in as_completed(waiting):
            missing, split = waiting[done]
            rows = done.result()
            settings.say(
                f"sites: {split}; {missing:.0%} missing: at most {_largest(rows):.1e} apart"
            )
            yield rows


def _alone() -> None:
    """Each process has one core."""
    for library in ("NUMBA", "OMP", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"


def compared(folder: Path, missing: float, split: Split) -> list[Row]:
    """Every statistic over the sites of a split, against everybody."""
    from benchmarks.exactness.asked import Asked
    from benchmarks.exactness.questions import questions

    at = Asked(People(folder, missing), split)
    rows = []
    for question in questions():
        if question.thinned and not _among_few(missing, split):
            continue
        about: Row = {"sites": split.sites, "small": split.small, "missing": missing}
        try:
            found, pooled = question.ask(at), question.pooled(at)
        except Exception as error:  # one question without an answer is a finding, not the end
            failure = f"failed: {type(error).__name__}: {error}"
            rows.append({"title": question.name, **about, "failure": failure})
            continue
        rows += [about | row for row in told(found, pooled)]
    return rows


def _among_few(missing: float, split: Split) -> bool:
    """Whether thinned questions are asked: once of any number of sites with any share missing.

    Sites are even and one of them small by turns.
    """
    turn = (split.sites + MISSING.index(missing)) % 2
    return split.sites == 1 or split.small == (turn == 0)


def told(found: Answers, pooled: Answers) -> Iterator[Row]:
    """A line for each answer; one that breaks the law has a failure."""
    for title, theirs in pooled.items():
        apart = difference(found[title], theirs)
        known = math.isfinite(apart.largest)
        row: Row = {
            "title": title,
            "difference": apart.largest if known else None,
            "variable": apart.variable,
            "values": apart.values,
            "failure": "",
        }
        if not apart.lawful:
            by = f"is {apart.largest:.1e} off" if known else "is another"
            row["failure"] = f"failed: {apart.variable or 'nothing'} {by}"
        yield row


def _largest(rows: Iterable[Row]) -> float:
    """The largest difference of these lines; infinite if one has none."""
    found = [row.get("difference") for row in rows]
    return max((math.inf if one is None else one for one in found), default=math.nan)


def table(rows: list[Row]) -> str:
    """What was found, as Markdown."""
    missing = sorted({row["missing"] for row in rows})
    splits = [one for one in SPLITS if any(_of(row, one) for row in rows)]
    heads = [
        *(f"sites: {one}" for one in splits),
        *(f"{one:.0%} missing" for one in missing),
    ]
    lines = [
        "### Differences from the pooled answer",
        "",
        f"The largest of every statistic; at most {LAW:g} is allowed. 0 is equal to the last bit.",
        "",
        f"| statistic | values compared | {' | '.join(heads)} | largest in |",
        f"|---|--:|{'--:|' * len(heads)}---|",
    ]
    order = dict.fromkeys(
        row["title"] for row in sorted(rows, key=lambda row: (row["missing"], row["sites"]))
    )
    for title in order:
        mine = [row for row in rows if row["title"] == title]
        cells = [_cell(row for row in mine if _of(row, one)) for one in splits]
        cells += [_cell(row for row in mine if row["missing"] == one) for one in missing]
        values = sum(row.get("values", 0) for row in mine)
        worst = max(mine, key=lambda row: _largest([row])).get("variable", "")
        told_of = f"`{worst}`" if worst else ""
        lines.append(f"| {title} | {values:,} | {' | '.join(cells)} | {told_of} |")
    wrong = [row for row in rows if row["failure"]]
    lines += [f"\n{row['title']}, {_place(row)}: {row['failure']}." for row in wrong]
    kept = f"{len(rows) - len(wrong):,} of {len(rows):,} comparisons"
    lines += ["", f"{kept} within {LAW:g}; the largest difference is {_largest(rows):.1e}."]
    return "\n".join(lines)


def _of(row: Row, split: Split) -> bool:
    return (row["sites"], row["small"]) == (split.sites, split.small)


def _place(row: Row) -> str:
    return f"sites: {Split(row['sites'], row['small'])}, {row['missing']:.0%} missing"


def _cell(rows: Iterable[Row]) -> str:
    mine = list(rows)
    if not mine:
        return "–"
    if any(row["failure"] for row in mine):
        return f"**{_largest(mine):.0e}**"
    largest = _largest(mine)
    return f"{largest:.0e}" if largest else "0"
