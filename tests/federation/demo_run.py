"""The demonstration, run once for all tests that look at what it left behind."""

from __future__ import annotations

import pytest

from genome_eu.demo.run import Demo, run

_runs: list[Demo] = []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Four sites in four processes, three questions; takes most of a minute."""
    if not _runs:
        _runs.append(run(tmp_path_factory.mktemp("demo") / "run", lambda line: None))
    return _runs[0]
