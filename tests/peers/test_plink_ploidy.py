"""X, Y, MT and sites with several ALTs beside PLINK 2, on simulated genotypes.

What agrees in every printed digit: genotype counts by ploidy, allele frequencies and Hardy–Weinberg
tests (that on X with males included) of every ALT, and linear regression in every kind of rows.
PLINK counts a heterozygous call of somebody haploid as missing in `--geno-counts` and `--hardy`,
but as half a copy in `--freq` and `--glm`; here it is missing everywhere, so the latter two are
compared on data without such calls. Nor is it missing to PLINK 2.00a3.5 in the lines of `.hardy.x`
that are of a third allele; and of sites on X with several ALTs, its `.gcount` has some males with
the second of them as missing, whom its own `.hardy.x` counts: X is compared with the latter.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.formats.folder import FrequencyFiles
from tests import sex_contigs
from tests.peers.plink import needs_plink2, plink2, table, units_apart

pytestmark = needs_plink2


def as_pgen(simulated, folder, *dosage):
    """The simulated VCF in PLINK's own format, with sexes and pseudo-autosomal regions."""
    codes = {"M": "1", "F": "2", "unknown": "NA"}
    psam = folder / "sim.psam"
    lines = ["#IID\tSEX"] + [
        f"{person}\t{codes[sex]}" for person, sex in simulated.people["sex"].items()
    ]
    psam.write_text("\n".join(lines) + "\n")
    return plink2(
        *(
            "--vcf",
            simulated.vcf,
            *dosage,
            "--psam",
            psam,
            "--split-par",
            "hg38",
            "--allow-extra-chr",
        ),
        # PLINK counts the pseudo-autosomal regions of Y, which here are those of X, as Y.
        *("--chr", "1-22,X,Y,MT,PAR1,PAR2", "--exclude", _pseudoautosomal_y(simulated, folder)),
        "--make-pgen",
        out=folder / "sim",
    )


def _pseudoautosomal_y(simulated, folder):
    path = folder / "exclude.txt"
    undefined = np.flatnonzero(simulated.sites["kind"].isna())
    path.write_text("".join(f"s{site}\n" for site in undefined))
    return path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Sites with up to three ALTs; some haploid calls have two alleles."""
    folder = tmp_path_factory.mktemp("several")
    return sex_contigs.simulate(folder, people=120, seed=11, unknown=0, wrong=0.04)


@pytest.fixture(scope="module")
def possible(tmp_path_factory):
    """The same without calls that could not be."""
    folder = tmp_path_factory.mktemp("possible")
    return sex_contigs.simulate(folder, people=120, seed=13, unknown=0, wrong=0.0)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """One ALT a site, no call that could not be, and people without a sex."""
    folder = tmp_path_factory.mktemp("clean")
    return sex_contigs.simulate(folder, people=120, seed=12, unknown=3, wrong=0.0, most_alts=1)


def frequencies(simulated):
    return ge.open_cohort(simulated.store.path).frequencies()


def by_row(simulated, peer: pd.DataFrame):
    """PLINK's line of each row, with the number of its ALT."""
    lines = peer.set_index("ID")
    return [(alt, kind, lines.loc[f"s{site}"]) for site, alt, kind in simulated.rows]


def genotypes_of_alt(line, alt: int) -> list[int]:
    """People with 0, 1 and 2 copies of an ALT, and haploid ones with 0 and 1, from PLINK's line."""
    hom_ref, hap_ref = int(line["HOM_REF_CT"]), int(line["HAP_REF_CT"])
    hets = [int(one) for one in line["HET_REF_ALT_CTS"].split(",")]
    pairs = [int(one) for one in line["TWO_ALT_GENO_CTS"].split(",")]
    single = [int(one) for one in line["HAP_ALT_CTS"].split(",")]
    copies = [hom_ref, 0, 0]
    for number, people in enumerate(hets, start=1):
        copies[number == alt] += people
    # Pairs of ALTs, the second one first: 1/1, 1/2, 2/2, 1/3 and so on.
    order = [(a, b) for b in range(1, len(hets) + 1) for a in range(1, b + 1)]
    for (a, b), people in zip(order, pairs, strict=True):
        copies[(a == alt) + (b == alt)] += people
    of_alt = single[alt - 1]
    return [*copies, hap_ref + sum(single) - of_alt, of_alt]


def test_genotype_counts(simulated, tmp_path):
    data = as_pgen(simulated, tmp_path)
    peer = table(plink2("--pfile", data, "--geno-counts", out=data).with_suffix(".gcount"))
    found = frequencies(simulated)
    names = ("n_hom_ref", "n_het", "n_hom_alt", "n_hap_ref", "n_hap_alt")
    ours = np.stack([found[f"variant_{name}"].values for name in names], axis=1)
    missing = found["variant_n_missing"].values
    compared = set()
    for row, (alt, kind, line) in enumerate(by_row(simulated, peer)):
        if kind == "x" and "," in line["ALT"]:
            continue
        assert ours[row].tolist() == genotypes_of_alt(line, alt), row
        assert missing[row] == int(line["MISSING_CT"])
        compared.add((kind, line["ALT"].count(",")))
    assert {(kind, 2) for kind in ("diploid", "y", "mt")} | {("x", 0)} <= compared


def test_genotype_counts_with_people_of_unknown_sex(clean, tmp_path):
    data = as_pgen(clean, tmp_path)
    peer = plink2("--pfile", data, "--geno-counts", out=data).with_suffix(".gcount")
    with FrequencyFiles(tmp_path / "ours", ("plink",)) as files:
        files.append(frequencies(clean))
    theirs, ours = table(peer), table(tmp_path / "ours" / "frequencies.gcount")
    counts = [name for name in theirs if name.endswith(("_CT", "_CTS"))]
    assert len(counts) == 6
    pd.testing.assert_frame_equal(ours[["ID", *counts]], theirs[["ID", *counts]])


def test_allele_frequencies(clean, tmp_path):
    data = as_pgen(clean, tmp_path)
    peer = table(plink2("--pfile", data, "--freq", out=data).with_suffix(".afreq"))
    with FrequencyFiles(tmp_path / "ours", ("plink",)) as files:
        files.append(frequencies(clean))
    ours = table(tmp_path / "ours" / "frequencies.afreq")
    assert ours["OBS_CT"].tolist() == peer["OBS_CT"].tolist()
    assert ours["ALT_FREQS"].tolist() == peer["ALT_FREQS"].tolist()


def test_allele_frequencies_of_several_alts(simulated, tmp_path):
    """On autosomes and pseudo-autosomal regions, where PLINK too counts whole alleles."""
    data = as_pgen(simulated, tmp_path)
    peer = table(plink2("--pfile", data, "--freq", out=data).with_suffix(".afreq"))
    found = frequencies(simulated)
    compared = 0
    for row, (alt, kind, line) in enumerate(by_row(simulated, peer)):
        if kind == "diploid":
            compared += 1
            assert found["variant_allele_total"].values[row] == int(line["OBS_CT"])
            frequency = found["variant_allele_frequency"].values[row, 1]
            assert f"{frequency:.6g}" == line["ALT_FREQS"].split(",")[alt - 1]
    assert compared > 15


def test_hardy_weinberg_of_several_alts(possible, tmp_path):
    """PLINK gives a line for each allele of a site; ours are those of the ALTs."""
    data = as_pgen(possible, tmp_path)
    plink2("--pfile", data, "--hardy", out=data)
    of_x = {
        "FEMALE_HOM_A1_CT": "n_hom_alt",
        "FEMALE_HET_A1_CT": "n_het",
        "FEMALE_TWO_AX_CT": "n_hom_ref",
        "MALE_A1_CT": "n_hap_alt",
        "MALE_AX_CT": "n_hap_ref",
    }
    diploid = {"HOM_A1_CT": "n_hom_alt", "HET_A1_CT": "n_het", "TWO_AX_CT": "n_hom_ref"}
    peers = {
        "x": (table(data.with_suffix(".hardy.x")).set_index(["ID", "A1"]), of_x),
        "diploid": (table(data.with_suffix(".hardy")).set_index(["ID", "A1"]), diploid),
    }
    found = frequencies(possible)
    compared = 0
    for row, (site, alt, kind) in enumerate(possible.rows):
        # Of a site with one ALT there is one line, whose A1 is REF.
        if kind not in peers or possible.sites["alts"][site] == 1:
            continue
        peer, columns = peers[kind]
        line = peer.loc[(f"s{site}", "ACGT"[alt])]
        for column, name in columns.items():
            assert found[f"variant_{name}"].values[row] == int(line[column]), (row, column)
        p = found["variant_hwe_p_value"].values[row]
        assert units_apart(f"{p:.6g}", line["P"]) <= 1.001
        compared += 1
    assert compared > 25


def test_the_file_of_the_test_on_x(clean, tmp_path):
    """But for people of unknown sex, who are diploid in our counts and not in PLINK's test."""
    data = as_pgen(clean, tmp_path)
    known = tmp_path / "known.txt"
    chosen = clean.people.index[clean.people["sex"] != "unknown"]
    known.write_text("\n".join(chosen) + "\n")
    plink2("--pfile", data, "--keep", known, "--hardy", out=data)
    with FrequencyFiles(tmp_path / "ours", ("plink",)) as files:
        files.append(ge.open_cohort(clean.store.path).where(sex=["M", "F"]).frequencies())
    for ending in ("hardy", "hardy.x"):
        theirs = table(data.with_name(f"{data.name}.{ending}"))
        ours = table(tmp_path / "ours" / f"frequencies.{ending}")
        same = [name for name in theirs if name not in ("#CHROM", "P")]
        pd.testing.assert_frame_equal(ours[same], theirs[same])
        for one, other in zip(ours["P"], theirs["P"], strict=True):
            assert units_apart(one, other) <= 1.001


@pytest.mark.parametrize(("x_males", "xchr_model"), [("0/2", "2"), ("0/1", "1")])
@pytest.mark.parametrize("covariates", [["age"], []])
def test_linear_regression(clean, tmp_path, x_males, xchr_model, covariates):
    assert_linear(clean, tmp_path, x_males, xchr_model, covariates)


def assert_linear(clean, tmp_path, x_males, xchr_model, covariates, *dosage) -> None:
    """Linear regression of every row is PLINK's, of hard calls or of a field of dosages."""
    data = as_pgen(clean, tmp_path, *dosage)
    columns = clean.people[["trait", "age"]]
    text = columns.map(lambda value: repr(float(value)))
    text.rename_axis("#IID").to_csv(tmp_path / "pheno.txt", sep="\t")
    arguments = ["--pfile", data, "--pheno", tmp_path / "pheno.txt", "--pheno-name", "trait"]
    arguments += ["--xchr-model", xchr_model]
    if covariates:
        arguments += ["--covar", tmp_path / "pheno.txt", "--covar-name", "age"]
        arguments += ["--glm", "hide-covar", "omit-ref"]
    else:
        arguments += ["--glm", "hide-covar", "omit-ref", "allow-no-covars"]
    out = plink2(*arguments, out=data)
    peer = table(out.with_name(f"{out.name}.trait.glm.linear")).set_index("ID")
    found = ge.open_cohort(clean.store.path).gwas(
        "trait",
        covariates=covariates,
        missing="drop",
        x_males=x_males,
        dosages=bool(dosage),
    )

    def values(name):
        return found[f"variant_linreg_{name}"].values[:, 0]

    kinds = set()
    for row, (site, _, kind) in enumerate(clean.rows):
        line = peer.loc[f"s{site}"]
        assert values("n")[row] == int(line["OBS_CT"])
        code = values("errcode")[row]
        assert (code == ".") == (line["ERRCODE"] == ".")
        if code != ".":
            continue
        kinds.add(kind)
        for name, column in (("beta", "BETA"), ("se", "SE"), ("t_value", "T_STAT")):
            assert units_apart(f"{values(name)[row]:.6g}", line[column]) <= 1.001, (row, kind, name)
        assert units_apart(f"{values('p_value')[row]:.6g}", line["P"]) <= 1.001
    assert kinds == {"diploid", "x", "y", "mt"}


@pytest.mark.parametrize(("x_males", "xchr_model"), [("0/2", "2"), ("0/1", "1")])
def test_logistic_regression(clean, tmp_path, x_males, xchr_model):
    assert_logistic(clean, tmp_path, x_males, xchr_model)


def assert_logistic(clean, tmp_path, x_males, xchr_model, *dosage, rtol=2e-5) -> None:
    """To so much, since PLINK stops early."""
    data = as_pgen(clean, tmp_path, *dosage)
    columns = clean.people[["case", "age"]].assign(case=clean.people["case"] + 1)
    text = columns.map(lambda value: f"{value:g}" if value in (1.0, 2.0) else repr(float(value)))
    text.rename_axis("#IID").to_csv(tmp_path / "pheno.txt", sep="\t")
    out = plink2(
        *("--pfile", data, "--pheno", tmp_path / "pheno.txt", "--pheno-name", "case"),
        *("--covar", tmp_path / "pheno.txt", "--covar-name", "age", "--xchr-model", xchr_model),
        *("--glm", "hide-covar", "omit-ref", "no-firth", "cols=+beta,-orbeta"),
        out=data,
    )
    peer = table(out.with_name(f"{out.name}.case.glm.logistic")).set_index("ID")
    found = ge.open_cohort(clean.store.path).gwas(
        *("case",),
        covariates=["age"],
        model="logistic",
        test="wald",
        missing="drop",
        x_males=x_males,
        dosages=bool(dosage),
    )
    kinds = set()
    for row, (site, _, kind) in enumerate(clean.rows):
        line = peer.loc[f"s{site}"]
        if found["variant_logreg_errcode"].values[row, 0] != "." or line["ERRCODE"] != ".":
            continue
        people = [found[f"variant_logreg_n_{of}"].values[row, 0] for of in ("cases", "controls")]
        assert sum(people) == int(line["OBS_CT"])
        beta, se = (found[f"variant_logreg_{name}"].values[row, 0] for name in ("beta", "se"))
        assert beta == pytest.approx(float(line["BETA"]), rel=rtol, abs=rtol * se)
        assert se == pytest.approx(float(line["SE"]), rel=rtol)
        kinds.add(kind)
    assert kinds == {"diploid", "x", "y", "mt"}
