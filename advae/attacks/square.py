"""The Square Attack: score-based random search over square windows, without gradients.

Andriushchenko et al. 2020, arXiv:1912.00049. It is traced into its caller's graph, with eps and the number of queries
as tensors. Arrays are (m, d) over the m samples without a success so far, d = height * width * channels; the random
numbers of a sample do not depend on the other samples. A window covers all channels, each with a sign of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from advae.attacks.goals import narrow
from advae.attacks.image_draws import draw_uniform
from advae.attacks.noisy_search import search_noisy
from advae.batching import Tensor
from advae.tracing import loops_over_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.attacks.goals import Goal

    FloatImage = NDArray[np.float32]

Draw = Callable[[int], Tensor]
"""k -> k random numbers in [0, 1) for each of the m samples, float32 (m, k)."""

Shape = tuple[int, int, int]
"""Height, width and channels of an image."""

FIRST_SHARE = 0.8
"""The share p of the pixels that the first window covers: AutoAttack's setting (arXiv:2003.01690), and the authors'
setting on MNIST; they use a smaller one for undefended ImageNet models."""

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""The queries of 10,000 after which p is halved (section 3.1); scaled to the number of queries."""

ALL_HALVINGS = 10_000
"""Number of queries over which the windows shrink completely."""

TILES = 5
"""Number of bumps along a side of the first point in L2 (algorithm 3)."""


def square_of_autoattack(goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor) -> Tensor:
    """Return what ``square`` finds with the windows of 10,000 queries, however few are made, as AutoAttack has it."""
    return square(goal, x, eps=eps, step_size=step_size, steps=steps, schedule=ALL_HALVINGS)


@loops_over_tensors
def square(
    goal: Goal, x: Tensor, *, eps: Tensor, step_size: Tensor, steps: Tensor, schedule: int | None = None
) -> Tensor:
    """Return for each sample the point of the lowest margin that ``steps`` queries found, x among them.

    x: float32 (n, d); eps: float32 scalar, in units of x; steps: int32, queries for each sample, not
    counting the one at x. step_size is not used. A sample with a success gets no more queries. On a pipeline that
    samples, the lowest mean margin counts. schedule: number of queries over which the windows shrink; None: ``steps``.
    """
    import tensorflow as tf

    span = steps if schedule is None else schedule
    if goal.noisy:
        return search_noisy(
            goal,
            x,
            eps=eps,
            steps=steps,
            propose=lambda best, query: _propose(goal, x, best, eps, query, span, _draw_for(goal, query)),
        )
    clean = goal.look(x, 0)[1]
    # The first proposal is always accepted, and the search continues from it.
    best, lowest = x, tf.where(clean < 0.0, clean, float("inf"))
    query = 0
    while query < steps and eps > 0.0 and tf.reduce_any(lowest >= 0.0):
        rows = tf.where(lowest >= 0.0)[:, 0]
        unbroken = narrow(goal, rows)
        tried = _propose(
            unbroken, tf.gather(x, rows), tf.gather(best, rows), eps, query, span, _draw_for(unbroken, query)
        )
        margins = unbroken.look(tried, query + 1)[1]
        lower = margins < tf.gather(lowest, rows)
        place = tf.boolean_mask(rows, lower)[:, None]
        best = tf.tensor_scatter_nd_update(best, place, tf.boolean_mask(tried, lower))
        lowest = tf.tensor_scatter_nd_update(lowest, place, tf.boolean_mask(margins, lower))
        query += 1
    return tf.where((clean < lowest)[:, None], x, best)


def _draw_for(goal: Goal, query: Tensor) -> Draw:
    """Return the random numbers of a query; an image's do not depend on which images are still attacked."""
    return functools.partial(draw_uniform, goal.seeded_keys, query)


@loops_over_tensors
def _propose(goal: Goal, x: Tensor, best: Tensor, eps: Tensor, query: Tensor, span: Tensor, draw: Draw) -> Tensor:
    """Return the next point to query: the first one, or the best one changed inside a window."""
    import tensorflow as tf

    side = math.isqrt(x.shape[-1])
    shape = goal.shape or (side, side, 1)
    if query == 0:
        moved = _stripe(x, eps, shape, draw) if goal.norm == "linf" else _strew(x, eps, shape, draw)
    elif goal.norm == "linf":
        moved = _flip_window(goal, x, best, eps, _window_size(query, span, shape), shape, draw)
    else:
        moved = _move_mass(x, best, eps, _odd_size(_window_size(query, span, shape), shape), shape, draw)
    return tf.clip_by_value(moved, goal.lower, goal.upper)


def _window_size(query: Tensor, span: Tensor, shape: Shape) -> Tensor:
    """Return the side of this query's window, int32, less than the image's: the square root of the share p of it.

    span: number of queries over which the windows shrink.
    """
    import tensorflow as tf

    passed = float(ALL_HALVINGS) * tf.cast(query - 1, tf.float32) / tf.cast(span, tf.float32)
    halved = tf.reduce_sum(tf.cast(passed > tf.constant(HALVINGS, tf.float32), tf.float32))
    height, width, _ = shape
    size = tf.sqrt(FIRST_SHARE * 0.5**halved) * math.sqrt(height * width)
    return tf.clip_by_value(tf.cast(tf.round(size), tf.int32), 1, max(min(height, width) - 1, 1))


def _window(down: Tensor, right: Tensor, size: Tensor, shape: Shape) -> Tensor:
    """Return which values lie in the windows of these upper left corners, int32 (m,) both: bool (m, d)."""
    import tensorflow as tf

    height, width, channels = shape
    rows, columns = (
        (tf.range(side) >= corner[:, None]) & (tf.range(side) < corner[:, None] + size)
        for corner, side in ((down, height), (right, width))
    )
    return _spread(tf.reshape(rows[:, :, None] & columns[:, None, :], (-1, height * width)), channels)


def _spread(pixels: Tensor, channels: int) -> Tensor:
    """Return values of pixels, (m, height * width), for each of their channels, (m, d)."""
    import tensorflow as tf

    return pixels if channels == 1 else tf.repeat(pixels, channels, axis=-1)


def _sign(drawn: Tensor, shape: Shape) -> Tensor:
    """Return a sign for each channel from random numbers in [0, 1), (m, channels): float32 (m, 1) or (m, d)."""
    import tensorflow as tf

    signs = tf.where(drawn < 0.5, -1.0, 1.0)
    return signs if shape[2] == 1 else tf.tile(signs, (1, shape[0] * shape[1]))


def _corner(drawn: Tensor, size: Tensor, side: int) -> Tensor:
    """Return a corner coordinate, int32 (m,) from 0 to side - size, of numbers in [0, 1)."""
    import tensorflow as tf

    places = side - size + 1
    return tf.minimum(tf.cast(drawn * tf.cast(places, tf.float32), tf.int32), places - 1)


# ---------------------------------------------------------------- L-infinity


def _stripe(x: Tensor, eps: Tensor, shape: Shape, draw: Draw) -> Tensor:
    """Return x with eps added to some columns, channel by channel, and taken from the others."""
    import tensorflow as tf

    height, width, channels = shape
    return x + eps * tf.tile(tf.where(draw(width * channels) < 0.5, -1.0, 1.0), (1, height))


def _flip_window(goal: Goal, x: Tensor, best: Tensor, eps: Tensor, size: Tensor, shape: Shape, draw: Draw) -> Tensor:
    """Return the best point with x + eps or x - eps in a window, in each channel, such that it changes.

    Algorithm 2 draws again until something changes; the opposite of what changes nothing changes something.
    """
    import tensorflow as tf

    drawn = draw(2 + shape[2])
    inside = _window(_corner(drawn[:, 0], size, shape[0]), _corner(drawn[:, 1], size, shape[1]), size, shape)
    low, high = (tf.clip_by_value(x + change, goal.lower, goal.upper) for change in (-eps, eps))
    rises = _sign(drawn[:, 2:], shape) < 0.0
    idle = tf.reduce_all(~inside | (tf.where(rises, high, low) == best), axis=-1, keepdims=True)
    return tf.where(inside, tf.where(rises ^ idle, high, low), best)


# ---------------------------------------------------------------- L2


def _strew(x: Tensor, eps: Tensor, shape: Shape, draw: Draw) -> Tensor:
    """Return x plus a grid of bumps of random sign, in each channel, of L2 norm eps."""
    import numpy as np
    import tensorflow as tf

    height, width, channels = shape
    size = max(min(height, width) // TILES, 1)
    many = [side // size for side in (height, width)]
    spare = [side - count * size for side, count in zip((height, width), many, strict=True)]
    frame = [(free // 2, free - free // 2) for free in spare]
    bumps = np.stack([np.pad(np.tile(bump, many), frame).ravel() for bump in _both_ways(size)])
    drawn = draw(many[0] * many[1] * channels + 1)
    signs = tf.reshape(tf.where(drawn[:, 1:] < 0.5, -1.0, 1.0), (-1, *many, channels))
    wide = tf.pad(tf.repeat(tf.repeat(signs, size, axis=1), size, axis=2), ((0, 0), *frame, (0, 0)))
    way = tf.cast(drawn[:, 0] < 0.5, tf.int32)
    upright = _spread(tf.gather(tf.constant(bumps), way), channels)
    return x + eps * _unit(upright * tf.reshape(wide, (-1, height * width * channels)))


def _move_mass(x: Tensor, best: Tensor, eps: Tensor, size: Tensor, shape: Shape, draw: Draw) -> Tensor:
    """Return the best point with a bump added in one window, and the perturbation of another window set to 0.

    Algorithm 3: what is freed in a channel is spent in that channel, what is unspent is divided among all.
    """
    import tensorflow as tf

    height, width, channels = shape
    drawn = draw(5 + channels)
    corners = [_corner(drawn[:, i], size, (height, width)[i % 2]) for i in range(4)]
    gains, pays = _window(corners[0], corners[1], size, shape), _window(corners[2], corners[3], size, shape)
    delta = best - x
    bump = _sign(drawn[:, 4:-1], shape) * _place_bump(corners[0], corners[1], size, shape, drawn[:, -1])

    mixed = _unit(bump + _unit(tf.where(gains, delta, 0.0), channels), channels)
    unspent = tf.maximum(eps**2 - tf.reduce_sum(delta**2, axis=-1, keepdims=True), 0.0) / channels
    freed = _add_up(tf.where(gains | pays, delta, 0.0) ** 2, channels)
    moved = tf.where(gains, tf.sqrt(unspent + freed) * mixed, tf.where(pays, 0.0, delta))
    return x + eps * _unit(moved)


def _odd_size(size: Tensor, shape: Shape) -> Tensor:
    """Return the next odd size, at least 3, at most the image's side."""
    import tensorflow as tf

    sizes = _odd_sizes(shape)
    return tf.clip_by_value(size + 1 - size % 2, sizes[0], sizes[-1])


def _odd_sizes(shape: Shape) -> range:
    side = min(shape[:2])
    return range(3, side + 1, 2) if side >= 3 else range(side, side + 1)


def _place_bump(down: Tensor, right: Tensor, size: Tensor, shape: Shape, drawn: Tensor) -> Tensor:
    """Return a bump at each upper left corner, upright or lying as ``drawn`` in [0, 1) says: float32 (m, d)."""
    import numpy as np
    import tensorflow as tf

    (height, width, channels), sizes = shape, _odd_sizes(shape)
    bumps = np.stack(
        [[np.pad(bump, ((0, height - n), (0, width - n))).ravel() for bump in _both_ways(n)] for n in sizes]
    )
    table = tf.reshape(tf.gather(tf.constant(bumps), (size - sizes[0]) // 2), (-1,))
    # Pixels above or left of a corner wrap around to the zeros below or right of the bump.
    rows, columns = ((tf.range(side) - corner[:, None]) % side for corner, side in ((down, height), (right, width)))
    way = tf.cast(drawn < 0.5, tf.int32) * height * width
    places = way[:, None, None] + rows[:, :, None] * width + columns[:, None, :]
    return _spread(tf.gather(table, tf.reshape(places, (-1, height * width))), channels)


def _both_ways(size: int) -> tuple[FloatImage, FloatImage]:
    """Return the bump eta of algorithm 3 upright and lying: (size, size), one half up, one half down, of length 1."""
    import numpy as np

    upper, lower = _hill(size // 2, size), _hill(size - size // 2, size)
    bump = np.concatenate([upper, -lower])
    bump /= np.linalg.norm(bump)
    return bump, bump.T


def _hill(height: int, width: int) -> FloatImage:
    """Return nested rectangles around the middle, the k-th of them, from 0, adding 1 / (k + 1)^2; of length 1."""
    import numpy as np

    outwards = np.arange(max(height, width) // 2 + 1)
    levels = np.cumsum((1.0 / (outwards + 1.0) ** 2)[::-1])[::-1]
    ring = np.maximum(abs(np.arange(height) - height // 2)[:, None], abs(np.arange(width) - width // 2))
    hill = levels[ring].astype(np.float32)
    return hill / max(np.linalg.norm(hill), np.float32(1e-12))


def _unit(delta: Tensor, channels: int = 1) -> Tensor:
    """Return the perturbations scaled to L2 norm 1, with ``channels`` in each channel; zero ones stay zero."""
    import tensorflow as tf

    lengths = tf.norm(delta, axis=-1, keepdims=True) if channels == 1 else tf.sqrt(_add_up(delta**2, channels))
    return tf.math.divide_no_nan(delta, lengths)


def _add_up(values: Tensor, channels: int) -> Tensor:
    """Return the sum of each image's values in each channel, for each of its values: (m, 1), or (m, d) in colour."""
    import tensorflow as tf

    if channels == 1:
        return tf.reduce_sum(values, axis=-1, keepdims=True)
    pixels = values.shape[-1] // channels
    sums = tf.reduce_sum(tf.reshape(values, (-1, pixels, channels)), axis=1)
    return tf.tile(sums, (1, pixels))
