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

from genome_eu import results
from genome_eu.disclosure import Policy
from genome_eu.errors import BadInput, PanelError, SampleError
from genome_eu.federation.answer import Answer, SiteAnswer
from genome_eu.federation.answers.scores import own_scores
from genome_eu.federation.filters import as_filters
from genome_eu.federation.own_quality import OwnQuality
from genome_eu.federation.parameters.filters import Filters
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import ld as ld_protocol
from genome_eu.federation.protocols import pca as pca_protocol
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.ploidy import places
from genome_eu.federation.protocols.scores import ScoreRows
from genome_eu.federation.questions import Run
from genome_eu.federation.settings import policy_of, read_settings, state_of
from genome_eu.federation.site import Part, Site
from genome_eu.federation.state import SiteState
from genome_eu.formats.rows import row_table
from genome_eu.results import ProjectionResult
from genome_eu.stats import pca, projection, variants
from genome_eu.stats.aggregate import Aggregate
from genome_eu.stats.harmonize import How
from genome_eu.stats.ld import Window
from genome_eu.stats.pca import Scores
from genome_eu.stats.qc.removal import VariantLimits
from genome_eu.stats.regions import Regions

if TYPE_CHECKING:
    import xarray as xr


class Cohort(OwnQuality):
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
        mine = self._site.own_rows[places(panel)][rows.varies]
        frequency = rows.frequency[rows.varies]
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

    def _pruned(
        self, run: Run, panel: Panel, window: Window, r2: float, missing: ld_protocol.Missing
    ) -> ld_protocol.Pruned:
        """As over many sites, but without comparing rows that are gone."""
        if missing == "fill":
            return super()._pruned(run, panel, window, r2, missing)
        kept = self._site.prune(self._site.own_rows[places(panel)], window, r2)
        return ld_protocol.Pruned(kept, np.zeros(kept.size, bool), 0)

    def _scores(self, pca_id: str) -> dict[str, Any]:
        chosen = self._site.included
        return {
            "sample_id": ("samples", self._site.store.sample_id[chosen].astype(object)),
            "sample_pca_projection": (
                ("samples", "components"),
                self._site.state.scores(pca_id, self._site.store.genotype_digest).values[chosen],
            ),
        }

    def project(self, pca: xr.Dataset) -> ProjectionResult:
        """Scores of these people on an earlier PCA, of whatever people.

        Frequencies and loadings are those of the PCA; a missing call, and a row that this cohort
        does not have, counts as the mean. People of the PCA itself get the scores that they have.

        Parameters
        ----------
        pca : PcaResult
            Of a cohort or a federation.

        Returns
        -------
        ProjectionResult
            The scores, which are also kept here under the PCA's id: `pcs` of a GWAS takes it.

        Raises
        ------
        PanelError
            The cohort has none of the PCA's rows.
        Refused
            The scores are kept for questions to a site, and the PCA has rows that its policy does
            not let it name.
        BadInput
            It is not the result of a PCA, or its components were made by another version.
        """
        return self.project_run(pca)[1]

    def project_run(self, pca: xr.Dataset) -> tuple[Run, ProjectionResult]:
        """`project` with the record of its run."""
        if "rows_counted" not in pca.attrs or "sample_pca_component" not in pca:
            raise BadInput("these are no loadings of a PCA of this version; run the PCA again")
        pca_id = str(pca.attrs["pca_id"])
        run = self._begin({"ask": "project", "pca": pca_id})
        panel = self._panel(run)
        mine = self._site.own_rows[places(panel)]
        found = projection.find_rows(row_table(pca), self._site.store.names(mine))
        frequency, weights = projection.frozen(
            found,
            pca["variant_reference_frequency"].values,
            pca["sample_pca_component"].values,
            pca["sample_pca_explained_variance"].values * int(pca.attrs["rows_counted"]),
        )
        self._site.require_common(mine[found.own][np.any(weights != 0, axis=1)])
        scores = self._site.project(mine[found.own], frequency, weights)
        self._site.keep_scores(pca_id, scores)
        if found.absent:
            run.left_out["rows of the PCA that the cohort does not have"] = found.absent
        attrs = self._attributes(
            run,
            pca_id=pca_id,
            rows_found=found.own.size,
            rows_absent=found.absent,
            rows_swapped=int(found.swapped.sum()),
        )
        return run, ProjectionResult(self._scores(pca_id), attrs=attrs)

    def _person_scores(self, asked: ScoreRows, *, imputed: bool) -> dict[str, Any]:
        frequency = asked.frequency if imputed else None
        rows = self._site.own_rows[places(asked.panel)]
        found = own_scores(self._site, rows, asked.weights, asked.counts_ref, frequency)
        chosen = self._site.included
        with np.errstate(invalid="ignore"):
            average = found.sums / found.denominator[:, None]
        return {
            "sample_id": ("samples", self._site.store.sample_id[chosen].astype(object)),
            "sample_score_sum": (("samples", "scores"), found.sums[chosen]),
            "sample_score_average": (("samples", "scores"), average[chosen]),
            "sample_score_denominator": ("samples", found.denominator[chosen]),
            "sample_allele_count": ("samples", found.allele_count[chosen]),
            "sample_named_dosage": ("samples", found.named_dosage[chosen]),
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

    def write_offsets(self, wgr_id: str, path: Path) -> None:
        """Write what a whole-genome regression predicts of these people: readable by its owner."""
        self._site.state.ridge.write(wgr_id, self._site.store.genotype_digest, path)

    def use_offsets(self, wgr_id: str, path: Path) -> None:
        """Take the predictions of an earlier regression of this cohort, to test rows beside them.

        They are used only for the same people, traits and covariates.
        """
        self._site.state.ridge.read(wgr_id, self._site.store.genotype_digest, path)


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
