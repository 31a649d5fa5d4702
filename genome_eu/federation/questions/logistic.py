"""Which alleles go with a binary trait?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from genome_eu import results
from genome_eu.errors import TraitError, UsageError
from genome_eu.federation.protocols import gwas as gwas_protocol
from genome_eu.federation.protocols import logistic as protocol
from genome_eu.federation.protocols.gwas import GwasModel
from genome_eu.federation.protocols.logistic import LogisticModel
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.protocols.ploidy import autosomal, in_row_order, kinds
from genome_eu.federation.questions.dosages import DosageQuestions
from genome_eu.federation.questions.inflation import with_inflation
from genome_eu.federation.questions.pca import PcaQuestions
from genome_eu.federation.questions.run import Run
from genome_eu.federation.questions.shards import UNTESTED, require_memory, tally, without_test
from genome_eu.results import GwasResult
from genome_eu.stats.logistic import (
    CUTOFF,
    ERRCODES,
    METHODS,
    OF_EVERY_ROW,
    LogisticResult,
    ScoreResult,
    Test,
    untested,
)
from genome_eu.stats.ploidy import PloidyName, effect_scale

# Bytes in memory of one test.
_BYTES_PER_TEST = 110
# Numbers of score tests that are kept until they are followed up together.
_BATCH_NUMBERS = 2**25
_NUMBERS_PER_TEST = 15


@dataclass(frozen=True)
class AskedTest:
    """How rows of a logistic model are tested, as it is asked."""

    test: Test = "firth"
    cutoff: float | None = None
    coded_12: bool = False

    def of(self, model: GwasModel) -> LogisticModel:
        """The logistic model of these traits and covariates."""
        usual = 0.0 if self.test in OF_EVERY_ROW else CUTOFF
        cutoff = usual if self.cutoff is None else float(self.cutoff)
        return LogisticModel(model, self.test, cutoff, self.coded_12)


class LogisticQuestions(PcaQuestions, DosageQuestions):
    """Association of binary traits with dosage, row by row."""

    def _gwas_logistic(
        self,
        asked: dict[str, Any],
        model: LogisticModel,
        components: int | None,
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        """Null models first, then score tests of all rows, then what follows them."""
        model.check()
        settings = {
            "model": "logistic",
            "test": model.test,
            "cutoff": model.cutoff,
            "case_control_12": model.coded_12,
        }
        run = self._begin(asked | settings | {"components": components})
        panel = self._whole_panel(run)
        linear = self._drive(run, gwas_protocol.agree_on_levels(model.model))
        if in_memory:
            require_memory(panel.size * len(linear.traits), _BYTES_PER_TEST)
        if components is not None:
            # Columns that cannot be used should cost no PCA.
            self._drive(run, gwas_protocol.moments(linear))
            found = self._components(run, autosomal(panel), components, TOLERANCE)
            linear = replace(linear, pca=found.id)
        model = replace(model, model=linear)
        origins = self._drive(run, gwas_protocol.moments(linear))
        run.left_out |= origins.left_out
        if linear.dosages:
            panel = self._imputed(run, panel, linear.min_info, linear.min_maf)
        shards = {
            kind: self._logistic_kind(run, rows, model, origins, kind)
            for kind, rows in kinds(panel).items()
        }
        return run, with_inflation(run, in_row_order(panel, shards))

    def _logistic_kind(
        self,
        run: Run,
        panel: Panel,
        model: LogisticModel,
        origins: gwas_protocol.Origins,
        kind: PloidyName,
    ) -> Iterator[GwasResult]:
        """The tests of rows of one kind; a model that cannot be fitted there tests none of them."""
        linear, origins = gwas_protocol.of_kind(model.model, origins, kind)
        model = replace(model, model=linear, ploidy=kind)
        try:
            nulls: protocol.Nulls = self._drive(run, protocol.nulls(model, origins))
        except TraitError:
            if kind == "diploid":
                raise
            return self._untested(run, panel, linear.traits)
        scores = self._drive(run, protocol.scores(model, panel, origins, nulls))
        return self._logistic_shards(run, panel, model, origins, nulls, scores)

    def _untested(self, run: Run, panel: Panel, names: tuple[str, ...]) -> Iterator[GwasResult]:
        attrs = self._attributes(run, model="logistic", test="none")
        found = untested(panel.size, len(names))
        rows = panel.names(0, panel.size)
        yield results.logistic_shard(rows, panel.contigs, found, names, attrs)

    def _logistic_once(
        self,
        asked: dict[str, Any],
        test: AskedTest,
        model: GwasModel,
        origins: Mapping[str, tuple[float, float]],
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        """Score tests within sites, in one round."""
        if test.test != "score" or test.cutoff is not None:
            raise UsageError("in one round a logistic model has score tests only: --test score")
        gwas_protocol.check_once(model, "mean")
        logistic_model = test.of(model)
        logistic_model.check()
        settings = {"model": "logistic", "test": "score", "case_control_12": test.coded_12}
        run = self._begin(asked | settings)
        panel = self._panel(run)
        if in_memory:
            require_memory(panel.size * len(model.traits), _BYTES_PER_TEST)
        found = self._drive(run, protocol.scores_once(logistic_model, panel, origins))
        return run, with_inflation(run, self._once_shards(run, panel, model.traits, found))

    def _once_shards(
        self, run: Run, panel: Panel, names: tuple[str, ...], found: Iterator[LogisticResult]
    ) -> Iterator[GwasResult]:
        attrs = self._attributes(run, model="logistic", test="score within sites")
        codes = np.zeros((len(names), len(ERRCODES)), np.int64)
        start = 0
        for part in found:
            tally(codes, part.errcode)
            stop = start + len(part.z)
            rows = panel.names(start, stop)
            yield results.logistic_shard(rows, panel.contigs, part, names, attrs)
            start = stop
        run.left_out[UNTESTED] = without_test(names, ERRCODES, codes)

    def _logistic_shards(
        self,
        run: Run,
        panel: Panel,
        model: LogisticModel,
        origins: gwas_protocol.Origins,
        nulls: protocol.Nulls,
        scores: Iterator[ScoreResult],
    ) -> Iterator[GwasResult]:
        names = model.model.traits
        attrs = self._attributes(run, model="logistic", test=model.test)
        codes = np.zeros((len(names), len(ERRCODES)), np.int64)
        methods = np.zeros((len(names), len(METHODS) + 1), np.int64)
        start = 0
        for batch in _batches(scores):
            whole = _joined(batch)
            found: LogisticResult = self._drive(
                run, protocol.follow_up(model, panel, origins, nulls, whole, start)
            )
            scale = effect_scale(model.ploidy)
            if scale != 1.0:
                found = replace(found, beta=scale * found.beta, se=scale * found.se)
            tally(codes, found.errcode)
            # A test that was not made has method −1, the last place.
            tally(methods, found.method % (len(METHODS) + 1))
            at = 0
            for part in batch:
                stop = at + len(part.z)
                rows = panel.names(start + at, start + stop)
                piece = _rows(found, slice(at, stop))
                yield results.logistic_shard(rows, panel.contigs, piece, names, attrs)
                at = stop
            start += at
        by_method = {
            name: {method: int(n) for method, n in zip(METHODS, counts, strict=False) if n}
            for name, counts in zip(names, methods, strict=True)
        }
        # Rows of several kinds add up; people are those of the first.
        for said, more in (
            (UNTESTED, without_test(names, ERRCODES, codes)),
            ("rows by test, by trait", by_method),
        ):
            run.left_out[said] = _together(run.left_out.get(said, {}), more)
        null = nulls.null
        people = dict(zip(names, map(int, nulls.people), strict=True))
        run.left_out.setdefault("people analysed", people)
        run.left_out.setdefault("cases", dict(zip(names, map(int, null.cases), strict=True)))
        one_sided = {
            name: len(self.sites) - int(sites)
            for name, sites in zip(names, null.sites, strict=True)
            if sites < len(self.sites)
        }
        run.left_out.setdefault("sites without cases or without controls", one_sided)


def _together(
    before: dict[str, dict[str, int]], more: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """Counts by trait and by reason, added."""
    return {
        trait: {
            reason: before.get(trait, {}).get(reason, 0) + counts.get(reason, 0)
            for reason in dict.fromkeys([*before.get(trait, {}), *counts])
        }
        for trait, counts in more.items()
    }


def _batches(scores: Iterator[ScoreResult]) -> Iterator[list[ScoreResult]]:
    """Shards that are followed up together: as many as memory likes."""
    batch: list[ScoreResult] = []
    numbers = 0
    for part in scores:
        batch.append(part)
        numbers += part.z.size * (_NUMBERS_PER_TEST + part.coefficients.shape[-1])
        if numbers >= _BATCH_NUMBERS:
            yield batch
            batch, numbers = [], 0
    if batch:
        yield batch


def _joined(parts: list[ScoreResult]) -> ScoreResult:
    if len(parts) == 1:
        return parts[0]
    names = [item.name for item in fields(ScoreResult)]
    return ScoreResult(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def _rows(found: LogisticResult, rows: slice) -> LogisticResult:
    return LogisticResult(
        **{item.name: getattr(found, item.name)[rows] for item in fields(LogisticResult)}
    )
