"""A bundle reads back as what was written, or is refused; nothing else can come out of one."""

from __future__ import annotations

import hashlib
import json
import random
import tarfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure import Facts
from genome_eu.disclosure.budget import Exposure
from genome_eu.errors import BundleError
from genome_eu.federation.answer import from_bundle
from genome_eu.federation.bundle import (
    Bundle,
    judged_from,
    record,
    write_answer,
    write_plan,
    write_refusal,
)
from genome_eu.federation.bundle.tar import tar_end, tar_header, write_member
from genome_eu.federation.parameters import PARAMETERS
from genome_eu.federation.plan import Plan
from genome_eu.stats.aggregate import AGGREGATES, Aggregate, has_rows
from tests.federation.bundles import (
    COHORT,
    bundle_of,
    counts_plan,
    judged,
    manifest_for,
    npy,
    projection_plan,
    read_all,
    same_or_refused,
    small_answer,
    small_masked,
    small_plan,
    tar_of,
)

LABEL = "shard-000000/labels.npy"
MAKERS = [small_plan, small_answer, small_masked]
# What is under masks is read by the same code: enough for what takes every byte.
TWO = MAKERS[:2]


#: Groups of people that are judged: everybody and two folds, or two fits.
GROUPS = dict.fromkeys(("ridge_information", "ridge_gradient"), 2)
GROUPS |= dict.fromkeys(("ridge_folds", "ridge_counts", "ridge_block"), 3)
GROUPS |= dict.fromkeys(("ridge_moments", "ridge_level1"), 3)


#: Each trait of a logistic model with its cases and controls.
_TRAIT = Facts(people=200, groups=(Facts(people=80), Facts(people=120)), weighing=200.0)
TRAITS = {name: _TRAIT for name in AGGREGATES if name.startswith("logistic_")}


def plausible(kind: type[Aggregate], rows: int, seed: int) -> Aggregate:
    """Numbers that no floor withholds, in every shape that the type declares."""
    rng = np.random.default_rng(seed)
    sizes = {"rows": rows, "groups": 1, "traits": 2, "covariates": 3, "width": 4}
    sizes |= {"components": 4, "bytes": 11, "band": 3, "reasons": 5}
    sizes |= {"nulls": 2, "parameters": 4, "tails": 2, "scores": 2, "bins": 5}
    sizes |= {"folds": 2, "block": 4, "predictors": 3, "fits": 2, "chromosomes": 2}
    values: dict[str, Any] = {}
    for item in fields(kind):
        shape = tuple(sizes[name] for name in item.metadata["dims"])
        dtype = np.dtype(item.metadata["dtype"])
        if dtype.kind == "f":
            values[item.name] = rng.standard_normal(shape) * 10.0 ** rng.integers(-300, 300, shape)
        elif dtype.kind == "b":
            values[item.name] = np.ones(shape, bool)
        else:
            values[item.name] = rng.integers(40, 60, shape).astype(dtype)
    if "trait_group" in values:
        values["trait_group"][:] = 0
    for name in ("people", "called", "imputed", "people_total"):
        if name in values:
            values[name] = np.full_like(values[name], 200)
    if "dosage_sum" in values:
        values["dosage_sum"][:], values["dosage_square"][:] = 150.25, 190.5
    return kind(**values)


def test_every_statistic_has_parameters_and_can_be_told_apart():
    assert set(PARAMETERS) == {name for name in AGGREGATES if name in PARAMETERS}
    assert len({kind.__name__ for kind in AGGREGATES.values()}) == len(AGGREGATES)


@pytest.mark.parametrize("statistic", sorted(PARAMETERS))
def test_every_aggregate_comes_back_bit_by_bit(tmp_path, statistic):
    kind = AGGREGATES[statistic]
    rows = [4, 4, 1] if has_rows(kind) else [0]
    parts = [plausible(kind, size, seed) for seed, size in enumerate(rows)]
    groups = (Facts(people=200),) * GROUPS.get(statistic, 1)
    if statistic in TRAITS:
        groups = (TRAITS[statistic],) * 2
    few = np.zeros(4, np.int64)
    facts = Facts(people=200, groups=groups, minor_alleles=np.full(4, 90), missing=few)
    facts = replace(facts, carried_by=90.0, row_weighing=np.full(4, 200.0), row_sides=few + 90)
    plan = counts_plan(9, 4).model_copy(update={"statistic": statistic})
    path = tmp_path / "answer.tar"
    made = judged([(part, facts) for part in parts], plan, policy="open-data")
    write_answer(path, made, COHORT)
    answer = from_bundle(Bundle(path), plan, "ES")
    assert (answer.policy, answer.cohort, answer.bytes) == (
        "open-data",
        COHORT,
        path.stat().st_size,
    )
    assert [record(item) for item in made.evidence] == list(answer.evidence)
    for number, part in enumerate(parts):
        back = answer.shard(number)
        assert type(back) is kind
        for item in fields(kind):
            want, got = getattr(part, item.name), getattr(back, item.name)
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            assert got.tobytes() == want.tobytes()
    with pytest.raises(BundleError, match=f"has no shard-00000{len(rows)}"):
        answer.shard(len(rows))


def test_a_plan_comes_back_with_its_inputs(tmp_path):
    plan, inputs = projection_plan()
    write_plan(tmp_path / "plan.tar", plan, inputs)
    bundle = Bundle(tmp_path / "plan.tar")
    assert bundle.manifest.content == plan
    assert bundle.manifest.plan == plan.hash
    back = bundle.inputs()
    assert set(back) == set(inputs)
    for name, value in inputs.items():
        assert (back[name].dtype, back[name].tobytes()) == (value.dtype, value.tobytes())


def test_a_refusal_comes_back_with_a_bounded_message(tmp_path):
    write_refusal(tmp_path / "no.tar", "FI", "b" * 64, "policy", "x" * 2000)
    manifest = Bundle(tmp_path / "no.tar").manifest
    assert (manifest.kind, manifest.site, manifest.reason) == ("refusal", "FI", "policy")
    assert manifest.message == "x" * 500


@pytest.mark.parametrize("make", MAKERS)
def test_equal_content_is_equal_bytes_and_an_ordinary_tar(tmp_path, make):
    first, second = make(tmp_path / "first.tar"), make(tmp_path / "second.tar")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        entries = archive.getmembers()
    bundle = Bundle(first)
    names = ["manifest.json", *(member.name for member in bundle.manifest.members)]
    assert [entry.name for entry in entries] == [*names, "manifest.sha256"]
    for entry in entries:
        assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", "")
        assert (entry.mtime, entry.mode, entry.type) == (0, 0o644, tarfile.REGTYPE)


# -- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", TWO)
def test_every_flipped_byte_is_noticed(tmp_path, make):
    """Also in headers and filling, which nobody reads: there is one spelling of a bundle."""
    path = make(tmp_path / "sound.tar")
    sound, content = read_all(path), path.read_bytes()
    unnoticed = []
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            file.seek(place)
            file.write(bytes([byte ^ 0xFF]))
            try:
                assert read_all(path) == sound, "a damaged bundle was read as something else"
                unnoticed.append(place)
            except BundleError:
                pass
            file.seek(place)
            file.write(bytes([byte]))
    assert unnoticed == []
    assert read_all(path) == sound


@pytest.mark.parametrize("make", MAKERS)
def test_single_flipped_bits_are_noticed(tmp_path, make):
    path = make(tmp_path / "sound.tar")
    sound, content = read_all(path), path.read_bytes()
    rng = random.Random(5)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        assert same_or_refused(tmp_path / "damaged.tar", bytes(damaged), sound)


@pytest.mark.parametrize("make", MAKERS)
def test_a_bundle_cut_anywhere_is_refused(tmp_path, make):
    """At every block of 512 bytes, and beside it."""
    path = make(tmp_path / "sound.tar")
    sound, content = read_all(path), path.read_bytes()
    for block in range(0, len(content), 512):
        for length in {max(block - 1, 0), block, block + 1}:
            assert same_or_refused(tmp_path / "cut.tar", content[:length], sound)
    assert not same_or_refused(tmp_path / "whole.tar", content, sound)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("extra", [b"x", bytes(511) + b"x", bytes(12_000)])
def test_what_follows_the_end_is_refused(tmp_path, make, extra):
    path = make(tmp_path / "long.tar")
    path.write_bytes(path.read_bytes() + extra)
    with pytest.raises(BundleError, match="does not end where its manifest says"):
        read_all(path)


@pytest.mark.parametrize("content", [b"", bytes(10_240), b"PK\x03\x04" + bytes(600), b"{}"])
def test_what_is_no_tar_is_refused(tmp_path, content):
    path = tmp_path / "thing.tar"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="does not begin with its manifest"):
        Bundle(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"none\.tar cannot be read: No such file"):
        Bundle(tmp_path / "none.tar")
    with pytest.raises(BundleError, match="cannot be read: Is a directory"):
        Bundle(tmp_path)


# -- hostile bundles ---------------------------------------------------------------------------


def sealed(path: Path, contents: dict[str, bytes], **changes: Any) -> Path:
    """A bundle in our own spelling whose manifest is true to whatever it holds."""
    return sealed_manifest(path, json.dumps(manifest_for(contents, **changes)).encode(), contents)


def sealed_manifest(
    path: Path, head: bytes, members: dict[str, bytes] | list[tuple[str, bytes]]
) -> Path:
    """A bundle in our own spelling with a manifest that may be anything."""
    named = list(members.items()) if isinstance(members, dict) else members
    digest = hashlib.sha256(head).hexdigest().encode()
    return spelled(path, [("manifest.json", head), *named, ("manifest.sha256", digest)])


def spelled(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    """Any entries in our own spelling of a tar."""
    with path.open("wb") as file:
        written = sum(write_member(file, name, content) for name, content in entries)
        file.write(tar_end(written))
    return path


def test_the_hand_made_bundle_of_these_tests_is_sound(tmp_path):
    path = sealed(tmp_path / "a.tar", {LABEL: npy(np.arange(3))})
    assert read_all(path)[1][LABEL][:2] == ("int64", (3,))


def test_a_tar_in_another_spelling_is_refused(tmp_path):
    """Owners, times and comments in headers would be a place to hide things."""
    members = {LABEL: npy(np.arange(3))}
    path = bundle_of(tmp_path / "other.tar", members)
    with pytest.raises(BundleError, match="does not hold|does not begin|cut short"):
        Bundle(path)
    owned = tarfile.TarInfo("manifest.json")
    owned.uname, owned.mtime = "alice", 1_700_000_000
    head = json.dumps(manifest_for(members)).encode()
    with pytest.raises(BundleError, match="does not begin with its manifest"):
        Bundle(tar_of(tmp_path / "owned.tar", [(owned, head), *members.items()]))


def test_a_member_outside_the_manifest_is_refused(tmp_path):
    content = npy(np.arange(3))
    head = json.dumps(manifest_for({LABEL: content})).encode()
    digest = ("manifest.sha256", hashlib.sha256(head).hexdigest().encode())
    listed, more = (LABEL, content), ("shard-000000/people.npy", content)
    first = ("manifest.json", head)
    with pytest.raises(BundleError, match="does not end where its manifest says"):
        Bundle(spelled(tmp_path / "after.tar", [first, listed, digest, more]))
    with pytest.raises(BundleError, match=r"does not hold manifest\.sha256 where its manifest"):
        Bundle(spelled(tmp_path / "between.tar", [first, listed, more, digest]))
    with pytest.raises(BundleError, match="does not begin with its manifest"):
        Bundle(spelled(tmp_path / "before.tar", [more, first, listed, digest]))


def test_a_manifest_that_is_not_the_one_of_its_digest_is_refused(tmp_path):
    head = json.dumps(manifest_for({})).encode()
    other = hashlib.sha256(head.replace(b"default", b"open-data")).hexdigest().encode()
    with pytest.raises(BundleError, match="its manifest is damaged"):
        Bundle(spelled(tmp_path / "a.tar", [("manifest.json", head), ("manifest.sha256", other)]))


def test_a_member_that_is_listed_and_absent_is_refused(tmp_path):
    members = {LABEL: npy(np.arange(3)), "shard-000000/people.npy": npy(np.arange(3))}
    head = json.dumps(manifest_for(members)).encode()
    path = sealed_manifest(tmp_path / "a.tar", head, {LABEL: members[LABEL]})
    with pytest.raises(BundleError, match=r"does not hold shard-000000/people\.npy"):
        Bundle(path)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.npy",
        "/etc/passwd",
        "inputs/../../outside.npy",
        "inputs//a.npy",
        "inputs/a.npy/../../b.npy",
        "shard-000000/a.npy\n",
        "shard-1/a.npy",
        "shard-000000/A.npy",
        "shard-000000/a.pkl",
        "other/a.npy",
        "",
    ],
)
def test_names_that_are_not_arrays_of_a_bundle_are_refused(tmp_path, name):
    path = sealed(tmp_path / "a.tar", {name: npy(np.arange(3))})
    with pytest.raises(BundleError, match="is not a genome_eu bundle of format 2"):
        Bundle(path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    linked = tarfile.TarInfo(LABEL)
    linked.type, linked.linkname = kind, "/etc/passwd"
    head = json.dumps(manifest_for({LABEL: b""})).encode()
    with pytest.raises(BundleError):
        Bundle(tar_of(tmp_path / "a.tar", [("manifest.json", head), (linked, b"")]))
    with pytest.raises(BundleError, match="does not begin with its manifest"):
        linked.name = "manifest.json"
        Bundle(tar_of(tmp_path / "b.tar", [(linked, b"")]))


def test_a_member_named_twice_is_refused(tmp_path):
    one = npy(np.arange(3))
    listed = manifest_for({LABEL: one})
    listed["members"] *= 2
    twice = [(LABEL, one), (LABEL, one)]
    with pytest.raises(BundleError, match="names a member twice"):
        Bundle(sealed_manifest(tmp_path / "a.tar", json.dumps(listed).encode(), twice))


class Opened:
    """Unpickling one of these is what must not happen."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/genome-eu-unpickled"),))  # noqa: S108


@pytest.mark.parametrize(
    "content",
    [
        npy(np.array([Opened()], dtype=object)),
        npy(np.array(["HG00096"])),
        npy(np.array([b"HG00096"])),
        npy(np.zeros(2, np.float32)),
        npy(np.zeros(2, complex)),
        npy(np.zeros(2, ">f8")),
        npy(np.zeros(2, [("a", "<f8")])),
        npy(np.zeros(2, "datetime64[s]")),
        npy(np.asfortranarray(np.arange(6).reshape(2, 3))),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': (4,)}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': (10**12,)}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}"),
        npy([], "{'descr': '<i8', 'fortran_order': False, 'shape': (0, 99999999999999999999)}"),
        npy(
            [], "{'descr': '<i8', 'fortran_order': False, 'shape': (0, " + "4000000000, " * 7 + ")}"
        ),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': (-3,)}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': (3.0,)}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': 3}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False, 'shape': '3'}"),
        npy(np.arange(3), "{'descr': '<i8', 'fortran_order': False}"),
        npy(np.arange(3), "{'descr': ['<i8'], 'fortran_order': False, 'shape': (3,)}"),
        npy(np.arange(3), "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"),
        npy(np.arange(3), "__import__('os').system('false')"),
        npy(np.arange(3), "[" * 3000),
        npy(np.arange(3), "[1, 2]"),
        npy(np.arange(3), ""),
        npy(np.arange(3)).replace(b"NUMPY\x01", b"NUMPY\x03"),
        npy(np.arange(3))[:9],
        npy(np.arange(3))[:-1],
        b"",
        b"\x80\x04K\x01.",
    ],
)
def test_only_plain_arrays_of_plain_numbers_are_read(tmp_path, content):
    path = sealed(tmp_path / "a.tar", {LABEL: content})
    with pytest.raises(BundleError, match=rf"{LABEL}"):
        read_all(path)
    assert not Path("/tmp/genome-eu-unpickled").exists()  # noqa: S108


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"people": np.array([29.0, 31.0])}, "people.npy is of another number type"),
        ({"people": np.array([True, True])}, "people.npy is of another number type"),
        ({"people": np.array([[29, 31]])}, "has 2 dimensions"),
        ({"people_total": np.array([60])}, "has 1 dimensions"),
        ({"labels": np.array([70, 10, 77])}, "labels.npy is of another number type"),
    ],
)
def test_a_shard_is_what_its_statistic_declares(tmp_path, changes, match):
    arrays = {
        "people_total": np.array(60),
        "people": np.array([29, 31]),
        "labels": np.frombuffer(b"F\nM", np.uint8),
    } | changes
    members = {f"shard-000000/{name}.npy": npy(value) for name, value in arrays.items()}
    bundle = Bundle(sealed(tmp_path / "a.tar", members))
    with pytest.raises(BundleError, match=match):
        bundle.shard(0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 1}, "is not a genome_eu bundle of format 2"),
        ({"kind": "code"}, "is not a genome_eu bundle of format 2"),
        ({"site": "../ES"}, "is not a genome_eu bundle of format 2"),
        ({"plan": "a" * 63}, "is not a genome_eu bundle of format 2"),
        ({"comment": "HG00096"}, "is not a genome_eu bundle of format 2"),
        ({"message": "x" * 501}, "is not a genome_eu bundle of format 2"),
        ({"shards": -1}, "is not a genome_eu bundle of format 2"),
        ({"members": [{"name": LABEL, "bytes": 2**40, "sha256": "0" * 64}]}, "format 2"),
    ],
)
def test_a_manifest_says_nothing_that_is_not_foreseen(tmp_path, changes, match):
    with pytest.raises(BundleError, match=match):
        Bundle(sealed(tmp_path / "a.tar", {}, **changes))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'{"format": NaN}',
        b"[" * 100_000,
        b'{"format": ' + b"1" * 5000 + b"}",
        b'{"format": 1' + b" " * 5000,
    ],
)
def test_a_manifest_that_is_not_one_is_refused(tmp_path, head):
    with pytest.raises(BundleError, match=r"is not a genome_eu bundle of format 2 \("):
        Bundle(sealed_manifest(tmp_path / "a.tar", head, {}))


def test_an_oversize_manifest_is_refused_unread(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(tar_header("manifest.json", 2**32) + b"{}" + bytes(10_000))
    with pytest.raises(BundleError, match="does not begin with its manifest"):
        Bundle(path)


def test_the_inputs_of_a_plan_are_those_that_its_hash_covers(tmp_path):
    plan, inputs = projection_plan()
    other = dict(inputs, frequency=inputs["frequency"] / 2)
    write_plan(tmp_path / "swapped.tar", plan, other)
    with pytest.raises(BundleError, match="its arrays are not those of the plan"):
        Bundle(tmp_path / "swapped.tar").inputs()
    write_plan(tmp_path / "fewer.tar", plan, {"frequency": inputs["frequency"]})
    with pytest.raises(BundleError, match="its arrays are not those of the plan"):
        Bundle(tmp_path / "fewer.tar").inputs()


def test_a_plan_that_is_not_the_one_of_its_hash_is_refused(tmp_path):
    plan, _ = projection_plan()
    changes = {"kind": "plan", "site": None, "statistic": None, "version": None, "shards": 0}
    content = plan.model_dump(mode="json")
    path = sealed(tmp_path / "a.tar", {}, content=content, plan="b" * 64, **changes)
    with pytest.raises(BundleError, match="the plan is not the one that its hash names"):
        Bundle(path)


def test_a_hash_names_one_plan():
    plan, _ = projection_plan()
    content = plan.model_dump(mode="json")
    for name, value in {
        "study": "other",
        "round": 4,
        "sites": ["ES"],
        "reader": "ana",
        "secure_sum": True,
        "statistic": "pca_scores",
        "version": 2,
        "parameters": {"pca": "x"},
        "inputs": {},
        "rows": 6,
        "rows_per_shard": 6,
    }.items():
        assert Plan.model_validate(content | {name: value}).hash != plan.hash
    assert Plan.model_validate(content).hash == plan.hash


@pytest.mark.parametrize("make", MAKERS)
def test_an_answer_is_not_a_plan_nor_the_other_way_round(tmp_path, make):
    bundle = Bundle(make(tmp_path / "a.tar"))
    if make is small_plan:
        with pytest.raises(BundleError, match="is not an answer of a known statistic"):
            bundle.shard(0)
    else:
        with pytest.raises(BundleError, match="is not a plan"):
            bundle.inputs()


def test_an_answer_under_masks_is_not_read_as_numbers_of_a_site(tmp_path):
    bundle = Bundle(small_masked(tmp_path / "a.tar"))
    with pytest.raises(BundleError, match="is under masks; only a sum can be read"):
        bundle.shard(0)
    assert {name: array.dtype for name, array in bundle.masked(0).items()} == {
        "people": np.uint64,
        "people_total": np.uint64,
    }
    with pytest.raises(BundleError, match="is not a judged answer"):
        judged_from(bundle, Exposure(()), {})
    with pytest.raises(BundleError, match="is not under masks"):
        Bundle(small_answer(tmp_path / "b.tar")).masked(0)


@pytest.mark.parametrize(("make", "secure"), [(small_answer, True), (small_masked, False)])
def test_an_answer_is_masked_exactly_where_its_plan_asks_for_it(tmp_path, make, secure):
    plan = counts_plan(4, 4).model_copy(update={"secure_sum": secure})
    path = make(tmp_path / "a.tar")
    said = Bundle(path).manifest.model_copy(
        update={"plan": plan.hash, "statistic": plan.statistic, "version": plan.version}
    )
    bundle = Bundle(path)
    bundle.manifest = said
    with pytest.raises(BundleError, match="is not masked as the plan asks"):
        from_bundle(bundle, plan, "ES")


def test_what_was_judged_comes_back_with_its_reasons(tmp_path):
    plan = counts_plan(4, 4)
    made = judged([(plausible(AGGREGATES[plan.statistic], 4, 1), Facts(people=200))], plan)
    write_answer(tmp_path / "a.tar", made, COHORT)
    reasons = {item.check: item.reason for item in made.evidence if item.reason}
    back = judged_from(Bundle(tmp_path / "a.tar"), made.exposure, reasons)
    assert (back.verdict, back.evidence) == (made.verdict, made.evidence)


def test_only_what_was_judged_is_written(tmp_path):
    with pytest.raises(BundleError, match="dict has not passed the airlock"):
        write_answer(tmp_path / "a.tar", {"people": 60}, COHORT)
    assert not list(tmp_path.iterdir())


# -- fuzz --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, Any]]:
    folder = tmp_path_factory.mktemp("sound")
    return [((path := make(folder / "a.tar")).read_bytes(), read_all(path)) for make in MAKERS]


@pytest.mark.slow
@given(
    which=st.integers(0, len(MAKERS) - 1),
    cuts=st.lists(
        st.tuples(
            st.integers(0, 10_239), st.integers(0, 600), st.binary(max_size=40), st.booleans()
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(max_examples=1500, deadline=None)
def test_bytes_replaced_anywhere_give_a_refusal_or_the_same(sound, tmp_path_factory, which, cuts):
    content, meaning = sound[which]
    damaged = content
    for place, length, new, mend in cuts:
        damaged = damaged[:place] + new + damaged[place + (len(new) if mend else length) :]
    same_or_refused(tmp_path_factory.getbasetemp() / "fuzz.tar", damaged, meaning)


@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda text: npy(np.arange(3), text),
            st.text(st.characters(max_codepoint=255), max_size=80),
        ),
        st.builds(
            lambda shape, descr: npy(
                np.arange(3), repr({"descr": descr, "fortran_order": False, "shape": shape})
            ),
            st.recursive(
                st.integers() | st.booleans() | st.none() | st.floats(),
                lambda inner: st.tuples(inner, inner) | st.tuples(inner),
                max_leaves=5,
            ),
            st.sampled_from(["<i8", "<f8", "|b1", "|u1", "|O", "<U9"]),
        ),
    )
)
@settings(max_examples=800, deadline=None)
def test_an_array_in_any_shape_gives_numbers_or_a_refusal(tmp_path_factory, content):
    path = sealed(tmp_path_factory.getbasetemp() / "fuzz-array.tar", {LABEL: content})
    try:
        array = Bundle(path).array(LABEL)
    except BundleError:
        return
    assert array.dtype.str in ("<i8", "<f8", "|b1", "|u1", "<u8")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*manifest_for({}), "content", "evidence", "reason", "message"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_json_as_a_manifest_gives_a_manifest_or_a_refusal(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "fuzz-manifest.tar"
    head = json.dumps(manifest_for({}) | value if isinstance(value, dict) else value)
    try:
        read_all(sealed_manifest(path, head.encode(), {}))
    except BundleError:
        return
    assert isinstance(value, dict)
