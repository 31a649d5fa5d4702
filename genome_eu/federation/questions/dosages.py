"""What do imputed dosages say of allele frequencies, and how well were rows imputed?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.protocols import dosages as protocol
from genome_eu.federation.protocols.frequencies import groups
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results import DosageResult
from genome_eu.stats.ploidy import PloidyClass

# Bytes in memory of one group in one row.
_BYTES_PER_CELL = 120


class DosageQuestions(Asking):
    """Allele frequencies of dosages, and how well rows were imputed."""

    def dosage_frequencies(self, by: str | Sequence[str] = ()) -> DosageResult:
        """Allele frequencies by dosages, and the imputation r² of each row, of groups of people.

        At sites that were not imputed, hard calls are taken for dosages. Males have one copy of X,
        and their dosages count half there; see `genome_eu.stats.dosages` for the r².

        Parameters
        ----------
        by : str or sequence of str
            Columns of the sample table, as for `frequencies`.

        Returns
        -------
        DosageResult
            Dimensions variants, alleles (REF, ALT), cohorts (the groups).

        Raises
        ------
        Refused, NoAnswer, BadInput
            As `frequencies`.
        """
        run, shards = self._dosage_frequencies(by, in_memory=True)
        found: DosageResult = results.join(list(shards))
        found.attrs = self._attributes(run)
        return found

    def dosage_frequency_shards(
        self, by: str | Sequence[str] = ()
    ) -> tuple[Run, Iterator[DosageResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        return self._dosage_frequencies(by, in_memory=False)

    def _dosage_frequencies(
        self, by: str | Sequence[str], *, in_memory: bool
    ) -> tuple[Run, Iterator[DosageResult]]:
        columns = (by,) if isinstance(by, str) else tuple(by)
        asked = {"ask": "dosage_frequencies"} | ({"by": list(columns)} if columns else {})
        if self._one_round and columns:
            raise UsageError("the names of groups take a round of their own; ask of everybody")
        run = self._begin(asked)
        panel = self._panel(run) if self._one_round else self._whole_panel(run)
        labels = self._drive(run, groups(columns))
        if in_memory:
            cells = panel.size * (1 + len(labels))
            results.require_memory(
                2 * cells * _BYTES_PER_CELL,
                f"a table of {cells:,} groups and rows",
                "stream it to files with `genome-eu dosages --out`, or take "
                "dosage_frequency_shards()",
            )
        finished = self._drive(run, protocol.frequencies(panel, columns, labels))
        ploidy = panel.ploidy if np.any(panel.ploidy != PloidyClass.AUTOSOMAL) else None
        attrs = self._attributes(run)

        def shards() -> Iterator[DosageResult]:
            start = withheld = lost = 0
            for part in finished:
                stop = start + len(part.n_called)
                withheld += int(part.alleles_withheld[:, 0].sum())
                lost += int(part.n_lost[:, 0].sum())
                of_rows = None if ploidy is None else ploidy[start:stop]
                rows = panel.names(start, stop)
                yield results.dosage_shard(rows, panel.contigs, part, labels, attrs, of_rows)
                start = stop
            run.left_out["rows withheld by policy"] = withheld
            if lost:
                run.left_out["heterozygous haploid calls"] = lost

        return run, shards()

    def _imputed(self, run: Run, panel: Panel, min_info: float, min_maf: float) -> Panel:
        """The rows of a panel that pass the filters."""
        panel, failed = self._drive(run, protocol.filtered(panel, min_info, min_maf))
        run.left_out |= failed
        return panel
