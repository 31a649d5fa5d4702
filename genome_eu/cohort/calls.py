"""The calls of a VCF Zarr store, from a source that bio2zarr would go through by variant."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
from numpy.typing import NDArray

from genome_eu.cohort.arrays import create_array
from genome_eu.cohort.packing import people_slices

#: What `CallArrays` makes of a VCF Zarr store, instead of bio2zarr.
GENOTYPE_ARRAYS = ("call_genotype", "call_genotype_mask", "call_genotype_phased")

# Of 20 MB of simulated alleles, lz4 makes 1.9 MB in 12 ms, zstd 1 makes 1.1 MB in 25 ms, and
# bio2zarr's zstd 7 makes 1.06 MB in 210 ms; all are read in the same time.
_ALLELES_CODEC = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.BITSHUFFLE)
# Nearly always all the same.
_FLAGS_CODEC = numcodecs.Blosc("lz4", clevel=5, shuffle=numcodecs.Blosc.NOSHUFFLE)


class CallArrays:
    """The arrays of `GENOTYPE_ARRAYS` of unphased diploid calls; many threads may write.

    Parameters
    ----------
    root : zarr.Group
        The store, which has everything but these arrays.
    schema : bio2zarr.vcz.VcfZarrSchema
        What these arrays are.
    people : int
        People of the store.

    Attributes
    ----------
    slices : list of slice
        People to write at once: multiples of four, but for the last.
    """

    def __init__(self, root: Any, schema: Any, people: int) -> None:
        specs = {field.name: field for field in schema.fields}
        self._genotypes, self._mask, self._phased = (
            _create_like(root, schema, specs[name]) for name in GENOTYPE_ARRAYS
        )
        self._unphased = np.zeros(self._phased.chunks, dtype=bool)
        self.slices = people_slices(people, self._genotypes.chunks[1])

    def write_alleles(self, variants: slice, people: slice, alleles: NDArray[np.int8]) -> None:
        """Write the alleles of some calls, (variants, people, 2), -1 where missing."""
        self._genotypes[variants, people] = alleles
        self._phased[variants, people] = self._unphased[: len(alleles), : alleles.shape[1]]

    def write_mask(self, variants: slice, people: slice, mask: NDArray[np.bool_]) -> None:
        """Write which alleles are missing, (variants, people, 2)."""
        self._mask[variants, people] = mask


def _create_like(root: Any, schema: Any, spec: Any) -> Any:
    """The array that bio2zarr would make, but for its compressor."""
    array = create_array(
        root,
        spec.name,
        tuple(spec.get_shape(schema)),
        tuple(spec.get_chunks(schema)),
        spec.dtype,
        _ALLELES_CODEC if spec.name == "call_genotype" else _FLAGS_CODEC,
        nested=True,
        fill_value=None,
    )
    array.attrs.update(
        {"_ARRAY_DIMENSIONS": list(spec.dimensions), "description": spec.description}
    )
    return array
