"""What allele counts say of groups of people, or of sites, beside each other.

Everything here is added up over shards of rows, so that it can be had of results that do not fit
in memory; nothing is asked of anybody again.
"""

from __future__ import annotations

from itertools import combinations
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
    joint : bool
        Whether there are spectra of each pair too.
    """

    def __init__(
        self, among: Among = "groups", alleles: int | None = None, *, joint: bool = False
    ) -> None:
        self.among: Among = among
        self.alleles = alleles
        self.joint = joint and alleles is not None
        self.names: list[str] = []
        self._fst: fst.FstMatrix | None = None
        self._sharing: spectra.Sharing | None = None
        self._spectra: list[spectra.Spectrum] = []
        self._joint: dict[tuple[int, int], tuple[NDArray, int]] = {}

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
            if self.joint:
                self._add_joint(count, number, self.alleles)

    def _add_joint(self, count: NDArray, number: NDArray, alleles: int) -> None:
        for pair in combinations(range(len(self.names)), 2):
            both = list(pair)
            rows, left_out = spectra.joint_spectrum(
                count[:, both], number[:, both], (alleles, alleles)
            )
            before, out_before = self._joint.get(pair, (0.0, 0))
            self._joint[pair] = before + rows, out_before + left_out

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

    def joint_spectra(self) -> pd.DataFrame:
        """Joint site-frequency spectra of each pair, by their ALT.

        Columns group_1, group_2, allele_count_1, allele_count_2, rows, rows_left_out; a line for
        each pair of counts that has rows.
        """
        if not self.joint:
            raise UsageError("no joint spectra were asked for")
        columns = ["group_1", "group_2", "allele_count_1", "allele_count_2", "rows"]
        parts = [pd.DataFrame({name: [] for name in [*columns, "rows_left_out"]})]
        for (a, b), (rows, left_out) in self._joint.items():
            first, second = np.nonzero(rows)
            values = (self.names[a], self.names[b], first, second, rows[first, second])
            part = pd.DataFrame(dict(zip(columns, values, strict=True)))
            parts.append(part.assign(rows_left_out=left_out))
        return pd.concat(parts[1:] or parts).reset_index(drop=True)
