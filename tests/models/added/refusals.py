"""A call that must refuse a hostile file: one line, the right class, nothing executed, little memory."""

from __future__ import annotations

import resource
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from advae.errors import CorruptError

ROOM = 64 << 20
"""Bytes that refusing a small file may take."""

EXECUTED = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
"""Audit events of which reading has none."""

_watched: list[str] = []
_watching = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in EXECUTED:
        _watched.append(event)
    if _watching and event == "open" and isinstance(arguments[0], str) and "outside" in arguments[0]:
        _watched.append(f"open {arguments[0]}")


sys.addaudithook(_hear)


@contextmanager
def watch() -> Iterator[list[str]]:
    """Give the list of what was executed in this context, and of opened files with ``outside`` in their names."""
    global _watching
    _watched.clear()
    _watching = True
    try:
        yield _watched
    finally:
        _watching = False


def refuse(read: Callable[[], Any]) -> str:
    """Return the line with which a file is refused."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        with watch() as executed, pytest.raises(CorruptError) as raised:
            read()
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    message = str(raised.value)
    assert raised.value.exit_code == 4
    assert executed == []
    assert message.isprintable()
    assert len(message) < 600
    assert max(taken, grown - ROOM) < ROOM, (taken, grown)
    return message
