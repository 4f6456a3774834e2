"""Exact certificates of affine pipelines: their smallest margin over a ball is a closed form.

The margin of class y over class j is affine in the image: (w_y - w_j) x + b_y - b_j.

- L-infinity: the smallest value over a box, cut to [0, 1], is found pixel by pixel: where the weight is positive the
  pixel takes its lower end, else its upper one. An image is certified if and only if no image of the box is classified
  otherwise, up to rounding.
- L2: the smallest value over a ball of radius r lies r ||w_y - w_j||_2 below the margin, so the radius is the margin
  divided by that norm. It is exact where pixels may take any value, and a lower bound where they stay in [0, 1].

From each margin twice the error is subtracted that a float32 evaluation can have, so that the proof holds for the
labels that the pipeline predicts; and eps is raised by the rounding that the scorer of attacks accepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from advae.certificates.certified_images import CertifiedImages, Images
from advae.certificates.tracing_pipelines import predict_classes, trace_pipeline
from advae.intervals.affine_maps import AffineMap, find_affine_map
from advae.metrics import BUDGET_TOLERANCE
from advae.run_options import Norm
from advae.threats import Pipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

MARGIN_ROWS = 1000
"""Images whose margins are computed at once."""


def certify_exact(pipeline: Pipeline, images: Images, eps: Sequence[float], norm: Norm) -> CertifiedImages:
    """Return for each eps and image whether all of the ball in [0, 1] is classified as the image's true class.

    In L2 with the array ``radii``, float64 (n,): 0 where the prediction is wrong. Raises UsageError where the pipeline
    is not affine.
    """
    import numpy as np

    found = find_affine_map(trace_pipeline(pipeline, images))
    parts = [slice(first, first + MARGIN_ROWS) for first in range(0, len(images.x), MARGIN_ROWS)]
    predictions = predict_classes(pipeline, images)
    if norm == "linf":
        boxes = [[certify_boxes(found, images.x[rows], images.y[rows], one) for rows in parts] for one in eps]
        return CertifiedImages(predictions, np.array([np.concatenate(row) for row in boxes]))
    radii = np.concatenate([find_radii(found, images.x[rows], images.y[rows]) for rows in parts])
    return CertifiedImages(predictions, radii > np.array(eps)[:, None] + BUDGET_TOLERANCE, {"radii": radii})


def certify_boxes(found: AffineMap, x: FloatArray, y: IntArray, eps: float) -> NDArray[np.bool_]:
    """Return whether each box around x, cut to [0, 1], is classified as y, bool (n,)."""
    certified: NDArray[np.bool_] = find_box_margins(found, x, y, eps).min(axis=1) > 0
    return certified


def find_box_margins(found: AffineMap, x: FloatArray, y: IntArray, eps: float) -> NDArray[np.float64]:
    """Return the smallest margins of y over each other class in the box around x, cut to [0, 1]; infinity at y.

    Float64 (n, classes), less what float32 rounding can change.
    """
    import numpy as np

    radius = eps + BUDGET_TOLERANCE
    low, high = np.maximum(x.astype(np.float64) - radius, 0), np.minimum(x.astype(np.float64) + radius, 1)
    margins = np.full((len(x), len(found.bias)), np.inf)
    for label in np.unique(y):
        rows = y == label
        apart = found.weights[label] - found.weights
        smallest = low[rows] @ np.maximum(apart, 0).T + high[rows] @ np.minimum(apart, 0).T
        margins[rows] = smallest + _bias_apart(found, label)
    margins[np.arange(len(x)), y] = np.inf
    return margins


def find_radii(found: AffineMap, x: FloatArray, y: IntArray) -> NDArray[np.float64]:
    """Return the L2 radius inside which all images are classified as y, (n,); 0 where x itself is not."""
    import numpy as np

    radii = np.empty(len(x))
    for label in np.unique(y):
        rows = y == label
        apart = found.weights[label] - found.weights
        margins = x[rows].astype(np.float64) @ apart.T + _bias_apart(found, label)
        # A margin that does not depend on the image stays positive at any distance.
        with np.errstate(divide="ignore", invalid="ignore"):
            found_radii = np.where(margins > 0, margins / np.linalg.norm(apart, axis=1), 0.0)
        found_radii[:, label] = np.inf
        radii[rows] = found_radii.min(axis=1) * (1 - 1e-12)
    return radii


def _bias_apart(found: AffineMap, label: int) -> NDArray[np.float64]:
    """Return the constant part of the margins of a label, less what float32 rounding can change, (classes,)."""
    apart: NDArray[np.float64] = found.bias[label] - found.bias - found.error[label] - found.error
    return apart
