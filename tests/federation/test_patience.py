"""How long is tried, and what is not tried again."""

from __future__ import annotations

import errno
import threading
import time

import pytest

from genome_eu.federation.carriers.patience import Patience, bounded, may_pass


def test_pauses_double_up_to_their_limit_with_jitter():
    patience = Patience(first_s=1.0, longest_s=8.0)
    runs = [
        [pause for pause, _ in zip(patience.pauses(), range(8), strict=False)] for _ in range(50)
    ]
    for full, pauses in zip((1, 2, 4, 8, 8, 8, 8, 8), zip(*runs, strict=True), strict=True):
        assert all(full / 2 <= pause <= full for pause in pauses)
        assert len(set(pauses)) > 1


def test_it_ends_with_the_last_error():
    slept: list[float] = []
    tried: list[int] = []

    def call() -> None:
        tried.append(1)
        raise ConnectionError(f"try {len(tried)}")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    patience = Patience(total_s=0.5, first_s=0.05, longest_s=0.1, sleep=sleep)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=r"try \d+") as last:
        patience.persist(call)
    assert time.monotonic() - start < 5.0
    assert str(last.value) == f"try {len(tried)}"
    assert len(tried) == len(slept) + 1 > 4
    assert max(slept) <= 0.1


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("no"),
        FileNotFoundError("no"),
        OSError(errno.ENOSPC, "full"),
        KeyError(1),
    ],
)
def test_what_will_not_pass_is_not_tried_again(error):
    tried: list[int] = []

    def call() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)):
        Patience().persist(call)
    assert tried == [1]
    assert not may_pass(error)


def test_a_stopped_daemon_does_not_wait():
    stop = threading.Event()
    stop.set()

    def call() -> None:
        raise ConnectionError("gone")

    start = time.monotonic()
    with pytest.raises(ConnectionError):
        Patience(first_s=20.0, sleep=stop.wait).persist(call)
    assert time.monotonic() - start < 5.0


def test_a_call_that_hangs_is_left_behind():
    release = threading.Event()
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"nothing came back within 0.1 s"):
        bounded(lambda: release.wait(30.0), 0.1)
    release.set()
    assert time.monotonic() - start < 5.0
    with pytest.raises(TimeoutError, match="its own"):
        bounded(lambda: (_ for _ in ()).throw(TimeoutError("its own")), 5.0)
