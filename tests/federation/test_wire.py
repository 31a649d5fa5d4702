"""What leaves a site is what the plan names, and nothing else: every byte of a whole run is read.

The argument has three parts. Whatever lies in the exchange is a bundle whose members are exactly
the declared fields of the statistic that its plan asks for (so there is no room for more). The
shape of every array follows from the plan alone, and is the same for sites with different numbers
of people (so no array has an entry per person). And the bytes of what must stay, as the site holds
it, occur nowhere.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.demo.people import SITES, TRAIT
from genome_eu.demo.run import Demo
from genome_eu.federation.bundle import Bundle
from genome_eu.stats.aggregate import AGGREGATES, declared, dimension_sizes

pytestmark = pytest.mark.slow

HEADER = 512


@pytest.fixture(scope="module")
def exchange(demo: Demo) -> Path:
    return demo.folder / "exchange"


@pytest.fixture(scope="module")
def wire(exchange: Path) -> dict[Path, bytes]:
    """Every file that was ever put into the exchange."""
    return {path: path.read_bytes() for path in sorted(exchange.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def stores(demo: Demo) -> dict[str, CohortStore]:
    return {
        site: open_store(demo.folder / "sites" / site / f"{site.lower()}.vcz") for site in SITES
    }


def answers(wire: dict[Path, bytes]) -> Iterator[tuple[Bundle, Bundle]]:
    """Each answer with the plan that it answers."""
    for path in wire:
        if path.stem in SITES:
            yield Bundle(path), Bundle(path.with_name("plan.tar"))


def occurring(wire: dict[Path, bytes], needles: NDArray) -> list[tuple[Path, bytes]]:
    """Which byte rows of `needles` (count, length >= 8) occur in any file, at any offset.

    Compared by 8 bytes first: those of each needle that say most.
    """
    length = needles.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(needles, 8, axis=1)
    changes = (np.diff(windows.astype(np.int16), axis=2) != 0).sum(axis=2)
    start = ((windows != 0).sum(axis=2) + changes).argmax(axis=1)
    keys = np.ascontiguousarray(windows[np.arange(len(needles)), start]).view("<u8")[:, 0]
    order = np.argsort(keys)
    keys, needles, start = keys[order], needles[order], start[order]
    # A table by hash makes the common case, no match, one look-up.
    table = np.zeros(2**24, bool)
    table[_slot(keys)] = True
    found = []
    for path, content in wire.items():
        haystack = np.frombuffer(content, np.uint8)
        for shift in range(8):
            words = haystack[shift : shift + (len(haystack) - shift) // 8 * 8].view("<u8")
            likely = np.flatnonzero(table[_slot(words)])
            for place in likely[np.isin(words[likely], keys)]:
                at = 8 * int(place) + shift
                first = np.searchsorted(keys, words[place])
                while first < keys.size and keys[first] == words[place]:
                    begin = at - int(start[first])
                    if begin >= 0 and content[begin : begin + length] == needles[first].tobytes():
                        found.append((path, needles[first].tobytes()))
                    first += 1
    return found


def _slot(words: NDArray) -> NDArray:
    return (words * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)


def test_the_search_finds_what_is_there(tmp_path):
    """Else the tests below would pass on an empty search."""
    rng = np.random.default_rng(2)
    needles = rng.integers(0, 256, (50, 23), dtype=np.uint8)
    needles[::2, :9] = 0
    noise = rng.integers(0, 256, 10_000, dtype=np.uint8).tobytes()
    for number, needle in enumerate(needles):
        content = noise[: 100 + number] + needle.tobytes() + noise
        assert occurring({tmp_path: content}, needles) == [(tmp_path, needle.tobytes())]
    assert occurring({tmp_path: noise}, needles) == []


def test_the_exchange_holds_plans_and_answers_of_every_site_and_nothing_else(wire, exchange):
    names = {path.relative_to(exchange).as_posix() for path in wire}
    rounds = {name.rsplit("/", 1)[0] for name in names}
    assert names == {f"{one}/{who}.tar" for one in rounds for who in ("plan", *SITES)}
    assert len({one.split("/")[0] for one in rounds}) == 3
    for one in rounds:
        assert re.fullmatch(r"[0-9a-f]{16}/\d{4}", one)


def test_members_are_the_declared_fields_of_what_was_asked(wire):
    for answer, plan in answers(wire):
        asked, manifest = plan.manifest.content, answer.manifest
        assert manifest.kind == "answer"
        assert manifest.plan == plan.manifest.plan == asked.hash
        assert (manifest.statistic, manifest.version) == (asked.statistic, asked.version)
        assert manifest.policy == "default"
        assert [member.name for member in manifest.members] == [
            f"shard-{shard:06d}/{item.name}.npy"
            for shard in range(len(asked.spans()))
            for item in sorted(declared(AGGREGATES[asked.statistic]), key=_in_files(manifest))
        ]


def _in_files(manifest):
    """Wire order within a shard, as the manifest has it."""
    places = {member.name.split("/")[1]: place for place, member in enumerate(manifest.members)}
    return lambda item: places.get(f"{item.name}.npy", -1)


def test_files_hold_their_members_and_no_byte_more(wire):
    for path, content in wire.items():
        bundle = Bundle(path)
        bundle.verify()
        inside = sum(HEADER + -(-member.bytes // 512) * 512 for member in bundle.manifest.members)
        manifest = int(content[124:135], 8)
        used = HEADER + -(-manifest // 512) * 512 + inside + HEADER + 512
        assert 2 * 512 <= len(content) - used < 20 * 512 + 2 * 512
        assert not content[used:].strip(b"\0")


def test_the_shape_of_every_array_follows_from_the_plan_alone(wire, stores):
    """Sites have different numbers of people and answer in the same shapes."""
    assert len({store.people for store in stores.values()}) > 2
    text = {"variant_list": {"text"}, "group_sizes": {"people", "labels"}}
    rounds = itertools.groupby(answers(wire), key=lambda pair: pair[1].path)
    checked = 0
    for _, pairs in rounds:
        shapes = []
        for answer, plan in pairs:
            asked = plan.manifest.content
            shapes.append({})
            for shard, (start, stop) in enumerate(asked.spans()):
                part = answer.shard(shard)
                sizes = dimension_sizes(part)
                assert sizes.get("rows", stop - start) == stop - start
                for item in declared(part):
                    if item.name not in text.get(asked.statistic, ()):
                        shapes[-1][shard, item.name] = getattr(part, item.name).shape
        assert len(shapes) == len(SITES)
        assert all(shape == shapes[0] for shape in shapes)
        checked += 1
    assert checked >= 10


def test_the_only_text_is_variants_and_names_of_groups(wire, stores):
    """The two fields whose size is a site's own: lines of a variant list, and group labels."""
    everything = {
        site: set(zip(store.rows["contig"], store.rows["position"].astype(str), strict=True))
        for site, store in stores.items()
    }
    for answer, plan in answers(wire):
        if plan.manifest.content.statistic == "variant_list":
            lines = bytes(answer.shard(0).text).decode("ascii").splitlines()
            named = [tuple(line.split("\t")) for line in lines]
            assert {len(one) for one in named} == {5}
            assert {one[:2] for one in named} <= everything[answer.manifest.site]
        if plan.manifest.content.statistic == "group_sizes":
            assert answer.shard(0).names == [answer.manifest.site]


@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_no_sample_id_in_any_spelling(wire, stores, encoding):
    ids = [str(one) for store in stores.values() for one in store.sample_id]
    assert all(re.fullmatch(r"(HG|NA)\d{5}", one) for one in ids)
    zeros = {"ascii": "", "utf-16": r"\x00", "utf-32": r"\x00\x00\x00"}[
        encoding.rsplit("-", 1)[0] if "-" in encoding else encoding
    ]
    letters = ("HG", "NA")
    parts = [[re.escape(one) for one in pair] + [r"[0-9]"] * 5 for pair in letters]
    glue = (lambda c: zeros + c) if encoding.endswith("be") else (lambda c: c + zeros)
    pattern = re.compile("|".join("".join(map(glue, one)) for one in parts).encode())
    assert pattern.fullmatch(ids[0].encode(encoding))
    known = {one.encode(encoding) for one in ids}
    for path, content in wire.items():
        assert not known & set(pattern.findall(content)), path


def test_no_packed_genotype_row(wire, stores):
    """The first 88 people, packed: 22 bytes, of rows that cannot be anything else."""
    packed = np.vstack([store.read(slice(None)).packed[:, :22] for store in stores.values()])
    needles = packed[(packed != 0).sum(axis=1) >= 8]
    assert len(needles) > 20_000
    assert occurring(wire, np.unique(needles, axis=0)) == []


def test_no_decoded_genotype_row(wire, stores):
    """The first 88 people, a byte each; a row with 2s in it is not a row of flags."""
    rows = np.vstack([store.read(slice(None)).dosages()[:, :88] for store in stores.values()])
    rows = rows[((rows > 0).sum(axis=1) >= 30) & ((rows == 2).sum(axis=1) >= 10)]
    assert len(rows) > 5000
    spelled = [
        np.where(rows < 0, missing, rows.astype(np.int16)).astype(np.uint8)
        for missing in (3, 9, 255)
    ]
    assert occurring(wire, np.unique(np.vstack(spelled), axis=0)) == []


def test_no_genotype_row_as_numbers(wire, stores):
    """In no array, along no axis: as every byte of a file is accounted for, arrays are enough."""
    codes: dict[Path, bytes] = {}
    for path in wire:
        bundle = Bundle(path)
        orders = []
        for member in bundle.manifest.members:
            array = bundle.array(member.name)
            coded = np.where((array == 0) | (array == 1) | (array == 2), array, 255)
            orders += [coded.astype(np.uint8).ravel(order) for order in "CF"]
        codes[path] = np.concatenate([np.zeros(8, np.uint8), *orders]).tobytes()
    for store in stores.values():
        # 40 people are enough: a row of them is no accident.
        dosage = store.read(slice(None)).dosages()[:, :40]
        rows = dosage[((dosage == 1).sum(axis=1) >= 10) & ((dosage == 2).sum(axis=1) >= 10)]
        assert len(rows) > 300
        assert occurring(codes, np.unique(rows, axis=0).view(np.uint8)) == []


def kept_scores(demo: Demo) -> dict[str, NDArray]:
    found = {}
    for site in SITES:
        files = list((demo.folder / "sites" / site / "state").rglob("scores/*.npy"))
        assert len(files) == 1
        found[site] = np.load(files[0], allow_pickle=False)
    return found


def test_no_score_and_no_trait_of_any_person(wire, demo, stores):
    values = []
    for site, scores in kept_scores(demo).items():
        assert scores.shape[0] == stores[site].people
        trait = stores[site].samples[TRAIT].to_numpy(float)
        values += [scores.ravel(), -scores.ravel(), trait]
    needles = np.unique(np.concatenate(values)).astype("<f8")[:, None].view(np.uint8)
    assert len(needles) > 3000
    assert occurring(wire, needles) == []


def test_no_path_no_user_no_host(wire, demo):
    import getpass
    import platform

    texts = {str(demo.folder), str(Path.home()), str(Path.cwd()), ".vcz", "site.toml"}
    texts |= {name for name in (platform.node(),) if len(name) > 3}
    for path, content in wire.items():
        for text in texts:
            assert text.encode() not in content, (path, text)
        bundle = Bundle(path)
        for member in bundle.manifest.members:
            header = content[bundle._offsets[member.name] - HEADER :][:HEADER]
            assert header[:100].rstrip(b"\0").decode() == member.name
            uid, gid, mtime, user_and_group = (
                header[108:116],
                header[116:124],
                header[136:148],
                header[265:329],
            )
            assert uid == gid == b"0000000\0"
            assert mtime == b"00000000000\0"
            assert user_and_group == bytes(64)
    assert getpass.getuser()


def test_what_is_said_of_a_site_is_its_name_its_hash_and_its_checks(wire, stores):
    for answer, _ in answers(wire):
        manifest = answer.manifest.model_dump(exclude_none=True)
        assert set(manifest) <= {
            "format",
            "kind",
            "software",
            "site",
            "plan",
            "cohort",
            "statistic",
            "version",
            "shards",
            "policy",
            "floors",
            "evidence",
            "members",
        }
        assert manifest["cohort"] == stores[manifest["site"]].digest
        for check in manifest["evidence"]:
            assert set(check) == {"check", "limit", "withheld", "of", "verdict"}
            assert re.fullmatch(r"[a-z, ]+", check["check"])


def test_the_demo_gives_the_pooled_answer(demo):
    """Else the bytes above would be those of a run that proves nothing."""
    assert pd.DataFrame(vars(one) for one in demo.differences)["largest"].max() < 1e-9
