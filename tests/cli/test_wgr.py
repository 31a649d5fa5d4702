"""`genome-eu gwas --model wgr`: files, an earlier regression used again, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genome_eu.formats import read_gwas
from tests import simulate
from tests.cli.running import Ran, contents

Cli = Callable[..., Ran]
PEOPLE, ROWS = 240, 60
ASKED = ("--trait", "complete", "--covariates", "age,sex", "--model", "wgr")
STEP_ONE = ("--block", "30", "--folds", "2")
FORMATS = ("--formats", "parquet,regenie,ssf")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wgr")
    found = {}
    for number, name in enumerate(("FI", "IT")):
        dosage = simulate.dosages(ROWS, PEOPLE, 0.01, number)
        table = simulate.people(dosage, number)
        table["case"] = (table["complete"] > table["complete"].median()).astype(int)
        found[name] = simulate.write_store(folder / name, dosage, table)
    return found


@pytest.fixture
def toml(stores: dict[str, Path], tmp_path: Path) -> Path:
    lines = ['name = "two"']
    for name, store in stores.items():
        lines += ["[[site]]", f'name = "{name}"', f'cohort = "{store}"', 'policy = "open-data"']
    path = tmp_path / "federation.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def wgr_id(out: Path) -> str:
    return json.loads((out / "result.json").read_text())["summary"]["wgr_id"]


def same(one: Path, other: Path) -> None:
    first, second = (read_gwas(out / "gwas.parquet") for out in (one, other))
    for name in ("beta", "se", "neg_log10_p"):
        np.testing.assert_allclose(
            first[f"variant_linreg_{name}"], second[f"variant_linreg_{name}"], rtol=1e-9, atol=1e-12
        )


def test_a_cohort_keeps_what_step_two_needs(cli: Cli, stores: dict[str, Path], tmp_path: Path):
    first, again = tmp_path / "first", tmp_path / "again"
    ran = cli("gwas", stores["FI"], *ASKED, *STEP_ONE, *FORMATS, "--out", first)
    assert ran.code == 0, ran.err
    files = set(contents(first))
    assert {"gwas.parquet", "gwas.wgr.npz", "gwas.complete.regenie", "result.json"} <= files
    assert (first / "gwas.wgr.npz").stat().st_mode & 0o077 == 0
    header = (first / "gwas.complete.regenie").read_text().split("\n", 1)[0]
    assert header.startswith("CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P")
    ran = cli("gwas", stores["FI"], *ASKED, "--wgr", first, *FORMATS, "--out", again)
    assert ran.code == 0, ran.err
    assert wgr_id(again) == wgr_id(first)
    same(first, again)
    # The same regression of other people, or of another model, is none.
    ran = cli("gwas", stores["IT"], *ASKED, "--wgr", first, "--out", tmp_path / "other")
    assert (ran.code, ran.err.count("\n")) == (3, 1)
    assert "and this cohort" in ran.err
    ran = cli(
        "gwas", stores["FI"], *ASKED[:2], *ASKED[4:], "--wgr", first, "--out", tmp_path / "other"
    )
    assert ran.code == 3
    assert "of other traits, covariates or people" in ran.err


def test_a_federation_keeps_it_at_the_sites(cli: Cli, toml: Path, tmp_path: Path):
    first, again = tmp_path / "first", tmp_path / "again"
    ran = cli("gwas", toml, *ASKED, *STEP_ONE, "--out", first)
    assert ran.code == 0, ran.err
    assert not [name for name in contents(first) if name.endswith((".npz", ".npy.begun"))]
    state = toml.parent / "state"
    kept = [path for path in state.rglob("*") if path.is_file() and "wgr" in path.parts]
    assert kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    ran = cli("gwas", toml, *ASKED, "--wgr", wgr_id(first), "--out", again)
    assert ran.code == 0, ran.err
    same(first, again)


def test_binary(cli: Cli, toml: Path, tmp_path: Path):
    asked = ("--trait", "case", "--model", "wgr", "--binary", *STEP_ONE)
    ran = cli("gwas", toml, *asked, *FORMATS, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    header = (tmp_path / "out" / "gwas.case.regenie").read_text().split("\n", 1)[0]
    assert "A1FREQ_CASES" in header


def test_a_small_site_is_predicted_for(cli: Cli, stores: dict[str, Path], tmp_path: Path):
    """It fits nothing in step 1: the weights are those of the other sites, whoever is in it."""
    dosage = simulate.dosages(ROWS, 30, 0.01, 5)
    small = simulate.write_store(tmp_path / "LU", dosage, simulate.people(dosage, 5))
    lines = ['name = "three"']
    for name, store in {**stores, "LU": small}.items():
        lines += ["[[site]]", f'name = "{name}"', f'cohort = "{store}"', 'policy = "open-data"']
    toml = tmp_path / "federation.toml"
    toml.write_text("\n".join(lines) + "\n")
    asked = ("gwas", toml, *ASKED, *STEP_ONE)
    ran = cli(*asked, "--out", tmp_path / "all")
    assert (ran.code, ran.err.count("\n")) == (4, 1), ran.err
    assert "site LU" in ran.err
    assert "(smallest_site)" in ran.err
    out = tmp_path / "larger"
    ran = cli(*asked, "--smallest-site", 31, "--out", out)
    assert ran.code == 0, ran.err
    found = read_gwas(out / "gwas.parquet")
    assert json.loads(found.attrs["wgr"])["people predicted for only"] == {"complete": 30}
    # Everybody takes part in step 2.
    called = found["variant_linreg_n"].values
    assert called.max() == 2 * PEOPLE + 30
    ran = cli(*asked, "--smallest-site", 999, "--out", tmp_path / "none")
    assert (ran.code, ran.err.count("\n")) == (3, 1), ran.err
    assert "every site has fewer than 999 people" in ran.err


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--smallest-site", "60"), 2, "add --model wgr"),
        (("--model", "wgr", "--smallest-site", "-1"), 2, "smallest_site=-1"),
        (("--folds", "3"), 2, "add --model wgr"),
        (("--model", "wgr", "--folds", "1"), 2, "folds=1"),
        (("--model", "wgr", "--wgr", "nowhere"), 3, "no whole-genome regression there"),
        (("--model", "wgr", "--missing", "drop"), 2, "missing calls at the mean"),
        (("--model", "wgr", "--test", "spa"), 2, "are for binary traits"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(
    cli: Cli,
    stores: dict[str, Path],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    says: str,
):
    ran = cli("gwas", stores["FI"], "--trait", "complete", *options, "--out", tmp_path / "out")
    assert (ran.code, ran.err.count("\n")) == (code, 1), ran.err
    assert says in ran.err
