"""Models that a user hands over as objects: of Keras, of scikit-learn, or functions; each becomes a Classifier."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.batching import Tensor
from advae.errors import AdvaeError, UsageError
from advae.models.contracts import Classifier, Purifier

if TYPE_CHECKING:
    from advae.records import AddedOptions, FloatArray, ImageShape

KNOWN_MODELS = (
    "a loaded pipeline, a Keras model, a fitted scikit-learn estimator, or a function (n, h, w, c) -> (n, classes)"
)

TRIED_IMAGES = 2
"""Images that a function is tried on."""


def read_classifier(model: Any, shape: ImageShape, x: FloatArray) -> Classifier:
    """Return a user's object as a classifier: float32 (n, d) in [0, 1] -> logits, float32 (n, classes).

    x: some of the images, float32 (n, d), on which a function is tried. Raises UsageError for what is no classifier,
    or does not take images of this shape.
    """
    if _is_keras(model):
        return _finish(_read_keras(model, shape), shape, x)
    if _is_sklearn(model):
        return _read_sklearn(model, shape, x)
    if callable(model):
        function, differentiable = try_function(model, shape, x)
        return _finish(Classifier(function, 0, differentiable), shape, x)
    raise UsageError(f"a model of type {type(model).__name__} is not known; expected {KNOWN_MODELS}")


def read_purifier(model: Any, shape: ImageShape, x: FloatArray) -> Purifier:
    """Return a user's object as a purifier, images to images: a Keras model, or a function of (n, h, w, c).

    A purifier without gradient is differentiated as the identity (BPDA). Raises UsageError for what returns no images.
    """
    if not callable(model):
        raise UsageError(
            f"a purifier of type {type(model).__name__} is not known; expected pipeline.purifier, a fitted "
            "advae.Purifier, a Keras model, or a function (n, h, w, c) -> (n, h, w, c)"
        )
    if _is_keras(model):
        function, differentiable = _call_keras(model, shape), True
    else:
        function, differentiable = try_function(model, shape, x)
    returned = tuple(_ask(function, x).shape)
    if returned[1:] not in (shape.stored, tuple(shape), (shape.size,)):
        raise UsageError(
            f"the purifier returns an array of shape {returned} for {TRIED_IMAGES} images of {shape} pixels"
        )
    return Purifier(_set_width(function, shape.size), differentiable=differentiable)


def _ask(function: Callable[[Tensor], Tensor], x: FloatArray) -> FloatArray:
    import numpy as np
    import tensorflow as tf

    found: FloatArray = np.asarray(function(tf.constant(x[:TRIED_IMAGES])))
    return found


def _finish(classifier: Classifier, shape: ImageShape, x: FloatArray) -> Classifier:
    """Return a classifier whose number of outputs is known; a single score z becomes [0, z]. Raises UsageError."""
    logits = _ask(classifier.logits, x)
    n = min(TRIED_IMAGES, len(x))
    if logits.ndim not in (1, 2) or len(logits) != n:
        returned = f"the model returns an array of shape {logits.shape} for {n} images of {shape} pixels"
        raise UsageError(f"{returned}; expected (n, classes)")
    outputs = 1 if logits.ndim == 1 else logits.shape[1]
    function = _set_width(classifier.logits, outputs)
    return replace(classifier, logits=_spread(function) if outputs == 1 else function, classes=max(2, outputs))


def _set_width(function: Callable[[Tensor], Tensor], width: int) -> Callable[[Tensor], Tensor]:
    """Return a function whose output is float32 (n, width), known while it is traced."""

    def run(x: Tensor) -> Tensor:
        import tensorflow as tf

        return tf.reshape(tf.cast(function(x), tf.float32), (-1, width))

    return run


def _spread(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        import tensorflow as tf

        score = function(x)
        return tf.concat([tf.zeros_like(score), score], axis=-1)

    return run


# ---------------------------------------------------------------- functions


def try_function(
    function: Callable[[Any], Any], shape: ImageShape, x: FloatArray
) -> tuple[Callable[[Tensor], Tensor], bool]:
    """Return a user's function as one of flat tensors, and whether TensorFlow can differentiate it.

    A function that is not made of TensorFlow operations is given NumPy arrays, and only its outputs are used.
    Raises UsageError where it fails on images.
    """
    import numpy as np

    from advae.models.added.own_function import has_gradient
    from advae.models.added.score_process import wrap_numpy

    tried = x[:TRIED_IMAGES].reshape(-1, *shape)
    if has_gradient(function, tried):

        def run(images: Tensor) -> Tensor:
            import tensorflow as tf

            return function(tf.reshape(images, (-1, *shape)))

        return run, True
    try:
        found = np.asarray(function(tried))
    # The user's own code may raise anything.
    except Exception as error:
        line = str(error).strip().split("\n")[0]
        raise UsageError(
            f"the function fails on float32 images of shape (n, {', '.join(map(str, shape))}): "
            f"{type(error).__name__}: {line}"
        ) from error
    return wrap_numpy(
        lambda images: np.asarray(function(images.reshape(-1, *shape)), np.float32), *found.shape[1:]
    ), False


# ---------------------------------------------------------------- Keras


def _is_keras(model: Any) -> bool:
    # An object of a library that nothing has imported yet does not exist.
    return "keras" in sys.modules and isinstance(model, sys.modules["keras"].Model)


def _call_keras(model: Any, shape: ImageShape) -> Callable[[Tensor], Tensor]:
    """Return a Keras model in inference mode as a function of flat images. Raises UsageError for other shapes."""
    from advae.models.added.input_layout import list_layouts, make_input

    known = getattr(model, "input_shape", None) if model.built and getattr(model, "inputs", None) else None
    takes = known[1:] if isinstance(known, tuple) else tuple(shape)
    layout = list_layouts(takes, shape, None)[0]
    prepare = make_input(_describe_input(layout, shape), shape)
    return lambda x: model(prepare(x), training=False)


def _read_keras(model: Any, shape: ImageShape) -> Classifier:
    bare, probabilities = _cut_off(model)
    call = _call_keras(bare, shape)

    def logits(x: Tensor) -> Tensor:
        import tensorflow as tf

        found = call(x)
        return tf.math.log(tf.maximum(found, 1e-30)) if probabilities else found

    return Classifier(logits, 0, trainable=False)


def _cut_off(model: Any) -> tuple[Any, bool]:
    """Return a Keras model without its final softmax or sigmoid, and whether its outputs are probabilities still.

    Of a subclassed model, whose layers are not known, only the name of its last activation is.
    """
    import keras

    if not model.layers:
        return model, False
    last: Any = model.layers[-1]
    layer = isinstance(last, keras.layers.Softmax)
    ending = keras.activations.softmax if layer else getattr(last, "activation", None)
    if ending not in (keras.activations.softmax, keras.activations.sigmoid):
        return model, False
    if not getattr(model, "inputs", None):
        return model, ending is keras.activations.softmax
    if layer or isinstance(last, keras.layers.Activation):
        return keras.Model(model.inputs, last.input), False
    plain = type(last).from_config(last.get_config() | {"activation": "linear"})
    cut = keras.Model(model.inputs, plain(last.input))
    plain.set_weights(last.get_weights())
    return cut, False


def _describe_input(layout: tuple[tuple[int, ...], str], shape: ImageShape) -> AddedOptions:
    """Return the options of a model that takes images in [0, 1] in a layout."""
    from advae.records import AddedOptions

    return AddedOptions(
        format="python",
        digest="0" * 64,
        takes=layout[0],
        channels="first" if layout[1] == "first" else "last",
        input_range=(0.0, 1.0),
        outputs="logits",
        affine=False,
        differentiable=True,
    )


# ---------------------------------------------------------------- scikit-learn


def _is_sklearn(model: Any) -> bool:
    return "sklearn.base" in sys.modules and isinstance(model, sys.modules["sklearn.base"].BaseEstimator)


def _read_sklearn(model: Any, shape: ImageShape, x: FloatArray) -> Classifier:
    """Return a fitted estimator, differentiable where all its steps are known; it goes through the reader of files."""
    from advae.models.added.skops_reader import read_skops
    from advae.models.added.stored import open_model, pack_model

    _require_fitted(model)
    content, path = _dump(model), Path("model.skops")
    try:
        found = read_skops(content, path)
    except AdvaeError as error:
        why = str(error).replace(f"{path} is refused: ", "")
        raise UsageError(
            f"the estimator {type(model).__name__} is refused: {why}; or pass a function of its scores: "
            "lambda x: model.predict_proba(x.reshape(len(x), -1))"
        ) from None
    if found.takes != (shape.size,):
        raise UsageError(f"the estimator takes {found.takes[0]} features, x has images of {shape} pixels")
    function = open_model(found.format, pack_model(found))
    return _finish(Classifier(function, 0, found.differentiable, found.affine, trainable=False), shape, x)


def _require_fitted(model: Any) -> None:
    """Raise UsageError for an estimator that is not fitted, is no classifier, or has other labels than 0 to k - 1."""
    from sklearn.base import is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(model).__name__
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise UsageError(f"the estimator {name} is not fitted; call fit first") from None
    if not is_classifier(model):
        raise UsageError(f"the estimator {name} is no classifier")
    labels = list(model.classes_)
    if labels != list(range(len(labels))):
        hint = "; fit it on labels from 0: subtract 1 from all" if labels[0] == 1 else ""
        shown = ", ".join(map(str, labels[:4])) + (", ..." if len(labels) > 4 else "")
        raise UsageError(f"the classes of {name} are {shown}, expected 0 to {len(labels) - 1}{hint}")


def _dump(model: Any) -> bytes:
    from advae.models.added.detect import INSTALL_MODELS

    try:
        from skops.io import dumps
    except ImportError:
        raise UsageError(f"a scikit-learn model needs skops: {INSTALL_MODELS}") from None
    content: bytes = dumps(model)
    return content
