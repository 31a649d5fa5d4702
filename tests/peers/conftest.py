"""Real genotypes, whole and with 2 % of calls knocked out, as every program reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from tests.cohort.genotype_files import write_plink
from tests.peers import oracle
from tests.peers.plink import plink2, write_columns

REPOSITORY = Path(__file__).parents[2]
KG_EUR = REPOSITORY / "genome_eu" / "demo" / "data"
GEUVADIS = REPOSITORY.parent / "shared" / "data" / "geuvadis_chr22"
KNOCKED_OUT = 0.02


@dataclass(frozen=True, eq=False)
class Peer:
    """One data set: the same genotypes in our store, in PLINK's input, and as an array."""

    name: str
    cohort: ge.Cohort
    source: Path
    dosage: np.ndarray
    samples: pd.DataFrame
    trait: str
    covariates: tuple[str, ...]
    folder: Path
    # Rows made by hand, by what is wrong with them.
    special: dict[str, int]

    @cached_property
    def x(self) -> np.ndarray:
        """Covariates (people, covariates), women 2 and men 1."""
        coded = self.samples.assign(sex=self.samples["sex"].map({"M": 1.0, "F": 2.0}))
        return coded[list(self.covariates)].to_numpy(float)

    @cached_property
    def frequencies(self) -> ge.FrequencyResult:
        return self.cohort.frequencies()

    @cached_property
    def gwas(self) -> ge.GwasResult:
        """PLINK's fit: people without a call are left out of the row."""
        return self.cohort.gwas(self.trait, covariates=self.covariates, missing="drop")

    @cached_property
    def pca(self) -> ge.PcaResult:
        return self.cohort.pca(10)

    @cached_property
    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and eigenvectors of the whole matrix over people."""
        return oracle.principal_components(self.dosage)

    @cached_property
    def frequency_files(self) -> Path:
        """Folder of what we write of `frequencies`."""
        self.frequencies.to_files(self.folder / "frequencies")
        return self.folder / "frequencies"

    @cached_property
    def plink(self) -> Path:
        """PLINK's tables of the same questions, at its defaults."""
        return plink2(
            *self._asked,
            *["--geno-counts", "--hardy", "--pca", "10", "meanimpute"],
            *["--glm", "hide-covar", "cols=+a1freq"],
            out=self.folder / "plink",
        )

    @cached_property
    def plink_alt(self) -> Path:
        """PLINK's tables with ALT as A1 everywhere, and without its limits on collinearity."""
        return plink2(
            *self._asked,
            *["--freq", "--vif", "1e9", "--max-corr", "1"],
            *["--glm", "omit-ref", "hide-covar", "cols=+a1freq"],
            out=self.folder / "alt",
        )

    @cached_property
    def _asked(self) -> list[str | Path]:
        vcf = self.source.suffix == ".gz"
        fam = self.source.with_suffix(".fam")
        fid = ["0"] * len(self.samples) if vcf else [r.split()[0] for r in fam.open()]
        covariates = pd.DataFrame(self.x, self.samples.index, [f"c_{n}" for n in self.covariates])
        return [
            *(["--vcf", self.source] if vcf else ["--bfile", self.source.with_suffix("")]),
            "--pheno",
            write_columns(self.folder / "trait.txt", fid, self.samples[[self.trait]]),
            "--covar",
            write_columns(self.folder / "covariates.txt", fid, covariates),
            "--covar-variance-standardize",
        ]


def _knock_out(
    whole: Peer, folder: Path, seed: int, craft: Callable[[np.ndarray], dict[str, int]] | None
) -> Peer:
    """The same people and variants with calls missing at random, as a fileset both read."""
    dosage = whole.dosage.copy()
    absent = np.random.default_rng(seed).random(dosage.shape, dtype=np.float32) < KNOCKED_OUT
    dosage[absent] = -1
    special = craft(dosage) if craft else {}
    sex = whole.samples["sex"].map({"M": 1, "F": 2})
    rows = whole.cohort.rows
    variants = list(zip(rows.contig, rows.id, rows.position, rows.alt, rows.ref, strict=True))
    people = [("0", person, code) for person, code in sex.items()]
    bed = write_plink(folder / "knocked_out", people, variants, dosage)
    return _import(f"{whole.name}_2pc_out", bed, dosage, whole, folder, special)


def _import(
    name: str, source: Path, dosage: np.ndarray, like: Peer, folder: Path, special: dict[str, int]
) -> Peer:
    store = folder / f"{name}.vcz"
    ge.import_genotypes(source, store, samples=like.folder / "samples.tsv")
    return Peer(
        name,
        ge.open_cohort(store),
        source,
        dosage,
        like.samples,
        like.trait,
        like.covariates,
        folder,
        special,
    )


def _whole(
    name: str,
    source: Path,
    dosage: np.ndarray,
    samples: pd.DataFrame,
    trait: str,
    covariates: tuple[str, ...],
    folder: Path,
    ours: Path | None = None,
) -> Peer:
    """`ours` holds the genotypes of `source` in the form that we import, if another."""
    samples.to_csv(folder / "samples.tsv", sep="\t", index_label="sample_id", na_rep="NA")
    store = folder / f"{name}.vcz"
    ge.import_genotypes(ours or source, store, samples=folder / "samples.tsv")
    cohort = ge.open_cohort(store)
    return Peer(name, cohort, source, dosage, samples, trait, covariates, folder, {})


@pytest.fixture(scope="session")
def geuvadis(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """358 people x 85,485 variants of chromosome 22, and the expression of 40 genes.

    PLINK reads the VCF; we a fileset of what it holds, which takes a tenth of the time
    (`test_vcf.py` imports a part of the VCF itself).
    """
    source = GEUVADIS / "genotypes.chr22.vcf.gz"
    if not source.exists():
        pytest.skip(f"needs the geuvadis_chr22 data set at ../shared/data/{GEUVADIS.name}")
    people, variants, dosage = oracle.read_vcf(source)
    samples = pd.read_csv(GEUVADIS / "samples.tsv", sep="\t", index_col="sample_id").loc[people]
    for site in ("FIN", "GBR", "TSI"):
        samples[f"site_{site}"] = (samples["population"] == site).astype(float)
    gene = next(column for column in samples if column.startswith("ENSG"))
    covariates = ("sex", *(f"expr_pc{number}" for number in range(1, 11)))
    folder = tmp_path_factory.mktemp("geuvadis")
    named = [(contig, name, position, alt, ref) for contig, position, name, ref, alt in variants]
    ours = write_plink(folder / "ours", [("0", one, 0) for one in people], named, dosage)
    return _whole("geuvadis", source, dosage, samples, gene, covariates, folder, ours)


@pytest.fixture(scope="session")
def kg_eur(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """503 people x 23,770 sites of all autosomes, with a simulated trait."""
    source = KG_EUR / "kg_eur.bed"
    people, _, dosage = oracle.read_bed(source)
    samples = pd.read_csv(KG_EUR / "samples.tsv", sep="\t", index_col="sample_id").loc[people]
    rng = np.random.default_rng(22)
    # Far from zero, as years are; and scores as a PCA has them.
    samples["birth_year"] = 1950.0 + rng.integers(0, 40, len(samples))
    scores = oracle.principal_components(dosage[::7])[1]
    for number in range(4):
        samples[f"pc{number + 1}"] = np.round(scores[:, number], 6)
    trait = 170 + dosage[[40, 5000, 20000]].T @ np.array([2.5, -1.0, 0.7])
    trait += 6.0 * (samples["sex"] == "M") + 0.05 * (samples["birth_year"] - 1970)
    trait += rng.normal(scale=3.0, size=len(samples))
    trait.iloc[rng.choice(len(samples), 7, replace=False)] = np.nan
    samples["simulated_height"] = np.round(trait, 4)
    covariates = ("sex", "birth_year", "pc1", "pc2", "pc3", "pc4")
    folder = tmp_path_factory.mktemp("kg_eur")
    return _whole("kg_eur", source, dosage, samples, "simulated_height", covariates, folder)


@pytest.fixture(scope="session")
def geuvadis_2pc_out(geuvadis: Peer, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return _knock_out(geuvadis, tmp_path_factory.mktemp("geuvadis_2pc_out"), 1, None)


@pytest.fixture(scope="session")
def kg_eur_2pc_out(kg_eur: Peer, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """With a few rows made by hand that no regression, or no limit of PLINK's, gets past."""
    women = (kg_eur.samples["sex"] == "F").to_numpy()

    def craft(dosage: np.ndarray) -> dict[str, int]:
        dosage[100] = -1  # nobody is called
        dosage[101, 5:] = -1  # five people for eight parameters
        dosage[101, :5] = [0, 1, 2, 1, 0]
        dosage[102] = np.where(dosage[102] < 0, -1, 1)  # everybody heterozygous
        dosage[103] = np.where(dosage[103] < 0, -1, women)  # the covariate sex itself
        dosage[104] = women  # nearly so: a variance inflation factor of about 120
        dosage[104, 50] = 1 - dosage[104, 50]
        dosage[105, dosage[105] >= 0] = 2  # everybody homozygous for ALT
        names = ("nobody", "too_few", "all_het", "is_sex", "nearly_sex", "all_alt")
        return {name: 100 + place for place, name in enumerate(names)}

    return _knock_out(kg_eur, tmp_path_factory.mktemp("kg_eur_2pc_out"), 2, craft)


@pytest.fixture(params=["kg_eur", "kg_eur_2pc_out", "geuvadis", "geuvadis_2pc_out"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each data set in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def shown(
    capsys: pytest.CaptureFixture, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Print the numbers behind a comparison whether or not output is captured."""

    def show(title: str, **numbers: object) -> None:
        texts = [
            f"{name} {value:.1e}" if isinstance(value, float) else f"{name} {value}"
            for name, value in numbers.items()
        ]
        with capsys.disabled():
            print(f"\n  {title}: {', '.join(texts)}", end="")
        for name, value in numbers.items():
            record_property(f"{title}: {name}", value)

    return show
