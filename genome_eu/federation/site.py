"""A site: its cohort on one side, plans and releases on the other. The only place they meet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.cohort import CohortStore, open_store
from genome_eu.compute import Progress, block_rows, reduce, stream
from genome_eu.disclosure import Facts, Policy, Release, release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.checks import below
from genome_eu.errors import BundleError, PanelError, Refused, TraitError
from genome_eu.federation.plan import LinearParameters, Plan
from genome_eu.stats import counts, linear, pca, traits, variants
from genome_eu.stats.aggregate import Aggregate, concatenate

_LABEL = re.compile(r"[A-Za-z0-9.-]{1,32}")
_PCA_ID = re.compile(r"[0-9a-f]{16}")

Part = tuple[Aggregate, Facts]


@dataclass
class SiteState:
    """What a site keeps between rounds: the scores of its people, by the id of the PCA."""

    folder: Path | None = None
    _scores: dict[str, pca.Scores] = field(default_factory=dict)

    def keep(self, pca_id: str, scores: pca.Scores) -> None:
        """Keep scores; on disk they are readable by their owner only."""
        self._scores[pca_id] = scores
        if self.folder is not None:
            path = self._path(pca_id)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            np.save(path, scores.values, allow_pickle=False)

    def scores(self, pca_id: str) -> pca.Scores:
        """Scores kept in an earlier round.

        Raises
        ------
        TraitError
            This site has none under that id.
        """
        if pca_id not in self._scores:
            path = self._path(pca_id)
            if self.folder is None or not path.exists():
                raise TraitError(f"there are no scores of PCA {pca_id} here; run the PCA first")
            self._scores[pca_id] = pca.Scores(np.load(path, allow_pickle=False))
        return self._scores[pca_id]

    def _path(self, pca_id: str) -> Path:
        if not _PCA_ID.fullmatch(pca_id):
            raise TraitError(f"{pca_id!r} is not the id of a PCA")
        return (self.folder or Path()) / "scores" / f"{pca_id}.npy"


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
        self._known: NDArray | None = None
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
                self._panels[key] = known[once][found]
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
        with Progress(f"{self.name}: {plan.statistic}", rows.size) as progress:
            for start, stop in plan.spans():
                blocks = list(
                    stream(
                        self.store,
                        rows[start:stop],
                        function,
                        *constants,
                        by_row=[values[start:stop] for values in by_row],
                        size=min(size, plan.rows_per_shard),
                        backend=self.backend,
                        progress=progress,
                    )
                )
                if isinstance(blocks[0], tuple):
                    yield tuple(concatenate(parts) for parts in zip(*blocks, strict=True))
                else:
                    yield concatenate(blocks)

    def _counts(self, rows: NDArray) -> counts.GenotypeCounts:
        """Genotypes of everybody who takes part, for judging what may leave."""
        parts = stream(
            self.store,
            rows,
            counts.summarize,
            self._everybody(),
            1,
            size=self.block_size or block_rows(self.store),
            backend=self.backend,
        )
        return concatenate(list(parts))

    def _everybody(self) -> NDArray:
        return np.where(self.included, 0, -1)

    def _groups(self, by: Sequence[str]) -> NDArray:
        """The group of each person as text; "" for people in none."""
        label = np.full(self.store.people, "", dtype=object)
        for number, column in enumerate(by):
            if column not in self.store.samples:
                raise TraitError(f"{column} is not a column of the sample table")
            values = self.store.samples[column]
            text = values.astype(object).where(values.notna(), "").astype(str).to_numpy()
            wrong = [value for value in np.unique(text) if value and not _LABEL.fullmatch(value)]
            if wrong:
                raise TraitError(
                    f"column {column} has values that cannot name a group (letters, digits, '.' "
                    f"and '-', at most 32)"
                )
            known = (text != "") & (text != "unknown") & ((label != "") | (number == 0))
            label = np.where(known, label + ("_" if number else "") + text, "")
        return np.where(self.included, label, "")

    # -- answers -----------------------------------------------------------------------------

    def _listed(self) -> NDArray:
        """Which of the site's rows its policy lets it name, bool (own rows,)."""
        if self._known is None:
            rows = self.own_rows
            self._known = np.ones(rows.size, bool)
            if self.policy is not None and self.policy.allele_floor > 0 and rows.size:
                minor = self._counts(rows).minor_alleles[:, 0]
                self._known = ~below(minor, self.policy.allele_floor, self.policy)
        return self._known

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
        labels = self._groups(plan.asked().by)
        names, sizes = np.unique(labels[labels != ""].astype(str), return_counts=True)
        part = counts.group_sizes(list(names), sizes, self.people)
        yield part, Facts(people=self.people, hidden_people=self.people - int(sizes.sum()))

    def _genotype_counts(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        asked = plan.asked()
        rows = self._panel(plan, inputs)
        groups = self._everybody()
        hidden = 0
        if asked.by:
            labels = self._groups(asked.by)
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

    def _columns(self, names: Sequence[str], kind: str) -> NDArray:
        """Columns of the sample table as float64 (people, columns); NaN where missing."""
        table = self.store.samples
        columns = []
        for name in names:
            if name not in table:
                raise TraitError(f"{kind} {name} is not a column of the sample table")
            values = table[name]
            if name == "sex":
                # PLINK's coding; which of the two is larger changes no result.
                values = values.map({"M": 1.0, "F": 2.0})
            try:
                numbers = np.asarray(pd.to_numeric(values), dtype=float)
            except (ValueError, TypeError):
                raise TraitError(
                    f"{kind} {name} is not numeric; give numbers, and leave missing values empty"
                ) from None
            if np.isinf(numbers).any():
                raise TraitError(f"{kind} {name} holds an infinite value; correct the sample table")
            columns.append(numbers)
        return np.column_stack(columns) if columns else np.empty((self.store.people, 0))

    def _covariates(self, asked: Any) -> NDArray:
        """Covariate columns, then the scores of the PCA if one is named."""
        x = self._columns(asked.covariates, "covariate")
        if asked.pca is not None:
            scores = self.state.scores(asked.pca).values
            if scores.shape[0] != self.store.people:
                raise TraitError(f"PCA {asked.pca} was made on other people; run it again")
            x = np.hstack([x, scores])
        return x

    def _trait_moments(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        asked = plan.asked()
        x, y = self._covariates(asked), self._columns(asked.traits, "trait")
        x, y = x[self.included], y[self.included]
        complete = ~np.isnan(x).any(axis=1)
        named = np.hstack([x[:, : len(asked.covariates)], y])[complete]
        part = traits.summarize(x, y)
        people = int(part.trait_people.min())
        yield part, Facts(people=people, smallest_class=_smallest_class(named))

    def _design(self, asked: LinearParameters) -> tuple[linear.Design, Facts]:
        """The model, and what the checks must know of its people."""
        x, y = self._covariates(asked), self._columns(asked.traits, "trait")
        if x.shape[1] != len(asked.covariate_mean) or y.shape[1] != len(asked.trait_mean):
            raise BundleError("the plan has another number of origins than of columns")
        x = (x - np.asarray(asked.covariate_mean)) / np.asarray(asked.covariate_scale)
        y = (y - np.asarray(asked.trait_mean)) / np.asarray(asked.trait_scale)
        y = np.where(self.included[:, None], y, np.nan)
        model = linear.design(x, y, site_effects=asked.site_effects)
        people = int(model.included.sum())
        if self.policy is None:
            return model, Facts(people)
        named = np.hstack([x[:, : len(asked.covariates)], y])[model.included]
        columns = np.hstack([x, y])[model.included]
        return model, Facts(people, _smallest_class(named), _largest_leverage(columns))

    def _linear_design(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        model, facts = self._design(plan.asked())
        yield linear.summarize_design(model), facts

    def _linear_rows(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        model, facts = self._design(plan.asked())
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
        constants = (scores, self._everybody(), self.people)
        for part, found in self._stream(
            plan, rows, _project_rows, *constants, by_row=(frequency,), width=loadings.shape[1]
        ):
            yield part, Facts(people=self.people, minor_alleles=found.minor_alleles[:, 0])

    def _scores(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        rows = self._panel(plan, inputs)
        values = self._project_people(plan, inputs, rows) / np.sqrt(inputs["eigenvalues"])
        values[~self.included] = np.nan
        scores = pca.Scores(values)
        self.state.keep(plan.asked().pca, scores)
        facts = Facts(people=self.people, minor_alleles=self._counts(rows).minor_alleles[:, 0])
        yield pca.summarize_scores(scores, self.included), facts


def _smallest_class(columns: NDArray) -> int | None:
    """Fewest people who differ from the most common value, over the columns that vary."""
    fewest = []
    for column in columns.T:
        sizes = np.unique(column[~np.isnan(column)], return_counts=True)[1]
        if sizes.size > 1:
            fewest.append(int(sizes.sum() - sizes.max()))
    return min(fewest, default=None)


def _largest_leverage(columns: NDArray) -> float:
    """The largest of any person on these columns and an intercept: 1 where they single one out."""
    if not columns.size:
        return 0.0
    left, sizes, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    left = left[:, sizes > 1e-9 * max(float(sizes.max()), 1.0)]
    return float((1.0 / len(columns) + (left**2).sum(axis=1)).max())


def _project_rows(
    block: Any, frequency: NDArray, scores: NDArray, groups: NDArray, people: int
) -> tuple[pca.ProjectionSums, counts.GenotypeCounts]:
    """One block of H(Q), and the genotype counts by which its release is judged."""
    projected = pca.ProjectionSums(
        people=np.array(people), projected=pca.project_rows(block, frequency, scores)
    )
    return projected, counts.summarize(block, groups, 1)
