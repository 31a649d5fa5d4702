from __future__ import annotations

import gc
import shutil
import threading
import tracemalloc

import dask
import numpy as np
import pytest

from genome_eu.cohort import open_store
from genome_eu.compute import block_rows, passes, reduce, stream
from genome_eu.errors import BadInput, SourceError
from tests import simulate
from tests.compute import tasks
from tests.compute.conftest import FakeStore, Held, LiveCount

#: Blocks that are handed out together.
WINDOW = passes._WINDOW


def first_row(block: Held) -> int:
    return int(block.rows[0])


class Told:
    """A progress bar that remembers."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def advance(self, rows: int) -> None:
        self.rows.append(rows)


class TestOrder:
    @pytest.mark.parametrize("blocks", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 5])
    def test_summaries_come_in_row_order(self, fake, blocks):
        found = list(stream(fake, np.arange(blocks * 4), first_row, size=4))
        assert found == list(range(0, blocks * 4, 4))

    def test_rows_are_read_in_the_order_wanted(self, cohort):
        rows = np.random.default_rng(0).permutation(90)[:41]
        parts = list(stream(cohort.store, rows, tasks.dosages_and_process, size=6))
        np.testing.assert_array_equal(np.vstack([part[0] for part in parts]), cohort.dosage[rows])
        assert [len(part[0]) for part in parts] == [6] * 6 + [5]

    def test_every_block_gets_its_slice_of_what_is_by_row(self, fake):
        def paired(block, weight, offset):
            return block.rows, weight, offset

        rows, weight = np.arange(10), np.arange(10) * 2.5
        for got, slice_of_weight, offset in stream(
            fake, rows, paired, "same", by_row=[weight], size=3
        ):
            np.testing.assert_array_equal(slice_of_weight, got * 2.5)
            assert offset == "same"

    def test_no_rows_no_summaries(self, fake):
        assert list(stream(fake, np.arange(0), first_row, size=4)) == []

    def test_no_block_crosses_an_end(self, fake):
        found = stream(fake, np.arange(20), lambda block: len(block.rows), size=4, ends=(6, 7, 20))
        assert list(found) == [4, 2, 1, 4, 4, 4, 1]

    def test_progress_is_told_of_every_row(self, fake):
        told = Told()
        list(stream(fake, np.arange(4 * WINDOW + 3), first_row, size=1, progress=told))
        assert sum(told.rows) == 4 * WINDOW + 3
        assert max(told.rows) == WINDOW

    @pytest.mark.parametrize("backend", ["cpu", "reference"])
    def test_blocks_carry_the_backend_asked_for(self, cohort, backend):
        (found,) = stream(
            cohort.store,
            np.arange(5),
            lambda block: block.backend.__name__,
            size=9,
            backend=backend,
        )
        assert found == f"genome_eu.kernels.{backend}"


class TestBoundedWindows:
    def test_nothing_is_read_before_it_is_asked_for(self, fake):
        found = stream(fake, np.arange(1000), first_row, size=1)
        assert fake.blocks.ever == 0
        assert next(found) == 0
        found.close()
        # The window asked for, and the one that is computed meanwhile.
        assert WINDOW <= fake.blocks.ever <= 2 * WINDOW

    def test_a_reader_who_stops_early_stops_the_reading(self, fake):
        found = stream(fake, np.arange(1000), first_row, size=1)
        for _ in range(WINDOW + 1):
            next(found)
        found.close()
        assert 2 * WINDOW <= fake.blocks.ever <= 3 * WINDOW

    @pytest.mark.parametrize("blocks", [5 * WINDOW, 30 * WINDOW])
    def test_summaries_alive_are_those_of_two_windows(self, fake, blocks):
        alive = LiveCount()
        for _ in stream(fake, np.arange(blocks), lambda block: Held(block.rows, alive), size=1):
            pass
        assert alive.ever == blocks
        # A window in use, the one that is computed meanwhile, and the last summary before.
        assert alive.peak <= 2 * WINDOW + 1

    def test_windows_are_smaller_where_summaries_are_large(self, fake):
        alive = LiveCount()
        large = passes._WINDOW_BYTES // 4
        for _ in stream(
            fake, np.arange(100), lambda block: Held(block.rows, alive), size=1, summary_bytes=large
        ):
            pass
        assert alive.peak <= 2 * 4 + 1

    @pytest.mark.parametrize("blocks", [5 * WINDOW, 30 * WINDOW])
    def test_blocks_alive_are_those_at_work(self, fake, blocks):
        for _ in stream(fake, np.arange(blocks), first_row, size=1):
            pass
        assert fake.blocks.ever == blocks
        assert fake.blocks.peak <= WINDOW

    @pytest.mark.parametrize("blocks", [5 * WINDOW, 30 * WINDOW])
    def test_a_sum_holds_a_window_and_itself(self, fake, blocks):
        alive = LiveCount()

        def add(a: Held, b: Held) -> Held:
            return Held(np.append(a.rows, b.rows), alive)

        whole = reduce(
            fake, np.arange(blocks), lambda block: Held(block.rows, alive), add=add, size=1
        )
        np.testing.assert_array_equal(whole.rows, np.arange(blocks))
        assert alive.ever == 2 * blocks - 1
        # Half a window of sums may stand beside the summaries that they were made of.
        assert alive.peak <= 1.5 * WINDOW + 2

    def test_peak_memory_does_not_grow_with_the_number_of_rows(self, cohort):
        def products(block) -> np.ndarray:
            return np.repeat(block.dosages().astype(float), 8, axis=1)

        def peak(windows: int) -> int:
            rows = np.tile(np.arange(90), windows * WINDOW)
            gc.collect()
            tracemalloc.start()
            for _ in stream(cohort.store, rows, products, size=90):
                pass
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

        peak(1)  # what is made once: compiled kernels, the opened store
        few = peak(3)
        assert few > WINDOW * 90 * 50 * 8 * 8
        assert peak(12) < 1.2 * few


class TestSums:
    @pytest.mark.parametrize(
        ("blocks", "expected"),
        [
            (1, "0"),
            (2, "(0+1)"),
            (5, "(((0+1)+(2+3))+4)"),
            (6, "(((0+1)+(2+3))+(4+5))"),
            (7, "(((0+1)+(2+3))+((4+5)+6))"),
        ],
    )
    def test_the_tree_depends_on_nothing_but_the_number_of_blocks(self, fake, blocks, expected):
        found = reduce(
            fake,
            np.arange(blocks),
            lambda block: str(first_row(block)),
            add=lambda a, b: f"({a}+{b})",
            size=1,
        )
        assert found == expected

    def test_windows_are_added_one_after_the_other(self, fake):
        def add(a: str, b: str) -> str:
            # Brackets only where a whole window meets the windows before it.
            return f"[{a}]{b}" if f" {WINDOW} " in f" {b} " else f"{a} {b}"

        found = reduce(
            fake, np.arange(WINDOW + 2), lambda block: str(first_row(block)), add=add, size=1
        )
        first = " ".join(str(number) for number in range(WINDOW))
        assert found == f"[{first}]{WINDOW} {WINDOW + 1}"

    def test_a_sum_that_rounds_is_the_same_to_the_last_bit_on_any_number_of_threads(self, cohort):
        rows = np.tile(np.arange(90), 5)
        sums = []
        for threads in (1, 2, 5):
            with dask.config.set(scheduler="threads", num_workers=threads):
                sums.append(reduce(cohort.store, rows, tasks.column_sums, add=np.add, size=7))
        np.testing.assert_array_equal(sums[0], sums[1])
        np.testing.assert_array_equal(sums[0], sums[2])
        expected = 5 * np.maximum(cohort.dosage, 0).sum(axis=0) / 3
        np.testing.assert_allclose(sums[0], expected, rtol=1e-13)

    def test_nothing_has_no_sum(self, fake):
        with pytest.raises(BadInput, match="cohort fake has no rows to compute on"):
            reduce(fake, np.arange(0), first_row, add=max, size=4)


class TestFailures:
    def test_an_error_of_a_statistic_arrives_as_it_is(self, cohort):
        with pytest.raises(BadInput, match="this block cannot be summarized"):
            list(stream(cohort.store, np.arange(90), tasks.refuse, size=10))

    def test_a_store_that_was_imported_again_is_not_read_as_if_it_were_the_same(
        self, cohort, tmp_path
    ):
        path = tmp_path / "moving.vcz"
        shutil.copytree(cohort.store.path, path)
        before = open_store(path)
        shutil.rmtree(path)
        other = simulate.dosages(90, 50, 0.0, seed=99)
        made = simulate.write_store(tmp_path / "again", other, cohort.people)
        shutil.copytree(made, path)
        with pytest.raises(SourceError, match="was imported again while it was in use"):
            list(stream(before, np.arange(90), tasks.column_sums, size=90))


class TestThreads:
    def test_blocks_are_summarized_side_by_side(self, fake):
        meet = threading.Barrier(2, timeout=30)

        def wait_for_another(block: Held) -> int:
            meet.wait()
            return first_row(block)

        with dask.config.set(num_workers=2):
            assert list(stream(fake, np.arange(4), wait_for_another, size=1)) == [0, 1, 2, 3]


class TestBlockRows:
    def test_a_block_is_a_chunk_of_the_store(self):
        assert block_rows(FakeStore(block_rows=500)) == 500

    def test_many_columns_of_products_make_blocks_smaller(self):
        store = FakeStore(block_rows=8192)
        assert block_rows(store, 100_000) < block_rows(store, 10_000) < 8192
        assert 8 * 100_000 * block_rows(store, 100_000) <= passes._WIDE_BYTES

    def test_a_block_has_a_row_however_wide(self):
        assert block_rows(FakeStore(), 10**9) == 1


class TestBlas:
    """A pass and whoever uses its summaries have one thread of BLAS, whatever else runs."""

    @pytest.fixture(autouse=True)
    def _two_threads(self):
        with passes._thread_pools().limit(limits=2, user_api="blas"):
            if self.threads() != {2}:
                pytest.skip("needs a BLAS whose threads can be set")
            yield

    @staticmethod
    def threads(*_: object) -> set[int]:
        pools = passes._thread_pools().info()
        return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}

    def test_in_tasks_and_between_them(self, fake):
        seen = [
            (found, self.threads()) for found in stream(fake, np.arange(9), self.threads, size=2)
        ]
        assert seen == [({1}, {1})] * 5
        assert self.threads() == {2}
        reduce(fake, np.arange(9), self.threads, add=set.union, size=2)
        assert self.threads() == {2}

    def test_passes_that_overlap_or_are_given_up(self, fake):
        first, second = (stream(fake, np.arange(9), self.threads, size=2) for _ in range(2))
        assert (next(first), next(second)) == ({1}, {1})
        first.close()
        assert self.threads() == {1}
        assert list(second) == [{1}] * 4
        assert self.threads() == {2}
