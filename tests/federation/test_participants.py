"""Two totals over different sites must not be subtracted unseen."""

from __future__ import annotations

from typing import Any

import pytest

from genome_eu.federation.participants import Participants
from genome_eu.federation.plan import Plan
from genome_eu.stats.aggregate import AGGREGATES

ALL, FEWER = ("ES", "FI", "GB", "IT"), ("ES", "FI", "IT")


def plan(statistic: str, sites: tuple[str, ...], *, secure_sum: bool = True, **asked: Any) -> Plan:
    return Plan(
        study="study",
        round=0,
        sites=sites,
        reader="hub",
        secure_sum=secure_sum,
        statistic=statistic,
        version=AGGREGATES[statistic].version,
        parameters=asked,
        inputs={},
        rows=0,
        rows_per_shard=8192,
    )


def after(*released: Plan, cohort: str = "c") -> Participants:
    known = Participants()
    for one in released:
        known.note(
            {
                "cohort": cohort,
                "statistic": one.statistic,
                "names": list(one.columns),
                "sites": list(one.sites),
                "secure_sum": one.masked,
            }
        )
    return known


def verdict(known: Participants, asked: Plan, cohort: str = "c") -> list[str]:
    return [item.verdict for item in known.doubts(asked, cohort)]


def test_the_same_question_of_the_same_sites_passes():
    first = plan("genotype_counts", ALL)
    assert verdict(after(), first) == ["pass"]
    assert verdict(after(first), first) == ["pass"]
    assert verdict(after(first), plan("genotype_counts", tuple(reversed(ALL)))) == ["pass"]


@pytest.mark.parametrize(("before", "now"), [(ALL, FEWER), (FEWER, ALL)])
def test_with_other_sites_it_waits_for_a_person_who_is_told_of_whom_it_speaks(before, now):
    (doubt,) = after(plan("genotype_counts", before)).doubts(plan("genotype_counts", now), "c")
    assert doubt.verdict == "review"
    assert doubt.reason.endswith("may show the numbers of GB")


def test_allele_counts_are_the_same_in_frequencies_and_in_an_association():
    """Frequencies of four sites less an association of three are the fourth's allele counts."""
    known = after(plan("genotype_counts", ALL, by=["sex"]))
    for statistic in ("linear_mean", "linear_raw", "linear_complete", "pca_projection"):
        assert verdict(known, plan(statistic, FEWER, traits=["ldl"], covariates=[])) == ["review"]
    assert verdict(known, plan("linear_mean", ALL, traits=["ldl"])) == ["pass"]


def test_moments_of_a_column_are_in_every_model_that_has_it():
    known = after(plan("trait_moments", ALL, traits=["ldl"], covariates=["age", "sex"]))
    design = {"traits": ["crp"], "covariates": ["age"]}
    assert verdict(known, plan("linear_design", FEWER, **design)) == ["review"]
    elsewhere = {"traits": ["crp"], "covariates": ["bmi"]}
    assert verdict(known, plan("linear_design", FEWER, **elsewhere)) == ["pass"]


def test_what_is_no_secret_sum_and_another_cohort_are_not_compared():
    known = after(plan("genotype_counts", ALL))
    assert verdict(known, plan("genotype_counts", FEWER, secure_sum=False)) == []
    assert verdict(known, plan("variant_list", FEWER)) == []
    assert verdict(known, plan("genotype_counts", FEWER), "another") == ["pass"]
    openly = after(plan("genotype_counts", ALL, secure_sum=False))
    assert verdict(openly, plan("genotype_counts", FEWER)) == ["pass"]
