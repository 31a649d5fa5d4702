"""Everything that can be asked of many sites, but for associations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.exactness import associations
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.people import Split

_COMPONENTS = 3
_ALLELES = 20


def questions() -> Iterator[Question]:
    """All of them."""
    yield Question("frequencies", _frequencies)
    yield Question("between sites", _between_sites, _between_sites_pooled)
    yield Question("frequencies once", lambda at: {_ONCE: _own(at.once.frequencies())})
    yield Question("limits on rows", _limits)
    yield Question("quality of rows", _row_quality, _row_quality_pooled)
    yield Question("pca", _pca)
    yield Question("ld", _ld)
    yield Question("scores", _scores)
    yield from associations.questions()
    yield from _other_rows()


_ONCE = "Frequencies in one round"


def _frequencies(at: Asked) -> Answers:
    found = at.calls.frequencies(by=["region", "sex"])
    counts = ("_n_", "allele", "call_rate", "withheld")
    spectra = found.spectra(_ALLELES)
    return {
        "Allele and genotype counts, call rates, by group": _some(found, *counts),
        "Hardy–Weinberg tests": _some(found, "hwe"),
        "FAF 95 and 99, grpmax and its group": _some(found, "faf"),
        "Inbreeding coefficients": _some(found, "inbreeding"),
        "F_ST of groups": found.fst(),
        "Private and shared variants of groups": found.sharing(),
        "Site-frequency spectra of groups": spectra,
    }


def _own(found: xr.Dataset) -> xr.Dataset:
    """Without what is told of single sites."""
    return _some(found, "variant_")


def _some(found: xr.Dataset, *parts: str) -> xr.Dataset:
    """The variables with one of these in their names; of how many sites, no cohort can tell."""
    names = [
        name
        for name in map(str, found.data_vars)
        if any(part in name for part in parts) and not name.startswith("variant_n_sites")
    ]
    return found[names]


def _between_sites(at: Asked) -> Answers:
    return _between(at.calls.frequencies(by_site=True), "sites")


def _between_sites_pooled(at: Asked) -> Answers:
    column = (at.split or Split(1)).column
    return _between(at.everybody.calls.frequencies(by=column), "groups")


def _between(found: Any, among: str) -> Answers:
    told: Answers = {
        "Private and shared variants of sites": found.sharing(among),
        "Site-frequency spectra of sites": found.spectra(_ALLELES, among),
    }
    apart = found.fst(among)
    return told | ({"F_ST of sites": apart} if len(apart) else {})


def _limits(at: Asked) -> Answers:
    limits = {"min_call_rate": 0.85, "min_maf": 0.05, "hwe": 1e-3, "hwe_by": ["sex"]}
    found = at.calls.filtered({"variants": limits}).frequencies()
    return {"Limits on rows (call rate, MAF, HWE by group)": _own(found)}


_QUALITY = "Quality of rows, against `qc` of one cohort"


def _row_quality(at: Asked) -> Answers:
    found = at.calls.frequencies(by="sex")
    frequency = found["variant_allele_frequency"].values[:, 1]
    kept = found[["variant_call_rate", "variant_hwe_neg_log10_p", "cohort_hwe_neg_log10_p"]]
    rarer = ("variants", np.minimum(frequency, 1.0 - frequency))
    return {_QUALITY: kept.assign(variant_minor_allele_frequency=rarer)}


def _row_quality_pooled(at: Asked) -> Answers:
    found = at.everybody.calls.qc({"variants": {"hwe": 1e-300, "hwe_by": ["sex"]}})
    names = ("call_rate", "hwe_neg_log10_p", "minor_allele_frequency")
    told = found[[*(f"variant_{name}" for name in names), "cohort_hwe_neg_log10_p"]]
    return {_QUALITY: told}


def _pca(at: Asked) -> Answers:
    found = at.calls.pca(_COMPONENTS)
    adjusted = at.calls.gwas("trait", covariates=COVARIATES, pcs=found, **ONE)
    scores = at.people.calls.project(found)
    return {
        "PCA: eigenvalues": found[["sample_pca_explained_variance"]],
        "PCA: loadings and frequencies": found[
            ["sample_pca_component", "variant_reference_frequency"]
        ],
        "PCA: projected people": scores[["sample_pca_projection"]],
        "Linear, components as covariates": adjusted,
    }


def _ld(at: Asked) -> Answers:
    gwas = at.people.calls.gwas("trait", covariates=COVARIATES)
    from genome_eu.stats.ld import ClumpRule

    rule = ClumpRule(p1=0.01, p2=0.1, r2=0.2, kb=20)
    return {
        "LD pruning by kb, the rows kept": at.calls.prune("30kb", r2=0.2),
        "LD pruning by rows, the rows kept": at.calls.prune(10, r2=0.3, step=3),
        "Clumps": at.calls.clump(gwas, rule=rule),
    }


def _scores(at: Asked) -> Answers:
    from genome_eu.formats.weights import Weights

    rows = at.people.calls.rows
    swapped = np.arange(len(rows)) % 3 == 0
    lines = pd.DataFrame(
        {
            "contig": rows["contig"].astype(str),
            "position": rows["position"],
            "effect_allele": np.where(swapped, rows["ref"], rows["alt"]),
            "other_allele": np.where(swapped, rows["alt"], rows["ref"]),
        }
    )
    weights = np.random.default_rng(1).standard_normal((len(rows), 2))
    told = {}
    for missing in ("mean", "zero"):
        found = at.calls.score(Weights(lines, weights, ("a", "b")), by="sex", missing=missing)
        names = [name for name in found.data_vars if not str(name).startswith("sample_")]
        told[f"Score distributions, missing at {missing}"] = found[names]
    return told


def _other_rows() -> Iterator[Question]:
    def haploid(at: Asked) -> Answers:
        model = {"covariates": ["age"], **ONE}
        told: Answers = {
            "X, Y, MT: counts, HWE, by sex": _some(
                at.haploid.frequencies(by="sex"), "variant_", "cohort_"
            ),
            "X, Y, MT: linear, missing dropped": at.haploid.gwas("trait", missing="drop", **model),
            "X, Y, MT: linear, missing at the mean, males 0/1": at.haploid.gwas(
                "trait", x_males="0/1", **model
            ),
        }
        for test in ("firth", "wald"):
            cutoff = {"cutoff": associations.CUTOFF} if test == "firth" else {}
            told[f"X, Y, MT: logistic, {test}: balanced"] = at.haploid.gwas(
                "balanced", model="logistic", test=test, **cutoff, **model
            )
        return told

    yield Question("haploid", haploid)

    def imputed(at: Asked) -> Answers:
        model = {"covariates": COVARIATES, "dosages": True, **ONE}
        return {
            "Dosages: frequencies, imputation r²": at.imputed.dosage_frequencies(),
            "Dosages: linear, missing dropped": at.imputed.gwas("trait", missing="drop", **model),
            "Dosages: linear, missing at the mean": at.imputed.gwas("trait", **model),
            "Dosages: linear, limits on r² and MAF": at.imputed.gwas(
                "trait", min_info=0.5, min_maf=0.05, **model
            ),
        }

    yield Question("imputed", imputed)

    def harmonized(at: Asked) -> Answers:
        found = at.harmonized.frequencies(panel="intersection")
        model = {"covariates": COVARIATES, "missing": "drop", **ONE}
        eigenvalues = at.harmonized.pca(_COMPONENTS)
        return {
            "Harmonized panel: frequencies": _own(found),
            "Harmonized panel: linear": at.harmonized.gwas("trait", **model),
            "Harmonized panel: eigenvalues": eigenvalues[["sample_pca_explained_variance"]],
        }

    yield Question("harmonized", harmonized)
