"""How are polygenic scores distributed?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genome_eu.errors import BadInput, UsageError
from genome_eu.federation.protocols import frequencies
from genome_eu.federation.protocols import scores as protocol
from genome_eu.federation.protocols.scores import ScoreRows
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results.scores import ScoreResult, score_result
from genome_eu.stats.scores import match_weights

if TYPE_CHECKING:
    from genome_eu.formats.weights import Weights


class ScoreQuestions(Asking):
    """Polygenic scores; each person's stays where the person is."""

    def score(
        self,
        weights: Weights | str | Path,
        *,
        by: str | Sequence[str] = (),
        missing: Literal["mean", "zero"] = "mean",
        palindromic: bool = False,
    ) -> ScoreResult:
        """Scores from a weight file: Σ weight × copies of the effect allele.

        Parameters
        ----------
        weights : Weights, str or Path
            A scoring file of the PGS Catalog, or lines of id, allele and weight (PLINK's
            `--score`); or what `genome_eu.formats.read_weights` gave.
        by : str or sequence of str
            Columns of the sample table; the distribution is also given for every group.
        missing : {"mean", "zero"}
            A missing call counts twice the allele's frequency over all sites, as in PLINK; or
            nothing (`no-mean-imputation`).
        palindromic : bool
            Take A/T and C/G variants as they are written; by default they are left out.

        Returns
        -------
        ScoreResult
            Mean, variance and histogram of each score. For a cohort also its people's scores.

        Raises
        ------
        BadInput
            The file cannot be read, is of another build, or speaks of no row here.
        Refused, NoAnswer
            As `frequencies`.

        Notes
        -----
        Two rounds after the panel's: allele counts of the scored rows, and the distribution.
        """
        return self.score_run(weights, by=by, missing=missing, palindromic=palindromic)[1]

    def score_run(
        self,
        weights: Weights | str | Path,
        *,
        by: str | Sequence[str] = (),
        missing: Literal["mean", "zero"] = "mean",
        palindromic: bool = False,
    ) -> tuple[Run, ScoreResult]:
        """`score` with the record of its run."""
        from genome_eu.formats.weights import Weights, read_weights

        if missing not in ("mean", "zero"):
            raise UsageError(f"missing={missing!r}: choose mean or zero")
        read = weights if isinstance(weights, Weights) else read_weights(weights)
        columns = (by,) if isinstance(by, str) else tuple(by)
        run = self._begin(
            {
                "ask": "score",
                "scores": list(read.names),
                "weights": _digest(read),
                "by": list(columns),
                "missing": missing,
                "palindromic": palindromic,
            }
        )
        panel = self._panel(run)
        if read.build != "unknown" and panel.build not in ("unknown", read.build):
            raise BadInput(f"the weights are on {read.build}, the genotypes on {panel.build}")
        matched = match_weights(read.lines, panel.rows, palindromic=palindromic)
        labels = self._drive(run, frequencies.groups(columns))
        asked, left_out = self._drive(run, protocol.rows(panel, matched, read.weights))
        said = {**read.left_out, **matched.left_out, **left_out}
        run.left_out["score"] = {name: lines for name, lines in said.items() if lines}
        imputed = missing == "mean"
        found = self._drive(run, protocol.distribution(asked, columns, labels, imputed=imputed))
        return run, score_result(
            found,
            labels=labels,
            names=read.names,
            people=self._person_scores(asked, imputed=imputed),
            attrs=self._attributes(
                run, rows_used=asked.panel.size, lines_of_weights=len(read.lines)
            ),
        )

    def _person_scores(self, asked: ScoreRows, *, imputed: bool) -> dict[str, Any]:
        """Variables with people's scores, where they are one's own."""
        return {}


def _digest(read: Weights) -> str:
    """What names the weights in a question."""
    found = hashlib.sha256(read.lines.to_csv(sep="\t", index=False).encode())
    found.update(np.ascontiguousarray(read.weights, "<f8").tobytes())
    return found.hexdigest()
