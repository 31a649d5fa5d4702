"""Progress of passes over genotypes, on a terminal or in a notebook."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any


class Progress(AbstractContextManager["Progress"]):
    """A bar that counts rows; silent where nobody watches (no terminal, no notebook)."""

    def __init__(self, title: str, rows: int, *, show: bool | None = None) -> None:
        if show is None:
            show = watched()
        self._bar: Any = None
        if show:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=rows, desc=title, unit=" rows", unit_scale=True, leave=False)

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


def watched() -> bool:
    """Whether a person looks at this process: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
