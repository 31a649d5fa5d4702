"""A number that one site withholds is withheld in the answer of all: never partly summed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import genome_eu as ge
from genome_eu.disclosure import Policy, load_policy
from genome_eu.federation.coordinator import Federation
from tests.federation.policies import floors_file
from tests.federation.small_sites import RARE_IN_FI, ROWS, Made

SEXES = ("F", "M")


def federation(made: dict[str, Made], policy: str | Path) -> Federation:
    cohorts = {name: ge.open_cohort(site.store) for name, site in made.items()}
    return ge.federate(cohorts, policy=policy)


def counted(dosage: NDArray) -> dict[str, NDArray]:
    """Counts per row, as their definitions."""
    return {
        "hom_ref": (dosage == 0).sum(axis=1),
        "het": (dosage == 1).sum(axis=1),
        "hom_alt": (dosage == 2).sum(axis=1),
        "ac": np.where(dosage > 0, dosage, 0).sum(axis=1),
        "an": 2 * (dosage >= 0).sum(axis=1),
    }


def fails(counts: dict[str, NDArray], policy: Policy) -> tuple[NDArray, NDArray]:
    """Where alleles, and where genotype classes, are below a floor (0 may be shown)."""

    def below(values: NDArray, floor: int) -> NDArray:
        return (values > 0) & (values < floor)

    floor = policy.allele_floor
    alleles = below(counts["ac"], floor) | below(counts["an"] - counts["ac"], floor)
    genotypes = alleles.copy()
    for name in ("hom_ref", "het", "hom_alt"):
        genotypes |= below(counts[name], policy.genotype_floor)
    return alleles, genotypes


def panel_rows(made: dict[str, Made], policy: Policy) -> NDArray:
    """Rows that every site may name."""
    return np.flatnonzero(~np.any([fails(counted(m.dosage), policy)[0] for m in made.values()], 0))


@pytest.mark.parametrize(
    "floors", [{}, {"allele_floor": 14, "genotype_floor": 4}, {"min_people": 19}]
)
def test_frequencies_are_the_whole_sum_or_nothing(made, tmp_path, floors):
    source = floors_file(tmp_path, **floors)
    policy = load_policy(source)
    found = federation(made, source).frequencies(by="sex", panel="intersection")
    rows = panel_rows(made, policy)
    assert found["variant_position"].values.tolist() == (10_000 + 50 * rows).tolist()

    too_small = [
        min((site.table["sex"] == sex).sum() for sex in SEXES) < policy.min_people
        for site in made.values()
    ]
    withheld_alleles = np.zeros((len(rows), 2), bool)
    withheld_genotypes = np.zeros((len(rows), 2), bool)
    truth = {name: np.zeros((len(rows), 2), int) for name in counted(np.zeros((1, 1)))}
    for site, small in zip(made.values(), too_small, strict=True):
        of_sex = [counted(site.dosage[rows][:, site.table["sex"] == sex]) for sex in SEXES]
        failing = [fails(counts, policy) for counts in of_sex]
        # Siblings fall together at the site, and the site's rows in the answer.
        withheld_alleles |= np.any([one[0] for one in failing], axis=0)[:, None] | small
        withheld_genotypes |= np.any([one[1] for one in failing], axis=0)[:, None] | small
        for name, total in truth.items():
            total += np.column_stack([counts[name] for counts in of_sex])
    np.testing.assert_array_equal(found["cohort_allele_withheld"].values, withheld_alleles)
    np.testing.assert_array_equal(found["cohort_genotype_withheld"].values, withheld_genotypes)
    np.testing.assert_array_equal(
        found["cohort_allele_count"].values[..., 1], np.where(withheld_alleles, -1, truth["ac"])
    )
    for name in ("hom_ref", "het", "hom_alt"):
        np.testing.assert_array_equal(
            found[f"cohort_n_{name}"].values, np.where(withheld_genotypes, -1, truth[name])
        )
    assert np.isnan(found["cohort_allele_frequency"].values[withheld_alleles]).all()
    # The argument needs some of each.
    assert withheld_genotypes.any()
    assert (~withheld_alleles).any() or any(too_small)


def test_rows_that_one_site_may_not_name_are_in_no_answer(made, tmp_path):
    rare = {10_000 + 50 * row for row in range(*RARE_IN_FI.indices(ROWS))}
    eu = federation(made, floors_file(tmp_path))
    common = eu.frequencies(panel="intersection")
    for found in (common, eu.pca(2), eu.gwas("ldl", covariates="age")):
        assert not rare & set(found["variant_position"].values.tolist())
    # Other sites list them, so that a union names them; it says nothing else of them.
    union = eu.frequencies(by="sex")
    theirs = np.isin(union["variant_position"].values, list(rare))
    assert theirs.sum() == len(rare)
    assert union["cohort_allele_withheld"].values[theirs].all()
    for name in ("allele_total", "n_called", "n_het", "n_hom_ref"):
        assert (union[f"variant_{name}"].values[theirs] == -1).all()
        assert (union[f"cohort_{name}"].values[theirs] == -1).all()
    assert (union["variant_n_sites_suppressed"].values[theirs] == 1).all()
    shown = ~union["variant_allele_withheld"].values
    np.testing.assert_array_equal(
        union["variant_position"].values[shown], common["variant_position"].values
    )
    everything = federation(made, "open-data").frequencies()
    assert rare <= set(everything["variant_position"].values.tolist())


def test_rows_of_an_association_are_tested_on_everybody_or_not_at_all(made, tmp_path):
    """`crp` is missing in six people of each site: some rows fall below the floor without them."""
    source = floors_file(tmp_path, association_floor=20)
    found = federation(made, source).gwas("crp", covariates="age")
    rows = panel_rows(made, load_policy(source))
    withheld = np.zeros(len(rows), bool)
    for site in made.values():
        counts = counted(site.dosage[rows][:, site.table["crp"].notna()])
        withheld |= np.minimum(counts["ac"], counts["an"] - counts["ac"]) < 20
    assert 0 < withheld.sum() < len(rows)
    codes = found["variant_linreg_errcode"].values[:, 0]
    np.testing.assert_array_equal(codes == "WITHHELD", withheld)
    for name in ("beta", "se", "t_value", "p_value"):
        assert np.isnan(found[f"variant_linreg_{name}"].values[withheld]).all()
    assert np.isfinite(found["variant_linreg_beta"].values[~withheld]).all()
    assert (found["variant_linreg_n"].values[withheld] == -1).all()
    assert np.isnan(found["variant_linreg_allele_frequency"].values[withheld]).all()


def test_each_site_applies_its_own_policy(made, tmp_path):
    """The strictest of three policies decides what the answer shows."""
    strict = floors_file(tmp_path, name="strict", genotype_floor=11)
    usual = floors_file(tmp_path)
    lines = ['name = "three"']
    for name, site in made.items():
        policy = {"FI": strict.name, "ES": usual.name, "IT": "open-data"}[name]
        lines += ["[[site]]", f'name = "{name}"', f'cohort = "{site.store}"']
        lines += [f'policy = "{policy}"']
    roster = tmp_path / "federation.toml"
    roster.write_text("\n".join(lines) + "\n")
    found = ge.open_federation(roster).frequencies(panel="intersection")
    rows = np.setdiff1d(np.arange(ROWS), np.arange(*RARE_IN_FI.indices(ROWS)))
    withheld = np.zeros(len(rows), bool)
    for name, policy in (("FI", load_policy(strict)), ("ES", load_policy(usual))):
        withheld |= fails(counted(made[name].dosage[rows]), policy)[1]
    np.testing.assert_array_equal(found["variant_genotype_withheld"].values, withheld)
    assert 0 < withheld.sum() < len(rows)
    assert found.attrs["policies"] == '["floors", "open-data", "strict"]'


def test_open_data_withholds_nothing_and_says_so(made):
    found = federation(made, "open-data").frequencies(by="sex")
    assert not found["cohort_genotype_withheld"].values.any()
    assert not found["variant_allele_withheld"].values.any()
    assert found.attrs["policies"] == '["open-data"]'
