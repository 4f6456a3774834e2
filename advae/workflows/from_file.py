"""``advae attack --from-file``: adversarial examples that were made elsewhere, read and fitted to the test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advae.errors import UsageError
from advae.image_files import open_images, stream_images
from advae.metrics import digest_examples
from advae.records import Dataset, Manifest
from advae.requests import AttackRequest
from advae.sampling import choose_samples

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class FittedExamples:
    """Adversarial examples from a file, one for each attacked image."""

    request: AttackRequest
    """The request to score them."""
    x_adv: FloatArray
    """The examples, float32 (n, d) in [0, 1], in the order of the attacked images."""


def read_examples(
    path: Path, request: AttackRequest, classifier: Manifest, load: Callable[[], Dataset]
) -> FittedExamples:
    """Return the examples of a .npy file for the test images that a request attacks: all, or the first ones.

    load: returns the dataset; called only if the labels decide which images are attacked. Raises DatasetError for a
    file that cannot be read as images, UsageError for another number of them than that of the test images.
    """
    import numpy as np

    stored = open_images(path, classifier.recipe.dataset.shape)
    n, n_test = len(stored), classifier.as_classifier()[1].n_test
    if n > n_test:
        raise UsageError(
            f"{path} has {n} examples, the test set has {n_test} images; give one example for each image, in their "
            "order, or for the first ones"
        )
    rows: slice | IntArray = slice(request.limit)
    if n == n_test:
        limit = request.limit
        if request.sample:
            rows = choose_samples(load().y_test, limit, request.sample)
    elif request.sample and request.limit not in (None, n):
        raise UsageError(
            f"{path} has {n} examples, --limit {request.limit} --sample {request.sample} draws {request.limit} images; "
            f"give one example for each of these, or for all {n_test}"
        )
    else:
        limit = min(request.limit or n, n)
    x_adv = np.concatenate([batch for _, batch in stream_images(stored, path)])[rows]
    changes = {"limit": limit, "examples": digest_examples(x_adv)}
    return FittedExamples(request.model_copy(update=changes), x_adv)
