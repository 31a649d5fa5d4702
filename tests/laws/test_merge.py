"""Sites may be added in any order and any grouping: counts exactly, sums to rounding."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome_eu.stats import counts, linear, pca, traits
from genome_eu.stats.aggregate import Aggregate, merge
from tests import simulate
from tests.laws.splits import law

ROWS, PEOPLE = 12, 30


def of_one_site(kind: str, seed: int) -> Aggregate:
    """An aggregate of a small simulated site."""
    rng = np.random.default_rng(seed)
    dosage = simulate.dosages(ROWS, PEOPLE, 0.1, seed)
    x, y = rng.normal(size=(PEOPLE, 2)), rng.normal(size=(PEOPLE, 2))
    block = simulate.block(dosage)
    centred, raw = (linear.design(x, y, site_effects=effects) for effects in (True, False))
    frequency = np.linspace(0.1, 0.9, ROWS)
    scores = rng.normal(size=(PEOPLE, 3))
    makers = {
        "counts": lambda: counts.summarize(block, rng.integers(-1, 3, PEOPLE), 3),
        "traits": lambda: traits.summarize(x, y),
        "design": lambda: linear.summarize_design(centred),
        "mean": lambda: linear.summarize_mean(block, centred),
        "raw": lambda: linear.summarize_raw(block, raw),
        "complete": lambda: linear.summarize_complete(block, raw),
        "complete, centred": lambda: linear.summarize_complete(block, centred),
        "projection": lambda: pca.ProjectionSums(
            people=np.array(PEOPLE), projected=pca.project_rows(block, frequency, scores)
        ),
        "scores": lambda: pca.summarize_scores(pca.Scores(scores), np.ones(PEOPLE, bool)),
    }
    return makers[kind]()


KINDS = (
    "counts",
    "traits",
    "design",
    "mean",
    "raw",
    "complete",
    "complete, centred",
    "projection",
    "scores",
)


def assert_equal(one: Aggregate, other: Aggregate) -> None:
    """Integers and flags exactly; sums to a few roundings of their largest term."""
    assert type(one) is type(other)
    for item in fields(one):
        a, b = getattr(one, item.name), getattr(other, item.name)
        assert a.dtype == b.dtype
        if a.dtype.kind == "f":
            scale = np.abs(a).max(initial=1.0)
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-14 * scale, err_msg=item.name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=item.name)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(5)))
@law
def test_merge_is_commutative(kind, seed, order):
    parts = [of_one_site(kind, seed + site) for site in range(5)]
    assert_equal(merge(parts), merge([parts[place] for place in order]))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), first=st.integers(1, 4))
@law
def test_merge_is_associative(kind, seed, first):
    parts = [of_one_site(kind, seed + site) for site in range(5)]
    assert_equal(merge(parts), merge([merge(parts[:first]), merge(parts[first:])]))
