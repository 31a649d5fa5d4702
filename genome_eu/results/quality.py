"""What quality control of one's own cohort answers: of its people, their kinship, and its rows.

People's numbers stay with those who hold their genotypes: no federation answers these questions,
and files with them are readable by their owner only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu.results.rows import ROWS, text_variable
from genome_eu.stats.kinship import Relatives, degree, unrelated
from genome_eu.stats.qc.people import PersonMeasures
from genome_eu.stats.qc.removal import PERSON_REASONS, VARIANT_REASONS, RemovedPeople, RowMeasures

PEOPLE, PAIRS = "samples", "pairs"


class QcResult(xr.Dataset):
    """Measures of people (`sample_*`) and of rows (`variant_*`), and why each is removed.

    `sample_removed` and `variant_removed` name the limit, and are empty for who and what is kept.
    """

    __slots__ = ()

    def people(self) -> pd.DataFrame:
        """A line for each person, by `sample_id`."""
        from genome_eu.formats.quality import people_table

        return people_table(self)

    def to_files(self, folder: str | Path) -> list[Path]:
        """Write `qc.people.tsv`, readable by its owner only, and `qc.variants.parquet`."""
        from genome_eu.formats.quality import write_qc

        return write_qc(self, Path(folder))


class KinshipResult(xr.Dataset):
    """Pairs of related people: `pair_kinship`, and the counts that it is made of."""

    __slots__ = ()

    def unrelated(self, cutoff: float) -> NDArray[np.bool_]:
        """Who of `sample_id` to keep so that no two have a kinship above a number.

        Raises
        ------
        UsageError
            Pairs above the cutoff were not asked for.
        """
        return unrelated(self._relatives(), cutoff)

    def pairs(self) -> pd.DataFrame:
        """A line for each pair, the nearest relatives first."""
        names = {
            str(name).removeprefix("pair_"): name for name in self if self[name].dims == (PAIRS,)
        }
        table = pd.DataFrame({short: self[name].values for short, name in names.items()})
        return table.sort_values("kinship", ascending=False, ignore_index=True, kind="stable")

    def to_files(self, folder: str | Path, cutoff: float | None = None) -> list[Path]:
        """Write PLINK 2's `.kin0` and, for a cutoff, `.king.cutoff.in.id` and `.out.id`.

        All are readable by their owner only.
        """
        from genome_eu.formats.quality import write_kinship

        keep = None if cutoff is None else self.unrelated(cutoff)
        return write_kinship(self, Path(folder), keep)

    def _relatives(self) -> Relatives:
        place = pd.Index(self["sample_id"].values)
        return Relatives(
            people=self.sizes[PEOPLE],
            above=float(self.attrs["above"]),
            first=place.get_indexer(self["pair_sample_id_1"].values),
            second=place.get_indexer(self["pair_sample_id_2"].values),
            kinship=self["pair_kinship"].values,
            observed=self["pair_n_rows"].values,
            het_het=self["pair_n_het_het"].values,
            ibs0=self["pair_n_ibs0"].values,
        )


def kinship_result(
    found: Relatives, sample_id: NDArray, included: NDArray, attrs: dict[str, Any]
) -> KinshipResult:
    """Pairs as a dataset, of the people who take part."""
    ids = sample_id.astype(object)
    return KinshipResult(
        {
            "sample_id": text_variable(PEOPLE, ids[included]),
            "pair_sample_id_1": text_variable(PAIRS, ids[found.first]),
            "pair_sample_id_2": text_variable(PAIRS, ids[found.second]),
            "pair_kinship": (PAIRS, found.kinship),
            "pair_degree": text_variable(PAIRS, degree(found.kinship).astype(object)),
            "pair_n_rows": (PAIRS, found.observed),
            "pair_n_het_het": (PAIRS, found.het_het),
            "pair_n_ibs0": (PAIRS, found.ibs0),
        },
        attrs={"above": found.above, **attrs},
    )


# Names of measures in a dataset, by those of `PersonMeasures`.
_OF_PEOPLE = {
    "call_rate": "call_rate",
    "n_called": "n_called",
    "heterozygosity": "heterozygosity",
    "n_observed": "n_polymorphic_called",
    "observed_hom": "n_hom",
    "expected_hom": "expected_hom",
    "f": "inbreeding_coefficient",
    "x_f": "x_inbreeding_coefficient",
    "x_observed": "x_n_polymorphic_called",
    "y_call_rate": "y_call_rate",
    "transitions": "n_transitions",
    "transversions": "n_transversions",
    "ti_tv": "ti_tv",
    "singletons": "n_singletons",
}


def people_variables(
    measures: PersonMeasures, removed: RemovedPeople, sample_id: NDArray, sex: NDArray
) -> dict[str, Any]:
    """Measures of the people who took part to begin with, as variables of a dataset."""
    who = removed.included
    variables: dict[str, Any] = {
        "sample_id": text_variable(PEOPLE, sample_id[who].astype(object)),
        "sample_sex": text_variable(PEOPLE, sex[who]),
        "sample_inferred_sex": text_variable(PEOPLE, measures.inferred_sex[who]),
        "sample_removed": text_variable(PEOPLE, _words(removed.reason[who], PERSON_REASONS)),
    }
    for name, short in _OF_PEOPLE.items():
        variables[f"sample_{short}"] = (PEOPLE, getattr(measures, name)[who])
    return variables


def row_measure_variables(measures: RowMeasures, reason: NDArray) -> dict[str, Any]:
    """Measures of rows as variables of a dataset."""
    frequency = measures.allele_frequency
    return {
        "variant_call_rate": (ROWS, measures.call_rate),
        "variant_minor_allele_frequency": (ROWS, np.minimum(frequency, 1.0 - frequency)),
        "variant_n_mendel_errors": (ROWS, measures.mendel_errors),
        "variant_removed": text_variable(ROWS, _words(reason, VARIANT_REASONS)),
    }


def _words(places: NDArray, words: Sequence[str]) -> NDArray:
    """The word at each place, "" where it is −1."""
    return np.array([*words, ""], dtype=object)[places]
