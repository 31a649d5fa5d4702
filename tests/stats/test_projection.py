from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_eu.errors import PanelError
from genome_eu.stats import projection
from tests.oracles import pca as oracle
from tests.stats.test_ld import block, correlated

ROWS, PEOPLE, COMPONENTS = 70, 60, 4


def names(rows):
    bases = np.array([("A", "C"), ("A", "T"), ("AT", "G"), ("G", "T")])[np.arange(rows) % 4]
    return pd.DataFrame(
        {
            "contig": "1",
            "position": np.arange(rows),
            "ref": bases[:, 0],
            "alt": bases[:, 1],
        }
    )


@pytest.fixture(scope="module", params=[0.0, 0.1], ids=["complete", "missing"])
def dosage(request):
    return correlated(ROWS, PEOPLE, request.param, seed=5)


def frequency(dosage):
    called = dosage >= 0
    return (dosage * called).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)


def scores(dosage, table, of):
    """Scores of a cohort on the PCA of `of`, whose rows are `names`."""
    made = oracle.components(of, COMPONENTS)
    rows = projection.find_rows(names(ROWS), table)
    p, weights = projection.frozen(rows, frequency(of), made.loadings, made.eigenvalues * ROWS)
    return made, rows, projection.summarize(block(dosage[rows.own]), p, weights)


def test_people_of_the_pca_get_their_own_scores(dosage):
    made, rows, found = scores(dosage, names(ROWS), dosage)
    np.testing.assert_allclose(found, made.scores, atol=1e-13)
    assert rows.absent == 0
    assert not rows.swapped.any()


def test_other_people_are_projected_on_frozen_loadings(dosage):
    other = correlated(ROWS, 33, 0.05, seed=9)
    made, _, found = scores(other, names(ROWS), dosage)
    p = frequency(dosage)[:, np.newaxis]
    spread = np.sqrt(2 * p * (1 - p))
    z = np.where((other < 0) | (spread == 0), 0.0, (other - 2 * p) / np.where(spread, spread, 1))
    expected = z.T @ made.loadings / np.sqrt(made.eigenvalues * ROWS)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_swapped_alleles_and_the_order_of_rows_change_nothing(dosage):
    table = names(ROWS)
    turned = np.arange(ROWS) % 4 == 0
    table.loc[turned, ["ref", "alt"]] = table.loc[turned, ["alt", "ref"]].to_numpy()
    other = dosage.copy()
    other[turned] = np.where(dosage[turned] < 0, -1, 2 - dosage[turned])
    order = np.random.default_rng(1).permutation(ROWS)
    made, rows, found = scores(other[order], table.iloc[order], dosage)
    np.testing.assert_allclose(found, made.scores, atol=1e-13)
    assert rows.swapped.sum() == turned.sum()
    assert (np.diff(rows.own) > 0).all()


def test_ambiguous_rows_are_not_turned():
    table = names(8)
    table[["ref", "alt"]] = table[["alt", "ref"]].to_numpy()
    rows = projection.find_rows(names(8), table)
    # A/C and G/T; neither A/T nor the deletion.
    np.testing.assert_array_equal(rows.theirs, [0, 3, 4, 7])
    assert rows.absent == 4


def test_an_absent_row_counts_as_missing(dosage):
    present = np.arange(ROWS) % 5 > 0
    _, rows, found = scores(dosage[present], names(ROWS)[present], dosage)
    lost = dosage.copy()
    lost[~present] = -1
    _, _, expected = scores(lost, names(ROWS), dosage)
    np.testing.assert_allclose(found, expected, atol=1e-13)
    assert rows.absent == (~present).sum()


def test_rows_listed_twice_match_none():
    table = pd.concat([names(4), names(1)])
    assert projection.find_rows(names(4), table).absent == 1


def test_a_cohort_without_any_row():
    with pytest.raises(PanelError, match="the cohort has none of the PCA's rows"):
        projection.find_rows(names(3), names(3).assign(contig="2"))
