"""Which dependency stack is under test, so that a green run says what it proved."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest
from packaging.version import Version

#: The current stack, as `cluster/overrides.txt` asks for it.
CURRENT = {"dask": "2026.7", "zarr": "3.1", "numpy": "2.4", "xarray": "2025.12"}
#: sgkit's own upper bounds, which plain `pip install` respects.
SGKIT = {"dask": "2024.8.0", "zarr": "2.9999", "numpy": "2.1.9999", "xarray": "2025.3.0"}

STACK = os.environ.get("GENOME_EU_STACK")


@pytest.mark.skipif(STACK is None, reason="set GENOME_EU_STACK to pinned or modern to check it")
def test_the_stack_is_the_one_that_was_asked_for():
    assert STACK in ("pinned", "modern")
    for name, bound in (SGKIT if STACK == "pinned" else CURRENT).items():
        found = Version(version(name))
        fits = found <= Version(bound) if STACK == "pinned" else found >= Version(bound)
        assert fits, f"{name} {found} is not of the {STACK} stack"


def test_stacks_do_not_mix():
    """Zarr decides: version 3 needs the current dask, version 2 goes with sgkit's bounds."""
    current = {name: Version(version(name)) >= Version(bound) for name, bound in CURRENT.items()}
    assert current["zarr"] == current["dask"], current
