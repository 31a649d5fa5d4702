"""What leaves a site is what the plan names, and nothing else: every byte of a whole run is read.

Messages at the exchange are sealed, so they are opened here with the coordinator's key. The argument
has four parts. Whatever lies at the exchange is a signed message whose clear content has exactly the
declared fields of the statistic that its plan asks for (so there is no room for more). The shape of
every array follows from the plan alone, and is the same for sites with different numbers of people
(so no array has an entry per person). What a site sums is under masks, so that not even the
coordinator can read it. And the bytes of what must stay, as the site holds it, occur nowhere,
neither as they lie there nor opened.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.demo.people import SITES, TRAIT
from genome_eu.demo.run import HUB, Demo, run
from genome_eu.federation import secure_sum
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.carriers.post import Post
from genome_eu.federation.cover import Cover, read_cover
from genome_eu.federation.envelope import unseal
from genome_eu.federation.keys import SecretKeys
from genome_eu.federation.plan import Plan
from genome_eu.federation.roster import verify_roster
from genome_eu.stats.aggregate import AGGREGATES, declared, dimension_sizes
from tests.cli.running import half_made
from tests.oracles import counts as oracle

pytestmark = pytest.mark.slow

HEADER = 512
#: Opened messages take no more than this.
LIMIT = 2**30
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@dataclass(frozen=True)
class Message:
    """A message as it lay at the exchange, and opened by its reader."""

    cover: Cover
    clear: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demonstration: four sites in four processes, three questions."""
    return run(tmp_path_factory.mktemp("demo") / "run", lambda line: None)


@pytest.fixture(scope="module")
def exchange(demo: Demo) -> Path:
    return demo.folder / "exchange"


@pytest.fixture(scope="module")
def wire(exchange: Path) -> list[Path]:
    """Every file that was ever put into the exchange."""
    return [path for path in sorted(exchange.rglob("*")) if path.is_file()]


@pytest.fixture(scope="module")
def messages(
    demo: Demo, exchange: Path, wire: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Message]:
    """Every message by its name, opened with the coordinator's key."""
    roster = verify_roster(demo.folder / "federation.toml")
    keys, post = SecretKeys.read(demo.folder / f"{HUB}.key"), Post(str(exchange))
    folder, found = tmp_path_factory.mktemp("opened"), {}
    for name in post.names():
        content = post.cover(name)
        assert content is not None
        cover = read_cover(content, roster, name=name)
        sealed, clear = folder / "sealed", folder / name.replace("/", "-")
        post.fetch(name, cover.parts, sealed)
        unseal(sealed, cover, keys, clear, LIMIT)
        sealed.unlink()
        found[name] = Message(cover, clear)
    return found


@pytest.fixture(scope="module")
def stores(demo: Demo) -> dict[str, CohortStore]:
    return {
        site: open_store(demo.folder / "sites" / site / f"{site.lower()}.vcz") for site in SITES
    }


def plans(messages: dict[str, Message]) -> dict[str, Plan]:
    """Every plan, by its study and round."""
    found = {}
    for name, message in messages.items():
        if message.cover.kind == "plan":
            plan = Bundle(message.clear).manifest.content
            assert plan is not None
            found[name.rsplit("/", 1)[0]] = plan
    return found


def answers(messages: dict[str, Message]) -> Iterator[tuple[Bundle, Plan]]:
    """Each answer with the plan that it answers; those to one plan follow each other."""
    asked = plans(messages)
    for name, message in messages.items():
        if message.cover.kind == "answer":
            yield Bundle(message.clear), asked[name.rsplit("/", 1)[0]]


def travelling(plan: Plan) -> list[str]:
    """The fields of the answer to a plan: all of them, or under masks those that are summed."""
    return [
        item.name
        for item in declared(AGGREGATES[plan.statistic])
        if not plan.masked or item.metadata["merge"] == "total"
    ]


class Needles:
    """Byte strings that are looked for together, each family under its name, at any offset."""

    def __init__(self, families: dict[str, NDArray]) -> None:
        self.names = list(families)
        keys, which = [], []
        self._parts: list[tuple[int, NDArray, NDArray]] = []
        for number, needles in enumerate(families.values()):
            # Compared by 8 bytes first: those of each needle that say most.
            windows = np.lib.stride_tricks.sliding_window_view(needles, 8, axis=1)
            changes = (np.diff(windows.astype(np.int16), axis=2) != 0).sum(axis=2)
            start = ((windows != 0).sum(axis=2) + changes).argmax(axis=1)
            own = np.ascontiguousarray(windows[np.arange(len(needles)), start]).view("<u8")[:, 0]
            self._parts.append((number, needles, start))
            keys.append(own)
            which.append(np.column_stack([np.full(own.size, number), np.arange(own.size)]))
        order = np.argsort(np.concatenate(keys), kind="stable")
        self._keys = np.concatenate(keys)[order]
        self._which = np.concatenate(which)[order]
        # A table by hash makes the common case, no match, one look-up.
        known = np.zeros(2**24, bool)
        known[(self._keys * _FACTOR) >> np.uint64(40)] = True
        # One bit each, so that it stays in a processor's cache.
        self._table = np.packbits(known, bitorder="little")

    def within(self, content: bytes) -> list[tuple[str, bytes]]:
        """The needles that occur, by family."""
        found = []
        haystack = np.frombuffer(content, np.uint8)
        places = _likely(haystack, self._table)
        words = haystack[places[:, None] + np.arange(8)].view("<u8")[:, 0]
        first = np.searchsorted(self._keys, words, side="left")
        last = np.searchsorted(self._keys, words, side="right")
        for hit in np.flatnonzero(last > first):
            for number, line in self._which[first[hit] : last[hit]]:
                _, needles, start = self._parts[number]
                needle, begin = needles[line].tobytes(), int(places[hit]) - int(start[line])
                if begin >= 0 and content[begin : begin + len(needle)] == needle:
                    found.append((self.names[number], needle))
        return found


_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@numba.njit
def _likely(content: NDArray, table: NDArray) -> NDArray:
    """Where the eight bytes that begin there may be those of a needle: a gigabyte in seconds."""
    places = []
    word = np.uint64(0)
    for place in range(content.size):
        word = (word >> np.uint64(8)) | (np.uint64(content[place]) << np.uint64(56))
        slot = (word * _FACTOR) >> np.uint64(40)
        if place >= 7 and (table[slot >> np.uint64(3)] >> (slot & np.uint64(7))) & 1:
            places.append(place - 7)
    return np.array(places, np.int64)


@pytest.fixture(scope="module")
def occurring(
    demo: Demo, wire: list[Path], messages: dict[str, Message], stores: dict[str, CohortStore]
) -> set[str]:
    """The families of what must stay of which something occurs in any file, sealed or opened."""
    needles = Needles(
        {
            "packed rows": packed_rows(stores),
            "decoded rows": decoded_rows(stores),
            "scores and traits": scores_and_traits(demo, stores),
            **{f"sample ids, {encoding}": sample_ids(stores, encoding) for encoding in WIDE},
        }
    )
    files = [*wire, *(message.clear for message in messages.values())]
    return {name for path in files for name, _ in needles.within(path.read_bytes())}


def packed_rows(stores: dict[str, CohortStore]) -> NDArray:
    """The first 88 people, packed: 22 bytes, of rows that cannot be anything else."""
    packed = np.vstack([store.read(slice(None)).packed[:, :22] for store in stores.values()])
    needles = packed[(packed != 0).sum(axis=1) >= 8]
    assert len(needles) > 20_000
    return np.unique(needles, axis=0)


def decoded_rows(stores: dict[str, CohortStore]) -> NDArray:
    """The first 88 people, a byte each; a row with 2s in it is not a row of flags."""
    rows = np.vstack([store.read(slice(None)).dosages()[:, :88] for store in stores.values()])
    rows = rows[((rows > 0).sum(axis=1) >= 30) & ((rows == 2).sum(axis=1) >= 10)]
    assert len(rows) > 5000
    spelled = [
        np.where(rows < 0, missing, rows.astype(np.int16)).astype(np.uint8)
        for missing in (3, 9, 255)
    ]
    return np.unique(np.vstack(spelled), axis=0)


def sample_ids(stores: dict[str, CohortStore], encoding: str) -> NDArray:
    """Every sample id, spelled with more than a byte a letter."""
    spelled = [str(one).encode(encoding) for store in stores.values() for one in store.sample_id]
    return np.frombuffer(b"".join(spelled), np.uint8).reshape(len(spelled), -1)


def kept_scores(demo: Demo) -> dict[str, NDArray]:
    found = {}
    for site in SITES:
        files = list((demo.folder / "sites" / site / "state").rglob("scores/*.npy"))
        assert len(files) == 1
        found[site] = np.load(files[0], allow_pickle=False)
    return found


def scores_and_traits(demo: Demo, stores: dict[str, CohortStore]) -> NDArray:
    """Every score and every trait of a person as eight bytes."""
    values = []
    for site, scores in kept_scores(demo).items():
        assert scores.shape[0] == stores[site].people
        trait = stores[site].samples[TRAIT].to_numpy(float)
        values += [scores.ravel(), -scores.ravel(), trait]
    needles = np.unique(np.concatenate(values)).astype("<f8")[:, None].view(np.uint8)
    assert len(needles) > 3000
    return needles


def test_the_search_finds_what_is_there():
    """Else the tests below would pass on an empty search."""
    rng = np.random.default_rng(2)
    longer = rng.integers(0, 256, (50, 23), dtype=np.uint8)
    longer[::2, :9] = 0
    eight = rng.integers(0, 256, (20, 8), dtype=np.uint8)
    needles = Needles({"longer": longer, "eight": eight})
    noise = rng.integers(0, 256, 10_000, dtype=np.uint8).tobytes()
    for name, family in (("longer", longer), ("eight", eight)):
        for number, needle in enumerate(family):
            content = noise[: 100 + number] + needle.tobytes() + noise
            assert needles.within(content) == [(name, needle.tobytes())]
    assert needles.within(noise) == needles.within(b"") == []


# -- what lies at the exchange ---------------------------------------------------------------------


def test_the_exchange_holds_plans_ready_messages_and_answers_and_nothing_else(
    messages, wire, exchange
):
    asked = plans(messages)
    assert len({one.split("/")[0] for one in asked}) == 3
    expected = set()
    for one, plan in asked.items():
        assert re.fullmatch(r"[0-9a-f]{16}/\d{4}", one)
        kinds = ("ready", "answer") if plan.masked else ("answer",)
        expected |= {f"{one}/{HUB}.plan"} | {f"{one}/{s}.{kind}" for s in SITES for kind in kinds}
    assert set(messages) == expected
    files = {f"{name}.cover.json" for name in messages}
    for name, message in messages.items():
        files |= {
            f"{name}.{number:06d}.{part.sha256[:32]}"
            for number, part in enumerate(message.cover.parts)
        }
    assert {path.relative_to(exchange).as_posix() for path in wire} == files


def test_everything_that_is_summed_is_masked(messages):
    asked = plans(messages).values()
    assert {plan.statistic for plan in asked if not plan.masked} == {"variant_list", "group_sizes"}
    assert sum(plan.masked for plan in asked) >= 10


def test_what_is_masked_can_be_read_by_nobody(messages):
    """Not a word of it is small enough for a count: a clear one always is, noise hardly ever."""
    words, small = 0, 0
    for answer, plan in answers(messages):
        for member in answer.manifest.members if plan.masked else ():
            array = answer.array(member.name)
            assert array.dtype == np.dtype("<u8")
            # Pairs of traits with different people here; there is one trait.
            words += array.size
            small += int((array < 2**20).sum())
    assert words > 1_000_000
    assert small == 0


def test_the_masks_hide_the_sites_own_counts(messages, stores):
    """The sum over sites is that of what they hold, and no site's own count is in its message."""
    plan = next(one for one in plans(messages).values() if one.statistic == "genotype_counts")
    parts = {a.manifest.site: a for a, asked in answers(messages) if asked.hash == plan.hash}
    masked = {site: answer.masked(0) for site, answer in parts.items()}
    summed = secure_sum.total(plan, masked, people_bound=secure_sum.MOST_PEOPLE)
    people = {site: store.people for site, store in stores.items()}
    assert int(summed.people[0]) == sum(people.values())
    clear: dict[str, set[int]] = {}
    for site, store in stores.items():
        dosage = store.read(slice(None)).dosages()
        counted = oracle.frequencies(dosage, [np.ones(store.people, bool)])
        clear[site] = set(np.unique(counted["allele_count"]).astype(int).tolist())
    for site, fields_of in masked.items():
        for name in ("allele_count", "called", "people"):
            assert not clear[site] & set(np.asarray(fields_of[name])[0].ravel().tolist())


def test_nothing_clear_lies_at_the_exchange(wire):
    """Neither arrays nor manifests; covers are JSON, everything else is crypt4gh."""
    for path in wire:
        content = path.read_bytes()
        for clear in (b"\x93NUMPY", b"manifest.json", b"linear_", b"genotype_counts"):
            assert clear not in content, path
        if path.name.endswith(".cover.json"):
            assert set(json.loads(content)) == {"cover", "signature"}
            assert set(json.loads(content)["cover"]) <= set(Cover.model_fields)
        elif path.name.split(".")[2] == "000000":
            assert content.startswith(b"crypt4gh")


# -- what is in the messages -----------------------------------------------------------------------


def test_members_are_the_declared_fields_of_what_was_asked(messages):
    for answer, asked in answers(messages):
        manifest = answer.manifest
        assert manifest.kind == "answer"
        assert manifest.plan == asked.hash
        assert (manifest.statistic, manifest.version) == (asked.statistic, asked.version)
        assert manifest.policy == "open-data"
        assert [member.name for member in manifest.members] == [
            f"shard-{shard:06d}/{name}.npy"
            for shard in range(len(asked.spans()))
            for name in sorted(travelling(asked), key=_in_files(manifest))
        ]


def _in_files(manifest):
    """Wire order within a shard, as the manifest has it."""
    places = {member.name.split("/")[1]: place for place, member in enumerate(manifest.members)}
    return lambda name: places.get(f"{name}.npy", -1)


def test_ready_messages_say_a_key_and_the_floors(messages):
    asked = plans(messages)
    secrets = set()
    for name, message in messages.items():
        if message.cover.kind == "ready":
            plan = asked[name.rsplit("/", 1)[0]]
            said = secure_sum.read_ready(message.clear.read_bytes())
            assert set(json.loads(message.clear.read_bytes())) == {
                "format",
                "plan",
                "participants",
                "site",
                "key",
                "policy",
            }
            assert (said.plan, said.site) == (plan.hash, message.cover.sender)
            assert said.participants == tuple(sorted(SITES))
            secrets.add(said.key)
    # A fresh key for every round and site.
    assert len(secrets) == len(SITES) * sum(plan.masked for plan in asked.values())


def test_files_hold_their_members_and_no_byte_more(messages):
    for message in messages.values():
        if message.cover.kind == "ready":
            continue
        content, bundle = message.clear.read_bytes(), Bundle(message.clear)
        bundle.verify()
        inside = sum(HEADER + -(-member.bytes // 512) * 512 for member in bundle.manifest.members)
        manifest = int(content[124:135], 8)
        used = HEADER + -(-manifest // 512) * 512 + inside + HEADER + 512
        assert 2 * 512 <= len(content) - used < 20 * 512 + 2 * 512
        assert not content[used:].strip(b"\0")


def test_the_shape_of_every_array_follows_from_the_plan_alone(messages, stores):
    """Sites have different numbers of people and answer in the same shapes."""
    assert len({store.people for store in stores.values()}) > 2
    text = {"variant_list": {"text"}, "group_sizes": {"people", "labels"}}
    rounds = itertools.groupby(answers(messages), key=lambda pair: pair[1].hash)
    checked = 0
    for _, pairs in rounds:
        shapes = []
        for answer, asked in pairs:
            shapes.append({})
            for shard, (start, stop) in enumerate(asked.spans()):
                for name, shape in _shapes(answer, shard, asked, stop - start).items():
                    if name not in text.get(asked.statistic, ()):
                        shapes[-1][shard, name] = shape
        assert len(shapes) == len(SITES)
        assert all(shape == shapes[0] for shape in shapes)
        checked += 1
    assert checked >= 10


def _shapes(answer: Bundle, shard: int, asked: Plan, rows: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a shard; those under masks have their words first."""
    if not asked.masked:
        part = answer.shard(shard)
        assert dimension_sizes(part).get("rows", rows) == rows
        return {item.name: getattr(part, item.name).shape for item in fields(part)}
    found = {name: array.shape for name, array in answer.masked(shard).items()}
    for item in declared(AGGREGATES[asked.statistic]):
        if item.name in found and "rows" in item.metadata["dims"]:
            assert found[item.name][1 + item.metadata["dims"].index("rows")] == rows
    return found


def test_the_only_text_is_variants_and_names_of_groups(messages, stores):
    """The two fields whose size is a site's own: lines of a variant list, and group labels."""
    everything = {
        site: set(zip(store.rows["contig"], store.rows["position"].astype(str), strict=True))
        for site, store in stores.items()
    }
    for answer, asked in answers(messages):
        if asked.statistic == "variant_list":
            part = answer.shard(0)
            lines = bytes(part.text).decode("ascii").splitlines()
            named = [tuple(line.split("\t")) for line in lines]
            assert {len(one) for one in named} == {5}
            assert {one[:2] for one in named} <= everything[answer.manifest.site]
            assert (int(part.rows_withheld), int(part.rows_total)) == (0, len(lines))
        if asked.statistic == "group_sizes":
            part = answer.shard(0)
            assert part.names == [answer.manifest.site]
            # Names only: how many they are is summed under masks.
            assert (int(part.people_total), part.people.size) == (0, 0)


def test_no_sample_id(messages, wire, stores):
    known = {str(one).encode() for store in stores.values() for one in store.sample_id}
    pattern = re.compile(rb"(?:HG|NA)[0-9]{5}")
    assert all(pattern.fullmatch(one) for one in known)
    for path in [*wire, *(message.clear for message in messages.values())]:
        assert not known & set(pattern.findall(path.read_bytes())), path


@pytest.mark.parametrize(
    "family",
    [
        "packed rows",
        "decoded rows",
        "scores and traits",
        *(f"sample ids, {encoding}" for encoding in WIDE),
    ],
)
def test_nothing_of_any_person_occurs_sealed_or_opened(occurring, family):
    assert family not in occurring


def test_no_genotype_row_as_numbers(messages, stores):
    """In no array that is not masked, along no axis: as every byte of a file is accounted for,
    arrays are enough. A masked one has no number as small as a genotype."""
    codes: dict[Path, bytes] = {}
    for message in messages.values():
        if message.cover.kind == "ready" or "secure_sum" in _said(message):
            continue
        bundle, orders = Bundle(message.clear), []
        for member in bundle.manifest.members:
            array = bundle.array(member.name)
            coded = np.where((array == 0) | (array == 1) | (array == 2), array, 255)
            orders += [coded.astype(np.uint8).ravel(order) for order in "CF"]
        codes[message.clear] = np.concatenate([np.zeros(8, np.uint8), *orders]).tobytes()
    assert len(codes) > 10
    for store in stores.values():
        # 40 people are enough: a row of them is no accident.
        dosage = store.read(slice(None)).dosages()[:, :40]
        rows = dosage[((dosage == 1).sum(axis=1) >= 10) & ((dosage == 2).sum(axis=1) >= 10)]
        assert len(rows) > 300
        needles = Needles({"rows": np.unique(rows, axis=0).view(np.uint8)})
        assert [path for path, content in codes.items() if needles.within(content)] == []


def _said(message: Message) -> dict[str, object]:
    return Bundle(message.clear).manifest.model_dump(exclude_none=True)


def test_no_path_no_user_no_host(messages, wire, demo):
    import getpass
    import platform

    texts = {str(demo.folder), str(Path.home()), str(Path.cwd()), ".vcz", "site.toml"}
    texts |= {name for name in (platform.node(),) if len(name) > 3}
    # Of sealed bytes only those in which a short text is no accident.
    for path in (path for path in wire if path.name.endswith(".cover.json")):
        assert not [text for text in texts if text.encode() in path.read_bytes()], path
    for message in messages.values():
        content = message.clear.read_bytes()
        masked = message.cover.kind == "answer" and "secure_sum" in _said(message)
        for text in texts:
            assert (masked and len(text) < 6) or text.encode() not in content, (message, text)
        if message.cover.kind == "ready":
            continue
        bundle = Bundle(message.clear)
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


def test_what_is_said_of_a_site_is_its_name_its_hash_and_its_checks(messages, stores):
    for answer, asked in answers(messages):
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
            "secure_sum",
        }
        assert manifest["cohort"] == stores[manifest["site"]].digest
        assert ("secure_sum" in manifest) == asked.masked
        for check in manifest["evidence"]:
            assert set(check) == {"check", "limit", "withheld", "of", "verdict"}
            assert re.fullmatch(r"[a-z, ]+", check["check"])
            # Beside a masked answer, no number that follows from this site's people.
            assert not asked.masked or (check["withheld"], check["of"]) == (0, 0)


def test_the_demo_gives_the_pooled_answer(demo):
    """Else the bytes above would be those of a run that proves nothing."""
    assert pd.DataFrame(vars(one) for one in demo.differences)["largest"].max() < 1e-9


def test_the_demo_leaves_a_report_and_the_files_of_three_questions(demo):
    names = {path.relative_to(demo.folder).as_posix() for path in demo.folder.rglob("*")}
    assert names >= {
        "report.html",
        "frequencies/result.json",
        "frequencies/frequencies.afreq",
        "pca/pca.eigenval",
        "gwas/gwas.simulated_trait.glm.linear",
    }
    assert not half_made(demo.folder)
    for site in SITES:
        log = (demo.folder / "sites" / site / "log.txt").read_text()
        assert "ERROR" not in log
        assert "Traceback" not in log
        assert not [one for one in ("HG00", "NA20", "NA12") if one in log]
