"""REGENIE's published example: 500 simulated people, 1,000 rows, all on chromosome 1.

The files are of version 1.0.6.7. Its step 1 has penalties M/h at level 0 and for a quantitative
trait at level 1, where versions from 2.0 on (and `ridge.penalties`) have M(1 − h)/h; and with fewer
than 5,000 people, binary traits are cross-validated leaving out one person at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from genome_eu.stats import linear, ridge
from tests import simulate
from tests.oracles import ridge as oracle

PEOPLE, ROWS, BLOCK = 500, 1000, 100


@dataclass(frozen=True)
class Example:
    """The example's files as arrays."""

    folder: Path

    @cached_property
    def dosage(self) -> np.ndarray:
        """Copies of the first allele of the .bim, (rows, people); nobody lacks a call."""
        packed = np.fromfile(self.folder / "example.bed", np.uint8)[3:].reshape(ROWS, -1)
        codes = (packed[:, :, None] >> np.arange(0, 8, 2)) & 3
        return np.array([2, -1, 1, 0])[codes.reshape(ROWS, -1)[:, :PEOPLE]]

    @cached_property
    def covariates(self) -> np.ndarray:
        return np.loadtxt(self.folder / "covariates.txt", skiprows=1)[:, 2:]

    def trait(self, name: str) -> np.ndarray:
        return np.loadtxt(self.folder / name, skiprows=1)[:, 2]

    def loco(self, name: str) -> np.ndarray:
        """Predictions beside each chromosome (23, people), in the order of the .fam."""
        header, *lines = (line.split() for line in (self.folder / name).read_text().splitlines())
        of = {person: place for place, person in enumerate(header[1:])}
        fam = (line.split()[:2] for line in (self.folder / "example.fam").read_text().splitlines())
        order = [of["_".join(person)] for person in fam]
        return np.array([[float(line[1:][place]) for place in order] for line in lines])

    def table(self, name: str) -> list[dict[str, str]]:
        header, *lines = (line.split() for line in (self.folder / name).read_text().splitlines())
        return [dict(zip(header, line, strict=True)) for line in lines]

    def design(self, trait: np.ndarray) -> linear.Design:
        """The linear model, the trait in units of what the covariates leave of it."""
        rest = oracle.leftover(trait, np.column_stack([np.ones(PEOPLE), self.covariates]))
        scale = np.sqrt(rest @ rest / (PEOPLE - 1))
        return linear.design(self.covariates, (trait / scale)[:, None], site_effects=True)

    def level0(self, people: ridge.FoldedDesign, penalty: np.ndarray) -> ridge.Predictions:
        folds = ridge.summarize_folds(people)
        parts = []
        for start in range(0, ROWS, BLOCK):
            block = simulate.block(self.dosage[start : start + BLOCK])
            sums = ridge.summarize_block(block, people, BLOCK)
            solved = ridge.solve_block(folds, sums, penalty)
            parts.append(ridge.predict_block(block, people, solved).swapaxes(0, 1))
        return ridge.Predictions(np.concatenate(parts, axis=1))


@pytest.fixture(scope="module")
def example(shared_data: Path) -> Example:
    return Example(shared_data / "regenie_example")


def older(columns: int) -> np.ndarray:
    """The penalties of REGENIE 1."""
    return columns / np.array(ridge.GRID)


def prediction(example: Example, of_rows, of_predictors) -> np.ndarray:
    """The whole prediction of the quantitative trait, (people,), in 5 folds."""
    people = ridge.folded(example.design(example.trait("phenotype.txt")))
    predictions = example.level0(people, of_rows(ROWS))
    effects = ridge.covariate_effects(ridge.summarize_folds(people))
    sums = ridge.summarize_level1(people, predictions, effects)
    columns = predictions.values.shape[1]
    fit = ridge.solve_level1(sums, of_predictors(columns))
    offsets = ridge.leave_one_out(
        people, predictions, fit.weights, fit.centre, np.zeros(columns, int), 2
    )
    np.testing.assert_array_equal(offsets.values[0], 0.0)
    return offsets.values[1, 0]


class TestQuantitative:
    def test_step_one_to_the_printed_digits(self, example):
        loco = example.loco("fit_lin_out_1.loco")
        found = prediction(example, older, older)
        np.testing.assert_array_equal(loco[0], 0.0)
        # Six digits of numbers up to about 1.
        for row in loco[1:]:
            np.testing.assert_allclose(found, row, rtol=5e-6, atol=5e-7)
            assert np.corrcoef(found, row)[0, 1] > 1 - 1e-9

    def test_step_one_with_todays_penalties_is_near(self, example):
        found = prediction(example, ridge.penalties, ridge.penalties)
        seen = np.corrcoef(found, example.loco("fit_lin_out_1.loco")[1])[0, 1]
        assert 0.96 < seen < 0.98

    def test_step_two_to_the_printed_digits(self, example):
        trait = example.trait("phenotype.txt")
        model = example.design(trait)
        people = ridge.folded(model)
        effects = ridge.covariate_effects(ridge.summarize_folds(people))
        offsets = ridge.Offsets(example.loco("fit_lin_out_1.loco")[:, None])
        left = ridge.residuals(model, effects, offsets)
        residuals = ridge.summarize_residuals(model, left)
        places = np.zeros(ROWS, int)
        block = simulate.block(example.dosage)
        sums = ridge.summarize_score(block, places, model, left)
        scale = trait.std() / (model.y.std())
        found = ridge.finalize(residuals, places, sums, np.array([scale]))
        lines = example.table("test_lin_out_Y1.regenie")
        assert len(lines) == ROWS
        # REGENIE's effect allele is the second of the .bim.
        columns = {
            "A1FREQ": 1 - found.allele_frequency,
            "BETA": -found.beta,
            "SE": found.se,
            "CHISQ": found.chisq,
            "LOG10P": found.neg_log10_p,
        }
        for name, values in columns.items():
            printed = [f"{value:.6g}" for value in values[:, 0]]
            assert printed == [line[name] for line in lines], name


@pytest.mark.slow
def test_binary_step_one_leaving_out_one_person_at_a_time(example):
    """REGENIE takes one step from the fit of all towards that without the person; we refit."""
    cases = example.trait("phenotype_bin.txt")
    model = example.design(cases)
    people = ridge.folded(model, PEOPLE, fold=np.arange(PEOPLE))
    predictions = example.level0(people, older(ROWS))
    moments = ridge.summarize_moments(people, predictions)
    standard = ridge.standardize(PEOPLE, moments.z, moments.square)
    offset = oracle.null_offset(np.column_stack([np.ones(PEOPLE), example.covariates]), cases)
    columns = predictions.values.shape[1]
    # What their log chooses: the strongest penalty.
    penalty = ridge.liability_penalties(columns, ridge.GRID[:1])
    information = ridge.summarize_information(people, 0, offset, predictions, standard)
    newton = ridge.LogisticRidge(information, penalty)
    while not newton.done:
        asked = newton.unfinished
        newton.absorb(
            ridge.summarize_gradients(
                people,
                0,
                cases,
                offset,
                predictions,
                standard,
                newton.left_out[asked],
                newton.position[asked],
            )
        )
    fit = ridge.logistic_fit(standard, [newton.finish(PEOPLE)])
    offsets = ridge.leave_one_out(
        people, predictions, fit.weights, fit.centre, np.zeros(columns, int), 2
    )
    loco = example.loco("fit_bin_out_1.loco")
    np.testing.assert_array_equal(loco[0], 0.0)
    for row in loco[1:]:
        assert np.corrcoef(offsets.values[1, 0], row)[0, 1] > 0.9999
        np.testing.assert_allclose(offsets.values[1, 0], row, atol=2e-3)
