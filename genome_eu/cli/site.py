"""`genome-eu site`: what the operator and the data officer of a site run."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genome_eu.cli.site_init import init
from genome_eu.errors import BadInput, NoAnswer, UsageError

if TYPE_CHECKING:
    from genome_eu.disclosure.ledger import Entry, Ledger
    from genome_eu.federation.daemon.status import Status

app = typer.Typer(help="Run a site: it answers plans from its own cohort, through its policy.")
app.command()(init)

Settings = Annotated[Path, typer.Argument(help="The site's site.toml.")]
SettingsOption = Annotated[Path, typer.Option("--site", help="The site's site.toml.")]
Who = Annotated[str | None, typer.Option(help="Who decides; by default the login name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_SITE_TOML = Path("site.toml")


@app.command()
def serve(
    settings: Annotated[
        list[Path] | None, typer.Argument(help="The site.toml of every site to serve.")
    ] = None,
    idle_exit: Annotated[
        float | None, typer.Option(help="Stop after this many seconds without a plan.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option(help="Dask scheduler to compute on, tcp://host:port.")
    ] = None,
    device: Annotated[str, typer.Option(help="Kernels compute on: auto, cpu, gpu.")] = "auto",
) -> None:
    """Answer plans from the exchange until stopped (Ctrl-C or SIGTERM)."""
    from genome_eu.cli.keys import ask_passphrase
    from genome_eu.compute import connected
    from genome_eu.federation.daemon.serve import open_desk
    from genome_eu.federation.daemon.serve import serve as serve_desks

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("genome_eu").setLevel(logging.INFO)
    stop = threading.Event()
    # Finish the plan in hand, then leave.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with contextlib.ExitStack() as until_the_end:
        desks = [
            until_the_end.enter_context(open_desk(path, ask_passphrase))
            for path in settings or [_SITE_TOML]
        ]
        with connected(dask):
            for desk in desks:
                desk.site.use_device(device)
            serve_desks(desks, stop=stop, idle_exit_s=idle_exit)


@app.command()
def review(
    settings: Settings = _SITE_TOML,
    plan: Annotated[
        str | None, typer.Option(help="One answer only: its plan's hash, or how that begins.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a page instead, readable by you only.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is about to leave and waits for a decision."""
    from genome_eu.cli import review as shown
    from genome_eu.disclosure.holding import find, held
    from genome_eu.disclosure.page import write_page

    state = _state(settings)
    cases = held(state) if plan is None else [find(state, plan)]
    releases = [
        dict(entry.fields) for entry in _ledger(state).entries() if entry.event == "release"
    ]
    views, problems = shown.views(state, cases, releases)
    if page is not None:
        write_page(page, views)
        typer.echo(f"{page}: {len(views)} to decide")
    elif as_json:
        typer.echo(json.dumps([shown.as_json(view) for view in views]))
    else:
        for view in views:
            shown.show(view)
        if not cases:
            typer.echo("nothing waits for a decision")
    if problems:
        raise problems[0]


@app.command()
def approve(
    plan: Annotated[
        str | None, typer.Argument(help="The plan's hash, or how it begins.", show_default=False)
    ] = None,
    settings: SettingsOption = _SITE_TOML,
    answer: Annotated[
        str | None,
        typer.Option(help="SHA-256 of the bundle as the review showed it, or how it begins."),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Approve a whole study, within the bounds below.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Largest number of rounds.", min=1)] = None,
    rows: Annotated[
        int | None, typer.Option(help="Largest number of rows; by default as held.", min=0)
    ] = None,
    columns: Annotated[
        int | None, typer.Option(help="Most numbers for each row; by default as held.", min=0)
    ] = None,
    statistic: Annotated[
        list[str] | None, typer.Option(help="A statistic that later rounds may ask; repeats.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="A sample column that they may name; repeats.")
    ] = None,
    why: Annotated[str, typer.Option(help="A remark for the ledger.")] = "",
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Let a held answer leave, or every answer of a study within bounds."""
    from genome_eu.disclosure import approval, review

    state = _state(settings)
    made: Any
    if study is None:
        if plan is None or rounds is not None:
            raise UsageError("name the plan to approve, or a study with --study and --rounds")
        made = review.approve(state, plan, who or _me(), _ledger(state), answer=answer, why=why)
        said = f"plan {made.plan[:12]} approved: bundle {made.answer[:12]} may leave"
    else:
        if plan is not None or answer is not None or rounds is None:
            raise UsageError("a study is approved with --study and --rounds, without a plan")
        made = approval.approve_study(
            state,
            study,
            who or _me(),
            _ledger(state),
            rounds=rounds,
            rows=rows,
            columns=columns,
            statistics=tuple(statistic or ()),
            names=tuple(column or ()),
            why=why,
        )
        said = (
            f"study {study} approved: {made.rounds} rounds of at most {made.rows:,} rows × "
            f"{made.columns:,} numbers, {', '.join(sorted(made.statistics))}"
        )
    typer.echo(json.dumps(made.model_dump(mode="json")) if as_json else said)


@app.command()
def refuse(
    plan: Annotated[
        str | None, typer.Argument(help="The plan's hash, or how it begins.", show_default=False)
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, for the ledger; it stays here.")] = "",
    settings: SettingsOption = _SITE_TOML,
    study: Annotated[
        str | None, typer.Option(help="Take back the approval of a whole study.")
    ] = None,
    who: Who = None,
    as_json: AsJson = False,
) -> None:
    """Keep a held answer here, or end the approval of a study."""
    from genome_eu.disclosure import approval, review

    state = _state(settings)
    if (plan is None) == (study is None):
        raise UsageError("name the plan to refuse, or a study with --study")
    if study is not None:
        approval.withdraw(state, study, who or _me(), why, _ledger(state))
        made, said = {"study": study}, f"study {study}: its approval is taken back"
    else:
        decision = review.refuse(state, str(plan), who or _me(), why, _ledger(state))
        made, said = decision.model_dump(mode="json"), f"plan {decision.plan[:12]} refused"
    typer.echo(json.dumps(made) if as_json else said)


@app.command()
def log(
    settings: Settings = _SITE_TOML,
    verify: Annotated[bool, typer.Option("--verify", help="Check every line.")] = False,
    head: Annotated[
        Path | None,
        typer.Option(help="Check against a head that was pinned elsewhere: JSON, count and hash."),
    ] = None,
    crate: Annotated[
        Path | None, typer.Option(help="Export as a Five Safes RO-Crate into this new folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the ledger: who asked, what was decided, what left."""
    state = _state(settings)
    ledger = _ledger(state)
    if crate is not None:
        from genome_eu.disclosure.rocrate import write_crate
        from genome_eu.federation.daemon.settings import read_settings
        from genome_eu.federation.roster import pinned_roster

        write_crate(
            ledger, crate, site=read_settings(settings).name, project=pinned_roster(state).name
        )
        typer.echo(json.dumps({"crate": str(crate)}) if as_json else f"{crate} written")
    elif verify or head is not None:
        found = ledger.verify(_pinned(head))
        said = f"{found.count:,} lines, all as they were written; head {found.hash}"
        typer.echo(json.dumps(found.model_dump()) if as_json else said)
    else:
        for entry in ledger.entries():
            typer.echo(json.dumps(_plain(entry)) if as_json else _line(entry))


@app.command()
def status(
    settings: Settings = _SITE_TOML,
    check: Annotated[
        float | None,
        typer.Option(help="Exit with 5 unless the daemon looked for plans in so many seconds."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the site's daemon is doing."""
    from genome_eu.federation.daemon.status import read_status

    found = read_status(_state(settings))
    if found is None:
        if check is not None:
            raise NoAnswer("no daemon has run here yet; start `genome-eu site serve`")
        typer.echo(json.dumps(None) if as_json else "no daemon has run here yet")
        return
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json") | {"alive": found.alive}))
    else:
        _show_status(found)
    # While a plan is computed the exchange is not looked at.
    late = found.work is None and check is not None and (found.silent_s or 0.0) > check
    if check is not None and (found.alive is False or found.polled is None or late):
        raise NoAnswer(f"the daemon of site {found.site} does not answer; see its log")


def _show_status(found: Status) -> None:
    alive = {True: "running", False: "not running", None: f"on {found.host}"}[found.alive]
    lines = {
        "site": found.site,
        "daemon": f"{alive} (process {found.pid}, since {found.since})",
        "last look for plans": found.polled or "never",
        "answered": f"{found.answered:,}",
        "in hand": "nothing",
        "waiting for a decision": f"{found.waiting:,}",
    }
    work = found.work
    if work is not None:
        lines["in hand"] = (
            f"{work.statistic}, round {work.round} of study {work.study}, "
            f"{work.rows_done:,} of {work.rows:,} rows, since {work.since} {work.step}"
        ).rstrip()
    if found.ledger is not None:
        lines["ledger"] = f"{found.ledger.count:,} lines, head {found.ledger.hash[:12]}"
    if found.last_error is not None:
        lines["last error"] = f"{found.last_error_time}: {found.last_error}"
    width = max(map(len, lines)) + 2
    for name, value in lines.items():
        typer.echo(f"{name:<{width}}{value}")


def _state(settings: Path) -> Path:
    from genome_eu.federation.daemon.settings import read_settings, state_of

    return state_of(settings, read_settings(settings))


def _ledger(state: Path) -> Ledger:
    from genome_eu.disclosure.ledger import Ledger

    return Ledger(state / "ledger.jsonl")


def _me() -> str:
    # Decisions are made as the service's user; the person is the one who became it.
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("say who decides, with --who") from None


def _pinned(path: Path | None) -> Any:
    from pydantic import ValidationError

    from genome_eu.disclosure.ledger import Head

    if path is None:
        return None
    try:
        return Head.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise BadInput(f"{path} is not the head of a ledger: JSON with count and hash") from None


def _plain(entry: Entry) -> dict[str, Any]:
    names = ("number", "time", "event", "fields", "previous", "hash")
    return {name: getattr(entry, name) for name in names}


def _line(entry: Entry) -> str:
    fields = entry.fields
    said = [f"{entry.number:>6}  {entry.time}  {entry.event:<14}"]
    if "study" in fields:
        said.append(f"study {fields['study']}")
    if "round" in fields:
        said.append(f"round {fields['round']}")
    if "plan" in fields:
        said.append(f"plan {str(fields['plan'])[:12]}")
    for name in ("statistic", "policy", "asker", "who", "why"):
        if fields.get(name):
            said.append(f"{name} {fields[name]}")
    return " ".join(said)
