"""The review on a terminal: the same as the page (`disclosure.page`), in text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genome_eu.errors import GenomeEuError

if TYPE_CHECKING:
    from genome_eu.disclosure.case import Case
    from genome_eu.disclosure.contents import Bars, Table
    from genome_eu.disclosure.page import View

_BAR = 32


def view_of(state: Path, case: Case, releases: Sequence[dict[str, Any]]) -> View:
    """Read a held bundle, whose bytes must be those of the case, and say what it shows."""
    from genome_eu.disclosure.contents import describe
    from genome_eu.disclosure.history import compared
    from genome_eu.disclosure.holding import answer_of, standing
    from genome_eu.disclosure.page import View
    from genome_eu.federation.bundle import Bundle

    bundle = Bundle(answer_of(state, case))
    shards = (bundle.shard(number) for number in range(bundle.manifest.shards))
    where, problem = standing(state, case)
    return View(
        case,
        describe(shards, case),
        f"{where}: {problem}" if problem else where,
        compared(case, releases),
    )


def views(
    state: Path, cases: Sequence[Case], releases: Sequence[dict[str, Any]]
) -> tuple[list[View], list[GenomeEuError]]:
    """Views of all cases, and what was wrong with the others: one must not hide the rest."""
    seen: list[View] = []
    problems: list[GenomeEuError] = []
    for case in cases:
        try:
            seen.append(view_of(state, case, releases))
        except GenomeEuError as error:
            problems.append(error)
    return seen, problems


def as_json(view: View) -> dict[str, Any]:
    """Everything that is shown, for programs."""
    return {
        "summary": view.summary,
        "standing": view.standing,
        "case": view.case.model_dump(mode="json"),
        "contents": asdict(view.contents),
        "history": list(view.history),
        "commands": view.commands,
    }


def show(view: View) -> None:
    """Print one case."""
    from rich.console import Console
    from rich.markup import escape
    from rich.panel import Panel

    case, console = view.case, Console(highlight=False)
    title = f"round {case.round} of study {case.study}: {view.standing}"
    said = "\n".join([view.summary, *(f"• {reason}" for reason in case.reasons)])
    console.print(Panel(escape(said), title=escape(title), title_align="left", expand=False))
    for bars in (*view.contents.bars, view.cost, view.attack):
        if bars is not None:
            _bars(console, bars)
    for found in (*view.contents.tables, view.checks):
        _table(console, found)
    for line in view.history:
        console.print(escape(line))
    console.print()
    for name, value in view.question.items():
        console.print(f"[dim]{escape(name)}:[/dim] {escape(_text(value))}")
    for name, value in view.hashes.items():
        console.print(f"[dim]{escape(name)}:[/dim] {value}", soft_wrap=True)
    console.print()
    for line in view.commands:
        console.print(f"  {escape(line)}", soft_wrap=True)


def _table(console: Any, found: Table) -> None:
    from rich.markup import escape
    from rich.table import Table as Shown

    shown = Shown(title=found.title, title_justify="left", title_style="bold", box=None)
    for number, heading in enumerate(found.headings):
        numbers = all(isinstance(row[number], int | float | None) for row in found.rows)
        shown.add_column(heading, justify="right" if numbers else "left", header_style="dim")
    for row in found.rows:
        shown.add_row(*(escape(_text(value)) for value in row))
    console.print(shown)
    console.print()


def _bars(console: Any, bars: Bars) -> None:
    from rich.markup import escape
    from rich.table import Table as Shown

    shown = Shown(title=bars.title, title_justify="left", title_style="bold", box=None)
    for justify in ("right", "left", "right"):
        shown.add_column(justify=justify)  # type: ignore[arg-type]
    shown.show_header = False
    most = max([*bars.values, 1])
    for label, value in zip(bars.labels, bars.values, strict=True):
        length = max(round(_BAR * value / most), 1 if value else 0)
        shown.add_row(escape(label), "█" * length, _text(value))
    console.print(shown)
    if bars.note:
        console.print(f"[dim]{escape(bars.note)}[/dim]")
    console.print()


def _text(value: object) -> str:
    from genome_eu.report.tables import plain

    return plain(value)
