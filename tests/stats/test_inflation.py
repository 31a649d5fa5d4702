from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from genome_eu.stats import inflation
from genome_eu.stats.inflation import Inflation

NAN = np.nan


def naive(neg_log10_p):
    p = 10.0 ** -neg_log10_p[~np.isnan(neg_log10_p)]
    return np.median(chi2.isf(p, 1)) / chi2.median(1)


class TestInflation:
    def test_median_chi_square_over_its_expectation(self):
        statistic = np.random.default_rng(1).chisquare(1, 1001) * 1.3
        found = inflation.genomic_inflation(-np.log10(chi2.sf(statistic, 1)))
        assert found == pytest.approx(np.median(statistic) / chi2.median(1), rel=1e-12)

    def test_no_test_has_no_inflation(self):
        assert np.isnan(inflation.genomic_inflation(np.array([NAN])))

    def test_p_of_one(self):
        assert inflation.genomic_inflation(np.zeros(3)) == 0.0

    def test_scaled_to_a_thousand_cases_and_controls(self):
        assert inflation.lambda_1000(1.1, 1000, 1000) == pytest.approx(1.1)
        assert inflation.lambda_1000(1.1, 10_000, 10_000) == pytest.approx(1.01)


class TestStream:
    rng = np.random.default_rng(2)
    values = -np.log10(rng.random((20_000, 2)) ** np.array([1.0, 1.2]))
    values[::50, 1] = NAN

    def shards(self, most_kept):
        found = Inflation(2, most_kept)
        for part in np.array_split(self.values, 7):
            found.add(part)
        return found.summaries()

    def test_values_that_are_kept_are_exact(self):
        for column, found in zip(self.values.T, self.shards(2**22), strict=True):
            assert found.exact
            assert found.tests == np.count_nonzero(~np.isnan(column))
            expected = inflation.genomic_inflation(column)
            assert found.inflation == pytest.approx(expected, rel=1e-12)
            assert found.largest == np.nanmax(column)
            for at, observed in found.quantiles:
                known = np.sort(column[~np.isnan(column)])
                assert observed == known[int((1 - 10.0**-at) * (known.size - 1))]

    @pytest.mark.parametrize("most_kept", [0, 15_000])
    def test_values_that_are_counted_have_a_stated_error(self, most_kept):
        for exact, found in zip(self.shards(2**22), self.shards(most_kept), strict=True):
            assert not found.exact
            assert found.tests == exact.tests
            assert found.largest == exact.largest
            assert found.inflation == pytest.approx(exact.inflation, rel=1 / 300)
            # Closer than the worst case, since values are spread over their cells.
            assert found.inflation == pytest.approx(exact.inflation, rel=3e-4)
            for (_, ours), (_, theirs) in zip(found.quantiles, exact.quantiles, strict=True):
                assert ours == pytest.approx(theirs, rel=1 / 2048)

    def test_quantiles_only_where_there_are_so_many_tests(self):
        found = Inflation(1)
        found.add(np.linspace(0, 2, 150)[:, None])
        assert [at for at, _ in found.summaries()[0].quantiles] == [0.5, 1.0, 1.5, 2.0]

    def test_without_tests(self):
        found = Inflation(2)
        found.add(np.array([[NAN, 1.0]]))
        nothing, one = found.summaries()
        assert nothing.as_dict() == {"tests": 0}
        assert one.as_dict()["tests"] == 1
        assert one.quantiles == ()
        assert Inflation(1).summaries()[0].tests == 0

    def test_extreme_values_keep_their_place(self):
        found = Inflation(1, most_kept=0)
        found.add(np.array([[0.0], [1e-9], [0.30], [0.301], [4000.0]]))
        summary = found.summaries()[0]
        assert summary.largest == 4000.0
        assert summary.inflation == pytest.approx(naive(np.array([0.3])), rel=1e-2)
