"""The coordinator: asks many sites one question. Works on a machine that holds no genotypes."""

from __future__ import annotations

import copy
import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from numpy.typing import NDArray

from genome_eu.canonical import canonical
from genome_eu.errors import UsageError
from genome_eu.federation.answer import Answer, SiteAnswer
from genome_eu.federation.filters import as_filters
from genome_eu.federation.parameters.filters import Filters
from genome_eu.federation.plan import ROWS_PER_SHARD, Ask, Plan
from genome_eu.federation.protocols import panel as panel_protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions import Questions, Run
from genome_eu.federation.study import Study
from genome_eu.stats import variants
from genome_eu.stats.harmonize import How


class Carrier(Protocol):
    """Brings a plan to sites and their answers back."""

    @property
    def asker(self) -> str:
        """Who asks, and may read the answers."""
        ...

    def ask(
        self, plan: Plan, inputs: dict[str, NDArray], study: Any, missing: tuple[str, ...]
    ) -> dict[str, SiteAnswer]:
        """Collect the answers of the sites in `missing`."""
        ...


class Federation(Questions):
    """Many sites, asked one question; only what passes their airlocks comes back.

    Made by `genome_eu.open_federation`. It answers `frequencies`, `pca` and `gwas` as a cohort
    does, with the same types.
    """

    def __init__(
        self,
        name: str,
        carrier: Carrier,
        sites: tuple[str, ...],
        *,
        without: tuple[str, ...] = (),
        secure_sum: bool = False,
        studies: Path | None = None,
        keep: bool = False,
        rows_per_shard: int = ROWS_PER_SHARD,
    ) -> None:
        self.name = name
        self.secure_sum = secure_sum
        self._carrier = carrier
        self._members = tuple(sorted(sites))
        self._without = tuple(sorted(set(without)))
        self._studies = studies
        self._continue = keep
        self._rows_per_shard = rows_per_shard
        for site in self._without:
            if site not in self._members:
                raise UsageError(f"--without {site}: federation {name} has no site of that name")
        if not self.sites:
            raise UsageError("without all of its sites there is nobody to ask")

    def __repr__(self) -> str:
        return f"<Federation {self.name}: {', '.join(self.sites)}>"

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that are asked, sorted."""
        return tuple(site for site in self._members if site not in self._without)

    def _open_run(self, question: dict[str, Any]) -> Run:
        asked = {"federation": self.name, "sites": list(self._members), **question}
        if self._studies is None:
            return Run(question)
        name = f"{question['ask']}-{hashlib.sha256(canonical(asked)).hexdigest()[:8]}"
        if not self._continue:
            now = datetime.datetime.now(datetime.UTC)
            name = f"{now:%Y%m%dT%H%M%S%f}-{name}"
        return Run(question, Study(self._studies / name, asked, self.sites))

    def on_rows(self, rows: pd.DataFrame) -> Federation:
        """The same federation, asked only of these rows (columns contig, position, ref, alt).

        REF and ALT are in the result as they are here; sites that have them the other way round
        count the other allele, where that is beyond doubt (`genome_eu.stats.harmonize`). PCA and
        GWAS are of those rows that every site lists.

        Raises
        ------
        PanelError
            A row is no variant, or is there twice.
        """
        chosen = copy.copy(self)
        chosen._given = variants.given(rows)
        return chosen

    def filtered(self, filters: Filters | Mapping[str, Any] | str | Path) -> Federation:
        """The same federation, asked without the people and rows that limits remove.

        Parameters
        ----------
        filters : Filters, mapping, or path of a TOML file
            Tables ``people`` and ``variants`` (`genome_eu.Filters`). Each site applies the limits
            on people to its own, and says how many it removes and why, where they are enough to be
            told; relatives at different sites are not found. Limits on rows apply to sums over the
            sites.

        Raises
        ------
        BadInput, UsageError
            A limit is unknown or out of its bounds.
        """
        chosen = copy.copy(self)
        chosen._filters = as_filters(filters)
        return chosen

    def _every_row(self, run: Run, how: How = "intersection") -> Panel:
        if self._one_round:
            if self._given is None:
                raise UsageError(
                    "in one round the sites cannot list their rows first; give them (--rows)"
                )
            run.panel = panel_protocol.unlisted(self._given)
            return run.panel
        run.panel = self._drive(run, panel_protocol.agree(how, self._given))
        run.left_out |= run.panel.left_out
        return run.panel

    def _ask(self, run: Run, ask: Ask) -> Answer:
        study: Study | None = run.study
        plan = ask.plan(
            study.id if study else "memory",
            run.rounds,
            self.sites,
            self._rows_per_shard,
            reader=self._carrier.asker,
            secure_sum=self.secure_sum,
            people=self._filters.people,
        )
        answers: dict[str, SiteAnswer] = {}
        if study is not None:
            study.open_round(plan, dict(ask.inputs))
            recalled = {site: study.recall(plan, site) for site in self.sites}
            answers = {site: answer for site, answer in recalled.items() if answer is not None}
        missing = tuple(site for site in self.sites if site not in answers)
        if missing:
            answers |= self._carrier.ask(plan, dict(ask.inputs), study, missing)
        return Answer(plan, answers)
