"""A purifier as scikit-learn's transformer. Imported where ``advae.Purifier`` is used first: it needs scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from advae.backend import start_tensorflow
from advae.batching import compile_batched
from advae.errors import UsageError
from advae.notebooks.image_arrays import read_images

if TYPE_CHECKING:
    from advae.models import contracts
    from advae.notebooks.image_arrays import GivenImages
    from advae.records import FloatArray
    from advae.requests import AutoencoderRequest

NETWORK_OPTIONS = ("hidden", "code", "activations", "batch_size", "learning_rate")
"""Options of the network, as ``advae train-ae`` takes them."""

COMMON_OPTIONS = ("loss", "rescale")
"""Options of every type that is trained."""

_COMPILED: WeakKeyDictionary[Any, Callable[..., FloatArray]] = WeakKeyDictionary()
"""Fitted purifiers -> their traced functions, which cannot be pickled."""


class Purifier(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An autoencoder, or a baseline, that maps images to purified images; a transformer of scikit-learn.

    type: ``denoising``, ``vanilla``, ``sparse``, ``variational``, ``robust``, ``certified``, or a baseline: ``blur``,
    ``pca``, ``binary``, ``bit-depth``, ``median``, ``jpeg``, ``total-variation``. A robust or certified one needs
    labels, ``fit(x, y)``: it is trained with a classifier behind it, a Keras model that is ``classifier_`` afterwards:
    ``advae.evaluate(purifier.classifier_, x, y, purifier=purifier)``. ``kl`` and ``cascade``, which are trained in
    front of a trained classifier, are made by ``advae train-ae --type TYPE --protect CLF`` only.
    epochs: passes over the images, None for the default. seed: of all that is random. options: as ``advae train-ae``
    takes them: ``hidden``, ``code``, ``activations``, ``batch_size``, ``learning_rate``, ``loss``, ``rescale``, and
    those of the type, such as ``noise_level=0.3``.

    Images are float in [0, 1], or uint8 from 0 to 255: (n, h, w), (n, h, w, 1 or 3), or flat, (n, d), which are squares
    where d is a square number, else 1 x d. The same images, options and seed give the purifier of ``advae train-ae``.

    >>> import advae
    >>> from sklearn.datasets import load_digits
    >>> x = load_digits().images / 16
    >>> advae.Purifier(type="denoising", epochs=1).fit(x).transform(x[:3]).shape
    (3, 8, 8)
    """

    def __init__(self, type: str = "denoising", *, epochs: int | None = None, seed: int = 0, **options: Any) -> None:
        self.type = type
        self.epochs = epochs
        self.seed = seed
        for name, value in options.items():
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, those options included that were given."""
        named: dict[str, Any] = super().get_params(deep)
        return named | self._given()

    def set_params(self, **params: Any) -> Purifier:
        """Set parameters, also options that were not given before. Raises ValueError for an unknown one."""
        known = _list_options()
        for name in [name for name in params if name in known]:
            setattr(self, name, params.pop(name))
        super().set_params(**params)
        return self

    def _given(self) -> dict[str, Any]:
        own = {"type", "epochs", "seed"}
        return {
            name: value
            for name, value in vars(self).items()
            if name not in own and not name.startswith("_") and not name.endswith("_")
        }

    def fit(self, X: Any, y: Any = None) -> Purifier:  # noqa: N803  # the name that scikit-learn prescribes
        """Train on images and return itself.

        X: images; y: labels, int (n,), which only decide that the held-out images leave some of each class; None: not.
        A robust or certified purifier is trained on them. Raises UsageError for an unknown option, and for one of these
        without labels; DatasetError for images out of range, DivergedError.
        """
        images = self._read(X, reset=True)
        start_tensorflow()
        self.recipe_, self.weights_, self.history_, self.classifier_ = _train(self._ask(), images, y)
        _COMPILED.pop(self, None)
        return self

    def transform(self, X: Any) -> FloatArray:  # noqa: N803  # as above
        """Return the purified images, float32, in the shape of X. Raises NotFittedError, DatasetError."""
        check_is_fitted(self)
        images = self._read(X, reset=False)
        if self not in _COMPILED:
            _COMPILED[self] = compile_batched(self.restore())
        return _COMPILED[self](images.x).reshape(images.given)

    def restore(self) -> contracts.Purifier:
        """Return the fitted purifier as a function of tensors, as the library's other rooms use it."""
        from advae.models.purifiers import restore_purifier

        check_is_fitted(self)
        start_tensorflow()
        return restore_purifier(self.recipe_, self.weights_)

    def _read(self, images: Any, *, reset: bool) -> GivenImages:
        import numpy as np

        checked = validate_data(
            self,
            images,
            reset=reset,
            allow_nd=True,
            dtype="numeric",
            ensure_min_samples=2 if reset else 1,
        )
        # Zeros and ones of any type are images, too.
        array = checked if checked.dtype == np.uint8 else checked.astype(np.float64, copy=False)
        return read_images(array, None if reset else self.recipe_.dataset.shape)

    def _ask(self) -> AutoencoderRequest:
        """Return the request of ``advae train-ae`` for the parameters. Raises UsageError."""
        from advae.requests import AutoencoderRequest, NetworkRequest

        given = {name: value for name, value in self._given().items() if value is not None}
        network = {name: given.pop(name) for name in NETWORK_OPTIONS if name in given}
        common = {name: given.pop(name) for name in COMMON_OPTIONS if name in given}
        if self.epochs is not None:
            network["epochs"] = self.epochs
        return AutoencoderRequest(
            type=self.type, network=NetworkRequest(**network), options=given, seed=self.seed, **common
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _list_options() -> set[str]:
    """Return the names of all options that some type has."""
    from advae.models.autoencoders import AUTOENCODERS

    return {*NETWORK_OPTIONS, *COMMON_OPTIONS, *(name for row in AUTOENCODERS.values() for name in row.options)}


def _train(request: AutoencoderRequest, images: GivenImages, labels: Any) -> tuple[Any, Any, Any, Any]:
    """Return recipe, weights and history of the purifier of a request, and the classifier trained with it or None."""
    import numpy as np

    from advae.metrics import digest_samples
    from advae.models.autoencoders import AUTOENCODERS
    from advae.models.classifiers import build_head
    from advae.models.purifiers import Behind, TrainingData, fit_autoencoder, make_autoencoder_recipe, needs_classifier
    from advae.records import Dataset, DatasetRef

    y = np.zeros(len(images.x), np.int64) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    digest = digest_samples(images.x, y)
    # Without labels there are no classes; a reference to images has two at least.
    names = tuple(map(str, range(max(2, int(y.max()) + 1))))
    ref = DatasetRef.make("images", digest, images.shape, names)
    if request.type in AUTOENCODERS and AUTOENCODERS[request.type].needs_protected(request.options):
        raise UsageError(
            f"type {request.type!r} is trained in front of a trained classifier of the registry: "
            f"`advae train-ae --type {request.type} --protect CLF` makes one"
        )
    recipe = make_autoencoder_recipe(request, Dataset(ref, images.x, y, images.x, y))
    if needs_classifier(recipe) and labels is None:
        raise UsageError(f"type {recipe.type!r} is trained with a classifier, which needs labels: fit(x, y)")
    head = build_head(recipe) if needs_classifier(recipe) else None
    data = TrainingData(images.x, y, lambda epoch: None, Behind(head, (head,)) if head else None)
    return recipe, *fit_autoencoder(recipe, data), head
