"""The workspace of a workflow, and two steps that all workflows share: load the dataset, find or compute the entry."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from advae.backend import start_tensorflow
from advae.datasets.load import load_dataset
from advae.datasets.ranges import describe_trouble
from advae.datasets.restriction import WantedClasses
from advae.datasets.table import DATASETS
from advae.errors import CorruptError, DatasetError, NotFoundError, UsageError
from advae.models.added.own_function import import_function, names_function
from advae.models.fitting import OnEpoch
from advae.records import Dataset, Manifest, Metrics, Recipe, entry_id
from advae.registry import Registry

if TYPE_CHECKING:
    import numpy as np

DEFAULT_DATASET = "digits"


@dataclass(frozen=True)
class Workspace:
    """The registry and the data folder of a command, and its callbacks for progress."""

    registry: Registry
    """Registry that entries are read from and published to."""
    data_dir: Path | None = None
    """Folder with the files of datasets; None where the user names none."""
    resize: tuple[int, int] | None = None
    """Height and width to which the images of a folder are resized; None where the user names none."""
    classes: WantedClasses | None = None
    """Names or labels of the classes that the dataset is restricted to; None where the user names none."""
    force: bool = False
    """Whether existing entries and files are computed again or replaced."""
    on_epoch: OnEpoch = lambda epoch: None
    """Function that is called after each epoch of a training."""
    on_batch: Callable[[int, int], None] = lambda done, total: None
    """(batches or images done, all of them) -> None; called after each batch."""
    on_time_left: Callable[[str, float], None] | None = None
    """(id of what is made, seconds left) -> None; called before a long attack, and after each of its batches; None: the
    time is not measured."""
    on_stage: Callable[[str], None] = lambda stage: None
    """Function that is called with what begins, such as compiling, before its first epoch or batch is done."""
    on_entry: Callable[[str], None] = lambda title: None
    """Function that is called with a title before each of several entries is made."""
    tell: Callable[[str], None] = lambda line: None
    """Function that shows a line to the user."""


@dataclass(frozen=True)
class Made:
    """An entry that a command returns."""

    manifest: Manifest
    """Manifest of the entry."""
    cached: bool
    """Whether the entry was already in the registry."""


Content = tuple[Metrics, "dict[str, dict[str, np.ndarray[Any, Any]]]"]


def make_entry(
    workspace: Workspace,
    recipe: Recipe,
    compute: Callable[[], Content],
    source: str | None,
    *,
    prepare: Callable[[], None] = lambda: None,
    latest: bool = True,
) -> Made:
    """Return the entry of a recipe, computed where it is missing or ``force`` is on.

    prepare: computes missing entries that it needs. latest: whether ``latest`` names it afterwards; False for entries
    that a command computes only because another one needs them.
    """
    registry = workspace.registry

    def start_and_prepare() -> None:
        _tell_of_dependants(workspace, entry_id(recipe))
        workspace.on_stage("loading TensorFlow")
        start_tensorflow(registry.folders.tmp)
        prepare()

    def start_and_compute() -> Content:
        # Compilation and the first of them are one call.
        workspace.on_stage("compiling, epoch 1" if recipe.kind in ("ae", "clf") else "compiling, first batch")
        return compute()

    manifest, cached = registry.obtain(
        recipe,
        start_and_compute,
        prepare=start_and_prepare,
        source=source,
        force=workspace.force,
        latest=latest,
        tell=workspace.tell,
    )
    return Made(manifest, cached)


def _tell_of_dependants(workspace: Workspace, id_: str) -> None:
    """Tell the user which entries were computed from one that is about to be replaced; they are not changed."""
    if not workspace.force:
        return
    dependants = [entry.id for entry in workspace.registry.list_summaries()[0] if id_ in entry.parents]
    if dependants:
        workspace.tell(
            f"{id_} is computed again; {', '.join(dependants)} depend on the old one, --force computes them again, too"
        )


def resolve_model(workspace: Workspace, ref: str, kind: Literal["ae", "clf"]) -> Manifest:
    """Return the entry that a reference names; ``module:function`` imports it, and names what was added last of it.

    Raises NotFoundError; UsageError where the function cannot be imported.
    """
    if not names_function(ref):
        return workspace.registry.resolve(ref, kind)
    import_function(ref)
    for manifest in workspace.registry.entries(kind):
        if manifest.added and manifest.added.function == ref and not manifest.parents:
            return manifest
    raise NotFoundError(
        f"{ref} was not added to {workspace.registry.home}; `advae add-{kind} {ref} --dataset D` adds it"
    )


def refuse_inside(workspace: Workspace, target: Path, what: str = "FILE") -> None:
    """Raise UsageError for a target inside the registry's folder, also through a link."""
    # Unlike Path.resolve, realpath accepts a link to itself.
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(workspace.registry.home)):
        raise UsageError(f"bad {what} {target}: it is in the registry's folder; write it elsewhere")


def check_targets(workspace: Workspace, *targets: Path) -> None:
    """Raise UsageError for a target inside the registry, and for an existing file unless ``force`` is on."""
    for target in targets:
        refuse_inside(workspace, target)
        # The writer refuses targets that are no files, such as folders and devices.
        if target.is_file() and not workspace.force:
            raise UsageError(f"bad FILE {target}: it exists already; name another file, or replace it with --force")


def identify_dataset(name: str, data_dir: Path | None, resize: tuple[int, int] | None = None) -> str:
    """Return the key of a dataset in entries: the name of a published dataset, the digest of a user's own.

    Raises UsageError and DatasetError as ``load_dataset`` does.
    """
    published = name in DATASETS and not resize
    return name if published else load_dataset(name, data_dir=data_dir, resize=resize).ref.digest


def load_named(
    workspace: Workspace,
    name: str,
    resize: tuple[int, int] | None = None,
    classes: WantedClasses | None = None,
) -> Dataset:
    """Return a dataset. Warn the user where it differs from the published one, or its pixels do not span [0, 1].

    resize, classes: height and width, and the classes that it is restricted to, where the user gives none.
    """
    workspace.on_stage(f"reading {name}")
    wanted = classes if workspace.classes is None else workspace.classes
    dataset = load_dataset(name, data_dir=workspace.data_dir, resize=workspace.resize or resize, classes=wanted)
    row, counts = DATASETS.get(name), (len(dataset.x_train), len(dataset.x_test))
    # No digest of CIFAR-10 is published; ``advae data verify`` compares its files.
    known = row and row.digest is None and (dataset.ref.kept is not None or counts == row.counts)
    published = known or (row and row.digest == dataset.ref.whole_digest)
    if row and not published:
        where, held = dataset.source or "the bundled copy", f"{counts[0]} training and {counts[1]} test images"
        workspace.tell(f"{where} is not the published {name}: it contains {held}")
    if not published:
        trouble = describe_trouble(dataset)
        if trouble:
            workspace.tell(trouble)
    return dataset


def load_dataset_of(workspace: Workspace, parent: Manifest | None, name: str | None) -> Dataset:
    """Return the dataset of a parent entry, whose digest is checked; without a parent, the dataset ``name``.

    Raises UsageError where ``name`` is another dataset than the parent's, DatasetError where its arrays are not found.
    """
    if parent is None:
        return load_named(workspace, name or DEFAULT_DATASET)
    ref = parent.recipe.dataset
    if workspace.resize not in (None, ref.resize):
        made = f"with --resize {ref.resize[0]},{ref.resize[1]}" if ref.resize else "without --resize"
        raise UsageError(f"{parent.id} was made {made}; leave --resize out")
    if name in DATASETS and name != ref.name:
        raise UsageError(f"{parent.id} was made from dataset {ref.title!r}, not {name!r}")
    if not name:
        return _load_recorded(workspace, parent)
    dataset = _load_same(workspace, parent, name)
    if dataset.ref.digest != ref.digest:
        raise UsageError(f"{parent.id} was made from dataset {ref.title!r}, and {name!r} contains other images")
    return dataset


def _load_same(workspace: Workspace, parent: Manifest, name: str) -> Dataset:
    """Return a dataset with the resizing and the classes of an entry's.

    Raises UsageError where the user names other classes; CorruptError where the entry keeps a class that the dataset
    does not have.
    """
    ref = parent.recipe.dataset
    unrestricted = replace(workspace, classes=None)
    if workspace.classes is not None:
        asked = load_named(workspace, name, ref.resize)
        if asked.ref.kept != ref.kept:
            made = f"with --classes {ref.classes_option}" if ref.kept else "without --classes"
            raise UsageError(f"{parent.id} was made {made}; leave --classes out")
        return asked
    if ref.kept is None:
        return load_named(unrestricted, name, ref.resize)
    try:
        return load_named(unrestricted, name, ref.resize, ref.kept)
    except UsageError as error:
        if ref.name in DATASETS:
            raise CorruptError(f"{parent.id}: its recipe keeps classes that {name} does not have ({error})") from None
        raise DatasetError(f"{name} no longer has the classes that {parent.id} was made from ({error})") from None


def _load_recorded(workspace: Workspace, parent: Manifest) -> Dataset:
    """Return the dataset that an entry was made from, read from the recorded place. Raises DatasetError."""
    ref = parent.recipe.dataset
    own = ref.name not in DATASETS
    option = "--dataset DIR" if ref.name.endswith("/") else "--dataset PATH.npz"
    place, hint = (parent.source, f"; if it has moved, pass {option}") if own else (ref.name, "")
    if place is None:
        raise DatasetError(f"{parent.id} does not say where dataset {ref.name!r} is; pass {option}")
    try:
        dataset = _load_same(workspace, parent, place)
    except DatasetError as error:
        raise DatasetError(f"{error}{hint}") from error
    if dataset.ref.digest != ref.digest:
        where = dataset.source or place
        raise DatasetError(f"{where} no longer contains the images that {parent.id} was made from{hint}")
    return dataset
