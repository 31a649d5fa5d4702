"""A site: its cohort on one side, plans and releases on the other. The only place they meet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.compute import (
    Progress,
    block_rows,
    check_device_memory,
    choose,
    edges,
    reduce,
    stream,
)
from genome_eu.disclosure import Airlock, Evidence, Judged, Policy, Release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError, Refused
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.answers.answering import Part
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.parameters import INPUTS, check_inputs
from genome_eu.federation.people import People
from genome_eu.federation.plan import Plan
from genome_eu.federation.secure_round import NamesOnly
from genome_eu.federation.state import SiteState
from genome_eu.stats import counts, pca, variants
from genome_eu.stats.aggregate import concatenate

# Numbers in a shard of a question that is asked directly, and the fewest for a row.
_SHARD_NUMBERS = 2**20
_LEAST_WIDTH = 8


class Site:
    """Answers plans from one cohort.

    Parameters
    ----------
    name : str
        The site's name in the federation.
    store : CohortStore
        Its genotypes and sample table.
    policy : Policy, optional
        Needed to release anything; a cohort that is asked directly has none.
    people : bool array, shape (people,), optional
        The people of the store who take part; all of them by default.
    state : SiteState, optional
        Where scores are kept.
    backend : str
        Kernel backend.
    """

    def __init__(
        self,
        name: str,
        store: CohortStore,
        policy: Policy | None = None,
        *,
        people: NDArray | None = None,
        state: SiteState | None = None,
        backend: str = "cpu",
        block_size: int | None = None,
    ) -> None:
        self.name = name
        self.store = store
        self.state = state or SiteState()
        self.policy = policy
        self.airlock = Airlock(policy, self.state.folder) if policy is not None else None
        self.included = np.ones(store.people, bool) if people is None else np.asarray(people, bool)
        self.backend = backend
        self.block_size = block_size
        self.own_rows = np.flatnonzero(store.autosomal)
        self._panels: dict[str, NDArray] = {}
        self._minor_alleles: NDArray | None = None
        self._hashes: NDArray | None = None

    @classmethod
    def open(cls, name: str, path: str | Path, policy: Policy | None = None, **more: Any) -> Site:
        """A site on the cohort stored at `path`."""
        return cls(name, open_store(path), policy, **more)

    @cached_property
    def table(self) -> People:
        """The sample table of the people who take part."""
        return People(self.store.samples, self.included)

    @property
    def cohort_digest(self) -> str:
        """Hash of the cohort that answers, and of which of its people take part."""
        if self.included.all():
            return self.store.digest
        mask = np.packbits(self.included).tobytes()
        return hashlib.sha256(bytes.fromhex(self.store.digest) + mask).hexdigest()

    @property
    def people(self) -> int:
        """People who take part."""
        return int(self.included.sum())

    def use_device(self, device: str) -> None:
        """Compute where `device` says, "auto", "cpu" or "gpu"; ask inside `connected`."""
        self.backend = choose(device, self.own_rows.size * self.store.people)

    def answer(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        """Compute what a plan asks, shard by shard. Nothing of it has passed the airlock yet."""
        self._admit(plan, inputs)
        yield from ANSWERING[plan.statistic].answer(self, plan, inputs)

    def _admit(self, plan: Plan, inputs: dict[str, NDArray]) -> None:
        """Refuse a question that no site of this version is asked."""
        if plan.statistic not in ANSWERING:
            raise Refused(f"statistic {plan.statistic} is not installed at this site")
        check_inputs(plan.statistic, inputs)
        if "loadings" in INPUTS.get(plan.statistic, {}) and "loadings" not in inputs:
            raise BundleError(f"the plan of {plan.statistic} has no loadings")

    def judge(
        self,
        plan: Plan,
        inputs: dict[str, NDArray],
        spool: Spool,
        doubts: Sequence[Evidence] = (),
    ) -> Judged:
        """Compute what a plan asks and judge it by the policy. It has not left.

        Raises
        ------
        Refused
            The policy withholds the answer, or there is no policy.
        """
        if self.airlock is None:
            raise Refused(f"site {self.name} has no disclosure policy; nothing leaves without one")
        return self.airlock.judge(
            self.answer(plan, inputs),
            self.exposure(plan, inputs),
            site=self.name,
            plan=plan.hash,
            statistic=plan.statistic,
            version=plan.version,
            spool=NamesOnly(spool) if plan.secure_sum and not plan.masked else spool,
            floors=not plan.masked,
            doubts=doubts,
        )

    def exposure(self, plan: Plan, inputs: dict[str, NDArray]) -> Exposure:
        """Whom the answer to a plan describes, and by which columns; it stays here."""
        if self.airlock is None:
            raise Refused(f"site {self.name} has no disclosure policy; nothing leaves without one")
        self._admit(plan, inputs)
        budget = self.airlock.budget
        if self._hashes is None:
            self._hashes = budget.hashes(self.store.sample_id)
        exposed = Exposed(budget, self._hashes, self.included, self.airlock.policy)
        return ANSWERING[plan.statistic].exposure(self, exposed, plan, inputs)

    def release(self, plan: Plan, inputs: dict[str, NDArray], spool: Spool) -> Release:
        """Compute what a plan asks and pass it through the airlock.

        Raises
        ------
        Refused
            The policy withholds the answer, there is no policy, or a person must decide first.
        """
        judged = self.judge(plan, inputs, spool)
        assert self.airlock is not None  # noqa: S101 - `judge` has refused otherwise
        return self.airlock.release(judged)

    # -- rows and people ---------------------------------------------------------------------

    def rows_per_shard(self, statistic: str, parameters: Any) -> int:
        """Rows of a shard where nothing travels: whole blocks, as many as memory likes."""
        width = max(_LEAST_WIDTH, ANSWERING[statistic].width(parameters, self.store.people))
        size = self.block_size or block_rows(self.store, width)
        return size * max(1, _SHARD_NUMBERS // (size * width))

    def panel(self, plan: Plan, inputs: dict[str, NDArray]) -> NDArray:
        """Store rows of the panel that a plan names, in the panel's order."""
        text = inputs.get("panel")
        if text is None:
            if self.policy is not None:
                raise BundleError("the plan names no panel")
            rows = self.own_rows
        else:
            key = variants.digest(text)
            if key not in self._panels:
                # Rows below the floor are as good as absent: answering for them, or refusing them
                # in other words, would tell who asks that somebody here carries them.
                known = self.own_rows[self.listed()]
                own = variants.keys(self.store.names(known))
                asked = variants.keys(variants.decode(text))
                once = ~own.duplicated(keep=False)
                found = pd.Index(own[once]).get_indexer(asked)
                if np.any(found < 0):
                    raise PanelError("the panel holds rows that this site does not list")
                # One panel at a time: a study keeps to its own.
                self._panels = {key: known[once][found]}
            rows = self._panels[key]
        if rows.size != plan.rows:
            raise BundleError(f"the plan speaks of {plan.rows} rows, its panel has {rows.size}")
        return rows

    def stream(
        self,
        plan: Plan,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray] = (),
        width: int,
        columns: int | None = None,
    ) -> Iterator[Any]:
        """Shards of the plan, each made of blocks that fit a worker (see `rows_of_block`)."""
        size = self.rows_of_block(width, columns)
        ends = [stop for _, stop in plan.spans()]
        with Progress(f"{self.name}: {plan.statistic}", rows.size) as progress:
            results = stream(
                self.store,
                rows,
                function,
                *constants,
                by_row=by_row,
                size=size,
                summary_bytes=8 * size * width,
                ends=ends,
                backend=self.backend,
                progress=progress,
            )
            shard_ends = set(ends)
            blocks: list[Any] = []
            for (_, stop), result in zip(edges(rows.size, size, ends), results, strict=True):
                blocks.append(result)
                if stop in shard_ends:
                    yield concatenate(blocks)
                    blocks = []

    def summed(
        self,
        title: str,
        rows: NDArray,
        function: Callable[..., NDArray],
        *constants: Any,
        by_row: Sequence[NDArray],
        width: int,
    ) -> NDArray:
        """A sum over rows of products with people, (people of the store, width)."""
        with Progress(f"{self.name}: {title}", rows.size) as progress:
            return reduce(
                self.store,
                rows,
                function,
                *constants,
                add=np.add,
                by_row=by_row,
                size=self.rows_of_block(width),
                summary_bytes=8 * self.store.people * width,
                backend=self.backend,
                progress=progress,
            )

    def rows_of_block(self, width: int, columns: int | None = None) -> int:
        """Rows of a block of which so many numbers are kept; a GPU must have room for it.

        `columns` are multiplied at a time there: as many as numbers are kept if not given.
        """
        size = self.block_size or block_rows(self.store, width)
        if self.backend == "gpu":
            check_device_memory(size, self.store.people, columns or width)
        return size

    def everybody(self) -> NDArray:
        """Labels for counting: 0 for the people who take part, −1 for all others."""
        return np.where(self.included, 0, -1)

    def minor(self, rows: NDArray) -> NDArray | None:
        """Minor allele counts of store rows, to judge a release by; None without a policy."""
        if self.policy is None:
            return None
        if self._minor_alleles is None:
            self._minor_alleles = np.zeros(self.store.n_rows, np.int64)
            self._minor_alleles[self.own_rows] = self._count_minor()
        return self._minor_alleles[rows]

    def _count_minor(self) -> NDArray:
        if self.included.all():
            return counts.minor_alleles(self.store.counts(self.own_rows))
        parts = stream(
            self.store,
            self.own_rows,
            counts.summarize_minor,
            self.everybody(),
            size=self.rows_of_block(3),
            backend=self.backend,
        )
        return np.concatenate([np.empty(0, np.int64), *parts])

    def listed(self) -> NDArray:
        """Which of the site's rows its policy lets it name, bool (own rows,)."""
        minor = self.minor(self.own_rows)
        if minor is None or self.policy is None:
            return np.ones(self.own_rows.size, bool)
        return ~below(minor, self.policy.allele_floor, self.policy)

    # -- the PCA of one's own people, which no plan can ask for ------------------------------------

    def apply_covariance(self, rows: NDArray, frequency: NDArray, columns: NDArray) -> NDArray:
        """ZᵀZ times columns over the people who take part, (people, width), in one pass."""
        scores = self._spread(columns)
        product = self.summed(
            "PCA", rows, pca.apply_covariance, scores, by_row=(frequency,), width=columns.shape[1]
        )
        return product[self.included]

    def loadings(self, rows: NDArray, frequency: NDArray, found: pca.Components) -> NDArray:
        """Loadings of store rows, of unit norm, from the scores of the people who take part."""
        scores = self._spread(found.vectors / np.sqrt(found.eigenvalues))
        width = scores.shape[1]
        size = self.rows_of_block(width)
        with Progress(f"{self.name}: loadings", rows.size) as progress:
            parts = stream(
                self.store,
                rows,
                pca.project_rows,
                scores,
                by_row=(frequency,),
                size=size,
                summary_bytes=8 * size * width,
                backend=self.backend,
                progress=progress,
            )
            return np.concatenate(list(parts))

    def keep_scores(self, pca_id: str, scores: NDArray) -> None:
        """Keep the scores of the people who take part, for a GWAS to adjust with."""
        values = self._spread(scores)
        values[~self.included] = np.nan
        self.state.keep(pca_id, self.store.genotype_digest, pca.Scores(values))

    def _spread(self, columns: NDArray) -> NDArray:
        """Columns over all people of the store, 0 for those who take no part."""
        whole = np.zeros((self.store.people, columns.shape[1]))
        whole[self.included] = columns
        return whole
