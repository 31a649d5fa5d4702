"""Dosages on X, Y and MT: what many sites say is what all of their people together would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import genome_eu as ge
from genome_eu.formats import read_dosages
from genome_eu.stats.ploidy import PloidyClass
from tests import sex_contigs, simulate
from tests.laws.splits import law
from tests.laws.test_ploidy import (
    PEOPLE,
    assert_logistic,
    assert_pooled,
    block_sizes,
    pooled,
    shard_sizes,
    splits,
)
from tests.oracles import dosages as oracle


@pytest.fixture(scope="module")
def imputed(tmp_path_factory) -> sex_contigs.SexContigs:
    folder = tmp_path_factory.mktemp("imputed")
    return sex_contigs.simulate(folder, people=PEOPLE, seed=6, most_alts=2, imputed=True)


@pytest.fixture(scope="module")
def dosages(imputed) -> np.ndarray:
    """Of each row that is counted, 0 to 2, −1 where missing."""
    known = np.flatnonzero(imputed.store.ploidy != PloidyClass.UNDEFINED)
    return imputed.store.read_dosages(known).dosages()


def of_dosages(dosages):
    """The dosages of one row in a model."""

    def of_row(simulated, row, halved):
        single = halved & simulated.haploid(simulated.rows[row][2])
        dosage = dosages[row]
        return np.where(single & (dosage > 0), dosage / 2, dosage)

    return of_row


@pytest.mark.parametrize(
    ("missing", "site_effects"), [("mean", True), ("mean", False), ("drop", True), ("drop", False)]
)
@given(
    site=splits(),
    block_size=block_sizes,
    rows_per_shard=shard_sizes,
    trait=st.sampled_from(("trait", "lacking")),
    x_males=st.sampled_from(("0/2", "0/1")),
)
@law
def test_linear_association(
    imputed, dosages, missing, site_effects, site, block_size, rows_per_shard, trait, x_males
):
    known = imputed.counted("y") & imputed.people[trait].notna().to_numpy()
    assume(min(np.sum(known & (site == one)) for one in np.unique(site)) > 3)
    federation = simulate.split(imputed, site, block_size=block_size, rows_per_shard=rows_per_shard)
    model = {"missing": missing, "site_effects": site_effects, "x_males": x_males}
    found = federation.gwas(trait, covariates="age", dosages=True, **model)
    assert_pooled(found, *pooled(imputed, trait, site, **model, of_row=of_dosages(dosages)))


@pytest.mark.parametrize("x_males", ["0/2", "0/1"])
@pytest.mark.parametrize("test", ["score", "wald", "firth"])
@pytest.mark.parametrize("number", [1, 3])
def test_logistic_association(imputed, dosages, test, x_males, number):
    site = np.array([f"S{place % number}" for place in range(PEOPLE)])
    federation = simulate.split(imputed, site, block_size=5, rows_per_shard=9)
    asked = {"covariates": ["age"], "model": "logistic", "test": test, "cutoff": 0.0}
    found = federation.gwas("case", dosages=True, x_males=x_males, **asked)
    compared = assert_logistic(found, imputed, site, test, x_males, of_dosages(dosages))
    assert compared == {"diploid", "x", "y", "mt"}


@pytest.fixture(scope="module")
def called(tmp_path_factory) -> sex_contigs.SexContigs:
    """Without dosages; some haploid calls have two alleles."""
    folder = tmp_path_factory.mktemp("calls")
    return sex_contigs.simulate(folder, people=PEOPLE, seed=5, wrong=0.1)


@pytest.mark.parametrize("x_males", ["0/2", "0/1"])
def test_hard_calls_are_dosages_where_nobody_imputed(called, x_males):
    """Calls that cannot be are missing as dosages too."""
    site = np.array([f"S{place % 2}" for place in range(PEOPLE)])
    federation = simulate.split(called, site)
    one, other = (
        federation.gwas("trait", covariates="age", x_males=x_males, dosages=dosages)
        for dosages in (False, True)
    )
    for name in ("n", "errcode", "allele_frequency"):
        np.testing.assert_array_equal(
            one[f"variant_linreg_{name}"], other[f"variant_linreg_{name}"]
        )
    for name in ("beta", "se"):
        np.testing.assert_allclose(
            one[f"variant_linreg_{name}"], other[f"variant_linreg_{name}"], rtol=1e-9, atol=1e-12
        )


def expected_frequencies(imputed, dosages, people):
    """AN, allele frequency and r² of every row, by its kind."""
    number, frequency, r2 = [], [], []
    for row, (_, _, kind) in enumerate(imputed.rows):
        chosen = people & imputed.counted(kind)
        here, haploid = dosages[[row]][:, chosen], imputed.haploid(kind)[chosen]
        number.append(int(np.where(haploid, 1, 2)[here[0] >= 0].sum()))
        of_row = oracle.summary(here, haploid)
        frequency.append(of_row[0][0])
        r2.append(of_row[1][0])
    return np.array(number), np.array(frequency), np.array(r2)


def assert_frequencies(found, prefix, place, expected) -> None:
    def values(name):
        array = found[f"{prefix}_{name}"].values
        return array if place is None else array[:, place]

    number, frequency, r2 = expected
    np.testing.assert_array_equal(values("allele_total"), number)
    np.testing.assert_allclose(values("allele_frequency")[:, 1], frequency, rtol=1e-14)
    np.testing.assert_allclose(values("imputation_r2"), r2, rtol=1e-11, atol=1e-13)
    copies = np.where(number > 0, number * frequency, 0.0)
    np.testing.assert_allclose(values("dosage_count"), copies, rtol=1e-14)


@given(site=splits(), block_size=block_sizes, rows_per_shard=shard_sizes)
@law
def test_frequencies_by_group(imputed, dosages, site, block_size, rows_per_shard):
    federation = simulate.split(imputed, site, block_size=block_size, rows_per_shard=rows_per_shard)
    found = federation.dosage_frequencies(by="sex")
    everybody = np.ones(PEOPLE, bool)
    assert_frequencies(found, "variant", None, expected_frequencies(imputed, dosages, everybody))
    assert found["cohort_id"].values.tolist() == ["F", "M"]
    for place, sex in enumerate(found["cohort_id"].values):
        mine = expected_frequencies(imputed, dosages, imputed.sex(sex))
        with np.errstate(invalid="ignore"):
            assert_frequencies(found, "cohort", place, mine)


def test_frequencies_of_one_cohort(imputed, dosages, tmp_path):
    """Asked of everybody, diploid rows are those that were summed at import."""
    found = ge.open_cohort(imputed.store.path).dosage_frequencies()
    assert "cohort_id" not in found
    everybody = expected_frequencies(imputed, dosages, np.ones(PEOPLE, bool))
    assert_frequencies(found, "variant", None, everybody)
    by_sex = ge.open_cohort(imputed.store.path).dosage_frequencies("sex")
    paths = by_sex.to_files(tmp_path)
    assert {path.name for path in paths} == {
        "dosages.parquet",
        *(f"dosages{group}.afreq" for group in ("", ".F", ".M")),
    }
    read = read_dosages(tmp_path / "dosages.parquet")
    assert_frequencies(read, "variant", None, everybody)
    for name in ("n_called", "allele_total", "dosage_count", "imputation_r2"):
        for prefix in ("variant", "cohort"):
            np.testing.assert_array_equal(read[f"{prefix}_{name}"], by_sex[f"{prefix}_{name}"])


def test_limits_are_for_rows_of_every_kind(imputed, dosages):
    site = np.array([f"S{place % 2}" for place in range(PEOPLE)])
    found = simulate.split(imputed, site).gwas(
        "trait", covariates="age", dosages=True, min_info=0.5, min_maf=0.2
    )
    _, frequency, r2 = expected_frequencies(imputed, dosages, np.ones(PEOPLE, bool))
    kept = (r2 >= 0.5) & (np.minimum(frequency, 1 - frequency) >= 0.2)
    kinds = np.array([kind for _, _, kind in imputed.rows])
    assert {"diploid", "x", "y", "mt"} == set(kinds[kept])
    known = np.flatnonzero(imputed.store.ploidy != PloidyClass.UNDEFINED)
    position = imputed.store.rows["position"].to_numpy()[known]
    np.testing.assert_array_equal(found["variant_position"].values, position[kept])


def test_calls_that_cannot_be_are_counted(called):
    calls = ge.open_cohort(called.store.path).frequencies(hwe=False)
    found = ge.open_cohort(called.store.path).dosage_frequencies()
    np.testing.assert_array_equal(found["variant_allele_total"], calls["variant_allele_total"])
    np.testing.assert_array_equal(found["variant_n_called"], calls["variant_n_called"])
    np.testing.assert_allclose(
        found["variant_dosage_count"], calls["variant_allele_count"].values[:, 1], rtol=1e-15
    )
    lost = found.attrs["left_out"].split('"heterozygous haploid calls": ')[1]
    assert lost.split(",")[0] == calls.attrs["left_out"].split('haploid calls": ')[1].split(",")[0]
