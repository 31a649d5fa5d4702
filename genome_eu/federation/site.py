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
from genome_eu.disclosure import Airlock, Evidence, Facts, Judged, Policy, Release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError, Refused
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.people import People
from genome_eu.federation.plan import (
    INPUTS,
    GenotypeCountsParameters,
    LinearParameters,
    Plan,
    array_digest,
    check_inputs,
)
from genome_eu.federation.secure_round import NamesOnly
from genome_eu.federation.state import SiteState
from genome_eu.stats import counts, linear, pca, variants
from genome_eu.stats.aggregate import Aggregate, concatenate

Part = tuple[Aggregate, Facts]

# What is summed of each row, and how.
_LINEAR_ROWS: dict[str, tuple[type[linear.RowSums], Callable[..., linear.RowSums]]] = {
    "linear_mean": (linear.MeanSums, linear.summarize_mean),
    "linear_raw": (linear.RawSums, linear.summarize_raw),
    "linear_complete": (linear.CompleteSums, linear.summarize_complete),
}

# Numbers in a shard of a question that is asked directly, and the fewest for a row.
_SHARD_NUMBERS = 2**20
_LEAST_WIDTH = 8


def _linear_width(
    kind: type[linear.RowSums], asked: LinearParameters, people: int
) -> tuple[int, int]:
    """Numbers of a linear statistic for each row, and columns that are multiplied at a time."""
    covariates = len(asked.covariate_mean) + (not asked.site_effects)
    model = covariates, len(asked.traits), max(asked.groups) + 1
    columns = linear.columns_at_a_time(kind, *model, people)
    return linear.numbers_per_row(kind, *model) + columns, columns


def _counts_width(groups: int) -> int:
    """Numbers of genotype counts for each row, everybody being the first of the groups."""
    return 5 * groups


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
        self._answers: dict[str, Callable[[Plan, dict[str, NDArray]], Iterator[Part]]] = {
            "variant_list": self._variant_list,
            "group_sizes": self._group_sizes,
            "genotype_counts": self._genotype_counts,
            "trait_moments": self._trait_moments,
            "linear_design": self._linear_design,
            "linear_mean": self._linear_rows,
            "linear_raw": self._linear_rows,
            "linear_complete": self._linear_rows,
            "pca_projection": self._projection,
            "pca_scores": self._scores,
        }

    @classmethod
    def open(cls, name: str, path: str | Path, policy: Policy | None = None, **more: Any) -> Site:
        """A site on the cohort stored at `path`."""
        return cls(name, open_store(path), policy, **more)

    @cached_property
    def _table(self) -> People:
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
        yield from self._answers[plan.statistic](plan, inputs)

    def _admit(self, plan: Plan, inputs: dict[str, NDArray]) -> None:
        """Refuse a question that no site of this version is asked."""
        if plan.statistic not in self._answers:
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
        panel = array_digest(inputs["panel"]) if "panel" in inputs else ""
        asked, kind = plan.asked(), plan.statistic
        if kind == "group_sizes":
            return exposed.groups(self._table.groups(asked.by), None)
        if kind == "genotype_counts":
            labels = self._table.groups(asked.by) if asked.by else None
            return exposed.groups(labels, asked.groups, rows=plan.rows, panel=panel)
        if kind == "pca_projection":
            return exposed.projection(inputs, plan.rows)
        if kind == "pca_scores":
            return exposed.scores(inputs)
        if kind == "variant_list":
            return exposed.everybody()
        x, y = self._covariates(asked), self._table.columns(asked.traits, "trait")
        if kind in _LINEAR_ROWS:
            return exposed.model(x, y, asked.traits, rows=plan.rows, panel=panel)
        # Scores are products with genotypes, and loadings on a single row make them that row.
        scores = x.shape[1] - len(asked.covariates)
        said = exposed.moments if kind == "trait_moments" else exposed.model
        return said(x, y, asked.traits, rows=scores, panel=asked.pca or "")

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
        width = _LEAST_WIDTH
        if statistic in _LINEAR_ROWS:
            kind, _ = _LINEAR_ROWS[statistic]
            width = max(width, _linear_width(kind, parameters, self.store.people)[0])
        elif isinstance(parameters, GenotypeCountsParameters):
            width = max(width, _counts_width(1 + len(parameters.groups)))
        size = self.block_size or block_rows(self.store, width)
        return size * max(1, _SHARD_NUMBERS // (size * width))

    def _panel(self, plan: Plan, inputs: dict[str, NDArray]) -> NDArray:
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
                known = self.own_rows[self._listed()]
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

    def _stream(
        self,
        plan: Plan,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray] = (),
        width: int,
        columns: int | None = None,
    ) -> Iterator[Any]:
        """Shards of the plan, each made of blocks that fit a worker (see `_block_size`)."""
        size = self._block_size(width, columns)
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

    def _summed(
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
                size=self._block_size(width),
                summary_bytes=8 * self.store.people * width,
                backend=self.backend,
                progress=progress,
            )

    def _block_size(self, width: int, columns: int | None = None) -> int:
        """Rows of a block of which so many numbers are kept; a GPU must have room for it.

        `columns` are multiplied at a time there: as many as numbers are kept if not given.
        """
        size = self.block_size or block_rows(self.store, width)
        if self.backend == "gpu":
            check_device_memory(size, self.store.people, columns or width)
        return size

    def _everybody(self) -> NDArray:
        return np.where(self.included, 0, -1)

    # -- answers -----------------------------------------------------------------------------

    def _minor(self, rows: NDArray) -> NDArray | None:
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
            self._everybody(),
            size=self._block_size(3),
            backend=self.backend,
        )
        return np.concatenate([np.empty(0, np.int64), *parts])

    def _listed(self) -> NDArray:
        """Which of the site's rows its policy lets it name, bool (own rows,)."""
        minor = self._minor(self.own_rows)
        if minor is None or self.policy is None:
            return np.ones(self.own_rows.size, bool)
        return ~below(minor, self.policy.allele_floor, self.policy)

    def _variant_list(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows, listed = self.own_rows, self._listed()
        part = variants.VariantList(
            text=variants.encode(self.store.names(rows[listed])),
            rows_listed=np.array(listed.sum()),
            rows_withheld=np.array((~listed).sum()),
            rows_total=np.array(self.store.n_rows),
            build=np.array({"GRCh37": 37, "GRCh38": 38}.get(self.store.build, 0)),
        )
        yield part, Facts(people=self.people)

    def _group_sizes(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        labels = self._table.groups(plan.asked().by)
        names, sizes = np.unique(labels[labels != ""].astype(str), return_counts=True)
        part = counts.group_sizes(list(names), sizes, self.people)
        yield part, Facts(people=self.people, hidden_people=self.people - int(sizes.sum()))

    def _genotype_counts(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        asked = plan.asked()
        rows = self._panel(plan, inputs)
        groups = self._everybody()
        hidden = 0
        if asked.by:
            labels = self._table.groups(asked.by)
            # People in no group that was asked for are counted apart: they could be found by
            # subtracting the groups from everybody.
            place = {name: number for number, name in enumerate(asked.groups, start=1)}
            last = len(asked.groups) + 1
            numbers = np.array([place.get(label, last) for label in labels])
            groups = np.where(self.included, numbers, -1)
            hidden = int((groups == last).sum())
        shown = len(asked.groups) + 1
        if shown == 1 and not hidden and self.included.all():
            parts = self._counted_at_import(plan, rows)
        else:
            counted = shown + bool(hidden)
            parts = self._stream(
                plan, rows, counts.summarize, groups, counted, width=_counts_width(counted)
            )
        for part in parts:
            yield (
                part.select(slice(shown)),
                Facts(
                    people=self.people,
                    hidden_people=hidden,
                    hidden_counts=part.select(slice(shown, None)) if hidden else None,
                ),
            )

    def _counted_at_import(self, plan: Plan, rows: NDArray) -> Iterator[counts.GenotypeCounts]:
        """Counts of everybody, without reading a genotype."""
        for start, stop in plan.spans():
            tallies = self.store.counts(rows[start:stop])
            yield counts.tallied(tallies[:, None], np.array([self.people]))

    def _covariates(self, asked: Any) -> NDArray:
        """Covariate columns, then the scores of the PCA if one is named."""
        x = self._table.columns(asked.covariates, "covariate")
        if asked.pca is None:
            return x
        return np.hstack([x, self.state.scores(asked.pca, self.store.genotype_digest).values])

    def _trait_moments(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        asked = plan.asked()
        yield self._table.moments(
            self._covariates(asked),
            self._table.columns(asked.traits, "trait"),
            judged=self.policy is not None,
        )

    def _model(self, plan: Plan) -> tuple[linear.Design, Facts]:
        asked = plan.asked()
        if plan.statistic == "linear_mean" and not asked.site_effects:
            raise BundleError("linear_mean centres within sites; ask linear_raw instead")
        if plan.statistic == "linear_raw" and asked.site_effects:
            raise BundleError("linear_raw has one common mean; ask linear_mean instead")
        return self._table.model(
            self._covariates(asked),
            self._table.columns(asked.traits, "trait"),
            asked,
            judged=self.policy is not None,
        )

    def _linear_design(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        model, facts = self._model(plan)
        yield linear.summarize_design(model), facts

    def _linear_rows(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        model, facts = self._model(plan)
        kind, summarize = _LINEAR_ROWS[plan.statistic]
        width, columns = _linear_width(kind, plan.asked(), self.store.people)
        for part in self._stream(plan, rows, summarize, model, width=width, columns=columns):
            yield part, facts

    def _frequency(self, plan: Plan, inputs: dict[str, NDArray]) -> tuple[NDArray, NDArray]:
        frequency, loadings = inputs["frequency"], inputs["loadings"]
        if frequency.shape != (plan.rows,) or loadings.shape[:1] != (plan.rows,):
            raise BundleError("frequencies and loadings do not have the rows of the panel")
        return frequency, loadings

    def _project_people(self, plan: Plan, inputs: dict[str, NDArray], rows: NDArray) -> NDArray:
        """ZᵀQ for the people who take part, 0 for the others."""
        frequency, loadings = self._frequency(plan, inputs)
        scores = self._summed(
            plan.statistic,
            rows,
            pca.project_people,
            by_row=(frequency, loadings),
            width=loadings.shape[1],
        )
        return np.where(self.included[:, None], scores, 0.0)

    def _projection(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        frequency, loadings = self._frequency(plan, inputs)
        scores = self._project_people(plan, inputs, rows)
        facts = Facts(
            people=self.people, columns=loadings.shape[1], minor_alleles=self._minor(rows)
        )
        for part in self._stream(
            plan,
            rows,
            pca.summarize_projection,
            scores,
            self.people,
            by_row=(frequency,),
            width=loadings.shape[1],
        ):
            yield part, facts

    def _scores(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        asked = plan.asked()
        if asked.pca != pca.identify(**{name: inputs[name] for name in pca.IDENTITY}):
            raise BundleError("the plan's PCA id is not that of its loadings")
        values = self._project_people(plan, inputs, rows) / np.sqrt(inputs["eigenvalues"])
        values[~self.included] = np.nan
        scores = pca.Scores(values)
        part = pca.summarize_scores(scores, self.included)
        yield part, Facts(people=self.people, minor_alleles=self._minor(rows))
        # Reached only when the airlock has let the means out.
        self.state.keep(asked.pca, self.store.genotype_digest, scores)

    # -- the PCA of one's own people, which no plan can ask for ------------------------------------

    def apply_covariance(self, rows: NDArray, frequency: NDArray, columns: NDArray) -> NDArray:
        """ZᵀZ times columns over the people who take part, (people, width), in one pass."""
        scores = self._spread(columns)
        product = self._summed(
            "PCA", rows, pca.apply_covariance, scores, by_row=(frequency,), width=columns.shape[1]
        )
        return product[self.included]

    def loadings(self, rows: NDArray, frequency: NDArray, found: pca.Components) -> NDArray:
        """Loadings of store rows, of unit norm, from the scores of the people who take part."""
        scores = self._spread(found.vectors / np.sqrt(found.eigenvalues))
        width = scores.shape[1]
        size = self._block_size(width)
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
