"""Whatever comes in: it is read as what it says, or refused in one line, soon and in little memory.

python -m tests.federation.test_fuzz 100000     # as many inputs, and what became of them
"""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import dataclasses
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genome_eu.disclosure import load_policy
from genome_eu.disclosure.ledger import Ledger
from genome_eu.errors import BundleError, GenomeEuError
from genome_eu.federation.bundle import Bundle
from genome_eu.federation.cover import read_cover
from genome_eu.federation.parameters import check_inputs
from genome_eu.federation.plan import MOST_SHARDS, Plan
from genome_eu.federation.roster import read_roster
from genome_eu.federation.secure_sum import read_ready
from tests.federation import messages, mutations
from tests.federation.hostile import HOSTILE
from tests.federation.keyed import keyed_roster, roster_text
from tests.federation.test_envelope import signed_as

#: For one input: memory beyond what the program itself takes, and time of the processor.
MEMORY = 2**30
SECONDS = 10
ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,1500}")

Edit = Callable[[Any, random.Random], bytes]


# -- the readers, and all that is done with what they have read ------------------------------------


def read_bundle(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    bundle = Bundle(path)
    manifest = bundle.manifest
    bundle.verify()
    if manifest.content is not None:
        use_plan(manifest.content)
        check_inputs(manifest.content.statistic, bundle.inputs())
    elif manifest.kind == "answer":
        bundle.shard(0) if manifest.secure_sum is None else bundle.masked(0)
    assert manifest.message is None or ONE_LINE.fullmatch(manifest.message), "a message of lines"


def use_plan(plan: Plan) -> None:
    """What a site and its review do with a plan that they were sent."""
    assert re.fullmatch("[0-9a-f]{64}", plan.hash)
    assert len(plan.spans()) <= MOST_SHARDS, "more shards than have a number"
    assert isinstance(plan.masked, bool)
    assert all(isinstance(name, str) for name in plan.columns)
    plan.asked()


def read_plan(path: Path, content: bytes) -> None:
    try:
        plan = Plan.model_validate_json(content)
    except ValidationError:
        raise BundleError("it is not a plan") from None
    use_plan(plan)


def read_policy(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    load_policy(path)


def read_a_roster(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    roster = read_roster(path)
    assert len(roster.digest) == 64
    roster.floored(load_policy("default"))
    roster.party(roster.sites[0])


def read_ledger(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    ledger = Ledger(path)
    try:
        for entry in ledger.entries():
            assert entry.head.count == entry.number
        ledger.verify()
    finally:
        assert ledger.head.count >= 0


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader, sound inputs, and how they are damaged."""

    read: Callable[[Path, bytes], Any]
    sound: list[Any]
    edit: Edit
    #: From what is edited to what is read.
    spell: Callable[[Any], bytes] = bytes


def cover_edited(value: Any, rng: random.Random) -> bytes:
    """A cover that a listed party signed, whatever it says; or one that nobody did."""
    body = mutations.json_edited(value, rng)
    if rng.random() < 0.3:
        body = mutations.bytes_edited(json.dumps(value, sort_keys=True).encode(), rng)
    content = signed_as(body)
    return mutations.bytes_edited(content, rng) if rng.random() < 0.1 else content


def text_edited(text: str, rng: random.Random) -> bytes:
    """TOML, mostly."""
    content = mutations.toml_edited(text, rng)
    return mutations.bytes_edited(content, rng) if rng.random() < 0.2 else content


def spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def readers(folder: Path) -> dict[str, Reader]:
    """All readers, with sound inputs made in a folder."""
    roster = keyed_roster(folder)
    plan, ready = messages.plan(), messages.ready()
    return {
        "bundle": Reader(read_bundle, messages.bundles(folder), mutations.bundle_edited),
        "plan": Reader(read_plan, [plan], mutations.json_edited, spelled),
        "cover": Reader(
            lambda path, content: read_cover(content, roster),
            [messages.cover(folder, roster)],
            cover_edited,
            lambda value: signed_as(spelled(value)),
        ),
        "ready": Reader(
            lambda path, content: read_ready(content), [ready], mutations.json_edited, spelled
        ),
        "policy": Reader(read_policy, messages.policies(), text_edited, str.encode),
        "roster": Reader(
            read_a_roster,
            [roster_text(), roster_text(top="[floor]\nmin_people = 20")],
            text_edited,
            str.encode,
        ),
        "ledger": Reader(read_ledger, [messages.ledger(folder)], mutations.ledger_edited),
    }


# -- one input -------------------------------------------------------------------------------------


def outcome(reader: Reader, path: Path, content: bytes) -> str:
    """`read`, or the kind of our own error; everything else is raised."""
    path.unlink(missing_ok=True)  # as `mutations.rewrite`
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(path, content)
    except GenomeEuError as error:
        if not ONE_LINE.fullmatch(str(error)):
            raise ValueError(f"not one line: {str(error)[:300]!a}") from None
        return type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def seeded(name: str, reader: Reader, number: int) -> bytes:
    """The input of this number, always the same."""
    rng = random.Random(f"{name} {number}")
    return reader.edit(rng.choice(reader.sound), rng)


def too_slow(*_: Any) -> None:
    raise TimeoutError(f"no answer within {SECONDS} s")


def limit_memory() -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY,) * 2)


def fuzz(inputs: int) -> int:
    """Give the readers so many damaged inputs; say what became of them, and of the worst."""
    limit_memory()
    signal.signal(signal.SIGPROF, too_slow)
    failures = 0
    with tempfile.TemporaryDirectory() as made, (Path(made) / "number").open("wb") as at:
        folder = Path(made)
        all_readers = readers(folder)
        share = -(-inputs // len(all_readers))
        for name, reader in all_readers.items():
            found: collections.Counter[str] = collections.Counter()
            slowest, begun = 0.0, time.monotonic()
            for content in reader.sound:
                assert outcome(reader, folder / "input", reader.spell(content)) == "read", name
            for number in range(share):
                # For whoever finds this process dead.
                os.pwrite(at.fileno(), f"{name} {number}".ljust(32).encode(), 0)
                before = time.monotonic()
                try:
                    found[outcome(reader, folder / "input", seeded(name, reader, number))] += 1
                except BaseException as error:
                    found["BAD"] += 1
                    failures += 1
                    if found["BAD"] <= 10:
                        print(f"  {name} {number}: {type(error).__name__}: {str(error)[:200]!a}")
                slowest = max(slowest, time.monotonic() - before)
            seconds = time.monotonic() - begun
            kinds = ", ".join(f"{kind} {times:,}" for kind, times in found.most_common())
            print(f"{name}: {share:,} in {seconds:.1f} s, slowest {slowest:.2f} s: {kinds}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{share * len(all_readers):,} inputs, {failures} failures, peak {peak:,.0f} MiB")
    return failures


# -- all of them, with limits, in a process of its own ---------------------------------------------


@pytest.mark.slow
def test_thousands_of_damaged_inputs_give_clear_errors_only():
    """The same that `python -m tests.federation.test_fuzz 100000` does more of."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.federation.test_fuzz", "21000"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "21,000 inputs, 0 failures" in done.stdout


# -- hostile on purpose ----------------------------------------------------------------------------


def attempt(case: str) -> str:
    """What becomes of a hostile input, with limits."""
    limit_memory()
    signal.signal(signal.SIGPROF, too_slow)
    name, make = HOSTILE[case]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        reader = readers(folder)[name]
        content = make(folder)
        return outcome(reader, folder / "input", content)


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_made_to_hurt_is_refused_soon_and_in_little_memory(case: str):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as one:
        assert one.submit(attempt, case).result(timeout=120) in OURS


OURS = {"BundleError", "SignatureError", "PolicyError", "BadInput", "LedgerError"}


# -- what hypothesis finds, and makes small ---------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("readers"))


@pytest.mark.parametrize("name", ["bundle", "plan", "cover", "ready", "policy", "roster", "ledger"])
@given(content=st.binary(max_size=300), cut=st.integers(0, 5000), length=st.integers(0, 300))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_anywhere(
    all_readers: dict[str, Reader], tmp_path: Path, name: str, content: bytes, cut: int, length: int
):
    reader = all_readers[name]
    sound = reader.spell(reader.sound[-1])
    cut %= len(sound)
    for attempted in (content, sound[:cut] + content + sound[cut + length :]):
        assert outcome(reader, tmp_path / "input", attempted) in OURS | {"read"}


@pytest.mark.parametrize("name", ["plan", "cover", "ready"])
@given(value=JSON, place=st.integers(0, 1000))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_json_in_any_place(
    all_readers: dict[str, Reader], tmp_path: Path, name: str, value: Any, place: int
):
    reader = all_readers[name]
    changed = copy.deepcopy(reader.sound[0])
    places = list(mutations.places(changed))
    holder, key = places[place % len(places)]
    holder[key] = value
    assert outcome(reader, tmp_path / "input", reader.spell(changed)) in OURS | {"read"}


if __name__ == "__main__":
    sys.exit(min(fuzz(int(sys.argv[1])), 100))
