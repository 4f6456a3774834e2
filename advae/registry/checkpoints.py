"""Checkpoints of unfinished trainings and proofs: one file for each entry that is being made, until it is there.

A checkpoint is no result: it is checked before the work continues from it, and a damaged one is ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, check_stored_arrays, explain, read_stored_arrays
from advae.errors import DiskError
from advae.registry.folders import FORMS, Folders
from advae.registry.synced_files import list_folder, make_synced_folder, remove_tree, write_npz

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]


class Checkpoint:
    """The checkpoint of one entry that is being made. tell: prints a line for people."""

    def __init__(self, folders: Folders, id_: str, tell: Callable[[str], None]) -> None:
        self.folders, self.id, self.tell = folders, id_, tell
        self.path = folders.checkpoints / f"{id_}.npz"

    def load(self) -> Arrays | None:
        """Return the arrays that were saved last; None where there are none that can be read."""
        if not self.path.exists():
            return None
        try:
            check_stored_arrays(self.path)
            return read_stored_arrays(self.path)
        except DAMAGED as error:
            self.tell(f"{self.path} is damaged ({explain(error)}): the work starts again")
            return None

    def save(self, arrays: Arrays) -> None:
        """Replace the saved arrays. Where that fails, tell the user; the work continues."""
        draft = self.folders.tmp / f"checkpoint-{secrets.token_hex(8)}"
        try:
            with self.folders.writing():
                make_synced_folder(self.folders.checkpoints)
                make_synced_folder(self.folders.tmp)
                write_npz(draft, arrays)
                draft.replace(self.path)
        except DiskError as error:
            self.tell(f"{error}; the work continues, but cannot be resumed from this point")
        finally:
            draft.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the file, if possible."""
        remove_tree(self.path)


def find_finished(folders: Folders, finished: Callable[[str], bool]) -> list[Path]:
    """Return the checkpoints of entries that are finished."""
    found = (path for path in list_folder(folders.checkpoints) if FORMS["checkpoints"].fullmatch(path.name))
    return [path for path in found if path.is_file() and finished(path.stem)]
