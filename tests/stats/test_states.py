"""Four states of a row at a site, and what is lost where they are not kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genome_eu.stats import counts
from genome_eu.stats.aggregate import merge
from genome_eu.stats.states import site_alleles


def site(tallies: list[tuple[int, int, int, int]], shown: list[bool] | None = None):
    """Counts of everybody from people with 0, 1 and 2 copies, and without a call."""
    rows = np.array(tallies)[:, None]
    part = counts.tallied(rows, np.array([rows[0].sum()]))
    if shown is not None:
        keep = np.array(shown)[:, None]
        cleared = {
            name: np.where(keep, getattr(part, name), 0)
            for name in ("called", "allele_count", "het", "hom_alt")
        }
        part = replace(part, alleles_shown=keep, genotypes_shown=keep, **cleared)
    return part


def test_each_state_is_counted():
    first = site([(8, 2, 0, 0), (10, 0, 0, 0), (0, 0, 0, 10), (9, 1, 0, 0)])
    second = site([(18, 2, 0, 0), (20, 0, 0, 0), (20, 0, 0, 0), (9, 1, 0, 10)], [1, 1, 1, 0])
    found = site_alleles([first, second])
    assert found.observed.tolist() == [2, 0, 0, 1]
    assert found.hom_ref.tolist() == [0, 2, 1, 0]
    assert found.not_called.tolist() == [0, 0, 1, 0]
    assert found.suppressed.tolist() == [0, 0, 0, 1]


def test_a_variant_of_one_site_keeps_the_alleles_called_at_the_others():
    """Merging the sites' own tables of variants inflates the frequency of whatever one site has.

    Site A has 100 people and a variant with 20 copies; the 900 people of B and C were called there
    and carry none, so their tables have no such row.
    """
    with_it = site([(82, 16, 2, 0)])
    without = [site([(people, 0, 0, 0)]) for people in (400, 500)]
    tables_merged = counts.finalize(with_it).allele_frequency[0, 0]
    assert tables_merged == 20 / 200

    found = counts.finalize(merge([with_it, *without]))
    assert found.allele_number[0, 0] == 2000
    assert found.allele_frequency[0, 0] == 20 / 2000
    states = site_alleles([with_it, *without])
    assert (states.observed[0], states.hom_ref[0], states.not_called[0]) == (1, 2, 0)


def test_where_a_site_could_not_call_its_people_are_not_in_an():
    with_it, blind = site([(82, 16, 2, 0)]), site([(0, 0, 0, 400)])
    found = counts.finalize(merge([with_it, blind]))
    assert found.allele_number[0, 0] == 200
    assert site_alleles([with_it, blind]).not_called[0] == 1
