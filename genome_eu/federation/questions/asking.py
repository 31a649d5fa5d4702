"""How a question is asked, of one cohort or of many sites."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

from genome_eu import results
from genome_eu._version import __version__
from genome_eu.errors import UsageError
from genome_eu.federation.answer import Answer
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.questions.run import Run


class Asking(abc.ABC):
    """What every question needs of whoever is asked."""

    #: Called with every question before anything is asked; may raise to stop it.
    watch: Callable[[dict[str, Any]], None] | None = None

    @property
    @abc.abstractmethod
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that answer, sorted."""

    def use_device(self, device: str) -> None:
        """Where kernels compute; of a federation, each site chooses its own."""
        if device not in ("auto", "cpu"):
            raise UsageError("--device is for a cohort; each site of a federation chooses its own")

    @abc.abstractmethod
    def _open_run(self, question: dict[str, Any]) -> Run: ...

    def _begin(self, question: dict[str, Any]) -> Run:
        if self.watch is not None:
            self.watch(question)
        return self._open_run(question)

    @abc.abstractmethod
    def _ask(self, run: Run, ask: Ask) -> Answer: ...

    @abc.abstractmethod
    def _panel(self, run: Run) -> Panel: ...

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
        return results.attributes(
            genome_eu_version=__version__,
            question=run.question,
            sites=list(self.sites),
            policies=run.policies,
            left_out=run.left_out,
            build=run.panel.build if run.panel else "unknown",
            **more,
        )
