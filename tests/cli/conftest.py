from __future__ import annotations

import contextlib
import io
import signal
import sys
from collections.abc import Callable

import pytest

from genome_eu.cli.main import main
from tests.cli.running import Ran
from tests.federation.conftest import made

__all__ = ["made"]


@pytest.fixture(scope="session")
def cli() -> Callable[..., Ran]:
    """`genome-eu` in this process: quick, and with all that a shell would see."""

    def run(*args: object) -> Ran:
        out, err, code = io.StringIO(), io.StringIO(), 0
        before, arguments = signal.getsignal(signal.SIGTERM), sys.argv
        sys.argv = ["genome-eu", *map(str, args)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        finally:
            sys.argv = arguments
            signal.signal(signal.SIGTERM, before)
        return Ran(code, out.getvalue(), err.getvalue())

    return run
