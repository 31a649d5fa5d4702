"""Questions about single people, which only those who hold their genotypes can ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.filters import as_filters
from genome_eu.federation.inside.quality import sexes_of
from genome_eu.federation.parameters.filters import LEAST_KINSHIP, Filters
from genome_eu.federation.protocols import frequencies as protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.ploidy import places
from genome_eu.federation.questions import Questions, Run
from genome_eu.federation.site import Site
from genome_eu.results.quality import (
    KinshipResult,
    QcResult,
    kinship_result,
    people_variables,
    row_measure_variables,
)
from genome_eu.stats.counts import Frequencies
from genome_eu.stats.qc.removal import RowMeasures, count_reasons, removed_rows

#: Bytes in memory of one row of a quality control.
_BYTES_PER_ROW = 400


class OwnQuality(Questions):
    """Quality control and kinship of one's own people."""

    _site: Site

    def qc(self, filters: Filters | Mapping[str, Any] | str | Path = Filters()) -> QcResult:  # noqa: B008
        """Measure people and rows, and say what limits would remove, and why.

        Parameters
        ----------
        filters : Filters, mapping, or path of a TOML file
            Limits on people and rows (`genome_eu.Filters`); without them everything is measured and
            nothing removed. Rows are measured on the people who are kept.

        Returns
        -------
        QcResult
            Call rate, heterozygosity, F, sex, Ti/Tv and singletons of each person; call rate, MAF,
            Hardy–Weinberg tests and Mendelian errors of each row. It stays with those who hold the
            genotypes.

        Raises
        ------
        BadInput, UsageError
            A limit is unknown or out of its bounds.
        SampleError
            The limits leave nobody.
        """
        results.require_memory(
            self._site.own_rows.size * _BYTES_PER_ROW,
            f"a quality control of {self._site.own_rows.size:,} rows",
            "stream it to files with `genome-eu qc --out`",
        )
        run, people, shards = self.qc_shards(filters)
        found = results.join(list(shards))
        attrs = {**people.attrs, **self._attributes(run)}
        return QcResult({**found.variables, **people.variables}, attrs=attrs)

    def qc_shards(
        self,
        filters: Filters | Mapping[str, Any] | str | Path = Filters(),  # noqa: B008
    ) -> tuple[Run, xr.Dataset, Iterator[xr.Dataset]]:
        """The same: people at once, rows shard by shard, for results that do not fit in memory."""
        asked = as_filters(filters)
        measures = self._site.measures()
        chosen = self.filtered(asked)
        run = chosen._begin({"ask": "qc"})
        removed = chosen._site.removed
        if not asked.people:
            removed = replace(removed, included=self._site.included)
        table = self._site.store.samples
        people = xr.Dataset(
            people_variables(measures, removed, self._site.store.sample_id, sexes_of(table))
        )
        panel = chosen._every_row(run, "union")
        by = asked.variants.hwe_by
        labels = self._drive(run, protocol.groups(by))
        finished = chosen._drive(run, protocol.frequencies(panel, by, labels, hwe=True))
        return run, people, chosen._qc_rows(run, panel, finished, labels, asked)

    def _qc_rows(
        self,
        run: Run,
        panel: Panel,
        finished: Iterator[protocol.Finished],
        labels: list[str],
        asked: Filters,
    ) -> Iterator[xr.Dataset]:
        mine, start = places(panel), 0
        removed: dict[str, int] = {}
        for part in finished:
            stop = start + len(part.found.call_rate)
            tests = part.found.hwe_neg_log10_p
            assert tests is not None  # noqa: S101 - they were asked for
            measures = self._row_measures(mine[start:stop], part.found, tests[:, bool(labels) :])
            reason = removed_rows(measures, asked.variants.limits)
            variables = results.row_variables(panel.names(start, stop), panel.contigs)
            variables |= row_measure_variables(measures, reason)
            variables["variant_hwe_neg_log10_p"] = ("variants", tests[:, 0])
            variables["cohort_hwe_neg_log10_p"] = (("variants", "cohorts"), tests[:, 1:])
            variables["cohort_id"] = ("cohorts", np.array(labels, dtype=object))
            for name, number in count_reasons(reason).items():
                removed[name] = removed.get(name, 0) + number
            yield xr.Dataset(variables)
            start = stop
        told = {name: number for name, number in removed.items() if number}
        if told:
            run.left_out["rows removed by limits"] = told

    def _row_measures(self, mine: NDArray, found: Frequencies, tests: NDArray) -> RowMeasures:
        errors, trios = self._site.mendel_errors(mine)
        return RowMeasures(
            call_rate=found.call_rate[:, 0],
            allele_frequency=found.allele_frequency[:, 0],
            withheld=found.alleles_withheld[:, 0],
            hwe_neg_log10_p=tests,
            mendel_errors=errors.by_row,
            trios=trios.child.size,
        )

    def kinship(self, above: float = LEAST_KINSHIP) -> KinshipResult:
        """Related pairs of one's own people, by KING-robust on all autosomal rows.

        Parameters
        ----------
        above : float
            Kinship that a listed pair exceeds; 0.0442 lists relatives of third degree and nearer.

        Returns
        -------
        KinshipResult
            Pairs of people. It stays with those who hold the genotypes; relatives at other sites
            are not found.

        Raises
        ------
        UsageError
            `above` is no kinship.
        """
        return self.kinship_run(above)[1]

    def kinship_run(
        self, above: float = LEAST_KINSHIP, unrelated: float | None = None
    ) -> tuple[Run, KinshipResult]:
        """`kinship` with the record of its run; `unrelated` is what it will be used for."""
        if not -1.0 <= above <= 0.5:
            raise UsageError(f"kinship above {above:g} is asked for; it lies between -1 and 0.5")
        if unrelated is not None and not above <= unrelated <= 0.5:
            raise UsageError(
                f"--unrelated {unrelated:g} must lie between {above:g}, above which pairs are "
                f"listed, and 0.5"
            )
        asked: dict[str, Any] = {"ask": "kinship", "above": above}
        run = self._begin(asked | ({"unrelated": unrelated} if unrelated is not None else {}))
        found = self._site.relatives(above)
        attrs = self._attributes(run, rows=int(self._site.store.autosomal.sum()))
        return run, kinship_result(found, self._site.store.sample_id, self._site.included, attrs)
