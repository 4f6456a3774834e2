"""A model's file and what is read of it, for the tests of the readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from advae.models.added.foreign import ForeignModel

Read = Callable[..., ForeignModel]


@dataclass(frozen=True)
class Saved:
    """The file of a model, and what is read of it, without and with a cut."""

    path: Path
    whole: ForeignModel
    cut: ForeignModel


def read_once(save: Callable[[str], Path], read: Read) -> Callable[[str], Saved]:
    """Return a function of a model's name that saves and reads each model once."""

    @cache
    def find(name: str) -> Saved:
        path = save(name)
        content = path.read_bytes()
        return Saved(path, read(content, path, cut=False), read(content, path, cut=True))

    return find
