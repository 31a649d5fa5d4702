"""Our tables against the files that PLINK 2 itself writes from the same genotypes."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

from genome_eu.formats import AfreqWriter, GcountWriter, GlmLinearWriter, HardyWriter

pytestmark = pytest.mark.skipif(shutil.which("plink2") is None, reason="needs plink2 on PATH")
PEOPLE = 3000


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peer")
    rng = np.random.default_rng(0)
    frequency = [0.3, 0.5, 0.0, 0.001, 0.0004, 0.45, 0.02, *rng.uniform(0.01, 0.5, 90)]
    dosage = np.array([rng.binomial(2, p, PEOPLE) for p in frequency])
    dosage[5][dosage[5] == 1] = 0
    observed = dosage.astype(float)
    observed[4:][rng.random((len(frequency) - 4, PEOPLE)) < 0.02] = np.nan
    observed[6] = np.nan
    trait = 30.0 * dosage[0] + rng.normal(size=PEOPLE)
    calls = np.where(np.isnan(observed), 3, observed).astype(int)
    with (folder / "t.vcf").open("w") as vcf:
        people = "\t".join(f"i{k}" for k in range(PEOPLE))
        vcf.write("##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n")
        vcf.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        vcf.write(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{people}\n")
        for row, codes in enumerate(calls):
            text = "\t".join(np.array(["0/0", "0/1", "1/1", "./."])[codes])
            vcf.write(f"{1 + (row > 7)}\t{1000 + row}\trs{row}\tA\tC\t.\t.\t.\tGT\t{text}\n")
    values = (f"i{k}\t{float(v)!r}\n" for k, v in enumerate(trait))
    (folder / "t.pheno").write_text("#IID\tldl\n" + "".join(values))
    command = "plink2 --vcf t.vcf --freq --geno-counts --hardy --pheno t.pheno --threads 1 --out p"
    command += " --glm omit-ref allow-no-covars cols=+a1freq"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    return folder, observed, trait


def table(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def agree(ours, theirs):
    """Same text, or numbers that differ by one unit in the sixth digit; returns how many do."""
    ours, theirs = table(ours), table(theirs)
    assert len(ours) == len(theirs)
    different = 0
    for a_row, b_row in zip(ours, theirs, strict=True):
        assert len(a_row) == len(b_row)
        for a, b in zip(a_row, b_row, strict=True):
            if a != b:
                different += 1
                (a_digits, _, a_power), (b_digits, _, b_power) = a.partition("e"), b.partition("e")
                assert a_power == b_power, (a, b)
                assert float(a_digits) == pytest.approx(float(b_digits), rel=1e-5), (a, b)
    return different / sum(map(len, theirs))


def log_two_sided(t, df):
    """Natural logarithm of Student's two-sided p: the incomplete beta function as a series."""
    if abs(t) < 10:  # The series is slow here, and nothing underflows.
        return stats.t.logsf(abs(t), df) + np.log(2)
    a, x = df / 2, df / (df + t * t)
    series = np.cumprod(
        np.r_[1, x * (a + 0.5 + np.arange(20_000)) / (a + 1 + np.arange(20_000))]
    ).sum()
    return a * np.log(x) + np.log1p(-x) / 2 - np.log(a) - special.betaln(a, 0.5) + np.log(series)


def names(observed):
    rows = len(observed)
    return {
        "variant_contig": ("variants", (np.arange(rows) > 7).astype(np.int16)),
        "contig_id": ("contigs", np.array(["1", "2"], object)),
        "variant_position": ("variants", (1000 + np.arange(rows)).astype(np.int32)),
        "variant_allele": (
            ("variants", "alleles"),
            np.tile(np.array(["A", "C"], object), (rows, 1)),
        ),
        "variant_id": ("variants", np.array([f"rs{k}" for k in range(rows)], object)),
    }


def test_frequency_tables_are_plinks(peer, tmp_path):
    folder, observed, _ = peer
    counts = [np.count_nonzero(observed == k, axis=1) for k in range(3)]
    called = sum(counts)
    alt = counts[1] + 2 * counts[2]
    with np.errstate(invalid="ignore"):
        frequency = alt / (2 * called)
    p = np.array([row[9] for row in table(folder / "p.hardy")[1:]]).astype(float)
    result = xr.Dataset(
        {
            **names(observed),
            "variant_n_hom_ref": ("variants", counts[0]),
            "variant_n_het": ("variants", counts[1]),
            "variant_n_hom_alt": ("variants", counts[2]),
            "variant_n_missing": ("variants", PEOPLE - called),
            "variant_allele_total": ("variants", 2 * called),
            "variant_allele_frequency": (
                ("variants", "alleles"),
                np.stack([1 - frequency, frequency], 1),
            ),
            "variant_hwe_p_value": ("variants", np.where(called > 0, p, np.nan)),
        }
    )
    for writer, ending in (
        (AfreqWriter, "afreq"),
        (GcountWriter, "gcount"),
        (HardyWriter, "hardy"),
    ):
        with writer(tmp_path / ending) as out:
            out.append(result)
        assert agree(tmp_path / ending, folder / f"p.{ending}") < 0.01, ending


def test_association_table_is_plinks(peer, tmp_path):
    folder, observed, trait = peer
    columns = {name: [] for name in ("beta", "se", "t_value", "p_value", "neg_log10_p", "n")}
    codes = [row[13] for row in table(folder / "p.ldl.glm.linear")[1:]]
    frequency = []
    for g, code in zip(observed, codes, strict=True):
        seen = ~np.isnan(g)
        columns["n"].append(seen.sum())
        frequency.append(g[seen].mean() / 2 if seen.any() else np.nan)
        fit = [np.nan] * 5
        if code == ".":
            centred, y = g[seen] - g[seen].mean(), trait[seen] - trait[seen].mean()
            beta = centred @ y / (centred @ centred)
            rest = y - beta * centred
            se = np.sqrt(rest @ rest / (seen.sum() - 2) / (centred @ centred))
            log_p = log_two_sided(beta / se, seen.sum() - 2)
            fit = [beta, se, beta / se, np.exp(log_p), -log_p / np.log(10)]
        for name, value in zip(columns, fit, strict=False):
            columns[name].append(value)
    result = xr.Dataset(names(observed))
    for name, values in columns.items():
        result[f"variant_linreg_{name}"] = (("variants", "traits"), np.array(values)[:, None])
    result["variant_linreg_errcode"] = (("variants", "traits"), np.array(codes, object)[:, None])
    shared = np.array(frequency)[:, None]
    result["variant_linreg_allele_frequency"] = (("variants", "traits"), shared)
    result["trait_id"] = ("traits", np.array(["ldl"], object))
    with GlmLinearWriter(tmp_path / "p") as out:
        out.append(result)
    ours, theirs = tmp_path / "p.ldl.glm.linear", folder / "p.ldl.glm.linear"
    assert "e-" in table(theirs)[1][12]
    assert agree(ours, theirs) < 0.01
