"""Format of a model's file by its content, and the mend for files that are brought by mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from advae.arrayfiles import DAMAGED, explain, read_regular
from advae.errors import CorruptError, UsageError, printable
from advae.models.added.zip_members import open_zip

TORCH_MEMBER = re.compile(r"(^|/)(data|constants)\.pkl$")
"""Names of pickles in PyTorch's archives."""

MAX_MODEL_FILE = 1 << 30
"""Bytes of a model's file."""

ALLOWED = "expected a model saved as .keras, .skops or .onnx"

INSTALL_MODELS = 'pip install "advae[models]"'

SAVE_AS_KERAS = 'open it with Keras and save it in the new format: model.save("model.keras")'
SAVE_AS_SKOPS = 'save the estimator with skops: skops.io.dump(estimator, "model.skops")'
EXPORT = 'export it: torch.onnx.export(model, (image,), "model.onnx", external_data=False)'


def read_model_file(path: Path) -> bytes:
    """Return the content of a model's file, which is opened this once.

    Raises UsageError where there is no file, CorruptError for a folder or a file that is no model or too long.
    """
    if not path.exists():
        raise UsageError(f"{printable(str(path))}: there is no such file; {ALLOWED}")
    if path.is_dir():
        raise CorruptError(f"{printable(str(path))}: {_describe_folder(path)}")
    try:
        return read_regular(str(path), MAX_MODEL_FILE)
    except (OSError, ValueError) as error:
        raise CorruptError(f"{printable(str(path))}: {explain(error)}; {ALLOWED}") from None


def detect_format(content: bytes, path: Path) -> str:
    """Return ``keras``, ``skops`` or ``onnx``, by the content alone.

    Raises CorruptError that says what the file is and how to save the model instead. path: for the error.
    """
    try:
        found = _name_archive(content) if content[:4] == b"PK\x03\x04" else _name_format(content)
    except DAMAGED as error:
        raise CorruptError(f"{printable(str(path))}: the archive is damaged or refused: {explain(error)}") from None
    if found in ("keras", "skops", "onnx"):
        return found
    raise CorruptError(f"{printable(str(path))}: {found}")


def _describe_folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return f"it is a TensorFlow SavedModel folder; {SAVE_AS_KERAS}"
    return f"it is a folder; {ALLOWED}"


def _name_archive(content: bytes) -> str:
    """Return the format of a zip archive, or a sentence about it."""
    with open_zip(content, writer="a library for models") as archive:
        names = set(archive.namelist())
    if {"config.json", "model.weights.h5"} <= names:
        return "keras"
    if "schema.json" in names:
        return "skops"
    if any(TORCH_MEMBER.search(name) for name in names):
        return f"it is a PyTorch file, which is a pickle; {EXPORT}"
    if names and all(name.endswith(".npy") for name in names):
        return f"it is an .npz of arrays, which says nothing of the layers; {ALLOWED}"
    if "config.json" in names:
        return f"it holds config.json without model.weights.h5: it is damaged; {SAVE_AS_KERAS}"
    return f"it is a zip archive of an unknown kind; {ALLOWED}"


def _name_format(content: bytes) -> str:
    """Return the format of a file that is no archive, or a sentence about it."""
    if is_onnx(content):
        return "onnx"
    return next((told for test, told in BROUGHT_BY_MISTAKE if test(content)), f"its format is unknown; {ALLOWED}")


PACKED = (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"\xfd7zXZ", b"BZh")
"""How files begin that joblib packs with zlib, gzip, xz or bzip2."""


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(marks)


def _is_pickle(content: bytes) -> bool:
    """Return whether a file begins and ends as a pickle of any protocol does, or is one that joblib packed."""
    binary = content[:1] == b"\x80" and content[1:2] in (b"\2", b"\3", b"\4", b"\5")
    text = content[:1] in (b"(", b"c", b"]", b"}") and content.rstrip(b"\n")[-1:] == b"."
    return (
        binary or text or content.startswith((b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"\xfd7zXZ", b"BZh"))
    )


def _is_safetensors(content: bytes) -> bool:
    return content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8


def _is_text(content: bytes) -> bool:
    try:
        return all(one.isprintable() or one.isspace() for one in content[:512].decode("ascii"))
    except UnicodeDecodeError:
        return False


BROUGHT_BY_MISTAKE: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda content: not content, f"it is empty; {ALLOWED}"),
    (_begins(b"\x89HDF\r\n\x1a\n"), f"it is an HDF5 file (.h5), Keras' old format; {SAVE_AS_KERAS}"),
    (_begins(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), f"it is a PyTorch file, which is a pickle; {EXPORT}"),
    (_is_pickle, f"it is a pickle or joblib file, which executes code when it is opened; {SAVE_AS_SKOPS}"),
    (lambda content: content[4:8] == b"TFL3", f"it is a TensorFlow Lite file; {ALLOWED}"),
    (_is_safetensors, f"it is a safetensors file of weights without layers; for PyTorch, {EXPORT}"),
    (_begins(b"\x93NUMPY"), f"it is one array (.npy); {ALLOWED}"),
    (_begins(b"version https://git-lfs"), "it is a pointer of Git LFS, not the file; fetch it: git lfs pull"),
    (_is_text, f"it is a text file; {ALLOWED}"),
)
"""What people bring by mistake: a test of the content, and what the error says."""


_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Numbers of the fields of ONNX's ModelProto, and their types on the wire: 0 a number, 2 bytes."""


def is_onnx(content: bytes) -> bool:
    """Return whether a file is an ONNX model: its outermost fields are a ModelProto's, and fill the file."""
    seen = set[int]()
    try:
        for field, start, end in read_fields(content, 0, len(content)):
            if _MODEL_FIELDS.get(field) != (0 if end < start else 2):
                return False
            seen.add(field)
    except ValueError:
        return False
    return {1, 7} <= seen


def read_fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field of a message of protobuf between two places.

    The end of a number is before its start. Raises ValueError for what is no message.
    """
    while at < end:
        tag, at = _read_number(content, at)
        kind, start = tag & 7, at
        if kind == 2:
            size, start = _read_number(content, at)
            at = start + size
        elif kind in (0, 1, 5):
            at = _read_number(content, at)[1] if kind == 0 else at + (8 if kind == 1 else 4)
        if kind not in (0, 1, 2, 5) or at > end:
            raise ValueError("it is damaged: it is no message of protobuf")
        yield tag >> 3, start, at if kind == 2 else -1


def _read_number(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of up to ten bytes in protobuf's encoding, and where it ends."""
    value = 0
    for place, byte in enumerate(content[at : at + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("it is damaged: it is no message of protobuf")
