"""`genome-eu`: thin commands over the library. Errors are one line; exit codes tell their kind.

0 done, 2 usage, 3 bad input, 4 refused by policy, 5 a site did not answer.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from genome_eu._version import __version__
from genome_eu.errors import GenomeEuError

# Objects made and still there before those that only hold each other are looked for.
_ALLOCATIONS = 50_000

app = typer.Typer(
    name="genome-eu",
    help="One question of many cohorts: genotypes stay at their site, only aggregates leave it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"genome-eu {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask one question of many cohorts."""


def _register() -> None:
    from genome_eu.cli import (
        bundle,
        clump,
        cohort,
        demo,
        dosages,
        freq,
        gwas,
        keys,
        kinship,
        meta,
        pca,
        project,
        prune,
        qc,
        roster,
        score,
        site,
    )

    app.command("demo")(demo.demo)
    app.command("import")(cohort.import_)
    app.command("info")(cohort.info)
    app.command("qc")(qc.qc)
    app.command("kinship")(kinship.kinship)
    app.command("freq")(freq.freq)
    app.command("pca")(pca.pca)
    app.command("prune")(prune.prune)
    app.command("project")(project.project)
    app.command("gwas")(gwas.gwas)
    app.command("clump")(clump.clump)
    app.command("dosages")(dosages.dosages)
    app.command("score")(score.score)
    app.command("meta")(meta.meta)
    app.add_typer(site.app, name="site")
    app.add_typer(bundle.app, name="bundle")
    app.add_typer(keys.app, name="keys")
    app.add_typer(roster.app, name="roster")


_register()


def _terminated(number: int, frame: FrameType | None) -> None:
    # Unwind as Ctrl-C does, so that half-made stores and results are removed.
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line."""
    # Nearly all that is alive are modules: looked through as often as Python does, they take a
    # tenth of the time of a short command.
    gc.set_threshold(_ALLOCATIONS)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except GenomeEuError as error:
        sys.stdout.flush()
        print(f"genome-eu: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("genome-eu: interrupted; nothing half-made was left behind", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): no more to say, and no traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f" {error.filename}:" if error.filename else ""
        print(f"genome-eu:{where} {error.strerror or error}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
