"""Questions of X, Y and MT, of dosages, and of stores that have written their rows otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.associations import tested
from benchmarks.exactness.binary import (
    BINARY,
    FROM_SCORES,
    OF_EVERY_ROW,
    by_trait,
    common,
    settings,
)
from benchmarks.exactness.pooled import Pooled, condition, with_sites
from benchmarks.exactness.selected import own, some, weights, without_people

_COMPONENTS = 3
#: Missing calls stay at the mean in all tests but these.
_DROPPED = ("firth-full", "hybrid")


def questions() -> Iterator[Question]:
    """All of them."""
    yield Question("haploid", _haploid)
    yield Question("haploid, sites", _haploid_sites, _haploid_sites_pooled)
    for test in (*FROM_SCORES, *OF_EVERY_ROW):
        yield _haploid_logistic(test)
    yield Question("imputed", _imputed)
    yield Question("imputed, sites", _imputed_sites, _imputed_sites_pooled)
    for test in (*FROM_SCORES, *OF_EVERY_ROW):
        yield _imputed_logistic(test)
    yield Question("harmonized", _harmonized)


def _haploid(at: Asked) -> Answers:
    model = {"covariates": ["age"], **ONE}
    asked, once = at.haploid, "X, Y, MT: linear, missing at the mean, males 0/1"
    return {
        "X, Y, MT: counts, HWE, by sex": some(asked.frequencies(by="sex"), "variant_", "cohort_"),
        "X, Y, MT: linear, missing dropped": asked.gwas("trait", missing="drop", **model),
        once: asked.gwas("trait", x_males="0/1", **model),
    }


_HAPLOID_SITES = "X, Y, MT: linear, an intercept a site, missing dropped"


def _haploid_sites(at: Asked) -> Answers:
    found = at.haploid.gwas("trait", covariates=["age"], missing="drop")
    return {_HAPLOID_SITES: tested(found)}


def _haploid_sites_pooled(at: Asked) -> Answers:
    model: dict[str, Any] = {"covariates": with_sites(at, "age"), "missing": "drop"}
    found = at.everybody.haploid.gwas("trait", **model)
    return {_HAPLOID_SITES: tested(found)}


def _haploid_logistic(test: str) -> Question:
    """Each kind of row has rounds of its own, and each trait its own of most tests."""
    title = f"X, Y, MT: logistic, {test}: "
    traits = BINARY if test in ("score", "firth") else BINARY[:1]

    def ask(at: Asked) -> Answers:
        model = settings(test, covariates=["age"], **ONE)
        return by_trait(title, at.haploid.gwas(traits, **model))

    return Question(title, ask, thinned=True)


def _imputed(at: Asked) -> Answers:
    model = {"covariates": COVARIATES, "dosages": True, **ONE}
    limits = {"min_info": 0.5, "min_maf": 0.05}
    return {
        "Dosages: frequencies, imputation r²": at.imputed.dosage_frequencies(),
        "Dosages: linear, missing dropped": at.imputed.gwas("trait", missing="drop", **model),
        "Dosages: linear, missing at the mean": at.imputed.gwas("trait", **model),
        "Dosages: linear, limits on r² and MAF": at.imputed.gwas("trait", **limits, **model),
    }


_IMPUTED_DROPPED = "Dosages: linear, an intercept a site, missing dropped"
_IMPUTED_MEANS = "Dosages: linear, an intercept a site, missing at its mean"
_IMPUTED_BESIDE = "Dosages: linear, conditioned on 2 rows, an intercept a site"
_IMPUTED_SCORES = "Dosages: logistic, score, an intercept a site, missing at its mean: "


def _imputed_sites(at: Asked) -> Answers:
    model: dict[str, Any] = {"covariates": COVARIATES, "dosages": True}
    dropped = at.imputed.gwas("trait", missing="drop", **model)
    return {
        _IMPUTED_DROPPED: tested(dropped),
        _IMPUTED_MEANS: at.imputed.gwas("trait", **model),
        _IMPUTED_BESIDE: at.imputed.gwas("trait", condition_on=condition(at), **model),
        **by_trait(_IMPUTED_SCORES, at.imputed.gwas(BINARY, **settings("score", **model))),
    }


def _imputed_sites_pooled(at: Asked) -> Answers:
    model: dict[str, Any] = {"covariates": with_sites(at), "dosages": True}
    dropped = at.everybody.imputed.gwas("trait", missing="drop", **model)
    here = Pooled(at, formulas.at_mean_of_site(at.people.imputed_dosage, at.site))
    y, varies = here.y("trait"), np.ptp(here.dosage, axis=1) > 0
    told: Answers = {
        f"{_IMPUTED_SCORES}{trait}": formulas.score_tests(
            here.dosage, here.y(trait), here.x, varies
        )
        for trait in BINARY
    }
    return told | {
        _IMPUTED_DROPPED: tested(dropped),
        _IMPUTED_MEANS: formulas.least_squares(here.dosage, y, here.x, varies),
        _IMPUTED_BESIDE: formulas.least_squares(here.dosage, y, here.beside_rows, here.apart),
    }


def _imputed_logistic(test: str) -> Question:
    """Fits of all parameters are of every other row whose rarer allele is not rare."""
    missing = "drop" if test in _DROPPED else "mean"
    title = (
        f"Dosages: logistic, {test}, missing {'dropped' if missing == 'drop' else 'at the mean'}: "
    )

    def ask(at: Asked) -> Answers:
        model = settings(test, covariates=COVARIATES, dosages=True, missing=missing, **ONE)
        rows = at.people.imputed.rows
        if test in OF_EVERY_ROW:
            rows = rows[common(at.people.imputed_dosage)].iloc[::2].reset_index(drop=True)
        return by_trait(title, at.imputed.on_rows(rows).gwas(BINARY, **model))

    return Question(title, ask, thinned=True)


def _harmonized(at: Asked) -> Answers:
    found = at.harmonized.frequencies(panel="intersection")
    eigenvalues = at.harmonized.pca(_COMPONENTS)
    model = {"covariates": COVARIATES, **ONE}
    score = at.harmonized.score(weights(at), missing="mean")
    return {
        "Harmonized panel: frequencies": own(found),
        "Harmonized panel: linear": at.harmonized.gwas("trait", missing="drop", **model),
        "Harmonized panel: logistic, score": at.harmonized.gwas(
            "rare", **settings("score", **model)
        ),
        "Harmonized panel: eigenvalues": eigenvalues[["sample_pca_explained_variance"]],
        "Harmonized panel: LD pruning, the rows kept": at.harmonized.prune("30kb", r2=0.2),
        "Harmonized panel: score distribution": without_people(score),
    }
