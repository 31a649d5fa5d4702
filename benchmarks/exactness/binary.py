"""Logistic associations asked of many sites, by every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.associations import FORMULA
from benchmarks.exactness.by_row import logistic_tests
from benchmarks.exactness.pooled import Pooled, condition, with_sites

BINARY = ["balanced", "rare"]
FROM_SCORES = ("score", "spa", "firth")
OF_EVERY_ROW = ("wald", "firth-full", "hybrid")
#: Tests that follow the score test are made of rows with a larger |z|.
CUTOFF = 1.0
#: Frequency of the rarer allele in rows that are fitted with all parameters.
_COMMON = 0.1


def questions() -> Iterator[Question]:
    """All of them."""
    for test in (*FROM_SCORES, *OF_EVERY_ROW):
        yield _one_intercept(f"Logistic, {test}: ", test, thinned=test == "hybrid")
    for test in OF_EVERY_ROW:
        title = f"Logistic, {test}, missing dropped: "
        yield _one_intercept(title, test, missing="drop", thinned=test != "hybrid")
    yield _one_intercept("Logistic, score, covariates by formula: ", "score", FORMULA)
    for test in OF_EVERY_ROW:
        yield _dropped(test)
    for test in ("spa", "firth", *OF_EVERY_ROW):
        yield _at_means(test)
    yield Question("logistic, scores at means of sites", _scores, _scores_pooled)


def settings(test: str, **more: Any) -> dict[str, Any]:
    """Of a logistic GWAS."""
    cutoff = {"cutoff": CUTOFF} if test in ("spa", "firth") else {}
    return {"model": "logistic", "test": test, **cutoff, **more}


def by_trait(title: str, found: xr.Dataset) -> Answers:
    """A line for each trait."""
    names = [str(name) for name in found["trait_id"].values]
    return {f"{title}{name}": found.isel(traits=[place]) for place, name in enumerate(names)}


def _one_intercept(
    title: str, test: str, covariates: Any = COVARIATES, *, thinned: bool = False, **model: Any
) -> Question:
    def ask(at: Asked) -> Answers:
        whole = settings(test, covariates=covariates, **ONE, **model)
        return _asked(title, at.calls, _rows(at, test), whole)

    return Question(title, ask, thinned=thinned)


def _dropped(test: str) -> Question:
    """With an intercept for each site, of which the pooled cohort is told as of a category."""
    title = f"Logistic, {test}, an intercept a site, missing dropped: "
    model = settings(test, missing="drop")

    def ask(at: Asked) -> Answers:
        return _asked(title, at.calls, _rows(at, test), model | {"covariates": COVARIATES})

    def pooled(at: Asked) -> Answers:
        calls, covariates = at.everybody.calls, {"covariates": with_sites(at)}
        return _asked(title, calls, _rows(at, test), model | covariates)

    return Question(title, ask, pooled, thinned=True)


def _at_means(test: str) -> Question:
    """With an intercept for each site and missing calls at its mean: by the oracle, if any are."""
    title = f"Logistic, {test}, an intercept a site, missing at its mean: "

    def rows(at: Asked) -> pd.DataFrame:
        return at.people.calls.rows.iloc[_few(at)] if at.people.missing else _rows(at, test)

    def ask(at: Asked) -> Answers:
        return _asked(title, at.calls, rows(at), settings(test, covariates=COVARIATES))

    def pooled(at: Asked) -> Answers:
        if not at.people.missing:
            model = settings(test, covariates=with_sites(at))
            return _asked(title, at.everybody.calls, rows(at), model)
        here = Pooled.of(at)
        dosage = here.dosage[_few(at)]
        return {
            f"{title}{trait}": logistic_tests(dosage, here.y(trait), here.x, test, CUTOFF)
            for trait in BINARY
        }

    return Question(title, ask, pooled, thinned=True)


def _asked(title: str, calls: Any, rows: pd.DataFrame, model: dict[str, Any]) -> Answers:
    return by_trait(title, calls.on_rows(rows).gwas(BINARY, **model))


def _rows(at: Asked, test: str) -> pd.DataFrame:
    """All, or those whose fits converge; for the hybrid one more, that a single person carries.

    Others may separate cases from controls, which takes all the rounds there are.
    """
    rows = at.people.calls.rows
    if test in FROM_SCORES:
        return rows
    chosen = common(at.people.dosage)
    if test == "hybrid":
        chosen |= np.where(at.people.dosage >= 0, at.people.dosage, 0).sum(axis=1) == 1
    return rows[chosen].reset_index(drop=True)


def _few(at: Asked) -> NDArray[np.int64]:
    """Places of rows that are few enough for the oracle."""
    return np.flatnonzero(common(at.people.dosage))[::4]


def common(dosage: NDArray) -> NDArray[np.bool_]:
    """Rows whose rarer allele is not rare; −1 is a missing call."""
    known = dosage >= 0
    share = np.where(known, dosage, 0).sum(axis=1) / np.maximum(2 * known.sum(axis=1), 1)
    found: NDArray[np.bool_] = np.minimum(share, 1 - share) > _COMMON
    return found


_MEANS = "Logistic, score, an intercept a site, missing at its mean: "
_CONDITIONED = "Logistic, score, conditioned on 2 rows, an intercept a site: "
_ONCE = "Logistic in one round: "


def _scores(at: Asked) -> Answers:
    model = settings("score", covariates=COVARIATES)
    beside = at.calls.gwas(BINARY, condition_on=condition(at), **model)
    return {
        **by_trait(_MEANS, at.calls.gwas(BINARY, **model)),
        **by_trait(_CONDITIONED, beside),
        # A site with two cases cannot fit covariates of its own to the rare trait.
        **by_trait(_ONCE, at.once.gwas(BINARY[:1], **model)),
    }


def _scores_pooled(at: Asked) -> Answers:
    here = Pooled.of(at)
    told: Answers = {}
    for trait in BINARY:
        y = here.y(trait)
        told[f"{_MEANS}{trait}"] = formulas.score_tests(here.dosage, y, here.x, here.varies)
        told[f"{_CONDITIONED}{trait}"] = formulas.score_tests(
            here.dosage, y, here.beside_rows, here.apart
        )
    once = formulas.score_tests(here.dosage, here.y(BINARY[0]), here.within_sites, here.varies)
    return told | {f"{_ONCE}{BINARY[0]}": once}
