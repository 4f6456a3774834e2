"""Export of entries for Keras, scikit-learn and numpy, in files that are never read back; bundles both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from advae.atomic_files import write_aside
from advae.backend import start_tensorflow
from advae.checks import NOT_VALID
from advae.errors import UsageError
from advae.evaluation.pipelines import find_purifier, load_classifier, load_purifier, load_view, read_weights
from advae.models import purifiers
from advae.models.classifiers import CLASSIFIERS
from advae.records import ADVERSARIAL, AutoencoderMetrics, Manifest
from advae.registry.bundles import Imported, read_bundle, write_bundle
from advae.threats import THREATS, follow_identity
from advae.workflows.workspace import Workspace, check_targets

if TYPE_CHECKING:
    from advae.models.contracts import Purifier
    from advae.registry import Registry

KERAS, JOBLIB, NPY = "keras", "joblib", "npy"
"""The formats: values of ``--format`` and suffixes of files."""


@dataclass(frozen=True)
class Exported:
    """An entry that was written to a file, and the differences between the two."""

    manifest: Manifest
    """Manifest of the entry."""
    by_mean: bool = False
    """Whether the file contains the mean of a random purifier instead of its samples."""
    left_out: str | None = None
    """Id of the entry's purifier where the file does not contain it and takes purified images; else None."""
    backward: Literal["exact", "identity"] = "exact"
    """exact: gradients through the file are exact; identity: the derivative of the purifier is replaced by the
    identity's (BPDA)."""
    notes: tuple[str, ...] = ()
    """One line on each difference."""


# ---------------------------------------------------------------- Keras

KERAS_LAYERS = ("keras", "onnx", "sklearn")
"""The formats of added models that are computed by layers and operations of Keras."""

OWN_FILE = "use the file that it was added from"
"""What to do where an added model cannot be exported."""


def export_keras(workspace: Workspace, ref: str, path: Path) -> Exported:
    """Write an autoencoder, or a classifier behind its purifier, as a Keras model that does not need this package.

    Images float32 (n, height, width, channels) in [0, 1] -> logits (n, classes), or purified images of the same shape.
    Raises UsageError for a run, or a path that Keras would not read or that exists; CorruptError; DiskError, after
    which no partial file remains.
    """
    if not path.name.endswith(f".{KERAS}"):
        raise UsageError(f"bad FILE {path}: Keras reads a model only from a name that ends in .{KERAS}")
    manifest = workspace.registry.resolve(ref)
    if manifest.kind not in ("ae", "clf"):
        raise UsageError(f"{manifest.id} is a {manifest.kind}; --format {KERAS} takes an autoencoder or a classifier")
    check_targets(workspace, path)
    start_tensorflow(workspace.registry.folders.tmp)
    model, purifier = _build_model(workspace.registry, manifest)
    with write_aside(path) as draft:
        model.save(draft)
    by_mean, exact = purifier is not None and purifier.samples, purifier is None or purifier.differentiable
    return Exported(
        manifest,
        by_mean=by_mean,
        backward="exact" if exact else "identity",
        notes=tuple(_describe_model(manifest, by_mean=by_mean, exact=exact)),
    )


def _build_model(registry: Registry, manifest: Manifest) -> tuple[Any, Purifier | None]:
    """Return the Keras model of an entry, and its purifier.

    It is built by calling the evaluation's functions on a ``keras.Input``, so that the exported pipeline and its
    gradients are the same as those that are attacked here.
    """
    import keras

    shape = manifest.recipe.dataset.shape
    source = manifest if manifest.kind == "ae" else find_purifier(registry, manifest)
    for one in filter(None, (source, manifest)):
        added = one.added
        if added and added.function:
            raise UsageError(f"{one.id} is the function {added.function} of your own code, which no file can hold")
        if added and added.format not in KERAS_LAYERS:
            raise UsageError(f"{one.id} was added and gives scores only, for which Keras has no layers; {OWN_FILE}")
    purifier = _load_front(registry, source, manifest) if source else None
    # Only then, because the recipe might be a forged one.
    if source and purifiers.is_outside_graph(source.as_autoencoder()[0]):
        raise UsageError(
            f"{source.id} is of type {source.as_autoencoder()[0].type}, which another library computes: Keras has no "
            "layers for it, so that no .keras file can hold it"
        )
    images = keras.Input(tuple(shape), dtype="float32", name="images")
    x = keras.layers.Reshape((shape.size,))(images)
    if purifier:
        purified = purifier.mean(x)
        x = purified if purifier.differentiable else follow_identity(x, purified)
    outputs = keras.layers.Reshape(tuple(shape))(x) if source is manifest else load_classifier(registry, manifest)(x)
    return keras.Model(images, outputs, name=manifest.id), purifier


def _load_front(registry: Registry, source: Manifest, manifest: Manifest) -> Purifier:
    """Return what stands in front of a model's output: the purifier, or the encoder of a classifier of its code."""
    if manifest.kind == "clf":
        return load_view(registry, source, manifest.as_classifier()[0])
    return load_purifier(registry, source)


def _describe_model(manifest: Manifest, *, by_mean: bool, exact: bool) -> Iterator[str]:
    """Yield a line on each difference between a Keras file and the pipeline that users may expect."""
    if by_mean:
        yield "its purifier samples; the file holds its mean instead, which is easier to attack"
    if not exact:
        yield (
            "its purifier has no derivative; gradients through the file are those of the identity in its place (BPDA), "
            "as for `advae attack`"
        )
    found = manifest.metrics
    if isinstance(found, AutoencoderMetrics) and not found.unit_range:
        low, high = found.output_range
        yield f"its output is not rescaled to an image: of the training images it is from {low:.3g} to {high:.3g}"


# ---------------------------------------------------------------- scikit-learn


def export_joblib(workspace: Workspace, ref: str, path: Path) -> Exported:
    """Write the fitted scikit-learn LogisticRegression of an ``lr`` classifier, without its purifier.

    It takes float (n, d), purified images where the classifier has a purifier. Raises UsageError for any
    other entry; CorruptError; DiskError, after which no partial file remains.
    """
    manifest = workspace.registry.resolve(ref)
    if manifest.added:
        raise UsageError(
            f"{manifest.id} was added, and --format {JOBLIB} takes an lr classifier that was trained here; {OWN_FILE}"
        )
    kind = CLASSIFIERS.get(manifest.as_classifier()[0].model) if manifest.kind == "clf" else None
    if kind is None or kind.rebuild is None:
        raise UsageError(
            f"{manifest.id} is not an lr classifier, which --format {JOBLIB} needs; --format {KERAS} takes any "
            "classifier or autoencoder"
        )
    check_targets(workspace, path)
    from joblib import dump

    recipe, metrics = manifest.as_classifier()
    model = kind.rebuild(recipe, read_weights(workspace.registry, manifest, recipe), metrics.iterations)
    with write_aside(path) as draft:
        dump(model, draft)
    alone = f"the classifier alone; it expects images purified by {recipe.autoencoder}"
    return Exported(manifest, left_out=recipe.autoencoder, notes=(alone,) if recipe.autoencoder else ())


# ---------------------------------------------------------------- numpy


def export_npy(workspace: Workspace, ref: str, path: Path) -> Exported:
    """Write the adversarial examples of a run that stored them, as float32 .npy, with ids, labels and predictions.

    FILE.npy: (n, h, w), colour ones (n, h, w, 3), of a run at several eps (eps, n, ...); FILE-ids.npy and
    FILE-labels.npy, int64 (n,); FILE-predictions.npy, int64 (n,) or (eps, n), of the whole pipeline. Raises UsageError
    for any other entry; CorruptError; DiskError.
    """
    if not path.name.endswith(f".{NPY}"):
        raise UsageError(f"bad FILE {path}: a file of a numpy array has a name that ends in .{NPY}")
    manifest = workspace.registry.resolve(ref)
    if ADVERSARIAL not in manifest.artifacts:
        raise UsageError(
            f"{manifest.id} holds no adversarial examples; `advae attack ... --save-adversarial` makes a run that does"
        )
    import numpy as np

    parts = {name: path.with_name(f"{path.stem}{name}.{NPY}") for name in ("-ids", "-labels", "-predictions", "")}
    check_targets(workspace, *parts.values())
    arrays, shape = workspace.registry.read_arrays(manifest, ADVERSARIAL), manifest.recipe.dataset.shape
    images = arrays["x_adv"].astype(np.float32).reshape(*arrays["x_adv"].shape[:2], *shape.stored)
    alone = len(images) == 1
    # The images are written last, so that where they exist the other files do, too.
    for name, array in (
        ("-ids", arrays["ids"]),
        ("-labels", arrays["labels"]),
        ("-predictions", arrays["predictions"][0] if alone else arrays["predictions"]),
        ("", images[0] if alone else images),
    ):
        with write_aside(parts[name]) as draft, draft.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
    return Exported(manifest, notes=tuple(_describe_images(manifest)))


def _describe_images(manifest: Manifest) -> Iterator[str]:
    """Yield a line on each difference between the stored data of a run and valid adversarial examples."""
    recipe, metrics = manifest.as_run()
    if recipe.threat in THREATS and not THREATS[recipe.threat].on_input:
        yield "this is purified data, attacked behind the purifier; pass it to the classifier without its purifier"
    if not recipe.clip:
        yield f"{NOT_VALID}; neither projected nor clipped"
    if metrics.stochastic:
        yield "the purifier samples; the stored predictions are of one draw, and others may differ"


# ---------------------------------------------------------------- the table

EXPORTS: dict[str, Callable[[Workspace, str, Path], Exported]] = {
    KERAS: export_keras,
    JOBLIB: export_joblib,
    NPY: export_npy,
}


# ---------------------------------------------------------------- bundles


def export_bundle(workspace: Workspace, ref: str, target: Path | IO[bytes]) -> tuple[Manifest, list[str]]:
    """Write an entry with its whole lineage as a bundle; return its manifest and all ids.

    Raises UsageError for a file that exists, unless the workspace's ``force`` is on, CorruptError where an entry is
    damaged, DiskError, with no partial file.
    """
    manifest = workspace.registry.resolve(ref)
    for one in (*workspace.registry.ancestors(manifest), manifest):
        added = one.added
        if added and added.function:
            raise UsageError(f"{one.id} is the function {added.function} of your own code, which no bundle can hold")
    if not isinstance(target, Path):
        return manifest, write_bundle(workspace.registry, manifest, target)
    check_targets(workspace, target)
    with write_aside(target) as draft, draft.open("wb") as stream:
        return manifest, write_bundle(workspace.registry, manifest, stream)


def import_bundle(workspace: Workspace, source: Path | IO[bytes]) -> Imported:
    """Publish the entries of a bundle; with the workspace's ``force`` they replace those that exist.

    Raises UsageError where there is no such file, CorruptError for a damaged bundle, DiskError.
    """
    if not isinstance(source, Path):
        return read_bundle(workspace.registry, source, replace=workspace.force)
    if not source.exists() or source.is_dir():
        raise UsageError(f"bad FILE {source}: {'it is a folder' if source.exists() else 'there is no such file'}")
    with source.open("rb") as stream:
        return read_bundle(workspace.registry, stream, replace=workspace.force)
