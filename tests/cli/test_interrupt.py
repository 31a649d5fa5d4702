"""Ctrl-C and SIGTERM in the middle of an import: no store, nothing half-made, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import PROGRAM, contents
from tests.federation.small_sites import make

PEOPLE, ROWS = 400, 60_000
WAIT_S = 30.0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Genotypes that take long enough to import to be caught at it."""
    folder = tmp_path_factory.mktemp("big")
    fam = "".join(f"P{person} P{person} 0 0 0 -9\n" for person in range(PEOPLE))
    (folder / "big.fam").write_text(fam)
    bim = "".join(f"1\trs{row}\t0\t{1000 + row}\tC\tT\n" for row in range(ROWS))
    (folder / "big.bim").write_text(bim)
    calls = np.random.default_rng(1).integers(0, 256, ROWS * PEOPLE // 4, dtype=np.uint8)
    (folder / "big.bed").write_bytes(b"\x6c\x1b\x01" + calls.tobytes())
    return folder / "big.bed"


def begun(folder: Path) -> bool:
    """The temporary folder of the import is there."""
    return any(folder.glob("*partial*"))


def writing(folder: Path) -> bool:
    """Genotypes are being written into it."""
    # os.walk, unlike glob, takes no offence at folders that vanish meanwhile.
    return any(
        "call_genotype" in Path(inside).parts and any(name[-1].isdigit() for name in files)
        for partial in folder.glob("*partial*")
        for inside, _, files in os.walk(partial)
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [begun, writing])
@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
def test_interrupted_import_leaves_nothing(
    bed: Path, tmp_path: Path, number: signal.Signals, moment, overwrite: bool
):
    target = tmp_path / "big.vcz"
    options = ["--build", "GRCh38"]
    if overwrite:
        make(tmp_path / "made", "FI").store.rename(target)
        options.append("--overwrite")
    before = contents(tmp_path)
    process = subprocess.Popen(
        [*PROGRAM, "import", str(bed), str(target), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + WAIT_S
        while not moment(tmp_path):
            assert process.poll() is None, "the import ended before it was interrupted"
            assert time.monotonic() < end, f"not {moment.__name__} within {WAIT_S} s"
            time.sleep(0.002)
        process.send_signal(number)
        _, err = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1
    assert not begun(tmp_path)
    assert target.exists() == overwrite
    assert contents(tmp_path) == before
