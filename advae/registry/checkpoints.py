"""How far an unfinished training has come: one file for each entry in the making, gone once the entry is there.

It is no result: whoever goes on from it checks that it fits, and a damaged one costs time, nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.arrayfiles import DAMAGED, check_stored_arrays, explain, read_stored_arrays
from advae.errors import DiskError
from advae.registry.folders import FORMS, Folders, list_folder, make_synced_folder, remove_tree, write_npz

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]


class Checkpoint:
    """The file of one entry in the making. tell: takes a line for people."""

    def __init__(self, folders: Folders, id_: str, tell: Callable[[str], None]) -> None:
        self.folders, self.id, self.tell = folders, id_, tell
        self.path = folders.checkpoints / f"{id_}.npz"

    def load(self) -> Arrays | None:
        """Return the arrays that were saved last, None where there are none, or none that can be read."""
        if not self.path.exists():
            return None
        try:
            check_stored_arrays(self.path)
            return read_stored_arrays(self.path)
        except DAMAGED as error:
            self.tell(f"{self.path} is damaged ({explain(error)}): the training begins anew")
            return None

    def save(self, arrays: Arrays) -> None:
        """Keep arrays in the place of those saved before; where that fails, say so: the training is worth more."""
        draft = self.folders.tmp / f"checkpoint-{secrets.token_hex(8)}"
        try:
            with self.folders.writing():
                make_synced_folder(self.folders.checkpoints)
                make_synced_folder(self.folders.tmp)
                write_npz(draft, arrays)
                draft.replace(self.path)
        except DiskError as error:
            self.tell(f"{error}; the training goes on, but could not be resumed from here")
        finally:
            draft.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget it, as far as that can be done."""
        remove_tree(self.path)


def find_finished(folders: Folders, finished: Callable[[str], bool]) -> list[Path]:
    """Return the files of entries that are there by now."""
    found = (path for path in list_folder(folders.checkpoints) if FORMS["checkpoints"].fullmatch(path.name))
    return [path for path in found if path.is_file() and finished(path.stem)]
