"""Which alleles go with a trait?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.parameters.model import Transform
from genome_eu.federation.protocols import gwas as protocol
from genome_eu.federation.protocols.gwas import GwasModel, Missing
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.protocols.ploidy import autosomal
from genome_eu.federation.questions.gwas_settings import (
    GivenOrigins,
    GwasSettings,
    Model,
    said,
)
from genome_eu.federation.questions.inflation import with_inflation
from genome_eu.federation.questions.logistic import AskedTest
from genome_eu.federation.questions.run import Run
from genome_eu.federation.questions.shards import BYTES_PER_TEST, linear_shards, require_memory
from genome_eu.federation.questions.wgr import Wgr, WgrQuestions
from genome_eu.results import GwasResult, PcaResult
from genome_eu.stats.logistic import Test
from genome_eu.stats.ploidy import XMales


class GwasQuestions(WgrQuestions):
    """Association of traits with dosage, row by row."""

    def gwas(
        self,
        trait: str | Sequence[str],
        *,
        covariates: str | Sequence[str] = (),
        pcs: PcaResult | str | int | None = None,
        missing: Missing = "mean",
        site_effects: bool = True,
        transform: Transform | None = None,
        condition_on: str | Sequence[str] = (),
        origins: GivenOrigins | None = None,
        dosages: bool = False,
        min_info: float = 0.0,
        min_maf: float = 0.0,
        x_males: XMales = "0/2",
        model: Model = "linear",
        wgr: Wgr = None,
        test: Test = "firth",
        cutoff: float | None = None,
        case_control_12: bool = False,
    ) -> GwasResult:
        """Linear or logistic regression of traits on dosage, row by row.

        Parameters
        ----------
        trait : str or sequence of str
            Columns of the sample table, numeric.
        covariates : str or sequence of str
            Numeric columns; `sex` may hold M and F. Or a formula such as
            ``"age + C(batch) + age:sex + I(age**2)"``: categories are coded against their most
            common level, with the levels that the sites may name; people of other levels lack
            the covariate.
        pcs : PcaResult, str or int, optional
            Principal components as covariates: a PCA's result or its id, or a number of
            components to compute first.
        missing : {"mean", "drop"}
            Replace missing calls by the mean (of the site, with site effects), or leave the
            people who lack a call out of that row's fit (PLINK's fit).
        site_effects : bool
            One intercept per site; with `False` one for all.
        transform : {"rint", "log", "standardize"}, optional
            Take traits on another scale. `rint`, the rank-based inverse normal transform, and
            `standardize` are computed at each site among its own people who have every covariate.
        condition_on : str or sequence of str
            Rows such as ``"22:16051249:A:G"`` whose hard calls, or with `dosages` whose dosages,
            are covariates; missing ones are at the mean of the site.
        origins : mapping of str to (float, float), optional
            In one round (`in_one_round`), about what mean and standard deviation columns have, so
            that sums keep their digits where a unit is very small or large. Otherwise the sites
            agree on them.
        dosages : bool
            Regress on expected copies of ALT, where the cohort was imputed. At sites without
            dosages, hard calls are taken for them. Step 1 of a whole-genome regression is of hard
            calls.
        min_info, min_maf : float
            Of dosages: leave out rows whose imputation r² (`dosage_frequencies`, over everybody at
            all sites) or minor allele frequency is lower. Asked in a round of its own.
        x_males : {"0/2", "0/1"}
            Dosages of males on X, outside the pseudo-autosomal regions: as if homozygous, or half
            of that. Sex is a covariate of these rows, and people of unknown sex take no part. Rows
            on Y are of males only; effects there and on MT are per copy (0 or 1).
        model : {"linear", "logistic", "wgr"}
            `logistic` is for traits of cases (1) and controls (0). `wgr`,
            whole-genome regression, tests each autosomal row beside what all other chromosomes
            predict (REGENIE's two steps): for related people and polygenic traits.
        wgr : str, GwasResult, mapping or WgrSettings, optional
            An earlier whole-genome regression of the same traits, by its id or result, whose
            predictions the sites have kept; or the settings of a new one (`WgrSettings`: block,
            folds, min_frequency, heritability, binary, smallest_site). A mapping with `id` names
            an earlier one.
        test : {"firth", "spa", "score", "wald", "firth-full", "hybrid"}
            Of a logistic model. `firth`: score tests, and where |z| exceeds the cutoff Firth's
            approximate test (REGENIE's); `spa`: there saddlepoint p-values; `score`: score tests
            alone, whose effects are one Newton step. `wald`: maximum-likelihood fits of all
            parameters; `firth-full`: penalized ones; `hybrid`: penalized ones where the others do
            not converge (PLINK's default). These three are made of every row.
            With only tens of cases `spa` and `firth` are conservative: of a million null tests, 100
            should have p < 1e-4, and 51 and 38 have it with 20 cases among 20,000 people, 95 and 96
            with 200 among 200,000.
        cutoff : float, optional
            Rows with a smaller |z| keep their score test: 2 for `firth` and `spa` by default, and
            0 for the fits of all parameters.
        case_control_12 : bool
            Traits have 2 for cases and 1 for controls, as PLINK writes them.

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

        Notes
        -----
        A linear model takes four rounds: each site sends the rows it may name; numbers, means and
        variances of covariates and traits; their products with each other; and of every row the
        sums of dosages, of their squares, and of their products with covariates and traits. Levels
        of categories, `min_info` and `min_maf`, and rows on X, Y and MT take rounds of their own,
        components to compute those of `pca`. Logistic models and whole-genome regression go on for
        as many rounds as `federation.protocols.logistic` and `federation.protocols.wgr` list.
        In one round (`in_one_round`), of given rows, there are linear models with `missing="drop"`
        and logistic score tests stratified by site.
        """
        settings = GwasSettings(
            trait,
            covariates=covariates,
            pcs=pcs,
            missing=missing,
            site_effects=site_effects,
            transform=transform,
            condition_on=condition_on,
            origins=origins,
            dosages=dosages,
            min_info=min_info,
            min_maf=min_maf,
            x_males=x_males,
            model=model,
            wgr=wgr,
            test=test,
            cutoff=cutoff,
            case_control_12=case_control_12,
        )
        run, shards = self._asked_by(settings, in_memory=True)
        found: GwasResult = results.join(list(shards))
        found.attrs |= self._attributes(run)
        return found

    def gwas_shards(
        self, trait: str | Sequence[str], **settings: Any
    ) -> tuple[Run, Iterator[GwasResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory.

        Parameters
        ----------
        trait : str or sequence of str
        **settings
            As of `gwas`.
        """
        return self._asked_by(GwasSettings(trait, **settings), in_memory=False)

    def _asked_by(
        self, settings: GwasSettings, *, in_memory: bool
    ) -> tuple[Run, Iterator[GwasResult]]:
        kind, model, test = settings.model, settings.fitted(), settings.tested
        components, origins, wgr = settings.components, settings.origins, settings.wgr
        if self._one_round:
            if components is not None:
                raise UsageError("components to compute take rounds; leave out pcs")
            return self._gwas_once(kind, model, test, origins or {}, in_memory=in_memory)
        if origins is not None:
            raise UsageError("origins are for one round (in_one_round); else the sites agree")
        if kind == "wgr":
            return self._gwas_wgr(said(model), model, components, wgr, test, in_memory=in_memory)
        if wgr is not None:
            raise UsageError("wgr goes with model='wgr'")
        if kind == "logistic":
            return self._gwas_logistic(said(model), test.of(model), components, in_memory=in_memory)
        if test != AskedTest():
            raise UsageError("test, cutoff and case_control_12 go with model='logistic'")
        return self._gwas(model, components, in_memory=in_memory)

    def _gwas(
        self, model: GwasModel, components: int | None, *, in_memory: bool
    ) -> tuple[Run, Iterator[GwasResult]]:
        model.check()
        run = self._begin(said(model) | {"components": components})
        panel = self._whole_panel(run)
        model = self._drive(run, protocol.agree_on_levels(model))
        if in_memory:
            require_memory(panel.size * len(model.traits), BYTES_PER_TEST)
        if components is not None:
            # Columns that cannot be used should cost no PCA.
            self._drive(run, protocol.moments(model))
            found = self._components(run, autosomal(panel), components, TOLERANCE)
            model = replace(model, pca=found.id)
        origins = self._drive(run, protocol.moments(model))
        run.left_out |= origins.left_out
        if model.dosages:
            panel = self._imputed(run, panel, model.min_info, model.min_maf)
        fit = self._drive(run, protocol.fit(model, panel, origins))
        return run, with_inflation(run, self._gwas_shards(run, panel, fit, model.traits))

    def _gwas_once(
        self,
        kind: Model,
        model: GwasModel,
        test: AskedTest,
        origins: GivenOrigins,
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        asked = said(model)
        if origins:
            asked["origins"] = {name: list(pair) for name, pair in origins.items()}
        if kind == "logistic":
            return self._logistic_once(asked, test, model, origins, in_memory=in_memory)
        if kind != "linear" or test != AskedTest():
            raise UsageError("in one round there are linear models and logistic score tests only")
        if getattr(self, "secure_sum", False):
            raise UsageError(
                "a linear model cannot be summed in secret in one round: the publisher judges rows "
                "by how many people the model has, which takes a round; ask in rounds, or in the "
                "open"
            )
        protocol.check_once(model, "drop")
        run = self._begin(asked)
        panel = self._panel(run)
        if in_memory:
            require_memory(panel.size * len(model.traits), BYTES_PER_TEST)
        fit = self._drive(run, protocol.fit_once(model, panel, origins))
        return run, with_inflation(run, self._gwas_shards(run, panel, fit, model.traits))

    def _gwas_shards(
        self, run: Run, panel: Panel, fit: protocol.Fit, names: tuple[str, ...]
    ) -> Iterator[GwasResult]:
        return linear_shards(run, panel, fit.shards, names, fit.people, self._attributes(run))
