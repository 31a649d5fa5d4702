"""Strategies: how people may be spread over sites, and rows over blocks and shards."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.laws.conftest import PEOPLE, RATES, ROWS

#: A law is tried on this many splits; the stores it is tried on are made once. A split that fails
#: is not shrunk: each attempt is a whole question, and a seed has no smaller seed.
law = settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

rates = st.sampled_from(RATES)
block_sizes = st.sampled_from((7, 32, ROWS, None))
shard_sizes = st.sampled_from((16, 32, ROWS, 8192))


@st.composite
def sites(draw, least: int = 1) -> np.ndarray:
    """The site of each person: 1, 2, 3 or 7 of them, even or with one as small as `least`."""
    number = draw(st.sampled_from((1, 2, 3, 7)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    place = np.arange(PEOPLE) % number
    if number > 1 and draw(st.booleans(), label="one site is small"):
        place = np.arange(PEOPLE) % (number - 1)
        place[:least] = number - 1
    return np.array([f"S{where}" for where in rng.permutation(place)])
