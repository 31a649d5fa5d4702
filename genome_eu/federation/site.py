"""A site: its cohort on one side, plans and releases on the other. The only place they meet."""

from __future__ import annotations

import copy
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort import (
    CohortStore,
    HaploidCalls,
    contig_name,
    open_store,
    oriented,
    sexes,
    stored,
)
from genome_eu.compute import (
    Progress,
    block_rows,
    check_device_memory,
    choose,
    edges,
    mendel_errors,
    person_measures,
    prune,
    reduce,
    relatives,
    stream,
)
from genome_eu.disclosure import Airlock, Evidence, Judged, Policy, Release
from genome_eu.disclosure.airlock import Spool
from genome_eu.disclosure.budget import Exposure
from genome_eu.disclosure.checks import below
from genome_eu.errors import BadInput, BundleError, PanelError, Refused, SampleError
from genome_eu.federation.answers import ANSWERING
from genome_eu.federation.answers.answering import Part
from genome_eu.federation.exposed import Exposed
from genome_eu.federation.located import Located, locate
from genome_eu.federation.parameters import INPUTS, check_inputs
from genome_eu.federation.parameters.filters import LEAST_KINSHIP, PeopleFilters
from genome_eu.federation.parameters.model import ModelParameters
from genome_eu.federation.people import People
from genome_eu.federation.plan import Plan
from genome_eu.federation.quality import removed_by, trios_of
from genome_eu.federation.secure_round import NamesOnly
from genome_eu.federation.state import SiteState
from genome_eu.stats import counts, pca, variants
from genome_eu.stats.aggregate import concatenate
from genome_eu.stats.kinship import Relatives, among
from genome_eu.stats.ld import Window
from genome_eu.stats.ploidy import (
    CLASSES,
    Association,
    Copies,
    PloidyClass,
    PloidyName,
    XMales,
    association,
    copies,
    rows_of,
)
from genome_eu.stats.qc.families import MendelErrors, Trios
from genome_eu.stats.qc.people import PersonMeasures
from genome_eu.stats.qc.removal import PERSON_REASONS, RemovedPeople
from genome_eu.stats.regions import Regions, parse_bed

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
    callable_regions : Regions, optional
        Where the site could have called a variant that its store lacks.
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
        self._narrowed: dict[PeopleFilters, Site] = {}
        self._measures: PersonMeasures | None = None
        self._relatives: Relatives | None = None
        self._found: tuple[str, NDArray] | None = None

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

    def answer(self, plan: Plan, inputs: dict[str, NDArray]) -> Iterator[Part]:
        """Compute what a plan asks, shard by shard. Nothing of it has passed the airlock yet."""
        self._admit(plan, inputs)
        yield from ANSWERING[plan.statistic].answer(self.among(plan.people), plan, inputs)

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
        among = self.among(plan.people)
        exposed = Exposed(budget, self._hashes, among.included, self.airlock.policy)
        return ANSWERING[plan.statistic].exposure(among, exposed, plan, inputs)

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

    # -- limits on people --------------------------------------------------------------------

    def among(self, limits: PeopleFilters) -> Site:
        """The site as it is without the people whom limits remove; itself where there are none.

        Raises
        ------
        Refused
            Fewer people are left than the policy lets be described.
        SampleError
            Nobody is left of one's own.
        """
        if not limits:
            return self
        if limits not in self._narrowed:
            removed = removed_by(self, limits)
            left = int(removed.keep.sum())
            if self.policy is not None and left < self.policy.min_people:
                # In the words for any question of too few people, whether it is of some or nobody.
                raise Refused(
                    f"fewer than {self.policy.min_people} people would be described "
                    f"(policy {self.policy.name})"
                )
            if not left:
                raise SampleError(f"the limits on people leave nobody of {self.name}; loosen them")
            narrowed = copy.copy(self)
            narrowed.included, narrowed.removed = removed.keep, removed
            narrowed._panels, narrowed._minor_alleles, narrowed._narrowed = {}, None, {}
            narrowed._measures = narrowed._relatives = narrowed._found = None
            narrowed.__dict__.pop("table", None)
            # One at a time: a study keeps to its own.
            self._narrowed = {limits: narrowed}
        return self._narrowed[limits]

    def measures(self) -> PersonMeasures:
        """Quality measures of everybody in the store, by the frequencies of who takes part."""
        if self._measures is None:
            self._measures = person_measures(
                self.store, self.included, backend=self.backend, size=self.block_size
            )
        return self._measures

    def relatives(self, above: float) -> Relatives:
        """Pairs of people who take part with a kinship above a number."""
        if self._relatives is None or above < self._relatives.above:
            # One pass serves all cutoffs that a question can have.
            lowest = min(above, LEAST_KINSHIP)
            self._relatives = relatives(
                self.store, self.included, lowest, backend=self.backend, size=self.block_size
            )
        return among(self._relatives, self.included, above)

    def mendel_errors(self, places: NDArray) -> tuple[MendelErrors, Trios]:
        """Impossible calls of the trios at some of the site's own rows, and the trios.

        Children and parents count also where they are left out for being related.
        """
        related = self.removed.reason == PERSON_REASONS.index("related")
        trios = trios_of(self.store.samples, self.included | related)
        rows = self.own_rows[places]
        return mendel_errors(
            self.store, rows, trios, backend=self.backend, size=self.block_size
        ), trios

    # -- rows and people ---------------------------------------------------------------------

    def once(self, key: str, find: Callable[[], NDArray]) -> NDArray:
        """What a pass over the genotypes gives: kept, the last one, for who asks by the same key.

        What is to leave and whom it exposes are found out apart.
        """
        if self._found is None or self._found[0] != key:
            self._found = key, find()
        return self._found[1]

    def rows_per_shard(self, statistic: str, parameters: Any) -> int:
        """Rows of a shard where nothing travels: whole blocks, as many as memory likes."""
        width = max(_LEAST_WIDTH, ANSWERING[statistic].width(parameters, self.store.people))
        size = self.block_size or block_rows(self.store, width)
        return size * max(1, _SHARD_NUMBERS // (size * width))

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

    def stream(
        self,
        plan: Plan,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray] = (),
        width: int,
        columns: int | None = None,
        haploid: HaploidCalls | None = None,
        dosages: bool = False,
        reach: NDArray | None = None,
    ) -> Iterator[Any]:
        """Shards of the plan, each made of blocks that fit a worker (see `rows_of_block`).

        `haploid` says who is haploid in these rows, as `haploid_calls` does. With `dosages`, blocks
        are of dosages and not of hard calls. `reach` is one past the last row that each row needs
        beside itself: blocks hold those too.
        """
        size = self.rows_of_block(width, columns, dosages)
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
                haploid=haploid,
                dosages=dosages,
                reach=reach,
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

    def by_blocks(
        self,
        title: str,
        rows: NDArray,
        function: Callable[..., Any],
        *constants: Any,
        by_row: Sequence[NDArray],
        ends: Sequence[int],
        summary_bytes: int,
        haploid: HaploidCalls | None = None,
        dosages: bool = False,
    ) -> Iterator[Any]:
        """A result for each of the question's own blocks of rows: up to each of `ends`."""
        with Progress(f"{self.name}: {title}", rows.size) as progress:
            yield from stream(
                self.store,
                rows,
                function,
                *constants,
                by_row=by_row,
                size=max(rows.size, 1),
                summary_bytes=summary_bytes,
                ends=ends,
                backend=self.backend,
                progress=progress,
                haploid=haploid,
                dosages=dosages,
            )

    def rows_of_block(self, width: int, columns: int | None = None, dosages: bool = False) -> int:
        """Rows of a block of which so many numbers are kept; a GPU must have room for it.

        `columns` are multiplied at a time there: as many as numbers are kept if not given.
        """
        size = self.block_size or block_rows(self.store, width, dosages)
        if self.backend == "gpu" and not dosages:
            check_device_memory(size, self.store.people, columns or width)
        return size

    # -- copies ------------------------------------------------------------------------------

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

    def listed(self) -> NDArray:
        """Which of the site's rows its policy lets it name, bool (own rows,)."""
        minor = self.minor(self.own_rows)
        if minor is None or self.policy is None:
            return np.ones(self.own_rows.size, bool)
        return ~below(minor, self.policy.allele_floor, self.policy)

    # -- of one's own people, what no plan can ask for ---------------------------------------------

    def prune(self, rows: NDArray, window: Window, r2: float) -> NDArray[np.bool_]:
        """Which of some store rows stay after LD pruning of the people who take part."""
        names = self.store.names(rows)
        contig = np.unique(names["contig"].to_numpy(str), return_inverse=True)[1]
        position = names["position"].to_numpy(np.int64)
        with Progress(f"{self.name}: pruning", rows.size) as progress:
            return prune(
                self.store,
                rows,
                contig,
                position,
                window,
                r2,
                self.included,
                size=self.block_size or block_rows(self.store),
                progress=progress,
            )

    def apply_covariance(self, rows: NDArray, frequency: NDArray, columns: NDArray) -> NDArray:
        """ZᵀZ times columns over the people who take part, (people, width), in one pass."""
        scores = self._spread(columns)
        product = self.summed(
            "PCA", rows, pca.apply_covariance, scores, by_row=(frequency,), width=columns.shape[1]
        )
        return product[self.included]

    def require_common(self, rows: NDArray) -> None:
        """Refuse rows that the policy, if there is one, does not let the site name."""
        minor = self.minor(rows)
        if minor is None or self.policy is None:
            return
        if np.any(below(minor, self.policy.allele_floor, self.policy)):
            raise Refused(
                f"the PCA has rows below the allele floor of {self.policy.allele_floor} at site "
                f"{self.name} (policy {self.policy.name}); scores on them are not kept"
            )

    def project(self, rows: NDArray, frequency: NDArray, weights: NDArray) -> NDArray:
        """Scores of the people who take part, from the weights of store rows."""
        scores = self.summed(
            "scores",
            rows,
            pca.project_people,
            by_row=(frequency, weights),
            width=weights.shape[1],
        )
        return scores[self.included]

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


def read_callable(path: str | Path) -> Regions:
    """Regions of a BED file, gzipped if its name says so, with contigs as cohorts name them.

    Raises
    ------
    BadInput
        The file cannot be read, or is not one of regions.
    """
    try:
        content = Path(path).read_bytes()
        if Path(path).suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise BadInput(
            f"callable regions {path} cannot be read; give a BED file, or one that is gzipped"
        ) from None
    return parse_bed(content, f"callable regions {path}", contig_name)
