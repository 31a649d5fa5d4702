"""What a site keeps between rounds. It stays there."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from genome_eu.atomic import AtomicFile
from genome_eu.errors import TraitError
from genome_eu.stats.pca import Scores

_PCA_ID = re.compile(r"[0-9a-f]{16}")


@dataclass
class SiteState:
    """The scores of a site's people, by the id of the PCA and the cohort that they belong to."""

    folder: Path | None = None
    _scores: dict[tuple[str, str], Scores] = field(default_factory=dict)

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

    def _path(self, pca_id: str, cohort: str) -> Path:
        if not _PCA_ID.fullmatch(pca_id):
            raise TraitError(f"{pca_id!r} is not the id of a PCA")
        return (self.folder or Path()) / "scores" / f"{pca_id}-{cohort[:16]}.npy"
