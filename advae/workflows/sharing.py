"""Hand entries to somebody else, and take theirs: bundles, in files or through pipes."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from advae.atomic_files import write_aside
from advae.errors import UsageError
from advae.records import Manifest
from advae.registry.bundles import Imported, read_bundle, write_bundle
from advae.workflows.workspace import Workspace, check_targets


def export_bundle(workspace: Workspace, ref: str, target: Path | IO[bytes]) -> tuple[Manifest, list[str]]:
    """Write an entry and all that it rests on as a bundle; return its manifest and all ids.

    Raises UsageError for a file that exists, unless the workspace's ``force`` is on, CorruptError where an entry is
    damaged, DiskError, with nothing left behind in a file's place.
    """
    manifest = workspace.registry.resolve(ref)
    if not isinstance(target, Path):
        return manifest, write_bundle(workspace.registry, manifest, target)
    check_targets(workspace, target)
    with write_aside(target) as draft, draft.open("wb") as stream:
        return manifest, write_bundle(workspace.registry, manifest, stream)


def import_bundle(workspace: Workspace, source: Path | IO[bytes]) -> Imported:
    """Publish the entries of a bundle; with the workspace's ``force``, in the place of those that are there.

    Raises UsageError where there is no such file, CorruptError for a bundle that is refused, DiskError.
    """
    if not isinstance(source, Path):
        return read_bundle(workspace.registry, source, replace=workspace.force)
    if not source.exists() or source.is_dir():
        raise UsageError(f"bad FILE {source}: {'it is a folder' if source.exists() else 'there is no such file'}")
    with source.open("rb") as stream:
        return read_bundle(workspace.registry, stream, replace=workspace.force)
