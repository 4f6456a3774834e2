"""Distinct names of datasets, where a report shows two files of one name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from advae.datasets.table import DATASETS
from advae.errors import printable
from advae.records import DatasetRef, Manifest

Labels = Mapping[str, str]
"""Digest of a dataset -> its name, with what sets it apart from another of the same name."""

DIGITS = 6
"""Shown digits of a digest, enough to distinguish a few datasets."""


def label_datasets(entries: Iterable[Manifest]) -> Labels:
    """Return the name of each dataset, printable: a file's with its folder beside it where another has its name."""
    found: dict[str, dict[str, Manifest]] = {}
    for entry in entries:
        ref = entry.recipe.dataset
        found.setdefault(ref.title, {}).setdefault(ref.digest, entry)
    return {
        digest: printable(label) for name, group in found.items() for digest, label in _tell_apart(name, group).items()
    }


def name_dataset(ref: DatasetRef, labels: Labels) -> str:
    """Return the name of a dataset, its own where it has no label."""
    return labels.get(ref.digest) or _mark_foreign(ref) or printable(ref.title)


def _mark_foreign(ref: DatasetRef) -> str | None:
    """Return the name of a dataset that has a published one's and other images, None where that is not so.

    It is neither compared with the paper nor called by the published name alone.
    """
    row, whole = DATASETS.get(ref.name), ref.whole_digest
    return f"{ref.title} (not as published, {whole[:DIGITS]})" if row and row.digest not in (None, whole) else None


def _tell_apart(name: str, group: Mapping[str, Manifest]) -> dict[str, str]:
    if all(entry.recipe.dataset.name in DATASETS for entry in group.values()):
        return {digest: _mark_foreign(entry.recipe.dataset) or name for digest, entry in group.items()}
    if len(group) == 1:
        return dict.fromkeys(group, name)
    files = {digest: PurePath(one.source) for digest, one in group.items() if one.source}
    folders = [path.parent.name for path in files.values()]
    distinct = len(files) == len(group) and all(folders) and len(set(folders)) == len(folders)
    return {digest: f"{name} ({files[digest].parent.name if distinct else digest[:DIGITS]})" for digest in group}
