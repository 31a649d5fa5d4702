"""Limits on people act within each site, limits on rows on sums: the same as choosing by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given

from genome_eu import open_cohort
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.site import Site
from genome_eu.formats.weights import Weights
from genome_eu.stats.ld import ClumpRule
from tests import simulate
from tests.laws.conftest import PEOPLE, RATES, ROWS
from tests.laws.splits import block_sizes, law, rates, shard_sizes, sites
from tests.oracles import counts as oracle
from tests.oracles import hwe, qc
from tests.oracles.kinship import king, prune

CUTOFF = 0.0884


_KINSHIP: dict[int, np.ndarray] = {}


def kinship(made: simulate.SimulatedCohort) -> np.ndarray:
    """Of every pair; made once for each cohort."""
    if id(made) in _KINSHIP:
        return _KINSHIP[id(made)]
    found = np.full((PEOPLE, PEOPLE), np.nan)
    for i in range(PEOPLE):
        for j in range(i + 1, PEOPLE):
            found[i, j] = king(made.dosage, i, j)
    _KINSHIP[id(made)] = found
    return found


def unrelated(made: simulate.SimulatedCohort, site: np.ndarray) -> np.ndarray:
    """Who stays when every site prunes its own relatives."""
    keep = np.zeros(PEOPLE, bool)
    for name in np.unique(site):
        mine = np.flatnonzero(site == name)
        near = kinship(made)[np.ix_(mine, mine)] > CUTOFF
        keep[mine] = prune(len(mine), list(zip(*np.nonzero(near), strict=True)))
    return keep


def chosen_by_hand(
    made: simulate.SimulatedCohort, site: np.ndarray, keep: np.ndarray, rows_per_shard: int
) -> Federation:
    """Sites that only ever had the people who are kept."""
    policy = simulate.load_policy("open-data")
    members = {
        str(name): Site(str(name), made.store, policy, people=(site == name) & keep)
        for name in np.unique(site)
    }
    return Federation("test", Memory(members), tuple(members), rows_per_shard=rows_per_shard)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)


@given(rate=rates, site=sites(least=30), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_relatives_are_left_out_within_each_site(
    cohort_with, rate, site, block_size, rows_per_shard
):
    made = cohort_with(rate)
    keep = unrelated(made, site)
    federation = simulate.split(made, site, block_size=block_size, rows_per_shard=rows_per_shard)
    narrowed, by_hand = (
        federation.unrelated(CUTOFF),
        chosen_by_hand(made, site, keep, rows_per_shard),
    )
    found = narrowed.frequencies(by="sex")
    assert_same(found, by_hand.frequencies(by="sex"))
    said = json.loads(found.attrs["left_out"])
    assert said["people removed by limits"] == {
        str(name): {"related": int(lost)} if lost else {}
        for name in np.unique(site)
        for lost in [((site == name) & ~keep).sum()]
    }
    assert ("relatives at different sites" in said) == (len(np.unique(site)) > 1)
    model = {"covariates": ["age"], "missing": "drop"}
    assert_same(narrowed.gwas("complete", **model), by_hand.gwas("complete", **model))


def questions(made: simulate.SimulatedCohort) -> dict:
    """Questions beside frequencies and a linear GWAS, by name."""
    lines = made.store.rows.assign(effect_allele=made.store.rows["alt"])
    lines["other_allele"] = lines["ref"]
    columns = ["contig", "position", "effect_allele", "other_allele"]
    weights = Weights(lines[columns], np.linspace(-1, 1, ROWS)[:, None], ("linear",))
    rule = ClumpRule(p1=0.5, p2=0.9, r2=0.01, kb=1)
    return {
        "prune": lambda asked: asked.prune("20", r2=0.05, keep_long_range=True),
        "clump": lambda asked: asked.clump(asked.gwas("complete"), rule=rule),
        "score": lambda asked: asked.score(weights, by="sex"),
        "pca": lambda asked: asked.pca(2),
        "dosages": lambda asked: asked.dosage_frequencies(),
        "logistic": lambda asked: asked.gwas("case", model="logistic", test="score"),
    }


@pytest.mark.parametrize("where", ["site", "cohort"])
@pytest.mark.parametrize("name", ["prune", "clump", "score", "pca", "dosages", "logistic"])
def test_every_question_is_of_those_who_stay(cohort_with, name, where):
    made = cohort_with(0.02)
    number = 2 if where == "site" else 1
    site = np.array([f"S{place % number}" for place in range(PEOPLE)])
    by_hand = chosen_by_hand(made, site, unrelated(made, site), 8192)
    whole = simulate.split(made, site) if where == "site" else open_cohort(made.store.path)
    ask = questions(made)[name]
    found, expected = ask(whole.filtered({"people": {"unrelated": CUTOFF}})), ask(by_hand)
    if where == "site":
        assert_same(found, expected)
    for variable in set(found) & set(expected) - set(PEOPLE_AND_SITES):
        values = expected[variable].values
        if values.dtype.kind != "f":
            np.testing.assert_array_equal(found[variable].values, values, err_msg=variable)
        else:
            np.testing.assert_allclose(
                found[variable].values, values, rtol=1e-8, atol=1e-10, err_msg=variable
            )


# Of a cohort they have its own name.
PEOPLE_AND_SITES = ("site_id", "site_n", "site_pca_mean")


def test_rows_that_limits_remove_are_in_no_clump(cohort_with):
    made = cohort_with(0.02)
    cohort = open_cohort(made.store.path)
    rule = ClumpRule(p1=0.5, p2=0.9, r2=0.01, kb=1)
    gwas = cohort.gwas("complete")
    found = cohort.filtered({"variants": {"min_maf": 0.3}}).clump(gwas, rule=rule)
    common = cohort.filtered({"variants": {"min_maf": 0.3}}).frequencies()
    positions = set(found["variant_position"].values)
    assert positions
    assert positions <= set(common["variant_position"].values)
    said = json.loads(found.attrs["left_out"])
    assert said["rows removed by limits"]["maf"] > 0
    assert "rows of the GWAS that are not at every site" not in said
    # Of some rows only, those alone are looked at.
    some = cohort.rows.iloc[10:30]
    mine = cohort.on_rows(some).clump(gwas, rule=rule)
    assert set(mine["variant_position"].values) <= set(some["position"])


@pytest.mark.parametrize("rate", RATES)
def test_a_cohort_is_narrowed_as_a_site_is(cohort_with, rate):
    made = cohort_with(rate)
    whole = np.zeros(PEOPLE, int)
    cohort = open_cohort(made.store.path).unrelated(CUTOFF)
    keep = unrelated(made, whole)
    np.testing.assert_array_equal(cohort.samples.index, made.people.index[keep])
    one = open_cohort(made.store.path).where(sex="F").unrelated(CUTOFF)
    women = np.where(made.people["sex"] == "F", 1, 0)
    np.testing.assert_array_equal(
        one.samples.index, made.people.index[unrelated(made, women) & (women == 1)]
    )


@given(rate=rates, site=sites(), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_limits_on_rows_act_on_sums(cohort_with, rate, site, block_size, rows_per_shard):
    made = cohort_with(rate)
    federation = simulate.split(made, site, block_size=block_size, rows_per_shard=rows_per_shard)
    limits = {"min_call_rate": 0.9, "min_maf": 0.2, "hwe": 0.05, "hwe_by": ["sex"]}
    found = federation.filtered({"variants": limits}).frequencies()
    sex = made.people["sex"].to_numpy()
    groups = [np.ones(PEOPLE, bool), sex == "F", sex == "M"]
    pooled = oracle.frequencies(made.dosage, groups)
    called, maf = pooled["call_rate"][:, 0], pooled["allele_frequency"][:, 0]
    maf = np.minimum(maf, 1 - maf)
    p = np.array(
        [
            [
                hwe.neg_log10_p(*(int(pooled[f"n_{kind}"][row, group]) for kind in KINDS))
                for group in (1, 2)
            ]
            for row in range(ROWS)
        ]
    )
    reasons = np.select(
        [~(called >= 0.9), ~(maf >= 0.2), (p > -np.log10(0.05)).any(axis=1)],
        ["call_rate", "maf", "hwe"],
        "",
    )
    kept = made.store.rows[reasons == ""]
    np.testing.assert_array_equal(found["variant_position"].values, kept["position"])
    names, numbers = np.unique(reasons[reasons != ""], return_counts=True)
    said = json.loads(found.attrs["left_out"])
    assert said["rows removed by limits"] == dict(
        zip(names.tolist(), numbers.tolist(), strict=True)
    )


KINDS = ("het", "hom_ref", "hom_alt")


@pytest.mark.parametrize("rate", RATES)
def test_people_who_fail_a_limit_are_left_out(cohort_with, rate):
    made = cohort_with(rate)
    site = np.where(np.arange(PEOPLE) % 2, "odd", "even")
    federation = simulate.split(made, site)
    limits = {"max_f": 0.1, "min_call_rate": 0.9}
    found = federation.filtered({"people": limits}).frequencies()
    keep = np.ones(PEOPLE, bool)
    lost = {"even": {}, "odd": {}}
    for name in ("even", "odd"):
        mine = np.flatnonzero(site == name)
        here, place = made.dosage[:, mine], ["autosome"] * ROWS
        nobody = np.zeros(mine.size, bool)
        for number, person in enumerate(mine):
            reason = ""
            if qc.call_rate(here, number, nobody, place) < 0.9:
                reason = "call_rate"
            elif not qc.inbreeding(here, number, nobody, place, "autosome")[3] <= 0.1:
                reason = "f"
            if reason:
                keep[person] = False
                lost[name][reason] = lost[name].get(reason, 0) + 1
    assert 0 < keep.sum() < PEOPLE
    assert json.loads(found.attrs["left_out"])["people removed by limits"] == lost
    assert_same(found, chosen_by_hand(made, site, keep, 8192).frequencies())
