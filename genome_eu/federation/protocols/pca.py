"""Principal components over all sites; people's scores stay where the people are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import PanelError, UsageError
from genome_eu.federation.parameters.counts import GenotypeCountsParameters
from genome_eu.federation.parameters.pca import ProjectionParameters, ScoresParameters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import variants
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.pca import (
    IDENTITY,
    BlockKrylov,
    Components,
    ProjectionSums,
    ScoreMoments,
    identify,
)

# Residuals ‖Hu − λu‖/λ₁ at which the leading components have converged; the error of an
# eigenvalue is of the order of the square of its residual, that of a loading, and of a GWAS which
# adjusts for the components, of the order of the residual itself.
TOLERANCE = 1e-11
_LARGEST_ROUNDS = 200
_USUAL_ROUNDS = 16
# An eigenvalue below this part of the largest is one of a direction that no genotype reaches.
_NULL = 1e-12
_SEED = 20_260_101


@dataclass(frozen=True, eq=False)
class PcaResult:
    """What every party may know of a PCA."""

    id: str
    eigenvalues: NDArray  # of ZᵀZ/M, (components,)
    loadings: NDArray  # (rows, components), unit norm
    frequency: NDArray  # (rows,), NaN where withheld
    used: NDArray  # bool (rows,): rows that vary and are not withheld
    counted: int  # M: rows that are not withheld
    people: dict[str, int]
    means: dict[str, NDArray]  # mean score per site, (components,)
    rounds: int
    residual: float
    left_out: dict[str, int]


@dataclass(frozen=True, eq=False)
class PcaRows:
    """Which rows of a panel take part, from counts of everybody."""

    shown: NDArray  # bool (panel rows,): not withheld
    called: NDArray  # bool: somebody is called
    frequency: NDArray  # 0 where not known

    @property
    def varies(self) -> NDArray:
        """Rows that are not zeros of Z, bool (panel rows,)."""
        return self.called & (self.frequency > 0.0) & (self.frequency < 1.0)

    def result(
        self,
        found: Components,
        loadings: NDArray,
        krylov: BlockKrylov,
        *,
        pca_id: str,
        people: dict[str, int],
        means: dict[str, NDArray],
    ) -> PcaResult:
        """The PCA of all rows, from that of the rows that vary."""
        spread = np.zeros((self.shown.size, loadings.shape[1]))
        spread[self.varies] = loadings
        return PcaResult(
            id=pca_id,
            # Rows that do not vary, or that nobody is called in, are zeros of Z: they count in M.
            eigenvalues=found.eigenvalues / int(self.shown.sum()),
            counted=int(self.shown.sum()),
            loadings=spread,
            frequency=np.where(self.called, self.frequency, np.nan),
            used=self.varies,
            people=people,
            means=means,
            rounds=krylov.rounds,
            residual=float(found.residuals.max()),
            left_out={
                "rows withheld by policy": int((~self.shown).sum()),
                "rows that nobody is called in": int((self.shown & ~self.called).sum()),
                "rows that do not vary": int(self.called.sum()) - int(self.varies.sum()),
            },
        )


def memory(size: int, components: int) -> int:
    """Bytes of the basis for vectors of so many entries, where the iteration runs."""
    return 8 * size * width(components) * (_USUAL_ROUNDS + 4)


def width(components: int) -> int:
    """Columns of a block of the iteration."""
    return components + 10


def start(size: int, components: int) -> BlockKrylov:
    """An iteration on vectors of so many entries, the same wherever it is begun."""
    if components < 1:
        raise UsageError("--components must be at least 1")
    return BlockKrylov(size, width(components), _SEED)


def ended(krylov: BlockKrylov, components: int, tolerance: float) -> bool:
    """Whether the leading components have converged, or more rounds would not help."""
    return (
        krylov.exhausted
        or krylov.rounds == _LARGEST_ROUNDS
        or (krylov.rounds > 0 and krylov.residuals(components).max() <= tolerance)
    )


def leading(krylov: BlockKrylov, components: int, people: int) -> Components:
    """The components found.

    Raises
    ------
    UsageError
        There are not so many: beyond the rank of Z, rounding leaves eigenvalues about 0, of
        either sign.
    """
    found = krylov.ritz(components)
    if found.eigenvalues.size < components or found.eigenvalues[-1] <= _NULL * found.eigenvalues[0]:
        raise UsageError(
            f"{components} components are more than the {people} people can have; ask for fewer"
        )
    return found


def rows(panel: Panel, components: int) -> Rounds:
    """Frequencies over all sites, and which rows of the panel can take part."""
    answer = yield Ask(
        GenotypeCounts, GenotypeCountsParameters(by=(), groups=()), panel.inputs, panel.size
    )
    totals = answer.whole()
    shown, number = totals.alleles_shown[:, 0], totals.allele_number[:, 0]
    called = shown & (number > 0)
    frequency = np.where(called, totals.allele_count[:, 0] / np.maximum(number, 1), 0.0)
    found = PcaRows(shown, called, frequency)
    if int(found.varies.sum()) < components:
        raise PanelError(
            f"{int(found.varies.sum())} rows vary and may be shown, too few for {components} "
            f"components"
        )
    return found


def pca(panel: Panel, components: int, *, tolerance: float = TOLERANCE) -> Rounds:
    """Block Krylov iteration on H(Q); each round is one pass there and one back at every site."""
    if components < 1:
        raise UsageError("--components must be at least 1")
    chosen: PcaRows = yield from rows(panel, components)
    # Zeros of Z are not asked for again.
    table = panel.rows[chosen.varies].reset_index(drop=True)
    inputs = {"panel": variants.encode(table), "frequency": chosen.frequency[chosen.varies]}
    krylov = start(len(table), components)
    people = 0
    while not ended(krylov, components, tolerance):
        answer = yield Ask(
            ProjectionSums,
            ProjectionParameters(),
            dict(inputs, loadings=krylov.next_block()),
            len(table),
        )
        projected = answer.whole()
        people = int(projected.people)
        krylov.absorb(projected.projected)
    found = leading(krylov, components, people)
    inputs |= {"loadings": found.vectors, "eigenvalues": found.eigenvalues}
    pca_id = identify(**{name: inputs[name] for name in IDENTITY})
    answer = yield Ask(ScoreMoments, ScoresParameters(pca=pca_id), inputs, len(table))
    moments = answer.by_site()
    return chosen.result(
        found,
        found.vectors,
        krylov,
        pca_id=pca_id,
        people={site: int(part.people) for site, part in moments.items()},
        means={site: part.score_sum / part.people for site, part in moments.items()},
    )
