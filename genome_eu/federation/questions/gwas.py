"""Which alleles go with a trait?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from genome_eu import results
from genome_eu.errors import UsageError
from genome_eu.federation.protocols import gwas as protocol
from genome_eu.federation.protocols.gwas import GwasModel, Missing
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.protocols.pca import TOLERANCE
from genome_eu.federation.questions.pca import PcaQuestions
from genome_eu.federation.questions.run import Run
from genome_eu.results import GwasResult, PcaResult
from genome_eu.stats.linear import ERRCODES

# Bytes in memory of one test.
_BYTES_PER_TEST = 80


class GwasQuestions(PcaQuestions):
    """Association of traits with dosage, row by row."""

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
            self._drive(run, protocol.moments(model))
            model = replace(model, pca=self._components(run, panel, components, TOLERANCE).id)
        origins = self._drive(run, protocol.moments(model))
        fit = self._drive(run, protocol.fit(model, panel, origins))
        return run, self._gwas_shards(run, panel, fit, model.traits)

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
