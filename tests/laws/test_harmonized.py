"""However sites write their variants, the answer is that of the pooled people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genome_eu.stats.harmonize import Kind
from tests.laws.written_otherwise import Written, write

COUNTS = ("n_called", "n_missing", "n_hom_ref", "n_het", "n_hom_alt", "allele_total")


@pytest.fixture(scope="module", params=[1, 2, 3, 7])
def sites(request, tmp_path_factory) -> Written:
    return write(tmp_path_factory.mktemp(f"sites{request.param}"), request.param)


def expected(sites: Written, group: np.ndarray, called: bool) -> dict[str, np.ndarray]:
    """Counts of a group of people, row by row: who has the row, and who could have been called."""
    tallies = np.zeros((len(sites.rows), 4), int)
    for number in range(len(sites.usable)):
        mine = group & (sites.site == number)
        for row in range(len(sites.rows)):
            if sites.usable[number, row]:
                copies = sites.dosage[row, mine]
                tallies[row] += [(copies == code).sum() for code in (0, 1, 2, -1)]
            elif called and not sites.present[number, row] and sites.covered[number, row]:
                tallies[row, 0] += mine.sum()
            else:
                tallies[row, 3] += mine.sum()
    called_people = tallies[:, :3].sum(axis=1)
    return {
        "n_hom_ref": tallies[:, 0],
        "n_het": tallies[:, 1],
        "n_hom_alt": tallies[:, 2],
        "n_missing": tallies[:, 3],
        "n_called": called_people,
        "allele_total": 2 * called_people,
    }


@pytest.mark.parametrize("called", [True, False])
def test_frequencies_of_a_union_are_those_of_the_people_called(sites, called):
    eu = sites.federation(called=called).on_rows(sites.rows)
    found = eu.frequencies(by="sex")
    sex = sites.people["sex"].to_numpy()
    np.testing.assert_array_equal(found["variant_position"], sites.rows["position"])
    for prefix, groups in (("variant", [sex != ""]), ("cohort", [sex == "F", sex == "M"])):
        for number, group in enumerate(groups):
            for name, values in expected(sites, group, called).items():
                ours = found[f"{prefix}_{name}"].values
                ours = ours if prefix == "variant" else ours[:, number]
                np.testing.assert_array_equal(ours, values, err_msg=f"{prefix} {name}")


def test_states_of_the_sites_are_counted(sites):
    found = sites.federation().on_rows(sites.rows).frequencies()
    ref = ~sites.present & sites.covered
    counted = {name: np.zeros(len(sites.rows), int) for name in ("observed", "hom_ref")}
    for number in range(len(sites.usable)):
        mine = sites.dosage[:, sites.site == number]
        has = sites.usable[number] & (np.where(mine > 0, mine, 0).sum(axis=1) > 0)
        some = sites.usable[number] & (mine >= 0).any(axis=1)
        counted["observed"] += has
        counted["hom_ref"] += (some & ~has) | ref[number]
    rest = len(sites.usable) - counted["observed"] - counted["hom_ref"]
    for name, values in (*counted.items(), ("not_called", rest), ("suppressed", 0 * rest)):
        np.testing.assert_array_equal(found[f"variant_n_sites_{name}"], values, err_msg=name)


def test_an_intersection_has_the_rows_that_all_sites_have_beyond_doubt(sites):
    found = sites.federation().on_rows(sites.rows).frequencies(panel="intersection")
    whole = sites.pooled.frequencies()
    np.testing.assert_array_equal(found["variant_position"], sites.rows["position"][sites.common])
    for name in COUNTS:
        np.testing.assert_array_equal(
            found[f"variant_{name}"], whole[f"variant_{name}"].values[sites.common]
        )


def test_a_gwas_is_that_of_the_pooled_people(sites):
    eu = (
        sites.federation()
        .on_rows(sites.rows)
        .gwas("complete", covariates=["age", "sex"], site_effects=False, missing="drop")
    )
    pooled = sites.pooled.on_rows(sites.rows[sites.common]).gwas(
        "complete", covariates=["age", "sex"], site_effects=False, missing="drop"
    )
    np.testing.assert_array_equal(eu["variant_position"], pooled["variant_position"])
    np.testing.assert_array_equal(
        eu["variant_linreg_errcode"].values, pooled["variant_linreg_errcode"].values
    )
    se = pooled["variant_linreg_se"].values
    assert np.isfinite(se).sum() > 10
    difference = np.abs(eu["variant_linreg_beta"].values - pooled["variant_linreg_beta"].values)
    assert np.nanmax(difference / se) <= 1e-8
    np.testing.assert_allclose(eu["variant_linreg_se"], se, rtol=1e-8)


def test_a_pca_is_that_of_the_pooled_people(sites):
    eu = sites.federation().on_rows(sites.rows).pca(2, tolerance=1e-9)
    pooled = sites.pooled.on_rows(sites.rows[sites.common]).pca(2, tolerance=1e-9)
    np.testing.assert_allclose(
        eu["sample_pca_explained_variance"], pooled["sample_pca_explained_variance"], rtol=1e-8
    )
    np.testing.assert_allclose(
        eu["sample_pca_component"], pooled["sample_pca_component"], atol=1e-6
    )


def test_every_row_of_every_site_is_accounted_for(sites):
    eu = sites.federation().on_rows(sites.rows)
    report = json.loads(eu.frequencies().attrs["harmonization"])
    kinds = [kind.name.lower() for kind in Kind]
    for number, name in enumerate(eu.sites):
        told = report[name]
        assert sum(told[kind] for kind in kinds) == told["panel"] == len(sites.rows)
        assert told["listed"] == sites.present[number].sum()
        assert told["absent"] == (~sites.present[number]).sum()
        usable = sum(told[kind] for kind in ("exact", "swapped", "strand", "strand_swapped"))
        assert usable == sites.usable[number].sum()
        assert told["palindromic"] + told["indel"] == told["listed"] - usable


def test_without_a_given_panel_the_majority_writes_the_rows(sites):
    """Counts are the same, whatever allele they are of."""
    found = sites.federation(called=False).frequencies(panel="intersection")
    place = {position: row for row, position in enumerate(sites.rows["position"])}
    rows = np.array([place[position] for position in found["variant_position"].values])
    assert set(rows) == set(np.flatnonzero(sites.common))
    whole = sites.pooled.frequencies()
    ours = found["variant_allele_count"].values
    theirs = whole["variant_allele_count"].values[rows]
    np.testing.assert_array_equal(np.sort(ours, axis=1), np.sort(theirs, axis=1))
    assert (found["variant_n_missing"].values == whole["variant_n_missing"].values[rows]).all()
