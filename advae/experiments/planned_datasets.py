"""The images of a plan's models: one dataset, whole or restricted to some classes, each restriction read once."""

from __future__ import annotations

from advae.datasets.restriction import WantedClasses
from advae.datasets.table import DATASETS, is_npz
from advae.errors import UsageError
from advae.records import Dataset, DatasetRef
from advae.workflows.workspace import Workspace, load_named


class PlannedDatasets:
    """One dataset of a plan, whole and restricted as its models ask for it."""

    def __init__(self, workspace: Workspace, place: str, resize: tuple[int, int] | None) -> None:
        self.place = place
        self._workspace = workspace
        self._resize = None if place in DATASETS or is_npz(place) else resize
        self._by_classes: dict[tuple[str | int, ...] | None, Dataset] = {}
        self._by_digest: dict[str, Dataset] = {}

    def load(self, classes: WantedClasses | None) -> Dataset:
        """Return the dataset restricted to some classes, None for all. Raises as ``load_dataset`` does."""
        key = None if classes is None else tuple(classes)
        if key not in self._by_classes:
            read = load_named(self._workspace, self.place, self._resize, classes)
            # The same classes in another order or spelling are one dataset, kept in memory once.
            self._by_classes[key] = self._by_digest.setdefault(read.ref.digest, read)
        return self._by_classes[key]

    def find(self, ref: DatasetRef) -> Dataset:
        """Return the images of a recipe that was made of one of these datasets, or of an entry that is."""
        return self._by_digest.get(ref.digest) or self.load(ref.kept)


def require_same(mine: DatasetRef, other: DatasetRef, what: str) -> None:
    """Raise UsageError unless two models of a plan are of one dataset. what: the other model, for the error."""
    if mine.key != other.key:
        raise UsageError(f"it is of {mine.title}, {what} of {other.title}: they do not fit; give both the same classes")
