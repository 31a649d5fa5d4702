"""The notebook's plots draw what they say."""

from __future__ import annotations

import numpy as np
import pytest

from genome_eu.errors import UsageError
from genome_eu.report import plots
from tests.formats import fake_results as fake

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_manhattan():
    result = fake.gwas()
    result.attrs["simulated"] = ["ldl"]
    ax = plots.manhattan(result)
    assert ax.get_title(loc="left") == "ldl (simulated trait)"
    points, hits = ax.collections
    assert len(points.get_offsets()) == 58
    assert hits.get_offsets()[0][1] == pytest.approx(400.25)
    assert ax.get_xlabel() == "chromosome"
    assert ax.get_ylabel() == "−log10 p"
    assert ax.lines[0].get_ydata()[0] == pytest.approx(-np.log10(5e-8))


def test_manhattan_thins_unless_told_not_to():
    result = fake.gwas(30_000, traits=("ldl",))
    assert len(plots.manhattan(result).collections[0].get_offsets()) <= plots.POINTS
    assert len(plots.manhattan(result, thin=False).collections[0].get_offsets()) == 29_998


def test_qq_shows_lambda():
    ax = plots.qq(fake.gwas(), "bmi")
    assert "λ = " in ax.texts[0].get_text()
    assert "58 tests" in ax.texts[0].get_text()


def test_frequency_comparison():
    result = fake.frequencies()
    ax = plots.frequency_comparison(result)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["FIN", "TSI"]
    ax = plots.frequency_comparison(result, ["FIN", "TSI"])
    assert ax.get_ylabel() == "ALT frequency, TSI"
    assert len(ax.collections[0].get_offsets()) == 58
    with pytest.raises(UsageError, match="needs two groups"):
        plots.frequency_comparison(result, ["FIN"])


def test_pca_plots():
    federated, own = fake.pca(), fake.pca(people=9)
    assert plots.pca_loadings(federated, 2).get_ylabel() == "loading on PC2"
    assert [t.get_text() for t in plots.pca_site_means(federated).texts] == ["fi", "it", "es", "uk"]
    ax = plots.pca_scores(own, colour=["a"] * 4 + ["b"] * 5)
    assert sum(len(c.get_offsets()) for c in ax.collections) == 9
    with pytest.raises(UsageError, match="stay at their sites"):
        plots.pca_scores(federated)
    with pytest.raises(UsageError, match="no PC9; the result has PC1 to PC4"):
        plots.pca_loadings(federated, 9)
    with pytest.raises(UsageError, match="2 values for 9 people"):
        plots.pca_scores(own, colour=["a", "b"])


def test_given_axes_are_used():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert plots.qq(fake.gwas(), ax=ax) is ax
