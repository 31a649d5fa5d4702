"""What a principal component analysis answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr


class ProjectionResult(xr.Dataset):
    """Scores of one's own people on the components of an earlier PCA."""

    __slots__ = ()

    @property
    def pca_id(self) -> str:
        """The PCA whose components these are."""
        return str(self.attrs["pca_id"])

    def scatter(self, **options: Any) -> Any:
        """The scores of two components."""
        from genome_eu.report import plots

        return plots.pca_scores(self, **options)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write PLINK 2's `.eigenvec`, and the scores in full; both hold people and stay here."""
        from genome_eu.formats.folder import write_scores

        return write_scores(self, Path(folder))


class PcaResult(xr.Dataset):
    """Loadings and eigenvalues; for one's own cohort also the scores of its people."""

    __slots__ = ()

    @property
    def pca_id(self) -> str:
        """What names the scores that each site keeps."""
        return str(self.attrs["pca_id"])

    def scatter(self, **options: Any) -> Any:
        """Scores of one's own people; for a federation the mean score of each site."""
        from genome_eu.report import plots

        draw = plots.pca_scores if "sample_pca_projection" in self else plots.pca_site_means
        return draw(self, **options)

    def loadings(self, **options: Any) -> Any:
        """Loadings of one component along the genome."""
        from genome_eu.report.plots import pca_loadings

        return pca_loadings(self, **options)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write Parquet loadings and PLINK 2's `.eigenval` (and `.eigenvec` for a cohort)."""
        from genome_eu.formats.folder import write_pca

        return write_pca(self, Path(folder))
