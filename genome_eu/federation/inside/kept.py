"""What a site keeps of a whole-genome regression: predictions between rounds, offsets for later."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from genome_eu.atomic import AtomicFile
from genome_eu.errors import TraitError, UsageError
from genome_eu.stats.ridge import Offsets, Predictions

_ID = re.compile(r"[0-9a-f]{16}")
# Of what is free, that predictions of one's own people take before they go to a file.
_SHARE_OF_MEMORY = 0.25


@dataclass
class RidgeState:
    """Predictions and offsets by id and cohort; in memory, or in files that their owner can read.

    Predictions are people × predictors: on disk they are written block by block and mapped.
    """

    folder: Path | None = None
    _predictions: dict[tuple[str, str], Predictions] = field(default_factory=dict)
    _offsets: dict[tuple[str, str], tuple[Offsets, str]] = field(default_factory=dict)

    @contextmanager
    def room(self, name: str, cohort: str, shape: tuple[int, ...]) -> Iterator[NDArray]:
        """Zeros to write predictions to, which are kept when the block ends without an error.

        Raises
        ------
        UsageError
            They would not fit; nothing has been computed yet.
        """
        needed = 8 * int(np.prod(shape))
        if self.folder is None:
            values = _somewhere(needed, shape)
            yield values
            # Those of one regression at a time: the others' offsets are what is asked for again.
            self._predictions = {(name, cohort): Predictions(values)}
            return
        path = self._path("predictions", name, cohort)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require("disk", needed, shutil.disk_usage(path.parent).free)
        begun = path.with_suffix(".begun")
        begun.touch(mode=0o600)
        values = np.lib.format.open_memmap(begun, mode="w+", dtype=np.float64, shape=shape)
        begun.chmod(0o600)
        try:
            yield values
            values.flush()
            begun.replace(path)
        finally:
            begun.unlink(missing_ok=True)
        for other in path.parent.glob("*.npy"):
            if other != path:
                other.unlink(missing_ok=True)

    def predictions(self, name: str, cohort: str) -> Predictions:
        """Predictions kept in an earlier round.

        Raises
        ------
        TraitError
            This site has none under that id for the cohort as it is now.
        """
        if (name, cohort) in self._predictions:
            return self._predictions[name, cohort]
        path = self._path("predictions", name, cohort)
        if self.folder is None or not path.exists():
            raise TraitError(
                f"there are no predictions {name} for these people; begin the regression again"
            )
        return Predictions(np.load(path, mmap_mode="r", allow_pickle=False))

    def has_predictions(self, name: str, cohort: str) -> bool:
        """Whether predictions are kept under that id."""
        if (name, cohort) in self._predictions:
            return True
        return self.folder is not None and self._path("predictions", name, cohort).exists()

    def keep_offsets(self, name: str, cohort: str, offsets: Offsets, model: Any) -> None:
        """Keep offsets, with the model (plain data) that they were made for."""
        text = json.dumps(model, sort_keys=True)
        self._offsets[name, cohort] = offsets, text
        if self.folder is None:
            return
        path = self._path("offsets", name, cohort)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.write(name, cohort, path)

    def write(self, name: str, cohort: str, path: Path) -> None:
        """Write offsets, which only the owner of the file can read."""
        offsets, text = self._kept(name, cohort)
        said = {"id": name, "cohort": cohort, "model": text}
        content = io.BytesIO()
        named = np.frombuffer(json.dumps(said).encode(), np.uint8)
        np.savez(content, values=offsets.values, said=named)
        with AtomicFile(path, private=True) as file:
            file.write(content.getvalue())

    def read(self, name: str, cohort: str, path: Path) -> None:
        """Take offsets that `write` wrote.

        Raises
        ------
        TraitError
            They are of another regression, or of another cohort.
        """
        with np.load(path, allow_pickle=False) as kept:
            values, said = kept["values"], json.loads(kept["said"].tobytes())
        if (said["id"], said["cohort"]) != (name, cohort):
            raise TraitError(
                f"{path.name} is not of whole-genome regression {name} and this cohort; ask "
                f"without --wgr, which makes one"
            )
        self._offsets[name, cohort] = Offsets(values), said["model"]

    def offsets(self, name: str, cohort: str, model: Any) -> Offsets:
        """Offsets kept by an earlier question about the same model.

        Raises
        ------
        TraitError
            This site has none under that id for the cohort as it is now, or they are of other
            traits or covariates.
        """
        offsets, text = self._kept(name, cohort)
        if text != json.dumps(model, sort_keys=True):
            raise TraitError(
                f"whole-genome regression {name} is of other traits, covariates or people; ask "
                f"with those, or without --wgr"
            )
        return offsets

    def _kept(self, name: str, cohort: str) -> tuple[Offsets, str]:
        key = (name, cohort)
        if key not in self._offsets:
            path = self._path("offsets", name, cohort)
            if self.folder is None or not path.exists():
                raise TraitError(
                    f"there is no whole-genome regression {name} of these people; ask without "
                    f"--wgr, which makes one"
                )
            self.read(name, cohort, path)
        return self._offsets[key]

    def _path(self, kind: str, name: str, cohort: str) -> Path:
        if not _ID.fullmatch(name):
            raise TraitError(f"{name!r} is not the id of a whole-genome regression")
        suffix = "npy" if kind == "predictions" else "npz"
        return (self.folder or Path()) / "wgr" / kind / f"{name}-{cohort[:16]}.{suffix}"


def _somewhere(needed: int, shape: tuple[int, ...]) -> NDArray:
    """Zeros in memory, or in a temporary file without a name where they would take most of it."""
    if needed <= _SHARE_OF_MEMORY * psutil.virtual_memory().available:
        return np.zeros(shape)
    _require("disk", needed, shutil.disk_usage(tempfile.gettempdir()).free)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float64, mode="w+", shape=shape)


def _require(where: str, needed: int, free: int) -> None:
    if needed > free:
        raise UsageError(
            f"predictions would need about {needed / 2**30:.1f} GiB of {where} at this site, and "
            f"{free / 2**30:.1f} GiB are free; ask with larger blocks or of fewer rows"
        )
