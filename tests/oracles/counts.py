"""Genotype counts and allele frequencies, group by group, as they are defined."""

from __future__ import annotations

import numpy as np

NAMES = (
    "n_called",
    "n_missing",
    "n_hom_ref",
    "n_het",
    "n_hom_alt",
    "allele_count",
    "allele_number",
    "allele_frequency",
    "call_rate",
)


def frequencies(dosage, members):
    """Every statistic by name, each (rows, groups); `members` is a list of masks of people."""
    rows = dosage.shape[0]
    found = {name: np.full((rows, len(members)), np.nan) for name in NAMES}
    for row in range(rows):
        for group, chosen in enumerate(members):
            calls = [int(copies) for copies in dosage[row, chosen]]
            called = [copies for copies in calls if copies >= 0]
            values = {
                "n_called": len(called),
                "n_missing": len(calls) - len(called),
                "n_hom_ref": called.count(0),
                "n_het": called.count(1),
                "n_hom_alt": called.count(2),
                "allele_count": sum(called),
                "allele_number": 2 * len(called),
            }
            if called:
                values["allele_frequency"] = sum(called) / (2 * len(called))
            if calls:
                values["call_rate"] = len(called) / len(calls)
            for name, value in values.items():
                found[name][row, group] = value
    return found
