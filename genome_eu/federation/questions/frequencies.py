"""How frequent are alleles and genotypes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genome_eu import results
from genome_eu.federation.protocols import frequencies as protocol
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results import FrequencyResult

# Bytes in memory of one group in one row.
_BYTES_PER_CELL = 130


class FrequencyQuestions(Asking):
    """Allele and genotype frequencies by group of people."""

    def frequencies(self, by: str | Sequence[str] = (), *, hwe: bool = True) -> FrequencyResult:
        """Allele counts, frequencies, call rates and exact Hardy–Weinberg tests.

        Parameters
        ----------
        by : str or sequence of str
            Columns of the sample table, for example `["population", "sex"]`: counts are also
            given for every combination of their values.
        hwe : bool
            Whether to test Hardy–Weinberg proportions.

        Returns
        -------
        FrequencyResult
            Dimensions variants, alleles (REF, ALT), cohorts (the groups).

        Raises
        ------
        Refused
            A site's policy does not let the answer out.
        NoAnswer
            A site did not answer.
        BadInput
            A column does not exist or cannot name groups; the sites share no variant.
        """
        run, shards = self._frequencies(by, hwe, in_memory=True)
        found: FrequencyResult = results.join(list(shards))
        found.attrs = self._attributes(run)
        return found

    def frequency_shards(
        self, by: str | Sequence[str] = (), *, hwe: bool = True
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        return self._frequencies(by, hwe, in_memory=False)

    def _frequencies(
        self, by: str | Sequence[str], hwe: bool, *, in_memory: bool
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        columns = (by,) if isinstance(by, str) else tuple(by)
        run = self._begin({"ask": "frequencies", "by": list(columns), "hwe": hwe})
        panel = self._panel(run)
        labels = self._drive(run, protocol.groups(columns))
        if in_memory:
            cells = panel.size * (1 + len(labels))
            results.require_memory(
                2 * cells * _BYTES_PER_CELL,
                f"a table of {cells:,} groups and rows",
                "stream it to files with `genome-eu freq --out`, or take frequency_shards()",
            )
        finished = self._drive(run, protocol.frequencies(panel, columns, labels, hwe=hwe))
        attrs = self._attributes(run)

        def shards() -> Iterator[FrequencyResult]:
            start = withheld = 0
            for part in finished:
                stop = start + part.allele_frequency.shape[0]
                withheld += int(part.alleles_withheld[:, 0].sum())
                yield results.frequency_shard(
                    panel.names(start, stop), panel.contigs, part, labels, attrs
                )
                start = stop
            run.left_out["rows withheld by policy"] = withheld

        return run, shards()
