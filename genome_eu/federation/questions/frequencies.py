"""How frequent are alleles and genotypes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.protocols import frequencies as protocol
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.results import FrequencyResult
from genome_eu.stats.harmonize import How
from genome_eu.stats.ploidy import PloidyClass

# Bytes in memory of one group in one row.
_BYTES_PER_CELL = 160


class FrequencyQuestions(Asking):
    """Allele and genotype frequencies by group of people."""

    def frequencies(
        self,
        by: str | Sequence[str] = (),
        *,
        hwe: bool = True,
        panel: How = "union",
        grpmax: Sequence[str] | None = None,
        by_site: bool = False,
    ) -> FrequencyResult:
        """Allele counts, frequencies, call rates, Hardy–Weinberg tests and filtering frequencies.

        Parameters
        ----------
        by : str or sequence of str
            Columns of the sample table, for example `["population", "sex"]`: counts are also
            given for every combination of their values.
        hwe : bool
            Whether to test Hardy–Weinberg proportions.
        panel : {"union", "intersection"}
            Variants that any site lists, or those that every site does. Of a variant that a site
            does not list, its people count as called (AC 0) where it has declared callable regions
            and as not called elsewhere; how many sites are in which state is in
            `variant_n_sites_*`. A site whose policy has floors withholds such a row instead, unless
            it has declared regions, and so is the row in the answer.
        grpmax : sequence of str, optional
            Groups among which the highest filtering frequency is looked for, by default all of
            them. It is withheld where that of one of them is.
        by_site : bool
            Whether to keep the alleles of each site, for F_ST between sites.

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

        Notes
        -----
        Three rounds, without `by` two: each site sends the rows it may name; the names of its
        groups and how many people are in each; and of every row how many people of each group have
        which genotype. Rows on X, Y and MT take a round more for each kind. In one round
        (`in_one_round`), of given rows and everybody, the last alone.
        """
        run, shards = self._frequencies(
            by, hwe, panel=panel, grpmax=grpmax, by_site=by_site, in_memory=True
        )
        found: FrequencyResult = results.join(list(shards))
        found.attrs = found.attrs | self._attributes(run)
        return found

    def frequency_shards(
        self,
        by: str | Sequence[str] = (),
        *,
        hwe: bool = True,
        panel: How = "union",
        grpmax: Sequence[str] | None = None,
        by_site: bool = False,
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        return self._frequencies(
            by, hwe, panel=panel, grpmax=grpmax, by_site=by_site, in_memory=False
        )

    def _frequencies(
        self,
        by: str | Sequence[str],
        hwe: bool,
        *,
        panel: How,
        grpmax: Sequence[str] | None,
        by_site: bool,
        in_memory: bool,
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        columns = (by,) if isinstance(by, str) else tuple(by)
        if panel not in ("union", "intersection"):
            raise UsageError(f"--panel {panel}: choose union or intersection")
        asked = {"ask": "frequencies", "by": list(columns), "hwe": hwe, "panel": panel}
        if grpmax is not None:
            asked["grpmax"] = list(grpmax)
        if self._one_round and columns:
            raise UsageError("the names of groups take a round of their own; ask of everybody")
        run = self._begin(asked)
        rows = self._panel(run, panel) if self._one_round else self._whole_panel(run, panel)
        labels = self._drive(run, protocol.groups(columns))
        highest_of = _grpmax(labels, grpmax)
        if in_memory:
            cells = rows.size * (1 + len(labels))
            results.require_memory(
                2 * cells * _BYTES_PER_CELL,
                f"a table of {cells:,} groups and rows",
                "stream it to files with `genome-eu freq --out`, or take frequency_shards()",
            )
        finished = self._drive(run, protocol.frequencies(rows, columns, labels, hwe=hwe))
        ploidy = rows.ploidy if np.any(rows.ploidy != PloidyClass.AUTOSOMAL) else None
        attrs = self._attributes(run, **({"grpmax_groups": highest_of} if highest_of else {}))

        def shards() -> Iterator[FrequencyResult]:
            start = withheld = lost = 0
            for part in finished:
                stop = start + part.found.allele_frequency.shape[0]
                withheld += int(part.found.alleles_withheld[:, 0].sum())
                if part.found.haploid is not None:
                    lost += int(part.found.haploid.n_lost[:, 0].sum())
                yield results.frequency_shard(
                    rows.names(start, stop),
                    rows.contigs,
                    part.found,
                    labels,
                    attrs,
                    # One cohort has what it has; states are of sites that are joined.
                    part.sites if rows.report else None,
                    self.sites if by_site else (),
                    highest_of,
                    None if ploidy is None else ploidy[start:stop],
                )
                start = stop
            run.left_out["rows withheld by policy"] = withheld
            if lost:
                run.left_out["heterozygous haploid calls"] = lost

        return run, shards()


def _grpmax(labels: list[str], named: Sequence[str] | None) -> list[str]:
    """The groups of grpmax: those that are named, or all."""
    for name in named or ():
        if name not in labels:
            known = ", ".join(labels) or "none; give --by"
            raise UsageError(f"--grpmax {name} is not a group of the answer ({known})")
    return labels if named is None else list(named)
