"""Small models of Keras with every layer that is allowed, drawn weights included, and their files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (8, 8, 4)


def in_turn(*layers: Callable[[Any], Any], shape: tuple[int, ...] = SHAPE) -> Callable[[Any], Any]:
    """Return images -> scores: some layers, one after the other."""

    def build(keras: Any) -> Any:
        return keras.Sequential([keras.Input(shape), *(make(keras.layers) for make in layers)])

    return build


def wired(wire: Callable[[Any, Any], Any], shape: tuple[int, ...] = SHAPE) -> Callable[[Any], Any]:
    """Return a builder of the functional model that ``wire`` makes of Keras and an input."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(shape)
        return keras.Model(inputs, wire(keras, inputs))

    return build


def _merge(name: str, **settings: Any) -> Callable[[Any], Any]:
    def wire(keras: Any, x: Any) -> Any:
        a, b = keras.layers.Conv2D(3, 3)(x), keras.layers.Conv2D(3, 3, activation="tanh")(x)
        return getattr(keras.layers, name)(**settings)([a, b])

    return wired(wire)


def _block(keras: Any, x: Any) -> Any:
    y = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    return keras.layers.Add()([x, keras.layers.Conv2D(4, 3, padding="same", groups=2)(y)])


def _residual(keras: Any, x: Any) -> Any:
    x = _block(keras, _block(keras, keras.layers.Rescaling(1 / 127.5, -1.0)(x)))
    return keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))


def _shared(keras: Any, x: Any) -> Any:
    """A nested model and a layer, each called twice."""
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()])
    outer = keras.Input((8, 8, 4))
    deep = keras.Model(outer, keras.layers.Dense(4, activation="relu")(inner(keras.layers.ReLU()(outer))))
    dense = keras.layers.Dense(3)
    return keras.layers.Concatenate()([dense(deep(x)), dense(deep(keras.ops.relu(x))), deep(x)])


def _functions(keras: Any, x: Any) -> Any:
    y = (x / 255.0 - np.array([0.1, 0.2, 0.3, 0.4], "f4")) / np.array([0.5, 0.6, 0.7, 0.8], "f4")
    y = keras.ops.gelu(1.0 - y * y + x, approximate=True)
    y = keras.ops.maximum(y, 0.2) * keras.ops.sigmoid(keras.ops.silu(y))
    return keras.ops.softmax(keras.layers.Dense(3)(keras.layers.Flatten()(y)))


def _standardised(keras: Any, x: Any) -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(1).random((20, *SHAPE)))
    given = keras.layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[0.5, 0.6, 0.7, 0.8])
    return keras.layers.Normalization(axis=None, mean=0.3, variance=2.0, invert=True)(given(layer(x)))


def _frozen(keras: Any, x: Any) -> Any:
    """Normalisation of a frozen layer, in the middle of dropout and augmentation."""
    layer = keras.layers.BatchNormalization(trainable=False)
    x = keras.layers.RandomFlip()(keras.layers.RandomRotation(0.2)(keras.layers.GaussianNoise(0.3)(x)))
    return keras.layers.Dropout(0.5)(keras.layers.SpatialDropout2D(0.5)(layer(x)))


MODELS: dict[str, Callable[[Any], Any]] = {
    "activations of layers": in_turn(
        *(
            lambda k, name=name: k.Dense(5, activation=name)
            for name in ("relu", "gelu", "elu", "selu", "tanh", "swish")
        ),
        *(lambda k, name=name: k.Activation(name) for name in ("softplus", "softsign", "leaky_relu", "hard_silu")),
        *(lambda k, name=name: k.Activation(name) for name in ("relu6", "mish", "hard_sigmoid", "log_softmax")),
    ),
    "activation layers": in_turn(
        *(lambda k: k.PReLU(), lambda k: k.PReLU(shared_axes=[1, 2]), lambda k: k.LeakyReLU(0.2)),
        *(lambda k: k.ELU(0.5), lambda k: k.ReLU(max_value=0.7, negative_slope=0.1, threshold=0.05)),
        lambda k: k.Conv2D(3, 3, activation=k.LeakyReLU(0.1)),
        lambda k: k.Softmax(axis=1),
    ),
    "convolutions": in_turn(
        *(lambda k: k.Conv2D(6, (3, 2), padding="same", dilation_rate=2), lambda k: k.Conv2D(6, 3, groups=3)),
        *(lambda k: k.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1), lambda k: k.Identity()),
        *(lambda k: k.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), lambda k: k.SeparableConv2D(4, 3)),
    ),
    "one axis": in_turn(
        *(lambda k: k.Reshape((-1, 8)), lambda k: k.Conv1D(4, 3, padding="causal", dilation_rate=2)),
        *(lambda k: k.MaxPooling1D(3, padding="same"), lambda k: k.Conv1DTranspose(3, 3, strides=2)),
        *(lambda k: k.ZeroPadding1D((1, 2)), lambda k: k.Cropping1D((2, 1)), lambda k: k.UpSampling1D(2)),
        *(lambda k: k.AveragePooling1D(2), lambda k: k.GlobalMaxPooling1D(), lambda k: k.RepeatVector(3)),
        *(lambda k: k.Permute((2, 1)), lambda k: k.GlobalAveragePooling1D(keepdims=True)),
    ),
    "pooling": in_turn(
        *(lambda k: k.MaxPooling2D((2, 3), strides=1, padding="same"), lambda k: k.AveragePooling2D(2, padding="same")),
        *(lambda k: k.GlobalMaxPooling2D(keepdims=True), lambda k: k.GlobalAveragePooling2D()),
    ),
    "sizes": in_turn(
        *(lambda k: k.ZeroPadding2D(((1, 2), (3, 0))), lambda k: k.Cropping2D(((0, 1), (1, 1)))),
        *(lambda k: k.UpSampling2D((2, 3), interpolation="bilinear"), lambda k: k.CenterCrop(9, 7)),
        *(lambda k: k.Resizing(6, 5), lambda k: k.Permute((3, 1, 2))),
    ),
    "normalisations": in_turn(
        *(lambda k: k.BatchNormalization(), lambda k: k.BatchNormalization(axis=1, scale=False)),
        *(lambda k: k.LayerNormalization(), lambda k: k.LayerNormalization(axis=[1, 2], center=False)),
        *(lambda k: k.GroupNormalization(2), lambda k: k.RMSNormalization(), lambda k: k.UnitNormalization()),
    ),
    **{name: _merge(name) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")},
    "Dot": wired(lambda keras, x: keras.layers.Dot(axes=1)([keras.layers.Flatten()(x), keras.layers.Flatten()(x)])),
    "channels first": in_turn(
        *(lambda k: k.Conv2D(4, 3, data_format="channels_first"), lambda k: k.BatchNormalization(axis=1)),
        *(lambda k: k.MaxPooling2D(2, data_format="channels_first"), lambda k: k.Flatten(data_format="channels_first")),
        shape=(3, 8, 8),
    ),
    "residual": wired(_residual),
    "shared": wired(_shared),
    "functions": wired(_functions),
    "nested": wired(lambda keras, x: keras.Model(a := keras.Input(SHAPE), keras.layers.Conv2D(2, 3)(a))(x)),
    "standardised": wired(_standardised),
    "frozen": wired(_frozen),
    "one score": in_turn(lambda k: k.Flatten(), lambda k: k.Dense(1, activation="sigmoid")),
    "several scores": in_turn(lambda k: k.Flatten(), lambda k: k.Dense(3), lambda k: k.Activation("sigmoid")),
    "open size": in_turn(lambda k: k.Conv2D(3, 3, padding="same"), shape=(None, None, 3)),
    "nothing": in_turn(lambda k: k.Dropout(0.1)),
}
"""Builders of models: together they have each layer and function that is allowed."""


def draw_weights(model: Any) -> Any:
    """Return a model with drawn weights, variances positive, so that no weight is at its initial value."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.5, w.shape) * rng.choice([1, 1, -1], w.shape) for w in model.get_weights()])
    for layer in model._flatten_layers():
        if hasattr(layer, "moving_variance"):
            layer.moving_variance.assign(abs(layer.moving_variance.numpy()))
    return model


def save_model(name: str, folder: Path) -> Path:
    """Return the file of a model, with drawn weights."""
    import keras

    path = folder / "model.keras"
    model = MODELS[name](keras)
    if name != "standardised":
        draw_weights(model)
    model.save(path)
    return path


def read_members(content: bytes) -> dict[str, bytes]:
    """Return the files in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of some files."""
    with zipfile.ZipFile(stream := io.BytesIO(), "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def change_config(content: bytes, change: Callable[[Any], Any]) -> bytes:
    """Return a file whose configuration was changed; ``change`` returns another one, or None for the same."""
    members = read_members(content)
    config = json.loads(members["config.json"])
    members["config.json"] = json.dumps(change(config) or config).encode()
    return write_members(members)
