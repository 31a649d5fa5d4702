"""The kernels for one CPU thread, compiled by numba; they work on the packed bits directly.

Integers come from population counts on 64-bit words. Products come from byte tables: the 256
sums that a byte of four people can contribute are worked out once per byte column and then only
added, row by row; the transposed product does the same on transposed codes. Rows with few
carriers, most rows of a whole genome, are added carrier by carrier instead. On 10,000 people x
4,000 rows and one thread this took 0.6 to 0.75 (transposed: 0.45 to 0.75) of the time of decoding
tiles to float64 and calling BLAS, at widths 2, 8, 12, 32, 64 and 128. At width 1 BLAS was ahead
(1.3; transposed 1.5), but tables serve every width: they fix the order of every sum, which a
threaded BLAS does not promise. On the same rows, banded grams took a third of the time of a
single float32 product, and pair counts (of 2,000 people) under a fifth of that of float32 products.

A compiled function calls only compiled functions of its own file: numba's disk cache watches the
file of what it caches, and a helper edited elsewhere would leave stale machine code behind.
"""

from genome_eu.kernels.cpu.counts import counts
from genome_eu.kernels.cpu.people import pair_counts, rcounts
from genome_eu.kernels.cpu.products import matmul, rmatmul, square_matmul
from genome_eu.kernels.cpu.rows import gram
from genome_eu.kernels.cpu.words import hold

__all__ = ["counts", "gram", "hold", "matmul", "pair_counts", "rcounts", "rmatmul", "square_matmul"]
