"""What a site keeps between rounds. It stays there."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genome_eu.atomic import AtomicFile
from genome_eu.errors import TraitError
from genome_eu.federation.inside.kept import RidgeState
from genome_eu.federation.inside.kept_people import RemovedState
from genome_eu.federation.inside.kept_rows import ProjectedState
from genome_eu.stats.pca import Scores

_PCA_ID = re.compile(r"[0-9a-f]{16}")


@dataclass
class SiteState:
    """Scores of people by PCA and cohort, and the plans that were begun and not finished."""

    folder: Path | None = None
    ridge: RidgeState = field(init=False)
    removed: RemovedState = field(init=False)
    projected: ProjectedState = field(init=False)
    _scores: dict[tuple[str, str], Scores] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ridge = RidgeState(self.folder)
        self.removed = RemovedState(self.folder)
        self.projected = ProjectedState(self.folder)

    def keep(self, pca_id: str, cohort: str, scores: Scores) -> None:
        """Keep scores; on disk they are readable by their owner only."""
        self._scores[pca_id, cohort] = scores
        if self.folder is not None:
            path = self._path(pca_id, cohort)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = io.BytesIO()
            np.save(content, scores.values, allow_pickle=False)
            with AtomicFile(path, private=True) as file:
                file.write(content.getvalue())

    def scores(self, pca_id: str, cohort: str) -> Scores:
        """Scores kept in an earlier round, of the same people in the same order.

        Raises
        ------
        TraitError
            This site has none under that id for the cohort as it is now.
        """
        key = (pca_id, cohort)
        if key not in self._scores:
            path = self._path(pca_id, cohort)
            if self.folder is None or not path.exists():
                raise TraitError(
                    f"there are no scores of PCA {pca_id} for these people; run the PCA first"
                )
            self._scores[key] = Scores(np.load(path, allow_pickle=False))
        return self._scores[key]

    def begin(self, plan: str) -> int:
        """Note that work on a plan begins; how often it was begun before and never finished."""
        path = self._attempt(plan)
        before = self._attempts.get(plan, 0)
        if path is not None and path.exists():
            before = max(before, path.stat().st_size)
        self._attempts[plan] = before + 1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # One byte an attempt: nothing to parse, and it survives a crash.
            with path.open("ab") as file:
                file.write(b".")
        return before

    def finished(self, plan: str) -> None:
        """Note that the answer to a plan was delivered."""
        self._attempts.pop(plan, None)
        path = self._attempt(plan)
        if path is not None:
            path.unlink(missing_ok=True)

    def _attempt(self, plan: str) -> Path | None:
        return self.folder / "attempts" / plan if self.folder is not None else None

    def _path(self, pca_id: str, cohort: str) -> Path:
        if not _PCA_ID.fullmatch(pca_id):
            raise TraitError(f"{pca_id!r} is not the id of a PCA")
        return (self.folder or Path()) / "scores" / f"{pca_id}-{cohort[:16]}.npy"
