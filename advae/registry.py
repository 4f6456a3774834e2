"""The store on disk that the commands share: recipe-addressed entries, published by one rename. Knows files only.

    <home>/VERSION                    schema number
    <home>/entries/<id>/manifest.json + artifacts      appears by one rename
    <home>/refs/<kind>/<alias>        one line: an id
    <home>/tmp/                       entries being written, and corrupt ones moved aside

Nothing is executed on load: manifests are JSON, arrays are .npz read without pickle.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from advae.arrayfiles import DAMAGED, explain, read_stored_arrays, require_regular
from advae.errors import CorruptError, DiskError, NotFoundError, UsageError
from advae.records import SCHEMA, Artifact, Kind, Manifest, canonical_json, entry_id

if TYPE_CHECKING:
    import numpy as np

    from advae.records import AutoencoderRecipe, ClassifierRecipe, Metrics, RunRecipe

    Arrays = Mapping[str, np.ndarray[Any, Any]]

KINDS: tuple[Kind, ...] = get_args(Kind)
LATEST = "latest"
MADE_BY = {"ae": "advae train-ae", "clf": "advae train-clf", "run": "advae attack"}
"""The command that makes an entry of each kind, for error lines."""

NAMES = {"ae": "autoencoder", "clf": "classifier", "run": "run"}
"""What people call an entry of each kind."""

VERSIONED = ("advae", "tensorflow", "keras", "cleverhans", "scikit-learn", "numpy")
UPGRADE = f"this advae reads up to {SCHEMA}; upgrade advae"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ID = re.compile(r"(ae|clf|run)-[0-9a-f]{12}")


class Registry:
    """Entries and tags under one home folder. Reading never writes; the folders appear with the first publish."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.entries_dir = home / "entries"
        self.tmp_dir = home / "tmp"

    # ------------------------------------------------------------ reading

    def manifest(self, id_: str) -> Manifest:
        """Return the manifest of an entry.

        Raises NotFoundError where there is none, CorruptError where it cannot be read as what it claims to be.
        """
        self._refuse_newer_schema()
        path = self.entries_dir / id_ / "manifest.json"
        try:
            require_regular(path)
            stored = json.loads(path.read_bytes())
            claimed = stored.pop("sha256")
            newer = stored["schema_version"] > SCHEMA
            manifest = None if newer else Manifest.model_validate(stored)
        except (FileNotFoundError, NotADirectoryError):
            if path.parent.exists():
                raise CorruptError(f"{path} is missing; {_repair(id_)}") from None
            raise NotFoundError(f"no entry {id_} in {self.home}") from None
        except OSError as error:
            raise CorruptError(f"{path} cannot be read: {error.strerror}; {_repair(id_)}") from None
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError, ValidationError):
            raise CorruptError(f"{path} is not a manifest that this version reads; {_repair(id_)}") from None
        if manifest is None:
            raise CorruptError(f"{path} has schema {stored['schema_version']}, {UPGRADE}")
        if claimed != _digest_of(stored) or manifest.id != id_ or entry_id(manifest.recipe) != id_:
            raise CorruptError(f"{path} does not match its own digest; {_repair(id_)}")
        return manifest

    def find(self, id_: str) -> Manifest | None:
        """Return the manifest of an entry, None where there is none. Raises CorruptError as ``manifest`` does."""
        try:
            return self.manifest(id_)
        except NotFoundError:
            return None

    def ids(self, kind: Kind | None = None) -> list[str]:
        """Return all ids of a kind, sorted; none where there is no home yet."""
        self._refuse_newer_schema()
        try:
            names = sorted(entry.name for entry in self.entries_dir.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DiskError(f"{self.entries_dir} cannot be read: {error.strerror}") from None
        return [name for name in names if ID.fullmatch(name) and (kind is None or name.startswith(f"{kind}-"))]

    def scan(self, kind: Kind | None = None) -> tuple[list[Manifest], dict[str, CorruptError]]:
        """Return the manifests of a kind, newest first, and what is wrong with those that cannot be read, by id."""
        found, corrupt = [], {}
        for id_ in self.ids(kind):
            try:
                manifest = self.find(id_)
            except CorruptError as error:
                corrupt[id_] = error
            else:
                found += [manifest] if manifest else []
        return sorted(found, key=lambda manifest: (manifest.created, manifest.id), reverse=True), corrupt

    def entries(self, kind: Kind | None = None) -> list[Manifest]:
        """Return the manifests of a kind that can be read, newest first."""
        return self.scan(kind)[0]

    def read_arrays(self, manifest: Manifest, name: str) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of the artifact ``name``, checked against size and SHA-256 before they are decoded.

        Raises CorruptError, naming the file and the repair.
        """
        path = self.entries_dir / manifest.id / name
        expected = manifest.artifacts.get(name)
        if expected is None:
            raise CorruptError(f"{manifest.id} has no artifact {name}; {_repair(manifest.id)}")
        try:
            found = Artifact(sha256=_hash_file(path), size=path.stat().st_size)
            if found != expected:
                raise CorruptError(f"{path} is not what was stored ({found.size} bytes); {_repair(manifest.id)}")
            return read_stored_arrays(path)
        except DAMAGED as error:
            raise CorruptError(f"{path} cannot be read: {explain(error)}; {_repair(manifest.id)}") from None

    def size(self, manifest: Manifest) -> int:
        """Return the bytes that an entry's artifacts take on disk."""
        return sum(artifact.size for artifact in manifest.artifacts.values())

    # ------------------------------------------------------------ references

    def resolve(self, ref: str, kind: Kind | None = None) -> Manifest:
        """Return the entry that an id, a unique prefix, a tag or ``latest`` stands for.

        kind: what the entry must be; None takes any. Raises NotFoundError, with what to do, where nothing or more
        than one entry fits, and CorruptError as ``manifest`` does.
        """
        return self.manifest(self.resolve_id(ref, kind))

    def resolve_id(self, ref: str, kind: Kind | None = None) -> str:
        """Return the id of the entry that ``resolve`` would read, without reading it."""
        kinds = (kind,) if kind else KINDS
        ids = self.ids(kind)
        tagged = {id_ for k in kinds if (id_ := self._read_ref(k, ref)) in ids}
        matches = {ref} & set(ids) or tagged or {id_ for id_ in ids if _has_prefix(id_, ref)}
        if len(matches) > 1:
            raise NotFoundError(f"{ref!r} is ambiguous; name one of {', '.join(sorted(matches))}")
        if not matches and kind and (others := {id_ for id_ in self.ids() if ref in (id_, *self.tags().get(id_, []))}):
            other = others.pop()
            raise NotFoundError(f"{other} is no {NAMES[kind]}: its kind is {other.partition('-')[0]}, not {kind}")
        if not matches:
            what = f"no {NAMES[kind]}" if kind else "no entry"
            makers = f", `{MADE_BY[kind]}` makes one" if kind else ""
            names = [*ids, *(alias for id_, aliases in self.tags().items() if id_ in ids for alias in aliases)]
            nearest = difflib.get_close_matches(ref, names, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise NotFoundError(f"{what} {ref!r} in {self.home}; {hint}`advae registry ls` lists them{makers}")
        return matches.pop()

    def latest(self, kind: Kind) -> Manifest | None:
        """Return what the last command of that kind returned, None where that is gone or was never."""
        id_ = self._read_ref(kind, LATEST)
        return self.find(id_) if id_ else None

    def tags(self) -> dict[str, list[str]]:
        """Return id -> its tags, sorted; ``latest`` is not one of them."""
        found: dict[str, list[str]] = {}
        for kind in KINDS:
            folder = self.home / "refs" / kind
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                id_ = self._read_ref(kind, path.name) if path.name != LATEST else None
                if id_:
                    found.setdefault(id_, []).append(path.name)
        return found

    def tag(self, manifest: Manifest, alias: str) -> None:
        """Let ``alias`` stand for an entry from now on. Raises UsageError for a name that cannot be a tag."""
        check_tag(alias)
        self._write_ref(manifest.kind, alias, manifest.id)

    def untag(self, alias: str) -> list[str]:
        """Remove a tag and return the ids that it stood for. Raises NotFoundError where there is none."""
        paths = [self.home / "refs" / kind / alias for kind in KINDS if TAG.fullmatch(alias) and alias != LATEST]
        found = [path for path in paths if path.is_file()]
        if not found:
            raise NotFoundError(f"no tag {alias!r} in {self.home}")
        ids = [id_ for kind in KINDS if (id_ := self._read_ref(kind, alias))]
        with self._writing():
            self._ready_tmp()
            for path in found:
                path.unlink(missing_ok=True)
        return ids

    def mark_latest(self, manifest: Manifest) -> None:
        """Let ``latest`` of the entry's kind stand for it."""
        if self._read_ref(manifest.kind, LATEST) != manifest.id:
            self._write_ref(manifest.kind, LATEST, manifest.id)

    # ------------------------------------------------------------ writing

    def check_writable(self) -> None:
        """Raise DiskError where an entry could not be published, before hours are spent on making it."""
        with self._writing():
            self._make_draft("check").rmdir()

    def publish(
        self,
        recipe: AutoencoderRecipe | ClassifierRecipe | RunRecipe,
        metrics: Metrics,
        arrays: Mapping[str, Arrays],
        *,
        source: str | None = None,
        replace: bool = False,
    ) -> Manifest:
        """Write an entry aside, make it visible by one rename, and return its manifest.

        arrays: file name (.npz) -> its arrays. replace: move an entry that is already there aside; otherwise losing
        to an equal entry is success. Raises DiskError, with nothing left behind.
        """
        id_ = entry_id(recipe)
        with self._writing():
            draft = self._make_draft(id_)
            try:
                for name, content in arrays.items():
                    _write_npz(draft / name, content)
                manifest = Manifest(
                    id=id_,
                    recipe=recipe,
                    metrics=metrics,
                    artifacts={name: _describe(draft / name) for name in arrays},
                    source=source,
                    versions=library_versions(),
                    created=datetime.now(UTC).isoformat(timespec="microseconds"),
                )
                stored = manifest.model_dump(mode="json")
                _write_synced(draft / "manifest.json", _to_lines(stored | {"sha256": _digest_of(stored)}))
                _sync_folder(draft)
                return self._reveal(draft, manifest, replace=replace)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def remove(self, manifest_id: str) -> None:
        """Remove an entry and the references to it. Raises UsageError while another entry depends on it."""
        if manifest_id not in self.ids():
            raise NotFoundError(f"no entry {manifest_id} in {self.home}")
        dependants = [entry.id for entry in self.entries() if manifest_id in entry.parents]
        if dependants:
            raise UsageError(f"{manifest_id} is needed by {', '.join(dependants)}; remove those first")
        with self._writing():
            aside = self._make_draft("aside")
            try:
                for kind in KINDS:
                    folder = self.home / "refs" / kind
                    for path in folder.iterdir() if folder.is_dir() else ():
                        if self._read_ref(kind, path.name) == manifest_id:
                            path.unlink(missing_ok=True)
                (self.entries_dir / manifest_id).rename(aside / manifest_id)
            except FileNotFoundError:
                raise NotFoundError(f"no entry {manifest_id} in {self.home}") from None
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    # ------------------------------------------------------------ inside

    def _reveal(self, draft: Path, manifest: Manifest, *, replace: bool) -> Manifest:
        """Rename a finished draft into place; give way to an equal entry that is there, or put it aside first."""
        target = self.entries_dir / manifest.id
        aside = self._make_draft("aside") / manifest.id
        try:
            while True:
                if replace:
                    with suppress(FileNotFoundError):
                        target.rename(aside)
                try:
                    draft.rename(target)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                    if not replace:
                        return self.manifest(manifest.id)
                    # Another process has put its own in place since: that one is replaced too.
                    shutil.rmtree(aside, ignore_errors=True)
                else:
                    _sync_folder(self.entries_dir)
                    return manifest
        except BaseException:
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise
        finally:
            shutil.rmtree(aside.parent, ignore_errors=True)

    def _make_draft(self, what: str) -> Path:
        """Return a new folder in tmp/, as open to others as the umask says."""
        draft = self._ready_tmp() / f"{what}-{secrets.token_hex(8)}"
        draft.mkdir()
        return draft

    def _ready_tmp(self) -> Path:
        self._refuse_newer_schema()
        for folder in (self.entries_dir, self.tmp_dir):
            folder.mkdir(parents=True, exist_ok=True)
        version = self.home / "VERSION"
        if not version.exists():
            draft = self.tmp_dir / f"version-{secrets.token_hex(8)}"
            try:
                _write_synced(draft, f"{SCHEMA}\n".encode())
                draft.replace(version)
            finally:
                draft.unlink(missing_ok=True)
        return self.tmp_dir

    def _refuse_newer_schema(self) -> None:
        try:
            with (self.home / "VERSION").open("rb") as stream:
                content = stream.read(20).strip()
        except OSError:
            return
        if not (content.isdigit() and int(content) <= SCHEMA):
            raise CorruptError(f"{self.home / 'VERSION'} says schema {content.decode(errors='replace')!r}, {UPGRADE}")

    def _read_ref(self, kind: Kind, alias: str) -> str | None:
        if not TAG.fullmatch(alias):
            return None
        try:
            id_ = (self.home / "refs" / kind / alias).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return id_ if ID.fullmatch(id_) else None

    def _write_ref(self, kind: Kind, alias: str, id_: str) -> None:
        with self._writing():
            draft = self._make_draft("ref")
            folder = self.home / "refs" / kind
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write_synced(draft / alias, f"{id_}\n".encode())
                (draft / alias).replace(folder / alias)
                _sync_folder(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiskError(f"cannot write to {self.home}: {error.strerror or error}") from None


def check_tag(alias: str) -> None:
    """Raise UsageError for a name that cannot be a tag."""
    if not TAG.fullmatch(alias) or ID.fullmatch(alias) or alias == LATEST:
        raise UsageError(f"bad tag {alias!r}: letters, digits, '.', '_' and '-', at most 64, not an id or 'latest'")


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _repair(id_: str) -> str:
    return f"the command that made it repairs it with --force, `advae registry rm {id_}` removes it"


def _has_prefix(id_: str, ref: str) -> bool:
    """Whether ``ref`` begins the id, with its kind or without; short prefixes must still say something."""
    return len(ref) >= 2 and (id_.startswith(ref) or id_.partition("-")[2].startswith(ref))


def _digest_of(stored: Any) -> str:
    return hashlib.sha256(canonical_json(stored).encode()).hexdigest()


def _to_lines(stored: Any) -> bytes:
    return (json.dumps(stored, indent=1, allow_nan=False) + "\n").encode()


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _describe(path: Path) -> Artifact:
    return Artifact(sha256=_hash_file(path), size=path.stat().st_size)


def _write_npz(path: Path, arrays: Arrays) -> None:
    import numpy as np

    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise TypeError(f"array {name!r} holds {array.dtype} values, which are never read back")
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
