"""Whole-genome regressions asked of many sites, and the folds of everybody that are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.binary import BINARY, CUTOFF, by_trait
from benchmarks.exactness.by_row import beside_chromosomes, linear_tests, logistic_tests
from benchmarks.exactness.people import SMALL
from benchmarks.exactness.pooled import Pooled

_SETTINGS = {"block": 9, "folds": 2, "min_frequency": 0.02, "heritability": (0.05, 0.6)}
#: Of 24 cases each has three.
_TOO_MANY_SITES = 7
_TITLE = "Whole-genome regression"


def questions() -> Iterator[Question]:
    """All of them."""
    yield Question(_TITLE, _one_intercept)
    yield Question("whole-genome regression, rare", _rare, _rare_pooled, thinned=True)
    yield Question("whole-genome regression, sites", _with_intercepts, _pooled, thinned=True)
    yield Question("whole-genome regression, dosages", _dosages, thinned=True)


def _places(at: Asked) -> NDArray[np.int64]:
    """Rows of two chromosomes; a fold of the small site has more people than a block has rows."""
    contigs = at.people.calls.rows["contig"].to_numpy()
    return np.flatnonzero(np.isin(contigs, ["1", "2"]))[::3]


def _ask(at: Asked, trait: Any, covariates: Any = COVARIATES, **model: Any) -> Any:
    rows = at.people.calls.rows.iloc[_places(at)].reset_index(drop=True)
    return at.calls.on_rows(rows).gwas(trait, model="wgr", covariates=covariates, **model)


def _one_intercept(at: Asked) -> Answers:
    binary = _ask(at, BINARY[:1], wgr=_BINARY, test="firth", cutoff=CUTOFF, **ONE)
    return {
        _TITLE: _ask(at, "trait", wgr=_SETTINGS, **ONE),
        **by_trait(f"{_TITLE}, score and firth: ", binary),
    }


_BINARY = _SETTINGS | {"binary": True}
#: The small site fits nothing, and takes part beside what the weights of others predict.
_PREDICTED = _SETTINGS | {"smallest_site": 2 * SMALL}
_RARE_SETTINGS = _PREDICTED | {"binary": True}
_RARE = f"{_TITLE}, score and firth, small sites predicted for only: "
_MEANS = f"{_TITLE}, an intercept a site"
_LEFT = f"{_TITLE}, an intercept a site, small sites predicted for only"


def _rare(at: Asked) -> Answers:
    if not _have_cases(at):
        return {}
    firth = {"test": "firth", "cutoff": CUTOFF, **ONE}
    return by_trait(_RARE, _ask(at, BINARY[1:], wgr=_RARE_SETTINGS, **firth))


def _rare_pooled(at: Asked) -> Answers:
    if not _have_cases(at):
        return {}
    here, places = Pooled.of(at), _places(at)
    everywhere = np.zeros(len(at.site))
    calls, rows = at.people.dosage[places], at.people.calls.rows.iloc[places]
    y, known = here.y(BINARY[1]), (here.covariates, at.site, _RARE_SETTINGS)
    beside = beside_chromosomes(calls, rows, y, *known, site_effects=False)
    dosage = formulas.at_mean_of_site(calls, everywhere)
    x = np.column_stack([formulas.intercepts(everywhere), here.covariates])
    return {f"{_RARE}{BINARY[1]}": logistic_tests(dosage, y, x, "firth", CUTOFF, beside)}


def _have_cases(at: Asked) -> bool:
    """Whether a fold of a site has more cases of the rare trait than predictors: or it refuses."""
    return at.split is None or at.split.sites < _TOO_MANY_SITES


def _with_intercepts(at: Asked) -> Answers:
    firth = _ask(at, BINARY[:1], wgr=_BINARY, test="firth", cutoff=CUTOFF)
    # The sites have kept the predictions of step 1.
    again = {"id": firth.attrs["wgr_id"], "binary": True}
    spa = _ask(at, BINARY[:1], wgr=again, test="spa", cutoff=CUTOFF)
    return {
        _MEANS: _ask(at, "trait", wgr=_SETTINGS),
        _LEFT: _ask(at, "trait", wgr=_PREDICTED),
        **by_trait(f"{_MEANS}, score and firth: ", firth),
        **by_trait(f"{_MEANS}, score and spa: ", spa),
    }


def _pooled(at: Asked) -> Answers:
    here, places = Pooled.of(at), _places(at)
    calls, rows = at.people.dosage[places], at.people.calls.rows.iloc[places]
    known = (here.covariates, at.site)
    told: Answers = {}
    for title, settings in ((_MEANS, _SETTINGS), (_LEFT, _PREDICTED)):
        y = here.y("trait")
        beside = beside_chromosomes(calls, rows, y, *known, settings)
        told[title] = linear_tests(calls, y, *known, beside)
    y = here.y(BINARY[0])
    beside = beside_chromosomes(calls, rows, y, *known, _BINARY)
    for test in ("firth", "spa"):
        tests = logistic_tests(here.dosage[places], y, here.x, test, CUTOFF, beside)
        told[f"{_MEANS}, score and {test}: {BINARY[0]}"] = tests
    return told


def _dosages(at: Asked) -> Answers:
    """Step 1 is of hard calls, step 2 of dosages."""
    rows = at.people.imputed.rows.iloc[::2].reset_index(drop=True)
    imputed, model = at.imputed.on_rows(rows), {"model": "wgr", "dosages": True, **ONE}
    model["covariates"] = COVARIATES
    followed = {"wgr": _BINARY, "test": "firth", "cutoff": CUTOFF}
    binary = imputed.gwas(BINARY[:1], **model, **followed)
    return {
        "Dosages: whole-genome regression": imputed.gwas("trait", wgr=_SETTINGS, **model),
        **by_trait("Dosages: whole-genome regression, score and firth: ", binary),
    }
