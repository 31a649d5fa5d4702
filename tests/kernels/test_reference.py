"""The reference backend keeps the kernel contract."""

from __future__ import annotations

from tests.kernels.contract import KernelContract


class TestReference(KernelContract):
    backend_name = "reference"
