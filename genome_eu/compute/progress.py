"""Progress of passes over genotypes, on a terminal or in a notebook."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

_DELAY_S = 1.0


class Progress(AbstractContextManager["Progress"]):
    """A bar that counts rows; silent where nobody watches (no terminal, no notebook)."""

    def __init__(self, title: str, rows: int, *, show: bool | None = None) -> None:
        if show is None:
            show = watched()
        self._bar: Any = None
        if show:
            # A pass that is over at once needs no bar.
            self._bar = _bar_class()(
                total=rows, desc=title, unit=" rows", unit_scale=True, leave=False, delay=_DELAY_S
            )

    def advance(self, rows: int) -> None:
        """Count rows that are done."""
        if self._bar is not None:
            self._bar.update(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar_class() -> Any:
    """A widget where a notebook can show one, else text."""
    if importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm.std import tqdm
    return tqdm


def watched() -> bool:
    """Whether a person looks at this process: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
