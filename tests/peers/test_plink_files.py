"""The files that we write, beside those that PLINK 2 writes of the same genotypes, as text.

What differs, and why:

- `P` of .glm.linear, in the last digit of about one row in 150: PLINK's is the inexact one
  (`test_plink_tables` has the exact numbers);
- `ERRCODE`, where a row has no fit: PLINK tells two kinds of constant row apart, and names by its
  limits what has no unique answer;
- the PCs of .eigenvec, in the last digits: PLINK decomposes the whole matrix and has every digit
  right; ours stop at a residual of 1e-7, which leaves components 1e-7 off where the next
  eigenvalue is near (and eigenvalues exact, their error being the square of that).
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.peers.plink import digits, needs_plink2, table, units_apart

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]

CODES = {
    "CONST_OMITTED_ALLELE": "CONST_ALLELE",
    "CORR_TOO_HIGH": "VIF_INFINITE",
    "SAMPLE_CT<=PREDICTOR_CT": "TOO_FEW",
}


def cells_that_differ(ours, theirs):
    """Positions of different text, by column; the columns and rows are the same ones."""
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)
    pairs = {name: (ours[name].to_numpy(str), theirs[name].to_numpy(str)) for name in ours}
    found = {name: np.flatnonzero(a != b) for name, (a, b) in pairs.items()}
    return {name: rows for name, rows in found.items() if rows.size}


@pytest.mark.parametrize("ending", ["afreq", "gcount", "hardy"])
def test_frequency_files_are_plinks_to_the_letter(peer, ending, shown):
    ours = peer.frequency_files / f"frequencies.{ending}"
    theirs = (peer.plink_alt if ending == "afreq" else peer.plink).with_suffix(f".{ending}")
    different = cells_that_differ(table(ours), table(theirs))
    shown(
        f"files {peer.name} .{ending}",
        rows=f"{len(table(ours)):,}",
        different={name: rows.size for name, rows in different.items()},
    )
    assert different == {}
    assert ours.read_bytes() == theirs.read_bytes()


def test_association_files_are_plinks_but_for_codes_and_last_digits_of_p(peer, tmp_path, shown):
    peer.gwas.to_files(tmp_path)
    ours = table(tmp_path / f"gwas.{peer.trait}.glm.linear")
    theirs = table(peer.plink_alt.with_name(f"alt.{peer.trait}.glm.linear"))
    different = cells_that_differ(ours, theirs)
    shown(
        f"files {peer.name} .glm.linear",
        rows=f"{len(ours):,}",
        different={name: rows.size for name, rows in different.items()},
    )
    assert set(different) <= {"P", "ERRCODE"}
    for row in different.get("P", []):
        assert units_apart(ours["P"][row], theirs["P"][row]) <= 1.01
    for row in different.get("ERRCODE", []):
        assert CODES[theirs["ERRCODE"][row]] == ours["ERRCODE"][row]
    assert different["P"].size < len(ours) / 100


def test_component_files_are_plinks_but_for_sign_and_last_digits(peer, tmp_path, shown):
    peer.pca.to_files(tmp_path)
    ours = table(tmp_path / "pca.eigenvec")
    theirs = table(peer.plink.with_suffix(".eigenvec"))
    # PLINK adds a column of family ids where a .fam file has them.
    theirs = theirs.rename(columns={"IID": "#IID"}).drop(columns="#FID", errors="ignore")
    for name in list(ours)[1:]:
        a, b = ours[name].astype(float), theirs[name].astype(float)
        if (a * b).sum() < 0:
            theirs[name] = [t[1:] if t.startswith("-") else f"-{t}" for t in theirs[name]]
    different = cells_that_differ(ours, theirs)
    dense = peer.dense[1]
    worst, plink_off = 0.0, 0
    for column, name in enumerate(list(ours)[1:]):
        a, b = ours[name].to_numpy(float), theirs[name].to_numpy(float)
        worst = max(worst, float(np.abs(a - b).max()))
        exact = dense[:, column] * np.sign(dense[:, column] @ b)
        plink_off += int((digits(exact) != theirs[name].to_numpy(str)).sum())
    values = (tmp_path / "pca.eigenval").read_text().splitlines()
    printed = peer.plink.with_suffix(".eigenval").read_text().splitlines()
    shown(
        f"files {peer.name} .eigenvec, .eigenval",
        cells=ours.iloc[:, 1:].size,
        different=sum(rows.size for rows in different.values()),
        worst=worst,
        plink_differs_from_dense=plink_off,
        eigenvalues_different=sum(a != b for a, b in zip(values, printed, strict=True)),
    )
    assert "#IID" not in different
    assert plink_off <= 5
    # 1e-7 and a rounding in the sixth digit of numbers up to 1.
    assert worst <= 1.1e-6
    assert values == printed
