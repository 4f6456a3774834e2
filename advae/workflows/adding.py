"""``advae add-clf`` and ``add-ae``: publish a model that another program trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from advae.backend import start_tensorflow
from advae.errors import UsageError
from advae.models import classifiers, purifiers
from advae.models.added.checks_at_adding import check_added, describe_check
from advae.models.added.detect import detect_format, read_model_file
from advae.models.added.foreign import ForeignModel
from advae.models.added.input_layout import make_input
from advae.models.added.own_function import names_function, read_function
from advae.models.added.probing import Interpretation, Probe, interpret_classifier, interpret_purifier
from advae.models.added.score_process import measure_disagreement
from advae.models.added.stored import open_model, open_process, pack_model
from advae.paths import to_path
from advae.records import AutoencoderRecipe, ClassifierRecipe
from advae.requests import AddRequest
from advae.workflows.training import make_classifier, measure_purifier
from advae.workflows.workspace import Made, Workspace, load_named, make_entry

if TYPE_CHECKING:
    from advae.records import AddedOptions, CheckResult, Dataset

LABELLED = 1000
"""Test images whose labels are compared with the largest scores."""

FEW = 0.01
"""Share of them for which the two may differ without a warning."""

ADDED_RECIPE_REV = 1
"""Raised when the same file and the same options would give another model."""


def add_classifier(workspace: Workspace, source: str, dataset_name: str, request: AddRequest) -> Made:
    """Return the entry of a classifier: of a .keras, .skops or .onnx file, by its content, or of ``module:function``.

    Raises UsageError where it does not fit the dataset, CorruptError for a file that is refused.
    """
    model, dataset, found = _read(workspace, source, dataset_name, request, interpret_classifier)
    recipe = ClassifierRecipe(
        model=_name_library(model),
        dataset=dataset.ref,
        autoencoder=None,
        options=found.options,
        seed=0,
        recipe_rev=ADDED_RECIPE_REV,
    )
    fitted = classifiers.FittedClassifier(pack_model(model))

    def check_model(classifier: classifiers.Classifier, dataset: Dataset) -> tuple[CheckResult, ...]:
        asked = [] if model.file is None else [_check_labels(model, found.options, dataset)]
        return (*check_added(classifier, dataset), *asked)

    made = make_classifier(workspace, recipe, dataset, fitted=fitted, check=check_model)
    for check in made.manifest.as_classifier()[1].checks or ():
        if check.status in ("WARN", "FAIL"):
            workspace.tell(f"{made.manifest.id}: {check.status}, {check.check}: {check.sentence}")
    return made


def _check_labels(model: ForeignModel, options: AddedOptions, dataset: Dataset) -> CheckResult:
    """Compare the model's own labels of test images with its largest scores; the labels are what counts."""
    images = make_input(options, dataset.ref.shape)(dataset.x_test[:LABELLED]).numpy()
    share = measure_disagreement(open_process(model.format, pack_model(model)), images.reshape(len(images), -1))
    sentence = f"the model's largest score is not its own label for {100 * share:.1f} % of {len(images)} test images"
    return describe_check(
        "labels", "PASS" if share <= FEW else "WARN", f"{sentence}; its labels are what is attacked", share
    )


def add_purifier(workspace: Workspace, source: str, dataset_name: str, request: AddRequest) -> Made:
    """Return the entry of a purifier, images to images, likewise. Raises as ``add_classifier`` does."""
    if request.outputs:
        raise UsageError("--outputs is for classifiers; a purifier returns images")
    model, dataset, found = _read(workspace, source, dataset_name, request, interpret_purifier, cut=False)
    recipe = AutoencoderRecipe(
        type=_name_library(model),
        dataset=dataset.ref,
        network=None,
        loss=None,
        rescale="none",
        options={},
        seed=0,
        recipe_rev=ADDED_RECIPE_REV,
        added=found.options,
    )
    arrays = pack_model(model)
    return make_entry(
        workspace,
        recipe,
        lambda: measure_purifier(purifiers.restore_purifier(recipe, arrays), arrays, dataset),
        dataset.source,
    )


def _read(
    workspace: Workspace,
    source: str,
    dataset_name: str,
    request: AddRequest,
    interpret: Callable[[Probe], Interpretation],
    *,
    cut: bool = True,
) -> tuple[ForeignModel, Dataset, Interpretation]:
    """Return the model of a file, the dataset, and how images are given to it, which is told."""
    dataset = load_named(workspace, dataset_name)
    _require_channels(request, dataset)
    start_tensorflow(workspace.registry.folders.tmp)
    if names_function(source):
        model = read_function(source, dataset.ref.shape)
    else:
        model = _read_foreign(to_path(source), request, cut=cut)
    run = open_model(model.format, pack_model(model))
    found = interpret(Probe(model, run, request, dataset, _find_order(model, dataset) if cut else None))
    for line in found.told:
        workspace.tell(line)
    return model, dataset, found


def _read_foreign(path: Path, request: AddRequest, *, cut: bool) -> ForeignModel:
    """Return the model of a file by its content."""
    content = read_model_file(path)
    found = detect_format(content, path)
    if request.trust and found != "skops":
        raise UsageError("--trust is for .skops files, whose types can be trusted one by one")
    if found == "keras":
        from advae.models.added.keras_reader import read_keras

        return read_keras(content, path, cut=cut)
    if found == "skops":
        from advae.models.added.skops_reader import read_skops

        return read_skops(content, path, trust=request.trust)
    from advae.models.added.onnx_reader import read_onnx

    return read_onnx(content, path, cut=cut)


def _name_library(model: ForeignModel) -> str:
    return model.format.removesuffix("-scores")


def _require_channels(request: AddRequest, dataset: Dataset) -> None:
    """Raise UsageError for a mean or a deviation of another number of channels."""
    channels = dataset.ref.shape.channels
    for name, values in (("mean", request.mean), ("std", request.std)):
        if values and len(values) not in (1, channels):
            raise UsageError(f"bad --{name}: {len(values)} numbers, expected 1 or one for each of {channels} channels")


def _find_order(model: ForeignModel, dataset: Dataset) -> tuple[int, ...] | None:
    """Return for each label the model's own number of its class, None where they are equal. Raises UsageError."""
    classes, names = model.graph.get("classes"), dataset.ref.classes
    if not classes or list(classes) == list(range(len(names))):
        return None
    if len(classes) == len(names) and set(map(str, classes)) == set(names):
        places = [str(name) for name in classes]
        order = tuple(places.index(name) for name in names)
        return None if order == tuple(range(len(names))) else order
    shown = ", ".join(map(str, classes[:4])) + (", ..." if len(classes) > 4 else "")
    hint = "; it was trained on labels from 1: subtract 1, train it again" if classes[0] == 1 else ""
    raise UsageError(f"the model's classes are {shown}; the dataset's are 0 to {len(names) - 1}{hint}")
