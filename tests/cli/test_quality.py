"""`genome-eu qc` and `kinship`, and limits in questions."""

from __future__ import annotations

import json
import stat

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from genome_eu.cohort import import_genotypes
from tests.cli.running import federation, half_made
from tests.cohort.genotype_files import write_plink
from tests.federation.small_sites import PEOPLE
from tests.oracles import kinship as oracle
from tests.oracles import qc
from tests.stats.test_kinship import family


@pytest.fixture(scope="module")
def relatives(tmp_path_factory):
    """A cohort of founders, sibs, a half sib and a twin, of whom the table names the parents."""
    folder = tmp_path_factory.mktemp("relatives")
    dosage = family(900, 30, 0.01, seed=8)
    people = dosage.shape[1]
    ids = [f"P{one:02d}" for one in range(people)]
    named = [("1", f"v{row}", 1000 + row, "C", "T") for row in range(len(dosage))]
    bed = write_plink(folder / "family", [("0", one, 0) for one in ids], named, dosage)
    table = pd.DataFrame(
        {"father": "0", "mother": "", "sex": "unknown"}, index=pd.Index(ids, name="sample_id")
    )
    table.loc[["P30", "P31"], ["father", "mother"]] = ["P00", "P01"]
    # One who is not her mother.
    table.loc["P32", ["father", "mother"]] = ["P00", "P03"]
    table.to_csv(folder / "samples.tsv", sep="\t")
    store = folder / "family.vcz"
    import_genotypes(bed, store, samples=folder / "samples.tsv")
    return dosage, ids, store


TRIOS = [(30, 0, 1), (31, 0, 1), (32, 0, 3)]


def impossible(dosage, trios):
    """Mendelian errors of each row."""
    return [
        sum(qc.mendel_error(*calls[list(trio)].tolist(), "autosome", False) for trio in trios)
        for calls in dosage
    ]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_kinship_writes_what_plink_does_for_its_owner_only(cli, relatives, tmp_path):
    dosage, ids, store = relatives
    ran = cli("kinship", store, "--out", tmp_path, "--unrelated", "0.0884", "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    table = pd.read_csv(tmp_path / "kinship.kin0", sep="\t")
    assert list(table) == ["#IID1", "IID2", "NSNP", "HETHET", "IBS0", "KINSHIP"]
    assert said["pairs"] == len(table)
    pairs = []
    for one, other, kinship in zip(table["#IID1"], table["IID2"], table["KINSHIP"], strict=True):
        i, j = ids.index(one), ids.index(other)
        assert i > j
        assert kinship == float(f"{oracle.king(dosage, j, i):.6g}")
        pairs += [(j, i)] if kinship > 0.0884 else []
    kept = [one for one, keep in zip(ids, oracle.prune(len(ids), pairs), strict=True) if keep]
    files = ["kinship.kin0", "kinship.king.cutoff.in.id", "kinship.king.cutoff.out.id"]
    assert (tmp_path / files[1]).read_text().split() == ["#IID", *kept]
    assert set((tmp_path / files[2]).read_text().split()) == {"#IID", *ids} - set(kept)
    assert said["unrelated people"] == len(kept)
    assert [mode(tmp_path / name) for name in files] == [0o600] * 3
    assert not half_made(tmp_path)


def test_qc_writes_people_for_their_owner_and_rows(cli, relatives, tmp_path):
    dosage, ids, store = relatives
    limits = tmp_path / "limits.toml"
    limits.write_text(
        "[people]\nmin_call_rate = 0.985\n[variants]\nmin_maf = 0.2\nmax_mendel_error_rate = 0.3\n"
    )
    out = tmp_path / "out"
    asked = ("qc", store, "--out", out, "--filters", limits, "--unrelated", "0.177", "--json")
    ran = cli(*asked)
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    people = pd.read_csv(out / "qc.people.tsv", sep="\t", index_col="sample_id", na_values="nan")
    assert mode(out / "qc.people.tsv") == 0o600
    assert people.index.tolist() == ids
    place, nobody = ["autosome"] * len(dosage), np.zeros(len(ids), bool)
    for number, one in enumerate(ids):
        rate = qc.call_rate(dosage, number, nobody, place)
        assert people.loc[one, "call_rate"] == float(f"{rate:.6g}")
        found = qc.inbreeding(dosage, number, nobody, place, "autosome")
        assert people.loc[one, "n_hom"] == found[1]
        assert people.loc[one, "inbreeding_coefficient"] == float(f"{found[3]:.6g}")
        assert (people.loc[one, "removed"] == "call_rate") == (rate < 0.985)
    reasons = people["removed"].fillna("").value_counts().to_dict()
    assert said["people kept"] == reasons.pop("") < len(ids)
    assert said["left_out"]["people removed by limits"] == {"family": reasons}
    rows = pq.read_table(out / "qc.variants.parquet").to_pandas()
    kept = [ids.index(one) for one in people.index[people["removed"].isna()]]
    here = dosage[:, kept]
    np.testing.assert_array_equal(rows["call_rate"], (here >= 0).mean(axis=1))
    maf = np.array([qc.frequency(calls, nobody[kept], "autosome") for calls in here.tolist()])
    maf = np.minimum(maf, 1 - maf)
    np.testing.assert_allclose(rows["minor_allele_frequency"], maf, rtol=1e-14)
    assert ((rows["removed"] == "maf") == (maf < 0.2)).all()
    # Families are looked at though relatives are left out.
    called = (dosage >= 0).mean(axis=0) >= 0.985
    trios = [trio for trio in TRIOS if called[list(trio)].all()]
    assert trios
    np.testing.assert_array_equal(rows["mendel_errors"], impossible(dosage, trios))
    wrong = (rows["mendel_errors"] > 0) & (maf >= 0.2)
    assert ((rows["removed"] == "mendel") == wrong).all()
    assert said["rows kept"] == (rows["removed"] == "").sum()
    # The same question again may be asked into the same folder, another may not.
    assert cli(*asked).code == 0
    other = cli("qc", store, "--out", out)
    assert (other.code, "result of another question" in other.err) == (3, True)


def test_mendelian_errors_are_counted_by_row(cli, relatives, tmp_path):
    dosage, _, store = relatives
    assert cli("qc", store, "--out", tmp_path).code == 0
    rows = pq.read_table(tmp_path / "qc.variants.parquet").to_pandas()
    expected = impossible(dosage, TRIOS)
    assert rows["mendel_errors"].tolist() == expected
    assert max(expected) == 1
    assert (rows["removed"] == "").all()


@pytest.mark.parametrize("command", ["qc", "kinship"])
def test_people_are_no_matter_of_a_federation(cli, made, tmp_path, command):
    target = federation(tmp_path, *made.values())
    ran = cli(command, target, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "numbers of single people never leave a site" in ran.err


def test_kinship_below_what_is_listed_is_refused(cli, relatives, tmp_path):
    ran = cli("kinship", relatives[2], "--out", tmp_path, "--above", "0.2", "--unrelated", "0.1")
    assert (ran.code, "--unrelated 0.1 must lie between 0.2" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        ["freq"],
        ["dosages"],
        ["pca", "--components", "2"],
        ["prune", "--window", "20", "--keep-long-range"],
        ["score", "--weights", "WEIGHTS"],
    ],
)
def test_questions_take_limits(cli, relatives, tmp_path, command):
    dosage, _, store = relatives
    limits, weights = tmp_path / "limits.toml", tmp_path / "one.score"
    weights.write_text("".join(f"v{row}\tT\t{row}\n" for row in range(len(dosage))))
    command = [str(weights) if word == "WEIGHTS" else word for word in command]
    limits.write_text("[variants]\nmin_maf = 0.2\n")
    command = [*command[:1], store, "--out", tmp_path / "out", *command[1:], "--json"]
    ran = cli(*command, "--unrelated", "0.0884", "--filters", limits)
    assert ran.code == 0, ran.err
    left_out = json.loads(ran.out)["left_out"]
    assert left_out["people removed by limits"]["family"]["related"] >= 3
    assert 0 < left_out["rows removed by limits"]["maf"] < len(dosage)


def test_clumps_take_limits(cli, made, tmp_path):
    target = federation(tmp_path, *made.values())
    limits = tmp_path / "limits.toml"
    limits.write_text("[people]\nmin_call_rate = 0.985\n[variants]\nmin_maf = 0.3\n")
    gwas = tmp_path / "gwas"
    ran = cli("gwas", target, "--trait", "ldl", "--filters", limits, "--json", "--out", gwas)
    assert ran.code == 0, ran.err
    left_out = json.loads(ran.out)["left_out"]
    assert set(left_out["people removed by limits"]) == set(PEOPLE)
    assert left_out["rows removed by limits"]["maf"] > 0
    options = ("--gwas", gwas, "--p1", 0.5, "--p2", 0.9, "--r2", 0.01, "--json")
    limits.write_text("[variants]\nmin_maf = 0.4\n")
    ran = cli("clump", target, *options, "--filters", limits, "--out", tmp_path / "clumps")
    assert ran.code == 0, ran.err
    left_out = json.loads(ran.out)["left_out"]
    assert left_out["rows removed by limits"]["maf"] > 0
    assert "rows of the GWAS that are not at every site" not in left_out


def test_a_federated_question_with_limits_says_what_it_did_not_look_for(cli, made, tmp_path):
    target = federation(tmp_path, *made.values())
    out = tmp_path / "out"
    command = ["gwas", target, "--trait", "ldl", "--out", out, "--unrelated", "0.2", "--json"]
    ran = cli(*command)
    assert ran.code == 0, ran.err
    left_out = json.loads(ran.out)["left_out"]
    assert left_out["relatives at different sites"] == "not looked for"
    assert set(left_out["people removed by limits"]) == set(PEOPLE)
    question = json.loads((out / "result.json").read_text())["question"]
    assert question["filters"] == {"people": {"unrelated": 0.2}}
    text = cli("freq", target, "--out", tmp_path / "freq", "--unrelated", "0.2").out
    assert "relatives at different sites: not looked for" in text
