"""A site: its cohort on one side, plans and releases on the other. The only place they meet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.compute import Progress, block_rows, edges, reduce, stream
from genome_eu.disclosure import Facts, Policy, Release, release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError, Refused
from genome_eu.federation.people import People
from genome_eu.federation.plan import Plan, check_inputs
from genome_eu.federation.state import SiteState
from genome_eu.stats import counts, linear, pca, variants
from genome_eu.stats.aggregate import Aggregate, concatenate

Part = tuple[Aggregate, Facts]


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
        self._table = People(store.samples, self.included)
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

    def _panel(self, plan: Plan, inputs: dict[str, NDArray]) -> NDArray:
        """Store rows of the panel that a plan names, in the panel's order."""
        text = inputs.get("panel")
        if text is None:
            if self.policy is not None:
                raise BundleError("the plan names no panel")
            mask = inputs.get("mask")
            rows = self.own_rows if mask is None else self.own_rows[mask]
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
        size = self.block_size or block_rows(self.store, width)
        ends = [stop for _, stop in plan.spans()]
        with Progress(f"{self.name}: {plan.statistic}", rows.size) as progress:
            results = stream(
                self.store,
                rows,
                function,
                *constants,
                by_row=by_row,
                size=size,
                width=width,
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

    def _everybody(self) -> NDArray:
        return np.where(self.included, 0, -1)

    # -- answers -----------------------------------------------------------------------------

    def _minor(self, rows: NDArray) -> NDArray | None:
        """Minor allele counts of store rows, to judge a release by; None without a policy."""
        if self.policy is None:
            return None
        if self._minor_alleles is None:
            size = self.block_size or block_rows(self.store)
            everybody = np.where(self.included, 0, -1)
            parts = stream(
                self.store,
                self.own_rows,
                counts.summarize_minor,
                everybody,
                size=size,
                backend=self.backend,
            )
            self._minor_alleles = np.zeros(len(self.store.rows), np.int64)
            self._minor_alleles[self.own_rows] = np.concatenate([np.empty(0, np.int64), *parts])
        return self._minor_alleles[rows]

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
        for part in self._stream(
            plan, rows, counts.summarize, groups, shown + bool(hidden), width=5 * shown
        ):
            yield (
                part.select(slice(shown)),
                Facts(
                    people=self.people,
                    hidden_people=hidden,
                    hidden_counts=part.select(slice(shown, None)) if hidden else None,
                ),
            )

    def _covariates(self, asked: Any) -> NDArray:
        """Covariate columns, then the scores of the PCA if one is named."""
        x = self._table.columns(asked.covariates, "covariate")
        if asked.pca is None:
            return x
        return np.hstack([x, self.state.scores(asked.pca, self.store.genotype_digest).values])

    def _trait_moments(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        asked = plan.asked()
        yield self._table.moments(
            self._covariates(asked), self._table.columns(asked.traits, "trait")
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
        c, t = model.x.shape[1], model.y.shape[1]
        width = 2 * (c + t) + (c * c + c * t + t if plan.statistic == "linear_complete" else 0)
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
        width = loadings.shape[1]
        with Progress(f"{self.name}: {plan.statistic}", rows.size) as progress:
            scores = reduce(
                self.store,
                rows,
                pca.project_people,
                add=np.add,
                by_row=(frequency, loadings),
                size=self.block_size or block_rows(self.store, width),
                backend=self.backend,
                progress=progress,
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
        if self.policy is None:
            self.state.keep(asked.pca, self.store.genotype_digest, scores)
        yield part, Facts(people=self.people, minor_alleles=self._minor(rows))
        if self.policy is not None:
            # Reached only when the airlock has let the means out.
            self.state.keep(asked.pca, self.store.genotype_digest, scores)
