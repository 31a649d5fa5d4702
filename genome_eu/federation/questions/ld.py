"""Which rows say the same as others near them?"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from genome_eu import results
from genome_eu.errors import BadInput, PanelError, UsageError
from genome_eu.federation.protocols import ld as protocol
from genome_eu.federation.protocols.ld import Missing
from genome_eu.federation.protocols.panel import Panel
from genome_eu.federation.questions.asking import Asking
from genome_eu.federation.questions.run import Run
from genome_eu.formats.p_values import PValues, p_values_of
from genome_eu.results import ClumpResult, PruneResult
from genome_eu.stats import ld, variants
from genome_eu.stats.harmonize import match


class LdQuestions(Asking):
    """Linkage disequilibrium: pruning a panel, and clumping the hits of a GWAS."""

    def prune(
        self,
        window: str | int = "500kb",
        *,
        r2: float = 0.2,
        step: int = 1,
        keep_long_range: bool = False,
        missing: Missing = "pairwise",
    ) -> PruneResult:
        """Rows in approximate linkage equilibrium: PLINK 2's `--indep-pairwise`, of all people.

        Over many sites this is one round after the panel's. Each site sends sums over its people
        of the products of rows that share a window, from which r² follows exactly.

        Parameters
        ----------
        window : str or int
            In which rows are compared: "500kb", or a number of rows.
        r2 : float
            Of two rows whose squared correlation is above it, one goes.
        step : int
            Rows by which a window of rows moves on; one in kb moves by one.
        keep_long_range : bool
            Whether to keep the regions of long-range linkage disequilibrium
            (`stats.ld.long_range`), of which a PCA makes components of their own.
        missing : {"pairwise", "fill"}
            Compare two rows over the people called in both, as PLINK does; or fill missing calls
            with the most common genotype, each site its own. Policies with a floor for missing
            calls withhold rows that lack calls from the first.

        Returns
        -------
        PruneResult
            `variant_kept` over the rows of the panel; `kept` is what `on_rows` takes.

        Raises
        ------
        UsageError
            There is no such window or threshold, or nobody knows the regions, as sites do not say
            their build.
        Refused, NoAnswer, BadInput
            As `frequencies`; also where rows are not in genome order.
        """
        return self.prune_run(
            window, r2=r2, step=step, keep_long_range=keep_long_range, missing=missing
        )[1]

    def prune_run(
        self,
        window: str | int = "500kb",
        *,
        r2: float = 0.2,
        step: int = 1,
        keep_long_range: bool = False,
        missing: Missing = "pairwise",
    ) -> tuple[Run, PruneResult]:
        """`prune` with the record of its run."""
        chosen = ld.Window.parse(str(window), step)
        ld.threshold(r2)
        if missing not in ("pairwise", "fill"):
            raise UsageError(f"missing={missing!r}: choose pairwise or fill")
        run = self._begin(
            {
                "ask": "prune",
                "window": str(window),
                "step": step,
                "r2": r2,
                "keep_long_range": keep_long_range,
                "missing": missing,
            }
        )
        whole = panel = self._panel(run)
        names = whole.rows
        inside = np.zeros(whole.size, dtype=bool)
        if not keep_long_range:
            contig, position = names["contig"].to_numpy(object), names["position"].to_numpy()
            inside = ld.in_long_range(contig, position, whole.build)
            run.left_out["rows in regions of long-range LD"] = int(inside.sum())
            if inside.all():
                raise PanelError("all rows lie in regions of long-range LD; keep the regions")
            panel = whole.take(np.flatnonzero(~inside))
        found = self._pruned(run, panel, chosen, r2, missing)
        if found.withheld.any() or found.pairs_withheld:
            run.left_out["rows withheld by policy"] = int(found.withheld.sum())
            run.left_out["pairs withheld by policy"] = found.pairs_withheld
        if found.withheld.all():
            instead = "ask with missing calls filled (--missing fill), or " * (missing != "fill")
            raise PanelError(f"the sites' policies withhold all rows; {instead}of other rows")
        kept = np.zeros(whole.size, dtype=bool)
        kept[~inside] = found.kept
        variables = results.row_variables(names, whole.contigs)
        variables["variant_kept"] = ("variants", kept)
        attrs = self._attributes(run, rows_kept=int(kept.sum()), rows_total=whole.size)
        return run, PruneResult(variables, attrs=attrs)

    def _pruned(
        self, run: Run, panel: Panel, window: ld.Window, r2: float, missing: Missing
    ) -> protocol.Pruned:
        windows = protocol.windows_of(panel, window)
        found: protocol.Pruned = self._drive(run, protocol.prune(panel, windows, r2, missing))
        return found

    def clump(
        self,
        gwas: xr.Dataset | PValues,
        trait: str | None = None,
        *,
        rule: ld.ClumpRule | None = None,
        missing: Missing = "pairwise",
    ) -> ClumpResult:
        """Clumps of associated rows: PLINK's `--clump`, with r² of the people asked.

        Over many sites, only rows near an index row are asked for, in one round after the panel's.
        Of whoever is asked of some rows (`on_rows`) only those are looked at, index rows too.

        Parameters
        ----------
        gwas : GwasResult, MetaResult or PValues
            Of this cohort or federation, or of any others: `genome_eu.formats.read_p_values` reads
            tables of PLINK 2, REGENIE and GWAS-SSF. A row whose REF and ALT are the other way round
            here is found where that is beyond doubt (`genome_eu.stats.harmonize`). Rows that are
            not found, or that limits remove (`filtered`), are in no clump.
        trait : str, optional
            Which of its traits; needed where it has several.
        rule : ClumpRule, optional
            Thresholds; PLINK's by default (p₁ 1e-4, p₂ 0.01, r² 0.5, 250 kb).
        missing : {"pairwise", "fill"}
            As for `prune`.

        Returns
        -------
        ClumpResult
            Over the rows in some clump; `table` has one line a clump.

        Raises
        ------
        UsageError
            The GWAS has no such trait.
        Refused, NoAnswer, BadInput
            As `frequencies`; also where no row has a p-value of at most p₁.
        """
        return self.clump_run(gwas, trait, rule=rule, missing=missing)[1]

    def clump_run(
        self,
        gwas: xr.Dataset | PValues,
        trait: str | None = None,
        *,
        rule: ld.ClumpRule | None = None,
        missing: Missing = "pairwise",
    ) -> tuple[Run, ClumpResult]:
        """`clump` with the record of its run."""
        rule = rule or ld.ClumpRule()
        tests = p_values_of(gwas, trait)
        table, p = tests.rows, tests.neg_log10_p
        if self._given is not None:
            wanted = match(table, self._given).found
            table, p = table[wanted], p[wanted]
        codes = pd.factorize(table["contig"])[0]
        near = np.flatnonzero(
            ld.near_an_index(rule, codes, table["position"].to_numpy(np.int64), p)
        )
        if not near.size:
            raise BadInput(
                f"no row has a p-value of at most {rule.p1:g}; there is nothing to clump"
            )
        asked, there = self._on_found(table.iloc[near].reset_index(drop=True))
        run = asked._begin(
            {
                "ask": "clump",
                **{name: getattr(rule, name) for name in ("p1", "p2", "r2", "kb")},
                "missing": missing,
                "p_values": hashlib.sha256(np.ascontiguousarray(p[near]).tobytes()).hexdigest(),
            }
        )
        panel = asked._panel(run)
        names = panel.rows
        given = table if asked._given is None else asked._given
        place = variants.keys(given).get_indexer(variants.keys(names))
        if np.any(place < 0):
            raise BadInput("the sites answered with rows that the GWAS does not have")
        mine = p[near][there][place]
        windows = protocol.windows_of(panel, rule.window)
        clumps, hidden = asked._drive(run, protocol.clump(panel, windows, rule, mine, missing))
        removed = sum(run.left_out.get("rows removed by limits", {}).values())
        removed += run.left_out.get("rows not on autosomes", 0)
        if absent := near.size - panel.size - removed:
            run.left_out["rows of the GWAS that are not at every site"] = absent
        if hidden:
            run.left_out["pairs withheld by policy"] = hidden
        return run, ClumpResult(
            _clump_variables(clumps, rule, mine, panel),
            attrs=asked._attributes(run, clumps=clumps.index.size),
        )


def _clump_variables(
    clumps: ld.Clumps, rule: ld.ClumpRule, neg_log10_p: NDArray, panel: Panel
) -> dict[str, Any]:
    inside = np.flatnonzero(clumps.clump >= 0)
    index = np.zeros(panel.size, dtype=bool)
    index[clumps.index] = True
    variables = results.row_variables(panel.rows.iloc[inside], panel.contigs)
    return variables | {
        "variant_neg_log10_p": ("variants", neg_log10_p[inside]),
        "variant_clump": ("variants", clumps.clump[inside]),
        "variant_clump_index": ("variants", index[inside]),
        "variant_clump_named": ("variants", rule.named(neg_log10_p)[inside]),
    }
