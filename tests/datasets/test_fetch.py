"""Downloads from a server on this machine: what is kept, and what a fetch leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from advae.datasets import fetch
from advae.datasets.decoded import Decoded
from advae.datasets.fetch import fetch_dataset
from advae.datasets.idx import IdxFile
from advae.datasets.load import verify_dataset
from advae.datasets.table import DATASETS, DatasetRow
from advae.errors import DatasetError, DiskError, UsageError

from .samples import (
    TEST,
    TEST_LABELS,
    TRAIN,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    make_idx_files,
    make_images,
    make_labels,
    mark_label,
    publish_cifar,
)


class Mirror:
    """A server on 127.0.0.1. bodies: what it answers for a path; asked: the paths that were asked for."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.declared: int | None = None
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                body = mirror.bodies.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(mirror.declared or len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()
    thread.join()


@pytest.fixture
def tiny(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> DatasetRow:
    """A dataset of the table whose four files the mirror has under /good/."""
    files = make_idx_files()
    arrays = make_images(TRAIN), make_labels(TRAIN), make_images(TEST), make_labels(TEST)
    shapes = [array.shape for array in arrays]
    digest = Decoded(arrays[0], arrays[1].astype(np.int64), arrays[2], arrays[3].astype(np.int64)).digest
    mirror.bodies = {f"/good/{name}.gz": gzip.compress(data) for name, data in files.items()}
    row = replace(
        DATASETS["mnist"],
        name="tiny",
        folder="tiny",
        digest=digest,
        files=tuple(
            IdxFile(name, shape, hashlib.sha256(data).hexdigest())
            for (name, data), shape in zip(files.items(), shapes, strict=True)
        ),
        mirrors=(f"{mirror.url}/gone/", f"{mirror.url}/good/"),
    )
    monkeypatch.setitem(DATASETS, "tiny", row)
    return row


def test_fetch_falls_back_verifies_and_is_done_once(tmp_path: Path, mirror: Mirror, tiny: DatasetRow) -> None:
    progress: list[tuple[str, int, int | None]] = []
    folder = fetch_dataset("tiny", cache_dir=tmp_path, on_progress=lambda *step: progress.append(step))
    assert folder == tmp_path / "tiny"
    assert {path.name for path in folder.iterdir()} == {file.name for file in tiny.files}
    # A mirror that has not had the first file is not asked for the others.
    assert len(mirror.asked) == 5
    for file in tiny.files:
        assert (file.name, file.size, file.size) in progress
    assert verify_dataset("tiny", cache_dir=tmp_path) == (str(folder), tiny.digest, None)
    fetch_dataset("tiny", cache_dir=tmp_path)
    assert len(mirror.asked) == 5


def test_fetch_repairs_one_file(tmp_path: Path, mirror: Mirror, tiny: DatasetRow) -> None:
    damaged = fetch_dataset("tiny", cache_dir=tmp_path) / TEST_LABELS
    damaged.write_bytes(mark_label(damaged.read_bytes()))
    mirror.asked.clear()
    fetch_dataset("tiny", cache_dir=tmp_path, mirrors=[f"{mirror.url}/good"])
    assert mirror.asked == [f"/good/{TEST_LABELS}.gz"]
    assert verify_dataset("tiny", cache_dir=tmp_path).digest == tiny.digest


BAD_BODIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another file": (lambda d: gzip.compress(mark_label(gzip.decompress(d))), "sha256"),
    "a web page": (lambda _: b"<html>please log in</html>" * 9, "incorrect header check"),
    "nothing": (lambda _: b"", "ends early"),
    "cut": (lambda d: d[:-20], "ends early"),
    "a bomb": (lambda _: gzip.compress(bytes(64 << 20)), "unpacks to more than 15696 bytes"),
    "no end": (lambda _: b"\x1f\x8b\x08\x10" + bytes(6) + b"n" * 99_999, "sends more than 32080 bytes"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
@pytest.mark.usefixtures("tiny")
def test_wrong_content_is_not_kept(tmp_path: Path, mirror: Mirror, case: str) -> None:
    damage, expected = BAD_BODIES[case]
    mirror.bodies |= {path.replace("/good/", "/bad/"): damage(body) for path, body in mirror.bodies.items()}
    bad = [f"{mirror.url}/none/", f"{mirror.url}/bad/"]
    with pytest.raises(DatasetError) as caught:
        fetch_dataset("tiny", cache_dir=tmp_path, mirrors=bad)
    line = str(caught.value)
    assert expected in line
    assert "\n" not in line
    assert all(url in line for url in bad)
    assert list((tmp_path / "tiny").iterdir()) == []
    folder = fetch_dataset("tiny", cache_dir=tmp_path, mirrors=[*bad, f"{mirror.url}/good/"])
    assert len(list(folder.iterdir())) == 4


def test_an_archive_is_kept_as_it_is(tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(40_000)
    archive = publish_cifar(monkeypatch, content)
    mirror.bodies = {f"/{name}/{archive.name}": body for name, body in cut_and_lengthen(content).items()}
    for name, expected in (("short", "ends early"), ("long", "more than 40000 bytes"), ("other", "md5")):
        with pytest.raises(DatasetError, match=expected):
            fetch_dataset("cifar-10", cache_dir=tmp_path, mirrors=[f"{mirror.url}/{name}/"])
        assert list((tmp_path / "cifar-10").iterdir()) == []
    for _ in range(2):
        folder = fetch_dataset("cifar-10", cache_dir=tmp_path, mirrors=[f"{mirror.url}/good/"])
        assert (folder / archive.name).read_bytes() == content
    assert len(mirror.asked) == 4, "what is intact is not fetched again"


def cut_and_lengthen(content: bytes) -> dict[str, bytes]:
    return {"good": content, "short": content[:-1], "long": content + b"x", "other": content[:-1] + b"x"}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("mirrors", "expected"),
    [
        ([], "no mirror is known"),
        (["http://127.0.0.1:1/"], "refused"),
        (["nonsense"], "unknown url type"),
        (["http://[bad/"], "cannot|Invalid"),
    ],
)
def test_no_mirror_answers(tmp_path: Path, mirrors: list[str], expected: str) -> None:
    with pytest.raises(DatasetError, match=expected):
        fetch_dataset("tiny", cache_dir=tmp_path, mirrors=mirrors)


@pytest.mark.usefixtures("tiny")
def test_a_closed_connection_is_noticed(tmp_path: Path, mirror: Mirror) -> None:
    mirror.bodies = {path: body[:-20] for path, body in mirror.bodies.items()}
    mirror.declared = 99_999
    with pytest.raises(DatasetError, match="could not be fetched"):
        fetch_dataset("tiny", cache_dir=tmp_path)
    assert list((tmp_path / "tiny").iterdir()) == []


class Hostile:
    """A server that answers a request by hand, until the client closes the connection. answer: yields what it sends."""

    def __init__(self, answer: Callable[[str], Iterator[bytes]]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.answer, self.gone = answer, threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                threading.Thread(target=self.speak, args=(connection,), daemon=True).start()

    def speak(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            # A client that has stopped reading may leave the last bytes on the way for minutes.
            connection.settimeout(5)
            for piece in self.answer(self.url):
                connection.sendall(piece)
        self.gone.set()


def drip(beginning: bytes, pieces: bytes) -> Callable[[str], Iterator[bytes]]:
    """Return what sends a beginning, and then a byte now and then for ever."""

    def answer(_url: str) -> Iterator[bytes]:
        yield beginning
        for position in itertools.count():
            time.sleep(0.05)
            yield pieces[position % len(pieces) :][:1]

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[Callable[[str], Iterator[bytes]], str]] = {
    "nothing at all": (lambda _: (time.sleep(0.05) or b"" for _ in range(80)), "timed out|too slow, 0 bytes"),
    "a byte of a header now and then": (drip(OK + b"x: ", b"y"), "too slow, 0 bytes"),
    "a byte of the body now and then": (drip(OK + b"\r\n\x1f\x8b\x08\x08", b"y"), "too slow"),
    "a byte of a chunk's size now and then": (drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"), "too slow"),
    "go on": (lambda _: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), "too slow, 0 bytes"),
    "see yourself": (lambda url: iter([f"HTTP/1.1 302 Found\r\nLocation: {url}\r\n\r\n".encode()]), "redirect"),
    "a redirect with a body that has no end": (
        lambda url: itertools.chain(
            [f"HTTP/1.1 302 F\r\nLocation: {url}\r\n\r\n".encode()], itertools.repeat(b"x" * 999)
        ),
        "redirect",
    ),
    "see elsewhere": (
        lambda _: iter([b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/x\r\n\r\n"]),
        "redirects to ftp:",
    ),
    "headers without end": (lambda _: itertools.chain([OK], itertools.repeat(b"a: b\r\n")), "more than 100 headers"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_slow_mirror_is_given_up_and_the_next_is_tried(
    case: str, tmp_path: Path, mirror: Mirror, tiny: DatasetRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MIRROR_TIMEOUT", 2)
    answer, reason = ANSWERS[case]
    hostile, started = Hostile(answer), time.monotonic()
    with hostile.listener:
        fetch_dataset("tiny", cache_dir=tmp_path, mirrors=[hostile.url, f"{mirror.url}/good/"])
        assert hostile.gone.wait(30), "it was listened to for ever"
        with pytest.raises(DatasetError, match=reason) as caught:
            fetch_dataset("tiny", cache_dir=tmp_path / "other", mirrors=[hostile.url, f"{mirror.url}/none/"])
    # Two seconds are enough for a mirror on this machine, also where others use it.
    assert f"{mirror.url}/none/{tiny.files[0].name}.gz: " in str(caught.value)
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("tiny")
def test_after_an_interrupt_no_partial_file_remains(tmp_path: Path) -> None:
    def interrupt(name: str, _done: int, _total: int | None) -> None:
        if name == TRAIN_LABELS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset("tiny", cache_dir=tmp_path, on_progress=interrupt)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [TRAIN_IMAGES]


@pytest.mark.usefixtures("tiny")
def test_disk_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="cannot write"):
        fetch_dataset("tiny", cache_dir=tmp_path / "file")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match="No space left on device"):
        fetch_dataset("tiny", cache_dir=tmp_path)
    assert list((tmp_path / "tiny").iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "own.npz"])
def test_what_needs_no_files_is_not_fetched(name: str) -> None:
    with pytest.raises(UsageError, match="nothing to fetch"):
        fetch_dataset(name)
