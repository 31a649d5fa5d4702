"""The review as a page for people who do not use a terminal: one file, no network, no script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genome_eu.atomic import write_whole
from genome_eu.disclosure.case import Case, Membership
from genome_eu.disclosure.contents import Bars, Contents, Table
from genome_eu.disclosure.holding import MEMBERSHIP
from genome_eu.disclosure.membership import membership_power, most_rows
from genome_eu.report.style import STYLE
from genome_eu.report.tables import Cell, digest, pairs, size, table

# Stricter than the report's: a page to be signed holds nothing that runs.
_CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"

_ALPHAS = (0.001, 0.01, 0.05, 0.1)
_BAR, _LEFT, _WIDTH, _RIGHT = 22, 110, 220, 80


def likely(power: float) -> str:
    """A probability, never rounded to certainty."""
    return "above 0.99" if power > 0.99 else f"{power:.2g}"


@dataclass(frozen=True)
class View:
    """All that is shown of one case, on the page and on a terminal."""

    case: Case
    contents: Contents
    standing: str
    history: Sequence[str]

    @property
    def summary(self) -> str:
        """What would leave, for whom, and at which risk, in one sentence."""
        case, contents = self.case, self.contents
        said = [f"Site {case.site} would release {contents.what} to {case.reader}"]
        if case.secure_sum:
            said[0] += f", masked, so that only the total over {len(case.sites)} sites is seen"
        if contents.withheld:
            rows = "1 row is" if contents.withheld == 1 else f"{contents.withheld:,} rows are"
            said.append(f"{rows} withheld by the floors")
        if case.membership is not None:
            power, alpha = likely(case.membership.power), 100 * case.membership.alpha
            said.append(
                f"an attacker holding someone's genome could tell membership with power {power} at "
                f"{alpha:g} % false positives"
            )
        return "; ".join(said) + "."

    @property
    def checks(self) -> Table:
        """What each check found; measured values are for inside the site."""
        measured = any(item.measured is not None for item in self.case.evidence)
        headings = ["Check", "Limit", "Withheld", "Of", "Verdict"] + ["Measured"] * measured
        rows: list[list[object]] = []
        for item in self.case.evidence:
            line: list[object] = [item.check, item.limit, item.withheld, item.of, item.verdict]
            rows.append(line + [item.measured] * measured)
        return Table("Checks", headings, rows)

    @property
    def cost(self) -> Bars | None:
        """What the floors withhold, by check; None where they withhold nothing."""
        costly = [item for item in self.case.evidence if item.withheld]
        if not costly:
            return None
        return Bars(
            "Withheld by each check",
            [item.check for item in costly],
            [item.withheld for item in costly],
            "; ".join(
                f"{item.check}: {100 * item.withheld / max(item.of, 1):.3g} %" for item in costly
            ),
        )

    @property
    def attack(self) -> Bars | None:
        """Power of the membership test at several false-positive rates."""
        found = self.case.membership
        if found is None:
            return None
        return Bars(
            "Power to tell who takes part",
            [f"at {100 * alpha:g} %" for alpha in _ALPHAS],
            [round(membership_power(found.rows, found.people, alpha), 3) for alpha in _ALPHAS],
            f"Likelihood-ratio test on {found.rows:,} rows of {found.people:,} people, by the rate "
            f"of false positives; every row counts as independent, so this is an upper bound. No "
            f"floor changes it: fewer rows or more people do.{self._within_limit(found)}",
        )

    def _within_limit(self, found: Membership) -> str:
        limits = [item.limit for item in self.case.evidence if item.check == MEMBERSHIP]
        if not limits or not 0 < limits[0] < 1:
            return ""
        most = most_rows(found.people, found.alpha, limits[0])
        return f" {most:,} rows would keep it at {limits[0]:g}."

    @property
    def question(self) -> dict[str, object]:
        """Who asks what of whom."""
        case = self.case
        return {
            "asked by": case.asker,
            "read by": case.reader,
            "statistic": f"{case.statistic}, version {case.version}",
            "study": f"{case.study}, round {case.round}",
            "sites": ", ".join(case.sites),
            "secure sum": case.secure_sum,
            "sample columns": ", ".join(case.names) or "none",
            "policy": case.policy,
            "people of the cohort": case.people,
            "rows × numbers per row": f"{case.rows:,} × {case.columns:,}",
            "size": size(case.bytes),
            "held since": case.time,
        }

    @property
    def hashes(self) -> dict[str, str]:
        """What a decision binds."""
        case = self.case
        return {"plan": case.plan, "bundle": case.answer, "cohort": case.cohort} | {
            "policy": case.policy_digest
        }

    @property
    def commands(self) -> list[str]:
        """How to decide. The bundle that was seen is named, so that no other can be approved."""
        plan = self.case.plan[:12]
        return [
            f"genome-eu site approve {plan} --answer {self.case.answer[:16]}",
            f'genome-eu site refuse {plan} --why "…"',
        ]


def write_page(path: Path, views: Sequence[View]) -> None:
    """Write the page about these cases; it appears whole or not at all.

    Parameters
    ----------
    path : path
        The HTML file. It holds clear numbers, so only its owner may read it.
    views : sequence of View
    """
    title = (
        f"{len(views)} to decide" if len(views) != 1 else f"Site {views[0].case.site}: to decide"
    )
    body = "\n".join(_case(view) for view in views) or "<p>Nothing waits for a decision.</p>"
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_CONTENT_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
<footer>Clear numbers of this site, for the people who decide here. Keep this page inside.</footer>
</main>
</body>
</html>
"""
    write_whole(path, page.encode(), private=True)


def _case(view: View) -> str:
    case = view.case
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in case.reasons)
    commands = "".join(f"<p>{digest(line).text}</p>" for line in view.commands)
    drawn = [bars for bars in (*view.contents.bars, view.cost, view.attack) if bars is not None]
    return "\n".join(
        [
            f"<header><h1>Round {case.round} of study {html.escape(case.study)}</h1>",
            f'<p class="lead">{html.escape(view.summary)}</p>{_glance(view)}</header>',
            f'<div class="note">Why a person must look:<ul>{reasons}</ul></div>' if reasons else "",
            f"<section><h2>What would leave</h2>{_figures(drawn)}",
            *(_table(found) for found in view.contents.tables),
            "</section>",
            f"<section><h2>What was checked</h2>{_table(view.checks)}</section>",
            f"<section><h2>Beside what left before</h2>{_lines(view.history)}</section>",
            f"<section><h2>Who asks what</h2>{pairs(view.question)}",
            f"<h3>As the plan says it</h3>{pairs(case.parameters)}</section>",
            "<section><h2>Decide</h2><p>A decision holds for these bytes, this cohort and this "
            "policy. If any of them changes, it is void and nothing leaves.</p>",
            pairs({name: digest(value) for name, value in view.hashes.items()}),
            f"<p>Now: {html.escape(view.standing)}.</p>{commands}</section>",
        ]
    )


def _glance(view: View) -> str:
    case = view.case
    cards = [
        (f"{case.people:,}", "people"),
        (f"{case.rows:,}", "rows asked for"),
        (f"{view.contents.withheld:,}", "rows withheld"),
        (size(case.bytes), "would leave"),
    ]
    if case.membership is not None:
        cards.append((likely(case.membership.power), "power of the membership attack"))
    shown = "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for value, name in cards
    )
    return f'<div class="glance">{shown}</div>'


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _table(found: Table) -> str:
    looks = {"pass", "review", "refuse"}
    rows = [
        [Cell(value, str(value)) if value in looks else value for value in row]
        for row in found.rows
    ]
    return table(found.headings, rows, found.title)


def _figures(drawn: Sequence[Bars]) -> str:
    figures = "".join(
        f'<figure class="half"><h3>{html.escape(bars.title)}</h3>{_svg(bars)}'
        f"<figcaption>{html.escape(bars.note)}</figcaption></figure>"
        for bars in drawn
    )
    return f'<div class="figures">{figures}</div>' if figures else ""


def _svg(bars: Bars) -> str:
    """Horizontal bars as a drawing that needs no script; the numbers stand beside them."""
    most = max(bars.values, default=0) or 1
    if isinstance(most, float):
        most = max(most, 1.0)
    out = []
    for number, (label, value) in enumerate(zip(bars.labels, bars.values, strict=True)):
        top = number * _BAR
        length = max(_WIDTH * value / most, 1 if value else 0)
        out.append(
            f'<text x="{_LEFT - 6}" y="{top + 15}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{_LEFT}" y="{top + 3}" width="{length:.1f}" height="{_BAR - 7}" rx="2"/>'
            f'<text x="{_LEFT + length + 6:.1f}" y="{top + 15}">{value:,}</text>'
        )
    wide, tall = _LEFT + _WIDTH + _RIGHT, _BAR * len(bars.values)
    return (
        f'<svg viewBox="0 0 {wide} {tall}" width="100%" role="img" '
        f'aria-label="{html.escape(bars.title)}" style="fill:var(--accent);font-size:12px">'
        f"<style>svg text{{fill:var(--ink)}}</style>{''.join(out)}</svg>"
    )
