"""The kernels' definitions, spelled out person by person and row by row.

`dosage` is an integer array (rows, people) of copies of the ALT, -1 where the call is missing.
"""

from __future__ import annotations

import math

import numpy as np


def genotype_counts(dosage, groups, n_groups):
    """Genotype counts (0, 1, 2, missing) per row and group; group -1 is left out."""
    rows, people = dosage.shape
    counts = np.zeros((rows, n_groups, 4), dtype=np.int64)
    for row in range(rows):
        for person in range(people):
            if groups[person] != -1:
                counts[row, groups[person], dosage[row, person]] += 1
    return counts


def dosage_tally(dosage, groups, n_groups):
    """Per row and group, by name: people called and missing, and Σg and Σg² over the called."""
    names = ("called", "missing", "dosage_sum", "dosage_square")
    sums = {name: np.zeros((len(dosage), n_groups)) for name in names}
    for row in range(len(dosage)):
        for group in range(n_groups):
            own = [
                value for value, label in zip(dosage[row], groups, strict=True) if label == group
            ]
            called = [float(value) for value in own if value >= 0]
            sums["called"][row, group] = len(called)
            sums["missing"][row, group] = len(own) - len(called)
            sums["dosage_sum"][row, group] = math.fsum(called)
            sums["dosage_square"][row, group] = math.fsum(value**2 for value in called)
    return sums


def dosage_product(dosage, q):
    """Sum over people of dosage x q, missing calls as 0; correctly rounded."""
    return _exact_product(np.where(dosage < 0, 0, dosage), q)


def missing_product(dosage, q):
    """Sum of q over the people with a missing call; correctly rounded."""
    return _exact_product(dosage < 0, q)


def magnitude(plane, q):
    """The same sum over absolute values: the scale that a rounding error is relative to."""
    return np.abs(plane).astype(float) @ np.abs(q)


def banded_gram(dosage, window, include):
    """Sums over included people called in both rows, by name; entry [j, d] is (j, j + d)."""
    names = ("n", "sum_a", "sum_b", "square_a", "square_b", "product")
    rows, people = dosage.shape
    sums = {name: np.zeros((rows, window), dtype=np.int64) for name in names}
    for j in range(rows):
        for d in range(min(window, rows - j)):
            for person in range(people):
                a, b = int(dosage[j, person]), int(dosage[j + d, person])
                if include[person] and a >= 0 and b >= 0:
                    for name, term in zip(names, (1, a, b, a * a, b * b, a * b), strict=True):
                        sums[name][j, d] += term
    return sums


def person_counts(dosage, groups, n_groups):
    """Genotype counts (0, 1, 2, missing) per person and group of rows; group -1 is left out."""
    return genotype_counts(dosage.T, groups, n_groups)


def pair_counts(dosage, first=None, others=None):
    """Counts over rows called in both people, by name; entry [i, j] is a pair of the two lists."""
    names = ("observed", "ibs0", "het_het", "het", "het_other")
    first = range(dosage.shape[1]) if first is None else first
    others = range(dosage.shape[1]) if others is None else others
    counts = {name: np.zeros((len(first), len(others)), dtype=np.int64) for name in names}
    for i, one in enumerate(first):
        for j, other in enumerate(others):
            for a, b in zip(dosage[:, one], dosage[:, other], strict=True):
                if a >= 0 and b >= 0:
                    counts["observed"][i, j] += 1
                    counts["ibs0"][i, j] += {a, b} == {0, 2}
                    counts["het_het"][i, j] += a == 1 and b == 1
                    counts["het"][i, j] += a == 1
                    counts["het_other"][i, j] += b == 1
    return counts


def alt_dosage(call_genotype, n_alts):
    """Copies of each ALT in turn, one row per (variant, ALT), -1 where the call is missing.

    A call is missing if one of its alleles is -1 or all are -2; otherwise -2 is the fill of a
    haploid call, whose single allele counts twice.
    """
    rows = []
    for variant, calls in enumerate(call_genotype):
        for alt in range(1, n_alts[variant] + 1):
            row = []
            for call in calls:
                alleles = [allele for allele in call if allele != -2]
                if not alleles or -1 in alleles:
                    row.append(-1)
                elif len(alleles) == 1:
                    row.append(2 * alleles.count(alt))
                else:
                    row.append(alleles.count(alt))
            rows.append(row)
    return np.array(rows, dtype=np.int8).reshape(len(rows), call_genotype.shape[1])


def _exact_product(plane, q):
    rows, columns = plane.shape[0], q.shape[1]
    result = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            result[row, column] = math.fsum(plane[row] * q[:, column])
    return result
