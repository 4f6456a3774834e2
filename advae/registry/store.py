"""The registry: entries, their names, and how missing entries are made. It knows files, not networks.

Nothing is executed on load: manifests are JSON, arrays are .npz read without pickle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from advae.atomic_files import sync
from advae.errors import CorruptError, DiskError, NewerSchemaError, NotFoundError, UsageError
from advae.identity import RESULTS, Kind, kind_of
from advae.registry import locks
from advae.registry.checkpoints import Checkpoint
from advae.registry.entries import list_reached
from advae.registry.publishing import WritableEntries
from advae.registry.references import LATEST, References, check_tag, resolve_id

if TYPE_CHECKING:
    from advae.records import Manifest, Metrics, Recipe
    from advae.registry.references import NameFile
    from advae.registry.synced_files import Arrays


class Registry(WritableEntries):
    """Entries and their names under one home folder. Reading never writes."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.references = References(self.folders)

    # ------------------------------------------------------------ names

    def resolve(self, ref: str, kind: Kind | None = None) -> Manifest:
        """Return the entry that an id, a unique prefix, a tag or ``latest`` means.

        kind: what the entry must be; None takes any. Raises NotFoundError, with what to do, where nothing or more
        than one entry fits, and CorruptError as ``manifest`` does.
        """
        return self.manifest(self.resolve_id(ref, kind))

    def resolve_id(self, ref: str, kind: Kind | None = None) -> str:
        """Return the id of the entry that ``resolve`` would read, without reading it."""
        return resolve_id(self.references, self.ids(), ref, kind)

    def latest(self, kind: Kind) -> Manifest | None:
        """Return what the last command of that kind returned; None where there is none."""
        id_ = self.references.read(kind, LATEST)
        return self.find(id_) if id_ else None

    def tags(self) -> dict[str, list[str]]:
        """Return id -> its tags, sorted; ``latest`` is not one of them."""
        return self.references.list_tags()

    def tag(self, manifest: Manifest, alias: str) -> str | None:
        """Give a tag to an entry, and return the id of its kind that had the tag before.

        Raises UsageError for a name that cannot be a tag or begins another id, NotFoundError where the entry is gone.
        """
        check_tag(alias, (id_ for id_ in self.ids() if id_ != manifest.id))
        before = self.references.read(manifest.kind, alias)
        self._name(manifest, alias)
        return before

    def untag(self, alias: str) -> list[str]:
        """Remove a tag and return its ids. Raises NotFoundError where there is none."""
        self.folders.check()
        with self.folders.writing():
            return self.references.remove(alias)

    def mark_latest(self, manifest: Manifest) -> None:
        """Make an entry the ``latest`` of its kind."""
        self._name(manifest, LATEST)

    def _name(self, manifest: Manifest, alias: str) -> None:
        with self.folders.writing():
            if self.references.read(manifest.kind, alias) != manifest.id:
                self.references.write(manifest.kind, alias, manifest.id)
            # A command that removes an entry reads its names again afterwards, so that one of the two sees the other.
            if not (self.folders.entries / manifest.id).exists():
                self._drop_names([manifest.id])
                raise NotFoundError(f"no entry {manifest.id} in {self.home}")

    def _drop_names(self, ids: Collection[str]) -> None:
        with self.folders.aside("name") as spare, self.references.without(ids, spare):
            pass

    # ------------------------------------------------------------ making and removing

    @contextmanager
    def lease(self, ids: Iterable[str]) -> Iterator[None]:
        """Keep entries, there or not yet, from ``remove`` and ``gc`` while a command runs that needs them."""
        ids = [*ids]
        with ExitStack() as stack:
            # Where the disk cannot be written, existing entries can still be read.
            with suppress(DiskError), self.folders.writing():
                if ids:
                    self.folders.prepare()
                    stack.enter_context(locks.lease(self.folders, ids))
            yield

    def checkpoint(self, id_: str, tell: Callable[[str], None] = lambda line: None) -> Checkpoint:
        """Return the checkpoint of an entry's training."""
        return Checkpoint(self.folders, id_, tell)

    def obtain(
        self,
        recipe: Recipe,
        compute: Callable[[], tuple[Metrics, Mapping[str, Arrays]]],
        *,
        prepare: Callable[[], None] = lambda: None,
        source: str | None = None,
        force: bool = False,
        latest: bool = True,
        tell: Callable[[str], None] = lambda line: None,
    ) -> tuple[Manifest, bool]:
        """Return the entry of a recipe and whether it existed before; a missing entry is computed and published.

        compute: () -> metrics and arrays by file name. prepare: makes those of its parents that are missing. force:
        compute an existing entry again. latest: make the entry the ``latest``. Several processes that ask for the
        same entry compute it once, the others wait and say so through ``tell``. Raises CorruptError where the entry
        is damaged, unless ``force`` repairs it; NotFoundError where a parent was replaced meanwhile.
        """
        from advae.records import entry_id

        id_ = entry_id(recipe)
        before = self.find_sound(recipe, force=force)
        if before and not force:
            if latest:
                self._try_latest(before, tell)
            return before, True
        self.check_writable(recipe.kind if latest else None)
        with locks.hold(self.folders, id_, recipe.parents, tell):
            # Another process may have made it since, or while this one waited.
            after = self.find_sound(recipe, force=force)
            cached = after is not None and after != before
            if not (after and cached):
                prepare()
                parent_digests = self.digest_parents(recipe)
                metrics, arrays = compute()
                self._refuse_replaced(recipe, parent_digests)
                after = self.publish(
                    recipe, metrics, arrays, source=source, replace=force, parent_digests=parent_digests
                )
            # Before the lock is released: `gc` may remove what has no name and no lock.
            if latest:
                self.mark_latest(after)
            return after, cached

    def _refuse_replaced(self, recipe: Recipe, parent_digests: dict[str, str]) -> None:
        """Raise NotFoundError where a parent was replaced while an entry was computed from it."""
        now = self.digest_parents(recipe)
        changed = [id_ for id_, digest in parent_digests.items() if now.get(id_) != digest]
        if changed:
            raise NotFoundError(f"{changed[0]} was replaced while it was used; run the command again")

    def _try_latest(self, manifest: Manifest, tell: Callable[[str], None]) -> None:
        try:
            self.mark_latest(manifest)
        except DiskError as error:
            # A read-only registry can still be read.
            tell(f"`latest` is not changed: {error}")

    def find_made(self, recipe: Recipe) -> Manifest | None:
        """Return the entry of a recipe, None where there is none.

        Raises CorruptError as ``manifest`` does, and where another recipe has the same id: 48 bits may agree.
        """
        from advae.records import entry_id

        manifest = self.find(entry_id(recipe))
        if manifest and manifest.recipe.model_dump(mode="json") != recipe.model_dump(mode="json"):
            raise CorruptError(
                f"{manifest.id} is the entry of another recipe, which has the same id; --force replaces it, "
                f"`advae registry rm {manifest.id}` removes it"
            )
        return manifest

    def find_sound(self, recipe: Recipe, *, force: bool = False) -> Manifest | None:
        """Return the entry of a recipe, all of it checked; None where there is none.

        Raises CorruptError for one that is damaged, does not fit its parents or is of another recipe; with ``force``
        it returns None for these, too.
        """
        try:
            manifest = self.find_made(recipe)
            if manifest:
                self.check(manifest)
        except CorruptError as error:
            if not force or isinstance(error, NewerSchemaError):
                raise
            return None
        return manifest

    def remove(
        self, id_: str, *, recursive: bool = False, on_removed: Callable[[str], None] = lambda id_: None
    ) -> list[str]:
        """Remove an entry and its names; return the ids that are gone, dependants first.

        recursive: also all that depends on it. on_removed: called with each id once it is removed. Raises UsageError
        while something depends on it, or is being made from it; CorruptError where an entry that may depend on it
        cannot be read; DiskError.
        """
        # The locks first: an entry that is published and unlocked in the meantime is then seen in the folder.
        making = locks.find_in_making(self.folders)
        if id_ not in self.ids():
            raise NotFoundError(f"no entry {id_} in {self.home}")
        going = self._list_dependants(id_)
        needing = sorted(new for new, parents in making.items() if {*parents, new} & {*going})
        if id_ in needing:
            raise UsageError(f"{id_} is being made right now")
        if needing:
            raise UsageError(f"{id_} is needed by {', '.join(locks.name_need(self.folders, one) for one in needing)}")
        if len(going) > 1 and not recursive:
            raise UsageError(
                f"{id_} is needed by {_name_some(going[:-1])}; remove those first, or all of them with --recursive"
            )
        gone = self.remove_all(going, on_removed)
        if not gone:
            raise NotFoundError(f"{id_} was removed by another process just now")
        return gone

    def _list_dependants(self, id_: str) -> list[str]:
        """Return the dependants of an entry, and last itself; each before all that it depends on."""
        entries, unreadable = self.list_summaries()
        # Nothing depends on a result. Classifiers and autoencoders may depend on each other.
        unknown = [other for other in unreadable if other != id_] if kind_of(id_) not in RESULTS else []
        if unknown:
            raise CorruptError(
                f"{id_} may be needed by {', '.join(unknown)}, which cannot be read; "
                f"`advae registry rm {unknown[-1]}` removes it"
            )
        dependants: dict[str, list[str]] = {}
        for entry in entries:
            for parent in entry.parents:
                dependants.setdefault(parent, []).append(entry.id)
        return list_reached(id_, lambda needed: dependants.get(needed, []))

    def remove_all(self, ids: Iterable[str], on_removed: Callable[[str], None] = lambda id_: None) -> list[str]:
        """Remove entries and their names, in this order, also where others depend on them; return those that are gone.

        on_removed: called with each id once it is removed. Raises DiskError.
        """
        gone = list[str]()
        with self.folders.writing(), self.folders.aside("remove") as spare:
            named = self.references.find_files()
            try:
                for id_ in ids:
                    if self._hide(id_, named.get(id_, []), spare):
                        gone.append(id_)
                        on_removed(id_)
            finally:
                if gone:
                    sync(self.folders.entries)
                    # A name may have been given to one of them meanwhile; the command that gave it looks again, too.
                    self._drop_names(gone)
        return gone

    def _hide(self, id_: str, names: Iterable[NameFile], spare: Callable[[str], Path]) -> bool:
        """Move an entry and its names aside; return whether the entry was there."""
        with self.references.without([id_], spare, names):
            try:
                (self.folders.entries / id_).rename(spare(id_))
            except FileNotFoundError:
                return False
        return True

    def remove_unless(
        self, ids: Iterable[str], find_needed: Callable[[], Collection[str]], on_removed: Callable[[str], None]
    ) -> None:
        """Remove entries, in this order, but put back those that another command needs by now.

        find_needed: returns these, once all entries are moved aside: later commands no longer find them. on_removed:
        called with each id that was removed.
        """
        with self.folders.writing(), self.folders.aside("remove") as spare:
            hidden, needed = dict[str, Path](), None
            try:
                for id_ in ids:
                    # Another `gc` removes what is old in tmp/.
                    with suppress(OSError):
                        os.utime(self.folders.entries / id_)
                    with suppress(FileNotFoundError):
                        (self.folders.entries / id_).rename(path := spare(id_))
                        hidden[id_] = path
                needed = find_needed()
            finally:
                # The last one first: others may depend on it.
                for id_, path in reversed(list(hidden.items())):
                    if (needed is None or id_ in needed) and not os.path.lexists(self.folders.entries / id_):
                        path.rename(self.folders.entries / id_)
                        del hidden[id_]
            if hidden:
                sync(self.folders.entries)
            for id_ in hidden:
                on_removed(id_)


MAX_NAMED = 10


def _name_some(ids: list[str]) -> str:
    """Return the ids for a line; of thousands the first ones, and how many more there are."""
    more = f" and {len(ids) - MAX_NAMED:,} more" if len(ids) > MAX_NAMED else ""
    return ", ".join(ids[:MAX_NAMED]) + more
