from __future__ import annotations

from tests.federation.conftest import made

__all__ = ["made"]
