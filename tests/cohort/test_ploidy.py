from __future__ import annotations

import numpy as np
import pytest

from genome_eu.cohort.exchanged import EXCHANGED
from genome_eu.cohort.ploidy import read_haploid, sexes
from genome_eu.kernels import HaploidCalls
from genome_eu.stats.ploidy import PLOIDY_CLASSES, rows_of
from tests import sex_contigs
from tests.oracles import haploid as oracle


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> sex_contigs.SexContigs:
    return sex_contigs.simulate(tmp_path_factory.mktemp("ploidy"), wrong=0.2)


def test_every_row_has_its_class(simulated):
    words = np.array(PLOIDY_CLASSES)[simulated.store.ploidy]
    expected = []
    for site in simulated.sites.itertuples():
        word = {None: "undefined", "diploid": "autosomal"}.get(site.kind, site.kind)
        word = "pseudoautosomal" if (word, site.contig) == ("autosomal", "chrX") else word
        expected += [word] * site.alts
    assert words.tolist() == expected


def test_sexes_are_those_of_the_table(simulated):
    male, female = sexes(simulated.store)
    np.testing.assert_array_equal(male, simulated.sex("M"))
    np.testing.assert_array_equal(female, simulated.sex("F"))


@pytest.mark.parametrize("kind", ["x", "y", "mt"])
@pytest.mark.parametrize("halved", [False, True])
def test_a_wrong_call_is_missing_at_every_alt_of_its_site(simulated, kind, halved):
    haploid = simulated.haploid(kind)
    rows = np.flatnonzero(rows_of(kind, simulated.store.ploidy))
    expected = np.array(
        [
            oracle.dosage(simulated.alleles[site], alt, haploid, halved)
            for site, alt, of in simulated.rows
            if of == kind
        ]
    )
    found = read_haploid(simulated.store, rows, HaploidCalls(haploid, halved))
    np.testing.assert_array_equal(found.dosages(), expected)
    # Whatever rows are asked for, and in whatever order.
    some = np.random.default_rng(1).permutation(rows.size)[: rows.size // 2]
    found = read_haploid(simulated.store, rows[some], HaploidCalls(haploid, halved))
    np.testing.assert_array_equal(found.dosages(), expected[some])


def test_a_slice_is_its_rows(simulated):
    calls = HaploidCalls(simulated.haploid("x"))
    sliced = read_haploid(simulated.store, slice(12, 40), calls)
    listed = read_haploid(simulated.store, np.arange(12, 40), calls)
    np.testing.assert_array_equal(sliced.dosages(), listed.dosages())


def test_a_row_with_its_alleles_exchanged(simulated):
    calls = HaploidCalls(simulated.haploid("x"))
    rows = np.flatnonzero(rows_of("x", simulated.store.ploidy))
    as_stored = read_haploid(simulated.store, rows, calls).dosages()
    exchanged = read_haploid(simulated.store, rows + EXCHANGED, calls).dosages()
    np.testing.assert_array_equal(exchanged, np.where(as_stored < 0, -1, 2 - as_stored))
