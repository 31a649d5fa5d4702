"""Many traits, each group of them with people of its own, out of one read of each block."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from genome_eu.stats import linear
from genome_eu.stats.aggregate import Aggregate, merge
from genome_eu.stats.linear import model as models
from tests import simulate
from tests.oracles import linear as oracle
from tests.stats.test_linear import MODELS, assert_fits

PEOPLE, ROWS = 120, 30
#: Traits of one group need not stand side by side.
GROUPS = (0, 1, 0, 2, 3, 1)
SUMMARIES = {
    ("mean", True): linear.summarize_mean,
    ("mean", False): linear.summarize_raw,
    ("drop", True): linear.summarize_complete,
    ("drop", False): linear.summarize_complete,
}


def data(seed: int = 1, missing: float = 0.05):
    """Dosages, covariates and traits on a scale of 1, and three sites; groups lack people.

    Group 2 has nobody at the smallest site, and group 3 is everybody.
    """
    rng = np.random.default_rng(seed)
    dosage = simulate.dosages(ROWS, PEOPLE, missing, seed)
    site = rng.permutation(np.repeat([0, 1, 2], [70, 35, 15]))
    x = rng.normal(size=(PEOPLE, 2))
    x[3] = np.nan
    y = rng.normal(size=(PEOPLE, len(GROUPS))) + 0.5 * np.maximum(dosage[5], 0)[:, None]
    absent = rng.random((PEOPLE, 4)) < [0.3, 0.1, 0.2, 0.0]
    absent[site == 2, 2] = True
    y[absent[:, GROUPS]] = np.nan
    return dosage, x, y, site


def sums_of(dosage, x, y, site, groups, missing, site_effects, kernels="cpu"):
    """The merged sums of all sites, as a protocol gets them."""
    sites = [
        linear.design(x[site == place], y[site == place], groups=groups, site_effects=site_effects)
        for place in np.unique(site)
    ]
    blocks = [simulate.block(dosage[:, site == place], kernels) for place in np.unique(site)]
    summarize = SUMMARIES[missing, site_effects]
    return merge([linear.summarize_design(model) for model in sites]), merge(
        [summarize(block, model) for block, model in zip(blocks, sites, strict=True)]
    )


def of_group(part: Aggregate, group: int) -> dict[str, np.ndarray]:
    """The fields of an aggregate at one group and its traits."""
    traits = np.flatnonzero(part.trait_group == group)
    found = {}
    for item in fields(part):
        value, dims = getattr(part, item.name), item.metadata["dims"]
        for name, places in (("groups", [group]), ("traits", traits)):
            if name in dims:
                value = value.take(places, dims.index(name))
        found[item.name] = value
    return found


@pytest.mark.parametrize("tile", [1, 7, 10**6], ids=lambda tile: f"tiles of {tile}")
@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
def test_groups_in_one_model_are_models_of_their_own_bit_for_bit(
    missing, site_effects, tile, monkeypatch
):
    everything = data()
    dosage, x, y, site = everything
    monkeypatch.setattr(models, "tile_columns", lambda people: tile)
    together = sums_of(*everything, GROUPS, missing, site_effects)
    for group in range(4):
        traits = np.flatnonzero(np.array(GROUPS) == group)
        alone = sums_of(dosage, x, y[:, traits], site, None, missing, site_effects)
        for whole, part in zip(together, alone, strict=True):
            expected = of_group(part, 0) | {"trait_group": np.full(traits.size, group)}
            for name, values in of_group(whole, group).items():
                np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("kernels", ["cpu", "reference"])
@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
def test_every_trait_is_fitted_among_its_own_people(missing, site_effects, kernels):
    dosage, x, y, site = data()
    found = linear.finalize(
        *sums_of(dosage, x, y, site, GROUPS, missing, site_effects, kernels), np.ones(len(GROUPS))
    )
    for trait in range(len(GROUPS)):
        expected = oracle.fit(
            dosage, y[:, trait], x, site, missing=missing, site_effects=site_effects
        )
        assert_fits(found, trait, expected)
        called = dosage[:, ~np.isnan(np.column_stack([x, y[:, trait]])).any(axis=1)] >= 0
        some = called.any(axis=1)
        np.testing.assert_array_equal(np.isfinite(found.allele_frequency[:, trait]), some)


@pytest.mark.parametrize(("missing", "site_effects"), MODELS)
def test_without_covariates(missing, site_effects):
    dosage, _, y, site = data()
    none = np.empty((PEOPLE, 0))
    found = linear.finalize(
        *sums_of(dosage, none, y, site, GROUPS, missing, site_effects), np.ones(len(GROUPS))
    )
    for trait in (0, 3, 5):
        expected = oracle.fit(
            dosage, y[:, trait], none, site, missing=missing, site_effects=site_effects
        )
        assert_fits(found, trait, expected)


def test_a_row_withheld_in_one_group_is_withheld_for_its_traits_only():
    dosage, x, y, site = data()
    model, sums = sums_of(dosage, x, y, site, GROUPS, "mean", True)
    sums.shown[10, 1] = False
    found = linear.finalize(model, sums, np.ones(len(GROUPS)))
    words = found.errcode_words[10]
    assert (words == "WITHHELD").tolist() == [group == 1 for group in GROUPS]
    assert (found.n[10] == -1).tolist() == [group == 1 for group in GROUPS]
    assert np.isnan(found.allele_frequency[10]).tolist() == [group == 1 for group in GROUPS]


@pytest.mark.parametrize(("per_group", "per_trait"), [(0, 1), (2, 1), (3, 4), (9, 2)])
@pytest.mark.parametrize("tile", [1, 5, 8, 10**6])
def test_tiles_cover_every_group_and_trait_once(per_group, per_trait, tile, monkeypatch):
    _, x, y, _ = data()
    monkeypatch.setattr(models, "tile_columns", lambda people: tile)
    model = linear.design(x, y, groups=GROUPS, site_effects=True)
    groups, traits = [], []
    for some, others in model.tiles(per_group, per_trait):
        columns = per_group * (some.stop - some.start) + per_trait * (others.stop - others.start)
        assert columns <= max(tile, per_group, per_trait)
        groups += range(some.start, some.stop)
        traits += range(others.start, others.stop)
    assert (groups, traits) == ([*range(4)], [*range(len(GROUPS))])


def test_columns_in_memory_do_not_grow_with_the_groups():
    """They are multiplied 32 MiB at a time, or 64 of them where people are many."""
    assert models.tile_columns(10_000) * 10_000 * 8 <= 2**25
    assert models.tile_columns(10**9) == 64
