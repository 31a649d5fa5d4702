"""What pruning, clumping and projection answer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from genome_eu.formats.rows import row_table


class PruneResult(xr.Dataset):
    """Which rows of a panel are in approximate linkage equilibrium: `variant_kept`."""

    __slots__ = ()

    @property
    def kept(self) -> pd.DataFrame:
        """The rows that stay, for `on_rows`: contig, position, ref, alt, id."""
        return row_table(self)[self["variant_kept"].values].reset_index(drop=True)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write the kept rows (`rows.tsv`, Parquet), and PLINK's `.prune.in` and `.prune.out`."""
        from genome_eu.formats.ld import write_pruned

        return write_pruned(self, Path(folder))


class ClumpResult(xr.Dataset):
    """Clumps of associated rows, by the p-value of their index rows.

    Over `variants` are the rows in some clump: `variant_clump` is the number of each one's, and
    `variant_clump_index` whether it is the row that the clump is named by.
    """

    __slots__ = ()

    @property
    def table(self) -> pd.DataFrame:
        """One line a clump: its index row, −log10 p, members, and those of at most p₂."""
        from genome_eu.formats.ld import clump_table

        return clump_table(self)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write `clumps.parquet` and PLINK's table `clumps.clumps`."""
        from genome_eu.formats.ld import write_clumps

        return write_clumps(self, Path(folder))
