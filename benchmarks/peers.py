"""The peers' side but for PLINK: PCAone, sgkit, bio2zarr, as their users run them at their best.

Run as a module (`python -m benchmarks.peers TASK STORE TABLE OUT`), it is sgkit's whole process.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.agreement import Numbers
from benchmarks.data import COMPONENTS, Dataset, Model

if TYPE_CHECKING:
    import xarray as xr

# A Dask chunk for sgkit is of whole stored chunks, at most so many variants or genotypes, and there
# is one for every thread; both the stored chunk's 1,000 and a single chunk were slower.
_STORED_CHUNK = 1_000
_LARGEST_CHUNK = 10_000
_CHUNK_GENOTYPES = 2 * 10**7
# sgkit does not orthogonalize between power iterations: more of them overflow single precision.
_POWER_ITERATIONS = 5
# What PCAone may take out of core, and the part of the float64 matrix that this is at the most.
_PCAONE_GB, _PCAONE_PART = 0.25, 1 / 8

# -- PCAone ------------------------------------------------------------------------------------


def pcaone_command(data: Dataset, out: Path, threads: int) -> list[str]:
    matrix_gb = 8 * data.recipe.people * data.recipe.variants / 2**30
    memory = min(_PCAONE_GB, _PCAONE_PART * matrix_gb)
    given = ("-b", data.prefix, "-k", COMPONENTS, "-m", f"{memory:.4f}", "-o", out / "pcaone")
    return ["PCAone", *map(str, given), "-n", str(threads)]


def pcaone_pca(data: Dataset, out: Path) -> Numbers:
    eigenvalues = np.loadtxt(out / "pcaone.eigvals", ndmin=1)
    return {"eigenvalues": eigenvalues, "scores": np.loadtxt(out / "pcaone.eigvecs", ndmin=2)}


# -- bio2zarr ----------------------------------------------------------------------------------


def bio2zarr_command(data: Dataset, out: Path, threads: int) -> list[str]:
    made = str(out / "made.vcz")
    # In one process, as this project calls it; its worker processes are for larger files.
    asked = ["plink2zarr", "convert", "--force", "--no-progress", str(data.prefix), made]
    return [sys.executable, "-m", "bio2zarr", *asked]


def bio2zarr_call(data: Dataset, out: Path) -> None:
    from bio2zarr import plink as converter

    shutil.rmtree(out / "made.vcz", ignore_errors=True)
    converter.convert(str(data.prefix), out / "made.vcz", worker_processes=0)


def bio2zarr_imported(data: Dataset, out: Path) -> Numbers:
    import zarr

    genotypes: Any = zarr.open_group(str(out / "made.vcz"), mode="r")["call_genotype"]
    whole = hashlib.sha256()
    for start in range(0, genotypes.shape[0], 5000):
        whole.update(np.ascontiguousarray(genotypes[start : start + 5000]).data)
    return {"call_genotype": np.frombuffer(whole.digest(), np.uint8)}


# -- sgkit -------------------------------------------------------------------------------------


def sgkit_command(data: Dataset, out: Path, threads: int, *, task: str) -> list[str]:
    given = map(str, (data.cohort, data.table, out))
    return [sys.executable, "-m", "benchmarks.peers", task, *given]


def sgkit_call(data: Dataset, out: Path, *, task: str) -> None:
    _write(out, _SGKIT[task](data.cohort, data.table))


def _write(out: Path, found: Numbers) -> None:
    np.savez(out / "sgkit.npz", **found)


def sgkit_numbers(data: Dataset, out: Path) -> Numbers:
    with np.load(out / "sgkit.npz", allow_pickle=False) as kept:
        return dict(kept)


def _sgkit_dataset(store: Path) -> xr.Dataset:
    import dask
    import sgkit

    sizes = sgkit.load_dataset(str(store)).sizes
    stored = -(-sizes["variants"] // (_STORED_CHUNK * dask.config.get("num_workers", 1)))
    most = min(_LARGEST_CHUNK, _CHUNK_GENOTYPES // sizes["samples"]) // _STORED_CHUNK
    chunk = min(stored, max(most, 1)) * _STORED_CHUNK
    return sgkit.load_dataset(str(store), chunks={"variants": chunk, "samples": -1})


def _mean_imputed(alleles: Any, kind: Any) -> Any:
    """Copies of ALT, missing calls at the row's mean, chunk by chunk without Dask's overhead."""

    def dosage(block: np.ndarray) -> np.ndarray:
        missing = block[..., 0] < 0
        copies = np.where(missing, 0, block.sum(axis=-1, dtype=np.int8)).astype(kind)
        called = missing.shape[1] - missing.sum(axis=1)
        mean = copies.sum(axis=1, dtype=np.float64) / np.maximum(called, 1)
        rows, people = np.nonzero(missing)
        copies[rows, people] = mean[rows]
        return copies

    return alleles.map_blocks(dosage, dtype=kind, drop_axis=2, chunks=alleles.chunks[:2])


def sgkit_frequencies(store: Path, table: Path, *, hwe: bool) -> Numbers:
    import sgkit

    found = _sgkit_dataset(store)[["variant_allele", "call_genotype", "call_genotype_mask"]]
    found = sgkit.count_variant_genotypes(found)
    asked = {"hwe_p": "variant_hwe_p_value"} if hwe else {}
    if hwe:
        found = sgkit.hardy_weinberg_test(found)
    found = found[["variant_genotype_count", *asked.values()]].compute()
    hom_ref, het, hom_alt = found["variant_genotype_count"].values.T.astype(np.int64)
    counts: Numbers = {"n_hom_ref": hom_ref, "n_het": het, "n_hom_alt": hom_alt}
    return counts | {name: found[variable].values for name, variable in asked.items()}


def sgkit_gwas(store: Path, table: Path) -> Numbers:
    import sgkit

    people = pd.read_csv(table, sep="\t")
    model = Model()
    data = _sgkit_dataset(store)
    dosage = _mean_imputed(data["call_genotype"].data, np.float64)
    data = data[[]].assign(call_dosage=(("variants", "samples"), dosage))
    traits, covariates = list(model.trait_names), list(model.covariate_names)
    for name in (*traits, *covariates):
        data[name] = ("samples", people[name].to_numpy(np.float64))
    found = sgkit.gwas_linear_regression(
        data, dosage="call_dosage", covariates=covariates, traits=traits, merge=False
    ).compute()
    with np.errstate(divide="ignore"):
        neg_log10_p = -np.log10(found["variant_linreg_p_value"].values)
    return {
        "beta": found["variant_linreg_beta"].values,
        "t": found["variant_linreg_t_value"].values,
        "neg_log10_p": neg_log10_p,
    }


def sgkit_pca(store: Path, table: Path, *, algorithm: str) -> Numbers:
    import sgkit
    import xarray as xr

    data = _sgkit_dataset(store)
    # In memory and in single precision, or every step would read and impute again.
    whole = _mean_imputed(data["call_genotype"].data, np.float32).persist()
    # sgkit divides by zero where everybody has the same genotype.
    dosage = whole[(whole.max(axis=1) > whole.min(axis=1)).compute()]
    given = xr.Dataset({"call_alternate_allele_count": (("variants", "samples"), dosage)})
    found = sgkit.pca(
        given,
        n_components=COMPONENTS,
        ploidy=2,
        algorithm=algorithm,
        n_iter=_POWER_ITERATIONS,
        check_missing=False,
        merge=False,
    )
    found = found[["sample_pca_projection", "sample_pca_explained_variance"]].compute()
    projection = found["sample_pca_projection"].values.astype(np.float64)
    variants, people = whole.shape
    # sgkit divides by √(p(1−p)), not √(2p(1−p)), and its variance is per person, not per variant.
    eigenvalues = found["sample_pca_explained_variance"].values * people / (2 * variants)
    return {"eigenvalues": eigenvalues.astype(np.float64), "scores": projection}


_SGKIT: dict[str, Callable[[Path, Path], Numbers]] = {
    "counts": partial(sgkit_frequencies, hwe=False),
    "frequencies": partial(sgkit_frequencies, hwe=True),
    "gwas": sgkit_gwas,
    "pca-tsqr": partial(sgkit_pca, algorithm="tsqr"),
    "pca-randomized": partial(sgkit_pca, algorithm="randomized"),
}


def _main() -> None:
    task, store, table, out = sys.argv[1:]
    _write(Path(out), _SGKIT[task](Path(store), Path(table)))


if __name__ == "__main__":
    _main()
