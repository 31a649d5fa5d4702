"""The three questions. A cohort and a federation answer the same ones with the same types."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from genome_eu import results
from genome_eu._version import __version__
from genome_eu.errors import StudyError, UsageError
from genome_eu.federation.answer import Answer
from genome_eu.federation.plan import Ask
from genome_eu.federation.protocols import frequencies as frequency_protocol
from genome_eu.federation.protocols import gwas as gwas_protocol
from genome_eu.federation.protocols import pca as pca_protocol
from genome_eu.federation.protocols.gwas import GwasModel, Missing
from genome_eu.federation.protocols.panel import Panel, Rounds
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.results import FrequencyResult, GwasResult, PcaResult
from genome_eu.stats.linear import ERRCODES

# Bytes in memory of one test of a GWAS, and of one group in one row of frequencies.
_BYTES_PER_TEST = 80
_BYTES_PER_CELL = 130


@dataclass
class Run:
    """One question being answered: its rounds, what left each site for them, what was left out."""

    question: dict[str, Any]
    study: Any = None
    rounds: int = 0
    releases: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, Any] = field(default_factory=dict)
    panel: Panel | None = None
    cohorts: dict[str, str | None] = field(default_factory=dict)
    without_floors: set[str] = field(default_factory=set)

    def record(self, answer: Answer) -> None:
        """Remember what each site released."""
        self.rounds += 1
        for site in answer.sites.values():
            before = self.cohorts.setdefault(site.site, site.cohort)
            if before != site.cohort:
                raise StudyError(
                    f"the cohort of site {site.site} has changed since the study began; choose "
                    f"another folder and ask the question again"
                )
            if site.floors is False:
                self.without_floors.add(site.site)
            self.releases.append(
                {
                    "round": answer.plan.round,
                    "statistic": answer.plan.statistic,
                    "plan": answer.plan.hash,
                    "site": site.site,
                    "cohort": site.cohort,
                    "policy": site.policy,
                    "bytes": site.bytes,
                    "arrays": site.arrays,
                    "checks": [item.model_dump() for item in site.evidence],
                }
            )

    @property
    def policies(self) -> list[str]:
        """Policies under which anything was released, sorted."""
        return sorted({item["policy"] for item in self.releases if item["policy"]})

    def provenance(self) -> dict[str, Any]:
        """What ran, on what, and what was left out, as JSON."""
        return {
            "genome_eu": __version__,
            "question": self.question,
            "rounds": self.rounds,
            "cohorts": self.cohorts,
            "panel": self.panel.digest if self.panel else None,
            "policies": self.policies,
            "sites_without_floors": sorted(self.without_floors),
            "left_out": self.left_out,
            "releases": self.releases,
        }


class Questions(abc.ABC):
    """Frequencies, PCA and GWAS over one cohort or many sites."""

    #: Called with every question before anything is asked; may raise to stop it.
    watch: Callable[[dict[str, Any]], None] | None = None

    @property
    @abc.abstractmethod
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that answer, sorted."""

    def use_device(self, device: str) -> None:
        """Where kernels compute; of a federation, each site chooses its own."""
        if device not in ("auto", "cpu"):
            raise UsageError("--device is for a cohort; each site of a federation chooses its own")

    @abc.abstractmethod
    def _open_run(self, question: dict[str, Any]) -> Run: ...

    def _begin(self, question: dict[str, Any]) -> Run:
        if self.watch is not None:
            self.watch(question)
        return self._open_run(question)

    @abc.abstractmethod
    def _ask(self, run: Run, ask: Ask) -> Answer: ...

    @abc.abstractmethod
    def _panel(self, run: Run) -> Panel: ...

    def _drive(self, run: Run, protocol: Rounds) -> Any:
        """Run a protocol to its end; it does no I/O, we do."""
        try:
            ask = next(protocol)
            while True:
                answer = self._ask(run, ask)
                run.record(answer)
                ask = protocol.send(answer)
        except StopIteration as stop:
            return stop.value

    def _attributes(self, run: Run, **more: Any) -> dict[str, Any]:
        return results.attributes(
            genome_eu_version=__version__,
            question=run.question,
            sites=list(self.sites),
            policies=run.policies,
            left_out=run.left_out,
            build=run.panel.build if run.panel else "unknown",
            **more,
        )

    # -- frequencies ---------------------------------------------------------------------------

    def frequencies(self, by: str | Sequence[str] = (), *, hwe: bool = True) -> FrequencyResult:
        """Allele counts, frequencies, call rates and exact Hardy–Weinberg tests.

        Parameters
        ----------
        by : str or sequence of str
            Columns of the sample table, for example `["population", "sex"]`: counts are also
            given for every combination of their values.
        hwe : bool
            Whether to test Hardy–Weinberg proportions.

        Returns
        -------
        FrequencyResult
            Dimensions variants, alleles (REF, ALT), cohorts (the groups).

        Raises
        ------
        Refused
            A site's policy does not let the answer out.
        NoAnswer
            A site did not answer.
        BadInput
            A column does not exist or cannot name groups; the sites share no variant.
        """
        run, shards = self._frequencies(by, hwe, in_memory=True)
        found: FrequencyResult = results.join(list(shards))
        found.attrs = self._attributes(run)
        return found

    def frequency_shards(
        self, by: str | Sequence[str] = (), *, hwe: bool = True
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        return self._frequencies(by, hwe, in_memory=False)

    def _frequencies(
        self, by: str | Sequence[str], hwe: bool, *, in_memory: bool
    ) -> tuple[Run, Iterator[FrequencyResult]]:
        columns = (by,) if isinstance(by, str) else tuple(by)
        run = self._begin({"ask": "frequencies", "by": list(columns), "hwe": hwe})
        panel = self._panel(run)
        labels = self._drive(run, frequency_protocol.groups(columns))
        if in_memory:
            cells = panel.size * (1 + len(labels))
            results.require_memory(
                2 * cells * _BYTES_PER_CELL,
                f"a table of {cells:,} groups and rows",
                "stream it to files with `genome-eu freq --out`, or take frequency_shards()",
            )
        finished = self._drive(run, frequency_protocol.frequencies(panel, columns, labels, hwe=hwe))
        attrs = self._attributes(run)

        def shards() -> Iterator[FrequencyResult]:
            start = withheld = 0
            for part in finished:
                stop = start + part.allele_frequency.shape[0]
                withheld += int(part.alleles_withheld[:, 0].sum())
                yield results.frequency_shard(
                    panel.names(start, stop), panel.contigs, part, labels, attrs
                )
                start = stop
            run.left_out["rows withheld by policy"] = withheld

        return run, shards()

    # -- PCA -----------------------------------------------------------------------------------

    def pca(self, n_components: int = 10, *, tolerance: float = TOLERANCE) -> PcaResult:
        """Principal components of standardized genotypes, missing calls at the mean.

        Parameters
        ----------
        n_components : int
            Leading components to compute.
        tolerance : float
            Largest residual ‖Hu − λu‖/λ₁ of a component. An eigenvalue is off by about its square;
            a loading or score by about it, over the gap between eigenvalues relative to the first.

        Returns
        -------
        PcaResult
            Loadings of unit norm over rows, and eigenvalues of ZᵀZ/M over people, M the rows
            given (PLINK's `--pca meanimpute`). A cohort's result has its people's scores; those
            of a federation stay at their sites under `pca_id`, usable as `pcs` of a GWAS.

        Raises
        ------
        Refused, NoAnswer, BadInput
            As `frequencies`; also where fewer rows vary than components are asked for.
        """
        return self.pca_run(n_components, tolerance=tolerance)[1]

    def pca_run(
        self, n_components: int = 10, *, tolerance: float = TOLERANCE
    ) -> tuple[Run, PcaResult]:
        """`pca` with the record of its run."""
        if not 0 < tolerance < 1:
            raise UsageError("--tolerance must lie between 0 and 1")
        run = self._begin({"ask": "pca", "components": n_components, "tolerance": tolerance})
        panel = self._panel(run)
        found = self._components(run, panel, n_components, tolerance)
        variables = results.row_variables(panel.rows, panel.contigs)
        names = list(found.means)
        variables |= {
            "variant_reference_frequency": ("variants", found.frequency),
            "sample_pca_component": (("variants", "components"), found.loadings),
            "sample_pca_explained_variance": ("components", found.eigenvalues),
            "site_id": ("sites", np.array(names, dtype=object)),
            "site_n": ("sites", np.array([found.people[name] for name in names])),
            "site_pca_mean": (
                ("sites", "components"),
                np.array([found.means[name] for name in names]),
            ),
        }
        variables |= self._scores(found.id)
        attrs = self._attributes(
            run,
            pca_id=found.id,
            rows_used=int(found.used.sum()),
            rows_total=panel.size,
            rounds=found.rounds,
            residual=found.residual,
        )
        return run, PcaResult(variables, attrs=attrs)

    def _components(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> pca_protocol.PcaResult:
        found = self._iterate(run, panel, n_components, tolerance)
        left_out = {name: rows for name, rows in found.left_out.items() if rows}
        if left_out:
            run.left_out["PCA"] = left_out
        return found

    def _iterate(
        self, run: Run, panel: Panel, n_components: int, tolerance: float
    ) -> pca_protocol.PcaResult:
        results.require_memory(
            pca_protocol.memory(panel.size, n_components),
            f"a PCA of {panel.size:,} rows",
            "ask for fewer components, or prune the rows",
        )
        protocol = pca_protocol.pca(panel, n_components, tolerance=tolerance)
        found: pca_protocol.PcaResult = self._drive(run, protocol)
        return found

    def _scores(self, pca_id: str) -> dict[str, Any]:
        """Variables with people's scores, where they are one's own."""
        return {}

    # -- GWAS ----------------------------------------------------------------------------------

    def gwas(
        self,
        trait: str | Sequence[str],
        *,
        covariates: str | Sequence[str] = (),
        pcs: PcaResult | str | int | None = None,
        missing: Missing = "mean",
        site_effects: bool = True,
    ) -> GwasResult:
        """Linear regression of traits on dosage, row by row.

        Parameters
        ----------
        trait : str or sequence of str
            Columns of the sample table, numeric.
        covariates : str or sequence of str
            Numeric columns; `sex` may hold M and F.
        pcs : PcaResult, str or int, optional
            Principal components as covariates: a PCA's result or its id, or a number of
            components to compute first.
        missing : {"mean", "drop"}
            Replace missing calls by the mean (of the site, with site effects), or leave the
            people who lack a call out of that row's fit (PLINK's fit).
        site_effects : bool
            One intercept per site; with `False` one for all.

        Returns
        -------
        GwasResult
            Dimensions variants, traits.

        Raises
        ------
        TraitError
            A trait is constant, not numeric or has too few values; covariates are collinear.
        Refused, NoAnswer, BadInput
            As `frequencies`.
        """
        model, components = _gwas_model(trait, covariates, pcs, missing, site_effects)
        run, shards = self._gwas(model, components, in_memory=True)
        found: GwasResult = results.join(list(shards))
        found.attrs = self._attributes(run)
        return found

    def gwas_shards(
        self,
        trait: str | Sequence[str],
        *,
        covariates: str | Sequence[str] = (),
        pcs: PcaResult | str | int | None = None,
        missing: Missing = "mean",
        site_effects: bool = True,
    ) -> tuple[Run, Iterator[GwasResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        model, components = _gwas_model(trait, covariates, pcs, missing, site_effects)
        return self._gwas(model, components, in_memory=False)

    def _gwas(
        self, model: GwasModel, components: int | None, *, in_memory: bool
    ) -> tuple[Run, Iterator[GwasResult]]:
        settings = {name: value for name, value in asdict(model).items() if name != "traits"}
        run = self._begin(
            {"ask": "gwas", "traits": list(model.traits)}
            | {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
            | {"components": components}
        )
        panel = self._panel(run)
        if in_memory:
            tests = panel.size * len(model.traits)
            results.require_memory(
                2 * tests * _BYTES_PER_TEST,
                f"a table of {tests:,} tests",
                "stream it to files with `genome-eu gwas --out`, or take gwas_shards()",
            )
        if components is not None:
            # Columns that cannot be used should cost no PCA.
            self._drive(run, gwas_protocol.moments(model))
            model = replace(model, pca=self._components(run, panel, components, TOLERANCE).id)
        origins = self._drive(run, gwas_protocol.moments(model))
        fit = self._drive(run, gwas_protocol.fit(model, panel, origins))
        return run, self._gwas_shards(run, panel, fit, model.traits)

    def _gwas_shards(
        self, run: Run, panel: Panel, fit: gwas_protocol.Fit, names: tuple[str, ...]
    ) -> Iterator[GwasResult]:
        attrs = self._attributes(run)
        start = 0
        tallies = np.zeros((len(names), len(ERRCODES)), np.int64)
        for part in fit.shards:
            stop = start + part.beta.shape[0]
            for tally, column in zip(tallies, part.errcode.T, strict=True):
                tally += np.bincount(column, minlength=len(ERRCODES))
            yield results.gwas_shard(panel.names(start, stop), panel.contigs, part, names, attrs)
            start = stop
        run.left_out["rows without a test, by trait"] = {
            name: {
                code: int(rows)
                for code, rows in zip(ERRCODES, tally, strict=True)
                if code != "." and rows
            }
            for name, tally in zip(names, tallies, strict=True)
        }
        run.left_out["people analysed"] = dict(zip(names, map(int, fit.people), strict=True))


def _gwas_model(
    trait: str | Sequence[str],
    covariates: str | Sequence[str],
    pcs: PcaResult | str | int | None,
    missing: Missing,
    site_effects: bool,
) -> tuple[GwasModel, int | None]:
    """What a GWAS fits, and the components that must be computed before."""
    if isinstance(pcs, bool) or not isinstance(pcs, PcaResult | str | int | None):
        raise UsageError("pcs: give the result of pca(), its id, or a number of components")
    model = GwasModel(
        traits=(trait,) if isinstance(trait, str) else tuple(trait),
        covariates=(covariates,) if isinstance(covariates, str) else tuple(covariates),
        pca=pcs.pca_id if isinstance(pcs, PcaResult) else pcs if isinstance(pcs, str) else None,
        missing=missing,
        site_effects=site_effects,
    )
    model.check()
    return model, pcs if isinstance(pcs, int) else None
