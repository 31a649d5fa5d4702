"""How many people of a site quality control removes, by reason: what may leave it of that."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from genome_eu.stats.aggregate import Aggregate, count, every
from genome_eu.stats.qc.removal import PERSON_REASONS, RemovedPeople


@dataclass(frozen=True, eq=False)
class RemovedCounts(Aggregate):
    """People removed at one site. Never merged: what a site removes is of its own people.

    `removed` has one number for each of `PERSON_REASONS`. Where a site withholds them, they are 0
    and `reasons_shown` is false; where it withholds the total too, so is `total_shown`.
    """

    statistic = "removed_people"

    total: NDArray = count("people", gate="removed")
    removed: NDArray = count("people", "reasons", gate="removed")
    total_shown: NDArray = every("flag", gate="state")
    reasons_shown: NDArray = every("flag", gate="state")

    def said(self) -> dict[str, int] | None:
        """People by reason, or in all; None where that is withheld."""
        if not self.total_shown:
            return None
        if not self.reasons_shown or self.removed.size != len(PERSON_REASONS):
            return {"in all": int(self.total)} if self.total else {}
        counted = zip(PERSON_REASONS, self.removed.tolist(), strict=True)
        return {name: number for name, number in counted if number}


def count_removed(removed: RemovedPeople) -> RemovedCounts:
    """Count who is removed at one site."""
    numbers = list(removed.counts().values())
    return RemovedCounts(
        total=sum(numbers),  # type: ignore[arg-type]
        removed=numbers,  # type: ignore[arg-type]
        total_shown=True,  # type: ignore[arg-type]
        reasons_shown=True,  # type: ignore[arg-type]
    )
