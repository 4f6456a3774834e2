"""``advae purify`` and ``predict``: apply a trained purifier or pipeline to a .npy file of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae import image_files, metrics
from advae.backend import start_tensorflow
from advae.batching import compile_batched
from advae.datasets.ranges import describe_dark
from advae.errors import CorruptError, UsageError
from advae.evaluation.pipelines import load_pipeline, load_purifier
from advae.records import Manifest
from advae.workflows.workspace import Workspace, refuse_inside, resolve_model

if TYPE_CHECKING:
    import numpy as np

    from advae.records import FloatArray, IntArray


def purify_images(workspace: Workspace, ae_ref: str, source: Path, target: Path) -> tuple[Manifest, int]:
    """Write the purified images of a .npy file to another, float32 of the same shape; return purifier and count.

    Raises UsageError where both are one file, unless the workspace's ``force`` is on, and for a target in the registry;
    CorruptError where the purifier makes values that are not finite. Nothing is written then.
    """
    import numpy as np

    manifest = resolve_model(workspace, ae_ref, "ae")
    stored = image_files.open_images(source, manifest.recipe.dataset.shape)
    refuse_inside(workspace, target)
    if target.exists() and target.samefile(source) and not workspace.force:
        raise UsageError(f"bad OUT {target}: it is the file of the images to purify; name another, or use --force")
    start_tensorflow(workspace.registry.folders.tmp)
    purifier = compile_batched(load_purifier(workspace.registry, manifest))
    with image_files.write_images(target, stored.shape) as write:
        for rows, x in _stream(workspace, stored, source):
            purified = purifier(x, draw=rows.start)
            if not np.isfinite(purified).all():
                raise CorruptError(
                    f"{manifest.id} turns images {rows.start} to {rows.stop - 1} of {source} into values that are not "
                    f"finite; nothing is written; `advae registry verify {manifest.id}` checks its weights"
                )
            write(purified)
            workspace.on_batch(rows.stop, len(stored))
    return manifest, len(stored)


@dataclass(frozen=True)
class Prediction:
    """A batch of predictions."""

    labels: IntArray
    """Predicted classes, int64 (n,)."""
    probabilities: FloatArray
    """Softmax of the logits, float32 (n, classes); NaN where the pipeline overflowed."""


def predict_images(workspace: Workspace, clf_ref: str, source: Path) -> tuple[Manifest, Iterator[Prediction]]:
    """Return the classifier and a stream of its predictions for the images of a .npy file, purifier included.

    After the last prediction a line tells the user for how many images the pipeline overflowed.
    """
    manifest = resolve_model(workspace, clf_ref, "clf")
    stored = image_files.open_images(source, manifest.recipe.dataset.shape)
    image_files.check_images(stored, source)
    start_tensorflow(workspace.registry.folders.tmp)
    defend = compile_batched(load_pipeline(workspace.registry, manifest).defend)

    def stream() -> Iterator[Prediction]:
        import numpy as np
        import tensorflow as tf

        overflown = 0
        for rows, x in _stream(workspace, stored, source):
            logits = defend(x, draw=rows.start)
            workspace.on_batch(rows.stop, len(stored))
            probabilities = tf.nn.softmax(logits).numpy()
            overflown += int((~np.isfinite(probabilities)).any(axis=1).sum())
            yield Prediction(metrics.decide(logits), probabilities)
        if overflown:
            workspace.tell(
                f"{manifest.id} overflows on {overflown} of {len(stored)} images: their probabilities are null, and "
                "their labels are not reliable"
            )

    return manifest, stream()


def _stream(workspace: Workspace, stored: np.ndarray[Any, Any], source: Path) -> Iterator[tuple[slice, FloatArray]]:
    """Yield images as ``stream_images`` does; after the last, warn the user if they are nearly one grey."""
    low, high = 1.0, 0.0
    for rows, x in image_files.stream_images(stored, source):
        low, high = min(low, float(x.min())), max(high, float(x.max()))
        yield rows, x
    if trouble := describe_dark(str(source), (low, high)):
        workspace.tell(trouble)
