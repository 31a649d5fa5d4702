"""Meta-analysis beside METAL: its tables to their printed digits, on every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genome_eu.formats.summary_statistics import read_study
from genome_eu.meta import meta_analysis

SIMULATED = Path(__file__).parent / "data" / "metal"
GLUCOSE = Path(__file__).parents[3] / "shared" / "data" / "metal_glucose"
NAMES = ("one", "two", "three")
COLUMNS = {
    "id": "MARKER",
    "effect_allele": "A1",
    "other_allele": "A2",
    "frequency": "FREQ",
    "beta": "BETA",
    "se": "SE",
    "p": "P",
    "n": "N",
}


def table(path: Path, keys: np.ndarray) -> pd.DataFrame:
    """METAL's table, in the order of our result."""
    read = pd.read_csv(path, sep="\t", dtype=str, na_filter=False).set_index("MarkerName")
    assert sorted(read.index) == sorted(keys)
    return read.loc[keys]


def turned(found, theirs: pd.DataFrame) -> np.ndarray:
    """Where METAL names the alleles in the other order."""
    effect, other = (
        np.char.lower(found[f"variant_{name}_allele"].values.astype(str))
        for name in ("effect", "other")
    )
    first, second = theirs["Allele1"].to_numpy(str), theirs["Allele2"].to_numpy(str)
    same, other_way = (first == effect) & (second == other), (first == other) & (second == effect)
    assert (same ^ other_way).all()
    return other_way


def differing(values, printed: pd.Series, shape: str) -> list[tuple[str, str]]:
    """Numbers that are not printed as METAL prints them; −0 is 0."""
    ours = [shape % (value + 0.0) for value in values]
    return [
        (a, b)
        for a, b in zip(ours, printed, strict=True)
        if a != b and not (float(a) == 0.0 == float(b))
    ]


def assert_printed_alike(found, theirs: pd.DataFrame, *, ties: int = 0) -> None:
    """Every number as METAL prints it, but for `ties` last digits of each column."""
    other_way = turned(found, theirs)
    sign = np.where(other_way, -1.0, 1.0)

    def of(name):
        return found[f"variant_meta_{name}"].values

    swap = str.maketrans("+-", "-+")
    directions = [
        text.translate(swap) if turn else text
        for text, turn in zip(of("direction"), other_way, strict=True)
    ]
    assert directions == theirs["Direction"].tolist()
    columns = {
        "P-value": (10.0 ** -of("neg_log10_p"), "%.4g"),
        "Weight": (of("n"), "%.2f"),
        "Zscore": (sign * of("z"), "%.3f"),
        "Effect": (sign * of("beta"), "%.4f"),
        "StdErr": (of("se"), "%.4f"),
        "Freq1": (np.where(other_way, 1.0 - of("frequency"), of("frequency")), "%.4f"),
        "HetISq": (100.0 * of("i_squared"), "%.1f"),
        "HetChiSq": (of("q"), "%.3f"),
        "HetDf": (of("q_df"), "%d"),
        "HetPVal": (10.0 ** -of("q_neg_log10_p"), "%.4g"),
    }
    for name in theirs.columns.intersection(list(columns)):
        values, shape = columns[name]
        unlike = differing(values, theirs[name], shape)
        # METAL's χ² tail is good to 3e-7, which decides a tie between two last digits.
        assert len(unlike) <= max(ties, int(name == "HetPVal")), (name, unlike)
        # A tie is one in the last digit printed.
        for a, b in unlike:
            assert float(a) == pytest.approx(float(b), rel=2e-3), name


@pytest.mark.parametrize("scheme", ["ivw", "samplesize"])
@pytest.mark.parametrize("genomic_control", [False, True])
def test_simulated_studies(scheme, genomic_control):
    studies = [read_study(SIMULATED / f"{name}.txt", columns=COLUMNS) for name in NAMES]
    found = meta_analysis(studies, scheme=scheme, genomic_control=genomic_control)
    path = SIMULATED / f"{scheme}{'_gc' if genomic_control else ''}.tbl"
    theirs = table(path, found["variant_id"].values)
    # METAL's median of chi-square has seven digits: 0.4549364.
    assert_printed_alike(found, theirs, ties=1 if genomic_control else 0)
    assert found.sizes["variants"] == len(theirs)


@pytest.mark.skipif(not GLUCOSE.is_dir(), reason="needs METAL's example of fasting glucose")
def test_glucose_example_is_reproduced_to_its_printed_digits():
    common = {"id": "SNP", "se": "SE"}
    effect = {"effect_allele": "EFFECT_ALLELE", "other_allele": "NON_EFFECT_ALLELE", "beta": "BETA"}
    studies = [
        read_study(
            GLUCOSE / "DGI_three_regions.txt", columns=common | effect | {"p": "P_VAL", "n": "N"}
        ),
        read_study(
            GLUCOSE / "MAGIC_FUSION_Results.txt.gz",
            columns=common | effect | {"p": "PVALUE", "n": "N"},
        ),
        read_study(
            GLUCOSE / "magic_SARDINIA.tbl",
            columns=common
            | {"effect_allele": "AL1", "other_allele": "AL2", "beta": "EFFECT", "p": "PVALUE"},
            n=4106,
        ),
    ]
    found = meta_analysis(studies, scheme="samplesize")
    theirs = table(GLUCOSE / "METAANALYSIS1.TBL", found["variant_id"].values)
    assert len(theirs) == 2495
    assert_printed_alike(found, theirs)
