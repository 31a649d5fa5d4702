"""One panel from the variant lists of several sites, and each site's rows of it.

A variant is its contig, position, REF and ALT in minimal representation. Where a site writes it in
another way, it is recognized only if no doubt is possible:

- REF and ALT exchanged, on the other strand, or both: resolved for single-base variants that are
  not palindromic, by counting the other allele where they are exchanged;
- a palindromic variant is never exchanged nor turned to the other strand, an indel neither;
- an exchanged variant is refused where the site lists other alleles at its position: people without
  this ALT need not have this REF then.

Whatever does not match is counted, never guessed. The same function tells the coordinator what to
report of a site's list and the site which of its rows are meant, so that no mapping travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.stats import alleles
from genome_eu.stats.alleles import Forms
from genome_eu.stats.variants import COLUMNS

How = Literal["union", "intersection"]


class Kind(IntEnum):
    """How a row of a panel is found in a site's list, or why it is not."""

    EXACT = 0
    #: REF and ALT exchanged.
    SWAPPED = 1
    #: On the other strand.
    STRAND = 2
    #: On the other strand with REF and ALT exchanged.
    STRAND_SWAPPED = 3
    #: The site has a palindromic variant the other way round.
    PALINDROMIC = 4
    #: The site has REF and ALT of an indel, or of another longer variant, the other way round.
    INDEL = 5
    #: Exchanged, and the site lists other alleles there.
    MULTIALLELIC = 6
    #: The site lists the position with another reference base.
    MISMATCH = 7
    #: The site lists the variant more than once.
    DUPLICATE = 8
    #: The site does not list the variant.
    ABSENT = 9


#: Kinds by which a row is found.
_FOUND = Kind.STRAND_SWAPPED
_RESOLVED = np.array([Kind.EXACT, Kind.SWAPPED, Kind.STRAND, Kind.STRAND_SWAPPED])


@dataclass(frozen=True, eq=False)
class Match:
    """The rows of a panel in one site's list.

    `rows` has each row's place in the list, −1 where it is not found; `kinds` is `Kind`, int8.
    """

    rows: NDArray
    kinds: NDArray

    @property
    def found(self) -> NDArray:
        """Rows that the site has, bool (rows,)."""
        return self.rows >= 0

    @property
    def flipped(self) -> NDArray:
        """Rows whose dosage counts the panel's REF at this site, bool (rows,)."""
        return (self.kinds == Kind.SWAPPED) | (self.kinds == Kind.STRAND_SWAPPED)

    @property
    def absent(self) -> NDArray:
        """Rows of which the site's list says nothing at all, bool (rows,).

        These alone can be homozygous for the reference: where the site has something else there,
        what it would call is not known.
        """
        return self.kinds == Kind.ABSENT

    def tally(self) -> dict[str, int]:
        """Rows of each kind, by name."""
        numbers = np.bincount(self.kinds, minlength=len(Kind))
        return {kind.name.lower(): int(numbers[kind]) for kind in Kind}


def match(panel: pd.DataFrame, listed: pd.DataFrame) -> Match:
    """Find the rows of a panel in a site's list.

    Parameters
    ----------
    panel, listed : DataFrame
        Columns contig, position, ref, alt.
    """
    return _match(*alleles.forms([panel, listed]))


def _match(panel: Forms, listed: Forms) -> Match:
    repeated = listed.repeated
    usable = np.flatnonzero(~repeated)
    found = pd.Index(listed.variant[usable]).get_indexer(panel.variant)
    rows = np.append(usable, -1)[found]

    kinds = _why_not(panel, listed, listed.variant[repeated])
    here = np.flatnonzero(rows >= 0)
    mine, theirs = listed.pair[rows[here]], panel.pair[here]
    # A pair of −1 is neither palindromic nor in any other form than as written.
    relation = np.where(mine >= 0, alleles.RELATION[mine, theirs], alleles.AS_WRITTEN)
    kinds[here] = _RESOLVED[relation]

    crowded = pd.Index(listed.place).duplicated(keep=False)
    crowded |= pd.Index(listed.start).duplicated(keep=False)
    exchanged = (relation == alleles.EXCHANGED) | (relation == alleles.BOTH)
    doubtful = here[exchanged & crowded[rows[here]]]
    kinds[doubtful], rows[doubtful] = Kind.MULTIALLELIC, -1
    return Match(rows, kinds)


def _why_not(panel: Forms, listed: Forms, repeated: NDArray) -> NDArray:
    """Why rows would not be found, int8 (rows,)."""
    kinds = np.full(panel.place.size, Kind.ABSENT, np.int8)
    kinds[np.isin(panel.place, listed.place) & ~np.isin(panel.anchor, listed.anchor)] = (
        Kind.MISMATCH
    )
    other_way = np.isin(panel.exchanged, listed.form)
    kinds[other_way & (panel.pair < 0)] = Kind.INDEL
    kinds[other_way & panel.palindromic] = Kind.PALINDROMIC
    kinds[np.isin(panel.variant, repeated)] = Kind.DUPLICATE
    return kinds


@dataclass(frozen=True, eq=False)
class Joined:
    """A panel, and how the sites' lists were joined.

    `rows` are contig, position, ref, alt, id. `report` has for each site: rows that it lists, rows
    of these that it lists more than once, the rows of all sites together by `Kind`, and the rows
    of the panel.
    """

    rows: pd.DataFrame
    report: dict[str, dict[str, int]]


def join(lists: Mapping[str, pd.DataFrame], how: How, given: pd.DataFrame | None = None) -> Joined:
    """Join the sites' variant lists.

    Parameters
    ----------
    lists : mapping of str to DataFrame
        Each site's rows: contig, position, ref, alt, id.
    how : {"union", "intersection"}
        Rows that any site lists, or those that every site does.
    given : DataFrame, optional
        A panel to keep to instead of what the sites list: as a union it is the panel; as an
        intersection, those of its rows that every site has.

    Returns
    -------
    Joined
        A row is written as most sites write it; of as many, as the first site by name does. A
        given panel stays as it is written. An intersection has the order of the first site by
        name (or of the given panel), a union that of contigs and positions.

    Raises
    ------
    PanelError
        No row is left, a site shares none with the others, or a given panel names a variant twice.
    """
    names = sorted(lists)
    tables = [lists[name] for name in names]
    if given is None:
        numbered = dict(zip(names, alleles.forms(tables), strict=True))
        rows, wanted = _candidates(tables, list(numbered.values()))
    else:
        wanted, *others = alleles.forms([given, *tables])
        numbered = dict(zip(names, others, strict=True))
        rows = given[COLUMNS].reset_index(drop=True)
        _require_distinct(rows, wanted)
    matches = {name: _match(wanted, numbered[name]) for name in names}
    report = {
        name: {"listed": len(lists[name]), "listed_twice": int(numbered[name].repeated.sum())}
        | matches[name].tally()
        for name in names
    }
    if how == "intersection":
        kept = np.logical_and.reduce([matches[name].found for name in names])
        if not kept.any():
            _require_shared(matches)
            raise PanelError(
                "no variant is listed by every site; ask fewer sites, or agree on a panel"
            )
        chosen = np.flatnonzero(kept)
        if given is None:
            chosen = chosen[np.argsort(matches[names[0]].rows[chosen])]
        rows = rows.iloc[chosen].reset_index(drop=True)
    elif rows.empty:
        raise PanelError("no site lists a variant; look at `genome-eu info` of their cohorts")
    elif given is None:
        _require_shared(matches)
    for tally in report.values():
        tally["panel"] = len(rows)
    return Joined(rows, report)


def _require_distinct(rows: pd.DataFrame, wanted: Forms) -> None:
    repeated = np.flatnonzero(pd.Index(wanted.variant).duplicated())
    if repeated.size:
        first = rows.iloc[repeated[0]]
        raise PanelError(
            f"the panel names a variant more than once (first: {first['contig']}:"
            f"{first['position']} {first['ref']} {first['alt']}); remove {repeated.size} rows"
        )


def _candidates(tables: list[pd.DataFrame], numbered: list[Forms]) -> tuple[pd.DataFrame, Forms]:
    """Every variant that a site lists once, as most sites write it, by contig and position."""
    once = [np.flatnonzero(~found.repeated) for found in numbered]
    rows = pd.concat(
        [table[COLUMNS].iloc[keep] for table, keep in zip(tables, once, strict=True)],
        ignore_index=True,
    )
    listed = [found.take(keep) for found, keep in zip(numbered, once, strict=True)]
    every = Forms(
        **{
            name: np.concatenate([getattr(found, name) for found in listed])
            for name in vars(listed[0])
        }
    )
    chosen = _elected(every.variant, every.form)
    named = rows.iloc[chosen]
    order = np.lexsort([named["position"].to_numpy(), _karyotype(named["contig"])])
    return named.iloc[order].reset_index(drop=True), every.take(chosen[order])


def _elected(variant: NDArray, form: NDArray) -> NDArray:
    """The first line of each variant in the form that most lines have, ascending."""
    first_of_form = ~pd.Index(form).duplicated()
    lines = np.flatnonzero(first_of_form)
    numbers, forms = pd.factorize(form)
    votes = np.bincount(numbers, minlength=len(forms))
    # Forms are numbered as they appear, as lines are; of equal ones the first stays first.
    best = lines[np.argsort(-votes, kind="stable")]
    return np.sort(best[~pd.Index(variant[best]).duplicated()])


def _karyotype(contigs: pd.Series) -> NDArray:
    """A number for each contig: 1 to 22, X, Y, MT, then the others as they appear."""
    codes, names = pd.factorize(contigs.to_numpy(object))
    special = {"X": 1, "Y": 2, "MT": 3}
    keys = [
        (0, int(name)) if str(name).isdigit() else (1, special.get(str(name), 4)) for name in names
    ]
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=keys.__getitem__)] = np.arange(len(names))
    return ranks[codes]


def _require_shared(matches: dict[str, Match]) -> None:
    """A site that shares no row with any other is on another build, or names contigs otherwise."""
    for name, mine in matches.items():
        others = [other.found for site, other in matches.items() if site != name]
        if others and not np.any(mine.found & np.logical_or.reduce(others)):
            raise PanelError(
                f"site {name} lists no variant that another site lists (contig, position, REF and "
                f"ALT must agree, or be the same variant beyond doubt); compare `genome-eu info` "
                f"of their cohorts"
            )
