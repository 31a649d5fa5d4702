"""How a question is asked, of one cohort or of many sites."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu import results
from genome_eu._version import __version__
from genome_eu.errors import UsageError
from genome_eu.federation.answer import Answer
from genome_eu.federation.filters import as_filters
from genome_eu.federation.parameters.filters import Filters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import filters
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.ploidy import autosomal
from genome_eu.federation.questions.run import Run
from genome_eu.stats import variants
from genome_eu.stats.harmonize import How
from genome_eu.stats.qc.removal import VariantLimits

# Questions that have a form of one round.
_ONE_ROUND = ("frequencies", "dosage_frequencies", "gwas")
# Scales of a trait that each site computes among its own people.
_WITHIN_SITES = ("rint", "standardize")


class Asking(abc.ABC):
    """What every question needs of whoever is asked."""

    #: Called with every question before anything is asked; may raise to stop it.
    watch: Callable[[dict[str, Any]], None] | None = None

    # The rows that questions are asked of, if not all.
    _given: pd.DataFrame | None = None
    # Whether everything is asked at once.
    _one_round = False
    # Limits on people and on rows.
    _filters: Filters = Filters()

    @property
    @abc.abstractmethod
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that answer, sorted."""

    def use_device(self, device: str) -> None:
        """Where kernels compute; of a federation, each site chooses its own."""
        if device not in ("auto", "cpu"):
            raise UsageError("--device is for a cohort; each site of a federation chooses its own")

    @abc.abstractmethod
    def on_rows(self, rows: pd.DataFrame) -> Self:
        """Whoever is asked, asked only of these rows (columns contig, position, ref, alt)."""

    def _on_found(self, rows: pd.DataFrame) -> tuple[Self, NDArray[np.intp]]:
        """Whoever is asked, asked of those of these rows that it has, and which these are.

        Of many sites all are asked for; their panel has those that every site lists.
        """
        return self.on_rows(rows), np.arange(len(rows))

    @abc.abstractmethod
    def filtered(self, filters: Filters | Mapping[str, Any] | str | Path) -> Self:
        """Whoever is asked, without the people and rows that limits remove."""

    def unrelated(self, cutoff: float) -> Self:
        """The same without close relatives: of two people with a larger kinship one is left out.

        Parameters
        ----------
        cutoff : float
            KING-robust kinship: 0.0884 leaves no relatives of second degree or nearer. Each site
            looks among its own people, in the order that other limits leave them; relatives at
            different sites are not found.

        Raises
        ------
        UsageError
            The cutoff is not between 0.0442 and 0.5.
        """
        return self.filtered(as_filters(self._filters, cutoff))

    @abc.abstractmethod
    def _open_run(self, question: dict[str, Any]) -> Run: ...

    def in_one_round(self) -> Self:
        """The same, asked in a single round, for sites that release only once.

        Frequencies of everybody, linear association with missing calls dropped and score tests of
        binary traits within sites, of hard calls or dosages, with one intercept per site and no
        categories: whatever sites would have to agree on first. A federation needs its rows given
        (`on_rows`), autosomal ones; a row that a site does not list is withheld.
        """
        chosen = copy.copy(self)
        chosen._one_round = True
        return chosen

    def _begin(self, question: dict[str, Any]) -> Run:
        if self._one_round:
            if question["ask"] not in _ONE_ROUND or self._filters:
                raise UsageError(
                    f"there is no one-round form of {question['ask']}"
                    f"{' with limits on people or rows' if self._filters else ''}; ask for "
                    f"{' or '.join(_ONE_ROUND)}"
                )
            question = question | {"one_round": True}
        if self._given is not None:
            question = question | {"rows": variants.digest(variants.encode(self._given))}
        if self._filters:
            question = question | {"filters": self._filters.said}
        if self.watch is not None:
            self.watch(question)
        run = self._open_run(question)
        if question.get("transform") in _WITHIN_SITES and len(self.sites) > 1:
            scale = question["transform"]
            run.left_out["trait transform"] = f"{scale}, at each site among its own people"
        if self._filters.people:
            removed = self._drive(run, filters.removed())
            run.left_out["people removed by limits"] = {
                site: filters.FEW if numbers is None else numbers
                for site, numbers in removed.items()
            }
            if self._filters.people.unrelated is not None and len(self.sites) > 1:
                run.left_out["relatives at different sites"] = "not looked for"
        return run

    @abc.abstractmethod
    def _ask(self, run: Run, ask: Ask) -> Answer: ...

    @abc.abstractmethod
    def _every_row(self, run: Run, how: How = "intersection") -> Panel:
        """The rows that every site lists, or that any does."""

    def _whole_panel(self, run: Run, how: How = "intersection") -> Panel:
        """The rows of a question: those of them that its limits leave."""
        panel = self._every_row(run, how)
        wanted = self._filters.variants
        if wanted:
            panel, removed = self._drive(run, filters.passing(panel, wanted, self._row_limits()))
            run.panel = panel
            if removed:
                run.left_out["rows removed by limits"] = removed
        return panel

    def _row_limits(self) -> VariantLimits:
        """The limits on rows that sums over people can tell."""
        limits = self._filters.variants.limits
        if limits.max_mendel_error_rate is not None:
            raise UsageError(
                "variants.max_mendel_error_rate is for `genome-eu qc` of one's own cohort: trios "
                "are too few people for a site to tell of; leave it out"
            )
        return limits

    def _panel(self, run: Run, how: How = "intersection") -> Panel:
        """Those of them that lie on autosomes: for questions that know of no others."""
        whole = self._whole_panel(run, how)
        run.panel = autosomal(whole)
        if skipped := whole.size - run.panel.size:
            run.left_out["rows not on autosomes"] = skipped
        return run.panel

    def _drive(self, run: Run, protocol: Rounds) -> Any:
        """Run a protocol to its end; it does no I/O, we do."""
        try:
            ask = next(protocol)
            while True:
                answer = self._ask(run, ask)
                run.record(answer)
                ask = protocol.send(answer)
        except StopIteration as stop:
            return stop.value

    def _attributes(self, run: Run, **more: Any) -> dict[str, Any]:
        if run.panel and run.panel.report:
            more["harmonization"] = run.panel.report
        return results.attributes(
            genome_eu_version=__version__,
            question=run.question,
            sites=list(self.sites),
            policies=run.policies,
            left_out=run.left_out,
            build=run.panel.build if run.panel else "unknown",
            **more,
        )
