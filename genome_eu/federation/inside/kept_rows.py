"""What a site keeps of rows that were projected: the frequency of those that few lack a call of."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile
from genome_eu.errors import Refused


@dataclass
class ProjectedState:
    """Frequencies by cohort and row; files that their owner can read.

    A missing call is 0 once rows are centred by the frequency of the plan. The same scores times a
    row at two frequencies so differ by the scores of those who are called, and leave those of the
    few who are not.
    """

    folder: Path | None = None
    _known: dict[str, tuple[NDArray, NDArray]] = field(default_factory=dict)

    def require_same(self, cohort: str, rows: NDArray, frequency: NDArray) -> None:
        """Refuse rows that were projected at another frequency.

        Parameters
        ----------
        cohort : str
            Digest of the genotypes.
        rows, frequency : int64 and float64 arrays, shape (rows,)
            Places in the store, each once, and the frequency of the ALT there.

        Raises
        ------
        Refused
            One has another frequency than before.
        """
        known, before = self._of(cohort)
        _, mine, theirs = np.intersect1d(rows, known, return_indices=True)
        if np.any(frequency[mine] != before[theirs]):
            raise Refused(
                "a row that few people of this site lack a call of was projected at another "
                "frequency before, and both would give them away; ask of rows that everybody is "
                "called in (min_call_rate = 1), or at the frequencies of before"
            )

    def keep(self, cohort: str, rows: NDArray, frequency: NDArray) -> None:
        """Keep the frequencies of rows, in the words of `require_same`."""
        known, before = self._of(cohort)
        every, first = np.unique(np.concatenate([known, rows]), return_index=True)
        if every.size == known.size:
            return
        self._known[cohort] = every, np.concatenate([before, frequency])[first]
        if self.folder is None:
            return
        path = self._path(cohort)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = io.BytesIO()
        np.savez(content, rows=every, frequency=self._known[cohort][1])
        with AtomicFile(path, private=True) as file:
            file.write(content.getvalue())

    def _of(self, cohort: str) -> tuple[NDArray, NDArray]:
        if cohort not in self._known:
            found = np.empty(0, np.int64), np.empty(0)
            path = self._path(cohort)
            if self.folder is not None and path.exists():
                with np.load(path, allow_pickle=False) as kept:
                    found = kept["rows"], kept["frequency"]
            self._known[cohort] = found
        return self._known[cohort]

    def _path(self, cohort: str) -> Path:
        return (self.folder or Path()) / "projected" / f"{cohort[:32]}.npz"
