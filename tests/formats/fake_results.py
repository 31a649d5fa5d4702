"""Invented results with every state a row can be in; nobody's genotypes are behind them."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

CONTIGS = [str(k) for k in range(1, 23)] + ["X", "Y", "MT"]
GROUPS = ["FIN", "TSI", "FIN_F"]


def _rows(rows: int, rng: np.random.Generator, autosomes: int = 22) -> dict:
    contig = np.sort(rng.integers(0, autosomes, rows)).astype(np.int16)
    position = rng.integers(10_000, 100_000_000, rows)
    position = position[np.lexsort((position, contig))].astype(np.int32)
    pairs = np.array([["A", "G"], ["C", "T"], ["G", "GATTACA"], ["T", "C"]], dtype=object)
    names = np.array(
        [f"rs{1000 + k}" if k % 3 else "." for k in range(rows)],
        dtype=object,
    )
    return {
        "variant_contig": ("variants", contig),
        "contig_id": ("contigs", np.array(CONTIGS, dtype=object)),
        "variant_position": ("variants", position),
        "variant_allele": (("variants", "alleles"), pairs[np.arange(rows) % 4]),
        "variant_id": ("variants", names),
    }


ATTRS = {
    "genome_eu_version": "0.1.0",
    "question": "allele frequencies by population and sex",
    "left_out": '{"not in every panel": 12, "duplicated": 1}',
    "sites": ["fi", "it", "es", "uk"],
    "policy": "default",
    "build": "GRCh38",
}


def _counts(people: int, frequency: np.ndarray, rng: np.random.Generator) -> dict:
    missing = rng.binomial(people, 0.01, len(frequency))
    called = people - missing
    alt = rng.binomial(called, frequency**2)
    het = rng.binomial(called - alt, np.clip(2 * frequency / (1 + frequency), 0, 1))
    return {"n_missing": missing, "n_hom_ref": called - alt - het, "n_het": het, "n_hom_alt": alt}


def frequencies(rows: int = 60, groups: list[str] | None = None, seed: int = 0) -> xr.Dataset:
    """Row 3 has withheld genotypes, row 4 withheld alleles too, row 5 nobody called."""
    rng = np.random.default_rng(seed)
    groups = GROUPS if groups is None else groups
    truth = rng.uniform(0.01, 0.99, rows)
    out = xr.Dataset(_rows(rows, rng), attrs=dict(ATTRS))
    each = []
    for _ in range(max(len(groups), 1)):
        shifted = np.clip(truth + rng.normal(0, 0.03, rows), 0.001, 0.999)
        each.append(_counts(120, shifted, rng))
    total = {name: sum(part[name] for part in each) for name in each[0]}
    _add(out, "variant", {k: np.asarray(v)[:, None] for k, v in total.items()}, rng)
    if groups:
        _add(out, "cohort", {k: np.stack([p[k] for p in each], 1) for k in total}, rng)
        out["cohort_id"] = ("cohorts", np.array(groups, dtype=object))
    _add_sites_and_grpmax(out, groups, rng)
    called, missing = out.variant_n_called.values, out.variant_n_missing.values
    with np.errstate(invalid="ignore"):
        rate = np.where(called < 0, np.nan, called / (called + missing))
    out["variant_call_rate"] = ("variants", rate)
    return out


def _add(out: xr.Dataset, prefix: str, counts: dict, rng: np.random.Generator) -> None:
    counts = {name: values.astype(np.int64) for name, values in counts.items()}
    people = sum(counts.values())
    rows = len(people)
    if rows > 5:
        for name in counts:
            counts[name][5] = people[5] if name == "n_missing" else 0
    called = people - counts["n_missing"]
    number = 2 * called
    alt = counts["n_het"] + 2 * counts["n_hom_alt"]
    both = np.stack([number - alt, alt], -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency = np.where(number[..., None] > 0, both / number[..., None], np.nan)
    p = np.where(called > 0, rng.uniform(1e-5, 1, called.shape), np.nan)
    exact = -np.log10(p)
    if rows > 6:
        p[6], exact[6] = 0.0, 400.25
    genotype = np.zeros(called.shape, bool)
    genotype[3:5] = True
    allele = np.zeros(called.shape, bool)
    allele[4:5] = True
    counts["n_called"] = called
    for values in counts.values():
        values[genotype] = -1
    both[allele], number[allele], frequency[allele] = -1, -1, np.nan
    p[genotype] = exact[genotype] = np.nan

    wide = prefix == "cohort"
    dims = ("variants", "cohorts") if wide else ("variants",)

    def put(name: str, values: np.ndarray, *more: str) -> None:
        out[f"{prefix}_{name}"] = ((*dims, *more), values if wide else values[:, 0])

    for name, values in counts.items():
        put(name, values)
    put("allele_count", both, "alleles")
    put("allele_total", number)
    put("allele_frequency", frequency, "alleles")
    put("hwe_p_value", p)
    put("hwe_neg_log10_p", exact)
    put("allele_withheld", allele)
    put("genotype_withheld", genotype)
    put("inbreeding_coefficient", np.where(genotype, np.nan, rng.normal(0, 0.1, called.shape)))
    for name in ("faf95", "faf99"):
        put(name, np.where(allele, np.nan, rng.uniform(0, 0.5, called.shape)))


def _add_sites_and_grpmax(out: xr.Dataset, groups: list[str], rng: np.random.Generator) -> None:
    withheld = out["variant_allele_withheld"].values
    for state in ("observed", "hom_ref", "not_called", "suppressed"):
        sites = rng.integers(0, 4, withheld.size)
        out[f"variant_n_sites_{state}"] = ("variants", sites)
    for name in ("grpmax_faf95", "grpmax_faf99") if groups else ():
        highest = np.where(withheld, np.nan, rng.uniform(0, 0.5, withheld.size))
        whose = np.array([*groups, ""], dtype=object)[
            rng.integers(0, len(groups) + 1, len(highest))
        ]
        out[f"variant_{name}"] = ("variants", highest)
        out[f"variant_{name}_group"] = ("variants", whose)


def gwas(rows: int = 60, traits: tuple[str, ...] = ("ldl", "bmi"), seed: int = 0) -> xr.Dataset:
    """Row 2 is monomorphic, row 4 withheld, row 6 has p = 10^-400.25."""
    rng = np.random.default_rng(seed)
    shape = (rows, len(traits))
    se = rng.uniform(0.02, 0.3, shape)
    t = rng.normal(size=shape)
    p = rng.uniform(1e-6, 1, shape)
    exact = -np.log10(p)
    n = np.full(shape, 480, np.int64)
    df = np.full(shape, 470.0)
    code = np.full(shape, ".", dtype=object)
    frequency = rng.uniform(0.01, 0.99, rows)
    beta = t * se
    for row, why in ((2, "CONST_ALLELE"), (4, "WITHHELD")):
        if rows > row:
            code[row] = why
            for values in (beta, se, t, p, exact, df):
                values[row] = np.nan
    if rows > 6:
        n[4], frequency[4] = -1, np.nan
        p[6], exact[6], t[6] = 0.0, 400.25, 60.0
    out = xr.Dataset(
        _rows(rows, rng), attrs={**ATTRS, "question": json.dumps({"ask": "gwas", "covariates": []})}
    )
    for name, values in (
        ("beta", beta),
        ("se", se),
        ("t_value", t),
        ("p_value", p),
        ("neg_log10_p", exact),
        ("n", n),
        ("df", df),
        ("errcode", code),
    ):
        out[f"variant_linreg_{name}"] = (("variants", "traits"), values)
    shared = np.repeat(frequency[:, None], len(traits), axis=1)
    out["variant_linreg_allele_frequency"] = (("variants", "traits"), shared)
    out["trait_id"] = ("traits", np.array(traits, dtype=object))
    return out


def logistic(rows: int = 60, traits: tuple[str, ...] = ("t2d", "ibd"), seed: int = 0) -> xr.Dataset:
    """As `gwas`; every third row is from a penalized fit."""
    linear = gwas(rows, traits, seed)
    out = linear.drop_vars([name for name in linear if str(name).startswith("variant_linreg")])
    code = linear["variant_linreg_errcode"].values
    method = np.full(code.shape, "score", dtype=object)
    method[::3] = "firth"
    method[code != "."] = "none"
    for name in ("beta", "se", "p_value", "neg_log10_p", "n", "allele_frequency", "errcode"):
        out[f"variant_logreg_{name}"] = linear[f"variant_linreg_{name}"]
    n, frequency = (linear[f"variant_linreg_{name}"].values for name in ("n", "allele_frequency"))
    cases = np.where(n < 0, -1, n // 4)
    for name, values in (
        ("z_value", linear["variant_linreg_t_value"].values),
        ("n_cases", cases),
        ("n_controls", np.where(n < 0, -1, n - cases)),
        ("allele_frequency_cases", frequency * 0.9),
        ("allele_frequency_controls", frequency),
        ("method", method),
    ):
        out[f"variant_logreg_{name}"] = (("variants", "traits"), values)
    return out


def pca(rows: int = 60, components: int = 4, people: int = 0, seed: int = 0) -> xr.Dataset:
    """A federation's result, or a cohort's if there are `people`."""
    rng = np.random.default_rng(seed)
    loadings = np.linalg.qr(rng.normal(size=(rows, components)))[0]
    out = xr.Dataset(_rows(rows, rng), attrs={**ATTRS, "question": "principal components"})
    out.attrs.update(pca_id="pca-7f3a", rows_used=rows, rows_total=rows, rounds=3, residual=1e-9)
    out["sample_pca_component"] = (("variants", "components"), loadings)
    out["sample_pca_explained_variance"] = ("components", np.sort(rng.random(components))[::-1])
    out["variant_reference_frequency"] = ("variants", rng.uniform(0.05, 0.5, rows))
    if people:
        scores = np.linalg.qr(rng.normal(size=(people, components)))[0]
        out["sample_id"] = ("samples", np.array([f"PERSON{k}" for k in range(people)], object))
        out["sample_pca_projection"] = (("samples", "components"), scores)
    else:
        out["site_id"] = ("sites", np.array(ATTRS["sites"], dtype=object))
        out["site_pca_mean"] = (("sites", "components"), rng.normal(size=(4, components)) / 20)
        out["site_n"] = ("sites", np.array([99, 107, 105, 91]))
    return out


def shards(dataset: xr.Dataset, size: int = 17) -> list[xr.Dataset]:
    """The rows in consecutive pieces, as a streamed result arrives."""
    rows = dataset.sizes["variants"]
    return [dataset.isel(variants=slice(k, k + size)) for k in range(0, rows, size)]
