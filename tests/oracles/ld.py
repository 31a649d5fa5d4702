"""Linkage disequilibrium, pruning and clumping, spelled out pair by pair.

`dosage` is an integer array (rows, people) of copies of the ALT, -1 where the call is missing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def r_squared(a, b):
    """Squared correlation over the people called in both rows, exactly; None where undefined."""
    both = (a >= 0) & (b >= 0)
    a, b = a[both].astype(int), b[both].astype(int)
    n = len(a)
    cov = n * int((a * b).sum()) - int(a.sum()) * int(b.sum())
    var_a = n * int((a * a).sum()) - int(a.sum()) ** 2
    var_b = n * int((b * b).sum()) - int(b.sum()) ** 2
    return Fraction(cov * cov, var_a * var_b) if var_a and var_b else None


def filled(dosage):
    """Missing calls replaced by the most common genotype of their row, the lowest of those."""
    result = dosage.copy()
    for row in result:
        calls = row[row >= 0]
        row[row < 0] = np.bincount(calls, minlength=3).argmax() if len(calls) else 0
    return result


def major_frequency(row):
    """Frequency of the more common allele."""
    calls = row[row >= 0].astype(int)
    alt = Fraction(int(calls.sum()), 2 * len(calls))
    return max(alt, 1 - alt)


def prune(dosage, contig, position, window, in_bases, step, r2):
    """Rows that PLINK 2's `--indep-pairwise` keeps, bool (rows,)."""
    removed = np.zeros(len(dosage), dtype=bool)
    for stretch in stretches(contig, position, window if in_bases else None):
        if len(stretch) > 1:
            _prune_stretch(dosage, position, stretch, window, in_bases, step, r2, removed)
    return ~removed


def stretches(contig, position, gap):
    """Rows that may share a window: those of a contig, without gaps of more than `gap` bases."""
    result = []
    for row in range(len(contig)):
        apart = (
            row == 0
            or contig[row] != contig[row - 1]
            or (gap is not None and position[row] - position[row - 1] > gap)
        )
        if apart:
            result.append([])
        result[-1].append(row)
    return result


def slide(position, stretch, window, in_bases, step):
    """The windows over one stretch of rows, as lists of rows."""
    first = 0
    while True:
        if in_bases:
            inside = [
                row for row in stretch[first:] if position[row] - position[stretch[first]] <= window
            ]
        else:
            inside = stretch[first : first + window]
        yield inside
        if inside[-1] == stretch[-1]:
            return
        if in_bases:
            following = position[inside[-1] + 1]
            first += 1
            while following - position[stretch[first]] > window:
                first += 1
        else:
            first += step


def _prune_stretch(dosage, position, stretch, window, in_bases, step, r2, removed):
    compared = set()
    for inside in slide(position, stretch, window, in_bases, step):
        for row in inside:
            calls = dosage[row][dosage[row] >= 0]
            if len(set(calls)) < 2:
                removed[row] = True
        again = True
        while again:
            again = False
            for a in inside:
                if removed[a]:
                    continue
                for b in inside:
                    if b <= a or removed[b] or (a, b) in compared:
                        continue
                    compared.add((a, b))
                    found = r_squared(dosage[a], dosage[b])
                    if found is not None and found > Fraction(r2) * (1 + Fraction(1, 2**44)):
                        more_common = major_frequency(dosage[a]) > major_frequency(dosage[b])
                        removed[a if more_common else b] = True
                        again = True
                        break


def clump(dosage, contig, position, p, p1, r2, kb):
    """Clumps as (index row, other members), by p-value, then by row."""
    free = [row for row in range(len(p)) if not np.isnan(p[row])]
    clumps = []
    for index in sorted(free, key=lambda row: (p[row], row)):
        if index not in free or p[index] > p1:
            continue
        free.remove(index)
        members = []
        for row in list(free):
            near = contig[row] == contig[index] and abs(position[row] - position[index]) < kb * 1000
            found = r_squared(dosage[index], dosage[row]) if near else None
            # The threshold as it is written: an r² of exactly 3/10 is not above 0.3.
            if found is not None and found > Fraction(str(r2)):
                members.append(row)
                free.remove(row)
        clumps.append((index, members))
    return clumps
