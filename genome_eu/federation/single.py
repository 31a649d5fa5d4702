"""One cohort, asked directly by those who hold it: a federation of one, without an airlock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_eu import results
from genome_eu.disclosure import Policy
from genome_eu.errors import PanelError, SampleError
from genome_eu.federation.answer import Answer, SiteAnswer
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import pca as pca_protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions import Questions, Run
from genome_eu.federation.site import Part, Site
from genome_eu.stats import pca, variants
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.pca import Scores

if TYPE_CHECKING:
    import xarray as xr


class Cohort(Questions):
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
        own = variants.keys(self.rows)
        found = pd.Index(own[~own.duplicated(keep=False)]).get_indexer(variants.keys(rows))
        if np.any(found < 0):
            raise PanelError(
                f"{int((found < 0).sum())} of the rows are not in {self.path}, or twice"
            )
        chosen = self._with(people=self._site.included)
        chosen._site.own_rows = np.flatnonzero(~own.duplicated(keep=False))[found]
        return chosen

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
        return Cohort(site, self._rows_per_shard)

    def use_device(self, device: str) -> None:
        """Compute where `device` says: "auto" (by size), "cpu" or "gpu"."""
        self._site.use_device(device)

    def as_site(self, name: str, policy: Policy) -> Site:
        """These people as a site of a federation, behind an airlock with this policy."""
        site = Site(
            name,
            self._site.store,
            policy,
            people=self._site.included,
            backend=self._site.backend,
            block_size=self._site.block_size,
        )
        site.own_rows = self._site.own_rows
        return site

    def _open_run(self, question: dict[str, Any]) -> Run:
        return Run(question)

    def _panel(self, run: Run) -> Panel:
        store, rows = self._site.store, self._site.own_rows
        if not rows.size:
            raise PanelError("the cohort has no rows on autosomes (1 to 22)")
        run.panel = Panel(
            rows.size,
            store.contigs(rows),
            lambda start, stop: store.names(rows[start:stop]),
            inputs={},
            build=store.build,
        )
        if skipped := int((~store.autosomal).sum()):
            run.left_out["rows not on autosomes"] = skipped
        return run.panel

    def _ask(self, run: Run, ask: Ask) -> Answer:
        rows = self._rows_per_shard or self._site.rows_per_shard(
            ask.statistic.statistic, ask.parameters
        )
        plan = ask.plan("direct", run.rounds, self.sites, rows)
        shards = _InOrder(self._site.answer(plan, dict(ask.inputs)))
        name = self._site.name
        answer = SiteAnswer(name, shards, 0, 0, None, None, self._site.cohort_digest, ())
        return Answer(plan, {name: answer})

    def _iterate(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> pca_protocol.PcaResult:
        """As over many sites, but on people × people: one pass a round, and a small basis."""
        results.require_memory(
            pca_protocol.memory(self.people, n_components),
            f"a PCA of {self.people:,} people",
            "ask for fewer components, or of fewer people",
        )
        krylov = pca_protocol.start(self.people, n_components)
        rows: pca_protocol.PcaRows = self._drive(run, pca_protocol.rows(panel, n_components))
        mine, frequency = self._site.own_rows[rows.varies], rows.frequency[rows.varies]
        while not pca_protocol.ended(krylov, n_components, tolerance):
            krylov.absorb(self._site.apply_covariance(mine, frequency, krylov.next_block()))
        found = pca_protocol.leading(krylov, n_components, self.people)
        loadings = self._site.loadings(mine, frequency, found)
        sign = pca.largest_sign(loadings)
        loadings, scores = loadings * sign, found.vectors * sign
        pca_id = pca.identify(eigenvalues=found.eigenvalues, frequency=frequency, loadings=loadings)
        self._site.keep_scores(pca_id, scores)
        name = self._site.name
        return rows.result(
            found,
            loadings,
            krylov,
            pca_id=pca_id,
            people={name: self.people},
            means={name: scores.mean(axis=0)},
        )

    def _scores(self, pca_id: str) -> dict[str, Any]:
        chosen = self._site.included
        return {
            "sample_id": ("samples", self._site.store.sample_id[chosen].astype(object)),
            "sample_pca_projection": (
                ("samples", "components"),
                self._site.state.scores(pca_id, self._site.store.genotype_digest).values[chosen],
            ),
        }

    def use_scores(self, pca_id: str, sample_id: NDArray, values: NDArray) -> None:
        """Take the scores of an earlier PCA of this cohort, to adjust a GWAS with them.

        Raises
        ------
        SampleError
            They are not of the people of this cohort.
        """
        place = pd.Index(sample_id.astype(str)).get_indexer(self._site.store.sample_id.astype(str))
        if np.any(place[self._site.included] < 0):
            raise SampleError(
                f"PCA {pca_id} lacks people of {self.path}; run the PCA on this cohort again"
            )
        kept = np.where((place >= 0)[:, None], values[place], np.nan)
        self._site.state.keep(pca_id, self._site.store.genotype_digest, Scores(kept))


class _InOrder:
    """Shards of a running answer; each can be had once, in order, so none is kept."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._next = 0

    def __call__(self, number: int) -> Aggregate:
        if number != self._next:
            raise IndexError(f"shard {number} of a running answer was asked out of order")
        self._next += 1
        aggregate, _ = next(self._parts)
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
