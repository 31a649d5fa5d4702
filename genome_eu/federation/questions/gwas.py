"""Which alleles go with a trait?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.formula_text import is_formula, parse
from genome_eu.federation.parameters.model import Transform
from genome_eu.federation.protocols import gwas as protocol
from genome_eu.federation.protocols.gwas import GwasModel, Missing
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.protocols.ploidy import autosomal
from genome_eu.federation.questions.dosages import DosageQuestions
from genome_eu.federation.questions.inflation import with_inflation
from genome_eu.federation.questions.logistic import AskedTest
from genome_eu.federation.questions.run import Run
from genome_eu.federation.questions.wgr import Wgr, WgrQuestions
from genome_eu.results import GwasResult, PcaResult
from genome_eu.stats import variants
from genome_eu.stats.formula import Term
from genome_eu.stats.linear import ERRCODES
from genome_eu.stats.logistic import Test
from genome_eu.stats.ploidy import XMales

Model = Literal["linear", "logistic", "wgr"]
MODELS: tuple[Model, ...] = get_args(Model)

# Bytes in memory of one test.
_BYTES_PER_TEST = 80


class GwasQuestions(WgrQuestions, DosageQuestions):
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
        origins: Mapping[str, tuple[float, float]] | None = None,
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
            Rows such as ``"22:16051249:A:G"`` whose dosages are covariates; missing calls are at
            the mean of the site.
        origins : mapping of str to (float, float), optional
            In one round (`in_one_round`), about what mean and standard deviation columns have, so
            that sums keep their digits where a unit is very small or large. Otherwise the sites
            agree on them.
        dosages : bool
            Regress on expected copies of ALT, where the cohort was imputed, in autosomal rows. At
            sites without dosages, hard calls are taken for them.
        min_info, min_maf : float
            Of dosages: leave out rows whose imputation r² (PLINK 2's MACH_R2, over everybody at
            all sites) or minor allele frequency is lower. Asked in a round of its own.
        x_males : {"0/2", "0/1"}
            Dosages of males on X, outside the pseudo-autosomal regions: as if homozygous, or half
            of that. Sex is a covariate of these rows, and people of unknown sex take no part. Rows
            on Y are of males only; effects there and on MT are per copy (0 or 1).
        model : {"linear", "logistic", "wgr"}
            `logistic` is for traits of cases (1) and controls (0), in autosomal rows. `wgr`,
            whole-genome regression, tests each autosomal row beside what all other chromosomes
            predict (REGENIE's two steps): for related people and polygenic traits.
        wgr : str, GwasResult, mapping or WgrSettings, optional
            An earlier whole-genome regression of the same traits, by its id or result, whose
            predictions the sites have kept; or the settings of a new one (`WgrSettings`: block,
            folds, min_frequency, heritability, binary). A mapping with `id` names an earlier one.
        test : {"firth", "spa", "score", "wald", "firth-full", "hybrid"}
            Of a logistic model. `firth`: score tests, and where |z| exceeds the cutoff Firth's
            approximate test (REGENIE's); `spa`: there saddlepoint p-values; `score`: score tests
            alone, whose effects are one Newton step. `wald`: maximum-likelihood fits of all
            parameters; `firth-full`: penalized ones; `hybrid`: penalized ones where the others do
            not converge (PLINK's default). These three are made of every row.
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
        """
        asked, components = _gwas_model(
            trait, covariates, pcs, missing, site_effects, transform, condition_on
        )
        asked = replace(asked, dosages=dosages, min_info=min_info, min_maf=min_maf)
        asked = replace(asked, x_males=x_males)
        asked_test = AskedTest(test, cutoff, case_control_12)
        run, shards = self._asked_by(
            model, asked, components, wgr, asked_test, origins, in_memory=True
        )
        found: GwasResult = results.join(list(shards))
        found.attrs |= self._attributes(run)
        return found

    def gwas_shards(
        self,
        trait: str | Sequence[str],
        *,
        covariates: str | Sequence[str] = (),
        pcs: PcaResult | str | int | None = None,
        missing: Missing = "mean",
        site_effects: bool = True,
        transform: Transform | None = None,
        condition_on: str | Sequence[str] = (),
        origins: Mapping[str, tuple[float, float]] | None = None,
        dosages: bool = False,
        min_info: float = 0.0,
        min_maf: float = 0.0,
        x_males: XMales = "0/2",
        model: Model = "linear",
        wgr: Wgr = None,
        test: Test = "firth",
        cutoff: float | None = None,
        case_control_12: bool = False,
    ) -> tuple[Run, Iterator[GwasResult]]:
        """The same, shard by shard in row order, for results that do not fit in memory."""
        asked, components = _gwas_model(
            trait, covariates, pcs, missing, site_effects, transform, condition_on
        )
        asked = replace(asked, dosages=dosages, min_info=min_info, min_maf=min_maf)
        asked = replace(asked, x_males=x_males)
        asked_test = AskedTest(test, cutoff, case_control_12)
        return self._asked_by(model, asked, components, wgr, asked_test, origins, in_memory=False)

    def _asked_by(
        self,
        kind: Model,
        model: GwasModel,
        components: int | None,
        wgr: Wgr,
        test: AskedTest,
        origins: Mapping[str, tuple[float, float]] | None,
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        if kind not in MODELS:
            raise UsageError(f"model={kind!r}: choose {' or '.join(MODELS)}")
        if self._one_round:
            if components is not None:
                raise UsageError("components to compute take rounds; leave out pcs")
            return self._gwas_once(kind, model, test, origins or {}, in_memory=in_memory)
        if origins is not None:
            raise UsageError("origins are for one round (in_one_round); else the sites agree")
        if kind == "wgr":
            return self._gwas_wgr(_asked(model), model, components, wgr, test, in_memory=in_memory)
        if wgr is not None:
            raise UsageError("wgr goes with model='wgr'")
        if kind == "logistic":
            return self._gwas_logistic(
                _asked(model), test.of(model), components, in_memory=in_memory
            )
        if test != AskedTest():
            raise UsageError("test, cutoff and case_control_12 go with model='logistic'")
        return self._gwas(model, components, in_memory=in_memory)

    def _gwas(
        self, model: GwasModel, components: int | None, *, in_memory: bool
    ) -> tuple[Run, Iterator[GwasResult]]:
        model.check()
        run = self._begin(_asked(model) | {"components": components})
        panel = self._panel(run) if model.dosages else self._whole_panel(run)
        model = self._drive(run, protocol.agree_on_levels(model))
        if in_memory:
            _require_memory(panel.size * len(model.traits))
        if components is not None:
            # Columns that cannot be used should cost no PCA.
            self._drive(run, protocol.moments(model))
            found = self._components(run, autosomal(panel), components, TOLERANCE)
            model = replace(model, pca=found.id)
        origins = self._drive(run, protocol.moments(model))
        if model.dosages:
            panel = self._imputed(run, panel, model.min_info, model.min_maf)
        fit = self._drive(run, protocol.fit(model, panel, origins))
        return run, with_inflation(run, self._gwas_shards(run, panel, fit, model.traits))

    def _gwas_once(
        self,
        kind: Model,
        model: GwasModel,
        test: AskedTest,
        origins: Mapping[str, tuple[float, float]],
        *,
        in_memory: bool,
    ) -> tuple[Run, Iterator[GwasResult]]:
        said: dict[str, Any] = {"origins": {name: list(pair) for name, pair in origins.items()}}
        said = _asked(model) | (said if origins else {})
        if kind == "logistic":
            return self._logistic_once(said, test, model, origins, in_memory=in_memory)
        if kind != "linear" or test != AskedTest():
            raise UsageError("in one round there are linear models and logistic score tests only")
        protocol.check_once(model, "drop")
        run = self._begin(said)
        panel = self._panel(run)
        if in_memory:
            _require_memory(panel.size * len(model.traits))
        fit = self._drive(run, protocol.fit_once(model, panel, origins))
        return run, with_inflation(run, self._gwas_shards(run, panel, fit, model.traits))

    def _gwas_shards(
        self, run: Run, panel: Panel, fit: protocol.Fit, names: tuple[str, ...]
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


def _require_memory(tests: int) -> None:
    results.require_memory(
        2 * tests * _BYTES_PER_TEST,
        f"a table of {tests:,} tests",
        "stream it to files with `genome-eu gwas --out`, or take gwas_shards()",
    )


def _gwas_model(
    trait: str | Sequence[str],
    covariates: str | Sequence[str],
    pcs: PcaResult | str | int | None,
    missing: Missing,
    site_effects: bool,
    transform: Transform | None,
    condition_on: str | Sequence[str],
) -> tuple[GwasModel, int | None]:
    """What a GWAS fits, and the components that must be computed before."""
    if isinstance(pcs, bool) or not isinstance(pcs, PcaResult | str | int | None):
        raise UsageError("pcs: give the result of pca(), its id, or a number of components")
    plain, terms = _covariates(covariates)
    rows = (condition_on,) if isinstance(condition_on, str) else tuple(condition_on)
    named = variants.named(rows)
    model = GwasModel(
        traits=(trait,) if isinstance(trait, str) else tuple(trait),
        covariates=plain,
        terms=terms,
        condition=tuple(
            f"{row.contig}:{row.position}:{row.ref}:{row.alt}" for row in named.itertuples()
        ),
        transform=transform,
        pca=pcs.pca_id if isinstance(pcs, PcaResult) else pcs if isinstance(pcs, str) else None,
        missing=missing,
        site_effects=site_effects,
    )
    model.check()
    return model, pcs if isinstance(pcs, int) else None


def _covariates(given: str | Sequence[str]) -> tuple[tuple[str, ...], tuple[Term, ...]]:
    """Covariates that are columns as they are, or the terms of a formula."""
    items = (given,) if isinstance(given, str) else tuple(given)
    if not any(is_formula(item) for item in items):
        return items, ()
    return (), parse(" + ".join(items))


def _asked(model: GwasModel) -> dict[str, Any]:
    """The question as data; the levels of categories are part of the answer."""
    always = ("traits", "covariates", "pca", "missing", "site_effects")
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(model).items()
        if name in always or (value and name not in ("terms", "levels"))
    }
    if model.x_males == GwasModel.x_males:
        del settings["x_males"]
    if model.terms:
        settings["terms"] = [term.name for term in model.terms]
    return {"ask": "gwas", **settings}
