"""Members of a bundle's tar, read from a stream of untrusted bytes, header by header.

Only plain files of the names in MEMBER are read: links, folders, devices, extended headers and all other names are
refused at once, and so is what exceeds the limits.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NoReturn, Protocol

from advae.arrayfiles import explain
from advae.identity import ID_DIGITS, KINDS
from advae.registry.folders import MANIFEST
from advae.registry.manifest_files import ARTIFACT

MEMBER = re.compile(rf"((?:{'|'.join(KINDS)})-[0-9a-f]{{{ID_DIGITS}}})\.({re.escape(MANIFEST)}|{ARTIFACT.pattern})")
"""The only names that a member may have."""

MAX_MEMBERS = 1_000

MAX_TOTAL = 1 << 34
"""Bytes of all members together: 16 GiB."""

MAX_RATIO = 100
FREE_OF_RATIO = 1 << 20
"""A compressed bundle may unpack to 100 times its size, and to 1 MiB in any case.

Its own size may be 1 MiB more than twice what it unpacks to: gzip allows endless padding, which unpacks to nothing.
"""

BLOCK = tarfile.BLOCKSIZE
PIECE_BYTES = 1 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass
class _Counted:
    """A stream, perhaps a pipe, that counts what is read of it, has a limit, and can be peeked into."""

    stream: _Readable
    """The stream that is read."""
    count: int = 0
    """Bytes read so far."""
    most: int | None = None
    """Most bytes that may be read; None for no limit."""
    ahead: bytes = b""
    """Bytes that were peeked and not yet read."""

    def peek(self, size: int) -> bytes:
        self.ahead = self._read(size)
        return self.ahead

    def read(self, size: int) -> bytes:
        content, self.ahead = self.ahead[:size], self.ahead[size:]
        if len(content) < size:
            content += self._read(size - len(content))
        self.count += len(content)
        if self.most is not None and self.count > self.most:
            raise ValueError("it has padding that unpacks to nothing")
        return content

    def seek(self, offset: int) -> NoReturn:
        """Fail: gzip needs the method for a type, and calls it only to go back."""
        raise io.UnsupportedOperation("seek")

    def _read(self, size: int) -> bytes:
        try:
            content = self.stream.read(size)
        except OSError as error:
            raise ValueError(f"it cannot be read: {explain(error)}") from None
        if content is None:
            raise ValueError("it comes through a pipe that does not wait for its writer")
        return content


class MemberReader:
    """Reader of a tar's members, one after the other: name, size, and the content in pieces."""

    def __init__(self, stream: _Readable, packed: _Counted | None) -> None:
        self._stream, self._packed, self._total, self._count = stream, packed, 0, 0

    def _read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes. Raises ValueError for more than the caps allow, EOFError for less."""
        self._total += size
        if self._total > MAX_TOTAL:
            raise ValueError(f"it holds more than {MAX_TOTAL >> 30} GiB")
        if self._packed:
            self._packed.most = FREE_OF_RATIO + 2 * self._total
        content = self._stream.read(size)
        if self._packed and self._total > max(FREE_OF_RATIO, MAX_RATIO * self._packed.count):
            raise ValueError(f"it unpacks to more than {MAX_RATIO} times its size")
        if len(content) != size:
            raise EOFError("it ends early")
        return content

    def next(self) -> tuple[str, str, int] | None:
        """Return id, file name and size of the next member, whose content must be read then; None after the last."""
        header = self._read(BLOCK)
        if not any(header):
            self._expect_end()
            return None
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise ValueError(f"it holds more than {MAX_MEMBERS} files")
        member = tarfile.TarInfo.frombuf(header, "ascii", "surrogateescape")
        name = MEMBER.fullmatch(member.name)
        if not name:
            raise ValueError(f"{member.name!r} is not the name of an entry's file")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.size < 0:
            raise ValueError(f"{member.name!r} is no plain file")
        return name[1], name[2], member.size

    def _expect_end(self) -> None:
        """Raise ValueError unless only the tar's padding follows."""
        rest = self._stream.read(tarfile.RECORDSIZE)
        if any(rest) or self._stream.read(1):
            raise ValueError("data follows its end")

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the content of the member that was just named, and skip the padding of its last block."""
        for first in range(0, size, PIECE_BYTES):
            yield self._read(min(PIECE_BYTES, size - first))
        self._read(-size % BLOCK)


def open_members(stream: IO[bytes]) -> MemberReader:
    """Return the reader of a tar, packed by gzip or not."""
    packed = _Counted(stream)
    if packed.peek(2) != b"\x1f\x8b":
        return MemberReader(packed, None)
    return MemberReader(gzip.GzipFile(fileobj=packed, mode="rb"), packed)
