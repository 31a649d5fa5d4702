"""What allele counts say of groups of people, or of sites, beside each other.

Everything here is added up over shards of rows, so that it can be had of results that do not fit
in memory; nothing is asked of anybody again.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu.errors import UsageError
from genome_eu.stats import fst, spectra

Among = Literal["groups", "sites"]
_VARIABLES = {"groups": "cohort", "sites": "site"}
_INSTEAD = {
    "groups": "ask for frequencies by a column, such as population",
    "sites": "ask a federation for frequencies with by_site (a secure sum has none)",
}


def alleles_of(dataset: xr.Dataset, among: Among) -> tuple[list[str], NDArray, NDArray]:
    """Names, AC and AN (rows, groups) of groups or sites; below 0 where withheld.

    Raises
    ------
    UsageError
        The result has none.
    """
    if among not in _VARIABLES:
        raise UsageError(f"among={among!r}: choose groups or sites")
    name = _VARIABLES[among]
    if f"{name}_allele_count" not in dataset or not dataset.sizes.get(f"{name}s", 0):
        raise UsageError(f"the result has no {among}; {_INSTEAD[among]}")
    names = [str(one) for one in dataset[f"{name}_id"].values]
    count = dataset[f"{name}_allele_count"].values[..., 1]
    return names, count, dataset[f"{name}_allele_total"].values


class BetweenGroups:
    """F_ST, private and shared variants, and site-frequency spectra, from shards of frequencies.

    Parameters
    ----------
    among : {"groups", "sites"}
        Whom to compare.
    alleles : int, optional
        Alleles that spectra are projected to; without it there are none.
    """

    def __init__(self, among: Among = "groups", alleles: int | None = None) -> None:
        self.among: Among = among
        self.alleles = alleles
        self.names: list[str] = []
        self._fst: fst.FstMatrix | None = None
        self._sharing: spectra.Sharing | None = None
        self._spectra: list[spectra.Spectrum] = []

    def add(self, shard: xr.Dataset) -> None:
        """Take the next rows into account."""
        self.names, count, number = alleles_of(shard, self.among)
        found = fst.hudson(count, number)
        self._fst = found if self._fst is None else fst.add([self._fst, found])
        shared = spectra.sharing(count, number)
        self._sharing = shared if self._sharing is None else self._sharing + shared
        if self.alleles is not None:
            mine = [
                spectra.spectrum(count[:, k], number[:, k], self.alleles)
                for k in range(len(self.names))
            ]
            pairs = zip(self._spectra, mine, strict=True)
            self._spectra = [a + b for a, b in pairs] if self._spectra else mine

    def fst(self) -> pd.DataFrame:
        """Hudson's F_ST of each pair: columns group_1, group_2, fst, rows, varying.

        `rows` are those known in both groups, `varying` those in which not all alleles are equal.
        """
        if self._fst is None:
            raise UsageError("no rows were added")
        first, second = np.triu_indices(len(self.names), 1)
        names = np.array(self.names, dtype=object)
        return pd.DataFrame(
            {
                "group_1": names[first],
                "group_2": names[second],
                "fst": self._fst.fst[first, second],
                "rows": self._fst.rows[first, second],
                "varying": self._fst.varying[first, second],
            }
        )

    def sharing(self) -> pd.DataFrame:
        """Variants that groups have: columns group_1, group_2, rows.

        Where both are the same group, its variants; group_2 `(no other)` counts those that it has
        alone, `(unknown)` rows that are withheld or not called in some group and count nowhere
        else.
        """
        found = self._sharing
        if found is None:
            raise UsageError("no rows were added")
        lines: list[tuple[str, str, int]] = []
        for a, name in enumerate(self.names):
            lines += [(name, other, int(found.shared[a, b])) for b, other in enumerate(self.names)]
            lines.append((name, "(no other)", int(found.private[a])))
        lines.append(("(all)", "(all)", found.everywhere))
        lines.append(("(none)", "(none)", found.nowhere))
        lines.append(("(unknown)", "(unknown)", found.unknown))
        return pd.DataFrame(lines, columns=["group_1", "group_2", "rows"])

    def spectra(self) -> pd.DataFrame:
        """Site-frequency spectra: columns group, allele_count, rows, folded_rows.

        Rows are counted by their ALT, folded rows by the rarer allele.
        """
        if not self._spectra:
            raise UsageError("no spectra were asked for; give the alleles to project to")
        return pd.concat(
            pd.DataFrame(
                {
                    "group": name,
                    "allele_count": np.arange(found.alleles + 1),
                    "rows": found.rows,
                    "folded_rows": found.fold().rows,
                    "rows_left_out": found.left_out,
                }
            )
            for name, found in zip(self.names, self._spectra, strict=True)
        ).reset_index(drop=True)
