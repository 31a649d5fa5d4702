"""Any split of people over sites, and of rows over blocks and shards, gives the same counts."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given

from genome_eu import open_cohort
from genome_eu.errors import SourceError
from genome_eu.stats.hwe import hardy_weinberg_neg_log10_p
from tests import simulate
from tests.laws.conftest import RATES
from tests.laws.splits import block_sizes, law, rates, shard_sizes, sites
from tests.oracles import counts as oracle

COUNTS = ("n_called", "n_missing", "n_hom_ref", "n_het", "n_hom_alt", "call_rate")


@given(rate=rates, site=sites(), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_federated_counts_are_the_pooled_counts(
    cohort_with, rate, site, block_size, rows_per_shard
):
    cohort = cohort_with(rate)
    federation = simulate.split(cohort, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found = federation.frequencies(by="sex")
    sex = cohort.people["sex"].to_numpy()
    assert found["cohort_id"].values.tolist() == ["F", "M"]
    expected = oracle.frequencies(cohort.dosage, [np.ones(len(sex), bool), sex == "F", sex == "M"])
    for prefix, groups in (("variant", 0), ("cohort", slice(1, None))):
        for name in COUNTS:
            np.testing.assert_array_equal(found[f"{prefix}_{name}"], expected[name][:, groups])
        for name, pooled in (
            ("allele_count", expected["allele_count"]),
            ("allele_frequency", expected["allele_frequency"]),
        ):
            alt = found[f"{prefix}_{name}"].values[..., 1]
            np.testing.assert_array_equal(alt, pooled[:, groups])
        np.testing.assert_array_equal(
            found[f"{prefix}_allele_total"], expected["allele_number"][:, groups]
        )
        # The test itself is compared with its definition elsewhere; here, that it is of the sums.
        genotypes = [
            expected[name][:, groups].astype(int) for name in ("n_het", "n_hom_ref", "n_hom_alt")
        ]
        np.testing.assert_array_equal(
            found[f"{prefix}_hwe_neg_log10_p"], hardy_weinberg_neg_log10_p(*genotypes)
        )


@given(rate=rates, site=sites())
@law
def test_reference_and_alternative_counts_add_to_the_alleles_called(cohort_with, rate, site):
    found = simulate.split(cohort_with(rate), site).frequencies()
    np.testing.assert_array_equal(
        found["variant_allele_count"].sum("alleles"), found["variant_allele_total"]
    )


@pytest.mark.parametrize("rate", RATES)
def test_counts_made_at_import_are_those_of_a_pass(cohort_with, rate):
    cohort = open_cohort(cohort_with(rate).store.path)
    at_import, counted = cohort.frequencies(), cohort.frequencies(by="sex")
    for name in (name for name in at_import if str(name).startswith("variant_")):
        values = at_import[name]
        np.testing.assert_array_equal(values, counted[name], err_msg=str(name))


def test_counts_of_everybody_read_no_genotype(cohort_with, tmp_path):
    path = shutil.copytree(cohort_with(0.0).store.path, tmp_path / "copy.vcz")
    shutil.rmtree(path / "genome_eu" / "packed")
    shutil.copytree(
        cohort_with(0.0).store.path / "genome_eu" / "packed",
        path / "genome_eu" / "packed",
        ignore=lambda _, names: [name for name in names if name[0].isdigit()],
    )
    cohort = open_cohort(path)
    assert (cohort.frequencies()["variant_n_called"] > 0).any()
    with pytest.raises(SourceError, match="damaged or absent"):
        cohort.frequencies(by="sex")


def test_without_the_exact_test_the_rest_is_the_same(cohort_with):
    cohort = open_cohort(cohort_with(0.1).store.path)
    whole, fewer = cohort.frequencies(by="sex"), cohort.frequencies(by="sex", hwe=False)
    left_out = {str(name) for name in whole} - {str(name) for name in fewer}
    assert left_out == {
        f"{of}_hwe_{what}" for of in ("variant", "cohort") for what in ("p_value", "neg_log10_p")
    }
    for name in fewer:
        np.testing.assert_array_equal(fewer[name], whole[name], err_msg=str(name))
