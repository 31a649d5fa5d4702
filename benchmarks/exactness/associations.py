"""Associations asked of many sites: linear, logistic, whole-genome regression, meta-analysis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.people import Split

_FORMULA = "age + C(centre) + age:sex + I(birth_year**2)"
_LACKING = ["trait", "some_lack_it", "others_lack_it"]
_BINARY = ["balanced", "rare"]
_EVERY_ROW = ("wald", "firth-full", "hybrid")
#: Tests that follow the score test are made of rows with a larger |z|.
CUTOFF = 1.0
_CONDITION = [5, 50]
#: Frequency of the rarer allele in rows that are fitted with all parameters.
_COMMON = 0.1
_WGR = {"block": 9, "folds": 2, "min_frequency": 0.02, "heritability": (0.05, 0.6)}


def questions() -> Iterator[Question]:
    """All of them."""
    yield from _linear()
    yield from _logistic()
    yield from _regression_of_genomes()
    yield Question("meta", _meta, _meta_pooled)


def _linear() -> Iterator[Question]:
    def question(title: str, traits: Any, covariates: Any = COVARIATES, **model: Any) -> Question:
        def ask(at: Asked) -> Answers:
            return {title: at.calls.gwas(traits, covariates=covariates, **ONE, **model)}

        return Question(title, ask)

    yield question("Linear, missing dropped", "trait", missing="drop")
    yield question("Linear, missing at the mean", "trait")
    yield question("Linear, 3 traits, missing dropped", _LACKING, missing="drop")
    yield question("Linear, 3 traits, missing at the mean", _LACKING)
    yield question("Linear, covariates by formula", "trait", _FORMULA, missing="drop")
    yield question("Linear, log of the trait", "positive", missing="drop", transform="log")

    def dropped(at: Asked) -> Answers:
        model = {"covariates": COVARIATES, "missing": "drop"}
        return {
            dropped_titles[0]: _tested(at.calls.gwas("trait", **model)),
            dropped_titles[1]: _tested(at.once.gwas("trait", **model)),
        }

    def dropped_pooled(at: Asked) -> Answers:
        found = at.everybody.calls.gwas("trait", covariates=_with_sites(at), missing="drop")
        return dict.fromkeys(dropped_titles, _tested(found))

    dropped_titles = ("Linear, an intercept a site, missing dropped", "Linear in one round")
    yield Question("linear, sites", dropped, dropped_pooled)

    plain = "Linear, an intercept a site, missing at its mean"
    beside = "Linear, conditioned on 2 rows, an intercept a site"

    def conditioned(at: Asked) -> Answers:
        rows = at.people.calls.rows.iloc[_CONDITION]
        names = [f"{row.contig}:{row.position}:{row.ref}:{row.alt}" for row in rows.itertuples()]
        model = {"covariates": COVARIATES}
        return {
            plain: at.calls.gwas("trait", **model),
            beside: at.calls.gwas("trait", condition_on=names, **model),
        }

    def conditioned_pooled(at: Asked) -> Answers:
        dosage, x, table = _columns(at)
        more = np.column_stack([x, dosage[_CONDITION].T])
        varies, y = _varies(at), table["trait"].to_numpy()
        apart = varies & ~np.isin(np.arange(len(dosage)), _CONDITION)
        return {
            plain: formulas.least_squares(dosage, y, x, varies),
            beside: formulas.least_squares(dosage, y, more, apart),
        }

    yield Question("linear, means of sites", conditioned, conditioned_pooled)


def _tested(found: Any) -> Any:
    """Without degrees of freedom where there is no test: a site of nobody has no intercept."""
    fits = found["variant_linreg_errcode"] == "."
    return found.assign(variant_linreg_df=found["variant_linreg_df"].where(fits, -1))


def _with_sites(at: Asked) -> str:
    """Covariates with a level for each site."""
    split = at.split or Split(1)
    return " + ".join(COVARIATES) + (f" + C({split.column})" if split.sites > 1 else "")


def _columns(at: Asked) -> tuple[NDArray, NDArray, pd.DataFrame]:
    """Dosages, intercepts and covariates of everybody, and the table of people."""
    table = at.people.table
    dosage = formulas.at_mean_of_site(at.people.dosage, at.site)
    own = formulas.standardized(table, COVARIATES)
    return dosage, np.column_stack([formulas.intercepts(at.site), own]), table


def _varies(at: Asked) -> NDArray[np.bool_]:
    dosage = at.people.dosage
    called = np.where(dosage >= 0, dosage, 0).sum(axis=1)
    return (called > 0) & (called < 2 * (dosage >= 0).sum(axis=1))


def _logistic() -> Iterator[Question]:
    for test in ("score", "spa", "firth", "wald", "firth-full"):
        yield _binary(test, "", ONE)
    for test in ("spa", "firth", "hybrid"):
        yield _binary(test, ", an intercept a site", {}, complete_only=True)
    yield _binary("hybrid", ", missing dropped", ONE | {"missing": "drop"})

    means, once = "Logistic, score, an intercept a site, its means: ", "Logistic in one round: "

    def ask(at: Asked) -> Answers:
        model = {"covariates": COVARIATES, "model": "logistic", "test": "score"}
        found = _by_trait(means, at.calls.gwas(_BINARY, **model))
        return found | _by_trait(once, at.once.gwas(["balanced"], **model))

    def of_everybody(at: Asked) -> Answers:
        dosage, x, table = _columns(at)
        sites, own = formulas.intercepts(at.site), formulas.standardized(table, COVARIATES)
        within = (sites[:, :, None] * own[:, None, :]).reshape(len(own), -1)
        apart, varies = np.column_stack([sites, within]), _varies(at)
        told: Answers = {
            f"{means}{trait}": formulas.score_tests(dosage, table[trait].to_numpy(), x, varies)
            for trait in _BINARY
        }
        y = table["balanced"].to_numpy()
        return told | {f"{once}balanced": formulas.score_tests(dosage, y, apart, varies)}

    yield Question("logistic, means of sites", ask, of_everybody)


def _binary(test: str, how: str, model: dict[str, Any], *, complete_only: bool = False) -> Question:
    title = f"Logistic, {test}{how}: "
    whole = {"model": "logistic", "test": test, **model}
    if test in ("spa", "firth"):
        whole["cutoff"] = CUTOFF

    def of(asked: Any, at: Asked, covariates: Any) -> Answers:
        calls = asked.on_rows(_common_rows(at, test)) if test in _EVERY_ROW else asked
        return _by_trait(title, calls.gwas(_BINARY, covariates=covariates, **whole))

    def ask(at: Asked) -> Answers:
        return of(at.calls, at, COVARIATES)

    def with_levels(at: Asked) -> Answers:
        return of(at.everybody.calls, at, _with_sites(at))

    return Question(title, ask, with_levels if complete_only else None, complete_only)


def _common_rows(at: Asked, test: str) -> pd.DataFrame:
    """Rows whose fits converge; for the hybrid one more, that a single person carries.

    Others may separate cases from controls, which takes all the rounds there are.
    """
    dosage, rows = at.people.dosage, at.people.calls.rows
    copies = np.where(dosage >= 0, dosage, 0).sum(axis=1)
    share = copies / np.maximum(2 * (dosage >= 0).sum(axis=1), 1)
    chosen = np.minimum(share, 1 - share) > _COMMON
    if test == "hybrid":
        chosen |= copies == 1
    return rows[chosen].reset_index(drop=True)


def _by_trait(title: str, found: xr.Dataset) -> Answers:
    """A line for each trait."""
    names = [str(name) for name in found["trait_id"].values]
    return {f"{title}{name}": found.isel(traits=[place]) for place, name in enumerate(names)}


def _regression_of_genomes() -> Iterator[Question]:
    title = "Whole-genome regression"
    beside = f"{title}, an intercept a site"

    def asked_of(asked: Any, at: Asked, trait: str, binary: bool = False, **model: Any) -> Any:
        # A fold of the small site has more people than a block rows, or the model parameters.
        rows = at.people.calls.rows
        rows = rows[rows["contig"].isin(["1", "2"])].iloc[::3].reset_index(drop=True)
        settings = _WGR | {"binary": binary}
        return asked.on_rows(rows).gwas(trait, model="wgr", wgr=settings, **model)

    def ask(at: Asked) -> Answers:
        model: dict[str, Any] = {"covariates": COVARIATES, **ONE}
        followed: dict[str, Any] = model | {"test": "firth", "cutoff": CUTOFF}
        return {
            title: asked_of(at.calls, at, "trait", **model),
            f"{title}, score and firth: balanced": asked_of(
                at.calls, at, "balanced", True, **followed
            ),
        }

    def with_intercepts(at: Asked) -> Answers:
        return {beside: _tested(asked_of(at.calls, at, "trait", covariates=COVARIATES))}

    def with_levels(at: Asked) -> Answers:
        found = asked_of(at.everybody.calls, at, "trait", covariates=_with_sites(at))
        return {beside: _tested(found)}

    yield Question("whole-genome regression", ask)
    yield Question(beside, with_intercepts, with_levels, complete_only=True)


_META = "Meta-analysis of the sites' results, against the closed formula"


def _studies(at: Asked) -> list[Any]:
    """Each site's own GWAS."""
    names = np.unique(at.site)
    if at.split is None or names.size < 2:
        return []
    column, calls = at.split.column, at.people.calls
    model = {"covariates": COVARIATES, "missing": "drop"}
    return [calls.where(**{column: name}).gwas("trait", **model) for name in names]


def _meta(at: Asked) -> Answers:
    from genome_eu import meta_analysis
    from genome_eu.meta import study_of

    found = [study_of(one, f"S{number}") for number, one in enumerate(_studies(at), 1)]
    if not found:
        return {}
    told = meta_analysis(found)
    everywhere = told["variant_meta_n_studies"].values == len(found)
    return {_META: told.isel(variants=everywhere).sortby("variant_position")}


def _meta_pooled(at: Asked) -> Answers:
    found = _studies(at)
    if not found:
        return {}
    beta, se = (
        np.stack([one[f"variant_linreg_{name}"].values[:, 0] for one in found])
        for name in ("beta", "se")
    )
    everywhere = np.isfinite(beta).all(axis=0)
    return {_META: formulas.inverse_variance(beta[:, everywhere], se[:, everywhere])}
