"""The kernels and a GWAS of many traits on one CUDA device.

`python -m benchmarks.gpu` says in one line where there is no device. Blocks are copies of one tile
of simulated genotypes, and each is brought to the device anew, as those of a store would be;
reading from a disk is left out. The figure to beat, 305 s on one H100 for 20,000 people × 1 million
variants × 2,000 traits, is TorchGWAS's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genome_eu.errors import GenomeEuError, UsageError
from genome_eu.kernels import PackedBlock, backend, gpu, pack
from genome_eu.stats import linear

_TO_BEAT_S = 305.0
_COVARIATES = 12
_MISSING = 0.005
_REPEATS = 10


@dataclass(frozen=True)
class Work:
    """How large a GWAS, and in what blocks."""

    people: int
    variants: int
    traits: int
    block_rows: int
    threads: int

    def tile(self, missing: float) -> NDArray[np.uint8]:
        """Packed genotypes of one block."""
        rng = np.random.default_rng(1)
        frequency = rng.uniform(0.01, 0.5, (self.block_rows, 1))
        draw = rng.random((self.block_rows, self.people), dtype=np.float32)
        dosage = (draw < frequency * (2 - frequency)).astype(np.int8)
        dosage += draw < frequency**2
        dosage[rng.random(dosage.shape, dtype=np.float32) < missing] = -1
        return pack(dosage)

    def design(self) -> linear.Design:
        """Covariates and traits of everybody."""
        rng = np.random.default_rng(2)
        x = rng.standard_normal((self.people, _COVARIATES))
        y = rng.standard_normal((self.people, self.traits))
        return linear.design(x, y, site_effects=True)

    def require_memory(self) -> None:
        """Make sure that the blocks at work fit on the device.

        Raises
        ------
        UsageError
            They do not.
        """
        width = _COVARIATES + self.traits
        needed = self.threads * gpu.block_bytes(self.block_rows, self.people, width)
        free = gpu.free_device_bytes()
        if needed > free:
            raise UsageError(
                f"{self.threads} blocks of {self.block_rows:,} rows need {needed / 2**30:.1f} GiB "
                f"on the device, and {free / 2**30:.1f} GiB are free; give a smaller --block-rows"
            )


def gwas(work: Work, missing: float) -> dict[str, Any]:
    """Seconds of the sums alone, and with effects, standard errors and p-values of every test."""
    packed, model = work.tile(missing), work.design()
    shared, scale = linear.summarize_design(model), np.ones(work.traits)
    kernels = backend("gpu")

    def sums(rows: int) -> linear.MeanSums:
        return linear.summarize_mean(PackedBlock(packed[:rows], work.people, kernels), model)

    def sums_only(rows: int) -> int:
        return sums(rows).called.size

    def fitted(rows: int) -> int:
        return linear.finalize(shared, sums(rows), scale).beta.size // work.traits

    found = {"missing": missing, **work.__dict__}
    for name, one in (("sums_s", sums_only), ("whole_s", fitted)):
        one(min(work.block_rows, work.variants))  # what is compiled at first
        found[name] = _over_all_blocks(work, one)
    return found


def _over_all_blocks(work: Work, one: Callable[[int], int]) -> float:
    starts = range(0, work.variants, work.block_rows)
    sizes = [min(work.block_rows, work.variants - start) for start in starts]
    begin = time.perf_counter()
    with ThreadPoolExecutor(work.threads) as pool, threadpool_limits(1, user_api="blas"):
        done = sum(pool.map(one, sizes))
    assert done == work.variants  # noqa: S101
    return time.perf_counter() - begin


def kernel_rates(work: Work, missing: float) -> dict[str, float]:
    """Packed bytes per second that each kernel goes through, of rows that are on the device."""
    block = PackedBlock(work.tile(missing), work.people, backend("gpu"))
    everybody = np.zeros(work.people, dtype=np.int64)
    rng = np.random.default_rng(3)
    q, r = rng.standard_normal((work.people, 20)), rng.standard_normal((work.block_rows, 20))
    calls: dict[str, Callable[[], Any]] = {
        "counts": lambda: block.counts(everybody, 1),
        "matmul, 20 columns, float64": lambda: block.matmul(q),
        "matmul, 20 columns, float32": lambda: block.matmul(q.astype(np.float32)),
        "rmatmul, 20 columns, float64": lambda: block.rmatmul(r, r),
        "gram, window 100": lambda: block.gram(100),
    }
    return {name: _rate(call, block.packed.nbytes) for name, call in calls.items()}


def _rate(call: Callable[[], Any], size: int) -> float:
    call()
    begin = time.perf_counter()
    for _ in range(_REPEATS):
        call()
    return _REPEATS * size / (time.perf_counter() - begin)


def table(found: dict[str, Any]) -> str:
    """What was found, as Markdown."""
    lines = ["| linear GWAS | sums | whole | TorchGWAS's 305 s ÷ whole |", "|---|--:|--:|--:|"]
    for row in found["gwas"]:
        name = (
            f"{row['people']:,} people × {row['variants']:,} variants × {row['traits']:,} traits, "
            f"{row['missing']:.1%} missing"
        )
        as_published = (row["people"], row["variants"], row["traits"]) == (20_000, 10**6, 2_000)
        ratio = f"{_TO_BEAT_S / row['whole_s']:.2g}×" if as_published else "–"
        lines.append(f"| {name} | {row['sums_s']:.3g} s | {row['whole_s']:.3g} s | {ratio} |")
    lines += ["", "| kernel | packed GB/s |", "|---|--:|"]
    lines += [f"| {name} | {rate / 1e9:.2g} |" for name, rate in found["kernels"].items()]
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--variants", type=int, default=1_000_000)
    parser.add_argument("--traits", type=int, default=2_000)
    parser.add_argument("--block-rows", type=int, default=4_096)
    parser.add_argument("--threads", type=int, default=4, help="blocks at work at once")
    parser.add_argument("--out", type=Path, help="write what was found as JSON")
    given = parser.parse_args()
    work = Work(given.people, given.variants, given.traits, given.block_rows, given.threads)
    try:
        gpu.require()
        work.require_memory()
    except GenomeEuError as error:
        print(f"nothing was measured: {error}")
        return 0
    found = {
        "gwas": [gwas(work, missing) for missing in (0.0, _MISSING)],
        "kernels": kernel_rates(work, _MISSING),
    }
    print(table(found))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
