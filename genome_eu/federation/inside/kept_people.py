"""What a site keeps of limits on people: why each is removed, so that it is found out once."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile


@dataclass
class RemovedState:
    """Reasons by the digest of a cohort and its limits; files that their owner can read."""

    folder: Path | None = None
    _reasons: dict[str, NDArray] = field(default_factory=dict)

    def keep(self, key: str, reason: NDArray) -> None:
        """Keep the reason of each person under a SHA-256."""
        self._reasons[key] = reason
        if self.folder is None:
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = io.BytesIO()
        np.save(content, reason, allow_pickle=False)
        with AtomicFile(path, private=True) as file:
            file.write(content.getvalue())

    def find(self, key: str) -> NDArray | None:
        """The reasons kept under a SHA-256, if there are any."""
        if key not in self._reasons:
            if self.folder is None or not self._path(key).exists():
                return None
            self._reasons[key] = np.load(self._path(key), allow_pickle=False)
        return self._reasons[key]

    def _path(self, key: str) -> Path:
        return (self.folder or Path()) / "removed" / f"{key[:32]}.npy"
