"""Passes for quality control: any blocks and tiles, any people, nothing to read."""

from __future__ import annotations

import numpy as np
import pytest

import genome_eu as ge
from genome_eu.compute import each, mendel_errors, person_measures, relatives
from genome_eu.errors import BadInput
from genome_eu.stats import kinship
from genome_eu.stats.qc.families import Trios, find_trios
from tests import simulate
from tests.cohort.genotype_files import write_plink
from tests.oracles.kinship import king
from tests.oracles.qc import mendel_error
from tests.stats.test_kinship import family


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    dosage = family(300, 20, 0.02, seed=11)
    table = simulate.people(dosage, 12)
    path = simulate.write_store(tmp_path_factory.mktemp("quality"), dosage, table)
    return dosage, simulate.open_store(path)


@pytest.mark.parametrize("size", [7, 64, None])
@pytest.mark.parametrize("tile", [5, 24])
def test_relatives_do_not_depend_on_blocks_and_tiles(made, size, tile, monkeypatch):
    dosage, store = made
    monkeypatch.setattr(kinship, "_TILE_BYTES", 40 * tile**2)
    include = np.arange(24) != 21
    assert len(list(kinship.tiles(24))) == (1 if tile == 24 else 15)
    found = relatives(store, include, 0.05, size=size)
    expected = {
        (i, j): value
        for i in range(24)
        for j in range(i + 1, 24)
        if 21 not in (i, j) and (value := king(dosage, i, j)) > 0.05
    }
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == list(expected)
    assert found.kinship.tolist() == list(expected.values())
    assert (found.people, found.above) == (24, 0.05)


def test_nobody_is_related_to_nobody(made):
    _, store = made
    found = relatives(store, np.zeros(24, bool), 0.05)
    assert found.first.size == 0
    assert kinship.unrelated(found, 0.1).all()


@pytest.mark.parametrize("size", [7, None])
def test_measures_do_not_depend_on_blocks(made, size):
    dosage, store = made
    include = np.arange(24) > 2
    found = person_measures(store, include, size=size)
    np.testing.assert_array_equal(found.n_called, (dosage >= 0).sum(axis=0))
    frequency = np.where(dosage >= 0, dosage, 0)[:, include].sum(axis=1) / 2
    frequency = frequency / (dosage[:, include] >= 0).sum(axis=1)
    varies = (frequency > 0) & (frequency < 1)
    expected = ((dosage >= 0) * (2 * frequency * (1 - frequency))[:, None])[varies].sum(axis=0)
    het = (dosage == 1)[varies].sum(axis=0)
    np.testing.assert_allclose(found.f, 1 - het / expected, rtol=1e-12)


@pytest.mark.parametrize("size", [7, None])
def test_mendelian_errors_are_in_the_order_of_the_rows(made, size):
    dosage, store = made
    trios = find_trios(list("abcd"), ["0"] * 3 + ["a"], ["0"] * 3 + ["b"])
    trios = Trios(
        np.append(trios.child, 20), np.append(trios.father, 4), np.append(trios.mother, 1)
    )
    rows = np.arange(300)[::-3]
    found = mendel_errors(store, rows, trios, size=size)
    expected = np.array(
        [
            [
                mendel_error(*dosage[row, [child, dad, mum]].tolist(), "autosome", False)
                for child, dad, mum in ((3, 0, 1), (20, 4, 1))
            ]
            for row in rows
        ]
    )
    np.testing.assert_array_equal(found.by_row, expected.sum(axis=1))
    np.testing.assert_array_equal(found.by_trio, expected.sum(axis=0))
    nobody = find_trios([], [], [])
    assert mendel_errors(store, rows, nobody).by_row.tolist() == [0] * rows.size
    assert mendel_errors(store, rows[:0], trios).by_trio.tolist() == [0, 0]


def test_each_item_is_summed_over_all_rows_in_order(made):
    dosage, store = made
    rows = np.arange(300)

    class Told:
        rows = 0

        def advance(self, rows: int) -> None:
            self.rows += rows

    told = Told()
    found = list(
        each(
            store,
            rows,
            [(one,) for one in range(40)],
            _called,
            _finished,
            1000,
            add=np.add,
            size=64,
            progress=told,
        )
    )
    assert found == [(1000, one * int((dosage >= 0).sum())) for one in range(40)]
    assert told.rows == 40 * 300


def _called(block, times):
    return times * int((block.dosages() >= 0).sum())


def _finished(total, constant):
    return constant, int(total)


def test_the_sex_check_reads_calls_as_they_were_made(tmp_path):
    """Two alleles on X of people whom the table calls male show who is none; PAR rows do not."""
    rng = np.random.default_rng(13)
    rows, people = 400, 30
    male = np.arange(people) < 15
    dosage = rng.binomial(2, rng.uniform(0.3, 0.7, (rows, 1)), (rows, people)).astype(np.int8)
    dosage[:, male] = 2 * (dosage[:, male] > 1)
    dosage[:, 3] = rng.binomial(2, 0.5, rows)
    pseudoautosomal = np.arange(rows) < 100
    dosage[pseudoautosomal] = 1
    position = np.where(pseudoautosomal, 10_000, 5_000_000) + 10 * np.arange(rows)
    named = [("X", f"v{row}", int(position[row]), "A", "G") for row in range(rows)]
    ids = [f"P{one:02d}" for one in range(people)]
    bed = write_plink(tmp_path / "x", [("0", one, 0) for one in ids], named, dosage)
    lines = [f"{one}\t{'M' if man else 'F'}" for one, man in zip(ids, male, strict=True)]
    (tmp_path / "samples.tsv").write_text("\n".join(["sample_id\tsex", *lines]) + "\n")
    samples = tmp_path / "samples.tsv"
    ge.import_genotypes(bed, tmp_path / "x.vcz", samples=samples, build="GRCh38")
    cohort = ge.open_cohort(tmp_path / "x.vcz")
    found = cohort.qc({"people": {"sex_check": True}}).people()
    wrong = found.index[found["inferred_sex"] != found["sex"]]
    assert wrong.tolist() == ["P03"]
    assert found.loc["P03", "removed"] == "sex"
    assert (found["x_n_polymorphic_called"] == 300).all()
    assert cohort.filtered({"people": {"sex_check": True}}).people == 29
    with pytest.raises(BadInput, match="no variants on autosomes to tell kinship by"):
        cohort.unrelated(0.1)


def test_rows_are_tested_over_everybody_and_within_groups(made):
    """Limits look at the groups; the table has both."""
    _, store = made
    cohort = ge.open_cohort(store.path)
    found = cohort.qc({"variants": {"hwe": 0.05, "hwe_by": ["sex"]}})
    expected = cohort.frequencies(by="sex")
    for name in ("variant_hwe_neg_log10_p", "cohort_hwe_neg_log10_p", "cohort_id"):
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    fails = (found["cohort_hwe_neg_log10_p"].values > -np.log10(0.05)).any(axis=1)
    assert 0 < fails.sum() < fails.size
    assert set(found["variant_removed"].values[fails]) == {"hwe"}
