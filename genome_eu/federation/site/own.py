"""What a site finds out of its own people, and no plan can ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_eu.compute import (
    Progress,
    block_rows,
    mendel_errors,
    person_measures,
    prune,
    relatives,
    stream,
)
from genome_eu.disclosure.checks import below
from genome_eu.errors import Refused
from genome_eu.federation.inside.quality import trios_of
from genome_eu.federation.parameters.filters import LEAST_KINSHIP
from genome_eu.federation.site.rows import Rows
from genome_eu.stats import pca
from genome_eu.stats.kinship import Relatives, among
from genome_eu.stats.ld import Window
from genome_eu.stats.qc.families import MendelErrors, Trios
from genome_eu.stats.qc.people import PersonMeasures
from genome_eu.stats.qc.removal import PERSON_REASONS


class Own(Rows):
    """Measures, relatives and scores of single people; none of it leaves."""

    def measures(self) -> PersonMeasures:
        """Quality measures of everybody in the store, by the frequencies of who takes part."""
        if self._measures is None:
            self._measures = person_measures(
                self.store, self.included, backend=self.backend, size=self.block_size
            )
        return self._measures

    def relatives(self, above: float) -> Relatives:
        """Pairs of people who take part with a kinship above a number."""
        if self._relatives is None or above < self._relatives.above:
            # One pass serves all cutoffs that a question can have.
            lowest = min(above, LEAST_KINSHIP)
            self._relatives = relatives(
                self.store, self.included, lowest, backend=self.backend, size=self.block_size
            )
        return among(self._relatives, self.included, above)

    def mendel_errors(self, places: NDArray) -> tuple[MendelErrors, Trios]:
        """Impossible calls of the trios at some of the site's own rows, and the trios.

        Children and parents count also where they are left out for being related.
        """
        related = self.removed.reason == PERSON_REASONS.index("related")
        trios = trios_of(self.store.samples, self.included | related)
        rows = self.own_rows[places]
        return mendel_errors(
            self.store, rows, trios, backend=self.backend, size=self.block_size
        ), trios

    def prune(self, rows: NDArray, window: Window, r2: float) -> NDArray[np.bool_]:
        """Which of some store rows stay after LD pruning of the people who take part."""
        names = self.store.names(rows)
        contig = np.unique(names["contig"].to_numpy(str), return_inverse=True)[1]
        position = names["position"].to_numpy(np.int64)
        with Progress(f"{self.name}: pruning", rows.size) as progress:
            return prune(
                self.store,
                rows,
                contig,
                position,
                window,
                r2,
                self.included,
                size=self.block_size or block_rows(self.store),
                progress=progress,
            )

    def apply_covariance(self, rows: NDArray, frequency: NDArray, columns: NDArray) -> NDArray:
        """ZᵀZ times columns over the people who take part, (people, width), in one pass."""
        scores = self._spread(columns)
        product = self.summed(
            "PCA", rows, pca.apply_covariance, scores, by_row=(frequency,), width=columns.shape[1]
        )
        return product[self.included]

    def require_common(self, rows: NDArray) -> None:
        """Refuse rows that the policy, if there is one, does not let the site name."""
        minor = self.minor(rows)
        if minor is None or self.policy is None:
            return
        if np.any(below(minor, self.policy.allele_floor, self.policy)):
            raise Refused(
                f"the PCA has rows below the allele floor of {self.policy.allele_floor} at site "
                f"{self.name} (policy {self.policy.name}); scores on them are not kept"
            )

    def project(self, rows: NDArray, frequency: NDArray, weights: NDArray) -> NDArray:
        """Scores of the people who take part, from the weights of store rows."""
        scores = self.summed(
            "scores",
            rows,
            pca.project_people,
            by_row=(frequency, weights),
            width=weights.shape[1],
        )
        return scores[self.included]

    def loadings(self, rows: NDArray, frequency: NDArray, found: pca.Components) -> NDArray:
        """Loadings of store rows, of unit norm, from the scores of the people who take part."""
        scores = self._spread(found.vectors / np.sqrt(found.eigenvalues))
        width = scores.shape[1]
        size = self.rows_of_block(width)
        with Progress(f"{self.name}: loadings", rows.size) as progress:
            parts = stream(
                self.store,
                rows,
                pca.project_rows,
                scores,
                by_row=(frequency,),
                size=size,
                summary_bytes=8 * size * width,
                backend=self.backend,
                progress=progress,
            )
            return np.concatenate(list(parts))

    def keep_scores(self, pca_id: str, scores: NDArray) -> None:
        """Keep the scores of the people who take part, for a GWAS to adjust with."""
        values = self._spread(scores)
        values[~self.included] = np.nan
        self.state.keep(pca_id, self.store.genotype_digest, pca.Scores(values))

    def _spread(self, columns: NDArray) -> NDArray:
        """Columns over all people of the store, 0 for those who take no part."""
        whole = np.zeros((self.store.people, columns.shape[1]))
        whole[self.included] = columns
        return whole
