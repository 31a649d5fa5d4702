"""A ledger is only ever added to, and whatever else happens to it is found."""

from __future__ import annotations

import bisect
import errno
import json
import multiprocessing
import os
import random
import signal
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.disclosure import chain
from genome_eu.disclosure.ledger import EVENTS, Head, Ledger
from genome_eu.errors import LedgerError, UsageError
from tests.federation.mutations import rewrite


def filled(path: Path | None, lines: int = 4) -> Ledger:
    ledger = Ledger(path)
    for number in range(lines):
        ledger.append("release", plan=f"{number:064x}", study="s", checks=["people", "rank"])
    return ledger


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ledger.jsonl"


# -- what is written is what is read -----------------------------------------------------------


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_entries_come_back_in_order_chained_and_numbered(path, kept):
    ledger = Ledger(path if kept == "file" else None)
    assert (ledger.head.count, list(ledger.entries())) == (0, [])
    made = [ledger.append("opened", site="FI"), ledger.append("policy", name="ours", floor=5)]
    made.append(ledger.append("denial", who="A. Person", why="grüße", share=0.5, under=None))
    assert list(ledger.entries()) == made
    assert [entry.number for entry in made] == [1, 2, 3]
    assert [entry.previous for entry in made[1:]] == [entry.hash for entry in made[:-1]]
    assert made[2].fields == {"who": "A. Person", "why": "grüße", "share": 0.5, "under": None}
    assert ledger.head == made[-1].head == ledger.verify() == ledger.verify(made[0].head)
    assert made[0].time.endswith("Z")


def test_lines_are_json_that_only_the_owner_may_read(path):
    filled(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(lines[0]) == ["event", "fields", "number", "previous", "time", "hash"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_object_and_another_process_go_on_with_the_chain(path):
    first = filled(path, 2)
    second = Ledger(path)
    second.append("held", plan="x")
    first.append("approval", plan="x", who="officer")
    assert [entry.event for entry in Ledger(path).entries()] == ["release"] * 2 + [
        "held",
        "approval",
    ]
    assert second.verify().count == 4


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(EVENTS)),
            st.dictionaries(st.text(min_size=1, max_size=8), json_like, max_size=4),
        ),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=100)
def test_whatever_may_stand_in_a_ledger_survives_the_round_trip(events):
    ledger = Ledger(None)
    for event, fields in events:
        ledger.append(event, **fields)
    assert [(entry.event, entry.fields) for entry in ledger.entries()] == events
    assert ledger.verify().count == len(events)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"plan": b"bytes"}, "request.plan is not text or a number"),
        ({"rows": {"a": [1, {2, 3}]}}, r"request.rows.a is not text or a number"),
        ({"x": float("nan")}, "request.x is not a number"),
        ({"x": float("inf")}, "request.x is not a number"),
        ({"why": "w" * 2001}, "request.why is too long"),
        ({"names": ["n" * 1000] * 1100}, r"an entry of 1,1\d\d,\d+ bytes is too long"),
    ],
)
def test_what_a_ledger_does_not_take_changes_nothing(path, fields, message):
    ledger = filled(path)
    content = path.read_bytes()
    with pytest.raises(UsageError, match=message):
        ledger.append("request", **fields)
    with pytest.raises(UsageError, match="party is not an event"):
        ledger.append("party")
    assert path.read_bytes() == content


# -- changes are found -------------------------------------------------------------------------


def test_every_change_of_one_byte_is_found(path):
    head = filled(path, 3).head
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        flip = 1 << place % 8
        content[place] ^= flip
        rewrite(path, content)
        with pytest.raises(LedgerError, match=r"ledger .*ledger\.jsonl: line [1-4]: it "):
            Ledger(path).verify()
        content[place] ^= flip
    path.write_bytes(content)
    assert Ledger(path).verify(head) == head


def test_random_changes_of_a_large_ledger_are_found_at_their_line(path, monkeypatch):
    """Ten thousand in the line they fall into, and a few by reading the whole file."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    head = filled(path, 1000).head
    content = path.read_bytes()
    starts = [0, *(place + 1 for place, byte in enumerate(content) if byte == 10)]
    generator = random.Random(1)
    for number in range(10_000):
        place = generator.randrange(len(content))
        line = bisect.bisect_right(starts, place)
        changed = bytearray(content[starts[line - 1] :][:1000])
        changed[place - starts[line - 1]] ^= generator.randrange(1, 256)
        assert chain.parsed(changed.split(b"\n")[0] + b"\n") is None
        if number % 500 == 0:
            path.write_bytes(
                content[: starts[line - 1]] + changed + content[starts[line - 1] + 1000 :]
            )
            with pytest.raises(LedgerError, match=rf": line {line}: "):
                Ledger(path).verify(head)


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_ledger_cut_short_is_sound_in_itself_and_found_by_a_pinned_head(path, lost):
    head = filled(path).head
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-lost]))
    assert Ledger(path).verify().count == 4 - lost
    with pytest.raises(
        LedgerError, match=rf"has {4 - lost} lines, the pinned head has 4: it was cut"
    ):
        Ledger(path).verify(head)
    path.unlink()
    with pytest.raises(LedgerError, match="has 0 lines, the pinned head has 4"):
        Ledger(path).verify(head)


def test_another_ledger_of_the_same_length_is_not_the_pinned_one(path):
    pinned = filled(path).head
    other = filled(None)
    with pytest.raises(LedgerError, match="in memory: line 4: it is not the line that was pinned"):
        other.verify(pinned)
    other.append("opened")
    with pytest.raises(LedgerError, match="line 4: it is not the line that was pinned"):
        other.verify(pinned)


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 3), (0, 1, 1, 2, 3), (1, 2, 3)])
def test_lines_removed_repeated_or_out_of_order_are_found(path, order):
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(LedgerError, match=r"line \d: it does not follow the line before it"):
        Ledger(path).verify()


def test_a_ledger_cut_while_it_is_in_use_takes_nothing_more(path):
    ledger = filled(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(LedgerError, match="has 2 lines and had 4: it was cut short"):
        ledger.append("opened")
    path.unlink()
    with pytest.raises(LedgerError, match="has 0 lines and had 4"):
        assert ledger.head


def test_nothing_is_added_to_a_last_line_that_was_changed(path):
    filled(path)
    content = path.read_bytes()
    path.write_bytes(content[:-20] + b"0" * 17 + content[-3:])
    with pytest.raises(LedgerError, match="its last line is not what was written"):
        Ledger(path).append("opened")


@given(st.binary(max_size=200), st.booleans())
@settings(deadline=None, max_examples=300)
def test_no_bytes_at_all_make_it_fail_otherwise(tmp_path_factory, content, newline):
    path = tmp_path_factory.mktemp("odd") / "ledger.jsonl"
    path.write_bytes(content + b"\n" * newline)
    if content + b"\n" * newline:
        with pytest.raises(LedgerError):
            Ledger(path).verify()


# -- crashes -----------------------------------------------------------------------------------


def test_a_line_that_a_crash_left_unfinished_is_cut_off_and_noted(path):
    """Wherever it broke off."""
    filled(path, 2)
    content = path.read_bytes()
    start = content.index(b"\n") + 1
    for end in range(start + 1, len(content)):
        rewrite(path, content[:end])
        ledger = Ledger(path)
        with pytest.raises(LedgerError, match="line 2: it is unfinished, as a crash leaves it"):
            ledger.verify()
        assert ledger.head.count == len(list(ledger.entries())) == 1
        assert ledger.append("opened").torn == end - start
        assert ledger.verify().count == 2
    assert '"torn":' in path.read_text()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_does_not_take_the_line_leaves_the_ledger_as_it_was(path, monkeypatch, code):
    ledger = filled(path)
    content = path.read_bytes()
    with monkeypatch.context() as patched:

        def full(handle: int) -> None:
            raise OSError(code, os.strerror(code))

        patched.setattr(os, "fsync", full)
        with pytest.raises(LedgerError, match=r"cannot be written \(.*\); nothing leaves the site"):
            ledger.append("release", plan="x")
    assert path.read_bytes() == content
    assert ledger.append("release", plan="x").torn == 0
    assert ledger.verify().count == 5


def test_an_entry_is_on_the_disk_before_it_is_returned(path, monkeypatch):
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_size), real(handle))
    )
    ledger = Ledger(path)
    ledger.append("opened")
    assert synced[-1] == path.stat().st_size > 0
    assert len(synced) == 2  # the folder, which has a new name in it, and the file


def _append_for_ever(path: Path) -> None:
    ledger = Ledger(path)
    while True:
        ledger.append("release", plan="a" * 64, process=os.getpid())


@pytest.mark.slow
def test_several_writers_and_kills_leave_one_sound_chain(path):
    # Forked from a process without threads, which has imported what they need.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    counted = 0
    for _ in range(4):
        workers = [context.Process(target=_append_for_ever, args=(path,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        while Ledger(path).head.count < counted + 20:
            time.sleep(0.01)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        ledger = Ledger(path)
        ledger.append("opened")
        assert ledger.verify().count > counted
        counted = ledger.head.count
    assert len({entry.fields.get("process") for entry in ledger.entries()}) > 4


def test_threads_share_one_ledger(path):
    ledger = Ledger(path)
    threads = [
        threading.Thread(target=lambda: [ledger.append("request") for _ in range(10)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify().count == 40


# -- size --------------------------------------------------------------------------------------


def test_opening_and_adding_read_the_last_line_of_a_hundred_thousand(path):
    head, lines = chain.START, []
    for number in range(100_000):
        entry, line = chain.chained(head, "release", {"plan": "a" * 64, "round": number}, 0)
        head = Head.model_construct(count=entry.number, hash=entry.hash)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    before = time.perf_counter()
    ledger = Ledger(path)
    assert ledger.head == head
    ledger.append("delivered", plan="a" * 64)
    assert time.perf_counter() - before < 1.0
    assert ledger.verify(head).count == 100_001
