"""λ and the quantiles of p-values, taken as the shards of an association pass by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genome_eu.federation.questions.run import Run
from genome_eu.results import GwasResult
from genome_eu.stats.inflation import Inflation, lambda_1000


def with_inflation(run: Run, shards: Iterator[GwasResult]) -> Iterator[GwasResult]:
    """The same shards; `run.inflation` has the summary of each trait after the last of them."""
    seen: Inflation | None = None
    names: list[str] = []
    most = np.zeros((2, 0), np.int64)
    for shard in shards:
        if seen is None:
            names = [str(name) for name in shard["trait_id"].values]
            seen, most = Inflation(len(names)), np.zeros((2, len(names)), np.int64)
        (tests,) = (name for name in shard.data_vars if str(name).endswith("_neg_log10_p"))
        seen.add(shard[tests].values)
        most = np.maximum(most, _cases_and_controls(shard))
        yield shard
    if seen is None:
        return
    for name, summary, (cases, controls) in zip(names, seen.summaries(), most.T, strict=True):
        run.inflation[name] = summary.as_dict()
        if summary.tests and cases and controls:
            scaled = lambda_1000(summary.inflation, int(cases), int(controls))
            run.inflation[name]["lambda_1000"] = scaled


def _cases_and_controls(shard: GwasResult) -> NDArray:
    """The most of each in any row, (2, traits); 0 of a trait that has neither."""
    if "variant_logreg_n_cases" not in shard or not shard.sizes["variants"]:
        return np.zeros((2, shard.sizes["traits"]), np.int64)
    both = (shard[f"variant_logreg_n_{kind}"].values for kind in ("cases", "controls"))
    return np.stack([np.maximum(values.max(axis=0), 0) for values in both])
