"""Round 0 of every question on genotypes: which rows do all sites speak of?"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError
from genome_eu.federation.answer import Answer
from genome_eu.federation.parameters.variants import VariantListParameters
from genome_eu.federation.plan import Ask
from genome_eu.stats import variants
from genome_eu.stats.variants import VariantList

Rounds = Generator[Ask, Answer, Any]


@dataclass(frozen=True, eq=False)
class Panel:
    """The rows of a question, what names them to a site, and what was left out on the way.

    `names(start, stop)` gives the lines of `rows` in a range; `contigs` are in order of appearance.
    """

    size: int
    contigs: list[str]
    names: Callable[[int, int], pd.DataFrame]
    inputs: dict[str, NDArray]
    left_out: dict[str, Any] = field(default_factory=dict)
    build: str = "unknown"

    @property
    def rows(self) -> pd.DataFrame:
        """Names of all rows: columns contig, position, ref, alt, id."""
        return self.names(0, self.size)

    @property
    def digest(self) -> str | None:
        """What names the panel in the provenance of a result."""
        return variants.digest(self.inputs["panel"]) if self.inputs else None


def agree() -> Rounds:
    """Intersect the lists of all sites."""
    answer = yield Ask(VariantList, VariantListParameters())
    lists = answer.by_site()
    build = _common_build({site: int(part.build) for site, part in lists.items()})
    rows = variants.intersect({site: variants.decode(part.text) for site, part in lists.items()})
    text = variants.encode(rows)
    left_out: dict[str, Any] = {}
    for site, part in lists.items():
        left_out[site] = {
            "rows not on autosomes": int(part.rows_total - part.rows_listed - part.rows_withheld),
            "rows withheld by policy": int(part.rows_withheld),
            "rows not at every site": int(part.rows_listed) - len(rows),
        }
    contigs = [str(contig) for contig in rows["contig"].unique()]
    return Panel(
        len(rows),
        contigs,
        lambda start, stop: rows.iloc[start:stop],
        {"panel": text},
        {"panel": left_out},
        build,
    )


def _common_build(builds: dict[str, int]) -> str:
    """The one build that sites name; sites that do not know theirs go along."""
    known = {site: build for site, build in builds.items() if build}
    if len(set(known.values())) > 1:
        named = ", ".join(f"{site} is on GRCh{build}" for site, build in sorted(known.items()))
        raise PanelError(f"sites are on different builds: {named}; lift one over before asking")
    return f"GRCh{next(iter(known.values()))}" if known else "unknown"
