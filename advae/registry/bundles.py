"""Bundles: an entry and all that it depends on in one tar, for other people; read as a stream of untrusted bytes.

Members are plain files of flat names, ``<id>.manifest.json`` followed by ``<id>.<artifact>``, ancestors first.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from advae.arrayfiles import DAMAGED, check_stored_arrays, explain
from advae.errors import CorruptError, NotFoundError, UsageError
from advae.registry.bundle_members import BLOCK, MAX_MEMBERS, MAX_TOTAL, MemberReader, open_members
from advae.registry.folders import MANIFEST
from advae.registry.manifest_files import add_import_mark, decode, list_needed, remove_import_mark
from advae.registry.store import Registry
from advae.registry.synced_files import write_synced

if TYPE_CHECKING:
    from advae.records import Artifact, Manifest

MAX_BUNDLED_MANIFEST = 1 << 22
"""Bytes of a manifest in a bundle: 4 MiB hold the loss of 80,000 epochs."""

REFUSED = (ValueError, EOFError, zlib.error, tarfile.HeaderError)
"""What reading a malicious bundle raises, besides errors of the disk."""

# ---------------------------------------------------------------- writing


def write_bundle(registry: Registry, manifest: Manifest, stream: IO[bytes]) -> list[str]:
    """Write an entry and its ancestors as a tar and return their ids, the entry's last.

    Equal entries give equal bytes. Raises, before a byte is written, UsageError where they exceed the limits of
    ``read_bundle``, and CorruptError where one of them is damaged.
    """
    entries = [*registry.ancestors(manifest), manifest]
    for entry in entries:
        registry.check(entry)
    _require_importable(registry, entries)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for entry in entries:
            folder = registry.folders.entries / entry.id
            # The time of import is a fact of this registry only.
            manifest_bytes = remove_import_mark((folder / MANIFEST).read_bytes())
            _add_member(archive, f"{entry.id}.{MANIFEST}", len(manifest_bytes), io.BytesIO(manifest_bytes))
            for name in sorted(entry.artifacts):
                with (folder / name).open("rb") as content:
                    _add_member(archive, f"{entry.id}.{name}", os.fstat(content.fileno()).st_size, content)
    return [entry.id for entry in entries]


def _require_importable(registry: Registry, entries: list[Manifest]) -> None:
    """Raise UsageError for entries that exceed the limits of an import."""
    files = sum(1 + len(entry.artifacts) for entry in entries)
    manifests = [(registry.folders.entries / entry.id / MANIFEST).stat().st_size for entry in entries]
    # A member has a header, and fills its last block; so does the tar.
    total = sum(manifests) + sum(map(registry.size, entries)) + 2 * BLOCK * files + tarfile.RECORDSIZE
    limits = [
        (files, MAX_MEMBERS, f"{files:,} files", f"{MAX_MEMBERS:,}"),
        (max(manifests), MAX_BUNDLED_MANIFEST, f"a manifest of {max(manifests):,} bytes", f"{MAX_BUNDLED_MANIFEST:,}"),
        (total, MAX_TOTAL, f"about {total >> 30} GiB", f"{MAX_TOTAL >> 30} GiB"),
    ]
    for found, most, what, limit in limits:
        if found > most:
            raise UsageError(f"{entries[-1].id} cannot be exported: with its ancestors it has {what}, at most {limit}")


def _add_member(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    archive.addfile(member, content)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    ids: tuple[str, ...]
    """All entries of the bundle, the exported one last."""
    present: tuple[str, ...]
    """Those that were in the registry before."""
    replaced: tuple[str, ...]
    """Those of ``present`` that were replaced; the others were kept."""
    other: tuple[str, ...]
    """Those that were kept and have other weights than in the bundle."""
    outdated: tuple[str, ...]
    """Entries of the registry that were made from the weights that were replaced."""


def read_bundle(registry: Registry, stream: IO[bytes], *, replace: bool = False) -> Imported:
    """Publish the entries of a bundle, once all of it has been read and every hash is right, marked as imported.

    replace: replace entries that are there. Raises CorruptError, with nothing published, for what is no bundle, and
    where a new entry would depend on one that is here with other weights; DiskError.
    """
    with registry.folders.writing(), registry.folders.draft("import") as draft:
        try:
            held = _unpack(open_members(stream), draft)
        except (*REFUSED, gzip.BadGzipFile) as error:
            raise CorruptError(
                f"the bundle is refused: {explain(error)}; a bundle is made by `advae registry export`"
            ) from None
        here = {id_: registry.find_sound(entry.recipe, force=replace) for id_, entry in held.items()}
        present = {id_: entry for id_, entry in here.items() if entry}
        other = [id_ for id_, entry in present.items() if entry.weights != held[id_].weights]
        if not replace:
            _refuse_other_parents(held, present, other)
        replaced = [id_ for id_ in present if replace and not _is_equal(registry, present[id_], draft / id_)]
        for id_ in held:
            if id_ in replaced or id_ not in present:
                registry.reveal(draft / id_, id_, replace=replace)
        stay = [] if replace else other
        changed = [id_ for id_ in held.keys() - {*stay} if not _has_weights(registry, held[id_])]
        if changed:
            raise NotFoundError(
                f"{min(changed)} was removed or replaced while its bundle was imported; import it again"
            )
        outdated = _find_unfit(registry, {id_: held[id_].weights for id_ in other if replace})
        return Imported(tuple(held), tuple(present), tuple(replaced), tuple(stay), outdated)


def _refuse_other_parents(held: dict[str, Manifest], present: Collection[str], other: list[str]) -> None:
    """Raise CorruptError where a new entry would depend on one that is here with other weights."""
    for id_, entry in held.items():
        strange = [needed for needed in _list_needed(held, entry) if needed in other and id_ not in present]
        if strange:
            raise CorruptError(
                f"{id_} was made from other weights of {strange[0]} than are here; nothing was imported. "
                "`import --force` replaces the entries that are here by those of the bundle"
            )


def _list_needed(held: dict[str, Manifest], entry: Manifest) -> list[str]:
    return list_needed(entry.parents, lambda id_: held[id_].parents)


def _has_weights(registry: Registry, entry: Manifest) -> bool:
    here = registry.find(entry.id)
    return here is not None and here.weights == entry.weights


def _is_equal(registry: Registry, here: Manifest, draft: Path) -> bool:
    """Return whether an entry that is here equals the one of a draft, apart from the times of import."""
    manifests = (registry.folders.entries / here.id / MANIFEST, draft / MANIFEST)
    one, other = (remove_import_mark(path.read_bytes()) for path in manifests)
    return one == other


def _find_unfit(registry: Registry, weights: dict[str, str]) -> tuple[str, ...]:
    """Return the entries that were made from other weights of some entries than these have now."""
    if not weights:
        return ()
    dependent = [(entry.id, entry.parent_digests or {}) for entry in registry.list_summaries()[0]]
    return tuple(id_ for id_, then in dependent if any(then.get(one, new) != new for one, new in weights.items()))


def _unpack(members: MemberReader, draft: Path) -> dict[str, Manifest]:
    """Return the entries of a bundle by id; write their checked files into ``draft``."""
    found: dict[str, Manifest] = {}
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    while member := members.next():
        id_, name, size = member
        if name != MANIFEST or id_ in found:
            raise ValueError(f"{id_}.{name} is in the wrong place")
        manifest, content = _read_manifest(members, id_, size)
        absent = [parent for parent in manifest.parents if parent not in found]
        if absent:
            raise ValueError(f"{id_} depends on {absent[0]}, which is not before it")
        _check_digests(found, manifest)
        found[id_] = manifest
        (draft / id_).mkdir()
        write_synced(draft / id_ / MANIFEST, add_import_mark(content, moment))
        for name, artifact in sorted(manifest.artifacts.items()):
            if members.next() != (id_, name, artifact.size):
                raise ValueError(f"{id_}.{name} of {artifact.size} bytes is missing")
            _write_artifact(members, draft / id_ / name, artifact)
    if not found:
        raise ValueError("it is empty")
    return found


def _check_digests(found: dict[str, Manifest], manifest: Manifest) -> None:
    """Raise ValueError unless an entry was made from what comes before it in the bundle."""
    if manifest.imported:
        raise ValueError(f"{manifest.id} has a time of import, which no export contains")
    expected = {id_: found[id_].weights for id_ in _list_needed(found, manifest)}
    if manifest.parent_digests is not None and manifest.parent_digests != expected:
        raise ValueError(f"{manifest.id} was made from other weights than those before it")


def _read_manifest(members: MemberReader, id_: str, size: int) -> tuple[Manifest, bytes]:
    if size > MAX_BUNDLED_MANIFEST:
        raise ValueError(f"{id_}.{MANIFEST} is longer than {MAX_BUNDLED_MANIFEST} bytes")
    content = b"".join(members.pieces(size))
    manifest = decode(content)
    if manifest.id != id_:
        raise ValueError(f"{id_}.{MANIFEST} is the manifest of {manifest.id}")
    return manifest, content


def _write_artifact(members: MemberReader, path: Path, expected: Artifact) -> None:
    sha = hashlib.sha256()
    with path.open("xb") as target:
        for piece in members.pieces(expected.size):
            sha.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    if sha.hexdigest() != expected.sha256:
        raise ValueError(f"{path.parent.name}.{path.name} does not match its manifest")
    try:
        check_stored_arrays(path)
    except DAMAGED as error:
        raise ValueError(f"{path.parent.name}.{path.name} holds no arrays: {explain(error)}") from None
