"""One cohort, asked directly by those who hold it: a federation of one, without an airlock."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu.disclosure import Policy
from genome_eu.errors import PanelError, SampleError
from genome_eu.federation.answer import Answer, SiteAnswer
from genome_eu.federation.answers.answering import Part
from genome_eu.federation.daemon.settings import policy_of, read_settings, state_of
from genome_eu.federation.filters import as_filters
from genome_eu.federation.inside.state import SiteState
from genome_eu.federation.own_structure import OwnStructure
from genome_eu.federation.parameters.filters import Filters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.ploidy import places
from genome_eu.federation.questions import Run
from genome_eu.federation.site import Site
from genome_eu.stats import variants
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.harmonize import How, match
from genome_eu.stats.qc.removal import VariantLimits
from genome_eu.stats.regions import Regions

if TYPE_CHECKING:
    import xarray as xr


class Cohort(OwnStructure):
    """Genotypes and sample table of one's own people.

    Made by `genome_eu.open_cohort`. It answers `frequencies`, `pca` and `gwas` on this machine,
    with every number: no policy applies to the people who hold the genotypes.
    """

    def __init__(self, site: Site, rows_per_shard: int | None = None) -> None:
        self._site = site
        self._rows_per_shard = rows_per_shard

    def __repr__(self) -> str:
        return f"<Cohort {self._site.name}: {self.people} people, {self._site.store.n_rows} rows>"

    @property
    def sites(self) -> tuple[str, ...]:
        """The cohort's own name."""
        return (self._site.name,)

    @property
    def path(self) -> Path | str:
        """Where the store lies."""
        return self._site.store.path

    @property
    def people(self) -> int:
        """People who take part in questions."""
        return self._site.people

    @property
    def samples(self) -> pd.DataFrame:
        """The sample table of the people who take part, by `sample_id`."""
        return self._site.store.samples[self._site.included]

    @property
    def rows(self) -> pd.DataFrame:
        """Every (variant, ALT) of the store: contig, position, id, ref, alt, autosomal."""
        return self._site.store.rows

    def dataset(self) -> xr.Dataset:
        """The whole store as sgkit's dataset, lazily (everybody in it, chosen or not)."""
        return self._site.store.dataset()

    def info(self) -> dict[str, Any]:
        """What the cohort holds."""
        return self._site.store.describe()

    def where(self, **values: Any) -> Cohort:
        """The same cohort with only the people whose columns have these values.

        >>> cohort.where(population="FIN", sex="F")  # doctest: +SKIP

        Raises
        ------
        SampleError
            A column does not exist, or nobody is left.
        """
        table = self._site.store.samples
        chosen = self._site.included.copy()
        for column, value in values.items():
            if column not in table:
                raise SampleError(f"{column} is not a column of the sample table of {self.path}")
            chosen &= table[column].isin(np.atleast_1d(value)).to_numpy()
        if not chosen.any():
            raise SampleError(f"nobody in {self.path} has {values}")
        return self._with(people=chosen)

    def on_rows(self, rows: pd.DataFrame) -> Cohort:
        """The same cohort with only these rows (columns contig, position, ref, alt), in this order.

        Raises
        ------
        PanelError
            A row is not in the cohort, or names more than one row of it.
        """
        asked = variants.given(rows)
        own = variants.keys(self.rows)
        found = pd.Index(own[~own.duplicated(keep=False)]).get_indexer(variants.keys(asked))
        if np.any(found < 0):
            raise PanelError(
                f"{int((found < 0).sum())} of the rows are not in {self.path}, or twice"
            )
        chosen = self._with(people=self._site.included)
        chosen._site.own_rows = np.flatnonzero(~own.duplicated(keep=False))[found]
        chosen._given = asked
        return chosen

    def _on_found(self, rows: pd.DataFrame) -> tuple[Cohort, NDArray[np.intp]]:
        own = self._site.store.names(self._site.own_rows)
        found = match(rows, own)
        there = np.flatnonzero(found.found)
        if not there.size:
            raise PanelError(f"{self.path} has none of the rows that are asked for")
        if np.unique(found.rows[there]).size < there.size:
            raise PanelError(f"the rows asked for name one of {self.path} more than once")
        chosen = self._with(people=self._site.included)
        chosen._site.own_rows = self._site.own_rows[found.rows[there]]
        chosen._given = own.iloc[found.rows[there]].reset_index(drop=True)
        return chosen, there

    def filtered(self, filters: Filters | Mapping[str, Any] | str | Path) -> Cohort:
        """The same cohort without the people and rows that limits remove.

        Parameters
        ----------
        filters : Filters, mapping, or path of a TOML file
            Tables ``people`` and ``variants`` (`genome_eu.Filters`). People are removed at once,
            rows when a question is asked.

        Raises
        ------
        BadInput, UsageError
            A limit is unknown or out of its bounds.
        SampleError
            Nobody is left.
        """
        found = as_filters(filters)
        chosen = copy.copy(self)
        chosen._site = self._site.among(found.people)
        chosen._filters = found
        return chosen

    def _row_limits(self) -> VariantLimits:
        """Trios are looked at in `_whole_panel`, of one's own people."""
        return replace(self._filters.variants.limits, max_mendel_error_rate=None)

    def _whole_panel(self, run: Run, how: How = "intersection") -> Panel:
        panel = super()._whole_panel(run, how)
        most = self._filters.variants.max_mendel_error_rate
        if most is None:
            return panel
        errors, trios = self._site.mendel_errors(places(panel))
        kept = np.flatnonzero(errors.by_row <= most * trios.child.size)
        if not kept.size:
            raise PanelError("the limits of the question remove every row; loosen them")
        if kept.size < panel.size:
            told = run.left_out.setdefault("rows removed by limits", {})
            told["mendel"] = panel.size - kept.size
        run.panel = panel.take(kept)
        return run.panel

    def dosages(self, rows: NDArray) -> NDArray[np.int8]:
        """Copies of ALT at these of the rows asked about, (rows, people); −1 where missing."""
        block = self._site.store.read(self._site.own_rows[np.asarray(rows)])
        return block.dosages()[:, self._site.included]

    def _with(self, people: NDArray) -> Cohort:
        site = Site(
            self._site.name,
            self._site.store,
            people=people,
            state=self._site.state,
            backend=self._site.backend,
            block_size=self._site.block_size,
        )
        site.own_rows = self._site.own_rows
        cohort = Cohort(site, self._rows_per_shard)
        cohort._given = self._given
        cohort._filters = self._filters
        site.removed = self._site.removed
        return cohort

    def use_device(self, device: str) -> None:
        """Compute where `device` says: "auto" (by size), "cpu" or "gpu"."""
        self._site.use_device(device)

    def as_site(self, name: str, policy: Policy, callable_regions: Regions | None = None) -> Site:
        """These people as a site of a federation, behind an airlock with this policy."""
        site = Site(
            name,
            self._site.store,
            policy,
            people=self._site.included,
            callable_regions=callable_regions,
            backend=self._site.backend,
            block_size=self._site.block_size,
        )
        site.own_rows = self._site.own_rows
        return site

    def _open_run(self, question: dict[str, Any]) -> Run:
        return Run(question)

    def _every_row(self, run: Run, how: How = "intersection") -> Panel:
        store, rows = self._site.store, self._site.own_rows
        run.panel = Panel(
            rows.size,
            store.contigs(rows),
            lambda start, stop: store.names(rows[start:stop]),
            inputs={},
            build=store.build,
            ploidy=self._site.ploidy[rows],
        )
        known = np.flatnonzero(self._site.countable[rows])
        if not known.size:
            raise PanelError("the cohort has no rows whose ploidy is known (1 to 22, X, Y, MT)")
        asked = store.n_rows if self._given is None else rows.size
        if skipped := asked - known.size:
            run.left_out["rows of unknown ploidy"] = skipped
        run.panel = run.panel.take(known)
        return run.panel

    def _ask(self, run: Run, ask: Ask) -> Answer:
        rows = self._rows_per_shard or self._site.rows_per_shard(
            ask.statistic.statistic, ask.parameters
        )
        plan = ask.plan("direct", run.rounds, self.sites, rows)
        shards = _InOrder(self._site.answer(plan, dict(ask.inputs)), len(plan.spans()))
        name = self._site.name
        answer = SiteAnswer(name, shards, 0, 0, None, None, self._site.cohort_digest, ())
        return Answer(plan, {name: answer})


class _InOrder:
    """Shards of a running answer; each can be had once, in order, so none is kept."""

    def __init__(self, parts: Iterator[Part], number: int) -> None:
        self._parts = parts
        self._next = 0
        self._number = number

    def __call__(self, number: int) -> Aggregate:
        if number != self._next:
            raise IndexError(f"shard {number} of a running answer was asked out of order")
        self._next += 1
        aggregate, _ = next(self._parts)
        if self._next == self._number:
            # What a site keeps of an answer, it keeps after the last shard.
            next(self._parts, None)
        return aggregate


def open_cohort(path: str | Path, *, backend: str = "cpu", block_size: int | None = None) -> Cohort:
    """Open a cohort made by `genome-eu import`.

    Parameters
    ----------
    path : str or Path
        The VCF Zarr store, `*.vcz`, or the URL of one, `s3://…`, that fsspec can read.
    backend : str
        Kernels to compute with: "cpu", "gpu", or "reference" for checking.
    block_size : int, optional
        Rows of a block; by default as many as suit the number of people.

    Returns
    -------
    Cohort

    Raises
    ------
    SourceError
        There is no store, or it was not made by this package.
    """
    name = str(path).rstrip("/").rpartition("/")[2].removesuffix(".vcz")
    site = Site.open(name or "cohort", path)
    site.backend, site.block_size = backend, block_size
    return Cohort(site)


def open_site_cohort(path: str | Path) -> Cohort:
    """The cohort of a site, with the scores that the site keeps for questions to it.

    Parameters
    ----------
    path : path
        Its `site.toml`.

    Raises
    ------
    BadInput
        That cannot be read, or names no cohort.
    """
    path = Path(path)
    settings = read_settings(path)
    state = SiteState(state_of(path, settings))
    policy = policy_of(path, settings)
    return Cohort(Site.open(settings.name, path.parent / settings.cohort, policy, state=state))
