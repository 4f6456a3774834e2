"""Downloads from a server on this machine: what is kept, and what a fetch leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from advae.datasets import DATASETS, DatasetRow, Decoded, IdxFile, fetch_dataset, verify_dataset
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
    assert len(mirror.asked) == 8
    for file in tiny.files:
        assert (file.name, file.size, file.size) in progress
    assert verify_dataset("tiny", cache_dir=tmp_path) == (str(folder), tiny.digest, None)
    fetch_dataset("tiny", cache_dir=tmp_path)
    assert len(mirror.asked) == 8


def test_fetch_repairs_one_file(tmp_path: Path, mirror: Mirror, tiny: DatasetRow) -> None:
    damaged = fetch_dataset("tiny", cache_dir=tmp_path) / TEST_LABELS
    damaged.write_bytes(mark_label(damaged.read_bytes()))
    mirror.asked.clear()
    fetch_dataset("tiny", cache_dir=tmp_path, mirrors=[f"{mirror.url}/good"])
    assert mirror.asked == [f"/good/{TEST_LABELS}.gz"]
    assert verify_dataset("tiny", cache_dir=tmp_path).digest == tiny.digest


BAD_BODIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another file": (lambda d: gzip.compress(mark_label(gzip.decompress(d))), "SHA-256"),
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


@pytest.mark.usefixtures("tiny")
def test_interrupt_leaves_nothing_half_done(tmp_path: Path) -> None:
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
