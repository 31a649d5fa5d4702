"""Plans that count who lies between two thresholds, or ask the same twice with one number moved.

Each attack is carried out against bare sums, where it gives one person's numbers, and against a site
under the default policy, which refuses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genome_eu.cohort import open_store
from genome_eu.disclosure import Facts
from genome_eu.errors import BundleError, Refused
from genome_eu.federation.answers import filters as filter_answers
from genome_eu.federation.answers import weighing
from genome_eu.federation.inside.exposed import Exposed
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.ld import PairParameters
from genome_eu.federation.parameters.linear import TraitMomentsParameters
from genome_eu.federation.parameters.pca import ProjectionParameters
from genome_eu.federation.parameters.scores import ScoreDistributionParameters
from genome_eu.federation.parameters.wgr import (
    BlockParameters,
    OffsetParameters,
    PredictionParameters,
)
from genome_eu.federation.plan import Ask
from genome_eu.federation.site import Site
from genome_eu.stats import logistic, ridge
from genome_eu.stats.ld import FilledSums
from genome_eu.stats.pca import ProjectionSums
from genome_eu.stats.qc.removal import PERSON_REASONS, RemovedPeople
from genome_eu.stats.scores import ScoreDistribution
from genome_eu.stats.traits import TraitMoments
from tests.disclosure.test_chosen_numbers import (
    MISSING,
    PEOPLE,
    A,
    B,
    make_chosen,
    panel,
    told,
)
from tests.federation.policies import changed
from tests.federation.small_sites import Made

#: The default policy, less the question that a person is asked about membership.
POLICY = changed(membership_power=1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_chosen(tmp_path_factory.mktemp("thresholds"))


@pytest.fixture(scope="module")
def bare(made: Made) -> Site:
    return Site.open("FI", made.store)


@pytest.fixture
def site(made: Made) -> Site:
    return Site.open("FI", made.store, POLICY)


# -- edges of a histogram ----------------------------------------------------------------------------


class TestEdges:
    """Who lies between two edges is counted by two questions; weights make scores of digits."""

    SOME = np.arange(40, 52)
    #: Nearly alike, so that all rows carry the score, and no two sums of them are.
    WEIGHTS = 1.0 + 4.0 ** np.arange(12) / 2.0**40

    def ask(self, *edges: float, weights: NDArray = WEIGHTS) -> Ask:
        parameters = ScoreDistributionParameters(by=(), groups=(), edges=edges, imputed=True)
        inputs = panel(self.SOME) | {
            "weights": weights[:, None],
            "counts_ref": np.zeros(12, np.uint8),
            "frequency": np.full(12, 0.5),
        }
        return Ask(ScoreDistribution, parameters, inputs, 12)

    def below(self, site: Site, edge: float) -> int:
        return int(told(site, self.ask(edge)).polygenic_bins[0, 0, 0])

    def scores(self, made: Made) -> NDArray:
        assert (made.dosage[self.SOME] >= 0).all()
        spread = np.sqrt((self.WEIGHTS**2 * 0.5).sum())
        return np.sort(self.WEIGHTS @ (made.dosage[self.SOME] - 1.0)) / spread

    def test_somebodys_genotypes_by_halving(self, made, bare):
        low, high = -3.0, 3.0
        while high - low > 1e-14:
            middle = (low + high) / 2
            low, high = (low, middle) if self.below(bare, middle) > 75 else (middle, high)
        score = self.scores(made)[75]
        assert high == pytest.approx(score, abs=1e-13)
        digits = high * np.sqrt((self.WEIGHTS**2 * 0.5).sum()) + self.WEIGHTS.sum()
        digits = round((digits - round(digits)) * 2.0**40)
        found = [(digits >> (2 * place)) & 3 for place in range(12)]
        assert (np.array(found) == made.dosage[self.SOME].T).all(axis=1).any()

    def test_edges_that_set_a_few_apart_are_not_both_answered(self, made, site):
        scores = self.scores(made)
        first, few, enough = ((scores[at - 1] + scores[at]) / 2 for at in (70, 73, 80))
        assert self.below(site, first) == 70
        with pytest.raises(Refused, match="its people differ from those of an earlier answer"):
            self.below(site, few)
        # Nor by weights or an origin a little off, which is another score.
        other = self.WEIGHTS * (1 + 1e-9 * np.arange(12))
        with pytest.raises(Refused, match="differ from those|leverage"):
            told(site, self.ask(few, weights=other))
        assert self.below(site, first) == 70
        assert self.below(site, enough) == 80

    def test_whatever_other_edges_are_moved_with_it(self, made, site):
        scores = self.scores(made)
        edges = [(scores[at - 1] + scores[at]) / 2 for at in (40, 70, 100)]
        told(site, self.ask(*edges))
        edges = [(scores[at - 1] + scores[at]) / 2 for at in (30, 71, 110)]
        with pytest.raises(Refused, match="its people differ from those of an earlier answer"):
            told(site, self.ask(*edges))

    def test_edges_of_many_bins_are_answered_again(self, site):
        edges = tuple(np.arange(-4.0, 4.25, 0.5))
        first, again = (told(site, self.ask(*edges)) for _ in range(2))
        np.testing.assert_array_equal(first.polygenic_bins, again.polygenic_bins)
        shown = first.polygenic_bins[0, 0]
        assert shown[shown > 0].min() >= POLICY.genotype_floor


# -- a frequency that is moved -----------------------------------------------------------------------


class TestFrequencies:
    """A missing call is 0 on the scale of a PCA, so that the origin of a row tells who lacks one."""

    ROWS = np.append(np.arange(24, 40), [41, MISSING])

    def ask(self, *frequency: float, rows: NDArray = ROWS) -> Ask:
        loadings = np.zeros((rows.size, 1))
        loadings[:16, 0] = 4.0 ** np.arange(16)
        at = np.full(rows.size, 0.5)
        at[16 : 16 + len(frequency)] = frequency
        inputs = panel(rows) | {"frequency": at, "loadings": loadings}
        return Ask(ProjectionSums, ProjectionParameters(), inputs, rows.size)

    def called(self, site: Site) -> NDArray:
        """Sums of the scores of who is called, of the two rows without loadings."""
        found = []
        for frequency in (0.5, 0.25):
            projected = told(site, self.ask(frequency, frequency)).projected[16:, 0]
            found.append(projected * np.sqrt(2 * frequency * (1 - frequency)))
        result: NDArray = (found[1] - found[0]) / 0.5
        return result

    def test_genotypes_of_who_lacks_a_call(self, made, bare):
        everybody, called = self.called(bare)
        (lacking,) = np.flatnonzero(made.dosage[MISSING] < 0)
        # Σ (g − 1)/√½ · 4^row, whose digits are the genotypes.
        digits = round((everybody - called) * np.sqrt(0.5)) + sum(4**row for row in range(16))
        found = [(digits >> (2 * row)) & 3 for row in range(16)]
        np.testing.assert_array_equal(found, made.dosage[self.ROWS[:16], lacking])

    def test_such_a_row_has_one_frequency(self, site):
        told(site, self.ask(0.5, 0.5))
        with pytest.raises(Refused, match="projected at another frequency before"):
            told(site, self.ask(0.5, 0.25))
        # What was asked before, and rows that everybody is called in, are answered.
        told(site, self.ask(0.5, 0.5))
        told(site, self.ask(0.25, 0.5))

    def test_it_is_remembered(self, made, tmp_path):
        for frequency in (0.5, 0.25):
            kept = Site.open("FI", made.store, POLICY, state=SiteState(tmp_path))
            if frequency == 0.5:
                told(kept, self.ask(0.5, frequency))
                continue
            with pytest.raises(Refused, match="projected at another frequency before"):
                told(kept, self.ask(0.5, frequency))

    def test_who_takes_part_is_counted(self, made, tmp_path):
        """Of six people who lack a call, two take part."""
        rows = np.append(np.arange(24, 40), [41, 16])
        fewer = ~np.isin(np.arange(PEOPLE), np.flatnonzero(made.dosage[16] < 0)[:4])
        one = Site("FI", open_store(made.store), POLICY, people=fewer, state=SiteState(tmp_path))
        np.testing.assert_array_equal(one.missing(np.array([16, 41])), [2, 0])
        told(one, self.ask(0.5, 0.5, rows=rows))
        with pytest.raises(Refused, match="projected at another frequency before"):
            told(one, self.ask(0.5, 0.25, rows=rows))

    def test_a_row_is_there_once(self, site):
        rows = np.append(self.ROWS, MISSING)
        with pytest.raises(BundleError, match="names a row twice"):
            told(site, self.ask(0.5, 0.5, 0.25, rows=rows))

    def test_enough_people_who_lack_a_call_are_nobody(self, made, site):
        rows = np.append(np.arange(24, 40), [41, 16])
        assert (made.dosage[16] < 0).sum() >= POLICY.missing_floor
        for frequency in (0.5, 0.25):
            told(site, self.ask(0.5, frequency, rows=rows))


# -- sums of columns ---------------------------------------------------------------------------------


def moments(*terms: dict[str, Any]) -> Ask:
    asked = TraitMomentsParameters(
        traits=("ldl",), covariates=(), pca=None, terms=tuple((term,) for term in terms)
    )
    return Ask(TraitMoments, asked)


def factor(column: str, function: str = "", power: int = 1) -> dict[str, Any]:
    return {"column": column, "category": False, "function": function, "power": power}


class TestMoments:
    def test_a_steep_function_of_a_column_is_whoever_has_the_most(self, made, bare, site):
        steep = moments(factor("age"), factor("ldl", "exp", 9))
        found = told(bare, steep)
        assert np.log(found.covariate_sum[1]) / 9 == pytest.approx(
            made.table["ldl"].max(), abs=0.02
        )
        with pytest.raises(Refused, match="leverage of more than"):
            told(site, steep)

    def test_powers_one_after_the_other(self, site):
        """Sums of as many powers as a column has values tell how many people have each."""
        asked = 0
        with pytest.raises(Refused, match="earlier answers together"):
            for power in range(1, 10):
                for function in ("", "sqrt", "log"):
                    told(site, moments(factor("age", function, power)))
                    asked += 1
        assert 3 < asked < 20


# -- people who fail limits --------------------------------------------------------------------------


def test_reasons_that_differ_by_a_few_are_not_both_told(site):
    """Who fails two limits is counted under the first, and moving it counts the people between."""

    def exposed(first: int) -> Any:
        reason = np.full(PEOPLE, -1, np.int8)
        reason[:40] = PERSON_REASONS.index("f")
        reason[:first] = PERSON_REASONS.index("call_rate")
        one = Site(site.name, site.store, POLICY)
        one.removed = RemovedPeople(np.ones(PEOPLE, bool), reason)
        one.included = one.removed.keep
        budget = site.airlock.budget
        hashes = budget.hashes(one.store.sample_id)
        among = Exposed(budget, hashes, one.included, POLICY)
        answering = filter_answers.ANSWERING["removed_people"]
        return answering.exposure(one, among, None, {})

    budget = site.airlock.budget
    budget.commit("0" * 64, exposed(20))
    assert all(item.verdict == "pass" for item in budget.judge("1" * 64, exposed(20)))
    assert any(item.verdict == "refuse" for item in budget.judge("2" * 64, exposed(21)))
    assert all(item.verdict == "pass" for item in budget.judge("3" * 64, exposed(25)))
    # Where reasons are not told, as few of one are removed, who is left is all there is.
    assert all(item.verdict == "pass" for item in budget.judge("4" * 64, exposed(39)))


# -- rows with a third between -----------------------------------------------------------------------


def test_two_rows_are_looked_at_together_where_a_third_is_with_both(made, bare, site):
    """They differ in one person, and lie further apart than either from the rows between."""
    between = np.setdiff1d(np.arange(24, 90), [A, B])
    between = between[(made.dosage[between] >= 0).all(axis=1)][:15]
    rows, band = np.concatenate([[A], between, [B]]), 11
    inputs = panel(rows) | {"lengths": np.minimum(band, rows.size - np.arange(rows.size))}
    ask = Ask(FilledSums, PairParameters(band=band), inputs, rows.size)
    found, shared = told(bare, ask), np.arange(6, 11)
    only = np.flatnonzero(made.dosage[A] != made.dosage[B])[0]
    apart = float(made.dosage[A, only] - made.dosage[B, only])
    first = found.dosage_product[0, shared]
    second = found.dosage_product[shared, 16 - shared]
    np.testing.assert_array_equal((first - second) / apart, made.dosage[rows[shared], only])
    assert not told(site, ask).shown[shared, 16 - shared].any()


# -- predictions -------------------------------------------------------------------------------------

REGRESSION: dict[str, Any] = {
    "traits": ("ldl",),
    "covariates": (),
    "pca": None,
    "groups": (0,),
    "trait_mean": (0.0,),
    "trait_scale": (1.0,),
    "covariate_mean": (),
    "covariate_scale": (),
    "site_effects": True,
    "folds": 2,
    # Nobody is in a fold, so that only what is left of the trait is looked at.
    "smallest": 10**6,
}


class TestPredictions:
    """Squares of what two predictions leave of a trait, which differ in one person."""

    ROWS = np.array([44, A, B])

    def squares(self, site: Site, apart: float) -> float:
        """Σ (y − prediction)², where rows differ by so much of one person."""
        weights = np.repeat(np.array([0.05, apart, -apart])[:, None], 3, axis=1)
        inputs = panel(self.ROWS) | {
            "weights": weights,
            "block": np.zeros(3, np.int64),
            "adjust": np.zeros((1, 0, 3)),
        }
        named = ("block", "weights", "adjust")
        made = ridge.predictions_id(inputs["panel"], None, *(inputs[name] for name in named))
        one = PredictionParameters(**REGRESSION, penalties=1, predictions=made)
        inputs["effects"] = np.zeros((0, 1))
        told(site, Ask(ridge.Level1Sums, one, inputs, 3))
        given = {
            "effects": np.zeros((0, 1)),
            "predictor_weights": np.ones((3, 1, 1)),
            "centre": np.zeros((1, 1)),
            "chromosome": np.zeros(1, np.int64),
        }
        names = ("predictor_weights", "centre", "chromosome")
        wgr = ridge.offsets_id(made, *(given[name] for name in names))
        asked = OffsetParameters(**REGRESSION, wgr=wgr, predictions=made)
        found = told(site, Ask(ridge.ResidualSums, asked, given, 0))
        return float(found.yy[-1, 0])

    def test_the_trait_of_whom_two_rows_differ_in(self, made, bare):
        only = np.flatnonzero(made.dosage[A] != made.dosage[B])[0]
        step = 1e-3
        before, after = self.squares(bare, -step), self.squares(bare, step)
        ldl, row = made.table["ldl"].to_numpy(), made.dosage[44].astype(float)
        centred = ldl - ldl.mean() - 0.05 * (row - row.mean())
        apart = float(made.dosage[A, only] - made.dosage[B, only])
        assert (before - after) / (4 * step * apart) == pytest.approx(centred[only], abs=1e-6)

    def test_predictions_are_remembered(self, site):
        assert self.squares(site, 0.0) == self.squares(site, 0.0)
        with pytest.raises(Refused, match="earlier answers together"):
            self.squares(site, 1e-3)


FOLDED = REGRESSION | {"smallest": 0}


class TestFolds:
    """Rows of a block, and predictions, whose products are of the people of one fold."""

    def block(self, site: Site, *rows: int) -> Any:
        inputs = panel(np.array(rows)) | {"block": np.zeros(len(rows), np.int64)}
        asked = BlockParameters(**FOLDED, width=len(rows))
        return told(site, Ask(ridge.BlockSums, asked, inputs, len(rows)))

    def predictions(self, site: Site, *weights: float) -> Any:
        rows = np.array([44, A, B])
        inputs = panel(rows) | {
            "weights": np.repeat(np.array(weights)[:, None], 2, axis=1),
            "block": np.zeros(3, np.int64),
            "adjust": np.zeros((1, 0, 2)),
        }
        named = (inputs[name] for name in ("block", "weights", "adjust"))
        made = ridge.predictions_id(inputs["panel"], None, *named)
        asked = PredictionParameters(**FOLDED, penalties=1, predictions=made)
        inputs["effects"] = np.zeros((0, 1))
        return told(site, Ask(ridge.Level1Sums, asked, inputs, 3))

    def test_rows_that_differ_in_one_person(self, site):
        self.block(site, 44, 45, A)
        with pytest.raises(Refused, match="rows of a block, or predictions"):
            self.block(site, 44, A, B)

    def test_a_row_that_is_there_twice(self, site):
        with pytest.raises(BundleError, match="in two ridge blocks"):
            self.block(site, 44, 45, 44)

    def test_a_prediction_that_is_one_persons(self, site):
        self.predictions(site, 1.0, 1.0, 1.0)
        with pytest.raises(Refused, match="rows of a block, or predictions"):
            self.predictions(site, 0.0, 1.0, -1.0)


# -- Firth's penalty ---------------------------------------------------------------------------------


def test_an_inverse_that_makes_the_penalty_one_persons():
    """h(½ − μ) grows with the square of a covariate, by as much as the plan's inverse says."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((PEOPLE, 1))
    x[7] = 6.0
    y = (np.arange(PEOPLE) % 4 == 0).astype(float)[:, None]
    design = logistic.design(x, y, site_effects=True)
    theta = np.array([[0.0]])
    fitted = logistic.fit_people(design, theta)
    weight, centre = fitted.weight[:, 0], fitted.centre[0]
    own = 1.0 / float(weight @ (x[:, 0] - centre[0]) ** 2)
    facts = Facts(people=PEOPLE, groups=(Facts(people=PEOPLE),))
    honest, chosen = (
        weighing.of_model(facts, fitted, np.full((1, 1, 1), size)).groups[0]
        for size in (own, 1e6 * own)
    )
    assert honest.weighing > POLICY.min_people
    assert honest.leverage < POLICY.max_leverage
    assert chosen.weighing < POLICY.min_people or chosen.leverage > POLICY.max_leverage
