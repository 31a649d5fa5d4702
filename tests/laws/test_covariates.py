"""Formulas, conditioned rows and transforms: the pooled regression on the columns they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from genome_eu.errors import GenomeEuError, PanelError
from tests import simulate
from tests.laws.splits import block_sizes, law, rates, sites
from tests.laws.test_linear import assert_is
from tests.oracles import linear as oracle
from tests.stats.test_transform import naive_rint

#: A site answers with as many people as the model has parameters.
SMALLEST_SITE = 14
FORMULA = "age + C(centre) + age:sex + I(birth_year**2) + log(age):C(sex)"


def row_name(row: int) -> str:
    return f"{1 + 2 * row // 60}:{1000 + 10 * row}:G:A"


def formula_columns(cohort):
    """The columns of `FORMULA`, or others that span the same with the intercept."""
    age, sex, year = (cohort.column(name) for name in ("age", "sex", "birth_year"))
    centre = cohort.people["centre"].to_numpy()
    women = (cohort.people["sex"] == "F").to_numpy()
    levels = [centre == level for level in ("south", "west")]
    logs = [np.log(age) * women, np.log(age) * ~women]
    return np.column_stack([age, *levels, age * sex, year**2 - 1960.0**2, *logs]).astype(float)


def imputed(dosage, site):
    """A row with each site's own mean in place of its missing calls."""
    values = dosage.astype(float)
    for name in np.unique(site):
        here = site == name
        values[here & (dosage < 0)] = dosage[here & (dosage >= 0)].mean()
    return values


@pytest.mark.parametrize("site_effects", [True, False])
@given(rate=rates, site=sites(least=SMALLEST_SITE), block_size=block_sizes)
@law
def test_a_formula_stands_for_its_columns(cohort_with, site_effects, rate, site, block_size):
    cohort = cohort_with(rate)
    federation = simulate.split(cohort, site, block_size=block_size)
    found = federation.gwas("complete", covariates=FORMULA, site_effects=site_effects)
    x = formula_columns(cohort)
    y = cohort.column("complete")
    expected = oracle.fit(cohort.dosage, y, x, site, site_effects=site_effects)
    assert_is(found, 0, expected)


@pytest.mark.parametrize("site_effects", [True, False])
@given(rate=rates, site=sites(least=SMALLEST_SITE))
@law
def test_conditioned_rows_are_covariates(cohort_with, site_effects, rate, site):
    cohort = cohort_with(rate)
    rows = (7, 40)
    federation = simulate.split(cohort, site)
    ask = {"covariates": "age", "condition_on": [row_name(row) for row in rows]}
    several = np.unique(site).size > 1
    if several and not site_effects and (cohort.dosage[list(rows)] < 0).any():
        # A site knows its own mean, and the pooled people have another.
        with pytest.raises(PanelError, match="missing calls at this site, and only with site eff"):
            federation.gwas("complete", site_effects=False, **ask)
        return
    found = federation.gwas("complete", site_effects=site_effects, **ask)
    columns = [cohort.column("age"), *(imputed(cohort.dosage[row], site) for row in rows)]
    expected = oracle.fit(
        cohort.dosage,
        cohort.column("complete"),
        np.column_stack(columns),
        site,
        site_effects=site_effects,
    )
    assert (found["variant_linreg_errcode"].values[list(rows), 0] == "VIF_INFINITE").all()
    assert_is(found, 0, expected)


@given(rate=rates, site=sites(least=SMALLEST_SITE))
@law
def test_ranks_are_those_at_each_site(cohort_with, rate, site):
    cohort = cohort_with(rate)
    found = simulate.split(cohort, site).gwas(
        ["complete", "some_lack_it"], covariates="age", transform="rint"
    )
    for place, trait in enumerate(("complete", "some_lack_it")):
        y = cohort.column(trait).copy()
        for name in np.unique(site):
            y[site == name] = naive_rint(y[site == name])
        expected = oracle.fit(cohort.dosage, y, cohort.columns(["age"]), site)
        assert_is(found, place, expected)


class TestWhatCannotBe:
    site = np.array(["A", "B"])[np.arange(110) % 2]

    @pytest.fixture
    def federation(self, cohort_with):
        return simulate.split(cohort_with(0.0), self.site)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"covariates": "age + C(complete)"}, "both a trait and a covariate"),
            ({"covariates": "age + C(nowhere)"}, "nowhere is not a column"),
            ({"covariates": "age + C(birth_year):nowhere"}, "nowhere is not a column"),
            ({"covariates": "age + age:C(centre) + centre"}, "centre is not numeric"),
            ({"covariates": "C(some_lack_it)"}, "has fractions"),
            ({"covariates": "age + sex + C(sex)"}, r"C\(sex\)\[M\] is a combination of"),
            ({"covariates": "exec(age) + sex"}, "cannot be|no function"),
            ({"condition_on": "1:99:A:G"}, "1:99:A:G is not a row that this site lists"),
            ({"condition_on": "rs123"}, "does not name a row"),
            ({"condition_on": row_name(2)}, "nobody is called"),
            ({"transform": "cube"}, "no transform .cube."),
        ],
    )
    def test_questions_without_an_answer(self, federation, options, message):
        with pytest.raises(GenomeEuError, match=message):
            federation.gwas("complete", **options)
