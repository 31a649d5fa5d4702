"""Everything that can be asked of many sites, but for associations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.exactness import associations, binary, genomes, other_rows
from benchmarks.exactness.asked import COVARIATES, ONE, Answers, Asked, Question
from benchmarks.exactness.people import Split
from benchmarks.exactness.selected import own, some, weights, without_people

_COMPONENTS = 3
_ALLELES = 20


def questions() -> Iterator[Question]:
    """All of them."""
    yield Question("frequencies", _frequencies)
    yield Question("between sites", _between_sites, _between_sites_pooled)
    yield Question("frequencies once", lambda at: {_ONCE: own(at.once.frequencies())})
    yield Question("limits", _limits)
    yield Question("quality of rows", _row_quality, _row_quality_pooled)
    yield Question("pca", _pca)
    yield Question("ld", _ld)
    yield Question("scores", _scores)
    for more in (associations, binary, genomes, other_rows):
        yield from more.questions()


_ONCE = "Frequencies in one round"


def _frequencies(at: Asked) -> Answers:
    found = at.calls.frequencies(by=["region", "sex"])
    counts = ("_n_", "allele", "call_rate", "withheld")
    spectra = found.spectra(_ALLELES)
    return {
        "Allele and genotype counts, call rates, by group": some(found, *counts),
        "Hardy–Weinberg tests": some(found, "hwe"),
        "FAF 95 and 99, grpmax and its group": some(found, "faf"),
        "Inbreeding coefficients": some(found, "inbreeding"),
        "F_ST of groups": found.fst(),
        "Private and shared variants of groups": found.sharing(),
        "Site-frequency spectra of groups": spectra,
    }


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
    # Of missing calls, so many that about half of the people have more.
    people = at.calls.filtered({"people": {"min_call_rate": 0.994 - at.people.missing}})
    return {
        "Limits on rows (call rate, MAF, HWE by group)": own(found),
        "Limits on people (call rate)": own(people.frequencies()),
    }


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
    model = {"covariates": COVARIATES, "pcs": found, **ONE}
    scores = at.people.calls.project(found)
    return {
        "PCA: eigenvalues": found[["sample_pca_explained_variance"]],
        "PCA: loadings and frequencies": found[
            ["sample_pca_component", "variant_reference_frequency"]
        ],
        "PCA: projected people": scores[["sample_pca_projection"]],
        "Linear, components as covariates": at.calls.gwas("trait", **model),
        **binary.by_trait(
            "Logistic, score, components as covariates: ",
            at.calls.gwas(binary.BINARY, **binary.settings("score", **model)),
        ),
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
    told: Answers = {}
    for missing in ("mean", "zero"):
        found = at.calls.score(weights(at), by="sex", missing=missing)
        told[f"Score distributions, missing at {missing}"] = without_people(found)
    return told
