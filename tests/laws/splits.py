"""Strategies: how people may be spread over sites, and rows over blocks and shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.laws.conftest import PEOPLE, RATES, ROWS

#: A law is tried on this many splits, the same in every run; the stores it is tried on are made
#: once. A split that fails is not shrunk: each attempt is a whole question, and a seed has no
#: smaller seed.
law = settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

rates = st.sampled_from(RATES)
block_sizes = st.sampled_from((7, 32, ROWS, None))
shard_sizes = st.sampled_from((16, 32, ROWS, 8192))


@st.composite
def sites(draw, least: int = 1) -> np.ndarray:
    """The site of each person: 1, 2, 3 or 7 of them, even or with one as small as `least`."""
    number = draw(st.sampled_from((1, 2, 3, 7)))
    seed = draw(st.integers(0, 2**32 - 1))
    small = number > 1 and draw(st.booleans(), label="one site is small")
    return spread(number, least if small else 0, seed)


def spread(number: int, least: int, seed: int) -> np.ndarray:
    """The site of each person: so many sites, the last with `least` people unless that is 0."""
    place = np.arange(PEOPLE) % number
    if least:
        place = np.arange(PEOPLE) % (number - 1)
        place[:least] = number - 1
    return np.array([f"S{where}" for where in np.random.default_rng(seed).permutation(place)])


@dataclass(frozen=True)
class Way:
    """One way to spread people and rows, over a cohort with a share of missing calls."""

    rate: float
    number: int
    least: int
    block_size: int | None
    rows_per_shard: int

    @property
    def site(self) -> np.ndarray:
        return spread(self.number, self.least, seed=self.number)


#: What laws of many rounds are tried on: each number of sites and each share of missing calls, with
#: and without a small site, blocks within shards and shards within blocks.
WAYS = (
    Way(0.02, 1, 0, 32, ROWS),
    Way(0.1, 2, 8, None, 8192),
    Way(0.0, 3, 0, 7, 32),
    Way(0.02, 7, 8, 7, 16),
)
every_way = pytest.mark.parametrize("way", WAYS, ids=[f"{way.number} sites" for way in WAYS])
