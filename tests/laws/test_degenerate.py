"""Data that a model cannot use have a defined answer: a test, a reason for none, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.cohort import open_store
from genome_eu.disclosure.policy import load_policy
from genome_eu.errors import TraitError
from genome_eu.federation.carriers.memory import Memory
from genome_eu.federation.coordinator import Federation
from genome_eu.federation.site import Site
from tests import simulate
from tests.cli.conftest import cli
from tests.cli.running import Ran
from tests.cohort.genotype_files import write_plink

__all__ = ["cli"]

PEOPLE, ROWS = 420, 40
STEP_ONE = {"block": 10, "folds": 2, "min_frequency": 0.02, "heritability": (0.05, 0.6)}
#: Every model, with the trait of its kind.
MODELS: dict[str, dict[str, Any]] = {
    "linear": {},
    "linear drop": {"missing": "drop"},
    "wgr": {"model": "wgr", "wgr": STEP_ONE},
    "score": {"model": "logistic", "test": "score"},
    "spa": {"model": "logistic", "test": "spa", "cutoff": 0.5},
    "firth": {"model": "logistic", "test": "firth", "cutoff": 0.5},
    "wald": {"model": "logistic", "test": "wald"},
    "firth-full": {"model": "logistic", "test": "firth-full"},
    "hybrid": {"model": "logistic", "test": "hybrid", "missing": "drop"},
    "wgr binary": {"model": "wgr", "wgr": STEP_ONE | {"binary": True}},
}
QUANTITATIVE = ("linear", "linear drop", "wgr")
every_model = pytest.mark.parametrize("name", MODELS)
#: Carriers are cases, cases are carriers, and a row like the one before.
PARTLY, WHOLLY, FIRST, SECOND = 10, 11, 12, 13
SITE = np.array(list("ABC"))[np.arange(PEOPLE) % 3]
LAST = SITE == "C"


def made(folder: Path, *, separable: bool) -> simulate.SimulatedCohort:
    """Rows and columns that are wrong in one way each, on the last site if on one."""
    dosage = simulate.dosages(ROWS, PEOPLE, 0.02, 5)
    table = simulate.people(dosage, 6)
    case, rng = table["case"].to_numpy().copy(), np.random.default_rng(1)
    if separable:
        dosage[PARTLY] = 0
        dosage[PARTLY, np.flatnonzero(case == 1)[:9]] = 1
        dosage[WHOLLY] = 2 * case
    dosage[SECOND] = dosage[FIRST]
    table["one_sided"] = np.where(LAST, 0.0, case)
    table["flat"] = np.where(LAST, 5.0, table["complete"])
    table["absent_case"] = np.where(LAST, np.nan, case)
    table["absent_complete"] = np.where(LAST, np.nan, table["complete"])
    table["batch"] = np.where(LAST, 1.0, rng.integers(0, 2, PEOPLE))
    table["place"] = LAST.astype(float)
    table["first"] = (SITE == "A").astype(float)
    table["tells"] = np.round(2.0 * case + rng.random(PEOPLE), 3)
    path = simulate.write_store(folder, dosage, table)
    return simulate.SimulatedCohort(dosage, table, open_store(path))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> simulate.SimulatedCohort:
    return made(tmp_path_factory.mktemp("degenerate"), separable=False)


@pytest.fixture(scope="module")
def separable(tmp_path_factory: pytest.TempPathFactory) -> simulate.SimulatedCohort:
    return made(tmp_path_factory.mktemp("separable"), separable=True)


def sites(cohort: simulate.SimulatedCohort, names: str = "ABC") -> Federation:
    """Some of the sites, with the people they have."""
    rules = load_policy("open-data")
    asked = {name: Site(name, cohort.store, rules, people=name == SITE) for name in names}
    return Federation("degenerate", Memory(asked), tuple(asked))


def trait_of(name: str, quantitative: str = "complete", binary: str = "case") -> str:
    return quantitative if name in QUANTITATIVE else binary


class Answer:
    """One trait's columns; a test has numbers, and a row without one has a reason and none."""

    def __init__(self, found: ge.GwasResult) -> None:
        self.prefix = "variant_linreg" if "variant_linreg_beta" in found else "variant_logreg"
        self.found = found
        self.errcode = self.column("errcode").astype(str)
        statistic = "t_value" if self.prefix == "variant_linreg" else "z_value"
        for label in ("beta", "se", statistic, "p_value", "neg_log10_p"):
            np.testing.assert_array_equal(np.isfinite(self.column(label)), self.errcode == ".")

    def column(self, label: str) -> np.ndarray:
        return self.found[f"{self.prefix}_{label}"].values[:, 0]

    def same(self, other: Answer) -> None:
        np.testing.assert_array_equal(self.errcode, other.errcode)
        for label in ("beta", "se", "neg_log10_p"):
            np.testing.assert_allclose(
                self.column(label), other.column(label), rtol=1e-8, atol=1e-10
            )


def ask(asked: Any, name: str, trait: str, covariates: tuple[str, ...] = ("age",)) -> Answer:
    return Answer(asked.gwas(trait, covariates=covariates, **MODELS[name]))


@pytest.fixture(scope="module")
def of_the_others(cohort: simulate.SimulatedCohort) -> Callable[[str], Answer]:
    """What the sites but the last say alone to each model; asked once."""
    return cache(lambda name: ask(sites(cohort, "AB"), name, trait_of(name)))


@every_model
def test_a_row_that_does_not_vary(cohort, name):
    found = ask(sites(cohort), name, trait_of(name))
    still = [simulate.SPECIAL_ROWS[row] for row in ("nobody carries", "all carry twice")]
    assert (found.errcode[still] == "CONST_ALLELE").all()
    # Nobody is left where missing calls are dropped.
    unknown = found.errcode[simulate.SPECIAL_ROWS["all missing"]]
    assert unknown == ("TOO_FEW" if name == "linear drop" else "CONST_ALLELE")
    assert (found.errcode[SECOND:] == ".").all()


@every_model
def test_a_row_that_separates_cases_from_controls(separable, name):
    """Only maximum likelihood has no answer."""
    found = ask(sites(separable), name, trait_of(name))
    expected = ["SEPARATION" if name == "wald" else "."] * 2
    assert found.errcode[[PARTLY, WHOLLY]].tolist() == expected
    if name == "hybrid":
        assert (found.column("method")[[PARTLY, WHOLLY]] == "firth-full").all()


@pytest.mark.parametrize("name", [name for name in MODELS if name not in QUANTITATIVE])
@pytest.mark.parametrize("effects", [True, False])
def test_a_covariate_that_separates_cases_from_controls(cohort, name, effects):
    with pytest.raises(TraitError, match="covariates separate its cases from its controls"):
        sites(cohort).gwas("case", covariates=["tells"], site_effects=effects, **MODELS[name])


@every_model
def test_a_site_without_cases(cohort, of_the_others, name):
    """With an intercept of its own its cases would tell nothing, so it is as if not asked."""
    found = ask(sites(cohort), name, trait_of(name, "flat", "one_sided"))
    if name in QUANTITATIVE:
        # To a linear model a trait that is constant at one site is one like others.
        assert (found.errcode[SECOND:] == ".").all()
        assert found.column("n")[SECOND] > PEOPLE * 2 // 3
        return
    one_sided = "sites without cases or without controls"
    assert f'"{one_sided}": {{"one_sided": 1}}' in found.found.attrs["left_out"]
    if name != "wgr binary":  # whose first step learns from everybody
        found.same(of_the_others(name))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in QUANTITATIVE])
def test_sites_of_which_none_has_both_cases_and_controls(cohort, name):
    with pytest.raises(TraitError, match="cases and 0 controls at|same value for everybody at"):
        sites(cohort).gwas("place", **MODELS[name])


@every_model
def test_a_trait_that_nobody_at_one_site_has(cohort, of_the_others, name):
    trait = trait_of(name, "absent_complete", "absent_case")
    found = ask(sites(cohort), name, trait)
    found.same(of_the_others(name))
    told = json.loads(found.found.attrs["left_out"])
    assert told["sites where nobody has the trait"] == {trait: "C"}


@every_model
def test_a_covariate_that_is_constant_at_one_site(cohort, name):
    """It says nothing there, and is a covariate at the others."""
    found = ask(sites(cohort), name, trait_of(name), ("age", "batch"))
    assert (found.errcode[SECOND:] == ".").all()
    if MODELS[name].get("missing") == "drop":
        # Everybody at one site, with indicators of two of the three.
        pooled = simulate.split(cohort, np.full(PEOPLE, "all"))
        found.same(ask(pooled, name, trait_of(name), ("age", "batch", "place", "first")))


@every_model
def test_a_covariate_that_is_constant_at_every_site(cohort, name):
    with pytest.raises(TraitError, match="same value for everybody at each site|or of the sites"):
        sites(cohort).gwas(trait_of(name), covariates=["place"], **MODELS[name])


def repeated(folder: Path, cohort: simulate.SimulatedCohort, name: str, twice: bool) -> Path:
    """A site's own store, in which the second of two like rows has the name of the first."""
    here = name == SITE
    position = 1000 + 10 * np.arange(ROWS)
    position[SECOND] -= 10 * twice
    table = cohort.people[here]
    variants = [("1", f"v{row}", int(at), "A", "G") for row, at in enumerate(position)]
    people = [(one, one, 0) for one in table.index]
    bed = write_plink(folder / name, people, variants, cohort.dosage[:, here])
    table.to_csv(folder / f"{name}.tsv", sep="\t", na_rep="NA")
    return ge.import_genotypes(bed, folder / f"{name}.vcz", samples=folder / f"{name}.tsv").path


@pytest.fixture(scope="module")
def stores(cohort, tmp_path_factory) -> dict[str, Path]:
    """Three stores, of which the first has a variant twice."""
    folder = tmp_path_factory.mktemp("repeated")
    return {name: repeated(folder, cohort, name, twice=name == "A") for name in "ABC"}


@every_model
def test_a_variant_that_a_site_has_twice(cohort, stores, name):
    """Among sites nobody knows which of the two is meant, so neither is; alone both are tested."""
    rules = load_policy("open-data")
    asked = {site: Site(site, open_store(path), rules) for site, path in stores.items()}
    found = ask(Federation("twice", Memory(asked), tuple(asked)), name, trait_of(name))
    assert 1000 + 10 * FIRST not in found.found["variant_position"].values
    assert '"rows listed twice": 2' in found.found.attrs["left_out"]
    alone = ask(ge.open_cohort(stores["A"]), name, trait_of(name))
    assert alone.errcode.size == ROWS
    assert alone.column("beta")[FIRST] == alone.column("beta")[SECOND]


def test_a_trait_that_one_site_has_no_column_of(cohort, stores, tmp_path):
    table = cohort.people[LAST].drop(columns="complete")
    rest = simulate.write_store(tmp_path, cohort.dosage[:, LAST], table)
    rules = load_policy("open-data")
    asked = {
        "A": Site("A", open_store(stores["A"]), rules),
        "C": Site("C", open_store(rest), rules),
    }
    with pytest.raises(TraitError, match="site C: trait complete is not a column of the sample"):
        Federation("lacking", Memory(asked), tuple(asked)).gwas("complete")


@pytest.fixture
def toml(stores: dict[str, Path], tmp_path: Path) -> Path:
    lines = ['name = "three"']
    for name, store in stores.items():
        lines += ["[[site]]", f'name = "{name}"', f'cohort = "{store}"', 'policy = "open-data"']
    path = tmp_path / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("case", "--covariates", "tells", "--model", "logistic"), "covariates separate its cases"),
        (("place", "--model", "logistic"), "0 cases and 0 controls at the sites that have both"),
        (("place",), "has the same value for everybody at each site"),
        (("complete", "--covariates", "place"), "has the same value for everybody at each site"),
        (("nowhere",), "trait nowhere is not a column of the sample table"),
    ],
)
def test_what_the_command_line_says(cli: Callable[..., Ran], toml, tmp_path, options, said):
    ran = cli("gwas", toml, "--trait", *options, "--out", tmp_path / "out")
    assert ran.code == 3
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_files_say_why_a_row_has_no_test(cli: Callable[..., Ran], toml, tmp_path):
    out = tmp_path / "out"
    asked = ("--trait", "case", "--model", "logistic", "--test", "wald", "--formats", "plink")
    assert cli("gwas", toml, *asked, "--out", out).code == 0
    (path,) = out.glob("gwas.case.glm.*")
    found = pd.read_csv(path, sep="\t", dtype=str, na_filter=False)
    assert set(found["ERRCODE"]) == {".", "CONST_ALLELE", "SEPARATION"}
    assert ((found["P"] == "NA") == (found["ERRCODE"] != ".")).all()
