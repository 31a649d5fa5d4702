"""What all tests share: PLINK 2 when it must be there, and the real data when it is."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure():
    # What a shell starts in the background ignores SIGINT, and so would the programs that tests
    # start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    # What whole questions show, and other programs' numbers, is more than a unit.
    for item in items:
        if item.path.parent.name in ("laws", "peers"):
            item.add_marker(pytest.mark.slow)
    # Files with slow tests go first, so that no process is left alone with one at the end.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if shutil.which("plink2") is not None:
        return
    if os.environ.get("GENOME_EU_REQUIRE_PLINK2"):
        pytest.exit("plink2 is required here and is not on the path", returncode=1)
    skip = pytest.mark.skip(reason="needs PLINK 2 on the path (apt-get install plink2)")
    for item in items:
        if item.get_closest_marker("plink2"):
            item.add_marker(skip)


def pytest_collection_finish():
    # What is loaded by now stays: the collector need not walk through it thousands of times.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped without."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return folder


@pytest.fixture
def record_property(record_property):
    """As pytest's, but of NumPy's numbers too: processes that share tests send only plain ones."""
    return lambda name, value: record_property(name, getattr(value, "item", lambda: value)())
