"""Along which axes do people differ most?"""

from __future__ import annotations

from typing import Any

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.protocols import pca as protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results import PcaResult


class PcaQuestions(Asking):
    """Principal components; people's scores stay where the people are."""

    def pca(self, n_components: int = 10, *, tolerance: float = TOLERANCE) -> PcaResult:
        """Principal components of standardized genotypes, missing calls at the mean.

        Parameters
        ----------
        n_components : int
            Leading components to compute.
        tolerance : float
            Largest residual ‖Hu − λu‖/λ₁ of a component. An eigenvalue is off by about its square;
            a loading or score by about it, over the gap between eigenvalues relative to the first.

        Returns
        -------
        PcaResult
            Loadings of unit norm over rows, and eigenvalues of ZᵀZ/M over people, M the rows
            given (PLINK's `--pca meanimpute`). A cohort's result has its people's scores; those
            of a federation stay at their sites under `pca_id`, usable as `pcs` of a GWAS.

        Raises
        ------
        Refused, NoAnswer, BadInput
            As `frequencies`; also where fewer rows vary than components are asked for.

        Notes
        -----
        Three rounds, and one for each step of the iteration (about 16, `rounds` of the result):
        each site sends the rows it may name; genotype counts of every row; in each step, of every
        row and direction, the sum over its people of standardized genotype × score in that
        direction; and last the means of its people's scores.
        """
        return self.pca_run(n_components, tolerance=tolerance)[1]

    def pca_run(
        self, n_components: int = 10, *, tolerance: float = TOLERANCE
    ) -> tuple[Run, PcaResult]:
        """`pca` with the record of its run."""
        if not 0 < tolerance < 1:
            raise UsageError("--tolerance must lie between 0 and 1")
        run = self._begin({"ask": "pca", "components": n_components, "tolerance": tolerance})
        panel = self._panel(run)
        found = self._components(run, panel, n_components, tolerance)
        variables = results.row_variables(panel.rows, panel.contigs)
        names = list(found.means)
        variables |= {
            "variant_reference_frequency": ("variants", found.frequency),
            "sample_pca_component": (("variants", "components"), found.loadings),
            "sample_pca_explained_variance": ("components", found.eigenvalues),
            "site_id": ("sites", np.array(names, dtype=object)),
            "site_n": ("sites", np.array([found.people[name] for name in names])),
            "site_pca_mean": (
                ("sites", "components"),
                np.array([found.means[name] for name in names]),
            ),
        }
        variables |= self._scores(found.id)
        attrs = self._attributes(
            run,
            pca_id=found.id,
            rows_used=int(found.used.sum()),
            rows_counted=found.counted,
            rows_total=panel.size,
            rounds=found.rounds,
            residual=found.residual,
        )
        return run, PcaResult(variables, attrs=attrs)

    def _components(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> protocol.PcaResult:
        found = self._iterate(run, panel, n_components, tolerance)
        left_out = {name: rows for name, rows in found.left_out.items() if rows}
        if left_out:
            run.left_out["PCA"] = left_out
        return found

    def _iterate(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> protocol.PcaResult:
        results.require_memory(
            protocol.memory(panel.size, n_components),
            f"a PCA of {panel.size:,} rows",
            "ask for fewer components, or prune the rows",
        )
        rounds = protocol.pca(panel, n_components, tolerance=tolerance)
        found: protocol.PcaResult = self._drive(run, rounds)
        return found

    def _scores(self, pca_id: str) -> dict[str, Any]:
        """Variables with people's scores, where they are one's own."""
        return {}
