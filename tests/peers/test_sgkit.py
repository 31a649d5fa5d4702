"""sgkit opens the stores that we import, and its own statistics of them agree with ours."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.peers import oracle

pytestmark = pytest.mark.slow

COUNTS = ("n_called", "n_hom_ref", "n_het", "n_hom_alt", "allele_count", "allele_total")


@pytest.fixture(scope="module")
def sgkit():
    # Slow to import, so not at the top.
    return pytest.importorskip("sgkit", reason="needs sgkit")


def test_sgkit_sees_the_genotypes_and_the_people(peer):
    dataset = peer.cohort.dataset()
    assert dataset["sample_id"].values.astype(str).tolist() == list(peer.samples.index)
    some = np.random.default_rng(0).choice(len(peer.dosage), 2000, replace=False)
    some.sort()
    calls = dataset["call_genotype"].isel(variants=some).values
    dosage = np.where((calls < 0).any(axis=2), -1, calls.sum(axis=2))
    assert (dosage == peer.dosage[some]).all()
    rows = peer.cohort.rows
    assert (dataset["variant_position"].values == rows["position"]).all()
    contigs = dataset["contig_id"].values.astype(str)[dataset["variant_contig"].values]
    assert (np.char.replace(contigs, "chr", "") == rows["contig"].to_numpy(str)).all()


def test_variant_stats_agree(peer, sgkit, shown):
    found = sgkit.variant_stats(peer.cohort.dataset())
    different = {
        name: int((found[f"variant_{name}"].values != peer.frequencies[f"variant_{name}"]).sum())
        for name in COUNTS
    }
    errors = {}
    for name in ("call_rate", "allele_frequency"):
        theirs, ours = (one[f"variant_{name}"].values for one in (found, peer.frequencies))
        assert (np.isnan(theirs) == np.isnan(ours)).all()
        errors[name] = float(np.nanmax(np.abs(theirs - ours)))
    shown(
        f"C {peer.name} variant_stats",
        rows=f"{len(peer.dosage):,}",
        different=sum(different.values()),
        **errors,
    )
    assert different == dict.fromkeys(COUNTS, 0)
    # Fractions of the same whole numbers: a rounding apart at most.
    assert max(errors.values()) <= 2e-16


def test_hardy_weinberg_agrees(peer, sgkit, shown):
    found = sgkit.hardy_weinberg_test(peer.cohort.dataset())["variant_hwe_p_value"].values
    log_p = peer.frequencies["variant_hwe_neg_log10_p"].values
    nobody = peer.frequencies["variant_n_called"].values == 0
    assert (np.isnan(log_p) == nobody).all()
    with np.errstate(divide="ignore"):
        theirs = -np.log10(found)
    known = ~nobody
    worst = float((np.abs(theirs - log_p) / np.maximum(1.0, log_p))[known].max())
    shown(
        f"C {peer.name} hardy_weinberg_test",
        rows=f"{int(known.sum()):,}",
        worst=worst,
        strongest=f"{log_p[known].max():.1f}",
    )
    assert worst <= 1e-9


@pytest.mark.parametrize(
    ("name", "traits", "covariates"),
    [
        ("kg_eur", ["pc1", "pc2"], ["sex", "birth_year"]),
        ("geuvadis", None, ["sex", *(f"expr_pc{number}" for number in range(1, 11))]),
    ],
)
def test_linear_regression_agrees(name, traits, covariates, request, sgkit, shown):
    """On complete genotypes, which sgkit's regression needs."""
    peer = request.getfixturevalue(name)
    traits = traits or [column for column in peer.samples if column.startswith("ENSG")][:5]
    numbers = peer.samples.assign(sex=(peer.samples["sex"] == "F").astype(float))
    dataset = peer.cohort.dataset()
    dataset["call_dosage"] = dataset["call_genotype"].sum(dim="ploidy")
    for column in (*traits, *covariates):
        dataset[f"sample_{column}"] = ("samples", numbers[column].to_numpy(float))
    found = sgkit.gwas_linear_regression(
        dataset,
        dosage="call_dosage",
        covariates=[f"sample_{column}" for column in covariates],
        traits=[f"sample_{column}" for column in traits],
        add_intercept=True,
    )
    beta, t, p = (found[f"variant_linreg_{one}"].values for one in ("beta", "t_value", "p_value"))
    ours = peer.cohort.gwas(traits, covariates=covariates)
    fit = ours["variant_linreg_errcode"].values[:, 0] == "."
    mine = {one: ours[f"variant_linreg_{one}"].values[fit] for one in ("beta", "se", "neg_log10_p")}
    theirs = {"beta": beta[fit], "se": beta[fit] / t[fit], "neg_log10_p": -np.log10(p[fit])}
    errors = oracle.distances(mine, theirs)
    shown(
        f"C {peer.name} gwas_linear_regression",
        tests=f"{mine['beta'].size:,}",
        **errors,
        strongest=f"{mine['neg_log10_p'].max():.1f}",
    )
    assert fit.sum() > 0.9 * len(fit)
    assert max(errors.values()) <= 1e-9


def test_no_chunk_without_a_fill_value_is_absent(peer):
    """Zarr 3 may leave out chunks of zeros; Zarr 2 reads those as whatever lies in memory."""
    metadata = json.loads((peer.cohort.path / ".zmetadata").read_text())["metadata"]
    chunks = {}
    for key, array in metadata.items():
        name, _, kind = key.rpartition("/")
        if kind == ".zarray" and array["fill_value"] is None:
            sizes = zip(array["shape"], array["chunks"], strict=True)
            written = [one for one in (peer.cohort.path / name).iterdir() if one.name[0] != "."]
            chunks[name] = (len(written), math.prod(-(-size // chunk) for size, chunk in sizes))
    assert {"call_genotype", "call_genotype_mask", "variant_contig"} <= set(chunks)
    assert {name: pair for name, pair in chunks.items() if pair[0] != pair[1]} == {}
