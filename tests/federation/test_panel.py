"""Sites agree on rows by name; where they cannot, the answer says so or there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import genome_eu as ge
from genome_eu.errors import PanelError
from genome_eu.stats import variants as lists
from tests.federation.carrier_contract import assert_same_numbers
from tests.federation.small_sites import ROWS, Made, make, sample_table, variants


def federation(*sites: Made):
    return ge.federate(
        {site.name: ge.open_cohort(site.store) for site in sites}, policy="open-data"
    )


def test_sites_on_different_builds_are_not_mixed(made, tmp_path):
    fi = make(tmp_path, "FI", build="GRCh37")
    with pytest.raises(
        PanelError, match="different builds: ES is on GRCh38, FI is on GRCh37; lift one over"
    ):
        federation(made["ES"], fi).frequencies()


def test_a_site_that_does_not_know_its_build_goes_along(made, tmp_path):
    fi = make(tmp_path, "FI", build=None)
    found = federation(made["ES"], fi).frequencies()
    assert found.attrs["build"] == "GRCh38"


def test_sites_that_share_no_variant_are_named(made, tmp_path):
    moved = [(c, name, position + 7, alt, ref) for c, name, position, alt, ref in variants()]
    fi = make(tmp_path, "FI", rows=moved)
    with pytest.raises(PanelError, match="site FI lists no variant that another site lists"):
        federation(made["ES"], fi, made["IT"]).frequencies()


def test_three_sites_that_share_variants_only_in_pairs_have_no_panel(tmp_path):
    third = np.arange(ROWS).reshape(3, -1)
    sites = [
        make(tmp_path, name, keep=np.concatenate(third[list(pair)]))
        for name, pair in (("ES", (0, 1)), ("FI", (1, 2)), ("IT", (0, 2)))
    ]
    with pytest.raises(PanelError, match="no variant is listed by every site"):
        federation(*sites).frequencies(panel="intersection")
    with pytest.raises(PanelError, match="no variant is listed by every site"):
        federation(*sites).pca(2)
    assert federation(*sites).frequencies().sizes["variants"] == ROWS


def test_swapped_alleles_are_the_same_row(made, tmp_path):
    """Of two sites the first by name decides which allele is counted."""
    swapped = variants()
    for row in range(60):
        c, name, position, alt, ref = swapped[row]
        swapped[row] = (c, name, position, ref, alt)
    fi = make(tmp_path, "FI", rows=swapped)
    found = federation(made["ES"], fi).frequencies()
    assert found["variant_allele"].values.tolist() == [["T", "C"]] * ROWS
    theirs = np.where(np.arange(ROWS)[:, None] < 60, 2 - made["FI"].dosage, made["FI"].dosage)
    dosage = np.hstack(
        [made["ES"].dosage, np.where(made["FI"].dosage < 0, -1, theirs).astype(np.int8)]
    )
    np.testing.assert_array_equal(
        found["variant_allele_count"].values[:, 1], np.where(dosage > 0, dosage, 0).sum(axis=1)
    )
    report = json.loads(found.attrs["harmonization"])
    assert (report["FI"]["swapped"], report["FI"]["exact"]) == (60, ROWS - 60)
    assert report["ES"]["exact"] == ROWS


def test_a_row_that_a_site_has_twice_is_left_to_the_others(made, tmp_path):
    repeated = variants()
    repeated[30] = repeated[31]
    fi = make(tmp_path, "FI", rows=repeated)
    eu = federation(made["ES"], fi)
    found = eu.frequencies(panel="intersection")
    expected = [10_000 + 50 * row for row in range(ROWS) if row not in (30, 31)]
    assert found["variant_position"].values.tolist() == expected
    left_out = json.loads(found.attrs["left_out"])["panel"]
    assert left_out["FI"]["rows listed twice"] == 2
    whole = eu.frequencies()
    assert whole.sizes["variants"] == ROWS
    np.testing.assert_array_equal(whole["variant_n_sites_not_called"].values[[30, 31]], [1, 1])
    np.testing.assert_array_equal(
        whole["variant_n_missing"].values[[30, 31]],
        [made["FI"].dosage.shape[1] + (made["ES"].dosage[row] < 0).sum() for row in (30, 31)],
    )


def test_common_rows_are_answered_in_the_order_of_the_first_site(made, tmp_path):
    rng = np.random.default_rng(4)
    some = np.sort(rng.choice(ROWS, 70, replace=False))
    fi = make(tmp_path, "FI", keep=some)
    found = federation(fi, made["IT"]).frequencies(panel="intersection")
    assert found["variant_position"].values.tolist() == (10_000 + 50 * some).tolist()


def shuffled(folder: Path, name: str, seed: int) -> Made:
    """The site with its rows in another order within each chromosome (stores keep file order)."""
    rng = np.random.default_rng(seed)
    quarter = ROWS // 4
    order = np.concatenate([first + rng.permutation(quarter) for first in range(0, ROWS, quarter)])
    return make(folder, name, keep=order)


def test_rows_in_another_order_at_each_site_give_the_pooled_answer(made, tmp_path):
    """Pooled: one cohort of the people of all three, in the panel's order."""
    mixed = [shuffled(tmp_path, name, seed) for seed, name in enumerate(("FI", "IT"))]
    ordered = federation(made["ES"], made["FI"], made["IT"])
    eu = federation(made["ES"], *mixed)
    assert_same_numbers(eu.frequencies(by="sex"), ordered.frequencies(by="sex"))
    assert_same_numbers(
        eu.gwas("ldl", covariates=["age", "sex"]), ordered.gwas("ldl", covariates=["age", "sex"])
    )
    dosage = np.hstack([made[name].dosage for name in ("ES", "FI", "IT")])
    found = eu.frequencies()
    np.testing.assert_array_equal(
        found["variant_allele_count"].values[:, 1], np.where(dosage > 0, dosage, 0).sum(axis=1)
    )
    np.testing.assert_array_equal(found["variant_n_missing"].values, (dosage < 0).sum(axis=1))


def test_a_list_of_variants_survives_its_text():
    rows = pd.DataFrame(
        {
            "contig": ["1", "X", "GL000192.1"],
            "position": [1, 2_147_483_647, 5],
            "ref": ["A", "ACGT", "N"],
            "alt": ["<DEL>", "*", "C]2:321681]"],
            "id": ["rs1", "patient 7", "x" * 81],
        }
    )
    back = lists.decode(lists.encode(rows))
    pd.testing.assert_frame_equal(back[lists.KEY], rows[lists.KEY], check_dtype=False)
    # An id names a variant; what looks otherwise does not leave.
    assert back["id"].tolist() == ["rs1", ".", "."]


def test_the_simulated_people_are_different_people():
    """Else pooled and summed answers could agree by accident."""
    tables = [sample_table(name, np.zeros((ROWS, 30), np.int8)) for name in ("ES", "FI", "IT")]
    assert len(set(pd.concat(tables)["ldl"])) > 85
