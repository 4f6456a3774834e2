"""Random numbers that belong to an image, whichever other images are attacked beside it.

TensorFlow's stateless numbers belong to the shape of an array: a row's numbers change with the rows before it. One call
for each row costs as much as the attack, so the numbers are hashes of the image's key and their place.
"""

from __future__ import annotations

from advae.batching import Tensor

_WEYL = 0x9E3779B9
"""2^32 divided by the golden ratio: its multiples are far apart."""

_ROUNDS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
"""Shift and factor of each round of MurmurHash3's finalizer (Appleby 2011, public domain)."""


def make_keys(ids: Tensor, restart: Tensor) -> Tensor:
    """Return the keys of some images, uint32 (n,), to which their random numbers belong.

    ids: numbers of the images in the test set, int32 (n,); restart: of the attack, int32 scalar.
    """
    return mix(mix(_uint(0), restart), ids)


def draw_uniform(keys: Tensor, stream: Tensor, many: int) -> Tensor:
    """Return ``many`` random numbers in [0, 1) for each image, float32 (n, many).

    keys: of the images, uint32 (n,); stream: number of the draw, int32 scalar: an image has other numbers in each.
    """
    import tensorflow as tf

    hashed = mix(mix(keys, stream)[:, None], tf.range(many))
    # float32 has 24 bits.
    return tf.cast(tf.cast(tf.bitwise.right_shift(hashed, _uint(8)), tf.int32), tf.float32) * 2.0**-24


def draw_normal(keys: Tensor, stream: Tensor, many: int) -> Tensor:
    """Return ``many`` numbers of the standard normal distribution for each image, float32 (n, many)."""
    import tensorflow as tf

    # Half a step away from 0, whose quantile is infinite.
    return tf.math.ndtri(draw_uniform(keys, stream, many) + 2.0**-25)


def mix(state: Tensor, number: Tensor) -> Tensor:
    """Return the next state of the hash, uint32: the state and a number of 32 bits, mixed."""
    import tensorflow as tf

    mixed = state + (tf.cast(number, tf.uint32) + _uint(1)) * _uint(_WEYL)
    for shift, factor in _ROUNDS:
        mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, _uint(shift))) * _uint(factor)
    return tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, _uint(16)))


def _uint(number: int) -> Tensor:
    import tensorflow as tf

    return tf.constant(number, tf.uint32)
