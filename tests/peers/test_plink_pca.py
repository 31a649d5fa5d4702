"""Principal components beside PLINK 2's `--pca meanimpute` and a dense decomposition.

A component has a direction of its own only where its eigenvalue stands apart from its neighbours;
the others turn freely within the space that they share.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.peers.plink import digits, needs_plink2, table, units_apart

pytestmark = [pytest.mark.plink2, pytest.mark.slow, needs_plink2]

COMPONENTS = 10
# Relative gap to both neighbours above which a component counts as separated.
GAP = 0.02


def cosines(one, other):
    """|cosine| between columns of two matrices."""
    product = np.abs((one * other).sum(axis=0))
    return product / (np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0))


def test_components_are_those_of_plink_and_of_the_dense_matrix(peer, shown):
    values, vectors = peer.dense
    ours = peer.pca["sample_pca_explained_variance"].values
    scores = peer.pca["sample_pca_projection"].values
    theirs = np.loadtxt(peer.plink.with_suffix(".eigenval"), dtype=str)
    written = table(peer.plink.with_suffix(".eigenvec"))
    assert written["#IID" if "#IID" in written else "IID"].tolist() == list(peer.samples.index)
    plink = written[[f"PC{k + 1}" for k in range(COMPONENTS)]].to_numpy(float)

    error = float(np.abs(ours / values[:COMPONENTS] - 1.0).max())
    units = max(units_apart(a, b) for a, b in zip(digits(ours), theirs, strict=True))
    drop = -np.diff(values[: COMPONENTS + 1]) / values[:COMPONENTS]
    apart = np.flatnonzero((drop > GAP) & (np.r_[1.0, drop[:-1]] > GAP))
    with_dense = cosines(scores, vectors[:, :COMPONENTS])[apart]
    with_plink = cosines(scores, plink)[apart]
    shown(
        f"B {peer.name} PCA",
        eigenvalue_error=error,
        units_from_plink=f"{units:.2f}",
        separated=" ".join(f"PC{k + 1}" for k in apart),
        dense_1_minus_r=float(1.0 - with_dense.min()),
        plink_1_minus_r=float(1.0 - with_plink.min()),
        rounds=peer.pca.attrs["rounds"],
    )
    assert error <= 1e-6
    assert units <= 1.01
    assert 0 in apart
    assert with_dense.min() >= 0.999999
    assert with_plink.min() >= 0.999999
    # Ten numbers of unit length each, as PLINK writes them.
    assert np.linalg.norm(scores, axis=0) == pytest.approx(np.ones(COMPONENTS), abs=1e-12)


def test_components_that_share_an_eigenvalue_still_span_plinks_space(geuvadis):
    """Geuvadis: the fifth and sixth lie 0.6 % apart, the seventh and eighth 3 %."""
    plink = table(geuvadis.plink.with_suffix(".eigenvec"))[[f"PC{k}" for k in range(1, 8)]]
    scores = geuvadis.pca["sample_pca_projection"].values[:, :7]
    angles = np.linalg.svd(np.linalg.qr(plink.to_numpy(float))[0].T @ scores, compute_uv=False)
    assert angles.min() >= 0.999999
