"""The examples of a purifier for reports: images before and after it, and the latent plane of a two-number code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.batching import apply
from advae.models.contracts import Purifier

if TYPE_CHECKING:
    from advae.models.layers import Arrays
    from advae.records import FloatArray, IntArray

EXAMPLES = 15
"""Number of images that are stored before and after the purifier; the paper's Figure 3 has as many."""

PLANE_POINTS = 5_000
"""Test images whose code is stored."""

GRID_SIDE = 15
"""Images along each side of the grid that is decoded from the latent plane."""

GRID_SPAN = (1.0, 99.0)
"""Percentiles of the codes at the two ends of the grid."""


def collect_examples(purifier: Purifier, x: FloatArray, y: IntArray, purified: FloatArray) -> Arrays:
    """Return the arrays that a report shows of a purifier, by name.

    x, purified: float32 (n, d), test images before and after the purifier; y: int64 (n,).

    labels, x, purified: of the first EXAMPLES images.
    codes, float32 (m, 2), code_labels, int64 (m,): of the first PLANE_POINTS images; these and the next only where the
    code has two numbers.
    axes, float32 (2, GRID_SIDE): regular steps along both numbers of the code.
    generated, float32 (GRID_SIDE ** 2, d): decoded from each pair of steps, the second changing fastest.
    """
    views: Arrays = {"labels": y[:EXAMPLES], "x": x[:EXAMPLES], "purified": purified[:EXAMPLES]}
    return views | _collect_plane(purifier, x[:PLANE_POINTS], y[:PLANE_POINTS])


def _collect_plane(purifier: Purifier, x: FloatArray, y: IntArray) -> Arrays:
    """Return codes and generated images; no arrays unless the code has two numbers."""
    import numpy as np

    encode, decode = purifier.encode, purifier.decode
    if encode is None or decode is None:
        return {}
    codes = apply(lambda batch, draw: encode(batch), x)
    if codes.shape[1] != 2:
        return {}
    low, high = np.percentile(codes, GRID_SPAN, axis=0)
    axes = np.linspace(low, high, GRID_SIDE, dtype=np.float32).T
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    generated = apply(lambda batch, draw: decode(batch), places)
    return {"codes": codes, "code_labels": y, "axes": axes, "generated": generated}
