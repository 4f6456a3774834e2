"""Random networks: no point of a ball leaves its bounds, and no certified image changes its class."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.intervals.random_networks import build_network, compile_bounds, draw_weights, sample_network

WEIGHTS = 8
"""Networks of one architecture."""


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_points_never_leave_the_bounds_of_random_networks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    network = build_network(generator)
    find_bounds, evaluate = compile_bounds(network)
    for _ in range(WEIGHTS):
        draw_weights(network, generator)
        found = sample_network(find_bounds, evaluate, generator)
        assert (found.outside, found.broken) == (0, 0)
