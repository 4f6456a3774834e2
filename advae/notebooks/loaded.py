"""Trained pipelines and purifiers of a registry, as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from advae.batching import compile_batched
from advae.errors import CorruptError, UsageError
from advae.metrics import decide
from advae.notebooks.image_arrays import read_images

if TYPE_CHECKING:
    from advae.models.contracts import Purifier
    from advae.records import FloatArray, ImageShape, IntArray, Manifest
    from advae.registry import Registry
    from advae.threats import Pipeline


@dataclass(frozen=True, eq=False, repr=False)
class LoadedEntry:
    """An entry of a registry, with the images that it takes."""

    manifest: Manifest
    """Manifest of the entry; of a pipeline that of its classifier, or of the purifier that was loaded alone."""

    @property
    def id(self) -> str:
        """Id of the entry."""
        return self.manifest.id

    @property
    def shape(self) -> ImageShape:
        """Height, width and channels of an image."""
        return self.manifest.recipe.dataset.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label, from label 0 on."""
        return self.manifest.recipe.dataset.classes


@dataclass(frozen=True, eq=False, repr=False)
class LoadedPurifier(LoadedEntry):
    """A purifier of a registry: an autoencoder, a baseline or an added model.

    >>> import advae
    >>> from sklearn.datasets import load_digits
    >>> x = load_digits().images / 16
    >>> purifier = advae.open_registry().load("autoencoder")
    >>> purifier.purify(x[:3]).shape
    (3, 8, 8)
    """

    function: Purifier
    """The purifier as a function of tensors."""

    def __repr__(self) -> str:
        return f"LoadedPurifier({self.id}, {self.manifest.as_autoencoder()[0].type}, images of {self.shape} pixels)"

    @cached_property
    def _run(self) -> Callable[..., FloatArray]:
        return compile_batched(self.function)

    def purify(self, x: Any) -> FloatArray:
        """Return the purified images, float32, in the shape of x.

        x: (n, h, w), (n, h, w, c) or (n, d), float in [0, 1] or uint8 from 0 to 255. Raises DatasetError for another
        shape or range, CorruptError where the purifier makes values that are not finite.
        """
        import numpy as np

        images = read_images(x, self.shape)
        purified = self._run(images.x)
        if not np.isfinite(purified).all():
            raise CorruptError(f"{self.id} makes values that are not finite; `advae registry verify {self.id}`")
        return purified.reshape(images.given)


@dataclass(frozen=True, eq=False, repr=False)
class LoadedPipeline(LoadedEntry):
    """A classifier of a registry, behind its purifier where it has one; or a purifier alone, which only purifies.

    >>> import advae
    >>> from sklearn.datasets import load_digits
    >>> x = load_digits().images / 16
    >>> pipeline = advae.open_registry().load("best")
    >>> pipeline.predict(x[:5]).shape, pipeline.predict_proba(x[:5]).shape
    ((5,), (5, 10))
    """

    registry: Registry
    """The registry that it was loaded from."""
    purifier: LoadedPurifier | None
    """The purifier in front of it; None for an undefended classifier."""
    function: Pipeline | None
    """The pipeline as functions of tensors; None for a purifier alone."""

    def __repr__(self) -> str:
        if self.function is None:
            return f"LoadedPipeline({self.id}, a purifier alone, images of {self.shape} pixels)"
        on_code = self.manifest.as_classifier()[0].code is not None
        behind = f" {'on the code of' if on_code else 'behind'} {self.purifier.id}" if self.purifier else ""
        return f"LoadedPipeline({self.id}{behind}, images of {self.shape} pixels, {len(self.classes)} classes)"

    @cached_property
    def _run(self) -> Callable[..., FloatArray]:
        return compile_batched(self.require().defend)

    def require(self) -> Pipeline:
        """Return the pipeline as functions of tensors. Raises UsageError for a purifier alone."""
        if self.function is None:
            raise UsageError(f"{self.id} is a purifier, which only purifies; load a classifier: a clf- id or its tag")
        return self.function

    def logits(self, x: Any) -> FloatArray:
        """Return the logits of the whole pipeline, float32 (n, classes).

        x: (n, h, w), (n, h, w, c) or (n, d), float in [0, 1] or uint8 from 0 to 255. Raises DatasetError for another
        shape or range, UsageError for a purifier alone.
        """
        return self._run(read_images(x, self.shape).x)

    def predict(self, x: Any) -> IntArray:
        """Return the predicted labels, int64 (n,). x: as for ``logits``."""
        return decide(self.logits(x))

    def predict_proba(self, x: Any) -> FloatArray:
        """Return the softmax of the logits, float32 (n, classes). x: as for ``logits``."""
        import tensorflow as tf

        found: FloatArray = tf.nn.softmax(self.logits(x)).numpy()
        return found

    def purify(self, x: Any) -> FloatArray:
        """Return the purified images, float32, in the shape of x, as ``LoadedPurifier.purify`` does.

        Raises UsageError for an undefended classifier.
        """
        if self.purifier is None:
            raise UsageError(f"{self.id} has no purifier; `advae train-clf --ae REF` trains a classifier behind one")
        return self.purifier.purify(x)
