"""Change what is read from disk in every way that comes to mind: it is read, or refused by one of our errors.

    python -m tests.fuzz --examples 10000 [--targets manifest,bundle] [--seed N]

Prints how many examples each target read and refused, and records that with the reasons, the memory taken and the
versions in tests/fuzz.json, beside what is recorded there of other targets: two processes with a half of them each take
half as long. The tests run the same targets with fewer examples.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import importlib
import io
import json
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import time
import tracemalloc
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as set_seed
from hypothesis import strategies as st

from advae.backend import start_tensorflow
from advae.datasets.cifar import read_cifar
from advae.datasets.idx import read_idx
from advae.datasets.image_folder import read_image_folder
from advae.datasets.load import load_dataset
from advae.datasets.search import find_dataset
from advae.datasets.table import DATASETS
from advae.errors import AdvaeError, CorruptError, DatasetError, NotFoundError, UsageError
from advae.evaluation.pipelines import list_weights, load_classifier, load_purifier, read_weights
from advae.identity import ID, name_recipe
from advae.models import classifiers, purifiers
from advae.models.baselines import BASELINES
from advae.records import AutoencoderRecipe, ClassifierRecipe, Manifest, entry_id
from advae.registry import Registry, library_versions
from advae.registry.bundles import read_bundle, write_bundle
from advae.registry.collection import find_garbage
from advae.registry.verification import find_problems
from advae.requests import AutoencoderRequest, ClassifierRequest, NetworkRequest
from tests import changed_runs
from tests.calls import call
from tests.datasets import pictures
from tests.datasets.samples import make_batches
from tests.entries import WEIGHTS, encode_npz, list_names, locate, make_metrics, seal_document, seal_first_schema
from tests.hostile.files import encode_dataset
from tests.hostile.members import (
    BLOCK,
    END,
    FIELDS,
    binary_size,
    change_artifact,
    encode_bundle,
    encode_member,
    open_manifest,
    rename_family,
    set_fields,
    take_apart,
    tell_own,
)
from tests.hostile.recipes import encode_arrays
from tests.hostile.rows import put_members
from tests.hostile.scene import MANIFEST, ROOM, Document, Members, build_scene, fit_weights, guard_memory
from tests.models.test_autoencoders import describe

RESULTS = Path(__file__).with_suffix(".json")

TRACED = 8
"""One in so many examples of a long run is traced for the memory that Python and numpy ask for, which takes three times
as long. Of every example the memory is measured that the process comes to hold."""

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Tally:
    """What came of the examples: how many ended in which way, and the most memory that one took.

    defects: what should not have been raised, and the shortest content that did.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    largest: int = 0
    seconds: float = 0.0
    defects: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What is fuzzed. contents: bytes, changed; read: reads them, and returns nothing or raises."""

    contents: st.SearchStrategy[bytes]
    read: Callable[[bytes], None]


# ---------------------------------------------------------------- bytes

EDITS = st.lists(st.tuples(st.integers(0, 1 << 20), st.sampled_from("fcisd"), st.binary(max_size=12)), max_size=3)


def edit(content: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    """Return bytes that are flipped, cut, inserted, spliced or doubled somewhere."""
    for at, how, new in edits:
        at %= len(content) + 1
        before, after = content[:at], content[at:]
        if how == "f" and after:
            content = before + bytes([after[0] ^ (1 << len(new) % 8)]) + after[1:]
        elif how == "c":
            content = before if not new else before + after[len(new) :]
        elif how == "i":
            content = before + new + after
        elif how == "s":
            content = before + new + after[len(new) :]
        elif how == "d":
            content = before + before[-64:] + after
    return content


def pick(draw: Draw, *values: Any) -> Any:
    return draw(st.sampled_from(values))


def one_in(draw: Draw, n: int) -> bool:
    return bool(draw(st.integers(1, n)) == n)


# ---------------------------------------------------------------- manifests

WORDS = ("", "x", "../../x", "/etc/passwd", "\x1b[31m\n", "[/red]", "\u202e", "\ud800", "a\0b", "1", "true", "nan")
NUMBERS = (0, -1, 1, 7, 2**31, 2**63, 10**40, 10**400, 1e-320, 1e308, float("inf"), float("nan"), -0.0, True, None)
JSON = st.recursive(
    st.sampled_from((*WORDS, *NUMBERS)) | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def list_paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all that is in a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [path] if path else []
    return found + [deeper for key, value in inner for deeper in list_paths(value, (*path, key))]


def change_document(draw: Draw, document: Document) -> Document:
    """Return a document some of whose values are others, gone, doubled or in another place."""
    for _ in range(draw(st.integers(1, 2))):
        *way, last = pick(draw, *list_paths(document))
        node: Any = document
        for key in way:
            node = node[key]
        how = pick(draw, "like", "like", "like", "like", "replace", "delete", "add", "wrap", "move")
        if how == "replace":
            node[last] = draw(JSON)
        elif how == "like":
            node[last] = change_value(draw, node[last])
        elif how == "delete":
            del node[last]
        elif how == "add" and isinstance(node, dict):
            node[draw(st.text(max_size=4))] = draw(JSON)
        elif how == "wrap":
            node[last] = [node[last]]
        elif how == "move" and isinstance(node, dict):
            node[last], node[pick(draw, *node)] = node[pick(draw, *node)], node[last]
    return document


def change_value(draw: Draw, value: Any) -> Any:
    """Return another value of the same type, or what is nearly one."""
    if isinstance(value, bool | None):
        return pick(draw, True, False, None, 0)
    if isinstance(value, int | float):
        return pick(draw, value + 1, -value, value * 1.0 if abs(value) < 2**63 else 0, str(value), *NUMBERS)
    if isinstance(value, str):
        return pick(draw, value + "x", value[:-1], value.upper(), [value], *WORDS)
    if isinstance(value, list):
        return pick(draw, [], value * 2, value[:-1], value[::-1])
    return pick(draw, {}, {str(key).upper(): inner for key, inner in value.items()}, list(value))


def seal_somehow(draw: Draw, document: Document) -> bytes:
    """Return a manifest whose seal, and perhaps whose id, fits what it now says."""
    if pick(draw, True, True, False):
        try:
            document = tell_own(document)
        except (KeyError, TypeError, AttributeError, ValueError):
            return seal_document(document)
    if not one_in(draw, 5):
        return seal_document(document)
    try:
        return seal_first_schema(document)
    except ValueError:
        return seal_document(document)


def name_of(content: bytes, otherwise: str) -> str:
    """Return the id under which a manifest would be looked for."""
    with_seal = content.rpartition(b',\n "sha256"')[0] + b"}"
    try:
        id_ = json.loads(with_seal)["id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return otherwise
    return id_ if isinstance(id_, str) and ID.fullmatch(id_) else otherwise


def target_manifests(folder: Path) -> Target:
    scene = build_scene(folder)
    members = take_apart(scene.bundle)
    manifests = [content for name, content in members if name.endswith(MANIFEST)]
    artifacts = [(*name.split(".", 1), content) for name, content in members if not name.endswith(MANIFEST)]

    @st.composite
    def contents(draw: Draw) -> bytes:
        content = pick(draw, *manifests)
        if one_in(draw, 10):
            return edit(content, draw(EDITS)) if draw(st.booleans()) else draw(st.binary(max_size=400))
        return edit(
            seal_somehow(draw, change_document(draw, open_manifest(content))),
            draw(EDITS) if one_in(draw, 10) else [],
        )

    def read(content: bytes) -> None:
        entries = scene.home / "entries"
        shutil.rmtree(entries)
        put_members(scene, members)
        id_ = name_of(content, scene.ae)
        kind = id_.partition("-")[0]
        put_members(scene, [(f"{id_}.{name}", old) for other, name, old in artifacts if other.startswith(f"{kind}-")])
        put_members(scene, [(f"{id_}.{MANIFEST}", content)])
        registry = Registry(scene.home)
        try:
            check_whole_home(registry, id_)
            manifest = registry.manifest(id_)
        finally:
            assert list_names(scene.home / "tmp") == []
        seen = registry.read_summary(id_)
        assert (seen.id, seen.parents, seen.created) == (manifest.id, manifest.parents, manifest.created) or (
            not manifest.created.isprintable()
        )
        assert seen.size == registry.size(manifest)
        shown = call("registry", "show", id_, "--home", scene.home)
        assert shown.code == (4 if find_problems(registry, id_) else 0), shown.err
        assert shown.err.replace("\n", "").isprintable(), shown.err

    return Target(contents(), read)


def check_whole_home(registry: Registry, id_: str) -> None:
    """Hold that what reads all entries meets one that may be anything with nothing but our errors."""
    _, corrupt = registry.list_summaries()
    assert set(corrupt) <= {id_}
    assert registry.scan()[1].keys() >= corrupt.keys()
    registry.summarize_lineage(id_)
    find_problems(registry, id_)
    for use in (lambda: find_garbage(registry), lambda: write_bundle(registry, registry.manifest(id_), io.BytesIO())):
        # A usage error, for what no bundle takes; or a parent is not there.
        with suppress(CorruptError, NotFoundError, UsageError):
            use()
    if not corrupt:
        listed = call("registry", "ls", "--home", registry.home)
        assert listed.code == 0, listed.err
        assert listed.err.replace("\n", "").isprintable(), listed.err


# ---------------------------------------------------------------- IDX

DIMENSIONS = (0, 1, 2, 3, 4, 5, 6, 255, 65_536, 2**31, 2**32 - 1)


def target_idx(folder: Path) -> Target:
    path = folder / "images"
    pixels = np.arange(48, dtype=np.uint8).tobytes()

    @st.composite
    def contents(draw: Draw) -> bytes:
        magic = pick(draw, 0x803, 0x803, 0x803, 0x801, 0x804, 0xD03, 0)
        shape = [pick(draw, *DIMENSIONS), pick(draw, 4, 4, 4, *DIMENSIONS), pick(draw, 4, 4, 4, *DIMENSIONS)]
        content = struct.pack(">4I", magic, *shape) + (pixels * 2)[: draw(st.integers(0, 96))]
        good = struct.pack(">4I", 0x803, 3, 4, 4) + pixels
        content = edit(pick(draw, content, good), draw(EDITS))
        if one_in(draw, 2):
            packed = gzip.compress(content)
            content = edit(packed, draw(EDITS)) if draw(st.booleans()) else packed + pick(draw, b"", packed, b"\0" * 9)
        return content

    def read(content: bytes) -> None:
        path.write_bytes(content)
        array = read_idx(path, limit=(5, 4, 4))
        assert array.shape in {(n, 4, 4) for n in range(1, 6)}
        assert array.dtype == np.uint8

    return Target(contents(), read)


# ---------------------------------------------------------------- CIFAR-10 and folders of images


def target_cifar(folder: Path) -> Target:
    path, batches = folder / "archive.tar.gz", make_batches(1)
    members = [encode_member(f"cifar-10-batches-bin/{name}", content) for name, content in batches.items()]
    archive = DATASETS["cifar-10"].archive
    assert archive

    @st.composite
    def contents(draw: Draw) -> bytes:
        blocks = change_headers(draw, members) if draw(st.booleans()) else members
        if one_in(draw, 3):
            blocks = change_order(draw, blocks)
        content = edit(b"".join(blocks) + END, draw(EDITS)) if one_in(draw, 3) else b"".join(blocks) + END
        packed = gzip.compress(content, 1)
        return edit(packed, draw(EDITS)) if one_in(draw, 4) else packed

    def read(content: bytes) -> None:
        path.write_bytes(content)
        decoded = read_cifar(path, archive, classes=10)
        assert decoded.x_train.shape[1:] == decoded.x_test.shape[1:] == (32, 32, 3)
        assert max(decoded.y_train.max(), decoded.y_test.max()) < 10

    return Target(contents(), read)


def target_pictures(folder: Path) -> Target:
    pictures.write_files(folder, pictures.make_files())
    path = folder / "train" / "cat" / "b.png"
    picture = pictures.draw(1, 6, 4, 3)
    good = [
        pictures.encode(picture),
        pictures.encode(picture, "JPEG"),
        pictures.encode(pictures.draw(1)),
        pictures.claim_png(4, 6, zlib.compress(bytes(30))),
    ]
    # Its import takes more memory than any example may.
    read_image_folder(folder)

    @st.composite
    def contents(draw: Draw) -> bytes:
        content = edit(pick(draw, *good), draw(EDITS))
        return repair_png(content) if draw(st.booleans()) else content

    def read(content: bytes) -> None:
        path.write_bytes(content)
        decoded, classes = read_image_folder(folder, (3, 3) if len(content) % 2 else None)
        assert decoded.x_train.shape[0] == 5
        assert decoded.x_train.dtype == np.uint8
        assert classes == ("cat", "dog")

    return Target(contents(), read)


def repair_png(content: bytes) -> bytes:
    """Return a PNG, the checksums of whose chunks are right as far as their lengths can be followed."""
    at, repaired = 8, content[:8]
    while len(content) >= at + 12:
        length = int.from_bytes(content[at : at + 4], "big")
        if length > len(content):
            break
        body = content[at + 4 : at + 8 + length]
        repaired += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return repaired + content[at:]


# ---------------------------------------------------------------- .npy and .npz

SHAPES = ("()", "(0,)", "(1,)", "(-1,)", "(2, 2)", "(True,)", "(1.5,)", "None", "(1L,)", "(1,)*9", f"({2**61},)", "(")
DTYPES = ("<f4", ">f8", "|u1", "<i8", "|b1", "|O", "<U3", "|V4", "<c8", "<f2", "<M8[s]", "[('a', '<f4')]", "<f99", "")


def change_npy(draw: Draw, content: bytes) -> bytes:
    """Return a .npy whose header says something else, whose data are more or less, or any bytes of which are others."""
    how = pick(draw, "shape", "dtype", "order", "version", "length", "data", "bytes")
    if how == "shape":
        return re.sub(rb"'shape': \([^)]*\)", lambda _: b"'shape': " + pick(draw, *SHAPES).encode(), content, count=1)
    if how == "dtype":
        return re.sub(rb"'descr': '[^']*'", lambda _: f"'descr': {pick(draw, *DTYPES)!r}".encode(), content, count=1)
    if how == "order":
        return content.replace(b"False", pick(draw, b"True ", b"None ", b"1    ", b"{}   "), 1)
    if how == "version":
        return content[:6] + bytes(draw(st.tuples(st.integers(0, 255), st.integers(0, 3)))) + content[8:]
    if how == "length":
        return content[:8] + draw(st.binary(min_size=2, max_size=4)) + content[10:]
    if how == "data":
        return content + draw(st.binary(max_size=9)) if draw(st.booleans()) else content[: -draw(st.integers(1, 200))]
    return edit(content, draw(EDITS))


ZIP_FIELDS = {b"PK\x03\x04": (4, 6, 8, 14, 18, 22, 26, 28), b"PK\x01\x02": (8, 10, 16, 20, 24, 28, 30, 42)}
"""Signature -> where in the header are: version, flags, packing, checksum, sizes, lengths of names, place."""


def change_zip(draw: Draw, content: bytes) -> bytes:
    """Return an archive some fields of whose headers are others."""
    for _ in range(draw(st.integers(1, 2))):
        signature = pick(draw, *ZIP_FIELDS)
        places = [found.start() for found in re.finditer(re.escape(signature), content)]
        if not places:
            break
        at = pick(draw, *places) + pick(draw, *ZIP_FIELDS[signature])
        value = pick(draw, 0, 1, 8, 12, 99, 0xFFFF, 0xFFFFFFFF, draw(st.integers(0, 2**32 - 1)))
        size = pick(draw, 2, 4)
        content = content[:at] + (value % (1 << 8 * size)).to_bytes(size, "little") + content[at + size :]
    return content


def change_npz(draw: Draw, members: dict[str, bytes]) -> bytes:
    """Return an .npz changed in its members, its names, its headers or its bytes; most often in one of them only."""
    members = dict(members)
    how = pick(draw, "member", "member", "member", "names", "zip", "zip", "bytes", "nothing")
    if how == "member":
        name = pick(draw, *members)
        members[name] = change_npy(draw, members[name])
    if how == "names":
        name = pick(draw, *members)
        members[pick(draw, "x.npy", "../x.npy", name.removesuffix(".npy"), "\u202e.npy", "\x1b[2J")] = members.pop(name)
    packing = pick(draw, 0, 0, 8)
    # A name that is there twice is written with a warning.
    content = encode_npz(members, packing)
    if how == "zip":
        return change_zip(draw, content)
    return edit(content, draw(EDITS)) if how == "bytes" else content


def list_npys(arrays: dict[str, Any]) -> dict[str, bytes]:
    """Return arrays as the members of an .npz."""
    members = {}
    for name, array in arrays.items():
        np.save(stream := io.BytesIO(), array)
        members[f"{name}.npy"] = stream.getvalue()
    return members


def target_datasets(folder: Path) -> Target:
    path, rng = folder / "own.npz", np.random.default_rng(0)
    x, y = rng.integers(0, 255, (4, 3, 3)).astype(np.uint8), np.arange(4) % 2
    members = list_npys({"x_train": x, "y_train": y, "x_test": x / 255, "y_test": y})

    @st.composite
    def contents(draw: Draw) -> bytes:
        if one_in(draw, 20):
            return pick(draw, draw(st.binary(max_size=200)), encode_dataset(draw(st.binary(max_size=200))))
        return change_npz(draw, members)

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = find_dataset(str(path))
        dataset = load_dataset(str(path))
        assert (found.problem, found.train) == (None, len(dataset.x_train))
        for images in (dataset.x_train, dataset.x_test):
            assert images.min() >= 0
            assert images.max() <= 1
        assert dataset.y_train.max() < len(dataset.ref.classes)

    return Target(contents(), read)


def target_weights(folder: Path) -> Target:
    scene = build_scene(folder)
    members, npys = take_apart(scene.bundle), list_npys(fit_weights(2))

    @st.composite
    def contents(draw: Draw) -> bytes:
        return draw(st.binary(max_size=200)) if one_in(draw, 20) else change_npz(draw, npys)

    def read(content: bytes) -> None:
        put_members(scene, change_artifact(members, content))
        problems = find_problems(scene.registry, scene.ae)
        try:
            arrays = scene.registry.read_arrays(scene.registry.manifest(scene.ae), "weights.npz")
        except CorruptError:
            assert problems, "verify finds nothing wrong with what cannot be read"
            raise
        assert not problems, problems
        assert all(array.dtype.kind in "buif" for array in arrays.values())
        assert sum(array.nbytes for array in arrays.values()) <= len(content)

    return Target(contents(), read)


# ---------------------------------------------------------------- recipes and the weights that they claim

SIZES = (0, 1, 2, 3, 4, 5, 8, 64, 4096, 65_536, 10**6, 2**31, 10**40)
TYPES = ("f2", "f8", ">f4", "i4", "u1", "?")
TINY = NetworkRequest(hidden=3, code=2, epochs=1)
NARROW = NetworkRequest(code=2, epochs=1)
THIN = NetworkRequest(hidden=3, epochs=1)
APPLIED = 1 << 10
"""Pixels of the images that a model may take to be applied: what it makes of larger ones takes memory of its own."""


def make_models(folder: Path) -> list[tuple[Document, dict[str, Any]]]:
    """Return a good manifest, open, and good arrays of every kind of autoencoder, baseline and classifier."""
    dataset = load_dataset(str(build_scene(folder).dataset))
    recipes: list[AutoencoderRecipe | ClassifierRecipe] = [
        classifiers.make_classifier_recipe(ClassifierRequest(model=kind, network=network), dataset, None)
        for kind, network in (("lr", None), ("nn", TINY), ("mlp", THIN), ("cnn", THIN))
    ]
    # The first one is what those protect that are trained in front of a frozen classifier.
    recipes += [
        describe(AutoencoderRequest(type=kind, network=network, options=options), dataset, entry_id(recipes[0]))
        for kind in purifiers.AUTOENCODERS
        for network in [NetworkRequest() if kind in BASELINES else NARROW if kind == "cascade" else TINY]
        # The default body of certified has no code; the reduction of a cascade needs no classifier.
        for options in [{"certified": {"body": "conv"}, "cascade": {"stages": "reduce"}}.get(kind, {})]
    ]
    assert {"lr", "nn", "mlp", "cnn"} == classifiers.CLASSIFIERS.keys()
    registry, rng, made = Registry(folder / "models"), np.random.default_rng(0), []
    for recipe in recipes:
        arrays = {
            name: np.arange(weight.shape[0])
            if weight.dtypes == ("int64",)
            else rng.random(weight.shape, dtype=np.float32)
            for name, weight in list_weights(recipe).items()
        }
        manifest = registry.publish(recipe, make_metrics(recipe), {WEIGHTS: arrays})
        made.append((open_manifest(locate(registry, manifest).read_bytes()), arrays))
    return made


def change_recipe(draw: Draw, recipe: Document) -> None:
    """Let some numbers of a recipe be others, most often sizes that a layer could have."""
    for _ in range(draw(st.integers(0, 2))):
        *way, last = pick(draw, *list_paths(recipe))
        node: Any = recipe
        for key in way:
            node = node[key]
        is_size = isinstance(node[last], int) and not one_in(draw, 4)
        node[last] = pick(draw, *SIZES) if is_size else change_value(draw, node[last])


def change_arrays(draw: Draw, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays of which one is gone, there twice, or of another shape or type; mostly they are as they were."""
    how = pick(draw, "nothing", "nothing", "nothing", "gone", "more", "shape", "type", "name")
    if how == "more" or not arrays:
        return arrays | ({} if how == "nothing" else {"9.9": np.zeros(pick(draw, *SIZES[:9]), "f4")})
    name = pick(draw, *arrays)
    array, others = arrays[name], {other: kept for other, kept in arrays.items() if other != name}
    changed = {
        "gone": lambda: {},
        "shape": lambda: {
            name: np.zeros([pick(draw, *SIZES[:7]) for _ in range(draw(st.integers(0, 3)))], array.dtype)
        },
        "type": lambda: {name: array.astype(pick(draw, *TYPES))},
        "name": lambda: {pick(draw, "0", "0.00", "\u202e", "../0.0", "0.10"): array},
    }
    return others | changed[how]() if how in changed else arrays


def target_models(folder: Path) -> Target:
    # Their imports take more memory than any example may.
    start_tensorflow()
    importlib.import_module("sklearn.linear_model")
    models = make_models(folder)
    registry = Registry(folder / "models")

    @st.composite
    def contents(draw: Draw) -> bytes:
        document, arrays = pick(draw, *models)
        document = json.loads(json.dumps(document))
        change_recipe(draw, document["recipe"])
        with suppress(KeyError, TypeError, AttributeError, ValueError):
            document = tell_own(document)
        weights = encode_arrays(change_arrays(draw, arrays))
        described = {"sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights)}
        document["artifacts"] = {WEIGHTS: described}
        sealed = seal_document(document)
        id_ = name_of(sealed, "ae-000000000000")
        return encode_bundle([(f"{id_}.{MANIFEST}", sealed), (f"{id_}.{WEIGHTS}", weights)])

    def read(content: bytes) -> None:
        shutil.rmtree(registry.folders.entries, ignore_errors=True)
        for name, stored in take_apart(content):
            id_, _, file = name.partition(".")
            entry = registry.folders.entries / id_
            entry.mkdir(parents=True, exist_ok=True)
            (entry / file).write_bytes(stored)
        manifest = registry.manifest(id_)
        with guard_memory():
            use_model(registry, manifest)

    return Target(contents(), read)


def use_model(registry: Registry, manifest: Manifest) -> None:
    """Load a model and apply it to images, as purify, predict and export do."""
    recipe = manifest.recipe
    x = np.zeros((2, recipe.dataset.shape.size if recipe.dataset.shape.size <= APPLIED else 0), np.float32)
    if isinstance(recipe, AutoencoderRecipe):
        purifier = load_purifier(registry, manifest)
        assert not x.size or purifier(x, 0).shape == x.shape
    elif isinstance(recipe, ClassifierRecipe):
        logits = load_classifier(registry, manifest)
        assert not x.size or logits(x).shape == (2, len(recipe.dataset.classes))
        if rebuild := classifiers.CLASSIFIERS[recipe.model].rebuild:
            rebuild(recipe, read_weights(registry, manifest, recipe), None)


# ---------------------------------------------------------------- bundles


def change_headers(draw: Draw, blocks: list[bytes]) -> list[bytes]:
    """Return a tar's members, one of whose headers says something else, with the checksum that fits."""
    at = draw(st.integers(0, len(blocks) - 1))
    name = pick(draw, *(name for name in FIELDS if name != "checksum"))
    if name == "size":
        size = pick(draw, -1, 0, 1, 511, 512, 513, 2**31, 2**43, 2**63, draw(st.integers(0, 5000)))
        value = binary_size(size) if size < 0 or draw(st.booleans()) else b"%o" % size
    else:
        value = draw(st.binary(max_size=FIELDS[name][1]))
    return [*blocks[:at], set_fields(blocks[at], **{name: value}) + blocks[at][BLOCK:], *blocks[at + 1 :]]


def change_order(draw: Draw, blocks: list[bytes]) -> list[bytes]:
    """Return a tar's members with one gone, doubled, or in another place."""
    blocks = list(blocks)
    block = blocks.pop(draw(st.integers(0, len(blocks) - 1)))
    how = pick(draw, "gone", "twice", "elsewhere", "reversed")
    if how == "reversed":
        return blocks[::-1]
    for _ in range({"gone": 0, "twice": 2, "elsewhere": 1}[how]):
        blocks.insert(draw(st.integers(0, len(blocks))), block)
    return blocks


def change_manifest(draw: Draw, members: Members) -> Members:
    """Return a bundle with one manifest changed and sealed, its name and that of its artifacts as it now says."""
    manifests = [name for name, _ in members if name.endswith(MANIFEST)]
    chosen = pick(draw, *manifests)
    content = seal_somehow(draw, change_document(draw, open_manifest(dict(members)[chosen])))
    old = chosen.partition(".")[0]
    new = name_of(content, old)
    changed = [(name, content if name == chosen else kept) for name, kept in members]
    return [(name.replace(old, new), kept) for name, kept in changed]


def target_bundles(folder: Path) -> Target:
    scene = build_scene(folder)
    members, npys = take_apart(scene.bundle), list_npys(fit_weights(2))
    other, ae = Registry(folder / "other"), scene.registry.manifest(scene.ae)
    other.publish(ae.recipe, ae.metrics, {WEIGHTS: {name: -array for name, array in fit_weights(2).items()}})

    @st.composite
    def contents(draw: Draw) -> bytes:
        how = pick(draw, "manifest", "manifest", "weights", "header", "header", "order", "bytes", "nothing")
        changed = members
        if how == "manifest":
            changed = change_manifest(draw, members)
        if how == "weights":
            changed = change_artifact(members, change_npz(draw, npys))
        blocks = [encode_member(name, content) for name, content in changed]
        if how == "header":
            blocks = change_headers(draw, blocks)
        if how == "order":
            blocks = change_order(draw, blocks)
        content = b"".join(blocks) + END
        if how == "bytes":
            content = draw(st.binary(max_size=2000)) if one_in(draw, 10) else edit(content, draw(EDITS))
        if one_in(draw, 5):
            content = gzip.compress(content, 1)
            content = edit(content, draw(EDITS)) if draw(st.booleans()) else content
        return content

    def read(content: bytes) -> None:
        home = folder / "new"
        shutil.rmtree(home, ignore_errors=True)
        registry = Registry(home)
        try:
            imported = read_bundle(registry, io.BytesIO(content))
        except CorruptError:
            assert registry.ids() == list_names(home / "tmp") == []
            assert sorted(list_names(home)) == ["VERSION", "entries", "locks", "tmp"]
            raise
        assert list_names(home / "tmp") == []
        assert registry.ids() == sorted(imported.ids)
        assert set(list_names(home)) == {"VERSION", "entries", "locks", "tmp"}
        seen, corrupt = registry.list_summaries()
        assert not corrupt
        for entry in seen:
            assert find_problems(registry, entry.id) == []
            assert set(entry.parents) <= set(imported.ids)
            assert entry.id == name_recipe(registry.manifest(entry.id).recipe.model_dump(mode="json"))
        again = io.BytesIO()
        write_bundle(registry, registry.manifest(imported.ids[-1]), again)
        assert read_bundle(registry, io.BytesIO(again.getvalue())).present
        take_beside_other_weights(content, imported.ids)

    def take_beside_other_weights(content: bytes, ids: tuple[str, ...]) -> None:
        """Import what is good where its autoencoder has other weights: no entry then rests on them."""
        try:
            read_bundle(other, io.BytesIO(content))
        except CorruptError:
            assert other.ids() == [scene.ae]
        for id_ in other.ids():
            assert find_problems(other, id_) == []
            assert id_ == scene.ae or scene.ae not in ids
            if id_ != scene.ae:
                other.remove_all([id_])

    return Target(contents(), read)


# ---------------------------------------------------------------- runs in a report


def change_family(draw: Draw, members: Members) -> Members:
    """Return a family one of whose manifests says something else, its id and its children's as they now are."""
    chosen = pick(draw, "run", "run", "run", *{name.partition("-")[0] for name, _ in members})

    def change(document: Document) -> None:
        changed = change_document(draw, json.loads(json.dumps(document)))
        # What is no manifest at all is another target's.
        if {"recipe", "metrics", "artifacts"} <= changed.keys():
            document |= {name: changed[name] for name in ("recipe", "metrics", "artifacts")}

    try:
        return rename_family(members, {chosen: change})
    except (KeyError, TypeError, AttributeError, ValueError):
        return members


def target_reports(folder: Path) -> Target:
    scene = changed_runs.Scene(folder)

    @st.composite
    def contents(draw: Draw) -> bytes:
        members = changed_runs.draw_family(draw, folder / "family")
        how = pick(draw, "", "arrays", "manifest", "manifest")
        if how == "arrays":
            members = changed_runs.change_arrays(draw, members)
        elif how:
            members = change_family(draw, members)
        return encode_bundle(members)

    return Target(contents(), scene.read)


TARGETS: dict[str, tuple[Callable[[Path], Target], type[AdvaeError]]] = {
    "manifest": (target_manifests, CorruptError),
    "idx": (target_idx, DatasetError),
    "cifar": (target_cifar, DatasetError),
    "pictures": (target_pictures, DatasetError),
    "dataset": (target_datasets, DatasetError),
    "weights": (target_weights, CorruptError),
    "model": (target_models, CorruptError),
    "bundle": (target_bundles, CorruptError),
    "report": (target_reports, CorruptError),
}
"""Name -> what builds the target in a folder, and the only error that it may raise."""

# ---------------------------------------------------------------- running


def fuzz(name: str, *, examples: int, folder: Path, long: bool = False, seed: int | None = None) -> Tally:
    """Return what came of some examples; raises what hypothesis raises of the smallest one that was a defect.

    long: measure memory, and go on after a defect.
    """
    build, refusal = TARGETS[name]
    target, tally = build(folder), Tally()

    def attempt(content: bytes) -> None:
        peak = Peak()
        try:
            with weigh(peak, traced=long and not sum(tally.outcomes.values()) % TRACED):
                outcome = read_or_refuse(target, refusal, content)
            assert peak.taken < len(content) + ROOM, f"{peak.taken >> 20} MiB for {len(content)} bytes"
        # A defect of the package, of whatever type.
        except Exception as defect:
            if not long:
                raise
            reason = shorten(f"{type(defect).__name__}: {defect}")[:200]
            tally.defects[reason] = min(tally.defects.get(reason, content), content, key=len)
            outcome = "defect"
        tally.outcomes[outcome[:70]] += 1
        tally.peak = max(tally.peak, peak.taken)
        tally.largest = max(tally.largest, len(content))

    limits = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    run = limits(given(target.contents)(attempt))
    started = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The disk is not read after an example.
        patch.setattr(os, "fsync", lambda handle: None)
        (run if seed is None else set_seed(seed)(run))()
    tally.seconds = time.monotonic() - started
    return tally


@dataclass
class Peak:
    """Bytes that an example took beyond what was there before it."""

    taken: int = 0


@contextmanager
def weigh(peak: Peak, *, traced: bool) -> Iterator[None]:
    """Measure the memory that is taken meanwhile: what the process holds, or where it is traced what it asks for."""
    before = reset_held()
    if traced:
        tracemalloc.start()
    try:
        yield
    finally:
        asked = tracemalloc.get_traced_memory()[1] if traced else 0
        tracemalloc.stop()
        peak.taken = max(asked, read_held() - before)


HELD, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_held() -> int:
    """Return the bytes that the process holds, from which its peak is counted anew; 0 where the system cannot tell."""
    with suppress(OSError):
        RESET.write_text("5")
    return read_held()


def read_held() -> int:
    """Return the most bytes that the process held since."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", HELD.read_text())
        return int(found[1]) << 10 if found else 0
    return 0


def read_or_refuse(target: Target, refusal: type[AdvaeError], content: bytes) -> str:
    """Return ``read``, or the reason of a refusal, which must fit one line of a terminal."""
    try:
        target.read(content)
    except refusal as error:
        reason = str(error)
    else:
        return "read"
    assert reason.isprintable(), repr(reason)
    return shorten(reason)


def shorten(reason: str) -> str:
    """Return the reason of a refusal without names and numbers, to be counted."""
    reason = reason.partition("; the command that made")[0]
    reason = re.sub(r"/\S+|\b(ae|clf|run)-[0-9a-f]+|'[^']*'|\"[^\"]*\"|\S*\d\S*", "#", reason)
    return " ".join(reason.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    failed = False
    for name in options.targets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(name, examples=options.examples, folder=Path(folder), long=True, seed=options.seed)
        count = sum(tally.outcomes.values())
        read, defects = (tally.outcomes.pop(outcome, 0) for outcome in ("read", "defect"))
        reasons = dict(tally.outcomes.most_common(20))
        found = {
            "examples": count,
            "read": read,
            "refused": count - read - defects,
            "defects": {reason: repr(content[:4000]) for reason, content in tally.defects.items()},
            "reasons": len(tally.outcomes),
            "commonest_reasons": reasons,
            "largest_bytes": tally.largest,
            "peak_bytes": tally.peak,
            "seconds": round(tally.seconds, 1),
            "seed": options.seed,
        }
        print(
            f"{name}: {count} examples, {read} read, {count - read - defects} refused for {len(tally.outcomes)} "
            f"reasons, {tally.peak >> 10} KiB at most, {tally.seconds:.0f} s",
            flush=True,
        )
        for reason in tally.defects:
            print(f"  defect: {reason}", flush=True)
        failed |= bool(tally.defects)
        record(name, found)
    sys.exit(failed)


def record(name: str, found: dict[str, Any]) -> None:
    """Put what came of a target beside what is recorded of the others, perhaps by another process just now."""
    versions = library_versions() | {"hypothesis": hypothesis.__version__, "zlib": zlib.ZLIB_VERSION}
    with RESULTS.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        targets = json.loads(stream.read() or "{}").get("targets", {}) | {name: found}
        kept = {known: targets[known] for known in TARGETS if known in targets}
        stream.truncate(0)
        stream.write(json.dumps({"versions": versions, "targets": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
