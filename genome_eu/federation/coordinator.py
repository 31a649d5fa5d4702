"""The coordinator: asks many sites one question. Works on a machine that holds no genotypes."""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_eu.errors import BadInput
from genome_eu.federation.answer import Answer, SiteAnswer
from genome_eu.federation.plan import ROWS_PER_SHARD, Ask, Name, Plan, canonical
from genome_eu.federation.protocols import panel as panel_protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions import Questions, Run
from genome_eu.federation.study import Study


class Carrier(Protocol):
    """Brings a plan to sites and their answers back."""

    def ask(
        self, plan: Plan, inputs: dict[str, NDArray], study: Any, missing: tuple[str, ...]
    ) -> dict[str, SiteAnswer]:
        """Collect the answers of the sites in `missing`."""
        ...


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    # A site of this process, for notebooks and tests; other sites answer through the exchange.
    cohort: str | None = None
    policy: str = "default"


class Roster(BaseModel):
    """`federation.toml`: who takes part, and where messages are exchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    exchange: str | None = None
    timeout_s: float = Field(default=600.0, gt=0)
    site: tuple[_Member, ...] = Field(min_length=1)


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
        studies: Path | None = None,
        keep: bool = False,
        rows_per_shard: int = ROWS_PER_SHARD,
    ) -> None:
        self.name = name
        self._carrier = carrier
        self._sites = tuple(sorted(sites))
        self._studies = studies
        self._continue = keep
        self._rows_per_shard = rows_per_shard

    def __repr__(self) -> str:
        return f"<Federation {self.name}: {', '.join(self._sites)}>"

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, sorted."""
        return self._sites

    def _open_run(self, question: dict[str, Any]) -> Run:
        asked = {"federation": self.name, "sites": list(self._sites), **question}
        if self._studies is None:
            return Run(question)
        name = f"{question['ask']}-{hashlib.sha256(canonical(asked)).hexdigest()[:8]}"
        if not self._continue:
            now = datetime.datetime.now(datetime.UTC)
            name = f"{now:%Y%m%dT%H%M%S%f}-{name}"
        return Run(question, Study(self._studies / name, asked))

    def _panel(self, run: Run) -> Panel:
        run.panel = self._drive(run, panel_protocol.agree())
        run.left_out |= run.panel.left_out
        return run.panel

    def _ask(self, run: Run, ask: Ask) -> Answer:
        study: Study | None = run.study
        plan = ask.plan(
            study.id if study else "memory", run.rounds, self._sites, self._rows_per_shard
        )
        answers: dict[str, SiteAnswer] = {}
        if study is not None:
            study.open_round(plan, dict(ask.inputs))
            recalled = {site: study.recall(plan, site) for site in self._sites}
            answers = {site: answer for site, answer in recalled.items() if answer is not None}
        missing = tuple(site for site in self._sites if site not in answers)
        if missing:
            answers |= self._carrier.ask(plan, dict(ask.inputs), study, missing)
        return Answer(plan, answers)


def read_roster(path: Path) -> Roster:
    """Read and validate `federation.toml`.

    Raises
    ------
    BadInput
        The file is missing, is not TOML, or lacks or misnames something.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(f"federation file {path} cannot be read; check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"federation file {path} is not valid TOML: {error}") from None
    try:
        roster = Roster.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"federation file {path}: {where}: {first['msg'].lower()}") from None
    names = [member.name for member in roster.site]
    if len(set(names)) != len(names):
        raise BadInput(f"federation file {path} names a site twice")
    here = [member.name for member in roster.site if member.cohort is not None]
    if here and len(here) != len(names):
        raise BadInput(
            f"federation file {path} gives cohorts for some sites only; give all (they answer in "
            f"this process) or none (they answer through the exchange)"
        )
    if not here and roster.exchange is None:
        raise BadInput(f"federation file {path} has neither an exchange nor cohorts for its sites")
    return roster
