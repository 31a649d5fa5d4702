"""What every carrier does, whatever it is made of. Each carrier's test class inherits this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import genome_eu as ge
from genome_eu.errors import BadInput, Refused
from genome_eu.federation.coordinator import Federation
from tests.federation.policies import floors_file
from tests.federation.small_sites import Made

SITES = ("ES", "FI", "IT")


def assert_same_numbers(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Every variable, bit by bit."""
    assert set(found.variables) == set(expected.variables)
    for name, variable in expected.variables.items():
        got = found[name]
        assert got.dims == variable.dims, name
        if variable.dtype.kind == "O":
            assert got.values.tolist() == variable.values.tolist(), name
        else:
            assert got.values.tobytes() == np.ascontiguousarray(variable.values).tobytes(), name


class CarrierContract:
    """Inherited by the tests of each carrier, which say how it is opened."""

    def opened(
        self, made: dict[str, Made], folder: Path, policy: Path
    ) -> AbstractContextManager[Federation]:
        raise NotImplementedError

    @pytest.fixture
    def eu(self, made, tmp_path) -> Iterator[Federation]:
        """The federation, under floors that nobody has to be asked about."""
        with self.opened(made, tmp_path, floors_file(tmp_path)) as eu:
            yield eu

    @pytest.mark.slow
    def test_all_questions_give_the_same_numbers(self, eu, made, tmp_path):
        cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
        expected = ge.federate(cohorts, policy=floors_file(tmp_path))
        assert_same_numbers(eu.pca(2), expected.pca(2))
        assert_same_numbers(eu.frequencies(["sex"]), expected.frequencies(["sex"]))
        for options in ({"missing": "mean"}, {"missing": "drop", "site_effects": False}):
            assert_same_numbers(
                eu.gwas(["ldl", "crp"], covariates=["age", "sex"], **options),
                expected.gwas(["ldl", "crp"], covariates=["age", "sex"], **options),
            )

    def test_answers_are_those_of_the_airlock(self, eu):
        run, _ = eu.frequency_shards("sex")
        assert {item["site"] for item in run.releases} == set(SITES)
        assert run.policies == ["floors"]
        for item in run.releases:
            assert item["bytes"] > 0
            assert {check["check"] for check in item["checks"]} >= {"people"}

    @pytest.mark.parametrize(
        ("trait", "covariates", "match"),
        [
            ("sparse", [], r"site (ES|FI|IT).*fewer than 10 people"),
            ("one_person", [], r"site (ES|FI|IT).*class of fewer than 5 people"),
            ("ldl", ["one_person"], r"site (ES|FI|IT).*class of fewer than 5 people"),
            ("ldl", ["age", "age_but_one"], r"site (ES|FI|IT).*leverage of more than 0.5"),
        ],
    )
    def test_a_refusal_reaches_the_coordinator(self, eu, trait, covariates, match):
        with pytest.raises(Refused, match=match) as refusal:
            eu.gwas(trait, covariates=covariates)
        assert refusal.value.exit_code == 4

    @pytest.mark.parametrize(
        ("trait", "match"),
        [
            ("nope", r"site (ES|FI|IT).*trait nope is not a column of the sample table"),
            ("words", r"site (ES|FI|IT).*trait words is not numeric"),
        ],
    )
    def test_bad_input_names_the_site(self, eu, trait, match):
        with pytest.raises(BadInput, match=match) as wrong:
            eu.gwas(trait)
        assert wrong.value.exit_code == 3

    def test_a_refused_question_does_not_hinder_the_next(self, eu):
        with pytest.raises(Refused):
            eu.gwas("sparse")
        assert eu.gwas("ldl").sizes["variants"] > 0
