"""PLINK's side: its commands, as its users would run them at their best, and its numbers as arrays.

PLINK 2 has no clumping and no meta-analysis in this version; PLINK 1.9 has.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from benchmarks import inputs, ours
from benchmarks.agreement import Disagreement, Numbers
from benchmarks.data import COMPONENTS, Dataset, Model
from benchmarks.derived import linked, on_x

# Words of a command, or what gives them for a data set.
Words: TypeAlias = "str | Path | int | list[Words] | Callable[[Dataset], Words]"
Command: TypeAlias = Callable[[Dataset, Path, int], list[str]]

# The columns of a result that this project writes too, and no others.
_GLM_COLUMNS = "cols=chrom,pos,ref,alt,nobs,beta,se,tz,p"
_LOGISTIC_COLUMNS = "cols=chrom,pos,ref,alt,firth,nobs,beta,se,tz,p"

# Largest p-values of the rows that clumps are named after, and of their members; those that are the
# default are too small for independent variants.
CLUMP_P1, CLUMP_P2 = "0.01", "0.05"

# -- Commands ----------------------------------------------------------------------------------


def asks(*words: Words, source: Words | None = None) -> Command:
    """PLINK 2's command with these options, of the .pgen unless there is another source."""
    return partial(_command, program="plink2", words=(source or _pgen, *words))


def asks_1(*words: Words) -> Command:
    """PLINK 1.9's command with these options."""
    return partial(_command, program="plink1.9", words=words)


def _command(
    data: Dataset, out: Path, threads: int, *, program: str, words: tuple[Words, ...]
) -> list[str]:
    said = chain.from_iterable(_spoken(one, data) for one in words)
    return [program, *said, "--out", str(out / "plink"), "--threads", str(threads)]


def _spoken(word: Words, data: Dataset) -> list[str]:
    found = word(data) if callable(word) else word
    if isinstance(found, list):
        return [text for one in found for text in _spoken(one, data)]
    return [str(found)]


def _pgen(data: Dataset) -> Words:
    return ["--pfile", data.prefix]


def bed(data: Dataset) -> Words:
    """The .bed that everything was made of."""
    return ["--bfile", data.prefix]


def imputed_bgen(data: Dataset) -> Words:
    """Imputed dosages as they came."""
    return ["--bgen", inputs.imputed_bgen(data), "ref-first"]


def imputed_pgen(data: Dataset) -> Words:
    """Imputed dosages in PLINK's format."""
    return ["--pfile", inputs.imputed_pgen(data) / "imputed"]


def of_populations(data: Dataset) -> Words:
    """The populations as a categorical phenotype."""
    return ["--pheno", inputs.populations(data)]


def regression(model: Model) -> Words:
    """The options of a GWAS."""
    # omit-ref: the effect is always that of ALT, as everywhere else here.
    columns = _GLM_COLUMNS if model.test is None else _LOGISTIC_COLUMNS

    def words(data: Dataset) -> Words:
        return [
            *["--pheno", data.traits, "--pheno-name", *model.trait_names],
            *["--covar", data.covariates, "--covar-name", *model.covariate_names],
            *["--glm", "omit-ref", "hide-covar", columns],
        ]

    return words


def projection(data: Dataset) -> Words:
    """Scores by the loadings of a PCA, its frequencies frozen."""
    known = inputs.reference(data)
    return [
        *["--read-freq", known / "plink.acount", "--score", known / "plink.loadings"],
        # PLINK adds a constant for missing calls that it imputes; with the modifier they count 0.
        *["header-read", "variance-standardize", "no-mean-imputation", "cols=scoresums"],
        *["--score-col-nums", f"3-{2 + COMPONENTS}"],
    ]


def meta_analysis(data: Dataset) -> Words:
    """Of studies in PLINK 2's format, whose second allele is REF as A1 is ALT throughout."""
    names = {"chr": "#CHROM", "snp": "ID", "bp": "POS", "a1": "A1", "a2": "REF"}
    fields = [word for of, name in names.items() for word in (f"--meta-analysis-{of}-field", name)]
    return ["--meta-analysis", *inputs.studies(data), "+", "qt", "report-all", *fields]


def clumping(data: Dataset) -> Words:
    """Clumps of a GWAS."""
    limits = ["--clump-p1", CLUMP_P1, "--clump-p2", CLUMP_P2]
    return [*bed(data), "--clump", inputs.association(data) / "plink.assoc", *limits]


def linked_clumping(data: Dataset) -> Words:
    """Clumps of a GWAS of genotypes in linkage disequilibrium."""
    return clumping(linked(data))


def x_pgen(data: Dataset) -> Words:
    """Genotypes on X in PLINK's format."""
    return _pgen(on_x(data))


# -- Answers -----------------------------------------------------------------------------------


def _table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values=["NA"], keep_default_na=False)


def _spaced(path: Path) -> pd.DataFrame:
    """A table of PLINK 1.9."""
    return pd.read_csv(path, sep=r"\s+", na_values=["NA"], keep_default_na=False)


_COUNTS = {
    "n_hom_ref": "HOM_REF_CT",
    "n_het": "HET_REF_ALT_CTS",
    "n_hom_alt": "TWO_ALT_GENO_CTS",
    "n_missing": "MISSING_CT",
}


def frequencies(data: Dataset, out: Path) -> Numbers:
    counts = _table(out / "plink.gcount")
    found: Numbers = {name: counts[column].to_numpy() for name, column in _COUNTS.items()}
    hardy = out / "plink.hardy"
    return found | ({"hwe_p": _table(hardy)["P"].to_numpy()} if hardy.exists() else {})


def group_frequencies(data: Dataset, out: Path) -> Numbers:
    """Counts (variants, groups), groups in the order of their names."""
    tables = [_table(path) for path in sorted(out.glob("plink.*.gcount"))]
    return {
        name: np.column_stack([table[column].to_numpy() for table in tables])
        for name, column in _COUNTS.items()
    }


def gwas(
    data: Dataset, out: Path, *, model: Model, kind: str = "linear", test: str = "T_STAT"
) -> Numbers:
    from pyarrow import csv

    columns = {"beta": "BETA", "se": "SE", "t": test, "p": "P"}
    options = csv.ConvertOptions(
        include_columns=list(columns.values()),
        column_types=dict.fromkeys(columns.values(), "float64"),
        null_values=["NA"],
    )
    tab = csv.ParseOptions(delimiter="\t")
    tables = [
        csv.read_csv(out / f"plink.{one}.glm.{kind}", parse_options=tab, convert_options=options)
        for one in model.trait_names
    ]
    found: Numbers = {
        name: np.column_stack([table[column].to_numpy() for table in tables])
        for name, column in columns.items()
    }
    with np.errstate(divide="ignore"):
        return found | {"neg_log10_p": -np.log10(found.pop("p"))}


def kept_rows(data: Dataset, out: Path) -> Numbers:
    return {"kept": np.array(sorted((out / "plink.prune.in").read_text().split()))}


def kept_people(data: Dataset, out: Path) -> Numbers:
    lines = (out / "plink.king.cutoff.in.id").read_text().split()
    return {"kept": np.array(sorted(lines[1:]))}


def pca(data: Dataset, out: Path) -> Numbers:
    scores = _table(out / "plink.eigenvec").filter(like="PC").to_numpy()
    return {"eigenvalues": np.loadtxt(out / "plink.eigenval"), "scores": scores}


def imported(data: Dataset, out: Path) -> Numbers:
    """Nothing to compare: a .pgen is right if it turns back into the .bed that it came from."""
    _again(out, "--make-bed")
    if (out / "again.bed").read_bytes() != data.prefix.with_suffix(".bed").read_bytes():
        raise Disagreement("the .pgen does not turn back into the .bed that it came from")
    return {}


def _again(out: Path, *asked: str) -> None:
    """Ask for what the .pgen that was made holds."""
    words = ["--pfile", "plink", *asked, "--out", "again"]
    subprocess.run(["plink2", *words], cwd=out, check=True, capture_output=True)


def imported_dosages(data: Dataset, out: Path) -> Numbers:
    _again(out, "--freq", "cols=+machr2")
    return _dosages(out / "again.afreq")


def dosages(data: Dataset, out: Path) -> Numbers:
    return _dosages(out / "plink.afreq")


def _dosages(path: Path) -> Numbers:
    found = _table(path)
    return {
        "alleles": found["OBS_CT"].to_numpy(),
        "frequency": found["ALT_FREQS"].to_numpy(float),
        "imputation r²": found["MACH_R2"].to_numpy(float),
    }


def quality(data: Dataset, out: Path) -> Numbers:
    people, het = _table(out / "plink.smiss"), _table(out / "plink.het")
    changes, rows = _table(out / "plink.scount"), _table(out / "plink.vmiss")
    frequency = _table(out / "plink.afreq")["ALT_FREQS"].to_numpy(float)
    return {
        "people's calls": (people["OBS_CT"] - people["MISSING_CT"]).to_numpy(),
        "homozygotes": het["O(HOM)"].to_numpy(),
        "transitions": changes["DIPLOID_TRANSITION_CT"].to_numpy(),
        "expected homozygotes": het["E(HOM)"].to_numpy(float),
        "F": het["F"].to_numpy(float),
        "rows' missing calls": rows["MISSING_CT"].to_numpy(),
        "MAF": np.minimum(frequency, 1 - frequency),
        "HWE p": _table(out / "plink.hardy")["P"].to_numpy(float),
    }


def scores(data: Dataset, out: Path) -> Numbers:
    found = _table(out / "plink.sscore")
    return {
        "alleles": found["ALLELE_CT"].to_numpy(),
        "sum": found["score_SUM"].to_numpy(float),
        "average": found["score_AVG"].to_numpy(float),
    }


def projected(data: Dataset, out: Path) -> Numbers:
    """Sums of loadings on the scale of scores: each component of unit length in the PCA."""
    from genome_eu.formats.parquet import read_pca

    known = read_pca(inputs.reference(data) / "pca.parquet")
    scale = np.sqrt(known["sample_pca_explained_variance"].values * known.attrs["rows_counted"])
    return {"scores": _table(out / "plink.sscore").filter(like="_SUM").to_numpy(float) / scale}


def fst(data: Dataset, out: Path) -> Numbers:
    return {"F_ST": ours.between_pairs(out / "plink.fst.summary")}


def combined(data: Dataset, out: Path) -> Numbers:
    found = _spaced(out / "plink.meta").sort_values(["CHR", "BP"])
    columns = {
        "beta": "BETA",
        "random beta": "BETA(R)",
        "p": "P",
        "random p": "P(R)",
        "tail of Q": "Q",
    }
    return {name: found[column].to_numpy(float) for name, column in columns.items()}


def _clumped(out: Path) -> pd.DataFrame:
    """The table of clumps, which is not there where there are none."""
    path = out / "plink.clumped"
    if not path.exists():
        return pd.DataFrame({"SNP": [], "TOTAL": [], "SP2": []})
    return _spaced(path).sort_values("SNP")


def clumped_rows(data: Dataset, out: Path) -> Numbers:
    """Rows that are named in clumps, after the row that each clump is named after."""
    return {"pairs": ours.named_pairs(_clumped(out), "SNP")}


def clumps(data: Dataset, out: Path) -> Numbers:
    """How many rows each clump has, by the name of the row it is named after."""
    found = _clumped(out)
    return {"clumps": found["SNP"].to_numpy(str), "members": found["TOTAL"].to_numpy(int)}
