"""A terminal on stderr, of so many columns, as tests and what they start write to it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from advae.cli import main
from tests.calls import Outcome


@dataclass
class Terminal:
    """descriptor: what programs write to; screen: what they have written, once the terminal is closed."""

    descriptor: int
    screen: str = ""


@contextlib.contextmanager
def open_terminal(columns: int) -> Iterator[Terminal]:
    """Give a terminal whose output is read all the time, as in a window."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
    pieces: list[bytes] = []

    def read() -> None:
        # Linux says EIO once no process has the other end open.
        with contextlib.suppress(OSError):
            while piece := os.read(reader, 65_536):
                pieces.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    terminal = Terminal(writer)
    try:
        yield terminal
    finally:
        os.close(writer)
        thread.join(timeout=240)
        os.close(reader)
        terminal.screen = b"".join(pieces).decode().replace("\r\n", "\n")


def call_at(columns: int | None, *arguments: object) -> Outcome:
    """Run a command line in this process with a file as stdout, and as stderr a terminal, or with None a file, too.

    The descriptors themselves are led there, so that nothing gets past them.
    """
    line = [str(argument) for argument in arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, lead_away(1, "stdout", out.fileno()):
        if columns is None:
            with lead_away(2, "stderr", err.fileno()):
                code = main(line)
            said = read_back(err)
        else:
            with open_terminal(columns) as terminal, lead_away(2, "stderr", terminal.descriptor):
                code = main(line)
            said = terminal.screen
        return Outcome(code, read_back(out), said)


def read_back(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="surrogateescape")


@contextlib.contextmanager
def lead_away(descriptor: int, name: str, target: int) -> Iterator[None]:
    """Let a standard stream of this process be another descriptor."""
    before, kept = getattr(sys, name), os.dup(descriptor)
    before.flush()
    os.dup2(target, descriptor)
    try:
        with open(descriptor, "w", encoding="utf-8", closefd=False) as stream:
            setattr(sys, name, stream)
            yield
    finally:
        setattr(sys, name, before)
        os.dup2(kept, descriptor)
        os.close(kept)
