"""Regions of long-range linkage disequilibrium, which give components of their own to a PCA.

Sources: the 24 autosomal regions of Price et al. (2008), Am J Hum Genet 83:132–135, and Anderson
et al. (2010), Nat Protoc 5:1564–1573. For GRCh37 as listed by the Abecasis group
(genome.sph.umich.edu, "Regions of high linkage disequilibrium"); for GRCh38 as lifted there and in
the R package plinkQC, in bases. Seven of them come apart in that lift. Five of these are as other
lifts of the list have them: 2:134.5, 5:98, 5:135.5 and 12:109.5 Mb in the workflows
lifebit-ai/relate and neurogenetics/GWAS-pipeline, and 11:46 as the lifted region of Weissbrod et
al. (2020), Nat Genet 52:1355–1363. Two across centromeres (3:89 and 6:57 Mb) are in none that we
know; their GRCh37 ends are moved here by the distance of genes at those ends, to 10 kb.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genome_eu.errors import UsageError

_GRCH37 = (
    ("1", 48_000_000, 52_000_000),
    ("2", 86_000_000, 100_500_000),
    ("2", 134_500_000, 138_000_000),
    ("2", 183_000_000, 190_000_000),
    ("3", 47_500_000, 50_000_000),
    ("3", 83_500_000, 87_000_000),
    ("3", 89_000_000, 97_500_000),
    ("5", 44_500_000, 50_500_000),
    ("5", 98_000_000, 100_500_000),
    ("5", 129_000_000, 132_000_000),
    ("5", 135_500_000, 138_500_000),
    ("6", 25_000_000, 35_000_000),
    ("6", 57_000_000, 64_000_000),
    ("6", 140_000_000, 142_500_000),
    ("7", 55_000_000, 66_000_000),
    ("8", 7_000_000, 13_000_000),
    ("8", 43_000_000, 50_000_000),
    ("8", 112_000_000, 115_000_000),
    ("10", 37_000_000, 43_000_000),
    ("11", 46_000_000, 57_000_000),
    ("11", 87_500_000, 90_500_000),
    ("12", 33_000_000, 40_000_000),
    ("12", 109_500_000, 112_000_000),
    ("20", 32_000_000, 34_500_000),
)

_GRCH38 = (
    ("1", 47_761_740, 51_761_740),
    ("2", 85_919_365, 100_517_106),
    ("2", 133_742_429, 137_242_430),
    ("2", 182_427_027, 189_427_029),
    ("3", 47_483_505, 49_987_563),
    ("3", 83_368_158, 86_868_160),
    ("3", 88_950_000, 97_780_000),
    ("5", 44_464_140, 51_168_409),
    ("5", 98_664_296, 101_164_296),
    ("5", 129_636_407, 132_636_409),
    ("5", 136_164_311, 139_164_311),
    ("6", 25_391_792, 33_424_245),
    ("6", 57_130_000, 63_290_000),
    ("6", 139_637_169, 142_137_170),
    ("7", 54_964_812, 66_897_578),
    ("8", 8_105_067, 12_105_082),
    ("8", 43_025_699, 48_924_888),
    ("8", 110_918_594, 113_918_595),
    ("10", 36_671_065, 43_184_546),
    ("11", 45_978_449, 57_232_526),
    ("11", 88_127_183, 91_127_184),
    ("12", 32_955_798, 41_319_931),
    ("12", 109_062_195, 111_562_196),
    ("20", 33_948_532, 36_438_183),
)

#: By build: contig, first and last position, from 1.
LONG_RANGE: Mapping[str, tuple[tuple[str, int, int], ...]] = {"GRCh37": _GRCH37, "GRCh38": _GRCH38}


def in_long_range(contig: NDArray, position: NDArray, build: str) -> NDArray:
    """Which rows lie in a region of long-range LD, bool (rows,).

    Parameters
    ----------
    contig : array of str, shape (rows,)
        "1" to "22"; others have no regions.
    position : int64 array, shape (rows,)
    build : str
        "GRCh37" or "GRCh38".

    Raises
    ------
    UsageError
        The build is neither, so that nobody knows where the regions are.
    """
    if build not in LONG_RANGE:
        raise UsageError(
            f"the regions of long-range LD are not known for build {build}; import the cohorts "
            f"with --build, or keep the regions (--keep-long-range)"
        )
    contig, position = np.asarray(contig, dtype=object), np.asarray(position)
    inside = np.zeros(len(contig), dtype=bool)
    for name, first, last in LONG_RANGE[build]:
        inside |= (contig == name) & (position >= first) & (position <= last)
    return inside
