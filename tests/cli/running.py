"""Run the command line, and look at what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.federation.small_sites import Made

PROGRAM = (sys.executable, "-m", "genome_eu.cli.main")


class Ran(NamedTuple):
    """What one command did."""

    code: int
    out: str
    err: str


def in_subprocess(*args: object, timeout_s: float = 60.0) -> Ran:
    """Run the program as a user does."""
    done = subprocess.run(
        [*PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def half_made(folder: Path) -> list[Path]:
    """Temporary files and folders that should have been removed."""
    return [path for path in folder.rglob("*") if "partial" in path.name]


def federation(folder: Path, *sites: Made, policy: str = "open-data") -> Path:
    """`federation.toml` of cohorts in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['name = "small"']
    for site in sites:
        lines += ["[[site]]", f'name = "{site.name}"', f'cohort = "{site.store}"']
        lines += [f'policy = "{policy}"']
    path = folder / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
