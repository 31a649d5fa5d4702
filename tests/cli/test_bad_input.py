"""Bad input: one line that says what, where and what to do; nothing half-made, nothing lost."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from genome_eu.compute import connected
from tests.cli.running import Ran, contents, federation, half_made, in_subprocess
from tests.cohort.genotype_files import write_plink, write_vcf
from tests.federation.exchanges import keys_of, roster
from tests.federation.small_sites import Made, genotypes, make, variants

USAGE, BAD_INPUT, REFUSED, NO_ANSWER = 2, 3, 4, 5
PEOPLE = ["P0", "P1", "P2", "P3", "P4"]

Cli = Callable[..., Ran]


def assert_refused(ran: Ran, code: int, says: str) -> None:
    """One line on stderr, nothing on stdout, and the exit code of its kind."""
    assert ran.code == code, ran.err
    assert ran.err.startswith("genome-eu: ")
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("\n")
    assert re.search(says, ran.err), ran.err
    assert ran.out == ""


# -- import ----------------------------------------------------------------------------------------


def vcf(folder: Path, *, index: bool = True) -> Path:
    records = [
        ("chr21", 1_000_000 + 10 * row, f"rs{row}", "A", "G", *["0/1:0.5:3,2"] * len(PEOPLE))
        for row in range(400)
    ]
    return write_vcf(folder / "some.vcf.gz", PEOPLE, records, index=index)


def bed(folder: Path) -> Path:
    people = [(person, person, 0) for person in PEOPLE]
    return write_plink(folder / "some", people, variants(), genotypes("ES", len(PEOPLE)))


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def truncated_vcf(folder: Path) -> list[Path]:
    return [cut(vcf(folder), 0.5)]


def vcf_truncated_in_its_header(folder: Path) -> list[Path]:
    return [cut(vcf(folder), 0.02)]


def vcf_that_is_plain_text(folder: Path) -> list[Path]:
    path = folder / "plain.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr21>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP0\n"
        "chr21\t100\trs1\tA\tG\t.\tPASS\t.\tGT\t0/1\n"
    )
    return [path]


def vcf_without_index(folder: Path) -> list[Path]:
    return [vcf(folder, index=False)]


def file_that_is_no_vcf(folder: Path) -> list[Path]:
    path = folder / "some.vcf.gz"
    path.write_bytes(b"this is not genotypes\n" * 40)
    return [path]


def truncated_bed(folder: Path) -> list[Path]:
    return [cut(bed(folder), 0.7)]


def bed_without_bim(folder: Path) -> list[Path]:
    source = bed(folder)
    source.with_suffix(".bim").unlink()
    return [source]


def missing_source(folder: Path) -> list[Path]:
    return [folder / "nowhere.vcf.gz"]


def table(folder: Path, ids: list[str], header: str = "sample_id") -> list[Path]:
    path = folder / "people.tsv"
    path.write_text(f"{header}\tage\n" + "".join(f"{one}\t50\n" for one in ids))
    return [bed(folder), Path("--samples"), path]


def other_people(folder: Path) -> list[Path]:
    return table(folder, ["Q0", "Q1"])


def people_not_listed(folder: Path) -> list[Path]:
    return table(folder, PEOPLE[:4])


def person_listed_twice(folder: Path) -> list[Path]:
    return table(folder, [*PEOPLE, "P3"])


def person_without_id(folder: Path) -> list[Path]:
    return table(folder, [*PEOPLE[:4], ""])


def table_without_sample_id(folder: Path) -> list[Path]:
    return table(folder, PEOPLE, header="person")


def missing_table(folder: Path) -> list[Path]:
    return [bed(folder), Path("--samples"), folder / "nobody.tsv"]


def unknown_build(folder: Path) -> list[Path]:
    return [bed(folder), Path("--build"), Path("hg99")]


IMPORTS = [
    (truncated_vcf, BAD_INPUT, r"some\.vcf\.gz"),
    (vcf_truncated_in_its_header, BAD_INPUT, r"some\.vcf\.gz"),
    (vcf_that_is_plain_text, BAD_INPUT, r"plain\.vcf.*bgzip"),
    (vcf_without_index, BAD_INPUT, r"some\.vcf\.gz.*index"),
    (file_that_is_no_vcf, BAD_INPUT, r"some\.vcf\.gz"),
    (truncated_bed, BAD_INPUT, r"some\.bed has .* bytes, but .*Copy it again"),
    (bed_without_bim, BAD_INPUT, r"some\.bim: no such file"),
    (missing_source, BAD_INPUT, r"nowhere\.vcf\.gz: no such file"),
    (other_people, BAD_INPUT, r"people\.tsv"),
    (people_not_listed, BAD_INPUT, r"people\.tsv does not list \(first: P4\).*--allow-unlisted"),
    (person_listed_twice, BAD_INPUT, r"more than once \(first: P3\)"),
    (person_without_id, BAD_INPUT, r"people\.tsv .*empty sample_id"),
    (table_without_sample_id, BAD_INPUT, r"people\.tsv has no column sample_id"),
    (missing_table, BAD_INPUT, r"nobody\.tsv: no such sample table"),
    (unknown_build, USAGE, r"hg99.*GRCh38"),
]


@pytest.mark.parametrize(
    ("prepare", "code", "says"), IMPORTS, ids=[case[0].__name__ for case in IMPORTS]
)
def test_import_of_bad_genotypes_or_people_leaves_no_store(
    cli: Cli, tmp_path: Path, prepare: Callable[[Path], list[Path]], code: int, says: str
):
    args = prepare(tmp_path)
    before = contents(tmp_path)
    assert_refused(cli("import", args[0], tmp_path / "new.vcz", *args[1:]), code, says)
    assert contents(tmp_path) == before
    assert not (tmp_path / "new.vcz").exists()
    assert not half_made(tmp_path)


@pytest.mark.parametrize("prepare", [truncated_vcf, truncated_bed])
def test_failed_overwrite_keeps_the_store_that_was_there(
    cli: Cli, made: dict[str, Made], tmp_path: Path, prepare: Callable[[Path], list[Path]]
):
    store = shutil.copytree(made["FI"].store, tmp_path / "fi.vcz")
    before = contents(store)
    (source,) = prepare(tmp_path)
    assert_refused(cli("import", source, store, "--overwrite"), BAD_INPUT, source.name)
    assert contents(store) == before
    assert not half_made(tmp_path)


def test_import_onto_an_existing_store_must_be_asked_for(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    store = shutil.copytree(made["FI"].store, tmp_path / "fi.vcz")
    before = contents(store)
    ran = cli("import", made["FI"].bed, store)
    assert_refused(ran, BAD_INPUT, r"fi\.vcz exists already; .*--overwrite")
    assert contents(store) == before


def test_c_libraries_do_not_add_lines_for_a_truncated_vcf(tmp_path: Path):
    (source,) = truncated_vcf(tmp_path)
    ran = in_subprocess("import", source, tmp_path / "new.vcz")
    assert_refused(ran, BAD_INPUT, r"some\.vcf\.gz")
    assert not half_made(tmp_path)
    assert not (tmp_path / "new.vcz").exists()


# -- traits and covariates -------------------------------------------------------------------------


GWAS = {
    "constant trait": (["--trait", "constant"], r"trait constant has the same value"),
    "text as trait": (["--trait", "words"], r"trait words is not numeric; give numbers"),
    "unknown trait": (["--trait", "height"], r"height is not a column of the sample table"),
    "too few values": (["--trait", "sparse"], r"trait sparse has 1 people .* at least 3"),
    "collinear covariates": (
        ["--trait", "ldl", "--covariates", "age,age_in_months"],
        r"covariate age_in_months is a combination of age.*leave it out",
    ),
    "constant covariate": (
        ["--trait", "ldl", "--covariates", "constant"],
        r"covariate constant has the same value",
    ),
    "unknown covariate": (["--trait", "ldl", "--covariates", "shoe"], r"shoe is not a column"),
    "missing trait file": (
        ["--trait", "@nowhere.txt"],
        r"trait file nowhere\.txt .*check the path",
    ),
    "--pcs without a PCA": (["--trait", "ldl", "--pcs", "nowhere"], r"--pcs nowhere: no PCA there"),
    "--pcs of an unknown PCA": (
        ["--trait", "ldl", "--pcs", "0123456789abcdef"],
        r"no scores of PCA 0123456789abcdef .*run the PCA first",
    ),
}
USAGES = {
    "unknown --missing": (
        ["--trait", "ldl", "--missing", "guess"],
        r"--missing guess: choose mean",
    ),
    "trait named twice": (["--trait", "ldl", "--trait", "ldl"], r"trait ldl is named twice"),
    "trait as covariate": (["--trait", "ldl", "--covariates", "ldl"], r"ldl is both a trait and"),
    "malformed --dask": (["--trait", "ldl", "--dask", "here"], r"--dask here: give .*tcp://"),
}


@pytest.mark.parametrize("federated", [False, True], ids=["cohort", "federation"])
@pytest.mark.parametrize(
    ("args", "code", "says"),
    [(args, BAD_INPUT, says) for args, says in GWAS.values()]
    + [(args, USAGE, says) for args, says in USAGES.values()],
    ids=[*GWAS, *USAGES],
)
def test_bad_question_of_a_gwas_writes_no_result(
    cli: Cli,
    made: dict[str, Made],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    federated: bool,
    args: list[str],
    code: int,
    says: str,
):
    monkeypatch.chdir(tmp_path)
    target = made["ES"].store
    if federated:
        target = federation(tmp_path / "eu", made["ES"], made["FI"])
    ran = cli("gwas", target, *args, "--out", tmp_path / "out")
    assert_refused(ran, code, says)
    left = contents(tmp_path / "out") if (tmp_path / "out").exists() else {}
    assert not [name for name in left if not name.startswith("study/")]
    assert not half_made(tmp_path)


@pytest.mark.parametrize("federated", [False, True], ids=["cohort", "federation"])
def test_more_components_than_people_are_refused(
    cli: Cli, made: dict[str, Made], tmp_path: Path, federated: bool
):
    target, code, says = made["ES"].store, USAGE, r"99 components .*ask for fewer"
    if federated:
        # A site judges by its policy before the coordinator can count.
        target, code = federation(tmp_path, made["ES"], made["FI"]), REFUSED
        says = r"site ES: .*per person \(policy open-data\); ask for fewer components"
    ran = cli("pca", target, "--components", "99", "--out", tmp_path / "out")
    assert_refused(ran, code, says)
    assert_no_result(tmp_path / "out")


# -- stores, folders, studies ----------------------------------------------------------------------


@pytest.fixture
def own(made: dict[str, Made], tmp_path: Path) -> Path:
    """A copy of a store that a test may damage."""
    return shutil.copytree(made["FI"].store, tmp_path / "fi.vcz")


def damage(store: Path) -> None:
    files = (store / "genome_eu" / "packed").rglob("*")
    chunk = max((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(chunk.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = bytes(255 - byte for byte in content[middle : middle + 16])
    chunk.write_bytes(content)


def test_damaged_chunk_stops_a_gwas_and_the_earlier_result_stays(
    cli: Cli, own: Path, tmp_path: Path
):
    question = ("gwas", own, "--trait", "ldl", "--out", tmp_path / "out")
    assert cli(*question).code == 0
    before = contents(tmp_path / "out")
    damage(own)
    assert_refused(
        cli(*question), BAD_INPUT, r"fi\.vcz: genome_eu/packed, rows 0 to \d+, is damaged.*import"
    )
    assert contents(tmp_path / "out") == before
    assert not half_made(tmp_path)


def test_damaged_chunk_stops_a_gwas_that_had_no_result(cli: Cli, own: Path, tmp_path: Path):
    damage(own)
    ran = cli("gwas", own, "--trait", "ldl", "--out", tmp_path / "out")
    assert_refused(ran, BAD_INPUT, r"fi\.vcz: genome_eu/packed, rows 0 to \d+, is damaged.*import")
    assert not (tmp_path / "out").exists() or not contents(tmp_path / "out")


@pytest.mark.parametrize("federated", [False, True], ids=["cohort", "federation"])
@pytest.mark.parametrize(
    "other",
    [("freq", "--by", "sex"), ("pca",), ("gwas", "--trait", "ldl")],
    ids=lambda args: args[0],
)
def test_out_of_another_question_is_not_written_over(
    cli: Cli, made: dict[str, Made], tmp_path: Path, federated: bool, other: tuple[str, ...]
):
    target = made["ES"].store
    if federated:
        target = federation(tmp_path, made["ES"], made["FI"])
    out = tmp_path / "out"
    assert cli("freq", target, "--out", out).code == 0
    before = contents(out)
    ran = cli(other[0], target, *other[1:], "--out", out)
    assert_refused(ran, BAD_INPUT, r"out holds the result of another question; choose another")
    assert contents(out) == before


def test_damaged_result_json_is_not_written_over(cli: Cli, made: dict[str, Made], tmp_path: Path):
    (tmp_path / "result.json").write_text("{")
    ran = cli("freq", made["FI"].store, "--out", tmp_path)
    assert_refused(ran, BAD_INPUT, r"choose another --out folder")
    assert contents(tmp_path) == {"result.json": b"{"}


def test_study_of_another_version_names_that_version(
    cli: Cli, made: dict[str, Made], tmp_path: Path
):
    toml, out = federation(tmp_path, made["ES"], made["FI"]), tmp_path / "out"
    assert cli("freq", toml, "--out", out).code == 0
    (head,) = out.glob("study/*/study.json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"format": 99, "software": "7.8.9"}))
    before = contents(out)
    ran = cli("freq", toml, "--out", out)
    assert_refused(ran, BAD_INPUT, r"format 99 \(genome_eu 7\.8\.9\).*choose another folder")
    assert contents(out) == before


def test_out_that_is_a_file_is_refused(cli: Cli, made: dict[str, Made], tmp_path: Path):
    (tmp_path / "out").write_text("mine")
    ran = cli("freq", made["FI"].store, "--out", tmp_path / "out")
    assert_refused(ran, BAD_INPUT, "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("command", ["info", "freq", "pca", "gwas"])
@pytest.mark.parametrize("name", ["nowhere.vcz", "nowhere.toml"])
def test_missing_target_is_named(cli: Cli, tmp_path: Path, command: str, name: str):
    more = [] if command == "info" else ["--out", tmp_path / "out"]
    more += ["--trait", "ldl"] if command == "gwas" else []
    assert_refused(cli(command, tmp_path / name, *more), BAD_INPUT, re.escape(name))
    assert not (tmp_path / "out").exists()


def test_folder_that_is_no_store_is_refused(cli: Cli, tmp_path: Path):
    (tmp_path / "empty.vcz").mkdir()
    assert_refused(cli("info", tmp_path / "empty.vcz"), BAD_INPUT, r"empty\.vcz is not a cohort")


@pytest.mark.parametrize("command", ["show", "verify"])
def test_file_that_is_no_bundle_is_refused(cli: Cli, tmp_path: Path, command: str):
    path = tmp_path / "answer.tar"
    path.write_bytes(b"no bundle" * 100)
    assert_refused(cli("bundle", command, path), BAD_INPUT, r"answer\.tar")


@pytest.mark.parametrize("content", [None, "name = 3\n", "name = [\n"], ids=["no", "bad", "broken"])
def test_bad_site_toml_is_refused(cli: Cli, tmp_path: Path, content: str | None):
    path = tmp_path / "site.toml"
    if content is not None:
        path.write_text(content)
    assert_refused(cli("site", "serve", path), BAD_INPUT, r"site\.toml")


# -- federations -----------------------------------------------------------------------------------

SITE = '[[site]]\nname = "{}"\n'
ROSTERS = {
    "not TOML": ("name = ", r"not valid TOML"),
    "no name": (SITE.format("ES"), r"name: field required"),
    "no site": ('name = "eu"\nexchange = "x"\n', r"site: field required"),
    "unknown key": ('name = "eu"\ncolour = 1\n' + SITE.format("ES"), r"colour"),
    "site twice": ('name = "eu"\nexchange = "x"\n' + 2 * SITE.format("ES"), r"names a site twice"),
    "no exchange": ('name = "eu"\n' + SITE.format("ES"), r"neither an exchange nor cohorts"),
    "some cohorts": (
        'name = "eu"\n' + SITE.format("ES") + 'cohort = "es.vcz"\n' + SITE.format("FI"),
        r"cohorts for some sites only",
    ),
    "missing cohort": ('name = "eu"\n' + SITE.format("ES") + 'cohort = "es.vcz"\n', r"es\.vcz"),
    "no time": ('name = "eu"\nexchange = "x"\ntimeout_s = 0\n' + SITE.format("ES"), r"timeout_s"),
    "name of a path": ('name = "eu"\nexchange = "x"\n' + SITE.format("../ES"), r"site\.0\.name"),
}


@pytest.mark.parametrize(("content", "says"), ROSTERS.values(), ids=list(ROSTERS))
def test_bad_federation_file_is_refused(cli: Cli, tmp_path: Path, content: str, says: str):
    path = tmp_path / "federation.toml"
    path.write_text(content)
    assert_refused(cli("freq", path, "--out", tmp_path / "out"), BAD_INPUT, says)
    assert contents(tmp_path) == {"federation.toml": content.encode()}


def assert_no_result(out: Path) -> None:
    """A study may have begun, so that it can be continued; there is no result."""
    left = contents(out)
    assert not [name for name in left if not name.startswith("study/")]
    assert not half_made(out)


def test_sites_that_share_no_variant_are_refused(cli: Cli, made: dict[str, Made], tmp_path: Path):
    rows = [(contig, name, at + 7, a1, a2) for contig, name, at, a1, a2 in variants()]
    toml = federation(tmp_path, made["ES"], make(tmp_path / "other", "FI", rows=rows))
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert_refused(ran, BAD_INPUT, r"share no|no variant|no row|in common")
    assert_no_result(tmp_path / "out")


def test_sites_on_different_builds_are_named(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml = federation(tmp_path, made["ES"], make(tmp_path / "other", "FI", build="GRCh37"))
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert_refused(ran, BAD_INPUT, r"different builds.*(ES.*FI|FI.*ES).*lift")
    assert_no_result(tmp_path / "out")


def test_site_that_does_not_answer_is_named(cli: Cli, tmp_path: Path):
    toml = roster(tmp_path, ["FI"], timeout_s=1)
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert_refused(ran, NO_ANSWER, r"\bFI\b")
    assert_no_result(tmp_path / "out")


def unsigned(toml: Path) -> None:
    (toml.parent / "federation.toml.sig").unlink()


def changed(toml: Path) -> None:
    toml.write_text(toml.read_text().replace("timeout_s = 60.0", "timeout_s = 61.0"))


def without_key(toml: Path) -> None:
    (toml.parent / "hub.key").unlink()


def key_of_somebody(toml: Path) -> None:
    without_key(toml)
    keys_of("somebody").write(toml.parent / "hub.key", None)


def open_key(toml: Path) -> None:
    (toml.parent / "hub.key").chmod(0o644)


def without_exchange(toml: Path) -> None:
    (toml.parent / "exchange").rmdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (unsigned, r"has no federation\.toml\.sig beside it"),
        (changed, r"was changed after it was signed, or not signed by hub"),
        (without_key, r"hub\.key"),
        (key_of_somebody, r"lists nobody with the keys"),
        (open_key, r"hub\.key.*(chmod|600)"),
        (without_exchange, r"exchange.*does not exist"),
    ],
)
def test_nothing_is_asked_before_roster_and_key_are_in_order(
    cli: Cli, tmp_path: Path, damage: Callable[[Path], None], says: str
):
    toml = roster(tmp_path, ["ES", "FI", "IT"])
    damage(toml)
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert_refused(ran, BAD_INPUT, says)
    assert not any((tmp_path / "exchange").rglob("*"))
    assert_no_result(tmp_path / "out")


def test_who_is_left_out_must_be_a_site(cli: Cli, made: dict[str, Made], tmp_path: Path):
    toml = federation(tmp_path, made["ES"], made["FI"])
    ran = cli("freq", toml, "--without", "XX", "--out", tmp_path / "out")
    assert_refused(ran, USAGE, r"--without XX: federation small has no site of that name")


def test_refusal_by_a_policy_names_site_and_floor(cli: Cli, made: dict[str, Made], tmp_path: Path):
    shipped = resources.files("genome_eu.disclosure").joinpath("policies", "default.toml")
    strict = shipped.read_text(encoding="utf-8").replace('name = "default"', 'name = "strict"')
    strict = strict.replace("min_people = 10\n", "min_people = 1000\n")
    (tmp_path / "strict.toml").write_text(strict)
    toml = federation(tmp_path, made["ES"], made["FI"], policy="strict.toml")
    ran = cli("freq", toml, "--out", tmp_path / "out")
    assert_refused(ran, REFUSED, r"\b(ES|FI)\b.*1,?000")
    assert_no_result(tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "says"),
    [("min_people = -1\n", r"policy\.toml"), ("min_people = [", r"policy\.toml")],
    ids=["bad value", "not TOML"],
)
def test_bad_policy_file_lets_nothing_out(
    cli: Cli, made: dict[str, Made], tmp_path: Path, content: str, says: str
):
    (tmp_path / "policy.toml").write_text(content)
    toml = federation(tmp_path, made["FI"], policy="policy.toml")
    assert_refused(cli("freq", toml, "--out", tmp_path / "out"), BAD_INPUT, says)
    assert not (tmp_path / "out").exists()


# -- Dask, usage -----------------------------------------------------------------------------------


def test_dask_scheduler_that_is_not_there_is_named(
    cli: Cli, made: dict[str, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(connected.__wrapped__.__kwdefaults__, "timeout_s", 0.5)
    nowhere = "tcp://127.0.0.1:1"
    ran = cli("freq", made["FI"].store, "--dask", nowhere, "--out", tmp_path / "out")
    assert_refused(ran, NO_ANSWER, r"no Dask scheduler answers at tcp://127\.0\.0\.1:1; .*--dask")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["freq"], "Missing argument"),
        (["gwas", "fi.vcz", "--out", "x"], "Missing option '--trait'"),
        (["freq", "fi.vcz"], "Missing option '--out'"),
        (["pca", "fi.vcz", "--out", "x", "--components", "many"], "--components"),
        (["fly"], "No such command 'fly'"),
        (["freq", "fi.vcz", "--wings"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_names_the_option(cli: Cli, args: list[str], says: str):
    ran = cli(*args)
    assert ran.code == USAGE
    assert says in ran.err.splitlines()[-1]
    assert ran.out == ""


@pytest.mark.parametrize(
    ("asked", "formats", "says"),
    [
        (["freq"], "parquet,ssf", r"--formats ssf: choose among parquet, plink$"),
        (
            ["gwas", "--trait", "ldl"],
            "tsv",
            r"--formats tsv: choose among parquet, plink, regenie, ssf$",
        ),
        (
            ["gwas", "--trait", "ldl"],
            ",",
            r"--formats: name at least one of parquet, plink, regenie, ssf$",
        ),
    ],
)
def test_format_that_is_not_written_is_a_wrong_usage(
    cli: Cli, made: dict[str, Made], tmp_path: Path, asked: list[str], formats: str, says: str
):
    out = tmp_path / "out"
    ran = cli(asked[0], made["FI"].store, *asked[1:], "--formats", formats, "--out", out)
    assert_refused(ran, USAGE, says)
    assert not out.exists()


@pytest.mark.parametrize("components", ["0", "-1"])
def test_no_components_is_a_wrong_usage(
    cli: Cli, made: dict[str, Made], tmp_path: Path, components: str
):
    out = tmp_path / "out"
    ran = cli("pca", made["FI"].store, "--components", components, "--out", out)
    assert_refused(ran, USAGE, r"--components must be at least 1")
    assert not out.exists()
