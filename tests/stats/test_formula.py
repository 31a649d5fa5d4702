from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genome_eu.errors import TraitError, UsageError
from genome_eu.federation.formula_text import is_formula, parse
from genome_eu.stats import formula
from genome_eu.stats.formula import Factor, Term

RNG = np.random.default_rng(1)
TABLE = pd.DataFrame(
    {
        "age": RNG.uniform(20, 80, 80),
        "bmi": RNG.uniform(18, 35, 80),
        "sex": RNG.integers(1, 3, 80).astype(float),
        "batch": RNG.choice(["b1", "b2", "b3"], 80),
        "centre": RNG.choice(["x", "y"], 80),
    }
)
LEVELS = {"batch": ("b1", "b2", "b3"), "centre": ("x", "y")}


def columns(text, table=TABLE, levels=LEVELS):
    terms = parse(text)
    numbers = {name: table[name].to_numpy(float) for name in formula.number_columns(terms)}
    categories = {name: table[name].to_numpy(object) for name in formula.category_columns(terms)}
    used = {name: levels[name] for name in categories}
    found = formula.design_columns(terms, used, numbers, categories)
    assert found.shape == (len(table), len(formula.column_names(terms, used)))
    return found


def same_span(one, other):
    """Whether two matrices span the same space together with an intercept, and neither repeats."""
    one, other = (np.column_stack([np.ones(len(m)), m]) for m in (one, other))
    ranks = [np.linalg.matrix_rank(m) for m in (one, other, np.hstack([one, other]))]
    return ranks == [one.shape[1]] * 3 and one.shape[1] == other.shape[1]


class TestAgainstFormulaic:
    @pytest.mark.parametrize(
        "text",
        [
            "age",
            "age + sex",
            "age * sex",
            "age + I(age**2) + log(bmi)",
            "C(batch)",
            "age + C(batch)",
            "age:C(batch)",
            "age * C(batch)",
            "C(batch) * C(centre)",
            "C(batch):C(centre)",
            "C(batch) + C(batch):C(centre)",
            "C(batch):C(centre) + age:C(batch):C(centre)",
            "age:C(batch) + bmi:C(batch):C(centre)",
            "(age + sex + bmi)^2",
            "age * C(batch) * C(centre) - age:C(batch):C(centre)",
            "I(log(bmi)**2) + sqrt(age):sex",
        ],
    )
    def test_the_same_model(self, text):
        from formulaic import model_matrix

        theirs = model_matrix(text, TABLE, context={"log": np.log, "sqrt": np.sqrt})
        theirs = np.asarray(theirs, float)[:, 1:]
        assert same_span(columns(text), theirs)

    @pytest.mark.parametrize("text", ["age + sex + C(batch)", "age * C(batch)", "age + I(age**2)"])
    def test_the_very_columns(self, text):
        from formulaic import model_matrix

        theirs = np.asarray(model_matrix(text, TABLE), float)[:, 1:]
        np.testing.assert_allclose(columns(text), theirs, rtol=1e-15)


class TestNames:
    def test_columns_have_names(self):
        terms = parse("age + C(batch) + age:C(centre) + I(age**2)")
        assert formula.column_names(terms, LEVELS) == [
            "age",
            "C(batch)[b2]",
            "C(batch)[b3]",
            "I(age**2)",
            "age:C(centre)[y]",
        ]

    def test_columns_of_the_table_that_are_used(self):
        terms = parse("age + C(batch) + age:C(centre) + log(bmi)")
        assert formula.number_columns(terms) == ("age", "bmi")
        assert formula.category_columns(terms) == ("batch", "centre")

    def test_what_is_a_formula(self):
        assert not any(map(is_formula, ["age", "age,sex", "PC-1", "birth_year"]))
        assert all(map(is_formula, ["age+sex", "C(batch)", "a:b", "age*sex"]))


class TestLevels:
    def test_the_most_common_is_the_reference(self):
        assert formula.agreed_levels({"b": 5, "a": 3, "c": 9}, "x") == ("c", "a", "b")

    def test_equally_common_levels_are_taken_in_order(self):
        assert formula.agreed_levels({"b": 5, "a": 5}, "x") == ("a", "b")

    def test_a_category_needs_two(self):
        with pytest.raises(TraitError, match="has 1 level that may be named"):
            formula.agreed_levels({"b": 5}, "x")

    def test_people_of_other_levels_and_of_none_are_missing(self):
        table = TABLE.assign(batch=["b9", "", *TABLE["batch"][2:]])
        found = columns("age + C(batch)", table)
        assert np.isnan(found[:2, 1:]).all()
        assert not np.isnan(found[2:]).any()
        assert not np.isnan(found[:, 0]).any()

    def test_a_level_that_a_site_does_not_have_is_a_column_of_zeros(self):
        table = TABLE.assign(batch="b2")
        found = columns("C(batch)", table)
        np.testing.assert_array_equal(found, np.tile([1.0, 0.0], (80, 1)))


class TestRefused:
    @pytest.mark.parametrize(
        "text",
        [
            "age + __import__('os').system('true')",
            "age + exec(x)",
            "age + np.log(age)",
            "log(age + bmi)",
            "I(age / 2)",
            "age.real",
            "{age + 1}",
            "`odd name`",
            "age[0]",
            "C(batch, contr.sum)",
            "I(age**2.5)",
            "I(age**10)",
            "lambda: age",
            "log(log)(age)",
            "bs(age, df=3)",
        ],
    )
    def test_what_is_no_column_category_power_or_function(self, text):
        with pytest.raises(UsageError, match="formula"):
            parse(text)

    @pytest.mark.parametrize("text", ["age - 1", "0 + age", "-1 + C(batch)"])
    def test_the_intercept_stays(self, text):
        with pytest.raises(UsageError, match="intercept is part of the model"):
            parse(text)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("ldl ~ age", "one side"),
            ("age | sex", "one side"),
            ("age +", "is not a formula"),
            ("(age", "is not a formula"),
            ("1", "names no covariate"),
            ("a:b:c:d:e", "at most"),
            ("+".join(f"x{j}" for j in range(101)), "at most"),
        ],
    )
    def test_what_is_no_formula_of_covariates(self, text, message):
        with pytest.raises(UsageError, match=message):
            parse(text)

    def test_terms_that_came_another_way_are_checked_too(self):
        with pytest.raises(UsageError, match="no function sin"):
            Factor("age", function="sin")
        with pytest.raises(UsageError, match="powers"):
            Factor("age", power=50)
        with pytest.raises(UsageError, match="have no function"):
            Factor("batch", category=True, function="log")
        age, sex = Factor("age"), Factor("sex")
        with pytest.raises(UsageError, match="twice"):
            formula.checked([Term((age, sex)), Term((sex, age))])


class TestValues:
    def test_a_function_without_a_value(self):
        table = TABLE.assign(bmi=[0.0, *TABLE["bmi"][1:]])
        with pytest.raises(TraitError, match=r"log\(bmi\) has no value"):
            columns("log(bmi)", table)

    def test_missing_stays_missing(self):
        table = TABLE.assign(age=[np.nan, *TABLE["age"][1:]])
        found = columns("log(age) + age:sex + sex", table)
        np.testing.assert_array_equal(np.isnan(found[0]), [True, False, True])
        assert not np.isnan(found[1:]).any()
