"""What a process costs, from `os.wait4`: wall and processor time, peak memory; and how often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_LAUNCHER = str(Path(__file__).resolve().with_name("launch.py"))


@dataclass(frozen=True)
class Cost:
    """What one process and the children that it waited for took."""

    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int

    def as_json(self) -> dict[str, float]:
        """For the raw results."""
        return asdict(self)


@dataclass(frozen=True)
class Pace:
    """How often something is timed.

    `runs` times, after a first run that is not told: it fills the page cache and the caches of
    compiled code. What takes longer than `slow_after` seconds is timed `slow_runs` times only, and
    its first run is one of them, since caches are a small part of it.
    """

    runs: int
    slow_after: float
    slow_runs: int

    def enough(self, seconds: Sequence[float]) -> bool:
        """Whether no further run is needed after those that took so long."""
        needed = self.slow_runs if self._slow(seconds) else self.runs + 1
        return len(seconds) >= needed

    def told(self, seconds: Sequence[float]) -> slice:
        """Which of the runs count."""
        return slice(0 if self._slow(seconds) else 1, None)

    def _slow(self, seconds: Sequence[float]) -> bool:
        return bool(seconds) and seconds[0] > self.slow_after


class ProcessFailed(RuntimeError):
    """A measured process ended with an error, or did not end in time."""


def measured(
    command: list[str], folder: Path, *, env: dict[str, str], cores: int, timeout_s: float
) -> Cost:
    """Run a command as one process on so many cores, and say what it cost.

    Its output goes to `stdout` and `stderr` in `folder`, which is also where it runs.

    Raises
    ------
    ProcessFailed
        It returned another status than 0, or took longer than `timeout_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / "cost"
    answer.unlink(missing_ok=True)
    parent = [sys.executable, "-I", "-S", _LAUNCHER, str(answer), str(cores)]
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        running = subprocess.Popen(
            [*parent, *command], cwd=folder, env=env, stdout=out, stderr=err, start_new_session=True
        )
        try:
            running.wait(timeout_s)
        except BaseException as error:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise ProcessFailed(f"did not end within {timeout_s:.0f} s") from None
            raise
    if running.returncode or not answer.exists():
        said = (folder / "stderr").read_text(errors="replace").strip().splitlines()
        raise ProcessFailed(f"status {running.returncode}: {said[-1] if said else 'no message'}")
    wall, user, system, peak = answer.read_text().split()
    return Cost(float(wall), float(user), float(system), int(peak))
