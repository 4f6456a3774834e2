"""Locks: which process is making an entry, so that the same training does not run twice at once.

Entries appear by one rename and are correct also without locks. A lock saves work. It also names the entries that the
new entry will depend on, so that `rm` and `gc` keep them. A lease is a lock without an entry; it names the entries that
a running command needs.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from advae.errors import DiskError, printable
from advae.identity import ID
from advae.registry.folders import LOCK, Folders
from advae.registry.synced_files import read_small

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_LOCK = 1 << 24
"""Bytes of a lock that are read; a lease of 100,000 entries is shorter."""

REMIND_AFTER = 10.0
"""Seconds after which a waiting command says again which process it waits for."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, as written into the lock."""

    pid: int
    """Its process id on ``host``."""
    host: str
    """Name of its machine."""
    since: str
    """When it took the lock, ISO 8601 in UTC."""
    parents: tuple[str, ...]
    """Ids that its new entry will depend on, or that the lease names."""


NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""Errors of a disk without locks."""


@contextmanager
def hold(folders: Folders, id_: str, parents: tuple[str, ...], tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of an entry; wait for the process that makes it now and tell which.

    Where the disk has no locks, or access to the lock is denied, continue without it. Raises DiskError where the lock
    cannot be written.
    """
    from filelock import FileLock

    path = _locate(folders, id_)
    # A soft lock is a plain file: it would remain when its process is killed, and block all others.
    lock = FileLock(path, fallback_to_soft=False, on_acquired=lambda handle: _sign(handle, parents))
    signed = _acquire(lock, folders, id_, tell) or _sign_unlocked(path, parents)
    try:
        yield
    finally:
        with suppress(OSError):
            if signed:
                # A process that waits with it open finds it gone and starts again: see filelock's UnixFileLock.
                path.unlink(missing_ok=True)
            lock.release()


@contextmanager
def lease(folders: Folders, ids: Iterable[str]) -> Iterator[None]:
    """Protect entries, existing or future ones, from `rm` and `gc` meanwhile; the lease ends with this process."""
    with hold(folders, f"lease-{secrets.token_hex(8)}", tuple(sorted(set(ids))), lambda line: None):
        yield


def _acquire(lock: BaseFileLock, folders: Folders, id_: str, tell: Callable[[str], None]) -> bool:
    """Return whether the lock is held now; False where the disk has no locks or access is denied."""
    from filelock import Timeout

    path = _locate(folders, id_)
    for patience in itertools.chain([REMIND_AFTER / 20], itertools.repeat(REMIND_AFTER)):
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            tell(f"waiting for {_name_holder(folders, id_, since=True)}, which is making {id_}")
        except OSError as error:
            # EACCES: a lock of another user, in a home that several people share.
            if error.errno not in (*NO_LOCKS, errno.EACCES, errno.EPERM):
                raise DiskError(f"cannot lock {path}: {error.strerror or error}") from None
            tell(f"{path}: {error.strerror}; without a lock another process may compute the same entry")
            return False
        else:
            return True
    raise AssertionError("patience never ends")


def find_in_making(folders: Folders) -> dict[str, tuple[str, ...]]:
    """Return the ids that are being made, and the leases, each with the entries that it needs."""
    making = {}
    for path in sorted(folders.locks.glob("*.lock")):
        if LOCK.fullmatch(path.name) and _is_held(path):
            holder = _read_holder(folders, path.stem)
            making[path.stem] = holder.parents if holder else ()
    return making


def name_need(folders: Folders, name: str) -> str:
    """Return for people which entry or command needs what a lock or a lease names."""
    if ID.fullmatch(name):
        return f"{name}, which is being made right now"
    return f"a running command ({_name_holder(folders, name)})"


def _is_held(path: Path) -> bool:
    """Return whether a lock is held; tested with a shared lock, so that several processes can test at once.

    Where a disk has no locks, a lock that is there counts as held: its owner removes it.
    """
    try:
        import fcntl

        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, ImportError):
        return path.exists()
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def remove_unused(path: Path) -> None:
    """Remove a lock that is not held. A process that opened it meanwhile finds it gone and starts again."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, fallback_to_soft=False).acquire(blocking=False):
            path.unlink(missing_ok=True)
    except Timeout:
        return
    except OSError as error:
        if error.errno in NO_LOCKS:
            path.unlink(missing_ok=True)


def _locate(folders: Folders, id_: str) -> Path:
    return folders.locks / f"{id_}.lock"


def _sign(handle: int, parents: tuple[str, ...]) -> None:
    """Write the holder into a lock."""
    import socket

    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=since, parents=parents)
    # On a full disk the lock is held without the name of its holder.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(vars(holder)).encode(), 0)


def _sign_unlocked(path: Path, parents: tuple[str, ...]) -> bool:
    """Write the holder without a lock, where a disk has none, so that `rm` and `gc` keep what it needs."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        _sign(handle, parents)
    finally:
        os.close(handle)
    return True


def _read_holder(folders: Folders, id_: str) -> Holder | None:
    try:
        holder = json.loads(read_small(_locate(folders, id_), MAX_LOCK))
        pid, host, since, parents = (holder[name] for name in ("pid", "host", "since", "parents"))
        return Holder(int(pid), str(host), str(since), tuple(map(str, parents)))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        # Not written yet, or by another program.
        return None


def _name_holder(folders: Folders, id_: str, *, since: bool = False) -> str:
    holder = _read_holder(folders, id_)
    if not holder:
        return "another process"
    return printable(f"process {holder.pid} on {holder.host}{f' (since {holder.since})' if since else ''}")
