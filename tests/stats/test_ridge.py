"""Whole-genome regression at sites equals that of everybody together, with the same folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from genome_eu.stats import linear, ridge
from genome_eu.stats.aggregate import Private, concatenate, merge
from tests import simulate
from tests.oracles import ridge as oracle

PEOPLE = 240
#: Rows of each chromosome, and of a block.
CHROMOSOMES = {"1": 30, "2": 26, "5": 14}
BLOCK = 12
FOLDS = 4
GRID = (0.01, 0.3, 0.8)

law = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Study:
    """Everybody's data, and the blocks of rows: slices, with the chromosome of each."""

    dosage: np.ndarray
    x: np.ndarray
    quantitative: np.ndarray
    cases: np.ndarray
    site: np.ndarray
    blocks: list
    chromosome_of_block: list

    @property
    def block_of_row(self):
        return np.repeat(
            np.arange(len(self.blocks)), [rows.stop - rows.start for rows in self.blocks]
        )

    @property
    def predictors(self):
        return len(self.blocks) * len(GRID)


def study(missing: float, sites: int, seed: int, unbalanced: bool = False) -> Study:
    """Many effects on each chromosome, so that predictions beside one are strong."""
    rng = np.random.default_rng(seed)
    rows = sum(CHROMOSOMES.values())
    dosage = simulate.dosages(rows, PEOPLE, missing, seed)
    known = np.where(dosage < 0, 0, dosage)
    spread = known.std(axis=1)
    scores = []
    start = 0
    for number in CHROMOSOMES.values():
        here = slice(start, start + number)
        effects = rng.normal(size=number) / np.where(spread[here] > 0, spread[here], 1.0)
        scores.append(effects @ known[here] / np.sqrt(number))
        start += number
    genetic = np.sum(scores, axis=0)
    genetic = (genetic - genetic.mean()) / genetic.std()
    x = np.column_stack([rng.normal(1960, 12, PEOPLE), rng.integers(0, 2, PEOPLE)])
    trait = 150 + 0.2 * x[:, 0] + 6 * genetic + rng.normal(0, 5, PEOPLE)
    liability = 0.03 * (x[:, 0] - 1960) + 1.2 * genetic - 0.4
    cases = (rng.random(PEOPLE) < 1 / (1 + np.exp(-liability))).astype(float)
    place = np.arange(PEOPLE) % sites
    if unbalanced and sites > 1:
        place = np.arange(PEOPLE) % (sites - 1)
        place[:30] = sites - 1
    blocks, names = [], []
    start = 0
    for name, number in CHROMOSOMES.items():
        for first in range(start, start + number, BLOCK):
            blocks.append(slice(first, min(first + BLOCK, start + number)))
            names.append(name)
        start += number
    return Study(dosage, x, trait, cases, rng.permutation(place), blocks, names)


@dataclass(frozen=True)
class Found:
    """What a federation knows and what its sites keep, put together."""

    predictions: np.ndarray
    fit: ridge.Level1Fit
    loco: dict
    fold: np.ndarray
    tests: ridge.ScoreResult | None
    scale: float


def federate(one: Study, *, binary=False, site_effects=True, kernels="cpu") -> Found:
    """What a protocol does."""
    trait = one.cases if binary else one.quantitative
    x = (one.x - one.x.mean(axis=0)) / one.x.std(axis=0)
    origin, scale = (0.0, 1.0) if binary else (trait.mean(), trait.std())
    y = ((trait - origin) / scale)[:, None]
    places = [one.site == place for place in np.unique(one.site)]
    models = [linear.design(x[here], y[here], site_effects=site_effects) for here in places]
    people = [ridge.folded(model, FOLDS) for model in models]
    folds = merge([ridge.summarize_folds(part) for part in people])
    effects = ridge.covariate_effects(folds)

    penalty = ridge.penalties(len(one.dosage), GRID)
    values = [np.empty((1, one.predictors, here.sum())) for here in places]
    for number, rows in enumerate(one.blocks):
        blocks = [simulate.block(one.dosage[rows][:, here], kernels) for here in places]
        mean = None
        if not site_effects:
            known = one.dosage[rows] >= 0
            mean = np.where(known, one.dosage[rows], 0).sum(axis=1) / np.maximum(
                known.sum(axis=1), 1
            )
        sums = merge(
            [
                ridge.summarize_block(block, part, BLOCK, mean)
                for block, part in zip(blocks, people, strict=True)
            ]
        )
        solved = ridge.solve_block(folds, sums, penalty)
        for block, part, kept in zip(blocks, people, values, strict=True):
            predicted = ridge.predict_block(block, part, solved, mean)
            kept[0, number * len(GRID) : (number + 1) * len(GRID)] = predicted[:, 0]
    predictions = [ridge.Predictions(kept) for kept in values]

    parts = list(zip(people, predictions, strict=True))
    if binary:
        fit = logistic_level1(one, parts, site_effects)
    else:
        sums = merge([ridge.summarize_level1(*part, effects) for part in parts])
        fit = ridge.solve_level1(sums, ridge.penalties(one.predictors, GRID))
    names = tuple(CHROMOSOMES)
    of_block = [names.index(name) for name in one.chromosome_of_block]
    of_predictor = np.repeat(of_block, len(GRID))
    offsets = [
        ridge.leave_one_out(*part, fit.weights, fit.centre, of_predictor, len(names))
        for part in parts
    ]

    def together(arrays):
        result = np.empty((*arrays[0].shape[:-1], PEOPLE))
        for here, array in zip(places, arrays, strict=True):
            result[..., here] = array
        return result

    tests = None
    if not binary:
        left = [
            ridge.residuals(model, effects, beside)
            for model, beside in zip(models, offsets, strict=True)
        ]
        residuals = merge(
            [
                ridge.summarize_residuals(model, here)
                for model, here in zip(models, left, strict=True)
            ]
        )
        # Blocks of rows that know no chromosomes.
        of_row = np.repeat(of_block, [rows.stop - rows.start for rows in one.blocks])
        sums = concatenate(
            [
                merge(
                    [
                        ridge.summarize_score(
                            simulate.block(one.dosage[rows][:, here], kernels),
                            of_row[rows],
                            model,
                            of_site,
                        )
                        for here, model, of_site in zip(places, models, left, strict=True)
                    ]
                )
                for rows in (slice(0, 40), slice(40, len(one.dosage)))
            ]
        )
        tests = ridge.finalize(residuals, of_row, sums, np.array([scale]))
    return Found(
        predictions=together([part.values[0] for part in predictions]),
        fit=fit,
        loco={
            name: scale * together([beside.values[place, 0] for beside in offsets])
            for place, name in enumerate(names)
        },
        fold=together([part.fold for part in people]).astype(int),
        tests=tests,
        scale=scale,
    )


def logistic_level1(one, parts, site_effects) -> ridge.Level1Fit:
    moments = merge([ridge.summarize_moments(*part) for part in parts])
    standard = ridge.standardize(int(moments.people), moments.z, moments.square)
    offset = oracle.null_offset(oracle.columns(one.x, one.site, site_effects), one.cases)
    places = list(zip(np.unique(one.site), parts, strict=True))
    information = merge(
        [
            ridge.summarize_information(part[0], 0, offset[one.site == place], part[1], standard)
            for place, part in places
        ]
    )
    newton = ridge.LogisticRidge(information, ridge.liability_penalties(one.predictors, GRID))
    while not newton.done:
        assert newton.rounds < 30
        asked = newton.unfinished
        newton.absorb(
            merge(
                [
                    ridge.summarize_gradients(
                        part[0],
                        0,
                        one.cases[one.site == place],
                        offset[one.site == place],
                        part[1],
                        standard,
                        newton.left_out[asked],
                        newton.position[asked],
                    )
                    for place, part in places
                ]
            )
        )
    return ridge.logistic_fit(standard, [newton.finish(PEOPLE)])


def expected(one: Study, found: Found, *, binary=False, site_effects=True) -> oracle.StepOne:
    level1 = ridge.liability_penalties if binary else ridge.penalties
    return oracle.step_one(
        one.dosage,
        one.cases if binary else one.quantitative,
        one.x,
        one.site,
        found.fold,
        one.block_of_row,
        np.array(one.chromosome_of_block),
        ridge.penalties(len(one.dosage), GRID),
        level1(one.predictors, GRID),
        site_effects=site_effects,
        binary=binary,
    )


def assert_same(found: Found, truth: oracle.StepOne) -> None:
    np.testing.assert_allclose(
        found.scale * found.predictions, truth.level0.T, atol=1e-9 * truth.level0.std()
    )
    assert found.fit.chosen[0] == truth.chosen
    np.testing.assert_allclose(found.fit.error[0], truth.error, rtol=1e-9)
    for name, predicted in found.loco.items():
        np.testing.assert_allclose(
            predicted, truth.loco[name], atol=1e-8 * truth.whole.std(), err_msg=name
        )


def assert_tests(one: Study, found: Found, truth: oracle.StepOne, site_effects: bool) -> None:
    chromosomes = np.repeat(list(CHROMOSOMES), list(CHROMOSOMES.values()))
    result = found.tests
    for name in CHROMOSOMES:
        mine = chromosomes == name
        beta, se, chisq, p = oracle.step_two(
            one.dosage[mine],
            one.quantitative,
            one.x,
            one.site,
            truth.loco[name],
            site_effects=site_effects,
        )
        fits = result.errcode_words[mine, 0] == "."
        np.testing.assert_array_equal(fits, ~np.isnan(beta))
        error = np.abs(result.beta[mine, 0] - beta)[fits] / se[fits]
        assert error.max() <= 1e-8
        np.testing.assert_allclose(result.se[mine, 0][fits], se[fits], rtol=1e-8)
        np.testing.assert_allclose(result.chisq[mine, 0][fits], chisq[fits], rtol=1e-8, atol=1e-8)
        found_p = result.neg_log10_p[mine, 0]
        np.testing.assert_allclose(found_p[fits], p[fits], rtol=1e-8, atol=1e-8)
        assert np.isnan(result.beta[mine, 0][~fits]).all()


class TestAgainstEverybodyTogether:
    @given(
        missing=st.sampled_from((0.0, 0.01, 0.1)),
        sites=st.sampled_from((1, 2, 3, 7)),
        unbalanced=st.booleans(),
        site_effects=st.booleans(),
        seed=st.integers(0, 2**31),
    )
    @law
    def test_quantitative(self, missing, sites, unbalanced, site_effects, seed):
        one = study(missing, sites, seed, unbalanced)
        found = federate(one, site_effects=site_effects)
        truth = expected(one, found, site_effects=site_effects)
        assert_same(found, truth)
        assert_tests(one, found, truth, site_effects)

    @given(
        missing=st.sampled_from((0.0, 0.1)),
        sites=st.sampled_from((1, 2, 3, 7)),
        seed=st.integers(0, 2**31),
    )
    @settings(law, max_examples=6)
    def test_binary(self, missing, sites, seed):
        one = study(missing, sites, seed)
        found = federate(one, binary=True)
        assert_same(found, expected(one, found, binary=True))

    def test_the_offset_matters(self):
        """Ignored or taken from another chromosome, it would show: the truth is not near."""
        one = study(0.0, 3, 1)
        found = federate(one)
        truth = expected(one, found)
        first = slice(0, CHROMOSOMES["1"])
        at_hand = found.tests.chisq[first, 0]
        fits = found.tests.errcode[first, 0] == 0
        for wrong in (0.0, truth.loco["2"], truth.whole):
            chisq = oracle.step_two(one.dosage[first], one.quantitative, one.x, one.site, wrong)[2]
            assert np.abs(chisq - at_hand)[fits].max() > 1.0
        # Other chromosomes explain much of the trait.
        rest = oracle.leftover(one.quantitative, oracle.columns(one.x, one.site, True))
        assert np.corrcoef(truth.loco["1"], rest)[0, 1] > 0.3

    def test_both_kernels(self):
        one = study(0.05, 2, 3)
        ours, reference = federate(one), federate(one, kernels="reference")
        np.testing.assert_allclose(ours.predictions, reference.predictions, rtol=1e-9, atol=1e-12)


class TestFolds:
    def test_contiguous_and_the_rest_goes_to_the_last(self):
        included = np.ones(14, bool)
        included[[2, 9]] = False
        fold = ridge.assign_folds(included, 5)
        assert fold.tolist() == [0, 0, -1, 1, 1, 2, 2, 3, 3, -1, 4, 4, 4, 4]

    def test_fewer_people_than_folds(self):
        assert ridge.assign_folds(np.ones(3, bool), 5).tolist() == [4, 4, 4]
        assert ridge.assign_folds(np.zeros(3, bool), 5).tolist() == [-1, -1, -1]

    def test_people_of_a_small_site_are_in_none(self):
        included = np.ones(14, bool)
        included[[2, 9]] = False
        fold = ridge.assign_folds(included, 5, smallest=13)
        assert fold.tolist() == [5, 5, -1, *[5] * 6, -1, *[5] * 4]
        assert (ridge.assign_folds(included, 5, smallest=12) < 5).all()
        model = linear.design(np.ones((14, 0)), np.ones((14, 1)), site_effects=False)
        people = ridge.folded(model, 5, smallest=15)
        assert not people.fitted.any()
        assert [members.size for members in people.of_sets] == [0, 0, 0, 0, 0, 14]
        sums = ridge.summarize_folds(people)
        assert sums.people.tolist() == [0] * 5
        assert not sums.xx.any()

    def test_given_folds(self):
        model = linear.design(
            np.ones((4, 0)), np.array([[1.0], [np.nan], [2], [3]]), site_effects=True
        )
        people = ridge.folded(model, 2, fold=np.array([1, 0, 0, 1]))
        assert people.fold.tolist() == [1, -1, 0, 1]
        sums = ridge.summarize_folds(people)
        assert sums.people.tolist() == [1, 2]
        assert sums.intercepts == 1


class TestPenalties:
    def test_values(self):
        np.testing.assert_allclose(ridge.penalties(100, (0.01, 0.5)), [9900, 100])
        np.testing.assert_allclose(ridge.liability_penalties(100, (0.5,)), [100 * 3 / np.pi**2])


class TestDegenerate:
    def test_a_chromosome_alone_has_offset_zero(self):
        one = study(0.0, 2, 5)
        model = linear.design(one.x[:, :0], one.quantitative[:, None], site_effects=True)
        people = ridge.folded(model, FOLDS)
        predictions = ridge.Predictions(np.random.default_rng(1).normal(size=(1, 6, PEOPLE)))
        sums = ridge.summarize_level1(people, predictions, np.zeros((0, 1)))
        fit = ridge.solve_level1(sums, ridge.penalties(6, GRID))
        offsets = ridge.leave_one_out(
            people, predictions, fit.weights, fit.centre, np.zeros(6, int), 2
        )
        np.testing.assert_array_equal(offsets.values[0], 0.0)
        np.testing.assert_array_equal(offsets.values[1], offsets.values[2])
        assert np.abs(offsets.values[2]).max() > 0

    def test_a_predictor_that_is_constant_weighs_nothing(self):
        rng = np.random.default_rng(2)
        y = rng.normal(size=(PEOPLE, 1))
        people = ridge.folded(linear.design(np.ones((PEOPLE, 0)), y, site_effects=True), FOLDS)
        z = rng.normal(size=(1, 3, PEOPLE))
        z[0, 1] = 0.7
        sums = ridge.summarize_level1(people, ridge.Predictions(z), np.zeros((0, 1)))
        fit = ridge.solve_level1(sums, ridge.penalties(3, GRID))
        assert (fit.weights[:, 0, 1] == 0).all()
        assert np.isfinite(fit.weights).all()

    def test_rows_that_do_not_vary_weigh_nothing(self):
        one = study(0.0, 1, 8)
        rows = one.blocks[0]
        people = ridge.folded(
            linear.design(one.x - one.x.mean(axis=0), one.quantitative[:, None], site_effects=True),
            FOLDS,
        )
        folds = ridge.summarize_folds(people)
        sums = ridge.summarize_block(simulate.block(one.dosage[rows]), people, BLOCK)
        solved = ridge.solve_block(folds, sums, ridge.penalties(70, GRID))
        for name in ("nobody carries", "all carry twice", "all missing"):
            assert (solved.weights[simulate.SPECIAL_ROWS[name]] == 0).all()
        assert np.abs(solved.weights[simulate.SPECIAL_ROWS["one carrier"]]).min() > 0

    def test_a_fold_without_people_at_a_site(self):
        one = study(0.0, 1, 9)
        few = slice(0, 3)
        people = ridge.folded(
            linear.design(one.x[few], one.quantitative[few, None], site_effects=True), FOLDS
        )
        sums = ridge.summarize_block(simulate.block(one.dosage[:5, few]), people, BLOCK)
        assert (sums.gram[:, :-1] == 0).all()

    def test_nothing_of_a_person_is_an_aggregate(self):
        for kind in (ridge.Predictions, ridge.Offsets, ridge.FoldedDesign):
            assert issubclass(kind, Private)


class TestLogisticRidge:
    def test_separable_cases_converge(self):
        """The penalty keeps effects finite, and a step that overshoots is halved."""
        rng = np.random.default_rng(4)
        z = rng.normal(size=(1, 2, PEOPLE))
        cases = (z[0, 0] > 0).astype(float)
        people = ridge.folded(
            linear.design(np.ones((PEOPLE, 0)), cases[:, None], site_effects=True), FOLDS
        )
        standard = ridge.Standard(np.zeros((1, 2)), np.ones((1, 2)))
        kept, offset = ridge.Predictions(z), np.zeros(PEOPLE)
        information = ridge.summarize_information(people, 0, offset, kept, standard)
        newton = ridge.LogisticRidge(information, np.array([1e-4, 1.0]))
        while not newton.done:
            assert newton.rounds < 80
            asked = newton.unfinished
            newton.absorb(
                ridge.summarize_gradients(
                    people,
                    0,
                    cases,
                    offset,
                    kept,
                    standard,
                    newton.left_out[asked],
                    newton.position[asked],
                )
            )
        effects, _, error = newton.finish(PEOPLE)
        assert np.isfinite(error).all()
        truth = oracle.logistic_ridge(
            z[0][:, people.fold != 0].T, cases[people.fold != 0], 0.0, newton.penalty[0]
        )
        np.testing.assert_allclose(newton.position[0], truth, rtol=1e-8)
        assert effects.shape == (FOLDS, 2)


@pytest.mark.parametrize("traits", [1, 2])
def test_traits_side_by_side(traits):
    """Traits that share their people are fitted in one pass, each by itself."""
    one = study(0.02, 2, 11)
    y = np.column_stack([one.quantitative, one.cases])[:, :traits]
    alone = [
        ridge.folded(linear.design(one.x[:, :0], y[:, [t]], site_effects=True), FOLDS)
        for t in range(traits)
    ]
    both = ridge.folded(linear.design(one.x[:, :0], y, site_effects=True), FOLDS)
    block = simulate.block(one.dosage[one.blocks[0]])

    def predicted(people):
        folds = ridge.summarize_folds(people)
        sums = ridge.summarize_block(block, people, BLOCK)
        return ridge.predict_block(
            block, people, ridge.solve_block(folds, sums, ridge.penalties(70, GRID))
        )

    together = predicted(both)
    for trait, people in enumerate(alone):
        np.testing.assert_allclose(together[:, [trait]], predicted(people), rtol=1e-9, atol=1e-12)
