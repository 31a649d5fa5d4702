from __future__ import annotations

import threading
import time

import pytest

from genome_eu.cohort.threads import cores, in_order


def test_results_come_in_order():
    def slow_first(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    with in_order(slow_first, ((one,) for one in range(50)), 4) as results:
        assert list(results) == list(range(50))


def test_calls_run_side_by_side_and_only_a_few_ahead():
    meet = threading.Barrier(2, timeout=30)
    begun = []

    def arguments():
        for one in range(20):
            begun.append(one)
            yield (one,)

    def wait_for_another(number):
        meet.wait()
        return number

    with in_order(wait_for_another, arguments(), 2) as results:
        for asked, result in enumerate(results):
            assert result == asked
            assert len(begun) <= asked + 3


@pytest.mark.parametrize("where", ["thread", "caller"])
def test_nothing_works_on_after_an_error(where):
    working = set()

    def work(number):
        working.add(number)
        time.sleep(0.05)
        working.discard(number)
        if where == "thread" and number == 3:
            raise RuntimeError("bad luck")
        return number

    calls = ((one,) for one in range(100))
    with pytest.raises(RuntimeError, match="bad luck"), in_order(work, calls, 3) as results:
        for result in results:
            if where == "caller" and result == 3:
                raise RuntimeError("bad luck")
    assert not working


def test_there_is_a_core():
    assert cores() >= 1
