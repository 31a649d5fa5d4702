"""What the commands that ask a question share: whom they ask, who takes part, and where it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast, get_type_hints

import typer

from genome_eu.cli.recording import claim, finish
from genome_eu.errors import BadInput, UsageError

if TYPE_CHECKING:
    from genome_eu.federation.questions import Questions, Run
    from genome_eu.federation.single import Cohort
    from genome_eu.formats.folder import DosageFiles, FrequencyFiles, GwasFiles

Target = Annotated[
    str, typer.Argument(help="A cohort (*.vcz, or its URL) or a federation (*.toml).")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the files of the result.")]
OnDevice = Annotated[str, typer.Option("--device", help="Kernels compute on: auto, cpu, gpu.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Without = Annotated[
    list[str] | None, typer.Option("--without", help="Go on without this site; may be repeated.")
]
Key = Annotated[
    Path | None, typer.Option("--key", help="Private key of the one who asks a federation.")
]
ExchangeOption = Annotated[
    list[str] | None,
    typer.Option(help="NAME=VALUE for the exchange's client, no secret; repeats."),
]
Rows = Annotated[
    Path | None,
    typer.Option(
        "--rows", help="Only these rows: a VCF, .pvar, .bim, a table, or a folder with rows.tsv."
    ),
]
OneRound = Annotated[
    bool, typer.Option("--one-round", help="Ask once, for sites that release only once.")
]
OnDask = Annotated[str | None, typer.Option("--dask", help="Dask scheduler, tcp://host:port.")]
Unrelated = Annotated[
    float | None,
    typer.Option("--unrelated", help="At each site, keep nobody of a larger kinship: 0.0884"),
]
FiltersFile = Annotated[
    Path | None,
    typer.Option("--filters", help="TOML file of limits on [people] and [variants]."),
]

#: A command as Typer registers it.
Command: TypeAlias = Callable[..., None]


@dataclass(frozen=True)
class Question:
    """What every question of people is asked with: options that `asks` adds to a command's own."""

    target: Target
    out: Out
    rows: Rows = None
    unrelated: Unrelated = None
    filters: FiltersFile = None
    dask: OnDask = None
    device: OnDevice = "auto"
    without: Without = None
    key: Key = None
    exchange_option: ExchangeOption = None
    as_json: AsJson = False

    @contextmanager
    def asked(self) -> Iterator[Questions]:
        """Whoever is asked, with the people and rows that take part, on the device and scheduler.

        Raises
        ------
        BadInput, UsageError
            As `open_target`; or a limit, the device or the scheduler is none.
        """
        from genome_eu.compute import connected

        found = open_target(
            self.target, self.out, self.without, self.key, self.exchange_option, self.rows
        )
        with connected(self.dask):
            found.use_device(self.device)
            yield limited(found, self.filters, self.unrelated)

    def finish(self, run: Run, paths: Sequence[Path], summary: dict[str, Any]) -> None:
        """Write `result.json` last, and say what was found."""
        finish(self.out, run, paths, summary, self.as_json)


def asks(command: Command) -> Command:
    """Give a command the options of `Question`, and hand it one as its first argument.

    Target and folder come before the command's own options, all others after them.
    """
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    hints = get_type_hints(Question, include_extras=True)
    shared = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[item.name],
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
        )
        for item in fields(Question)
    ]
    named = [item for item in shared if item.default is inspect.Parameter.empty]
    others = [item for item in shared if item not in named]
    own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]

    @wraps(command)
    def asking(**given: Any) -> None:
        question = Question(**{item.name: given.pop(item.name) for item in shared})
        command(question, **given)

    asking.__signature__ = inspect.Signature([*named, *own, *others])  # type: ignore[attr-defined]
    return asking


def open_target(
    target: str,
    out: Path,
    without: list[str] | None,
    key: Path | None,
    exchange_option: list[str] | None,
    rows: Path | None = None,
) -> Questions:
    """The cohort or federation that a command names, and the rows that it is asked of.

    Raises
    ------
    BadInput
        There is none, or `out` holds the result of another question.
    UsageError
        An option does not fit what the target is.
    """
    if "://" not in target and not Path(target).exists():
        raise BadInput(f"{target} does not exist; give a cohort (*.vcz) or a federation (*.toml)")
    if target.endswith(".toml"):
        from genome_eu.cli.keys import ask_passphrase
        from genome_eu.cli.options import pairs
        from genome_eu.federation.opening import open_federation

        asked: Questions = open_federation(
            Path(target),
            studies=out / "study",
            without=tuple(without or ()),
            key=key,
            passphrase=ask_passphrase,
            exchange_options=pairs(exchange_option),
        )
    else:
        if without or key or exchange_option:
            raise UsageError("--without, --key and --exchange-option are for a federation (*.toml)")
        from genome_eu.federation.single import open_cohort

        asked = open_cohort(target)
    if rows is not None:
        from genome_eu.formats.panel import read_rows

        asked = asked.on_rows(read_rows(rows))
    asked.watch = lambda question: claim(out, question)
    return asked


def open_own(cohort: str, out: Path) -> Cohort:
    """One's own cohort, for questions about single people.

    Raises
    ------
    UsageError
        It is a federation: what is asked of single people never leaves their site.
    BadInput
        As `open_target`.
    """
    if cohort.endswith(".toml"):
        raise UsageError(
            f"{cohort} is a federation; numbers of single people never leave a site, so give one's "
            f"own cohort (*.vcz)"
        )
    return cast("Cohort", open_target(cohort, out, None, None, None))


def limited(asked: Questions, filters: Path | None, unrelated: float | None) -> Questions:
    """The same without the people and rows that limits remove."""
    if filters is None and unrelated is None:
        return asked
    from genome_eu.federation.filters import as_filters

    return asked.filtered(as_filters(filters if filters is not None else {}, unrelated))


def names(text: str) -> tuple[str, ...]:
    """Names of a list with commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def formats_of(files: type[DosageFiles | FrequencyFiles | GwasFiles], text: str) -> tuple[str, ...]:
    """The formats that `--formats` names; raises UsageError where one is unknown."""
    try:
        return files.chosen(names(text))
    except UsageError as error:
        raise UsageError(f"--{error}") from None
