"""Imputed dosages against PLINK 2, which reads the same BGEN and VCF files."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.cohort import import_genotypes
from tests import simulate
from tests.cohort.genotype_files import GRCH37, HEADER, write_vcf
from tests.oracles import logistic as naive
from tests.peers.conftest import REPOSITORY
from tests.peers.logistic_fits import TESTS, assert_maxima
from tests.peers.plink import needs_plink2, plink2, table, units_apart, write_columns

pytestmark = [needs_plink2, pytest.mark.plink2]

REGENIE = REPOSITORY.parent / "shared" / "data" / "regenie_example"
ROWS, PEOPLE, MISSING = 300, 250, 0.03
TRAIT, COVARIATES = "complete", ("birth_year", "sex")


@dataclass(frozen=True)
class Imputed:
    """A cohort, its source as PLINK reads it, and files for PLINK's questions."""

    cohort: ge.Cohort
    dosage: np.ndarray  # (rows, people), −1 where missing
    source: list[str | Path]
    samples: Path
    model: list[str | Path]
    folder: Path

    def plink(self, *more: str) -> Path:
        """PLINK's tables of the same questions, with ALT as A1."""
        return plink2(
            *self.source,
            *["--freq", "cols=+machr2", "--glm", "omit-ref", "hide-covar", "cols=+a1freq"],
            *self.model,
            *["--covar-variance-standardize", *more],
            out=self.folder / "plink",
        )


def _model(folder: Path, people: pd.DataFrame) -> list[str | Path]:
    coded = people.assign(sex=people["sex"].map({"M": 1.0, "F": 2.0}))
    renamed = coded[list(COVARIATES)].rename(columns=lambda name: f"c_{name}")
    fid = ["0"] * len(people)
    return [
        *["--pheno", write_columns(folder / "trait.txt", fid, people[[TRAIT]])],
        *["--covar", write_columns(folder / "covariates.txt", fid, renamed)],
    ]


@pytest.fixture(scope="module")
def bgen(tmp_path_factory) -> Imputed:
    folder = tmp_path_factory.mktemp("bgen")
    made = simulate.imputed(folder, rows=ROWS, people_number=PEOPLE, missing=MISSING, seed=8)
    return Imputed(
        ge.open_cohort(made.store.path),
        made.dosage,
        ["--bgen", folder / "imputed.bgen", "ref-first"],
        folder / "imputed.tsv",
        _model(folder, made.people),
        folder,
    )


@pytest.fixture(scope="module")
def vcf(tmp_path_factory) -> Imputed:
    """Calls with three decimals of DS, some without DS, some without either.

    Every row lacks a call: PLINK 2.00a3.5 has wrong standard errors where only some rows do, as
    test_logistic.py says of hard calls.
    """
    folder = tmp_path_factory.mktemp("vcf")
    rng = np.random.default_rng(4)
    calls = simulate.dosages(ROWS, PEOPLE, MISSING, seed=5)
    calls[:, 0] = -1
    people = simulate.people(calls, seed=6)
    noise = np.round(rng.beta(0.4, 4.0, calls.shape), 3)
    dosage = np.clip(np.where(calls == 2, 2 - noise, calls + noise), 0, 2)
    shown = rng.random(calls.shape) < 0.9
    genotype = {-1: "./.", 0: "0/0", 1: "0/1", 2: "1/1"}
    records = [
        (
            "chr22",
            20_000_000 + 10 * row,
            f"v{row}",
            "A",
            "G",
            *(
                f"{genotype[int(call)]}:{f'{value:.3f}' if there and call >= 0 else '.'}:."
                for call, value, there in zip(calls[row], dosage[row], shown[row], strict=True)
            ),
        )
        for row in range(ROWS)
    ]
    path = write_vcf(
        folder / "x.vcf.gz",
        list(people.index),
        records,
        header=HEADER.format(**GRCH37).replace("##SAMPLE", "##note"),
        block=60_000,
    )
    people.to_csv(folder / "people.tsv", sep="\t", na_rep="NA")
    store = import_genotypes(path, folder / "x.vcz", samples=folder / "people.tsv")
    return Imputed(
        ge.open_cohort(store.path),
        store.read_dosages(slice(None)).dosages(),
        ["--vcf", path, "dosage=DS"],
        folder / "people.tsv",
        _model(folder, people),
        folder,
    )


@pytest.fixture(params=["bgen", "vcf"])
def imputed(request) -> Imputed:
    return request.getfixturevalue(request.param)


def assert_same_tests(mine: Path, theirs: Path) -> None:
    """Every printed digit, but for one unit in the last of a p-value.

    Of rows without a test PLINK may give another reason: of omit-ref, it says which allele is
    constant. It keeps rows of which nothing is known in spite of any filter.
    """
    one, other = table(mine), table(theirs)
    if len(one) < len(other):
        other = other[other["OBS_CT"] != "0"].reset_index(drop=True)
    assert (one.pop("ERRCODE") == ".").equals(other.pop("ERRCODE") == ".")
    contig = other.pop("#CHROM")
    assert one.pop("#CHROM").str.removeprefix("chr").equals(contig.str.removeprefix("chr"))
    p, p_of_plink = one.pop("P"), other.pop("P")
    pd.testing.assert_frame_equal(one, other)
    for a, b in zip(p, p_of_plink, strict=True):
        assert a == b or units_apart(a, b) <= 1.001


def assert_same_frequencies(mine: Path, theirs: Path) -> None:
    one, other = table(mine), table(theirs)
    pd.testing.assert_frame_equal(one.iloc[:, 1:], other.iloc[:, 1:])


def test_frequencies_and_imputation(imputed):
    paths = imputed.cohort.dosage_frequencies().to_files(imputed.folder / "dosages")
    assert_same_frequencies(
        next(path for path in paths if path.suffix == ".afreq"),
        imputed.plink().with_suffix(".afreq"),
    )


def test_linear(imputed):
    found = imputed.cohort.gwas(TRAIT, covariates=COVARIATES, missing="drop", dosages=True)
    (mine,) = found.to_files(imputed.folder / "gwas", ["plink"])
    assert_same_tests(mine, imputed.plink().with_suffix(f".{TRAIT}.glm.linear"))


def converged(imputed: Imputed, row: int, firth: bool) -> tuple[float, float]:
    """β and SE of a fit iterated to its end."""
    people, dosage = imputed.cohort.samples, imputed.dosage[row]
    x = people[list(COVARIATES)].assign(sex=people["sex"].map({"M": 1.0, "F": 2.0})).to_numpy(float)
    here = dosage >= 0
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    columns = np.column_stack([np.ones(here.sum()), x[here]])
    cases = people["case"].to_numpy(float)[here]
    return naive.wald(dosage[here], columns, cases, np.zeros(here.sum()), firth)


@pytest.mark.parametrize(("test", "how"), TESTS)
def test_logistic(imputed, test, how, shown):
    """Every row is PLINK's, or PLINK is farther than that from the maximum and ours is at it."""
    out = imputed.folder / f"logistic-{test}"
    people = imputed.cohort.samples
    cases = write_columns(imputed.folder / "cases.txt", ["0"] * len(people), people[["case"]])
    plink2(
        *[*imputed.source, "--pheno", cases, "--1", *imputed.model[2:]],
        *["--covar-variance-standardize", "--glm", "omit-ref", "hide-covar", "cols=+a1freq", how],
        out=out,
    )
    (path,) = out.parent.glob(f"{out.name}.case.glm.*")
    theirs = table(path)
    model = {"model": "logistic", "test": test, "missing": "drop", "dosages": True}
    found = imputed.cohort.gwas("case", covariates=COVARIATES, **model)
    same = assert_maxima(
        f"dosages, {test}", found, theirs, functools.partial(converged, imputed), shown
    )
    np.testing.assert_allclose(
        found["variant_logreg_allele_frequency"].values[same, 0],
        theirs.loc[same, "A1_FREQ"].astype(float),
        rtol=1e-5,
    )


def test_filters(imputed):
    limits = {"min_info": 0.4, "min_maf": 0.1}
    found = imputed.cohort.gwas(
        TRAIT, covariates=COVARIATES, missing="drop", dosages=True, **limits
    )
    (mine,) = found.to_files(imputed.folder / "filtered", ["plink"])
    theirs = imputed.plink("--mach-r2-filter", "0.4", "100", "--maf", "0.1")
    assert_same_tests(mine, theirs.with_suffix(f".{TRAIT}.glm.linear"))


def test_hard_calls_of_a_bgen(bgen):
    plink2(*bgen.source, "--make-bed", out=bgen.folder / "hard")
    hard = import_genotypes(bgen.folder / "hard.bed", bgen.folder / "hard.vcz")
    rows = bgen.cohort.rows
    assert (hard.rows["alt"] == rows["alt"]).all()
    np.testing.assert_array_equal(
        bgen.cohort.dosages(np.arange(ROWS)), hard.read(slice(None)).dosages()
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_bgen_that_plink_writes(bgen, bits, tmp_path):
    out = plink2(
        *[*bgen.source, "--export", "bgen-1.2", f"bits={bits}", "ref-first"], out=tmp_path / "x"
    )
    store = import_genotypes(
        out.with_suffix(".bgen"), tmp_path / "x.vcz", sample_file=out.with_suffix(".sample")
    )
    (mine,) = ge.open_cohort(store.path).dosage_frequencies().to_files(tmp_path, ["plink"])
    theirs = plink2(
        *["--bgen", out.with_suffix(".bgen"), "ref-first", "--sample", out.with_suffix(".sample")],
        *["--freq", "cols=+machr2"],
        out=tmp_path / "again",
    )
    assert_same_frequencies(mine, theirs.with_suffix(".afreq"))


@pytest.mark.skipif(not REGENIE.is_dir(), reason="needs the shared data folder")
def test_bgen_and_bed_of_the_same_genotypes(tmp_path):
    from_bed = import_genotypes(REGENIE / "example.bed", tmp_path / "bed.vcz")
    from_bgen = import_genotypes(REGENIE / "example.bgen", tmp_path / "bgen.vcz", ref_last=True)
    pd.testing.assert_frame_equal(from_bgen.rows, from_bed.rows)
    assert from_bgen.sample_id.tolist() == [f"{one}_{one}" for one in from_bed.sample_id]
    calls = from_bed.read(slice(None)).dosages()
    np.testing.assert_array_equal(from_bgen.read(slice(None)).dosages(), calls)
    np.testing.assert_array_equal(from_bgen.read_dosages(slice(None)).dosages(), calls)
    theirs = plink2(
        *["--bgen", REGENIE / "example.bgen", "ref-last", "--freq", "cols=+machr2"],
        out=tmp_path / "plink",
    )
    (mine,) = ge.open_cohort(from_bgen.path).dosage_frequencies().to_files(tmp_path, ["plink"])
    assert_same_frequencies(mine, theirs.with_suffix(".afreq"))
