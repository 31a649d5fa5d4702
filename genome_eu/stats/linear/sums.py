"""What a site sums for a linear model, row by row: products of dosages with covariates and traits.

Traits that share their people form a group, and whatever depends on who takes part is summed for
each: all groups come out of one read of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every, same, total
from genome_eu.stats.block import Block
from genome_eu.stats.linear.model import Design, tile_columns


@dataclass(frozen=True, eq=False)
class MeanSums(Aggregate):
    """Row sums with missing calls replaced by the site's own mean, centred within the site."""

    statistic = "linear_mean"

    called: NDArray = count("people", "rows", "groups", gate="association")
    allele_count: NDArray = count("alleles", "rows", "groups", gate="association")
    gg: NDArray = total("dosage²", "rows", "groups", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "groups", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    trait_group: NDArray = same("group", "traits", gate="label")
    shown: NDArray = every("flag", "rows", "groups")


@dataclass(frozen=True, eq=False)
class RawSums(Aggregate):
    """Row sums of observed dosages and of the missing plane, for one mean over all sites."""

    statistic = "linear_raw"

    called: NDArray = count("people", "rows", "groups", gate="association")
    missing: NDArray = count("people", "rows", "groups", gate="missing")
    allele_count: NDArray = count("alleles", "rows", "groups", gate="association")
    gg: NDArray = count("dosage²", "rows", "groups", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "groups", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    mx: NDArray = total("missing·covariate", "rows", "groups", "covariates", gate="missing")
    my: NDArray = total("missing·trait", "rows", "traits", gate="missing")
    trait_group: NDArray = same("group", "traits", gate="label")
    shown: NDArray = every("flag", "rows", "groups")


@dataclass(frozen=True, eq=False)
class CompleteSums(Aggregate):
    """Row sums over the people called in that row; every product of the model, row by row."""

    statistic = "linear_complete"

    called: NDArray = count("people", "rows", "groups", gate="missing")
    intercepts: NDArray = count("sites", "rows", "groups", gate="missing")
    allele_count: NDArray = count("alleles", "rows", "groups", gate="association")
    gg: NDArray = total("dosage²", "rows", "groups", gate="association")
    gx: NDArray = total("dosage·covariate", "rows", "groups", "covariates", gate="association")
    gy: NDArray = total("dosage·trait", "rows", "traits", gate="association")
    xx: NDArray = total("covariate²", "rows", "groups", "covariates", "covariates", gate="missing")
    xy: NDArray = total("covariate·trait", "rows", "covariates", "traits", gate="missing")
    yy: NDArray = total("trait²", "rows", "traits", gate="missing")
    trait_group: NDArray = same("group", "traits", gate="label")
    shown: NDArray = every("flag", "rows", "groups")


@dataclass(frozen=True, eq=False)
class _OfDosages(Aggregate):
    """What sums of dosages have: hard calls say how many people an allele count is of."""

    allele_count: NDArray = total("alleles", "rows", "groups", gate="association")
    hard_called: NDArray = count("people", "rows", "groups", gate="association")
    hard_count: NDArray = count("alleles", "rows", "groups", gate="association")


@dataclass(frozen=True, eq=False)
class DosageMeanSums(_OfDosages, MeanSums):
    """`MeanSums` of dosages."""

    statistic = "linear_mean_dosage"


@dataclass(frozen=True, eq=False)
class DosageRawSums(_OfDosages, RawSums):
    """`RawSums` of dosages."""

    statistic = "linear_raw_dosage"

    gg: NDArray = total("dosage²", "rows", "groups", gate="association")


@dataclass(frozen=True, eq=False)
class DosageCompleteSums(_OfDosages, CompleteSums):
    """`CompleteSums` of dosages."""

    statistic = "linear_complete_dosage"


RowSums: TypeAlias = MeanSums | RawSums | CompleteSums
#: The kinds of row sums of dosages.
DOSAGE_SUMS = (DosageMeanSums, DosageRawSums, DosageCompleteSums)


def numbers_per_row(kind: type[RowSums], covariates: int, traits: int, groups: int) -> int:
    """Numbers of one row of the sums."""
    numbers = groups * (covariates + 3) + traits
    if issubclass(kind, DOSAGE_SUMS):
        numbers += 2 * groups
    if issubclass(kind, RawSums):
        return 2 * numbers
    if issubclass(kind, CompleteSums):
        return numbers + (groups * covariates + traits) * covariates + traits
    return numbers


def columns_at_a_time(
    kind: type[RowSums], covariates: int, traits: int, groups: int, people: int
) -> int:
    """Most columns of one product with a block."""
    columns = groups * covariates + traits
    if issubclass(kind, CompleteSums):
        columns = groups * covariates * (covariates + 1) // 2 + (covariates + 1) * traits
    return min(columns, tile_columns(people))


@dataclass(frozen=True, eq=False)
class _Tallies:
    """The dosages of each group, (rows, groups)."""

    called: NDArray  # int64
    missing: NDArray  # int64
    allele_count: NDArray  # Σg: copies of ALT, or expected copies
    squares: NDArray  # Σg²
    shown: NDArray  # bool; all of it, before anything was withheld


def _tally(block: Block, model: Design) -> _Tallies:
    # Groups overlap, so each is counted by itself: bits, a small part of its products.
    of_groups = [block.tally(model.labels(group), 1) for group in range(model.groups)]
    called, missing, copies, squares = (
        np.concatenate(part, axis=1) for part in zip(*of_groups, strict=True)
    )
    return _Tallies(called, missing, copies, squares, np.ones(called.shape, bool))


def _hard_calls(block: Block, model: Design, kind: type[RowSums]) -> dict[str, NDArray]:
    """What sums of dosages have beside those of hard calls."""
    if not issubclass(kind, DOSAGE_SUMS):
        return {}
    calls = np.stack(
        [block.counts(model.labels(group), 1)[:, 0] for group in range(model.groups)], axis=1
    )
    return {
        "hard_called": calls[..., :3].sum(axis=-1),
        "hard_count": calls[..., 1] + 2 * calls[..., 2],
    }


def mean_dosage(allele_count: NDArray, called: NDArray) -> NDArray:
    """Mean copies of ALT among the called, 0 where nobody is."""
    return allele_count / np.maximum(called, 1)


def of_traits(values: NDArray, trait_group: NDArray, axis: int = 1) -> NDArray:
    """Numbers of groups as numbers of traits: a dimension of 1 where all share their people."""
    return values if values.shape[axis] == 1 else values.take(trait_group, axis)


_Planes: TypeAlias = tuple[NDArray, NDArray]


def _products(block: Block, model: Design) -> Iterator[tuple[slice, slice, _Planes, _Planes]]:
    """Dosage and missing plane times some covariates (rows, groups, width) and traits."""
    for groups, traits in model.tiles(model.width, 1):
        shape = (block.rows, groups.stop - groups.start, model.width)
        inner = shape[1] * shape[2]
        dosage, missing = block.matmul(model.columns(groups, traits))
        yield (
            groups,
            traits,
            (dosage[:, :inner].reshape(shape), missing[:, :inner].reshape(shape)),
            (dosage[:, inner:], missing[:, inner:]),
        )


def _empty(block: Block, model: Design) -> tuple[NDArray, NDArray]:
    """Room for products with covariates and with traits."""
    return (
        np.empty((block.rows, model.groups, model.width)),
        np.empty((block.rows, model.traits)),
    )


def summarize_mean(block: Block, model: Design, kind: type[MeanSums] = MeanSums) -> MeanSums:
    """Row sums at one site with its own mean in place of missing calls (needs site effects)."""
    tally = _tally(block, model)
    mean = mean_dosage(tally.allele_count, tally.called)
    gx, gy = _empty(block, model)
    for groups, traits, (gx_here, mx), (gy_here, my) in _products(block, model):
        gx[:, groups] = gx_here + mean[:, groups, None] * mx
        gy[:, traits] = gy_here + of_traits(mean, model.trait_group[traits]) * my
    return kind(
        **_hard_calls(block, model, kind),
        called=tally.called,
        allele_count=tally.allele_count,
        gg=tally.squares - tally.called * mean**2,
        gx=gx,
        gy=gy,
        trait_group=model.trait_group,
        shown=tally.shown,
    )


def _raw_products(block: Block, model: Design) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """gx, gy and mx, my: products with the dosages and with the missing plane."""
    gx, gy = _empty(block, model)
    mx, my = _empty(block, model)
    for groups, traits, of_x, of_y in _products(block, model):
        gx[:, groups], mx[:, groups] = of_x
        gy[:, traits], my[:, traits] = of_y
    return gx, gy, mx, my


def summarize_raw(block: Block, model: Design, kind: type[RawSums] = RawSums) -> RawSums:
    """Row sums at one site, to be completed with the mean over all sites."""
    tally = _tally(block, model)
    gx, gy, mx, my = _raw_products(block, model)
    return kind(
        **_hard_calls(block, model, kind),
        called=tally.called,
        missing=tally.missing,
        allele_count=tally.allele_count,
        gg=tally.squares,
        gx=gx,
        gy=gy,
        mx=mx,
        my=my,
        trait_group=model.trait_group,
        shown=tally.shown,
    )


def summarize_complete(
    block: Block, model: Design, kind: type[CompleteSums] = CompleteSums
) -> CompleteSums:
    """Row sums at one site over the people called in each row."""
    tally = _tally(block, model)
    called = tally.called
    gx, gy, mx, my = _raw_products(block, model)
    xx, xy, yy = _called_products(block, model, bool(tally.missing.any()))
    mean = np.zeros(called.shape)
    if model.site_effects:
        # Centre g, X and y over the people called in this row, whose X and y sum to −mx and −my.
        mean = mean_dosage(tally.allele_count, called)
        people = np.maximum(called, 1)
        people_of_traits = of_traits(people, model.trait_group)
        mx_of_traits = of_traits(mx, model.trait_group).swapaxes(1, 2)
        xx -= mx[..., :, None] * (mx / people[..., None])[..., None, :]
        xy -= mx_of_traits * (my / people_of_traits)[:, None]
        yy -= my**2 / people_of_traits
        gx += mean[..., None] * mx
        gy += of_traits(mean, model.trait_group) * my
    return kind(
        **_hard_calls(block, model, kind),
        called=called,
        intercepts=(called > 0) & model.site_effects,
        allele_count=tally.allele_count,
        gg=tally.squares - called * mean**2,
        gx=gx,
        gy=gy,
        xx=xx,
        xy=xy,
        yy=yy,
        trait_group=model.trait_group,
        shown=tally.shown,
    )


def _called_products(
    block: Block, model: Design, some_missing: bool
) -> tuple[NDArray, NDArray, NDArray]:
    """XᵀX, Xᵀy and yᵀy of the people called in each row: of all of them, less the missing."""
    rows, width = block.rows, model.width
    xx, xy, yy = (
        np.broadcast_to(sums, (rows, *sums.shape)).copy()
        for sums in (model.sums.xx, model.sums.xy, model.sums.yy)
    )
    if not some_missing:
        return xx, xy, yy
    upper = np.triu_indices(width)
    for groups, traits in model.tiles(upper[0].size, width + 1):
        some, shape = traits.stop - traits.start, (rows, groups.stop - groups.start, upper[0].size)
        inner, outer = shape[1] * shape[2], shape[1] * shape[2] + width * some
        _, lost = block.matmul(model.pairs(groups, traits))
        of_groups = lost[:, :inner].reshape(shape)
        square = np.empty((*shape[:2], width, width))
        square[..., upper[0], upper[1]] = of_groups
        square[..., upper[1], upper[0]] = of_groups
        xx[:, groups] -= square
        xy[:, :, traits] -= lost[:, inner:outer].reshape(rows, width, some)
        yy[:, traits] -= lost[:, outer:]
    return xx, xy, yy
