"""Names of entries: ``refs/<kind>/<alias>`` holds one line, an id. ``latest`` is such a name, but no tag."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from advae.atomic_files import sync
from advae.errors import NotFoundError, UsageError
from advae.identity import ID, KINDS, Kind
from advae.registry.folders import Folders
from advae.registry.synced_files import make_synced_folder, read_small, write_synced

LATEST = "latest"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

MADE_BY = {
    "ae": "advae train-ae",
    "clf": "advae train-clf",
    "run": "advae attack",
    "cert": "advae certify",
    "surface": "advae surface",
    "code": "advae attack-code",
}
"""The command that makes an entry of each kind, for error lines."""

NAMES = {
    "ae": "autoencoder",
    "clf": "classifier",
    "run": "run",
    "cert": "certificate",
    "surface": "decision surface",
    "code": "attack on a code",
}
"""Name of an entry of each kind, in messages."""

NameFile = tuple[Kind, Path]
"""The kind of entry that a name is for, and the file of the name."""


class References:
    """The names in one home; each is one file."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders

    def read(self, kind: Kind, alias: str) -> str | None:
        """Return the id of a name, also where the entry is gone; None where there is no such name."""
        if not TAG.fullmatch(alias):
            return None
        return self._parse(kind, self.folders.refs / kind / alias)

    def _parse(self, kind: Kind, path: Path) -> str | None:
        id_ = read_small(path).decode(errors="replace").strip()
        return id_ if ID.fullmatch(id_) and id_.startswith(f"{kind}-") else None

    def write(self, kind: Kind, alias: str, id_: str) -> None:
        """Give a name to an id, in one step."""
        folder = self.folders.refs / kind
        with self.folders.draft("ref") as draft:
            make_synced_folder(folder)
            write_synced(draft / alias, f"{id_}\n".encode())
            (draft / alias).replace(folder / alias)
            sync(folder)

    def remove(self, alias: str) -> list[str]:
        """Remove a tag of every kind and return its ids. Raises NotFoundError where there is none."""
        kinds = [kind for kind in KINDS if TAG.fullmatch(alias) and alias != LATEST]
        found = [kind for kind in kinds if (self.folders.refs / kind / alias).is_file()]
        if not found:
            raise NotFoundError(f"no tag {alias!r} in {self.folders.home}")
        ids = [id_ for kind in found if (id_ := self.read(kind, alias))]
        for kind in found:
            (self.folders.refs / kind / alias).unlink(missing_ok=True)
            sync(self.folders.refs / kind)
        return ids

    @contextmanager
    def without(
        self, ids: Collection[str], spare: Callable[[str], Path], files: Iterable[NameFile] | None = None
    ) -> Iterator[None]:
        """Move all names of entries, ``latest`` too, aside; put them back where an error follows.

        files: where to look, as ``find_files`` gives them; None looks at all names.
        """
        moved: list[tuple[Path, Path, str]] = []
        try:
            for kind, path in self._files() if files is None else files:
                if self._parse(kind, path) in ids:
                    aside = spare(f"{kind}-{path.name}")
                    try:
                        path.rename(aside)
                    except FileNotFoundError:
                        # Another process has removed it meanwhile.
                        continue
                    id_ = self._parse(kind, aside)
                    if id_ and id_ in ids:
                        moved.append((path, aside, id_))
                    else:
                        # It was moved to another entry before the rename.
                        _put_back(aside, path)
            for folder in {path.parent for path, _, _ in moved}:
                sync(folder)
            yield
        # Also an interrupt; it is raised again.
        except BaseException:
            for path, aside, id_ in moved:
                if self._is_there(id_):
                    _put_back(aside, path)
            raise

    def find_files(self) -> dict[str, list[NameFile]]:
        """Return id -> the files of all its names, ``latest`` too."""
        found: dict[str, list[NameFile]] = {}
        for kind, path in self._files():
            if id_ := self._parse(kind, path):
                found.setdefault(id_, []).append((kind, path))
        return found

    def list_tags(self) -> dict[str, list[str]]:
        """Return id -> its tags, sorted; ``latest`` is not one of them, and the id need not be there."""
        tags = {
            id_: [path.name for _, path in files if path.name != LATEST and TAG.fullmatch(path.name)]
            for id_, files in self.find_files().items()
        }
        return {id_: names for id_, names in tags.items() if names}

    def find_broken(self) -> dict[Path, str]:
        """Return the files under refs/ that name no entry, and why."""
        broken = {}
        for kind, path in self._files():
            id_ = self.read(kind, path.name)
            if id_ is None and os.path.lexists(path):
                broken[path] = f"it names no entry of kind {kind}"
            # Read again, because its entry may just have been removed with its names.
            elif id_ and not self._is_there(id_) and self.read(kind, path.name) == id_:
                broken[path] = f"it names {id_}, which is not there"
        return broken

    def _is_there(self, id_: str) -> bool:
        return os.path.lexists(self.folders.entries / id_)

    def _files(self) -> Iterator[NameFile]:
        for kind in KINDS:
            folder = self.folders.refs / kind
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                # Names that begin with a dot are foreign files, such as a file manager's.
                if not path.name.startswith("."):
                    yield kind, path


def _put_back(aside: Path, path: Path) -> None:
    """Rename a name back, unless it was given again meanwhile."""
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links.
        aside.rename(path)


def check_tag(alias: str, ids: Iterable[str] = ()) -> None:
    """Raise UsageError for a name that cannot be a tag, or that begins one of ``ids``, which it would hide."""
    if not TAG.fullmatch(alias) or ID.fullmatch(alias) or alias.casefold() == LATEST:
        raise UsageError(f"bad tag {alias!r}: letters, digits, '.', '_' and '-', at most 64, not an id or 'latest'")
    begun = [id_ for id_ in ids if _has_prefix(id_, alias)]
    if begun:
        raise UsageError(f"bad tag {alias!r}: it is the beginning of an id, {begun[0]}; choose another name")


def resolve_id(references: References, ids: list[str], ref: str, kind: Kind | None) -> str:
    """Return which of ``ids`` an id, a unique prefix, a tag or ``latest`` means.

    kind: what the entry must be; None takes any. Raises NotFoundError, with what to do, where nothing or more than
    one fits.
    """
    fitting = [id_ for id_ in ids if kind is None or id_.startswith(f"{kind}-")]
    tagged = {id_ for k in ((kind,) if kind else KINDS) if (id_ := references.read(k, ref)) in fitting}
    begun = {id_ for id_ in fitting if _has_prefix(id_, ref)}
    matches = {ref} & set(fitting) or tagged | begun
    if len(matches) > 1:
        how = "is a tag and the beginning of an id" if tagged and begun - tagged else "is ambiguous"
        raise NotFoundError(f"{ref!r} {how}; name one of {', '.join(sorted(matches))}")
    if matches:
        return matches.pop()
    home, tags = references.folders.home, references.list_tags()
    others = [id_ for id_ in ids if ref in (id_, *tags.get(id_, []))]
    if kind and others:
        raise NotFoundError(f"{others[0]} is no {NAMES[kind]}: its kind is {others[0].partition('-')[0]}, not {kind}")
    what = f"no {NAMES[kind]}" if kind else "no entry"
    makers = f", `{MADE_BY[kind]}` makes one" if kind else ""
    names = [*fitting, *(alias for id_ in fitting for alias in tags.get(id_, []))]
    import difflib

    nearest = difflib.get_close_matches(ref, names, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise NotFoundError(f"{what} {ref!r} in {home}; {hint}`advae registry ls` lists them{makers}")


def _has_prefix(id_: str, ref: str) -> bool:
    """Whether ``ref`` begins the id, with its kind or without; a kind alone, or one digit, is too short."""
    kind, _, digits = id_.partition("-")
    begins = len(ref) >= 2 and digits.startswith(ref) and ref not in KINDS
    return begins or (len(ref) > len(kind) + 1 and id_.startswith(ref))
