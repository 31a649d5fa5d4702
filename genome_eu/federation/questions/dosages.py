"""What do imputed dosages say of allele frequencies, and how well were rows imputed?"""

from __future__ import annotations

from collections.abc import Iterator

from genome_eu import results
from genome_eu.federation.protocols import dosages as protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results import DosageResult

# Bytes in memory of one row.
_BYTES_PER_ROW = 200


class DosageQuestions(Asking):
    """Allele frequencies of dosages, and how well rows were imputed."""

    def dosage_frequencies(self) -> DosageResult:
        """Allele frequencies by dosages, and the imputation r² of each row, over everybody.

        Rows are those of autosomes. At sites that were not imputed, hard calls are taken for
        dosages. One round; see `genome_eu.stats.dosages` for the r².

        Returns
        -------
        DosageResult
            Dimension variants.

        Raises
        ------
        Refused, NoAnswer, BadInput
            As `frequencies`.
        """
        run, shards = self._dosage_frequencies(in_memory=True)
        found: DosageResult = results.join(list(shards))
        found.attrs = self._attributes(run)
        return found

    def dosage_frequency_shards(self) -> tuple[Run, Iterator[DosageResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        return self._dosage_frequencies(in_memory=False)

    def _dosage_frequencies(self, *, in_memory: bool) -> tuple[Run, Iterator[DosageResult]]:
        run = self._begin({"ask": "dosage_frequencies"})
        panel = self._panel(run)
        if in_memory:
            results.require_memory(
                2 * panel.size * _BYTES_PER_ROW,
                f"a table of {panel.size:,} rows",
                "stream it to files with `genome-eu dosages --out`, or take "
                "dosage_frequency_shards()",
            )
        finished = self._drive(run, protocol.frequencies(panel))
        attrs = self._attributes(run)

        def shards() -> Iterator[DosageResult]:
            start = withheld = 0
            for part in finished:
                stop = start + part.n_called.size
                withheld += int(part.alleles_withheld.sum())
                yield results.dosage_shard(panel.names(start, stop), panel.contigs, part, attrs)
                start = stop
            run.left_out["rows withheld by policy"] = withheld

        return run, shards()

    def _imputed(self, run: Run, panel: Panel, min_info: float, min_maf: float) -> Panel:
        """The rows of a panel that pass the filters."""
        panel, failed = self._drive(run, protocol.filtered(panel, min_info, min_maf))
        run.left_out |= failed
        return panel
