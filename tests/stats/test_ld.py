from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_eu.errors import BadInput, UsageError
from genome_eu.kernels import PackedBlock, backend, pack
from genome_eu.stats import ld
from genome_eu.stats.aggregate import concatenate, merge
from tests.oracles import ld as oracle


def block(dosage, kernels="cpu"):
    return PackedBlock(pack(dosage), dosage.shape[1], backend(kernels))


def correlated(rows, people, missing, seed):
    """Dosages of rows that resemble their neighbours; some do not vary, some are copies."""
    rng = np.random.default_rng(seed)
    haplotypes = np.zeros((rows, 2 * people), dtype=np.int8)
    latent = rng.standard_normal(2 * people)
    for row in range(rows):
        kept = rng.choice([0.0, 0.6, 0.9, 0.99])
        latent = kept * latent + np.sqrt(1 - kept**2) * rng.standard_normal(2 * people)
        haplotypes[row] = latent > rng.normal(0.5, 0.8)
    dosage = haplotypes[:, :people] + haplotypes[:, people:]
    dosage[rng.random(rows) < 0.05] = rng.integers(0, 3)
    for row in np.flatnonzero(rng.random(rows) < 0.1):
        dosage[row] = dosage[row - 1]
    dosage[rng.random(dosage.shape) < missing] = -1
    return dosage


def places(rows, seed, contigs=3):
    """Contigs and positions, with ties and gaps."""
    rng = np.random.default_rng(seed)
    contig = np.sort(rng.integers(0, contigs, rows))
    position = np.zeros(rows, dtype=np.int64)
    for one in range(contigs):
        mine = contig == one
        steps = rng.choice([0, 10, 100, 100, 700, 5000], mine.sum())
        position[mine] = 1 + np.cumsum(steps)
    return contig, position


def sums_of(dosage, lengths, kind, size, include=None):
    """Pair sums of all rows, block by block of so many rows."""
    summarize = {"pairwise": ld.summarize_pairwise, "filled": ld.summarize_filled}[kind]
    include = np.ones(dosage.shape[1], bool) if include is None else include
    band = int(lengths.max(initial=1))
    parts = []
    for start in range(0, len(dosage), size):
        stop = min(start + size, len(dosage))
        last = int((np.arange(start, stop) + lengths[start:stop]).max())
        parts.append(summarize(block(dosage[start:last]), lengths[start:stop], include, band))
    return concatenate(parts)


def split_rows(sums, shard):
    """The same sums in shards of so many rows."""
    from dataclasses import fields

    for start in range(0, sums.rows, shard):
        values = {
            item.name: getattr(sums, item.name)[start : start + shard]
            if "rows" in item.metadata["dims"]
            else getattr(sums, item.name)
            for item in fields(sums)
        }
        yield type(sums)(**values)


WINDOWS = [ld.Window(50), ld.Window(7, step=3), ld.Window(5, step=5), ld.Window(2)]
WINDOWS += [ld.Window(1000, True), ld.Window(300, True), ld.Window(100_000, True)]


@st.composite
def questions(draw):
    return {
        "rows": draw(st.integers(1, 60)),
        "people": draw(st.integers(1, 80)),
        "missing": draw(st.sampled_from((0.0, 0.01, 0.1, 0.5))),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "window": draw(st.sampled_from(WINDOWS)),
        "r2": draw(st.sampled_from((0.0, 0.1, 0.2, 0.5, 0.9))),
    }


def asked(question):
    dosage = correlated(*(question[name] for name in ("rows", "people", "missing", "seed")))
    contig, position = places(question["rows"], question["seed"])
    windows = ld.windows(contig, position, question["window"])
    return dosage, contig, position, windows


def expected(dosage, contig, position, window, r2):
    return oracle.prune(dosage, contig, position, window.size, window.in_bases, window.step, r2)


class TestWindows:
    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from(WINDOWS))
    def test_they_are_the_definition(self, rows, seed, window):
        contig, position = places(rows, seed)
        found = ld.windows(contig, position, window)
        gap = window.size if window.in_bases else None
        by_hand = [
            inside
            for stretch in oracle.stretches(contig, position, gap)
            if len(stretch) > 1
            for inside in oracle.slide(position, stretch, window.size, window.in_bases, window.step)
        ]
        assert [list(range(a, b)) for a, b in zip(found.start, found.stop, strict=True)] == by_hand
        reach = found.reach(rows)
        for row in range(rows):
            last = max([inside[-1] for inside in by_hand if row in inside], default=row)
            assert reach[row] == last + 1
        assert found.width(rows) == (reach - np.arange(rows)).max()
        assert (np.diff(reach) >= 0).all()

    @pytest.mark.parametrize(
        ("text", "step", "window"),
        [
            ("500kb", 1, ld.Window(500_000, True)),
            ("500 kb", 1, ld.Window(500_000, True)),
            ("0.1KB", 1, ld.Window(100, True)),
            ("50", 5, ld.Window(50, False, 5)),
        ],
    )
    def test_they_are_written_as_in_plink(self, text, step, window):
        assert ld.Window.parse(text, step) == window

    @pytest.mark.parametrize(
        ("text", "step", "message"),
        [
            ("wide", 1, "window 'wide': give a number of rows, or bases as in 500kb"),
            ("5.5", 1, "give a number of rows"),
            ("1", 1, "too small"),
            ("50", 51, "a step of 51 rows does not fit a window of 50 rows"),
            ("50", 0, "a step of 0 rows"),
            ("500kb", 5, "a window in kb moves on by one row"),
        ],
    )
    def test_others_are_refused(self, text, step, message):
        with pytest.raises(UsageError, match=message):
            ld.Window.parse(text, step)

    def test_rows_must_be_in_genome_order(self):
        with pytest.raises(BadInput, match="row 3 lies before the row above it"):
            ld.windows(np.array([1, 1, 1]), np.array([1, 5, 3]), ld.Window(5))
        with pytest.raises(BadInput, match="rows of a contig do not follow each other"):
            ld.windows(np.array([1, 2, 1]), np.array([1, 5, 9]), ld.Window(5))


class TestSums:
    @settings(max_examples=30, deadline=None)
    @given(questions(), st.integers(1, 20), st.sampled_from(("pairwise", "filled")))
    def test_r2_is_the_definition(self, question, size, kind):
        dosage, _, _, windows = asked(question)
        reach = windows.reach(len(dosage))
        lengths = reach - np.arange(len(dosage))
        sums = sums_of(dosage, lengths, kind, size)
        plain = oracle.filled(dosage) if kind == "filled" else dosage
        (rows,) = list(ld.finalize([sums], lengths))
        for a in range(len(dosage)):
            for d in range(sums.dosage_product.shape[1]):
                assert rows.shown[a, d] == (d < lengths[a])
                if d < lengths[a]:
                    true = oracle.r_squared(plain[a], plain[a + d])
                    found = rows.moments.r2[a, d]
                    if true is None:
                        assert np.isnan(found)
                    else:
                        assert found == pytest.approx(float(true), rel=1e-14)

    @settings(max_examples=30, deadline=None)
    @given(questions(), st.integers(1, 20), st.sampled_from(("pairwise", "filled")), st.data())
    def test_they_do_not_depend_on_blocks_and_add_over_people(self, question, size, kind, data):
        dosage, _, _, windows = asked(question)
        lengths = windows.reach(len(dosage)) - np.arange(len(dosage))
        whole = sums_of(dosage, lengths, kind, len(dosage))
        include = np.random.default_rng(question["seed"]).random(dosage.shape[1]) < 0.7
        blocks = sums_of(dosage, lengths, kind, size)
        some = sums_of(dosage, lengths, kind, size, include)
        alone = sums_of(dosage[:, include], lengths, kind, size)
        for name in ("people", "dosage_product", "shown"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))
            np.testing.assert_array_equal(getattr(some, name), getattr(alone, name))
        if kind == "pairwise":
            rest = sums_of(dosage[:, ~include], lengths, kind, size)
            np.testing.assert_array_equal(merge([alone, rest]).dosage_product, whole.dosage_product)
            np.testing.assert_array_equal(merge([alone, rest]).called, whole.called)


class TestPruning:
    @settings(max_examples=60, deadline=None)
    @given(questions(), st.integers(1, 60), st.sampled_from((0, 30, 2**14)))
    def test_bits_are_pruned_as_by_hand(self, question, size, near_words):
        dosage, contig, position, windows = asked(question)
        pruner = ld.Pruner(windows, len(dosage), question["r2"], near_words=near_words)
        for start in range(0, len(dosage), size):
            pruner.absorb_planes(block(dosage[start : start + size]).row_planes())
        by_hand = expected(dosage, contig, position, question["window"], question["r2"])
        np.testing.assert_array_equal(pruner.kept, by_hand)

    @settings(max_examples=60, deadline=None)
    @given(questions(), st.sampled_from((1, 2, 3, 7)), st.integers(1, 20), st.integers(1, 20))
    def test_sites_prune_as_one(self, question, sites, size, shard):
        dosage, contig, position, windows = asked(question)
        lengths = windows.reach(len(dosage)) - np.arange(len(dosage))
        owner = np.random.default_rng(question["seed"]).integers(0, sites, dosage.shape[1])
        parts = [
            sums_of(dosage[:, owner == site], lengths, "pairwise", size) for site in range(sites)
        ]
        pruner = ld.Pruner(windows, len(dosage), question["r2"])
        for rows in ld.finalize(split_rows(merge(parts), shard), lengths):
            pruner.absorb_marked(rows.facts, rows.above(question["r2"]))
        by_hand = expected(dosage, contig, position, question["window"], question["r2"])
        np.testing.assert_array_equal(pruner.kept, by_hand)

    @settings(max_examples=60, deadline=None)
    @given(questions(), st.sampled_from((1, 2, 3, 7)), st.integers(1, 20), st.integers(1, 20))
    def test_sites_fill_their_own(self, question, sites, size, shard):
        dosage, contig, position, windows = asked(question)
        lengths = windows.reach(len(dosage)) - np.arange(len(dosage))
        owner = np.random.default_rng(question["seed"]).integers(0, sites, dosage.shape[1])
        split = [dosage[:, owner == site] for site in range(sites)]
        merged = merge([sums_of(part, lengths, "filled", size) for part in split])
        pruner = ld.Pruner(windows, len(dosage), question["r2"])
        for rows in ld.finalize(split_rows(merged, shard), lengths):
            pruner.absorb_marked(rows.facts, rows.above(question["r2"]))
        pooled = np.hstack([oracle.filled(part) for part in split])
        by_hand = expected(pooled, contig, position, question["window"], question["r2"])
        np.testing.assert_array_equal(pruner.kept, by_hand)

    def test_pairs_of_rows_that_are_gone_are_not_compared(self):
        dosage = np.repeat(correlated(1, 90, 0.0, seed=3), 40, axis=0)
        windows = ld.windows(np.zeros(40), np.arange(40), ld.Window(40))
        pruner = ld.Pruner(windows, 40, 0.5)
        pruner.absorb_planes(block(dosage).row_planes())
        assert pruner.kept.sum() == 1
        assert pruner.compared < 45

    def test_all_rows_must_be_given(self):
        windows = ld.windows(np.zeros(4), np.arange(4), ld.Window(4))
        pruner = ld.Pruner(windows, 4, 0.5)
        planes = block(correlated(3, 50, 0, seed=1)).row_planes()
        pruner.absorb_planes(planes)
        with pytest.raises(BadInput, match="3 of 4 rows have been pruned so far"):
            _ = pruner.kept
        with pytest.raises(BadInput, match="there are 4 rows to prune, but more were given"):
            pruner.absorb_planes(planes)

    @pytest.mark.parametrize("r2", [-0.1, 1.0, float("nan")])
    def test_thresholds(self, r2):
        with pytest.raises(UsageError, match="give at least 0 and less than 1"):
            ld.threshold(r2)
