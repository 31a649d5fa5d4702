"""A rerun is the same to the last bit, and blocks and shards are no part of an answer."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from tests import simulate

QUESTIONS = {
    "frequencies": lambda asked: asked.frequencies(by="sex"),
    "pca": lambda asked: asked.pca(2),
    "gwas, mean": lambda asked: asked.gwas(["complete", "some_lack_it"], covariates="age"),
    "gwas, drop": lambda asked: asked.gwas("complete", covariates="age", missing="drop"),
    "gwas, one intercept": lambda asked: asked.gwas("complete", site_effects=False),
    "gwas, drop, one intercept": lambda asked: asked.gwas(
        "complete", missing="drop", site_effects=False
    ),
}
ask = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)


@pytest.fixture(scope="module")
def cohort(cohort_with) -> simulate.SimulatedCohort:
    return cohort_with(0.1)


def three_sites(cohort: simulate.SimulatedCohort, **options):
    site = np.array([f"S{number % 3}" for number in range(len(cohort.people))])
    return simulate.split(cohort, site, **options)


def assert_same(one, other, tolerance: float = 0.0) -> None:
    """Every variable equal; floats to `tolerance` of the largest of each column."""
    assert set(one.variables) == set(other.variables)
    for name, variable in one.variables.items():
        a, b = variable.values, other[name].values
        if a.dtype.kind == "f" and tolerance:
            scale = np.nanmax(np.abs(a), axis=0, initial=0.0)
            assert np.array_equal(np.isnan(a), np.isnan(b)), name
            assert (np.nan_to_num(np.abs(a - b)) <= tolerance * scale).all(), name
        elif a.dtype.kind == "f":
            np.testing.assert_array_equal(a.view(np.uint64), b.view(np.uint64), err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


@ask
def test_a_rerun_is_bit_identical(cohort, question):
    one, other = (question(three_sites(cohort, block_size=7)) for _ in range(2))
    assert_same(one, other)
    assert one.attrs == other.attrs


@ask
@pytest.mark.parametrize("block_size", [11, 59, 1000])
def test_the_size_of_blocks_is_no_part_of_the_answer(cohort, question, block_size):
    assert_same(
        question(three_sites(cohort)), question(three_sites(cohort, block_size=block_size)), 1e-9
    )


@ask
@pytest.mark.parametrize("rows_per_shard", [13, 60])
def test_the_size_of_shards_is_no_part_of_the_answer(cohort, question, rows_per_shard):
    one, other = (
        question(three_sites(cohort)),
        question(three_sites(cohort, rows_per_shard=rows_per_shard)),
    )
    assert_same(one, other, 1e-9)


@pytest.mark.parametrize("options", [{"block_size": 1}, {"rows_per_shard": 1}])
def test_a_row_may_stand_alone(cohort, options):
    question = QUESTIONS["gwas, drop"]
    assert_same(question(three_sites(cohort)), question(three_sites(cohort, **options)), 1e-9)


def test_sites_are_summed_in_the_order_of_their_names_not_of_their_mention(cohort):
    federation = three_sites(cohort)
    backwards = Federation(
        "test",
        Memory(dict(reversed(federation._carrier.sites.items()))),
        tuple(reversed(federation.sites)),
    )
    assert_same(federation.gwas("complete"), backwards.gwas("complete"))


def test_the_order_of_people_in_a_store_shows_in_nothing_but_rounding(cohort, tmp_path):
    shuffled = np.random.default_rng(1).permutation(len(cohort.people))
    table = cohort.people.iloc[shuffled]
    path = simulate.write_store(tmp_path, cohort.dosage[:, shuffled], table)
    other = simulate.SimulatedCohort(cohort.dosage[:, shuffled], table, simulate.open_store(path))
    site = np.array([f"S{number % 3}" for number in range(len(table))])
    one = simulate.split(cohort, site).gwas("complete", covariates="age")
    two = simulate.split(other, site[shuffled]).gwas("complete", covariates="age")
    assert_same(one.drop_vars("variant_id"), two.drop_vars("variant_id"), 1e-11)
