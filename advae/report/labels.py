"""Names of datasets that tell two of them apart, where a report shows two files of one name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from advae.errors import printable
from advae.records import DatasetRef, Manifest

Labels = Mapping[str, str]
"""Digest of a dataset -> its name, with what sets it apart from another of the same name."""

DIGITS = 6
"""Of a digest, enough to tell a few datasets apart."""


def label_datasets(entries: Iterable[Manifest]) -> Labels:
    """Return the name of each dataset, printable: a file's with its folder beside it where another has its name."""
    found: dict[str, dict[str, Manifest]] = {}
    for entry in entries:
        ref = entry.recipe.dataset
        found.setdefault(ref.name, {}).setdefault(ref.digest, entry)
    return {
        digest: printable(label) for name, group in found.items() for digest, label in _tell_apart(name, group).items()
    }


def name_dataset(ref: DatasetRef, labels: Labels) -> str:
    """Return the name of a dataset, its own where it has no label."""
    return labels.get(ref.digest) or printable(ref.name)


def _tell_apart(name: str, group: Mapping[str, Manifest]) -> dict[str, str]:
    if len(group) == 1:
        return dict.fromkeys(group, name)
    files = {
        digest: PurePath(one.source) for digest, one in group.items() if one.source and one.source.endswith(".npz")
    }
    folders = [path.parent.name for path in files.values()]
    distinct = all(folders) and len(set(folders)) == len(folders)
    marks = {digest: files[digest].parent.name if distinct else digest[:DIGITS] for digest in files}
    published = [digest for digest in group if digest not in files]
    if len(published) > 1:
        marks |= {digest: digest[:DIGITS] for digest in published}
    return {digest: f"{name} ({marks[digest]})" if digest in marks else name for digest in group}
