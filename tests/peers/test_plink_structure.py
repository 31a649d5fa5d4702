"""LD pruning beside PLINK 2's `--indep-pairwise`, projection beside its `--score`."""

from __future__ import annotations

import numpy as np
import pytest

from tests import simulate
from tests.cohort.genotype_files import write_plink
from tests.peers.plink import needs_plink2, plink2, table

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]

WINDOWS = (("500kb", "0.2"), ("50", "5", "0.5"), ("1000", "100", "0.8"), ("20kb", "0.05"))


@pytest.fixture
def fileset(peer, tmp_path):
    """The same rows under ids that no two of them share, as PLINK wants them."""
    rows = peer.cohort.rows
    ids = [f"v{row}" for row in range(len(rows))]
    variants = list(zip(rows.contig, ids, rows.position, rows.alt, rows.ref, strict=True))
    people = [("0", person, 0) for person in peer.samples.index]
    return write_plink(tmp_path / peer.name, people, variants, peer.dosage)


@pytest.mark.parametrize("asked", WINDOWS, ids=" ".join)
def test_the_same_rows_are_kept(peer, fileset, asked, shown, tmp_path):
    window, *step, r2 = asked
    found = peer.cohort.prune(
        window, r2=float(r2), step=int(step[0]) if step else 1, keep_long_range=True
    )
    out = plink2("--bfile", fileset.with_suffix(""), "--indep-pairwise", *asked, out=tmp_path / "p")
    theirs = set(out.with_suffix(".prune.in").read_text().split())
    ours = {f"v{row}" for row in np.flatnonzero(found["variant_kept"].values)}
    shown(f"B {peer.name} prune {' '.join(asked)}", kept=len(ours), differ=len(ours ^ theirs))
    assert ours == theirs
    assert 0 < len(ours) < len(peer.dosage)


def test_five_countries_keep_the_same_rows(kg_eur_2pc_out, tmp_path):
    """Sites that only send sums keep what PLINK keeps of the people together."""
    peer = kg_eur_2pc_out
    rows = slice(0, 3000)
    store = peer.cohort._site.store
    simulated = simulate.SimulatedCohort(peer.dosage, peer.samples, store)
    federation = simulate.split(simulated, peer.samples["population"].to_numpy(str))
    chosen = peer.cohort.rows[rows].reset_index(drop=True)
    found = federation.on_rows(chosen).prune("50", r2=0.1, step=5, keep_long_range=True)
    people = [("0", person, 0) for person in peer.samples.index]
    variants = [
        (contig, f"v{row}", position, alt, ref)
        for row, (contig, position, alt, ref) in enumerate(
            zip(chosen.contig, chosen.position, chosen.alt, chosen.ref, strict=True)
        )
    ]
    bed = write_plink(tmp_path / "some", people, variants, peer.dosage[rows])
    asked = ("--indep-pairwise", "50", "5", "0.1")
    out = plink2("--bfile", bed.with_suffix(""), *asked, out=tmp_path / "p")
    theirs = set(out.with_suffix(".prune.in").read_text().split())
    assert {f"v{row}" for row in np.flatnonzero(found["variant_kept"].values)} == theirs


def test_people_are_projected_as_plink_scores_them(kg_eur_2pc_out, tmp_path):
    """Everybody on a PCA of two countries, its frequencies and loadings frozen.

    A missing call counts as the mean, 0. PLINK 2.00a3.5 does so under `no-mean-imputation` only:
    without it, it centres every genotype but the imputed ones, and adds 2p/√(2p(1−p)) instead.
    """
    peer = kg_eur_2pc_out
    pca = peer.cohort.where(population=["FIN", "TSI"]).pca(3)
    found = peer.cohort.project(pca)["sample_pca_projection"].values

    prefix = peer.source.with_suffix("")
    keep = tmp_path / "keep.txt"
    chosen = peer.samples.index[peer.samples["population"].isin(["FIN", "TSI"])]
    keep.write_text("#IID\n" + "".join(f"{one}\n" for one in chosen))
    counts = plink2("--bfile", prefix, "--keep", keep, "--freq", "counts", out=tmp_path / "some")
    used = np.flatnonzero(np.any(pca["sample_pca_component"].values != 0, axis=1))
    rows = peer.cohort.rows.iloc[used]
    weights = tmp_path / "weights.txt"
    lines = ["ID\tA1\tPC1\tPC2\tPC3"]
    for name, alt, values in zip(
        rows.id, rows.alt, pca["sample_pca_component"].values[used], strict=True
    ):
        lines.append("\t".join([name, alt, *(repr(float(value)) for value in values)]))
    weights.write_text("\n".join(lines) + "\n")
    scored = plink2(
        *["--bfile", prefix, "--read-freq", counts.with_suffix(".acount")],
        *["--score", weights, "header-read", "variance-standardize"],
        *["no-mean-imputation", "cols=+scoresums", "--score-col-nums", "3-5"],
        out=tmp_path / "scored",
    )
    sums = table(scored.with_suffix(".sscore"))[[f"PC{k}_SUM" for k in (1, 2, 3)]].to_numpy(float)
    scale = np.sqrt(pca["sample_pca_explained_variance"].values * pca.attrs["rows_counted"])
    np.testing.assert_allclose(found, sums / scale, rtol=1e-5, atol=1e-7)
