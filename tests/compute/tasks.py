"""Functions that worker processes import and run on blocks."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import numpy as np
from distributed import get_worker

from genome_eu.errors import BadInput


def dosages_and_process(block, weight=0):
    """A block as it was read, what came with it, and the process that read it."""
    return block.dosages(), weight, os.getpid()


def column_sums(block) -> np.ndarray:
    """Copies of each person over the rows of a block, as a sum that rounds."""
    return np.where(block.dosages() < 0, 0, block.dosages()).sum(axis=0) / 3.0


def column_sums_noted(block, notes: str) -> np.ndarray:
    """The same; leaves a file named by the process, and time to kill it."""
    found = column_sums(block)
    Path(notes, f"{os.getpid()}-{uuid.uuid4().hex}").touch()
    time.sleep(0.05)
    return found


def worker_address(block) -> str:
    """Address of the Dask worker that summarizes this block."""
    return get_worker().address


def refuse(block) -> None:
    """Fail as a statistic does."""
    raise BadInput("this block cannot be summarized")
