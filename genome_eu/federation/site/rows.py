"""A site's rows: which it lists, and where a panel's rows lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import oriented, stored
from genome_eu.compute import stream
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError
from genome_eu.federation.inside.located import Located, locate
from genome_eu.federation.plan import Plan
from genome_eu.federation.site.passes import Passes
from genome_eu.stats import counts, variants
from genome_eu.stats.ploidy import CLASSES, PloidyName, rows_of


class Rows(Passes):
    """Finds the rows of panels in a cohort, and what they say of single people."""

    def panel(self, plan: Plan, inputs: dict[str, NDArray]) -> NDArray:
        """Store rows of the panel that a plan names, in the panel's order.

        A row whose alleles the panel has the other way round is numbered as
        `genome_eu.cohort.exchanged` says. The site must list all of them.
        """
        found = self.located(plan, inputs)
        # Rows below the floor are as good as absent: answering for them, or refusing them in other
        # words, would tell who asks that somebody here carries them.
        if not found.listed.all():
            raise PanelError("the panel holds rows that this site does not list")
        return found.rows

    def located(self, plan: Plan, inputs: dict[str, NDArray]) -> Located:
        """Where the rows of the panel that a plan names lie here, numbered as `panel` says."""
        text = inputs.get("panel")
        if self.policy is not None and (text is None or "places" in inputs):
            raise BundleError("the plan names no panel")
        if text is None:
            mine = self.own_rows[inputs["places"]] if "places" in inputs else self.own_rows
            every = np.ones(mine.size, bool)
            found = Located(mine, ~every, every, every, ~every)
        else:
            key = variants.digest(text)
            if key not in self._panels:
                names = self.store.names(self.own_rows)
                asked = variants.decode(text)
                # One panel at a time: a study keeps to its own.
                placed = locate(asked, names, self.own_rows, self.listed())
                rows = oriented(placed.rows, placed.flipped)
                self._panels = {key: replace(placed, rows=rows)}
            found = self._panels[key]
        if found.rows.size != plan.rows:
            size = found.rows.size
            raise BundleError(f"the plan speaks of {plan.rows} rows, its panel has {size}")
        kind: PloidyName = getattr(plan.asked(), "ploidy", "diploid")
        if not rows_of(kind, self.ploidy[stored(found.rows[found.here])[0]]).all():
            raise BundleError(f"the panel has rows that are not {kind} at this site")
        return found

    def dosages_of(self, named: Sequence[str], *, imputed: bool = False) -> NDArray[np.float64]:
        """Copies of ALT of rows named contig:position:REF:ALT, (people of the store, rows).

        Of hard calls, or expected ones where the store is `imputed`. A missing call is at the mean
        of the people who take part.

        Raises
        ------
        PanelError
            The site does not list a row, or nobody is called in it.
        """
        dosage = self._dosages_of(named, imputed=imputed)
        called = ~np.isnan(dosage)
        counted = (called & self.included[:, None]).sum(axis=0)
        if np.any(counted == 0):
            raise PanelError(f"nobody is called in {named[int(np.argmin(counted))]}")
        sums = np.where(called & self.included[:, None], dosage, 0.0).sum(axis=0)
        return np.where(called, dosage, sums / counted)

    def lacking(self, named: Sequence[str], *, imputed: bool = False) -> NDArray[np.bool_]:
        """Who lacks a call in any of these rows, (people of the store,); raises as `dosages_of`."""
        return np.isnan(self._dosages_of(named, imputed=imputed)).any(axis=1)

    def _dosages_of(self, named: Sequence[str], *, imputed: bool) -> NDArray[np.float64]:
        asked, names = variants.named(named), self.store.names(self.own_rows)
        found = locate(asked, names, self.own_rows, self.listed())
        if not found.listed.all():
            missing = named[int(np.argmin(found.listed))]
            raise PanelError(f"{missing} is not a row that this site lists; condition on others")
        read = self.store.read_dosages if imputed else self.store.read
        dosage = read(found.rows).dosages().astype(float).T
        oriented = np.where(found.flipped, 2.0 - dosage, dosage)
        return np.where(dosage >= 0, oriented, np.nan)

    def minor(self, rows: NDArray) -> NDArray | None:
        """Minor allele counts of store rows, to judge a release by; None without a policy."""
        if self.policy is None:
            return None
        if self._minor_alleles is None:
            self._minor_alleles = np.zeros(self.store.n_rows, np.int64)
            self._minor_alleles[self.own_rows] = self._count_minor()
        return self._minor_alleles[stored(rows)[0]]

    def _count_minor(self) -> NDArray:
        minor = np.zeros(self.own_rows.size, np.int64)
        for kind in CLASSES:
            mine = rows_of(kind, self.ploidy[self.own_rows])
            if mine.any():
                minor[mine] = self._count_minor_of(kind, self.own_rows[mine])
        return minor

    def _count_minor_of(self, kind: PloidyName, rows: NDArray) -> NDArray:
        if kind == "diploid" and self.included.all():
            return counts.minor_alleles(self.store.counts(rows))
        people = self.copies(kind)
        groups = np.where(people.counted, self.everybody(), -1)
        haploid = self.haploid_calls(kind)
        function: Callable[..., NDArray] = counts.summarize_minor
        constants: tuple[NDArray, ...] = (groups,)
        if haploid is not None:
            function, constants = counts.summarize_haploid_minor, (groups, people.haploid)
        parts = stream(
            self.store,
            rows,
            function,
            *constants,
            size=self.rows_of_block(3),
            backend=self.backend,
            haploid=haploid,
        )
        return np.concatenate([np.empty(0, np.int64), *parts])

    def repeats(self, rows: NDArray) -> bool:
        """Whether one of these rows of the store is there twice, whichever allele is counted."""
        return np.unique(stored(rows)[0]).size < rows.size

    def has_missing(self, rows: NDArray) -> bool:
        """Whether anybody of the store lacks a call in these rows."""
        return bool(self.store.counts(stored(rows)[0])[:, 3].any())

    def missing(self, rows: NDArray) -> NDArray[np.int64]:
        """How many of the people who take part lack a call in store rows, (rows,)."""
        places = stored(rows)[0]
        found = self.store.counts(places)[:, 3]
        if self.included.all() or not found.any():
            return found
        some = np.flatnonzero(found)
        parts = stream(
            self.store,
            places[some],
            counts.summarize,
            self.everybody(),
            1,
            size=self.rows_of_block(5),
            backend=self.backend,
        )
        found[some] = self.people - np.concatenate([part.called[:, 0] for part in parts])
        return found

    def rarely_missing(self, rows: NDArray, frequency: NDArray) -> tuple[NDArray, NDArray]:
        """Places of rows that few people lack a call of, and the frequency of the ALT there."""
        if self.policy is None or self.policy.missing_floor < 2:
            return np.empty(0, np.int64), np.empty(0)
        places, exchanged = stored(rows)
        missing = self.missing(rows)
        few = (missing > 0) & (missing < self.policy.missing_floor)
        return places[few], np.where(exchanged, 1.0 - frequency, frequency)[few]

    def listed(self) -> NDArray:
        """Which of the site's rows its policy lets it name, bool (own rows,)."""
        minor = self.minor(self.own_rows)
        if minor is None or self.policy is None:
            return np.ones(self.own_rows.size, bool)
        return ~below(minor, self.policy.allele_floor, self.policy)
