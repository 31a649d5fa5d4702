from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import simulate


class Held:
    """Something that a pass holds; its maker counts how many are alive."""

    def __init__(self, rows: np.ndarray, count: LiveCount) -> None:
        self.rows = rows
        count.born(self)


class LiveCount:
    """How many objects are alive, and how many were at the most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.peak = self.ever = 0

    def born(self, one: Any) -> None:
        with self._lock:
            self.ever += 1
            self.now += 1
            self.peak = max(self.peak, self.now)
        weakref.finalize(one, self._died)

    def _died(self) -> None:
        with self._lock:
            self.now -= 1


@dataclass
class FakeStore:
    """A store without genotypes that knows which of its blocks were read and are alive."""

    path: Path = Path("fake.vcz")
    digest: str = "0" * 64
    opening: str = "fake"
    name: str = "fake"
    block_rows: int = 8
    blocks: LiveCount = field(default_factory=LiveCount)

    def read(self, rows: np.ndarray, backend: str = "cpu") -> Held:
        return Held(rows, self.blocks)


@pytest.fixture
def fake() -> FakeStore:
    return FakeStore()


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> simulate.SimulatedCohort:
    return simulate.cohort(
        tmp_path_factory.mktemp("compute"), rows=90, people_number=50, missing=0.05, seed=3
    )
