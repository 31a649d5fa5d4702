"""The files of one result, side by side in one folder: Parquet and what the field's tools read."""

from __future__ import annotations

import resource
from abc import abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from genome_eu.atomic import AtomicFile, WholeOrNothing
from genome_eu.errors import UsageError
from genome_eu.formats.association import GlmLinearWriter, GlmLogisticWriter, RegenieWriter
from genome_eu.formats.gwas_ssf import GwasSsfWriter
from genome_eu.formats.parquet import ParquetWriter
from genome_eu.formats.plink import (
    AfreqWriter,
    DosageAfreqWriter,
    GcountWriter,
    HardyWriter,
    HardyXWriter,
    write_eigenval,
    write_eigenvec,
)
from genome_eu.formats.rows import TOTAL, Shard, association, group_names
from genome_eu.formats.streams import ResultWriter

# Files and connections that a process has open beside those of a result.
_OTHER_FILES = 512


class _Files(WholeOrNothing):
    """Writers that receive the same shards; the files appear together or not at all.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    formats : strings
        Some of the class's `FORMATS`; all of them unless named.

    Raises
    ------
    UsageError
        A format is not among them, or none is named.
    """

    FORMATS: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path, formats: Collection[str] | None = None) -> None:
        self.formats = self.chosen(self.FORMATS if formats is None else formats)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.paths: list[Path] = []
        self._writers: list[ResultWriter] = []

    @classmethod
    def chosen(cls, formats: Collection[str]) -> tuple[str, ...]:
        """The formats named, in the order of `FORMATS`; raises as the class does."""
        unknown = [name for name in formats if name not in cls.FORMATS]
        if unknown or not formats:
            raise UsageError(
                f"formats {unknown[0]}: choose among {', '.join(cls.FORMATS)}"
                if unknown
                else f"formats: name at least one of {', '.join(cls.FORMATS)}"
            )
        return tuple(name for name in cls.FORMATS if name in formats)

    @abstractmethod
    def _open(self, dataset: xr.Dataset) -> list[ResultWriter]: ...

    def append(self, dataset: xr.Dataset) -> None:
        """Add the next rows of the result."""
        if not self._writers:
            self._writers = self._open(dataset)
        shard = Shard(dataset)
        for writer in self._writers:
            writer.append(shard)

    def close(self) -> None:
        """Finish the files and give them their names."""
        for writer in self._writers:
            writer.close()
            self.paths += writer.targets
        self._writers = []

    def abort(self) -> None:
        """Remove what was begun."""
        for writer in self._writers:
            writer.abort()
        self._writers = []

    def _complete(self) -> None:
        self.close()


class FrequencyFiles(_Files):
    """`frequencies.parquet`, and PLINK 2's `.afreq`, `.gcount`, `.hardy[.x]` for each group."""

    FORMATS = ("parquet", "plink")

    def _open(self, dataset: xr.Dataset) -> list[ResultWriter]:
        writers: list[ResultWriter] = []
        if "parquet" in self.formats:
            writers.append(ParquetWriter(self.folder / "frequencies.parquet"))
        for group in [TOTAL, *group_names(dataset)] if "plink" in self.formats else ():
            stem = "frequencies" if group == TOTAL else f"frequencies.{group}"
            writers += [
                AfreqWriter(self.folder / f"{stem}.afreq", group=group),
                GcountWriter(self.folder / f"{stem}.gcount", group=group),
            ]
            if "variant_hwe_p_value" in dataset:
                writers.append(HardyWriter(self.folder / f"{stem}.hardy", group=group))
                if "variant_ploidy_class" in dataset:
                    writers.append(HardyXWriter(self.folder / f"{stem}.hardy.x", group=group))
        return writers


class DosageFiles(_Files):
    """`dosages.parquet`, and PLINK 2's `.afreq` with MACH_R2 for each group."""

    FORMATS = ("parquet", "plink")

    def _open(self, dataset: xr.Dataset) -> list[ResultWriter]:
        writers: list[ResultWriter] = []
        if "parquet" in self.formats:
            writers.append(ParquetWriter(self.folder / "dosages.parquet"))
        for group in [TOTAL, *group_names(dataset)] if "plink" in self.formats else ():
            stem = "dosages" if group == TOTAL else f"dosages.{group}"
            writers.append(DosageAfreqWriter(self.folder / f"{stem}.afreq", group=group))
        return writers


class GwasFiles(_Files):
    """`gwas.parquet`, and for each trait PLINK 2's table, REGENIE's and GWAS-SSF.

    PLINK's is `gwas.<trait>.glm.linear` or, of a logistic model, `.glm.logistic.hybrid`.
    """

    FORMATS = ("parquet", "plink", "regenie", "ssf")

    def _open(self, dataset: xr.Dataset) -> list[ResultWriter]:
        stem = self.folder / "gwas"
        texts = sum(name != "parquet" for name in self.formats)
        _let_open(texts * dataset.sizes["traits"])
        writers: list[ResultWriter] = []
        if "parquet" in self.formats:
            writers.append(ParquetWriter(self.folder / "gwas.parquet"))
        if "plink" in self.formats:
            linear = association(dataset) == "variant_linreg"
            writers.append(GlmLinearWriter(stem) if linear else GlmLogisticWriter(stem))
        if "regenie" in self.formats:
            writers.append(RegenieWriter(stem))
        if "ssf" in self.formats:
            writers.append(GwasSsfWriter(stem))
        return writers


def _let_open(files: int) -> None:
    """Let this process have so many files open at once, besides a few others.

    Raises
    ------
    UsageError
        The system does not let it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files + _OTHER_FILES
    if not files or soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if needed > hard != resource.RLIM_INFINITY:
        raise UsageError(
            f"files of their own for all traits would be {files:,} open at once, and this process "
            f"may open {hard:,}; raise the limit (ulimit -n), or write parquet only (--formats)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def write_pca(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`pca.parquet` and `pca.eigenval`; for a cohort also `pca.eigenvec` and `pca.scores.npz`.

    The last two hold people and stay at the site that made them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "pca.parquet", folder / "pca.eigenval"]
    with ParquetWriter(paths[0]) as writer:
        writer.append(dataset)
    write_eigenval(paths[1], dataset["sample_pca_explained_variance"].values)
    return paths + (write_scores(dataset, folder) if "sample_pca_projection" in dataset else [])


def write_scores(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """`pca.eigenvec` and `pca.scores.npz`, the scores of one's own people."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "pca.eigenvec", folder / "pca.scores.npz"]
    ids = dataset["sample_id"].values.astype(str)
    scores = dataset["sample_pca_projection"].values
    write_eigenvec(paths[0], ids, scores)
    # The six digits of .eigenvec are too few to adjust a GWAS exactly.
    with AtomicFile(paths[1], private=True) as file:
        np.savez(file.handle, sample_id=ids, scores=scores)
    return paths
