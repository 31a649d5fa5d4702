"""Principal components, pruning and scores of one's own people, whose numbers never travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu import results
from genome_eu.errors import BadInput, SampleError
from genome_eu.federation.answers.scores import own_scores
from genome_eu.federation.own_quality import OwnQuality
from genome_eu.federation.protocols import ld as ld_protocol
from genome_eu.federation.protocols import pca as pca_protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.ploidy import places
from genome_eu.federation.protocols.scores import ScoreRows
from genome_eu.federation.questions import Run
from genome_eu.formats.rows import row_table
from genome_eu.results import ProjectionResult
from genome_eu.stats import pca, projection
from genome_eu.stats.ld import Window
from genome_eu.stats.pca import Scores

if TYPE_CHECKING:
    import xarray as xr


class OwnStructure(OwnQuality):
    """Questions that one's own cohort answers from the genotypes themselves.

    A federation answers them from sums; here they take fewer passes, and people have scores.
    """

    def _iterate(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> pca_protocol.PcaResult:
        """As over many sites, but on people × people: one pass a round, and a small basis."""
        results.require_memory(
            pca_protocol.memory(self._site.people, n_components),
            f"a PCA of {self._site.people:,} people",
            "ask for fewer components, or of fewer people",
        )
        krylov = pca_protocol.start(self._site.people, n_components)
        rows: pca_protocol.PcaRows = self._drive(run, pca_protocol.rows(panel, n_components))
        mine = self._site.own_rows[places(panel)][rows.varies]
        frequency = rows.frequency[rows.varies]
        while not pca_protocol.ended(krylov, n_components, tolerance):
            krylov.absorb(self._site.apply_covariance(mine, frequency, krylov.next_block()))
        found = pca_protocol.leading(krylov, n_components, self._site.people)
        loadings = self._site.loadings(mine, frequency, found)
        sign = pca.largest_sign(loadings)
        loadings, scores = loadings * sign, found.vectors * sign
        pca_id = pca.identify(eigenvalues=found.eigenvalues, frequency=frequency, loadings=loadings)
        self._site.keep_scores(pca_id, scores)
        name = self._site.name
        return rows.result(
            found,
            loadings,
            krylov,
            pca_id=pca_id,
            people={name: self._site.people},
            means={name: scores.mean(axis=0)},
        )

    def _pruned(
        self, run: Run, panel: Panel, window: Window, r2: float, missing: ld_protocol.Missing
    ) -> ld_protocol.Pruned:
        """As over many sites, but without comparing rows that are gone."""
        if missing == "fill":
            return super()._pruned(run, panel, window, r2, missing)
        kept = self._site.prune(self._site.own_rows[places(panel)], window, r2)
        return ld_protocol.Pruned(kept, np.zeros(kept.size, bool), 0)

    def _scores(self, pca_id: str) -> dict[str, Any]:
        chosen = self._site.included
        return {
            "sample_id": ("samples", self._site.store.sample_id[chosen].astype(object)),
            "sample_pca_projection": (
                ("samples", "components"),
                self._site.state.scores(pca_id, self._site.store.genotype_digest).values[chosen],
            ),
        }

    def project(self, pca: xr.Dataset) -> ProjectionResult:
        """Scores of these people on an earlier PCA, of whatever people.

        Frequencies and loadings are those of the PCA; a missing call, and a row that this cohort
        does not have, counts as the mean. People of the PCA itself get the scores that they have.

        Parameters
        ----------
        pca : PcaResult
            Of a cohort or a federation.

        Returns
        -------
        ProjectionResult
            The scores, which are also kept here under the PCA's id: `pcs` of a GWAS takes it.

        Raises
        ------
        PanelError
            The cohort has none of the PCA's rows.
        Refused
            The scores are kept for questions to a site, and the PCA has rows that its policy does
            not let it name.
        BadInput
            It is not the result of a PCA, or its components were made by another version.
        """
        return self.project_run(pca)[1]

    def project_run(self, pca: xr.Dataset) -> tuple[Run, ProjectionResult]:
        """`project` with the record of its run."""
        if "rows_counted" not in pca.attrs or "sample_pca_component" not in pca:
            raise BadInput("these are no loadings of a PCA of this version; run the PCA again")
        pca_id = str(pca.attrs["pca_id"])
        run = self._begin({"ask": "project", "pca": pca_id})
        panel = self._panel(run)
        mine = self._site.own_rows[places(panel)]
        found = projection.find_rows(row_table(pca), self._site.store.names(mine))
        frequency, weights = projection.frozen(
            found,
            pca["variant_reference_frequency"].values,
            pca["sample_pca_component"].values,
            pca["sample_pca_explained_variance"].values * int(pca.attrs["rows_counted"]),
        )
        self._site.require_common(mine[found.own][np.any(weights != 0, axis=1)])
        scores = self._site.project(mine[found.own], frequency, weights)
        self._site.keep_scores(pca_id, scores)
        if found.absent:
            run.left_out["rows of the PCA that the cohort does not have"] = found.absent
        attrs = self._attributes(
            run,
            pca_id=pca_id,
            rows_found=found.own.size,
            rows_absent=found.absent,
            rows_swapped=int(found.swapped.sum()),
        )
        return run, ProjectionResult(self._scores(pca_id), attrs=attrs)

    def _person_scores(self, asked: ScoreRows, *, imputed: bool) -> dict[str, Any]:
        frequency = asked.frequency if imputed else None
        rows = self._site.own_rows[places(asked.panel)]
        found = own_scores(self._site, rows, asked.weights, asked.counts_ref, frequency)
        chosen = self._site.included
        with np.errstate(invalid="ignore"):
            average = found.sums / found.denominator[:, None]
        return {
            "sample_id": ("samples", self._site.store.sample_id[chosen].astype(object)),
            "sample_score_sum": (("samples", "scores"), found.sums[chosen]),
            "sample_score_average": (("samples", "scores"), average[chosen]),
            "sample_score_denominator": ("samples", found.denominator[chosen]),
            "sample_allele_count": ("samples", found.allele_count[chosen]),
            "sample_named_dosage": ("samples", found.named_dosage[chosen]),
        }

    def use_scores(self, pca_id: str, sample_id: NDArray, values: NDArray) -> None:
        """Take the scores of an earlier PCA of this cohort, to adjust a GWAS with them.

        Raises
        ------
        SampleError
            They are not of the people of this cohort.
        """
        place = pd.Index(sample_id.astype(str)).get_indexer(self._site.store.sample_id.astype(str))
        if np.any(place[self._site.included] < 0):
            raise SampleError(
                f"PCA {pca_id} lacks people of {self._site.store.path}; run the PCA on this cohort "
                "again"
            )
        kept = np.where((place >= 0)[:, None], values[place], np.nan)
        self._site.state.keep(pca_id, self._site.store.genotype_digest, Scores(kept))

    def write_offsets(self, wgr_id: str, path: Path) -> None:
        """Write what a whole-genome regression predicts of these people: readable by its owner."""
        self._site.state.ridge.write(wgr_id, self._site.store.genotype_digest, path)

    def use_offsets(self, wgr_id: str, path: Path) -> None:
        """Take the predictions of an earlier regression of this cohort, to test rows beside them.

        They are used only for the same people, traits and covariates.
        """
        self._site.state.ridge.read(wgr_id, self._site.store.genotype_digest, path)
