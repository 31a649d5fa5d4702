"""What a site holds: a cohort, who of it takes part, and who is haploid where."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, HaploidCalls, sexes
from genome_eu.compute import choose
from genome_eu.disclosure import Airlock, Policy
from genome_eu.federation.inside.located import Located
from genome_eu.federation.inside.people import People
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.parameters.filters import PeopleFilters
from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.stats.kinship import Relatives
from genome_eu.stats.ploidy import (
    Association,
    Copies,
    PloidyClass,
    PloidyName,
    XMales,
    association,
    copies,
)
from genome_eu.stats.qc.people import PersonMeasures
from genome_eu.stats.qc.removal import RemovedPeople
from genome_eu.stats.regions import Regions


class Held:
    """A cohort and who of it takes part; `Site` says what it is made of."""

    def __init__(
        self,
        name: str,
        store: CohortStore,
        policy: Policy | None = None,
        *,
        people: NDArray | None = None,
        callable_regions: Regions | None = None,
        state: SiteState | None = None,
        backend: str = "cpu",
        block_size: int | None = None,
    ) -> None:
        self.name = name
        self.store = store
        self.state = state or SiteState()
        self.policy = policy
        self.callable_regions = callable_regions
        self.airlock = Airlock(policy, self.state.folder) if policy is not None else None
        self.included = np.ones(store.people, bool) if people is None else np.asarray(people, bool)
        self.backend = backend
        self.block_size = block_size
        self.ploidy = store.ploidy
        self.own_rows = np.flatnonzero(self.countable)
        self._panels: dict[str, Located] = {}
        self._minor_alleles: NDArray | None = None
        self._hashes: NDArray | None = None
        #: Whom limits on people have removed: nobody, until `among` is asked.
        self.removed = RemovedPeople(self.included, np.full(store.people, -1, np.int8))
        self._narrowed: dict[PeopleFilters, Self] = {}
        self._measures: PersonMeasures | None = None
        self._relatives: Relatives | None = None
        self._found: tuple[str, NDArray] | None = None

    @cached_property
    def table(self) -> People:
        """The sample table of the people who take part."""
        return People(self.store.samples, self.included)

    @property
    def cohort_digest(self) -> str:
        """Hash of the cohort that answers: genotypes, who takes part, where it could call."""
        if self.included.all() and self.callable_regions is None:
            return self.store.digest
        said = bytes.fromhex(self.store.digest) + np.packbits(self.included).tobytes()
        if self.callable_regions is not None:
            said += bytes.fromhex(self.callable_regions.digest)
        return hashlib.sha256(said).hexdigest()

    @property
    def people(self) -> int:
        """People who take part."""
        return int(self.included.sum())

    def use_device(self, device: str) -> None:
        """Compute where `device` says, "auto", "cpu" or "gpu"; ask inside `connected`."""
        self.backend = choose(device, self.own_rows.size * self.store.people)

    def once(self, key: str, find: Callable[[], NDArray]) -> NDArray:
        """What a pass over the genotypes gives: kept, the last one, for who asks by the same key.

        What is to leave and whom it exposes are found out apart.
        """
        if self._found is None or self._found[0] != key:
            self._found = key, find()
        return self._found[1]

    def everybody(self) -> NDArray:
        """Labels for counting: 0 for the people who take part, −1 for all others."""
        return np.where(self.included, 0, -1)

    @cached_property
    def _sexes(self) -> tuple[NDArray, NDArray]:
        return sexes(self.store)

    @cached_property
    def countable(self) -> NDArray[np.bool_]:
        """Rows of the store whose ploidy is known, bool; X and Y only where somebody's sex is."""
        known = self.ploidy != PloidyClass.UNDEFINED
        sexed = (self.ploidy == PloidyClass.X) | (self.ploidy == PloidyClass.Y)
        if sexed.any() and not np.any(self._sexes):
            known &= ~sexed
        return known

    def copies(self, kind: PloidyName) -> Copies:
        """Who is counted in rows of a kind and who is haploid there, (people of the store,)."""
        return copies(kind, *self._sexes)

    def association(self, kind: PloidyName, x_males: XMales = "0/2") -> Association:
        """How a model of a trait differs in rows of a kind, (people of the store,).

        Nobody takes part where a policy would not let so few be described: males on Y, or either
        sex on X.
        """
        found = association(kind, *self._sexes, x_males)
        if self.policy is None or kind == "diploid":
            return found
        people = found.people & self.included
        fewest = min(int((people & found.haploid).sum()), int((people & ~found.haploid).sum()))
        small = int(people.sum()) < self.policy.min_people
        small |= kind == "x" and 0 < fewest < max(
            self.policy.min_people, self.policy.covariate_floor
        )
        return replace(found, people=found.people & (not small))

    def halved(self, asked: ModelParameters, members: NDArray) -> int:
        """How many of these people have one copy that counts as one, not two."""
        if asked.ploidy == "diploid":
            return 0
        found = self.association(asked.ploidy, asked.x_males)
        return int((members & found.haploid).sum()) if found.halved else 0

    def haploid_calls(self, kind: PloidyName, x_males: XMales = "0/2") -> HaploidCalls | None:
        """How the calls of haploid people are read in rows of a kind; None where nobody is one."""
        found = self.association(kind, x_males)
        return None if kind == "diploid" else HaploidCalls(found.haploid, found.halved)
