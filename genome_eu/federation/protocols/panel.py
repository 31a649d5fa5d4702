"""Round 0 of every question on genotypes: which rows do all sites speak of?"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import Ask
from genome_eu.stats import variants
from genome_eu.stats.harmonize import How, join
from genome_eu.stats.ploidy import classes
from genome_eu.stats.variants import VariantList

Rounds = Generator[Ask, Answer, Any]


@dataclass(frozen=True, eq=False)
class Panel:
    """The rows of a question, what names them to a site, and what was left out on the way.

    `names(start, stop)` gives the lines of `rows` in a range; `contigs` are in order of appearance;
    `ploidy` is the class of each row (`stats.ploidy`). Without text in `inputs`, the rows are those
    of the one cohort that is asked, or some `places` among them.
    """

    size: int
    contigs: list[str]
    names: Callable[[int, int], pd.DataFrame]
    inputs: dict[str, NDArray]
    left_out: dict[str, Any] = field(default_factory=dict)
    build: str = "unknown"
    report: dict[str, dict[str, int]] = field(default_factory=dict)
    ploidy: NDArray = field(default_factory=lambda: np.empty(0, np.int8))

    def take(self, places: NDArray) -> Panel:
        """Some of the rows, by their places; the panel itself if they are all, in its order."""
        if places.size == self.size and np.array_equal(places, np.arange(self.size)):
            return self

        def names(start: int, stop: int) -> pd.DataFrame:
            mine = places[start:stop]
            if not mine.size:
                return self.names(0, 0)
            first = int(mine.min())
            return self.names(first, int(mine.max()) + 1).iloc[mine - first]

        rows = names(0, places.size) if "panel" in self.inputs else None
        inputs = {"places": places} if rows is None else {"panel": variants.encode(rows)}
        if rows is None and "places" in self.inputs:
            inputs = {"places": self.inputs["places"][places]}
        return replace(
            self, size=places.size, names=names, inputs=inputs, ploidy=self.ploidy[places]
        )

    @property
    def rows(self) -> pd.DataFrame:
        """Names of all rows: columns contig, position, ref, alt, id."""
        return self.names(0, self.size)

    @property
    def digest(self) -> str | None:
        """What names the panel in the provenance of a result."""
        return variants.digest(self.inputs["panel"]) if "panel" in self.inputs else None


def agree(how: How = "intersection", given: pd.DataFrame | None = None) -> Rounds:
    """Join the lists of all sites: one round, in which each sends the rows it may name.

    Parameters
    ----------
    how : {"intersection", "union"}
        Rows that every site lists, or those that any does.
    given : DataFrame, optional
        Rows to keep to (contig, position, ref, alt), whoever lists them.
    """
    answer = yield Ask(VariantList, VariantListParameters())
    lists = answer.by_site()
    build = _common_build({site: int(part.build) for site, part in lists.items()})
    named = {site: variants.decode(part.text) for site, part in lists.items()}
    joined = join(named, how, given)
    rows = joined.rows
    left_out: dict[str, Any] = {}
    for site, part in lists.items():
        left_out[site] = {
            "rows of unknown ploidy": int(part.rows_total - part.rows_listed - part.rows_withheld),
            "rows withheld by policy": int(part.rows_withheld),
            **_left_out(joined.report[site], how, len(rows), given is not None),
        }
    contigs = [str(contig) for contig in rows["contig"].unique()]
    return Panel(
        len(rows),
        contigs,
        lambda start, stop: rows.iloc[start:stop],
        {"panel": variants.encode(rows)},
        {"panel": left_out},
        build,
        joined.report,
        classes(rows["contig"].to_numpy(object), rows["position"].to_numpy(np.int64), build),
    )


def unlisted(rows: pd.DataFrame) -> Panel:
    """Rows that are asked about without asking who lists them: no round.

    Their build is not known, so that of a sex chromosome no row has a ploidy.
    """
    ploidy = classes(
        rows["contig"].to_numpy(object), rows["position"].to_numpy(np.int64), "unknown"
    )
    return Panel(
        len(rows),
        [str(contig) for contig in rows["contig"].unique()],
        lambda start, stop: rows.iloc[start:stop],
        {"panel": variants.encode(rows)},
        ploidy=ploidy,
    )


def _left_out(report: dict[str, int], how: How, size: int, chosen: bool) -> dict[str, int]:
    """What a person should know of a site's list; all of it is in the report."""
    told = {
        "rows listed twice": report["listed_twice"],
        "palindromic rows the other way round": report["palindromic"],
        "indels the other way round": report["indel"],
        "exchanged rows with other alleles": report["multiallelic"],
        "rows with another reference base": report["mismatch"],
    }
    told = {what: rows for what, rows in told.items() if rows}
    if how == "intersection":
        # Of given rows, most of a site's others were simply not asked about.
        why = "rows not asked about or not at every site" if chosen else "rows not at every site"
        told[why] = report["listed"] - size
    return told


def _common_build(builds: dict[str, int]) -> str:
    """The one build that sites name; sites that do not know theirs go along."""
    known = {site: build for site, build in builds.items() if build}
    if len(set(known.values())) > 1:
        named = ", ".join(f"{site} is on GRCh{build}" for site, build in sorted(known.items()))
        raise PanelError(f"sites are on different builds: {named}; lift one over before asking")
    return f"GRCh{next(iter(known.values()))}" if known else "unknown"
