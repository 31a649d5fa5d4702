"""Commands that work: what they print, which files they write, and what those hold."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from genome_eu import __version__
from genome_eu.cohort import import_genotypes
from genome_eu.formats import read_frequencies, read_gwas, read_pca
from tests.cli.running import Ran, contents, federation, half_made, in_subprocess
from tests.cohort.genotype_files import write_plink
from tests.federation.exchanges import keys_of, roster
from tests.federation.small_sites import PEOPLE, ROWS, Made, variants

Cli = Callable[..., Ran]

COMMANDS = (
    ("demo",),
    ("import",),
    ("info",),
    ("qc",),
    ("kinship",),
    ("freq",),
    ("pca",),
    ("prune",),
    ("project",),
    ("clump",),
    ("gwas",),
    ("score",),
    ("meta",),
    ("site", "init"),
    ("site", "serve"),
    ("bundle", "show"),
    ("bundle", "verify"),
)
HEADERS = {
    "frequencies.afreq": "#CHROM ID REF ALT ALT_FREQS OBS_CT",
    "frequencies.gcount": (
        "#CHROM ID REF ALT HOM_REF_CT HET_REF_ALT_CTS TWO_ALT_GENO_CTS HAP_REF_CT HAP_ALT_CTS "
        "MISSING_CT"
    ),
    "frequencies.hardy": "#CHROM ID A1 AX HOM_A1_CT HET_A1_CT TWO_AX_CT O(HET_A1) E(HET_A1) P",
    "gwas.ldl.glm.linear": (
        "#CHROM POS ID REF ALT A1 A1_FREQ TEST OBS_CT BETA SE T_STAT P ERRCODE"
    ),
    "gwas.ldl.tsv.gz": (
        "chromosome base_pair_location effect_allele other_allele beta standard_error "
        "effect_allele_frequency neg_log_10_p_value variant_id rsid n ref_allele"
    ),
    "pca.eigenvec": "#IID PC1 PC2 PC3",
}
QUESTIONS = {
    "freq": (
        (),
        ["afreq", "gcount", "hardy", "parquet"],
        "frequencies",
    ),
    "pca": (("--components", "3"), ["eigenval", "eigenvec", "parquet", "scores.npz"], "pca"),
    "gwas": (
        ("--trait", "ldl", "--covariates", "age,sex"),
        ["ldl.glm.linear", "ldl.tsv.gz", "ldl.tsv.gz-meta.yaml", "parquet"],
        "gwas",
    ),
}
READ = {"freq": read_frequencies, "pca": read_pca, "gwas": read_gwas}
OF_PEOPLE = {"pca.eigenvec", "pca.scores.npz"}


@pytest.fixture(scope="module")
def pooled(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The people of all sites in one store."""
    folder = tmp_path_factory.mktemp("pooled")
    table = pd.concat([made[name].table for name in PEOPLE])
    table.to_csv(folder / "people.tsv", sep="\t", na_rep="")
    dosage = np.hstack([made[name].dosage for name in PEOPLE])
    bed = write_plink(folder / "pooled", [(one, one, 0) for one in table.index], variants(), dosage)
    store = folder / "pooled.vcz"
    import_genotypes(bed, store, samples=folder / "people.tsv", build="GRCh38")
    return store


def first_line(path: Path) -> str:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return text.decode().splitlines()[0]


def record_of(out: Path) -> dict:
    return json.loads((out / "result.json").read_text())


# -- what is printed -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, command: tuple[str, ...]):
    ran = cli(*command, "--help")
    assert ran.code == 0
    assert ran.err == ""
    usage = ran.out.splitlines()[0]
    assert f" {' '.join(command)} [OPTIONS]" in usage
    described = ran.out.split("\n\n")[1].strip()
    assert described.endswith(".")


def test_help_lists_every_command(cli: Cli):
    listed = cli("--help").out
    assert not [command for command in COMMANDS if f"\n  {command[0]} " not in listed]


def test_version_is_the_version_of_the_package():
    ran = in_subprocess("--version")
    assert ran == Ran(0, f"genome-eu {__version__}\n", "")


def test_info_tells_people_and_rows_of_a_cohort(cli: Cli, made: dict[str, Made]):
    facts = json.loads(cli("info", made["FI"].store, "--json").out)
    numbers = [value for value in facts.values() if isinstance(value, int)]
    assert PEOPLE["FI"] in numbers
    assert ROWS in numbers
    assert "GRCh38" in facts.values()
    shown = cli("info", made["FI"].store)
    assert shown.code == 0
    assert "GRCh38" in shown.out


def test_info_tells_who_takes_part_in_a_federation(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml = federation(tmp_path, made["ES"], made["FI"])
    facts = json.loads(cli("info", toml, "--json").out)
    assert [site["name"] for site in facts["site"]] == ["ES", "FI"]


def test_import_prints_what_it_made(cli: Cli, made: dict[str, Made], tmp_path: Path):
    ran = cli("import", made["FI"].bed, tmp_path / "new.vcz", "--build", "GRCh38", "--json")
    assert ran.code == 0, ran.err
    assert PEOPLE["FI"] in json.loads(ran.out).values()
    assert not half_made(tmp_path)
    again = json.loads(cli("info", tmp_path / "new.vcz", "--json").out)
    assert again == json.loads(ran.out)


# -- what is written -------------------------------------------------------------------------------


@pytest.mark.parametrize("federated", [False, True], ids=["cohort", "federation"])
@pytest.mark.parametrize("command", QUESTIONS)
def test_result_folder_is_complete(
    cli: Cli, made: dict[str, Made], tmp_path: Path, command: str, federated: bool
):
    options, files, stem = QUESTIONS[command]
    sites = [made["ES"], made["FI"]] if federated else [made["FI"]]
    target = federation(tmp_path / "eu", *sites) if federated else made["FI"].store
    out = tmp_path / "out"
    ran = cli(command, target, *options, "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    printed = json.loads(ran.out)
    assert printed["out"] == str(out)
    names = {f"{stem}.{file}" for file in files}
    if federated:
        # Scores of people stay at their sites.
        names = names - OF_PEOPLE | {"harmonization.tsv"}
    assert {path.name for path in out.iterdir() if path.is_file()} == names | {"result.json"}
    assert not half_made(tmp_path)
    for name in names & HEADERS.keys():
        assert first_line(out / name).split("\t") == HEADERS[name].split()
    for name in names:
        private = stat.S_IMODE((out / name).stat().st_mode) == 0o600
        assert private == (name in OF_PEOPLE), name
    assert READ[command](out / f"{stem}.parquet").sizes["variants"] == ROWS

    record = record_of(out)
    assert record["genome_eu"] == __version__
    assert record["question"]["ask"] == {"freq": "frequencies"}.get(command, command)
    assert set(record["files"]) == names
    assert record["left_out"] == printed["left_out"]
    assert set(record["cohorts"]) == ({"ES", "FI"} if federated else {"fi"})
    assert all(len(bytes.fromhex(digest)) == 32 for digest in record["cohorts"].values())
    assert {"numpy", "dask", "zarr", "sgkit"} <= set(record["versions"])
    assert record["policies"] == (["open-data"] if federated else [])
    assert record["sites_without_floors"] == (["ES", "FI"] if federated else [])


def test_without_json_the_summary_is_for_people(cli: Cli, made: dict[str, Made], tmp_path: Path):
    ran = cli("freq", federation(tmp_path, made["FI"]), "--out", tmp_path / "out")
    assert ran.code == 0
    assert f"rows: {ROWS}\n" in ran.out
    assert "no floors were applied at FI\n" in ran.out
    assert ran.out.endswith(f"5 files and result.json in {tmp_path / 'out'}\n")


def test_groups_and_traits_have_files_of_their_own(cli: Cli, made: dict[str, Made], tmp_path: Path):
    store, out = made["FI"].store, tmp_path / "out"
    assert cli("freq", store, "--by", "population", "--out", out / "freq").code == 0
    groups = read_frequencies(out / "freq" / "frequencies.parquet")["cohort_id"].values
    assert sorted(groups) == ["north", "south"]
    for group in groups:
        for kind in ("afreq", "gcount", "hardy"):
            path = out / "freq" / f"frequencies.{group}.{kind}"
            assert first_line(path).split("\t") == HEADERS[f"frequencies.{kind}"].split()
    (tmp_path / "traits.txt").write_text("ldl\n\n crp \n")
    ran = cli("gwas", store, "--trait", f"@{tmp_path / 'traits.txt'}", "--out", out / "gwas")
    assert ran.code == 0, ran.err
    record = record_of(out / "gwas")
    assert record["question"]["traits"] == ["ldl", "crp"]
    assert record["left_out"]["people analysed"] == {"ldl": PEOPLE["FI"], "crp": PEOPLE["FI"] - 6}
    # The two traits do not share their people, and yet one table holds both, row by row.
    assert [name for name in record["files"] if name.endswith(".parquet")] == ["gwas.parquet"]
    found = read_gwas(out / "gwas" / "gwas.parquet")
    assert found["trait_id"].values.tolist() == ["ldl", "crp"]
    assert found["variant_linreg_n"].values.max(axis=0).tolist() == [PEOPLE["FI"], PEOPLE["FI"] - 6]
    for trait in ("ldl", "crp"):
        assert first_line(out / "gwas" / f"gwas.{trait}.glm.linear").startswith("#CHROM\tPOS")


def test_only_the_formats_named_are_written(cli: Cli, made: dict[str, Made], tmp_path: Path):
    asked = ("gwas", made["FI"].store, "--trait", "ldl", "--formats", "ssf,parquet")
    assert cli(*asked, "--out", tmp_path / "gwas").code == 0
    assert set(contents(tmp_path / "gwas")) == {
        "gwas.parquet",
        "gwas.ldl.tsv.gz",
        "gwas.ldl.tsv.gz-meta.yaml",
        "result.json",
    }
    asked = ("freq", made["FI"].store, "--formats", "parquet")
    assert cli(*asked, "--out", tmp_path / "freq").code == 0
    assert set(contents(tmp_path / "freq")) == {"frequencies.parquet", "result.json"}


def test_sidecar_of_gwas_ssf_describes_its_file(cli: Cli, made: dict[str, Made], tmp_path: Path):
    assert cli("gwas", made["FI"].store, "--trait", "ldl", "--out", tmp_path).code == 0
    described = yaml.safe_load((tmp_path / "gwas.ldl.tsv.gz-meta.yaml").read_text())
    assert described["genome_assembly"] == "GRCh38"
    assert described["trait_description"] == ["ldl"]
    assert described["samples"][0]["sample_size"] == PEOPLE["FI"]
    assert described["data_file_name"] == "gwas.ldl.tsv.gz"


def test_program_runs_on_its_own(made: dict[str, Made], tmp_path: Path):
    ran = in_subprocess("freq", made["FI"].store, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert json.loads(ran.out)["rows"] == ROWS


# -- a federation answers as the pooled cohort -----------------------------------------------------


def test_federated_counts_equal_pooled_counts(
    cli: Cli, made: dict[str, Made], pooled: Path, tmp_path: Path
):
    toml = federation(tmp_path, *made.values())
    assert cli("freq", toml, "--by", "population,sex", "--out", tmp_path / "eu").code == 0
    assert cli("freq", pooled, "--by", "population,sex", "--out", tmp_path / "one").code == 0
    ours = contents(tmp_path / "eu")
    theirs = contents(tmp_path / "one")
    assert len(theirs) == 2 + 3 * (1 + 4)
    for name in theirs:
        if not name.endswith((".parquet", ".json")):
            assert ours[name] == theirs[name], name
    eu = read_frequencies(tmp_path / "eu" / "frequencies.parquet")
    one = read_frequencies(tmp_path / "one" / "frequencies.parquet")
    assert set(eu["cohort_id"].values) == set(one["cohort_id"].values)
    places = [list(eu["cohort_id"].values).index(group) for group in one["cohort_id"].values]
    eu = eu.isel(cohorts=places)
    of_sites = {name for name in eu.variables if str(name).startswith("variant_n_sites_")}
    assert set(eu.variables) == set(one.variables) | of_sites
    counted = [name for name in one.variables if one[name].dtype.kind in "iub"]
    assert len(counted) > 10
    for name in counted:
        np.testing.assert_array_equal(eu[name].values, one[name].values, err_msg=str(name))
    dosage = np.hstack([made[name].dosage for name in PEOPLE])
    alleles = np.where(dosage < 0, 0, dosage).sum(axis=1)
    np.testing.assert_array_equal(eu["variant_allele_count"].values[:, 1], alleles)


@pytest.mark.parametrize("federated", [False, True], ids=["cohort", "federation"])
def test_gwas_takes_the_components_of_an_earlier_pca(
    cli: Cli, made: dict[str, Made], pooled: Path, tmp_path: Path, federated: bool
):
    target = federation(tmp_path, *made.values()) if federated else pooled
    out = tmp_path / "out"
    asked = ("gwas", target, "--trait", "ldl", "--no-site-effects", "--missing", "drop")
    assert cli("pca", target, "--components", "2", "--out", out / "pca").code == 0
    ran = cli(*asked, "--pcs", out / "pca", "--out", out / "by folder")
    assert ran.code == 0, ran.err
    pca_id = record_of(out / "pca")["summary"]["pca_id"]
    assert record_of(out / "by folder")["question"]["pca"] == pca_id
    assert cli(*asked, "--pcs", "2", "--out", out / "by number").code == 0
    assert cli(*asked, "--out", out / "without").code == 0
    by_folder, by_number, without = (
        read_gwas(out / name / "gwas.parquet") for name in ("by folder", "by number", "without")
    )
    tested = by_folder["variant_linreg_errcode"].values == "."
    assert tested.sum() > ROWS / 2
    np.testing.assert_array_equal(
        by_folder["variant_linreg_df"].values[tested],
        without["variant_linreg_df"].values[tested] - 2,
    )
    for name in ("variant_linreg_beta", "variant_linreg_se"):
        np.testing.assert_allclose(by_folder[name].values, by_number[name].values, rtol=1e-9)
        assert not np.allclose(
            by_folder[name].values[tested], without[name].values[tested], rtol=1e-6
        )


def test_federated_gwas_with_components_equals_the_pooled_one(
    cli: Cli, made: dict[str, Made], pooled: Path, tmp_path: Path
):
    toml = federation(tmp_path, *made.values())
    found = []
    for name, target in (("eu", toml), ("one", pooled)):
        pca, out = tmp_path / name / "pca", tmp_path / name / "gwas"
        assert cli("pca", target, "--components", "2", "--out", pca).code == 0
        asked = ("gwas", target, "--trait", "ldl", "--no-site-effects", "--missing", "drop")
        assert cli(*asked, "--covariates", "age", "--pcs", pca, "--out", out).code == 0
        found.append(read_gwas(out / "gwas.parquet"))
    eu, one = found
    np.testing.assert_array_equal(
        eu["variant_linreg_errcode"].values, one["variant_linreg_errcode"].values
    )
    for name in ("variant_linreg_beta", "variant_linreg_se", "variant_linreg_neg_log10_p"):
        np.testing.assert_allclose(eu[name].values, one[name].values, rtol=1e-7, atol=1e-9)


# -- the same question again -----------------------------------------------------------------------


@pytest.mark.parametrize("command", QUESTIONS)
def test_same_federated_question_again_continues_its_study(
    cli: Cli, made: dict[str, Made], tmp_path: Path, command: str
):
    options, _, stem = QUESTIONS[command]
    toml, out = federation(tmp_path, made["ES"], made["FI"]), tmp_path / "out"
    table = out / f"{stem}.parquet"
    assert cli(command, toml, *options, "--out", out).code == 0
    (log,) = out.glob("study/*/log.jsonl")
    first, before = (
        [json.loads(line) for line in log.read_text().splitlines()],
        pq.read_table(table),
    )
    record = record_of(out)
    assert cli(command, toml, *options, "--out", out).code == 0
    assert [path.parent.name for path in out.glob("study/*/log.jsonl")] == [log.parent.name]
    more = [json.loads(line) for line in log.read_text().splitlines()][len(first) :]
    assert [line["event"] for line in first].count("asked") == record["rounds"]
    assert [line["event"] for line in more] == ["continued"]
    assert pq.read_table(table).equals(before)
    assert record_of(out) == record


def test_question_that_lost_an_answer_asks_that_site_only(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    toml, out = federation(tmp_path, made["ES"], made["FI"]), tmp_path / "out"
    assert cli("freq", toml, "--out", out).code == 0
    before = pq.read_table(out / "frequencies.parquet")
    (log,) = out.glob("study/*/log.jsonl")
    lines = len(log.read_text().splitlines())
    last = max(log.parent.glob("rounds/*"))
    (last / "FI.tar").write_bytes((last / "FI.tar").read_bytes()[:-2000])
    assert cli("freq", toml, "--out", out).code == 0
    more = [json.loads(line) for line in log.read_text().splitlines()][lines:]
    assert [(line["event"], line.get("site")) for line in more] == [
        ("continued", None),
        ("discarded", "FI"),
        ("answered", "FI"),
    ]
    assert pq.read_table(out / "frequencies.parquet").equals(before)


def test_same_question_of_a_cohort_again_gives_the_same_tables(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    asked = ("gwas", made["FI"].store, "--trait", "ldl", "--out", tmp_path)
    assert cli(*asked).code == 0
    before = contents(tmp_path)
    assert cli(*asked).code == 0
    assert contents(tmp_path) == before


# -- what the operator of a site runs --------------------------------------------------------------


def test_site_init_writes_settings_that_serve_accepts(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    signed, keys = roster(tmp_path, ["FI"]), tmp_path / "FI.key"
    keys_of("FI").write(keys)
    folder = tmp_path / "site"
    options = ["--name", "FI", "--cohort", made["FI"].store, "--exchange", tmp_path / "exchange"]
    options += ["--keys", keys, "--roster", signed, "--yes"]
    ran = cli("site", "init", folder, *options)
    assert ran.code == 0, ran.err
    written = {"site.toml", "policy.toml", "policy.schema.json", "state/roster.json"}
    assert set(contents(folder)) == written
    served = in_subprocess("site", "serve", folder / "site.toml", "--idle-exit", "0.2")
    assert served.code == 0, served.err
    assert "Traceback" not in served.err
    before = contents(folder)
    again = cli("site", "init", folder, *options)
    assert again.code == 3
    assert again.err.startswith("genome-eu: ")
    assert contents(folder) == before


def test_bundle_shows_and_verifies_an_answer(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml = federation(tmp_path, made["FI"])
    assert cli("freq", toml, "--out", tmp_path / "out").code == 0
    bundle = max(tmp_path.glob("out/study/*/rounds/*/FI.tar"))
    shown = json.loads(cli("bundle", "show", bundle, "--json").out)
    assert (shown["site"], shown["policy"]) == ("FI", "open-data")
    assert "site FI, policy open-data\n" in cli("bundle", "show", bundle).out
    verified = cli("bundle", "verify", bundle)
    assert verified.code == 0
    assert f"{len(shown['members'])} arrays, all whole" in verified.out


def test_a_cohort_can_be_named_by_its_url(cli: Cli, made: dict[str, Made], tmp_path: Path):
    own = made["FI"].store
    assert "people" in cli("info", own.as_uri()).out
    out = tmp_path / "freq"
    assert cli("freq", own.as_uri(), "--out", out).code == 0
    assert (out / "frequencies.parquet").exists()
