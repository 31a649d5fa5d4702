"""A federated logistic regression is the pooled one, however people are spread over sites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests import simulate
from tests.laws.splits import every_way, law, rates, sites
from tests.oracles import logistic as oracle
from tests.stats.logistic_rounds import standardized

TOLERANCE = 1e-8
CUTOFF = 0.5
TESTS = ("score", "spa", "firth", "wald", "firth-full", "hybrid")


def split(cohort, site, **more):
    """The federation, and what the oracle needs of everybody."""
    y = cohort.column("case")
    x = standardized(cohort.columns(["age"]))
    return simulate.split(cohort, site, **more), y, x


def has_both(y, site) -> bool:
    return all(0 < y[site == place].sum() < (site == place).sum() for place in np.unique(site))


def expected(test, g, x, y):
    """β, SE and −log10 p of the oracle; None where that test has none."""
    zero = np.zeros(len(y))
    if test == "score":
        u, v, _, _ = oracle.score(g, x, y, zero)
        return u / v, v**-0.5, oracle.neg_log10_p(u / v**0.5)
    if test == "firth":
        beta, se, chisq = oracle.firth_approximate(g, x, y, zero)
        return beta, se, oracle.neg_log10_p_chisq(chisq)
    beta, se = oracle.wald(g, x, y, zero, firth=test == "firth-full")
    return beta, se, oracle.neg_log10_p(beta / se)


@every_way
@pytest.mark.parametrize("effects", [True, False])
@pytest.mark.parametrize("test", TESTS)
def test_every_test_is_that_of_everybody(cohort_with, test, effects, way):
    cohort = cohort_with(way.rate)
    federation, y, _ = split(
        cohort, way.site, block_size=way.block_size, rows_per_shard=way.rows_per_shard
    )
    assert has_both(y, way.site)
    assert_every_test(federation, cohort, way.site, test, effects)


def assert_every_test(federation, cohort, site, test, effects, **more) -> None:
    """The tests of a federation are those of the oracle, which has everybody's dosages."""
    found = federation.gwas(
        "case",
        covariates=["age"],
        model="logistic",
        test=test,
        site_effects=effects,
        cutoff=CUTOFF,
        **more,
    )
    y, x = cohort.column("case"), standardized(cohort.columns(["age"]))
    columns = oracle.columns(x, site, effects)
    named = {name: found[f"variant_logreg_{name}"].values[:, 0] for name in NAMES}
    tested = np.flatnonzero(named["errcode"] == ".")
    assert tested.size > 0.8 * len(cohort.dosage) - len(simulate.SPECIAL_ROWS)
    for row in tested[:: 1 + tested.size // 6]:
        g = oracle.impute(cohort.dosage[row], site, effects)
        method = str(named["method"][row])
        beta, se, p = expected("score" if method == "spa" else method, g, columns, y)
        assert abs(named["beta"][row] - beta) <= TOLERANCE * se
        if method == "spa":
            p = -np.log10(oracle.spa(g, columns, y, np.zeros(len(y))))
        else:
            assert abs(named["se"][row] / se - 1) <= TOLERANCE
        assert abs(named["neg_log10_p"][row] - p) <= TOLERANCE * max(1.0, p)


NAMES = ("beta", "se", "neg_log10_p", "method", "errcode")


@given(rate=rates, site=sites(least=8))
@law
def test_without_site_effects_the_sites_do_not_show(cohort_with, rate, site):
    cohort = cohort_with(rate)
    model = {"model": "logistic", "test": "hybrid", "missing": "drop", "site_effects": False}
    whole, parts = (
        simulate.split(cohort, where).gwas("case", covariates=["age"], **model)
        for where in (np.full(len(site), "all"), site)
    )
    np.testing.assert_array_equal(whole["variant_logreg_errcode"], parts["variant_logreg_errcode"])
    for name in ("beta", "se", "z_value", "neg_log10_p"):
        np.testing.assert_allclose(
            parts[f"variant_logreg_{name}"],
            whole[f"variant_logreg_{name}"],
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )
    for name in ("n_cases", "n_controls", "allele_frequency_cases"):
        np.testing.assert_array_equal(
            parts[f"variant_logreg_{name}"], whole[f"variant_logreg_{name}"]
        )
