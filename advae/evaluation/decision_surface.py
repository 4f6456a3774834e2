"""Decision surfaces: how far the true class of an image leads on a plane through the image.

S(a, b) = z_true - max other at x + a u + b v; u: sign of the gradient of the cross-entropy in x through the whole
pipeline, v: random signs. Yu et al. 2018, arXiv:1810.00144. What the paper does not say, and is decided here: points
are clipped to [0, 1] unless asked otherwise; a random purifier has one draw, the same at every point and for u; v
belongs to the image's number in the test set and the seed, so that all pipelines have the same random direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advae.attacks.image_draws import draw_uniform, make_keys
from advae.attacks.losses import cross_entropy, margin_loss
from advae.batching import BATCH, Tensor, compile_batched
from advae.errors import AdvaeError
from advae.threats import Pipeline, draw_alike
from advae.tracing import trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import Dataset, FloatArray, IntArray, SurfaceRecipe

    Margins = NDArray[np.float32]

PLANE_VALUES = 1 << 23
"""Values of the points that are in memory at once, 32 MiB."""

LARGEST_MARGIN = 1e30
"""What a margin that is not finite, or larger, is stored as; not a number counts as the most wrong."""

OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class PlaneImages:
    """The images whose planes are looked at, at most one of each class, by label."""

    ids: IntArray
    """Numbers in the test set, int64 (m,)."""
    x: FloatArray = field(repr=False)
    """The images, float32 (m, d) in [0, 1]."""
    y: IntArray
    """True classes, int64 (m,), ascending."""
    missing: tuple[int, ...]
    """Classes without an image that all pipelines classify correctly."""


@dataclass(frozen=True)
class Surfaces:
    """The decision surfaces of one pipeline."""

    margins: Margins = field(repr=False)
    """S by image, step along v and step along u, float32 (m, points, points); both steps ascending."""
    zero_gradient: NDArray[np.bool_]
    """Whether the gradient of each image is zero or not finite, bool (m,)."""
    outside: float
    """Share of the values of x + a u + b v that are outside [0, 1], before clipping."""


def fix_randomness(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline whose random purifier gives every image the same draw; another one as it is."""
    if not pipeline.samples or pipeline.purify is None:
        return pipeline
    return replace(pipeline, purify=draw_alike(pipeline.purify), samples=False)


def choose_images(pipelines: Sequence[Pipeline], dataset: Dataset, classes: Sequence[int], draw: int) -> PlaneImages:
    """Return of each class the first test image, in file order, that all pipelines classify correctly.

    draw: of random purifiers. The test set is read in batches, and only as far as it has to be.
    """
    import numpy as np

    asked = [_answer(pipeline, draw) for pipeline in pipelines]
    found = dict[int, int]()
    for first in range(0, len(dataset.y_test), BATCH):
        left = [label for label in classes if label not in found]
        if not left:
            break
        x, y = dataset.x_test[first : first + BATCH], dataset.y_test[first : first + BATCH]
        right = np.logical_and.reduce([predict(x) == y for predict in asked])
        for label in left:
            places = np.flatnonzero(right & (y == label))
            if len(places):
                found[label] = first + int(places[0])
    labels = sorted(found)
    ids = np.array([found[label] for label in labels], np.int64)
    missing = tuple(label for label in classes if label not in found)
    return PlaneImages(ids, dataset.x_test[ids], dataset.y_test[ids], missing)


def _answer(pipeline: Pipeline, draw: int) -> Callable[[FloatArray], IntArray]:
    """Return images (n, d) -> predicted classes (n,), with one draw of a random purifier for all of them."""
    import tensorflow as tf

    fixed = fix_randomness(pipeline)
    score = compile_batched(lambda x, _: fixed.defend(x, tf.constant(draw)))
    return lambda x: score(x).argmax(axis=1)


def measure_surfaces(
    pipeline: Pipeline, images: PlaneImages, recipe: SurfaceRecipe, on_image: OnImage = lambda done, total: None
) -> Surfaces:
    """Return the decision surface of each image; all of one image's points before those of the next.

    Raises AdvaeError for a pipeline that gives scores only.
    """
    import numpy as np

    if pipeline.scores_only:
        raise AdvaeError("a pipeline that gives scores only has no gradient")
    fixed, m = fix_randomness(pipeline), len(images.y)
    if not m:
        return Surfaces(np.empty((0, recipe.points, recipe.points), np.float32), np.empty(0, bool), 0.0)
    directions, zero = _find_directions(fixed, images, recipe.seed)
    measure = _compile_margins(fixed, recipe, images.x.shape[1])
    steps = place_steps(recipe.radius, recipe.points)
    # Along u the step changes fastest.
    plane = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2).astype(np.float32)
    margins, outside = np.empty((m, len(plane)), np.float32), 0.0
    for place in range(m):
        for rows, values, out in measure(images.x[place], directions[place], int(images.y[place]), plane):
            margins[place, rows] = values
            outside += out
        on_image(place + 1, m)
    bounded = np.nan_to_num(margins, nan=-LARGEST_MARGIN).clip(-LARGEST_MARGIN, LARGEST_MARGIN)
    shape = (m, recipe.points, recipe.points)
    return Surfaces(bounded.reshape(shape), zero, outside / (m * len(plane) * images.x.shape[1]))


def place_steps(radius: float, points: int) -> NDArray[np.float64]:
    """Return the steps along an axis, from -radius to radius, float64 (points,); the middle one is exactly 0."""
    import numpy as np

    middle = points // 2
    return np.arange(-middle, middle + 1, dtype=np.float64) * np.float64(radius / middle)


def _find_directions(
    pipeline: Pipeline, images: PlaneImages, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return u and v of each image, float32 (m, 2, d) of -1, 0 and 1, and whether its gradient is zero, bool (m,)."""
    import numpy as np
    import tensorflow as tf

    def find(x: Tensor, labels: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = cross_entropy(labels, pipeline.differentiate(x, tf.constant(seed)))
        gradient = tape.gradient(loss, x)
        return tf.zeros_like(x) if gradient is None else gradient

    compiled, size = trace(find), max(1, min(BATCH, PLANE_VALUES // images.x.shape[1]))
    parts = [
        compiled(tf.constant(images.x[first : first + size]), tf.constant(images.y[first : first + size])).numpy()
        for first in range(0, len(images.y), size)
    ]
    gradient = np.concatenate(parts)
    usable = np.isfinite(gradient).all(axis=1)
    up = np.where(usable[:, None], np.sign(gradient), 0.0)
    keys = make_keys(tf.constant(images.ids.astype(np.int32)), tf.constant(seed))
    drawn = draw_uniform(keys, tf.constant(0), images.x.shape[1]).numpy()
    directions = np.stack([up, np.where(drawn < 0.5, -1.0, 1.0)], axis=1).astype(np.float32)
    return directions, (up == 0.0).all(axis=1)


MeasurePlane = Callable[[Any, Any, int, Any], Iterator[tuple[slice, Any, float]]]
"""(image (d,), its directions (2, d), its class, steps (n, 2)) -> rows of the steps, S there, and how many values were
outside [0, 1]; batch by batch."""


def _compile_margins(pipeline: Pipeline, recipe: SurfaceRecipe, size: int) -> MeasurePlane:
    import numpy as np
    import tensorflow as tf

    rows = max(1, min(BATCH, PLANE_VALUES // size, recipe.points**2))

    def measure(x: Tensor, directions: Tensor, label: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        points = x + tf.matmul(steps, directions)
        outside = tf.reduce_sum(tf.cast((points < 0.0) | (points > 1.0), tf.float32), axis=1)
        points = tf.clip_by_value(points, 0.0, 1.0) if recipe.clip else points
        labels = tf.repeat(label, tf.shape(points)[0])
        return -margin_loss(labels, pipeline.defend(points, tf.constant(recipe.seed))), outside

    compiled = trace(measure)

    def stream(x: Any, directions: Any, label: int, steps: Any) -> Iterator[tuple[slice, Any, float]]:
        for first in range(0, len(steps), rows):
            part = steps[first : first + rows]
            # The last, short batch is not traced anew.
            padded = np.concatenate([part, np.zeros((rows - len(part), 2), np.float32)])
            found = compiled(*map(tf.constant, (x, directions, label, padded)))
            values, outside = (one.numpy()[: len(part)] for one in found)
            yield slice(first, first + len(part)), values, float(outside.sum())

    return stream
