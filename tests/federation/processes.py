"""Parties of a federation as processes of their own, each started by the command line.

They are forked from a process that has imported everything and shares nothing else with them, so
that one that was killed is back within milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.roster import accept_roster, sign_roster

HUB = "hub"
STOP_S = 30.0
#: A daemon that nobody stopped ends by itself.
_IDLE_S = 300
_WARM = "tests.federation.warmed"


@dataclass
class Party:
    """Somebody who runs `genome-eu` with these words, again and again if need be."""

    name: str
    words: tuple[str, ...]
    log: Path
    starts: int = 0
    _process: BaseProcess | None = field(default=None, repr=False)

    def start(self) -> None:
        """Begin, or begin again."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([_WARM])
        self.starts += 1
        self._process = context.Process(target=_run, args=(self.words, self.log), daemon=True)
        self._process.start()

    def kill(self) -> bool:
        """End it as a power cut does; whether it was running."""
        process = self._started
        running = process.is_alive()
        process.kill()
        process.join(STOP_S)
        return running and process.exitcode == -9

    def stop(self) -> int | None:
        """Ask it to end as an operator does; its exit code."""
        self._started.terminate()
        return self.wait(STOP_S)

    def wait(self, timeout_s: float) -> int | None:
        """Wait until it ends; its exit code, None while it runs."""
        self._started.join(timeout_s)
        return self._started.exitcode

    @property
    def code(self) -> int | None:
        """The exit code of a run that has ended."""
        return self._started.exitcode

    @property
    def usage(self) -> dict[str, float]:
        """What the last run that ended by itself used: wall, cpu, peak_bytes."""
        found: dict[str, float] = json.loads(_usage(self.log).read_text())
        return found

    @property
    def _started(self) -> BaseProcess:
        assert self._process is not None, f"{self.name} was never started"
        return self._process


def _run(words: tuple[str, ...], log: Path) -> None:
    """What a forked party does."""
    from genome_eu.cli.main import main

    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    began = time.monotonic()
    sys.argv = ["genome-eu", *words]
    try:
        main()
    finally:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {"wall": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime}
        _usage(log).write_text(json.dumps(told | {"peak_bytes": 1024 * used.ru_maxrss}))


def _usage(log: Path) -> Path:
    return log.with_suffix(".usage.json")


@dataclass(frozen=True)
class Federation:
    """A folder for each party, with its keys; all have accepted the roster."""

    folder: Path
    sites: tuple[Party, ...]

    @property
    def roster(self) -> Path:
        """`federation.toml`, beside the coordinator's key."""
        return self.folder / HUB / "federation.toml"

    def site_folder(self, name: str) -> Path:
        """Where a site keeps what is its own."""
        return self.folder / name

    def state(self, name: str) -> Path:
        """A site's private state."""
        return self.folder / name / "state"

    def coordinator(self, command: str, *words: object, out: Path) -> Party:
        """One who asks the federation by `genome-eu COMMAND`."""
        told = (command, str(self.roster), *map(str, words), "--out", str(out))
        return Party(HUB, told, self.folder / f"{HUB}.log")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Every site's daemon runs until the block ends."""
        for site in self.sites:
            site.start()
        try:
            yield
        finally:
            for site in self.sites:
                site.stop()


def federation(
    folder: Path,
    cohorts: Mapping[str, Path],
    exchange: str,
    *,
    policy: str = "open-data",
    options: Mapping[str, Any] | None = None,
    **rules: Any,
) -> Federation:
    """Keys for everybody, the signed roster, and a folder for each site.

    Parameters
    ----------
    folder : Path
        Where all of it goes; on one machine only because this is a test.
    cohorts : mapping of str to Path
        The store of each site.
    exchange : str
        Folder or URL of the message store.
    policy : str
        A shipped policy's name or a policy file, the same for all.
    options : mapping, optional
        What the exchange's client takes, in every `site.toml`.
    **rules
        More lines of the roster: `timeout_s`, `secure_sum`, `host_key`.
    """
    hub = folder / HUB
    hub.mkdir(parents=True)
    keys = {name: SecretKeys.new() for name in (HUB, *cohorts)}
    keys[HUB].write(hub / f"{HUB}.key")
    told = {"name": "processes", "serial": 1, "exchange": exchange, **rules}
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
    for name in (HUB, *cohorts):
        lines += ["[coordinator]" if name == HUB else "[[site]]", f'name = "{name}"']
        lines += [keys[name].public.lines()]
    roster = hub / "federation.toml"
    roster.write_text("\n".join(lines) + "\n")
    sign_roster(roster, keys[HUB])
    sites = []
    for name, cohort in cohorts.items():
        place = folder / name
        place.mkdir()
        keys[name].write(place / f"{name}.key")
        settings = {"name": name, "cohort": str(cohort), "keys": f"{name}.key", "policy": policy}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        if options:
            lines += ["[exchange_options]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        (place / "site.toml").write_text("\n".join(lines) + "\n")
        accept_roster(place / "state", roster)
        words = ("site", "serve", str(place / "site.toml"), "--idle-exit", str(_IDLE_S))
        sites.append(Party(name, words, place / "log.txt"))
    return Federation(folder, tuple(sites))
