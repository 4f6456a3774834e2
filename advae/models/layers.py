"""The dense layers of autoencoders and neural classifiers, and the weights that models store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from advae.errors import CorruptError, UsageError, unknown
from advae.settings import BFLOAT16

if TYPE_CHECKING:
    import numpy as np

    from advae.records import Activations, Dataset, ImageShape, NetworkOptions
    from advae.requests import NetworkRequest

    Arrays = dict[str, np.ndarray[Any, Any]]


ACTIVATIONS = ("relu", "sigmoid", "tanh", "elu", "softplus", "exponential", "leaky_relu", "linear")


PAPER_ACTIVATIONS: Activations = ("relu", "relu", "exponential", "softplus")


def default_hidden_size(shape: ImageShape) -> int:
    """Return the paper's width of the hidden layers: 9/14 of an image's values, 504 for 28 x 28.

    Raises UsageError where that is more than a layer may have.
    """
    from advae.records import MAX_LAYER

    size = round(shape.size * 9 / 14)
    if size > MAX_LAYER:
        raise UsageError(
            f"images of {shape} pixels need --hidden-size N, at most {MAX_LAYER}: by default it would be {size}"
        )
    return size


def default_code_size(shape: ImageShape) -> int:
    """Return the paper's width of the code: the side of an image; of others the root of its number of values."""
    return round(shape.diameter)


def narrow_size(hidden: int) -> int:
    """Return the width of a narrow layer between wide ones: a quarter of theirs, rounded up."""
    return -(-hidden // 4)


def default_batch_size(n: int) -> int:
    """Return the default batch size: 256, or less for few images, because an epoch needs about 200 steps."""
    return min(256, max(16, n // 200))


PAPER_EPOCHS = 35

PAPER_LEARNING_RATE = 1e-3
"""Learning rate of Adam; also Keras' default."""


def fill_in(
    request: NetworkRequest,
    dataset: Dataset,
    *,
    hidden: int | None = None,
    code: int,
    activations: Activations,
    epochs: int = PAPER_EPOCHS,
    learning_rate: float = PAPER_LEARNING_RATE,
) -> NetworkOptions:
    """Return a network request with its defaults filled in. Raises UsageError for an unknown activation."""
    from advae.records import NetworkOptions

    for name in request.activations or ():
        if name not in ACTIVATIONS:
            raise UsageError(unknown("activation", name, ACTIVATIONS))
    return NetworkOptions(
        hidden=request.hidden or hidden or default_hidden_size(dataset.ref.shape),
        code=request.code or code,
        activations=request.activations or activations,
        epochs=request.epochs or epochs,
        batch_size=request.batch_size or default_batch_size(len(dataset.x_train)),
        learning_rate=request.learning_rate or learning_rate,
    )


def derive_seeds(seed: int, count: int) -> list[int]:
    """Return a seed for each layer of a network, derived from the network's seed; no global generator is seeded."""
    import numpy as np

    # Keras takes seeds below 2 ** 31, and layers of one network must not share one.
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(count) >> 1]


def dense_stack(sizes: Sequence[int], activations: Sequence[str], *, seed: int) -> Any:
    """Return an untrained keras.Sequential (n, sizes[0]) -> (n, sizes[-1]) of dense layers, Glorot uniform, zero bias.

    seed: every layer's initializer is seeded from it and its position.
    """
    import keras

    layers = [
        keras.layers.Dense(size, activation=activation, kernel_initializer=keras.initializers.GlorotUniform(seed=one))
        for size, activation, one in zip(sizes[1:], activations, derive_seeds(seed, len(activations)), strict=True)
    ]
    return keras.Sequential([keras.Input((sizes[0],)), *layers])


WIDE_LAYER = 64
"""Fewest inputs and outputs of a layer that is faster in a lower precision."""


def set_precision(networks: Sequence[Any], precision: str) -> None:
    """Compute the products of wide layers in ``precision``; weights, other layers and outputs stay float32.

    Logits and the inputs of exponential layers come from narrow layers, which need more than the 8 bits of bfloat16.
    """
    import keras

    for network in networks:
        for layer in network.layers:
            kernel = getattr(layer, "kernel", None)
            if precision == BFLOAT16 and kernel is not None and min(kernel.shape) >= WIDE_LAYER:
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")


def refuse_unknown_activations(names: Iterable[str]) -> None:
    """Raise CorruptError for an activation that is not in ACTIVATIONS."""
    for name in names:
        if name not in ACTIVATIONS:
            raise CorruptError(f"the recipe names an activation that this advae does not know: {name!r}")


# ---------------------------------------------------------------- what is stored of a model


class Weight(NamedTuple):
    """The expected shape and dtype of a stored array of a model."""

    shape: tuple[int, ...]
    """Shape of the array."""
    dtypes: tuple[str, ...] = ("float32",)
    """Allowed dtypes."""


Weights = dict[str, Weight]
"""The expected arrays of a model, by name; they follow from its recipe."""


class Claim(Protocol):
    """A stored array, or the header of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def dense_shapes(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes of the weights of a stack of dense layers, as ``dense_stack`` builds it."""
    return [shape for inputs, outputs in pairwise(sizes) for shape in ((inputs, outputs), (outputs,))]


def name_weights(*shapes: Sequence[tuple[int, ...]]) -> Weights:
    """Return the weights of networks as ``collect_weights`` names them. shapes: of one network's weights each."""
    return {_name(n, w): Weight(shape) for n, network in enumerate(shapes) for w, shape in enumerate(network)}


def require_weights(expected: Weights, found: Mapping[str, Claim]) -> None:
    """Raise CorruptError unless the arrays found are those of a recipe, by name, shape and dtype.

    Call it before arrays are read and networks are built, because a recipe of a few bytes can ask for gigabytes.
    """
    for name in (*expected, *(name for name in found if name not in expected)):
        wanted, claim = expected.get(name), found.get(name)
        if not (wanted and _fits(wanted, claim)):
            there = "missing" if claim is None else f"{claim.dtype} {claim.shape}"
            should = f"should be {' or '.join(wanted.dtypes)} {wanted.shape}" if wanted else "should not be there"
            raise CorruptError(f"the stored weights do not fit the recipe: {name[:40]!r} {should}, it is {there}")


def _fits(wanted: Weight, claim: Claim | None) -> bool:
    return claim is not None and claim.shape == wanted.shape and str(claim.dtype) in wanted.dtypes


def _name(network: int, weight: int) -> str:
    return f"{network}.{weight}"


def collect_weights(networks: Sequence[Any]) -> Arrays:
    """Return the weights of networks as arrays named by network and position, ``0.0``, ``0.1``, ..."""
    return {_name(n, w): array for n, network in enumerate(networks) for w, array in enumerate(network.get_weights())}


def put_weights(networks: Sequence[Any], arrays: Arrays) -> None:
    """Set the weights that ``collect_weights`` returned and ``require_weights`` accepted."""
    for n, network in enumerate(networks):
        network.set_weights([arrays[_name(n, w)] for w in range(len(network.weights))])
