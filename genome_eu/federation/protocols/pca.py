"""Principal components over all sites; people's scores stay where the people are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.errors import PanelError, UsageError
from genome_eu.federation.plan import (
    Ask,
    GenotypeCountsParameters,
    ProjectionParameters,
    ScoresParameters,
)
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.stats import variants
from genome_eu.stats.counts import GenotypeCounts
from genome_eu.stats.pca import IDENTITY, BlockKrylov, ProjectionSums, ScoreMoments, identify

# Residuals ‖Hu − λu‖/λ₁ at which the leading components have converged; the error of an
# eigenvalue is of the order of the square of its residual.
TOLERANCE = 1e-7
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
    people: dict[str, int]
    means: dict[str, NDArray]  # mean score per site, (components,)
    rounds: int
    residual: float
    left_out: dict[str, int]


def memory(rows: int, components: int) -> int:
    """Bytes that the iteration takes where it runs: basis and image, doubled as they grow."""
    return 8 * rows * _width(components) * 2 * 2 * _USUAL_ROUNDS


def _width(components: int) -> int:
    return components + 10


def pca(panel: Panel, components: int, *, tolerance: float = TOLERANCE) -> Rounds:
    """Block Krylov iteration on H(Q); each round is one pass there and one back at every site."""
    if components < 1:
        raise UsageError("--components must be at least 1")
    answer = yield Ask(
        GenotypeCounts, GenotypeCountsParameters(by=(), groups=()), panel.inputs, panel.size
    )
    totals = answer.whole()
    shown, number = totals.alleles_shown[:, 0], totals.allele_number[:, 0]
    usable = shown & (number > 0)
    frequency = np.where(usable, totals.allele_count[:, 0] / np.maximum(number, 1), 0.0)
    varies = usable & (frequency > 0.0) & (frequency < 1.0)
    if int(varies.sum()) < components:
        raise PanelError(
            f"{int(varies.sum())} rows vary and may be shown, too few for {components} components"
        )

    # Rows that do not vary, or that nobody is called in, are zeros of Z: they count in M and are
    # not asked for again.
    rows = panel.rows[varies].reset_index(drop=True)
    inputs = dict(_inputs(panel, rows, varies), frequency=frequency[varies])
    given = int(shown.sum())
    krylov = BlockKrylov(len(rows), _width(components), _SEED)
    while True:
        answer = yield Ask(
            ProjectionSums,
            ProjectionParameters(),
            dict(inputs, loadings=krylov.next_block()),
            len(rows),
        )
        projected = answer.whole()
        krylov.absorb(projected.projected)
        found = krylov.ritz(components)
        converged = found.residuals.max() <= tolerance or krylov.exhausted
        if converged or krylov.rounds == _LARGEST_ROUNDS:
            break
    # Beyond the rank of Z, rounding leaves eigenvalues about 0, of either sign.
    if found.eigenvalues.size < components or found.eigenvalues[-1] <= _NULL * found.eigenvalues[0]:
        raise UsageError(
            f"{components} components are more than the {int(projected.people)} people can have; "
            f"ask for fewer"
        )

    inputs |= {"loadings": found.loadings, "eigenvalues": found.eigenvalues}
    pca_id = identify(**{name: inputs[name] for name in IDENTITY})
    answer = yield Ask(ScoreMoments, ScoresParameters(pca=pca_id), inputs, len(rows))
    moments = answer.by_site()
    loadings = np.zeros((panel.size, components))
    loadings[varies] = found.loadings
    return PcaResult(
        id=pca_id,
        eigenvalues=found.eigenvalues / given,
        loadings=loadings,
        frequency=np.where(usable, frequency, np.nan),
        used=varies,
        people={site: int(part.people) for site, part in moments.items()},
        means={site: part.score_sum / part.people for site, part in moments.items()},
        rounds=krylov.rounds,
        residual=float(found.residuals.max()),
        left_out={
            "rows withheld by policy": int((~shown).sum()),
            "rows that nobody is called in": int((shown & (number == 0)).sum()),
            "rows that do not vary": int(usable.sum()) - int(varies.sum()),
        },
    )


def _inputs(panel: Panel, rows: pd.DataFrame, varies: NDArray) -> dict[str, NDArray]:
    """What names the varying rows to a site: a panel of them, or a mask on a cohort's own rows."""
    if panel.inputs:
        return {"panel": variants.encode(rows)}
    return {"mask": varies}
