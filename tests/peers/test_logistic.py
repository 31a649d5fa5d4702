"""Logistic association against PLINK 2 and REGENIE's published example, number by number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import genome_eu as ge
from tests.cohort.genotype_files import write_plink
from tests.oracles import logistic as naive
from tests.peers import oracle
from tests.peers.conftest import REPOSITORY, Peer
from tests.peers.logistic_fits import EXACT, TESTS, assert_maxima
from tests.peers.plink import needs_plink2, plink2, table, write_columns
from tests.stats.logistic_rounds import Study

EVERY = 8
REGENIE = REPOSITORY.parent / "shared" / "data" / "regenie_example"


@dataclass(frozen=True, eq=False)
class Cases:
    """A data set with a binary trait: `y` is NaN where it is not known."""

    peer: Peer
    y: np.ndarray
    cohort: ge.Cohort

    @property
    def x(self) -> np.ndarray:
        """Covariates (people, covariates) of variance 1, as PLINK has them."""
        return (self.peer.x - self.peer.x.mean(axis=0)) / self.peer.x.std(axis=0)

    def model(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Dosages, intercept with covariates, and cases, of people who have a call."""
        here = (self.peer.dosage[row] >= 0) & ~np.isnan(self.y)
        columns = np.column_stack([np.ones(here.sum()), self.x[here]])
        return self.peer.dosage[row, here].astype(float), columns, self.y[here]

    def converged(self, row: int, firth: bool) -> tuple[float, float]:
        """β and its standard error by an oracle that shares nothing with ours."""
        g, columns, y = self.model(row)
        return naive.wald(g, columns, y, np.zeros(len(y)), firth)


def binary_trait(peer: Peer) -> np.ndarray:
    """Simulated cases, a few of whom two rows and the first covariates explain."""
    rng = np.random.default_rng(31)
    x = (peer.x - peer.x.mean(axis=0)) / peer.x.std(axis=0)
    common = np.flatnonzero((peer.dosage.clip(0).mean(axis=1) > 0.4).ravel())[[3, 90]]
    eta = -0.4 + 0.5 * x[:, 0] + 0.3 * x[:, 1] + 0.6 * peer.dosage[common].clip(0).sum(axis=0)
    y = (rng.random(len(eta)) < 1 / (1 + np.exp(-(eta - eta.mean())))).astype(float)
    y[rng.choice(len(y), 5, replace=False)] = np.nan
    return y


@pytest.fixture(scope="module")
def geuvadis_8th(geuvadis: Peer, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """Every eighth row of `geuvadis`, as a fileset, no call missing.

    Where rows with and without missing calls alternate, standard errors of PLINK 2.00a3.5 are up to
    14 % too small unless the number of people called is a multiple of four; odds ratios are not.
    """
    folder = tmp_path_factory.mktemp("geuvadis_8th")
    dosage, rows = geuvadis.dosage[::EVERY], geuvadis.cohort.rows.iloc[::EVERY]
    variants = list(zip(rows.contig, rows.id, rows.position, rows.alt, rows.ref, strict=True))
    people = [("0", person, {"M": 1, "F": 2}[sex]) for person, sex in geuvadis.samples.sex.items()]
    bed = write_plink(folder / "eighth", people, variants, dosage)
    return replace(geuvadis, name="geuvadis_8th", source=bed, dosage=dosage, folder=folder)


@pytest.fixture(scope="module", params=["kg_eur", "kg_eur_2pc_out", "geuvadis_8th"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    """Each data set in turn."""
    peer, folder = request.getfixturevalue(request.param), tmp_path_factory.mktemp("cases")
    y = binary_trait(peer)
    samples = peer.samples.assign(case=y)
    samples.to_csv(folder / "samples.tsv", sep="\t", index_label="sample_id", na_rep="NA")
    ge.import_genotypes(peer.source, folder / "cases.vcz", samples=folder / "samples.tsv")
    return Cases(peer, y, ge.open_cohort(folder / "cases.vcz"))


def asked(cases: Cases, folder: Path, *how: str) -> pd.DataFrame:
    """PLINK's table of the simulated trait, ALT as A1 everywhere."""
    peer = cases.peer
    fid = [line.split()[0] for line in peer.source.with_suffix(".fam").open()]
    trait = peer.samples.assign(case=cases.y)[["case"]]
    covariates = pd.DataFrame(peer.x, peer.samples.index, [f"c_{n}" for n in peer.covariates])
    out = plink2(
        *["--bfile", peer.source.with_suffix("")],
        *["--pheno", write_columns(folder / "trait.txt", fid, trait), "--1"],
        *["--covar", write_columns(folder / "covariates.txt", fid, covariates)],
        *["--covar-variance-standardize", "--vif", "1e9", "--max-corr", "1"],
        *["--glm", "omit-ref", "hide-covar", "cols=+a1freq", *how],
        out=folder / "plink",
    )
    (path,) = out.parent.glob("plink.case.glm.*")
    return table(path)


def ours(cases: Cases, test: str) -> ge.GwasResult:
    return cases.cohort.gwas(
        "case", covariates=cases.peer.covariates, model="logistic", test=test, missing="drop"
    )


@pytest.mark.slow
@needs_plink2
@pytest.mark.parametrize(("test", "how"), TESTS)
def test_plink_logistic(cases, tmp_path, shown, test, how):
    """Every row is PLINK's, or PLINK is farther than that from the maximum and ours is at it."""
    theirs, found = asked(cases, tmp_path, how), ours(cases, test)
    assert_maxima(f"{cases.peer.name} {test}", found, theirs, cases.converged, shown)


def last_step(z: np.ndarray, y: np.ndarray, theta: np.ndarray) -> tuple[float, float]:
    """Firth's next step from `theta` in standard errors, and that of the last, in 40 digits."""
    with mpmath.workdps(40):
        z = [[mpmath.mpf(value) for value in person] for person in z]
        mu = [1 / (1 + mpmath.exp(-mpmath.fdot(person, theta))) for person in z]
        weight = [one * (1 - one) for one in mu]
        sides = range(len(theta))

        def squares(matrix) -> list:
            return [
                mpmath.fsum(p[a] * matrix[a, b] * p[b] for a in sides for b in sides) for p in z
            ]

        columns = [[w * person[a] for w, person in zip(weight, z, strict=True)] for a in sides]
        rows = list(zip(*z, strict=True))
        information = mpmath.matrix([[mpmath.fdot(one, two) for two in rows] for one in columns])
        inverse = information**-1
        residual = [
            one - m + w * square * (mpmath.mpf(1) / 2 - m)
            for one, m, w, square in zip(y, mu, weight, squares(inverse), strict=True)
        ]
        step = inverse * mpmath.matrix([mpmath.fdot(residual, row) for row in rows])
        error = [mpmath.sqrt(inverse[a, a]) for a in sides]
        return float(max(abs(step[a]) / error[a] for a in sides)), float(error[-1])


def test_maxima(cases):
    """Ours are statsmodels', and where the penalized likelihood has no step left to take."""
    frequency = cases.peer.dosage.clip(0).mean(axis=1) / 2
    common = np.flatnonzero((frequency > 0.1) & (frequency < 0.9))
    chosen = common[np.linspace(0, common.size - 1, 5).astype(int)]
    few = replace(cases, cohort=cases.cohort.on_rows(cases.cohort.rows.iloc[chosen]))
    fits, penalized = ours(few, "wald"), ours(few, "firth-full")
    for place, row in enumerate(chosen):
        g, columns, y = cases.model(row)
        z = np.column_stack([columns, g])
        theirs = sm.Logit(y, z).fit(disp=0, method="newton", maxiter=100, tol=1e-14)
        beta, se = (fits[f"variant_logreg_{n}"].values[place, 0] for n in ("beta", "se"))
        assert abs(beta - theirs.params[-1]) <= EXACT * theirs.bse[-1]
        assert abs(se / theirs.bse[-1] - 1) <= EXACT
        theta, _, _ = naive.fit(z, y, np.zeros(len(y)), firth=True)
        step, error = last_step(z, y, theta)
        assert step <= 1e-10
        beta, se = (penalized[f"variant_logreg_{n}"].values[place, 0] for n in ("beta", "se"))
        assert abs(beta - theta[-1]) <= EXACT * error
        assert abs(se / error - 1) <= EXACT


# -- REGENIE -----------------------------------------------------------------------------------


def regenie_example():
    """Dosages of ALLELE1, covariates, cases, and the offset that step 1 left to chromosome 1."""
    if not REGENIE.exists():
        pytest.skip(f"needs the regenie_example data set at {REGENIE}")
    people, _, dosage = oracle.read_bed(REGENIE / "example.bed")

    def column_of(name: str) -> pd.DataFrame:
        read = pd.read_csv(REGENIE / name, sep=" ", dtype={"IID": str})
        return read.set_index("IID").loc[people].drop(columns="FID")

    loco = pd.read_csv(REGENIE / "fit_bin_out_1.loco", sep=" ", index_col=0)
    loco = loco.loc[:, loco.columns.str.contains("_")]
    loco.columns = [name.split("_")[1] for name in loco.columns]
    offset = loco.loc[1, people].to_numpy(float)
    return (
        dosage,
        column_of("covariates.txt").to_numpy(float),
        column_of("phenotype_bin.txt").to_numpy(float),
        offset,
    )


def test_regenie_step_2(shown):
    """REGENIE stops early too: all but a few effects have its six digits, and all errors do."""
    dosage, x, y, offset = regenie_example()
    theirs = pd.read_csv(REGENIE / "test_bin_out_firth_Y1.regenie", sep=" ")
    frequency = np.where(dosage >= 0, dosage, 0).sum(axis=1) / (2 * (dosage >= 0).sum(axis=1))
    if np.abs(frequency - theirs["A1FREQ"]).max() > 1e-3:
        dosage = np.where(dosage < 0, -1, 2 - dosage).astype(np.int8)
    study = Study(dosage, x, y, np.zeros(len(y)), offset[:, None], site_effects=False)
    found = study.test("firth")
    assert (found.method_words == "firth").all()
    columns = {
        "BETA": found.beta,
        "SE": found.se,
        "CHISQ": found.z**2,
        "LOG10P": found.neg_log10_p,
    }
    for name, values in columns.items():
        printed = np.array([float(f"{value:.6g}") for value in values[:, 0]])
        same = float((printed == theirs[name]).mean())
        largest = float(np.abs(values[:, 0] - theirs[name]).max())
        shown(f"REGENIE {name}", same_digits=same, largest_difference=largest)
        assert same >= (1.0 if name == "SE" else 0.99)
        assert largest <= 1e-4
