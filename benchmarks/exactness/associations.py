"""Linear associations asked of many sites, and meta-analyses of what each site found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks.exactness import formulas
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.pooled import Pooled, condition, with_sites

#: Categories, an interaction and a square.
FORMULA = "age + C(centre) + age:sex + I(birth_year**2)"
_LACKING = ["trait", "some_lack_it", "others_lack_it"]


def questions() -> Iterator[Question]:
    """All of them."""
    yield _question("Linear, missing dropped", "trait", missing="drop")
    yield _question("Linear, missing at the mean", "trait")
    yield _question("Linear, 3 traits, missing dropped", _LACKING, missing="drop")
    yield _question("Linear, 3 traits, missing at the mean", _LACKING)
    yield _question("Linear, covariates by formula", "trait", FORMULA, missing="drop")
    yield _question("Linear, log of the trait", "positive", missing="drop", transform="log")
    yield Question("linear, sites", _dropped, _dropped_pooled)
    yield Question("linear, means of sites", _means, _means_pooled)
    yield Question("meta", _meta, _meta_pooled)


def _question(title: str, traits: Any, covariates: Any = COVARIATES, **model: Any) -> Question:
    def ask(at: Asked) -> Answers:
        found = at.calls.gwas(traits, covariates=covariates, **ONE, **model)
        if title != _INFLATED:
            return {title: found}
        return {title: found, "λ and quantiles of p-values": inflation(found)}

    return Question(title, ask)


_INFLATED = "Linear, 3 traits, missing at the mean"


def inflation(found: Any) -> pd.DataFrame:
    """λ, its like at p = 0.01, and quantiles of p-values, a line for each trait."""
    lines = []
    for summary in found.inflation().values():
        quantiles = {f"quantile_{place}": pair[1] for place, pair in enumerate(summary.pop("qq"))}
        lines.append(summary | quantiles)
    return pd.DataFrame(lines)


def tested(found: Any) -> Any:
    """Without degrees of freedom where there is no test: a site of nobody has no intercept."""
    fits = found["variant_linreg_errcode"] == "."
    return found.assign(variant_linreg_df=found["variant_linreg_df"].where(fits, -1))


_DROPPED = "Linear, an intercept a site, missing dropped"
_DROPPED_ONCE = "Linear in one round"


def _dropped(at: Asked) -> Answers:
    model = {"covariates": COVARIATES, "missing": "drop"}
    return {
        _DROPPED: tested(at.calls.gwas("trait", **model)),
        _DROPPED_ONCE: tested(at.once.gwas("trait", **model)),
    }


def _dropped_pooled(at: Asked) -> Answers:
    found = at.everybody.calls.gwas("trait", covariates=with_sites(at), missing="drop")
    return dict.fromkeys((_DROPPED, _DROPPED_ONCE), tested(found))


_MEANS = "Linear, an intercept a site, missing at its mean"
_CONDITIONED = "Linear, conditioned on 2 rows, an intercept a site"


def _means(at: Asked) -> Answers:
    model = {"covariates": COVARIATES}
    return {
        _MEANS: at.calls.gwas("trait", **model),
        _CONDITIONED: at.calls.gwas("trait", condition_on=condition(at), **model),
    }


def _means_pooled(at: Asked) -> Answers:
    here = Pooled.of(at)
    dosage, y = here.dosage, here.y("trait")
    return {
        _MEANS: formulas.least_squares(dosage, y, here.x, here.varies),
        _CONDITIONED: formulas.least_squares(dosage, y, here.beside_rows, here.apart),
    }


_META = "Meta-analysis of the sites' results"
_SCHEMES: dict[str, Literal["ivw", "samplesize"]] = {
    "fixed and random effects, Q, I²": "ivw",
    "by numbers of people": "samplesize",
}


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
    answers: Answers = {}
    for title, scheme in _SCHEMES.items():
        told = meta_analysis(found, scheme=scheme)
        everywhere = told["variant_meta_n_studies"].values == len(found)
        answers[f"{_META}: {title}"] = told.isel(variants=everywhere).sortby("variant_position")
    return answers


def _meta_pooled(at: Asked) -> Answers:
    found = _studies(at)
    if not found:
        return {}
    beta, se, t, df, n = (
        np.stack([one[f"variant_linreg_{name}"].values[:, 0] for one in found]).astype(float)
        for name in ("beta", "se", "t_value", "df", "n")
    )
    everywhere = np.isfinite(beta).all(axis=0)
    beta, se, t, df, n = (one[:, everywhere] for one in (beta, se, t, df, n))
    pooled = (formulas.combined(beta, se), formulas.by_people(t, df, n))
    return {f"{_META}: {title}": one for title, one in zip(_SCHEMES, pooled, strict=True)}
