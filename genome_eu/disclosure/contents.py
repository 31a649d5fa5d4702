"""What an answer shows, in words, tables and counts that a person can judge.

Each statistic says what it is in one line and in the tables that matter for it; a table of every
field comes with all of them, so that nothing in a bundle is unseen, whatever the statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.disclosure.case import Case
from genome_eu.stats import variants
from genome_eu.stats.aggregate import Aggregate, declared, dimension_sizes

# Most lines of a table that a person reads; the fields of a bundle are never cut.
_LINES = 20

# Where one size of a count ends and the next begins.
_EDGES = np.array([0, 1, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000])


@dataclass(frozen=True)
class Table:
    """A small table; numbers stay numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Bars:
    """Counts by label, to be drawn as bars."""

    title: str
    labels: Sequence[str]
    values: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Contents:
    """What one answer shows. `withheld` counts rows of everybody that the floors removed."""

    what: str
    withheld: int = 0
    tables: tuple[Table, ...] = ()
    bars: tuple[Bars, ...] = ()


def describe(shards: Iterable[Aggregate], case: Case) -> Contents:
    """Read an answer once and say what it shows.

    Parameters
    ----------
    shards : iterable of Aggregate
        All shards of the held bundle, in order.
    case : Case
        What is known of it.
    """
    fields = _Fields()
    said = _STATISTICS.get(case.statistic, _anything)(fields.watch(shards), case)
    return Contents(said.what, said.withheld, (*said.tables, fields.table()), said.bars)


class _Sizes:
    """How many counts are of which size."""

    def __init__(self) -> None:
        self.counts = np.zeros(_EDGES.size, np.int64)
        self.smallest: int | None = None

    def add(self, values: NDArray) -> None:
        where = np.searchsorted(_EDGES, values.ravel(), side="right") - 1
        self.counts += np.bincount(where, minlength=_EDGES.size)
        positive = values[values > 0]
        if positive.size:
            least = int(positive.min())
            self.smallest = least if self.smallest is None else min(self.smallest, least)

    def bars(self, title: str) -> Bars:
        used = np.flatnonzero(self.counts)
        last = int(used[-1]) + 1 if used.size else 1
        note = "" if self.smallest is None else f"The smallest that is not 0: {self.smallest:,}."
        return Bars(title, _LABELS[:last], self.counts[:last].tolist(), note)


def _labels() -> list[str]:
    names = []
    for low, end in pairwise(_EDGES.tolist()):
        names.append(f"{low:,}" if end == low + 1 else f"{low:,}–{end - 1:,}")
    return [*names, f"{_EDGES[-1]:,} or more"]


_LABELS = _labels()


@dataclass
class _Fields:
    """Every field of a bundle: what it counts, how much of it, and its extremes."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def watch(self, shards: Iterable[Aggregate]) -> Iterator[Any]:
        for part in shards:
            for item in declared(part):
                self._add(item.name, item.metadata, getattr(part, item.name))
            yield part

    def _add(self, name: str, declaration: Any, value: NDArray) -> None:
        dims = " × ".join(declaration["dims"]) or "one number"
        line = self.rows.setdefault(name, [declaration["unit"], dims, 0, None, None])
        line[2] += value.size
        if declaration["unit"] == "byte" or not value.size:
            return
        sizes = np.abs(value.astype(float))
        positive = sizes[sizes > 0]
        if positive.size:
            least, most = float(positive.min()), float(sizes.max())
            line[3] = least if line[3] is None else min(line[3], least)
            line[4] = most if line[4] is None else max(line[4], most)

    def table(self) -> Table:
        return Table(
            "Every field of the bundle",
            ["Field", "Unit", "One for each", "Numbers", "Smallest (not 0)", "Largest"],
            [[name, *line] for name, line in self.rows.items()],
        )


def _many(number: int, one: str, several: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _people(number: int) -> str:
    return _many(number, "person", "people")


def _variant_list(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    rows = variants.decode(part.text)
    listed, withheld = int(part.rows_listed), int(part.rows_withheld)
    counted = rows["contig"].value_counts()
    contigs = sorted(counted.index, key=lambda name: (not name.isdigit(), name.zfill(64)))
    single = (rows["ref"].str.len() == 1) & (rows["alt"].str.len() == 1)
    kinds = [["single bases", int(single.sum())], ["others", int((~single).sum())]]
    return Contents(
        f"a list of {_many(listed, 'variant')} that occur in {_people(case.people)}",
        withheld,
        (Table("Variants by kind", ["Kind", "Variants"], kinds),),
        (Bars("Variants by contig", contigs, counted[contigs].tolist()),),
    )


def _group_sizes(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    groups = [[name, n] for name, n in zip(part.names, part.people.tolist(), strict=True)]
    sizes = _Sizes()
    sizes.add(part.people)
    by = f" by {', '.join(case.names)}" if case.names else ""
    return Contents(
        f"the sizes of {_many(len(groups), 'group')}{by} of {_people(int(part.people_total))}",
        0,
        (Table("People", ["Group", "People"], [["everybody", int(part.people_total)], *groups]),),
        (sizes.bars("Groups by number of people"),),
    )


def _genotype_counts(shards: Iterator[Any], case: Case) -> Contents:
    minor, classes, missing = _Sizes(), _Sizes(), _Sizes()
    people, shown, total = np.zeros(1, np.int64), np.zeros(1, np.int64), 0
    for part in shards:
        total += part.rows
        people, shown = part.people, shown + part.alleles_shown.sum(axis=0)
        seen = part.alleles_shown
        fewer = np.minimum(part.allele_count, part.allele_number - part.allele_count)
        minor.add(fewer[seen])
        missing.add((part.people - part.called)[seen])
        told = part.genotypes_shown
        for kind in (part.hom_ref, part.het, part.hom_alt):
            classes.add(kind[told])
    names = ["everybody", *(str(name) for name in case.parameters.get("groups") or ())]
    names += [f"group {number}" for number in range(len(names), people.size)]
    rows = [
        [name, int(size), int(seen), total - int(seen)]
        for name, size, seen in zip(
            names, people, np.broadcast_to(shown, people.shape), strict=True
        )
    ]
    described = int(people[0]) if people.size else 0
    groups = f", and in {_many(people.size - 1, 'group')} of them" if people.size > 1 else ""
    return Contents(
        f"counts of alleles for {_many(int(shown[0]), 'variant')} in {_people(described)}{groups}",
        total - int(shown[0]),
        (
            Table(
                "Rows by group", ["Group", "People", "Rows shown", "Rows withheld"], rows[:_LINES]
            ),
        ),
        (
            minor.bars("Minor alleles in each number shown"),
            classes.bars("People in each genotype class shown"),
            missing.bars("People without a call in each row shown"),
        ),
    )


def _trait_moments(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    traits = _named(case, "traits", part.trait_people.size)
    covariates = _named(case, "covariates", part.covariate_sum.size)
    people = np.broadcast_to(part.covariate_people, part.covariate_sum.shape)
    lines = [
        *_moments("trait", traits, part.trait_people, part.trait_sum, part.trait_square),
        *_moments("covariate", covariates, people, part.covariate_sum, part.covariate_square),
    ]
    headings = ["Column", "Kind", "People", "Mean", "Standard deviation"]
    return Contents(
        f"people, means and variances of {_columns(len(traits), len(covariates))}",
        0,
        (Table("Traits and covariates", headings, lines[:_LINES]),),
    )


def _moments(
    kind: str, names: list[str], people: NDArray, sums: NDArray, squares: NDArray
) -> list[list[object]]:
    n = np.maximum(people, 1)
    means = sums / n
    spread = np.sqrt(np.maximum(squares - n * means**2, 0) / np.maximum(n - 1, 1))
    return [
        [name, kind, int(size), float(mean), float(deviation)]
        for name, size, mean, deviation in zip(names, people, means, spread, strict=True)
    ]


def _linear_design(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    sizes = dimension_sizes(part)
    columns = _columns(sizes.get("traits", 0), sizes.get("covariates", 0))
    people = int(np.max(part.people, initial=0))
    return Contents(f"products of {columns} over {_people(people)}")


def _association(shards: Iterator[Any], case: Case) -> Contents:
    minor, shown, total, traits, covariates = _Sizes(), 0, 0, 0, 0
    for part in shards:
        sizes = dimension_sizes(part)
        traits, covariates = sizes.get("traits", 0), sizes.get("covariates", 0)
        total += part.rows
        # Where people differ between traits, a row counts as shown if it is for any of them.
        shown += int(part.shown.reshape(part.rows, -1).any(axis=1).sum())
        fewer = np.minimum(part.allele_count, 2 * part.called - part.allele_count)
        minor.add(fewer[part.shown])
    return Contents(
        f"sums of an association of {_many(shown, 'variant')} with "
        f"{_columns(traits, covariates)} in {_people(case.people)}",
        total - shown,
        (),
        (minor.bars("Minor alleles in each row shown"),),
    )


def _projection(shards: Iterator[Any], case: Case) -> Contents:
    rows, width, people = 0, 0, 0
    for part in shards:
        rows += part.rows
        width, people = part.projected.shape[1], int(part.people)
    return Contents(
        f"one step of a PCA: {_many(rows, 'variant')} × {_many(width, 'column')}, summed over "
        f"{_people(people)}"
    )


def _scores(shards: Iterator[Any], case: Case) -> Contents:
    (part,) = shards
    people = int(part.people)
    means = part.score_sum / max(people, 1)
    spread = np.sqrt(np.maximum(part.score_square / max(people, 1) - means**2, 0))
    lines = [
        [f"PC{number}", float(mean), float(deviation)]
        for number, (mean, deviation) in enumerate(zip(means, spread, strict=True), 1)
    ]
    return Contents(
        f"the mean of {_many(len(lines), 'principal component')} over "
        f"{_people(people)} (their scores stay)",
        0,
        (Table("Scores", ["Component", "Mean", "Standard deviation"], lines[:_LINES]),),
    )


def _anything(shards: Iterator[Any], case: Case) -> Contents:
    for _ in shards:
        pass
    return Contents(f"{case.statistic} of {_people(case.people)}")


def _columns(traits: int, covariates: int) -> str:
    return f"{_many(traits, 'trait')} and {_many(covariates, 'covariate')}"


def _named(case: Case, kind: str, columns: int) -> list[str]:
    """Names of columns; principal components come after the covariates that the plan names."""
    names = [str(name) for name in case.parameters.get(kind) or ()]
    return [*names, *(f"PC{number}" for number in range(1, columns - len(names) + 1))][:columns]


_STATISTICS: dict[str, Callable[[Iterator[Any], Case], Contents]] = {
    "variant_list": _variant_list,
    "group_sizes": _group_sizes,
    "genotype_counts": _genotype_counts,
    "trait_moments": _trait_moments,
    "linear_design": _linear_design,
    "linear_mean": _association,
    "linear_raw": _association,
    "linear_complete": _association,
    "pca_projection": _projection,
    "pca_scores": _scores,
}
