from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import simulate

PEOPLE = 110
ROWS = 60
#: Shares of missing calls; each has a cohort of its own.
RATES = (0.0, 0.02, 0.1)


@pytest.fixture(scope="session")
def cohort_with(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[float], simulate.SimulatedCohort]:
    """The cohort with this share of missing calls; made once. Laws split its people over sites."""
    folder = tmp_path_factory.mktemp("laws")
    cohorts = {
        rate: simulate.cohort(
            folder / str(number), rows=ROWS, people_number=PEOPLE, missing=rate, seed=20 + number
        )
        for number, rate in enumerate(RATES)
    }
    return cohorts.__getitem__
