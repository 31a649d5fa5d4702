"""Hudson's F_ST beside PLINK 2's, for every pair of populations and every row."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from genome_eu.stats import fst
from tests.oracles import fst as oracle
from tests.peers.plink import digits, needs_plink2, plink2, table

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]


@pytest.fixture(scope="module", params=["kg_eur", "kg_eur_2pc_out"])
def compared(request, tmp_path_factory):
    """Counts by population, and the prefix of PLINK's tables."""
    peer = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp(f"fst_{peer.name}")
    fam = peer.source.with_suffix(".fam").read_text().splitlines()
    lines = ["#FID\tIID\tpopulation"]
    for line, population in zip(fam, peer.samples["population"], strict=True):
        family, person, *_ = line.split()
        lines.append(f"{family}\t{person}\t{population}")
    (folder / "populations.txt").write_text("\n".join(lines) + "\n")
    prefix = plink2(
        *["--bfile", peer.source.with_suffix(""), "--pheno", folder / "populations.txt"],
        *["--fst", "population", "method=hudson", "report-variants"],
        out=folder / "plink",
    )
    found = peer.cohort.frequencies(by="population", hwe=False)
    names = found["cohort_id"].values.tolist()
    alleles = found["cohort_allele_count"].values[..., 1]
    return peer.name, names, alleles, found["cohort_allele_total"].values, prefix


def test_ratios_of_sums_have_plinks_digits(compared, shown):
    name, names, alleles, number, prefix = compared
    ours = fst.hudson(alleles, number).fst
    theirs = table(prefix.with_suffix(".fst.summary"))
    assert len(theirs) == 10
    different = sum(
        f"{ours[names.index(a), names.index(b)]:.6g}" != text
        for a, b, text in theirs.itertuples(index=False)
    )
    shown(f"B {name} F_ST of pairs as text", pairs=len(theirs), different=different)
    assert different == 0


def test_every_row_has_plinks_digits(compared, shown):
    """Where they differ, F_ST is 0 in fractions, as ours is, and PLINK's is a rounding."""
    name, names, alleles, number, prefix = compared
    different = rows = wrong = 0
    for a, b in combinations(range(len(names)), 2):
        theirs = table(prefix.with_name(f"{prefix.name}.{names[a]}.{names[b]}.fst.var"))
        plink = theirs["HUDSON_FST"].to_numpy(str)
        ours = fst.hudson_rows(alleles[:, a], number[:, a], alleles[:, b], number[:, b])
        off = np.flatnonzero(digits(ours.fst) != plink)
        for row in off:
            counts = alleles[row, a], number[row, a], alleles[row, b], number[row, b]
            numerator, _ = oracle.parts(*(int(one) for one in counts))
            wrong += ours.fst[row] != 0.0 or numerator != 0 or abs(float(plink[row])) > 1e-15
        rows, different = rows + len(theirs), different + len(off)
    shown(f"B {name} F_ST of rows as text", rows=f"{rows:,}", different=different, wrong=wrong)
    assert wrong == 0
