"""What a report shows of an autoencoder: images beside their purified selves, and a latent plane where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.batching import apply
from advae.models.contracts import Purifier

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import FloatArray, IntArray

SHOWN = 15
"""Images beside their purified selves, as many as the paper's Figure 3 has."""

POINTS = 5_000
"""Test images whose place on the latent plane is kept."""

GRID = 15
"""Images along each side of the grid that is generated from the latent plane."""

SPAN = (1.0, 99.0)
"""Percentiles of the codes between which the grid is generated: beyond them lies almost no image."""


def collect_views(purifier: Purifier, x: FloatArray, y: IntArray, purified: FloatArray) -> Arrays:
    """Return the arrays that a report shows of an autoencoder.

    x, purified: float32 (n, d), test images and what the purifier makes of them; y: int64 (n,). labels, x, purified: of
    the first SHOWN images. Where the code is a plane, also codes, float32 (m, 2), and code_labels, int64 (m,), of the
    first POINTS images; axes, float32 (2, GRID), regular steps along both of its axes; generated, float32 (GRID * GRID,
    d), decoded from each pair of them, the second axis changing fastest.
    """
    views: Arrays = {"labels": y[:SHOWN], "x": x[:SHOWN], "purified": purified[:SHOWN]}
    return views | _collect_plane(purifier, x[:POINTS], y[:POINTS])


def _collect_plane(purifier: Purifier, x: FloatArray, y: IntArray) -> Arrays:
    """Return what lies on the latent plane; nothing where the code has another dimension."""
    import numpy as np

    encode, decode = purifier.encode, purifier.decode
    if encode is None or decode is None:
        return {}
    codes = apply(lambda batch, draw: encode(batch), x)
    if codes.shape[1] != 2:
        return {}
    low, high = np.percentile(codes, SPAN, axis=0)
    axes = np.linspace(low, high, GRID, dtype=np.float32).T
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    generated = apply(lambda batch, draw: decode(batch), places)
    return {"codes": codes, "code_labels": y, "axes": axes, "generated": generated}
