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
from genome_eu.disclosure import Facts, Policy, Release, release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError, Refused
from genome_eu.federation.people import People
from genome_eu.federation.plan import LinearParameters, Plan, check_inputs
from genome_eu.federation.state import SiteState
from genome_eu.stats import counts, linear, pca, variants
from genome_eu.stats.aggregate import Aggregate, concatenate

Part = tuple[Aggregate, Facts]

# Numbers in a shard of a question that is asked directly, and the fewest for a row.
_SHARD_NUMBERS = 2**20
_LEAST_WIDTH = 8


def _linear_width(statistic: str, covariates: int, traits: int) -> int:
    """Numbers of a linear statistic for each row, while it is computed."""
    by_row = covariates * (covariates + traits) + traits if statistic == "linear_complete" else 0
    return 2 * (covariates + traits) + by_row


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
        self.policy = policy
        self.included = np.ones(store.people, bool) if people is None else np.asarray(people, bool)
        self.state = state or SiteState()
        self.backend = backend
        self.block_size = block_size
        self.own_rows = np.flatnonzero(store.rows["autosomal"].to_numpy())
        self._panels: dict[str, NDArray] = {}
        self._minor_alleles: NDArray | None = None
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
        if plan.statistic not in self._answers:
            raise Refused(f"statistic {plan.statistic} is not installed at this site")
        check_inputs(plan.statistic, inputs)
        yield from self._answers[plan.statistic](plan, inputs)

    def release(self, plan: Plan, inputs: dict[str, NDArray], spool: Spool) -> Release:
        """Compute what a plan asks and pass it through the airlock.

        Raises
        ------
        Refused
            The policy withholds the answer, or there is no policy.
        """
        if self.policy is None:
            raise Refused(f"site {self.name} has no disclosure policy; nothing leaves without one")
        return release(
            self.answer(plan, inputs),
            site=self.name,
            plan=plan.hash,
            statistic=plan.statistic,
            version=plan.version,
            policy=self.policy,
            spool=spool,
        )

    # -- rows and people ---------------------------------------------------------------------

    def rows_per_shard(self, statistic: str, parameters: Any) -> int:
        """Rows of a shard where nothing travels: whole blocks, as many as memory likes."""
        width = _LEAST_WIDTH
        if isinstance(parameters, LinearParameters):
            columns = len(parameters.covariate_mean)
            width = max(width, _linear_width(statistic, columns, len(parameters.traits)))
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
                own = variants.keys(self.store.rows.iloc[known])
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
    ) -> Iterator[Any]:
        """Shards of the plan, each made of blocks that fit a worker."""
        size = self._block_size(width)
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

    def _block_size(self, width: int) -> int:
        """Rows of a block with products of so many columns; a GPU must have room for them."""
        size = self.block_size or block_rows(self.store, width)
        if self.backend == "gpu":
            check_device_memory(size, self.store.people, width)
        return size

    def _everybody(self) -> NDArray:
        return np.where(self.included, 0, -1)

    # -- answers -----------------------------------------------------------------------------

    def _minor(self, rows: NDArray) -> NDArray | None:
        """Minor allele counts of store rows, to judge a release by; None without a policy."""
        if self.policy is None:
            return None
        if self._minor_alleles is None:
            self._minor_alleles = np.zeros(len(self.store.rows), np.int64)
            self._minor_alleles[self.own_rows] = self._count_minor()
        return self._minor_alleles[rows]

    def _count_minor(self) -> NDArray:
        if self.included.all():
            return counts.minor_alleles(self.store.row_counts[self.own_rows])
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
            text=variants.encode(self.store.rows.iloc[rows[listed]]),
            rows_listed=np.array(listed.sum()),
            rows_withheld=np.array((~listed).sum()),
            rows_total=np.array(len(self.store.rows)),
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
            parts = self._stream(
                plan, rows, counts.summarize, groups, shown + bool(hidden), width=5 * shown
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
            tallies = self.store.row_counts[rows[start:stop], None]
            yield counts.tallied(tallies, np.array([self.people]))

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
        x, y = self._covariates(asked), self._table.columns(asked.traits, "trait")
        return self._table.model(x, y, asked, judged=self.policy is not None)

    def _linear_design(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        model, facts = self._model(plan)
        yield linear.summarize_design(model), facts

    def _linear_rows(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        model, facts = self._model(plan)
        summarize = {
            "linear_mean": linear.summarize_mean,
            "linear_raw": linear.summarize_raw,
            "linear_complete": linear.summarize_complete,
        }[plan.statistic]
        width = _linear_width(plan.statistic, model.x.shape[1], model.y.shape[1])
        for part in self._stream(plan, rows, summarize, model, width=width):
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
