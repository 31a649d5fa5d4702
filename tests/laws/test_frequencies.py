"""Any split of people over sites, and of rows over blocks and shards, gives the same counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from genome_eu.stats.hwe import hardy_weinberg_neg_log10_p
from tests import simulate
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
