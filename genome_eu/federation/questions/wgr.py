"""Which alleles go with a trait, beside the predictions of all other chromosomes?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, TypeAlias

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.protocols import gwas as gwas_protocol
from genome_eu.federation.protocols import logistic as logistic_protocol
from genome_eu.federation.protocols import wgr as protocol
from genome_eu.federation.protocols.gwas import GwasModel
from genome_eu.federation.protocols.logistic import LogisticModel
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.protocols.wgr import WgrSettings
from genome_eu.federation.questions.inflation import with_inflation
from genome_eu.federation.questions.logistic import AskedTest, LogisticQuestions
from genome_eu.federation.questions.run import Run
from genome_eu.federation.questions.shards import (
    BYTES_PER_TEST,
    UNTESTED,
    linear_shards,
    require_memory,
)
from genome_eu.results import GwasResult
from genome_eu.stats import ridge

#: An earlier regression, by its id or its result, or the settings of a new one.
Wgr: TypeAlias = str | GwasResult | Mapping[str, Any] | WgrSettings | None

_ID = re.compile(r"[0-9a-f]{16}")
# What the record of a run counts by rows.
_BY_CHROMOSOME = (UNTESTED, "rows by test, by trait")


class WgrQuestions(LogisticQuestions):
    """Association by whole-genome regression; predictions stay where the people are."""

    def _gwas_wgr(
        self,
        asked: dict[str, Any],
        model: GwasModel,
        components: int | None,
        wgr: Wgr,
        test: AskedTest,
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        """Both steps, or with the id of an earlier regression the second alone."""
        name, settings = _settings(wgr)
        settings.check()
        if model.missing != "mean":
            raise UsageError("a whole-genome regression has missing calls at the mean")
        if not settings.binary and test != AskedTest():
            raise UsageError("test, cutoff and case_control_12 are for binary traits")
        tested = test.of(model)
        if settings.binary:
            tested.check()
        said = {key: _plain(value) for key, value in asdict(settings).items()}
        if settings.binary:
            said |= {"test": tested.test, "cutoff": tested.cutoff}
            said |= {"case_control_12": tested.coded_12}
        run = self._begin(asked | {"components": components, "model": "wgr", "wgr": name} | said)
        panel = self._panel(run)
        model = self._drive(run, gwas_protocol.agree_on_levels(model))
        if in_memory:
            require_memory(panel.size * len(model.traits), BYTES_PER_TEST)
        if components is not None:
            # Columns that cannot be used should cost no PCA.
            self._drive(run, gwas_protocol.moments(model))
            model = replace(model, pca=self._components(run, panel, components, TOLERANCE).id)
        origins = self._drive(run, gwas_protocol.moments(model))
        run.left_out |= origins.left_out
        if name is None:
            first = self._drive(
                run,
                protocol.step_one(model, panel, origins, settings, coded_12=test.coded_12),
            )
        else:
            first = self._drive(run, protocol.step_one_kept(model, origins, name))
        run.left_out |= first.left_out
        if model.dosages:
            panel = self._imputed(run, panel, model.min_info, model.min_maf)
        if settings.binary:
            tested = replace(tested, model=model, wgr=first.id)
            shards = self._binary_shards(run, panel, tested, origins, first)
        else:
            fit = self._drive(run, protocol.step_two(model, panel, origins, first))
            shards = self._wgr_shards(run, panel, fit, model.traits, first)
        return run, with_inflation(run, shards)

    def _binary_shards(
        self,
        run: Run,
        panel: Panel,
        model: LogisticModel,
        origins: gwas_protocol.Origins,
        first: protocol.StepOne,
    ) -> Iterator[GwasResult]:
        """Step 2 of binary traits: a logistic model for each chromosome, beside all others."""
        attrs = _said_of(first)
        place = ridge.places(panel.rows["contig"].to_numpy())
        ends = [*np.flatnonzero(np.diff(place)) + 1, place.size] if place.size else []
        tallies: dict[str, Any] = {}
        start = 0
        for end in ends:
            # Rows of a chromosome lie together.
            rows = panel.take(np.arange(start, end))
            beside = replace(model, chromosome=int(place[start]))
            nulls = self._drive(run, logistic_protocol.nulls(beside, origins))
            scores = self._drive(run, logistic_protocol.scores(beside, rows, origins, nulls))
            for shard in self._logistic_shards(run, rows, beside, origins, nulls, scores):
                shard.attrs |= attrs
                yield shard
            for key in _BY_CHROMOSOME:
                tallies[key] = _added(tallies.get(key, {}), run.left_out.get(key, {}))
            start = end
        run.left_out |= tallies

    def _wgr_shards(
        self,
        run: Run,
        panel: Panel,
        fit: protocol.WgrFit,
        names: tuple[str, ...],
        first: protocol.StepOne,
    ) -> Iterator[GwasResult]:
        attrs = self._attributes(run) | _said_of(first)
        parts = (part.as_linear() for part in fit.shards)
        return linear_shards(run, panel, parts, names, fit.people, attrs)


def _said_of(first: protocol.StepOne) -> dict[str, Any]:
    """Attributes of a result that name the regression."""
    return results.attributes(model="wgr", wgr_id=first.id, wgr=first.summary)


def _added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Counts of two chromosomes together, by name."""
    added = dict(before)
    for name, value in now.items():
        if isinstance(value, dict):
            added[name] = _added(before.get(name, {}), value)
        else:
            added[name] = before.get(name, 0) + value
    return added


def _settings(wgr: Wgr) -> tuple[str | None, WgrSettings]:
    """The id of an earlier regression, or the settings of a new one."""
    if isinstance(wgr, GwasResult):
        wgr = str(wgr.attrs.get("wgr_id", ""))
    if isinstance(wgr, str):
        if not _ID.fullmatch(wgr):
            raise UsageError("wgr is not the id of a whole-genome regression, nor its result")
        return wgr, WgrSettings()
    if isinstance(wgr, WgrSettings):
        return None, wgr
    given = dict(wgr or {})
    name = given.pop("id", None)
    unknown = sorted(set(given) - {item.name for item in fields(WgrSettings)})
    if unknown:
        raise UsageError(f"wgr: {unknown[0]} is not a setting of a whole-genome regression")
    if "heritability" in given:
        given["heritability"] = tuple(given["heritability"])
    if name is not None and not _ID.fullmatch(str(name)):
        raise UsageError(f"wgr: {name} is not the id of a whole-genome regression")
    return name, WgrSettings(**given)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
