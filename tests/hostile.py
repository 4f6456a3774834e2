"""The malicious corpus: files, bundles and tampered entries that every command must refuse, each a row of CORPUS."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.datasets import load_dataset
from advae.identity import STORE_SCHEMA, digest_weights, name_recipe
from advae.models.robust import ROBUST_OPTIONS
from advae.registry import Registry
from advae.registry.bundles import write_bundle
from tests.entries import (
    ABSENT_DIGEST,
    BAD_NPY,
    BAD_NPZ,
    NETWORK,
    SINCE_FIRST,
    WEIGHTS,
    Canary,
    encode_npy,
    encode_npz,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    repeat_member,
    seal_document,
    seal_first_schema,
)

SIDE = 2
MANIFEST = "manifest.json"
EIB8 = 1 << 63
TIB8 = 1 << 43

ROOM = 64 << 20
"""Bytes that a command may take besides what it is offered."""

Document = dict[str, Any]
Change = Callable[[Document], Any]
Members = list[tuple[str, bytes]]


# ---------------------------------------------------------------- the scene


@dataclass(frozen=True)
class Scene:
    """A home with a working pipeline, untrained but whole, and a folder for what is offered to it.

    home: entries ae, clf (lr behind ae) and run, with tags. file: where a hostile file is laid. images, dataset: good
    ones, of two classes of 2 x 2 pixels. bundle: the good bundle of the run. canary: what a pickle would touch.
    """

    home: Path
    folder: Path
    dataset: Path
    ae: str
    clf: str
    run: str
    bundle: bytes
    file: Path
    images: Path
    canary: Canary

    @property
    def registry(self) -> Registry:
        return Registry(self.home)

    def entry(self, id_: str) -> Path:
        return self.home / "entries" / id_


def fit_weights(side: int, hidden: int = NETWORK.hidden, code: int = NETWORK.code) -> dict[str, np.ndarray[Any, Any]]:
    """Return weights, drawn, of the autoencoder of a recipe."""
    rng, pixels = np.random.default_rng(0), side * side
    shapes = {"0.0": (pixels, hidden), "0.1": (hidden,), "0.2": (hidden, code), "0.3": (code,)}
    shapes |= {"1.0": (code, hidden), "1.1": (hidden,), "1.2": (hidden, pixels), "1.3": (pixels,)}
    return {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}


def fit_regression(side: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return coefficients, drawn, of a logistic regression of two classes."""
    coef = np.random.default_rng(0).normal(size=(1, side * side))
    return {"coef": coef, "intercept": np.zeros(1), "classes": np.arange(2)}


def build_scene(folder: Path) -> Scene:
    """Return a scene that is never written to, to be copied."""
    rng, dataset, home = np.random.default_rng(0), folder / "own.npz", folder / "home"
    x, y = rng.random((16, SIDE, SIDE)), np.arange(16) % 2
    np.savez(dataset, x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])
    np.save(folder / "images.npy", x.astype("f4"))
    ref, registry = load_dataset(str(dataset)).ref, Registry(home)
    source = str(dataset)
    ae_recipe = make_autoencoder_recipe(dataset=ref, loss="categorical-crossentropy")
    ae = registry.publish(ae_recipe, make_metrics(ae_recipe), {WEIGHTS: fit_weights(SIDE)}, source=source)
    options = {"C": 1.0, "intercept": True, "max_iter": 100}
    clf_recipe = make_classifier_recipe(model="lr", dataset=ref, autoencoder=ae.id, options=options)
    clf = registry.publish(clf_recipe, make_metrics(clf_recipe), {WEIGHTS: fit_regression(SIDE)}, source=source)
    run_recipe = make_run_recipe(dataset=ref, classifier=clf.id)
    outcomes = {"outcomes.npz": {"correct": np.ones(8, bool)}, "samples.npz": {"x": np.zeros((2, 4), "f4")}}
    run = registry.publish(run_recipe, make_metrics(run_recipe), outcomes, source=source)
    registry.tag(ae, "best")
    for entry in (ae, clf, run):
        registry.mark_latest(entry)
    bundle = io.BytesIO()
    write_bundle(registry, run, bundle)
    canary = Canary(folder / "canary")
    file, images = folder / "hostile", folder / "images.npy"
    return Scene(home, folder, dataset, ae.id, clf.id, run.id, bundle.getvalue(), file, images, canary)


def copy_scene(scene: Scene, folder: Path) -> Scene:
    """Return the scene in a folder of its own, to be spoilt."""
    (folder / "offered").mkdir()
    shutil.copytree(scene.home, folder / "home")
    shutil.copy(scene.images, folder / "offered" / "images.npy")
    file, images = folder / "offered" / "hostile.npz", folder / "offered" / "images.npy"
    canary = Canary(folder / "canary")
    return replace(scene, home=folder / "home", folder=folder / "offered", file=file, images=images, canary=canary)


@contextmanager
def guard_memory() -> Iterator[None]:
    """Let Keras draw no large weights: what TensorFlow takes is not traced, and may be more than there is."""
    import keras

    draw = keras.initializers.VarianceScaling.__call__

    def draw_small(self: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
        if math.prod(shape) * 4 > ROOM:
            raise AssertionError(f"takes more than {ROOM >> 20} MiB for weights")
        return draw(self, shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", draw_small)
        yield


# ---------------------------------------------------------------- tar, byte by byte

FIELDS = {"name": (0, 100), "mode": (100, 8), "size": (124, 12), "checksum": (148, 8), "type": (156, 1)}
FIELDS |= {"linkname": (157, 100), "magic": (257, 8), "prefix": (345, 155)}
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)


def encode_header(name: str, length: int, **fields: bytes) -> bytes:
    """Return a ustar header, some of its fields replaced byte for byte, the checksum right unless it is given."""
    info = tarfile.TarInfo(name)
    info.size = length
    return set_fields(info.tobuf(tarfile.USTAR_FORMAT), **fields)


def set_fields(header: bytes, **fields: bytes) -> bytes:
    """Return a header with other fields and the checksum that then fits."""
    block = bytearray(header)
    for key, value in fields.items():
        at, length = FIELDS[key]
        block[at : at + length] = value[:length].ljust(length, b"\0")
    if "checksum" not in fields:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pad(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def encode_member(name: str, content: bytes, **fields: bytes) -> bytes:
    return encode_header(name, len(content), **fields) + pad(content)


def encode_bundle(members: Members) -> bytes:
    return b"".join(encode_member(name, content) for name, content in members) + END


def take_apart(bundle: bytes) -> Members:
    """Return names and contents of a good bundle."""
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]


def binary_size(size: int) -> bytes:
    """Return a tar's size field in base 256, which has room for 88 bits and a sign."""
    return (size % (1 << 95) | (1 << 95)).to_bytes(12, "big")


# ---------------------------------------------------------------- manifests, forged


def open_manifest(content: bytes) -> Document:
    document: Document = json.loads(content)
    document.pop("sha256")
    return document


def change_members(members: Members, change: Change, *, of: str = "ae", first_schema: bool = False) -> Members:
    """Return a bundle's members with a manifest changed and sealed anew."""
    changed = []
    for name, content in members:
        if name.startswith(f"{of}-") and name.endswith(MANIFEST):
            document = open_manifest(content)
            change(document)
            content = (seal_first_schema if first_schema else seal_document)(document)
        changed.append((name, content))
    return changed


def change_artifact(members: Members, content: bytes, *, of: str = "ae") -> Members:
    """Return a bundle's members with the weights of an entry replaced, digest and size in its manifest too."""
    described = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    members = change_members(members, lambda stored: stored["artifacts"].update({WEIGHTS: described}), of=of)
    return settle_digests(
        [(name, content if name.startswith(f"{of}-") and name.endswith(WEIGHTS) else old) for name, old in members]
    )


def settle_digests(members: Members) -> Members:
    """Return a bundle's members whose manifests name the weights of the parents that come before them."""
    weights: dict[str, str] = {}
    settled: Members = []
    for name, content in members:
        # What is forged in other ways stays as it is.
        with suppress(KeyError, TypeError, AttributeError, ValueError):
            document = open_manifest(content) if name.endswith(MANIFEST) else {}
            artifacts = {file: one["sha256"] for file, one in document["artifacts"].items()}
            weights[name.partition(".")[0]] = digest_weights(artifacts)
            known = {id_: weights[id_] for id_ in document["parent_digests"] if id_ in weights}
            if known:
                content = seal_document(document | {"parent_digests": document["parent_digests"] | known})
        settled.append((name, content))
    return settled


def tell_own(document: Document) -> Document:
    """Return a document whose id, parents and dataset are its recipe's, with a digest for each of the parents."""
    recipe = document["recipe"]
    parents = [recipe[name] for name in ("autoencoder", "classifier", "twin") if recipe.get(name)]
    own = {name: recipe["dataset"][name] for name in ("name", "digest")}
    own_fields = {"id": name_recipe(recipe), "parents": parents, "dataset": own}
    if document["schema"] == STORE_SCHEMA:
        texts = [parent for parent in parents if isinstance(parent, str)]
        own_fields["parent_digests"] = dict.fromkeys(texts, ABSENT_DIGEST) | document["parent_digests"]
    return document | own_fields


def rename_family(members: Members, changes: dict[str, Change]) -> Members:
    """Return the members of a family whose manifests are changed by kind, with ids and parents that fit again.

    As an attacker who knows how ids are made would forge them: every digest fits, only the content is wrong.
    """
    renamed: dict[str, str] = {}
    made: Members = []
    for name, content in members:
        id_, _, file = name.partition(".")
        if file == MANIFEST:
            text = content.decode()
            for old, new in renamed.items():
                text = text.replace(old, new)
            document = open_manifest(text.encode())
            changes.get(id_.partition("-")[0], lambda stored: None)(document)
            document = tell_own(document)
            renamed[id_] = document["id"]
            content = seal_document(document)
        made.append((f"{renamed[id_]}.{file}", content))
    return settle_digests(made)


def seal_text(document: Document, old: str, new: str) -> bytes:
    """Return a sealed manifest with text in it that no JSON writer would write."""
    text = json.dumps(document, indent=1).removesuffix("\n}")
    assert old in text
    body = text.replace(old, new, 1).encode()
    return body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


# ---------------------------------------------------------------- rows


@dataclass(frozen=True)
class Hostile:
    """A row of CORPUS.

    lay: puts it where commands will find it, and returns the scene if its ids are others then. offers: command -> the
    code that it must end with.
    """

    lay: Callable[[Scene], Scene | None]
    offers: dict[str, int] = field(default_factory=dict)


COMMANDS: dict[str, tuple[str, ...]] = {
    "import": ("registry", "import", "{file}"),
    "import --force": ("registry", "import", "{file}", "--force"),
    "import the good one": ("registry", "import", "{folder}/good.tar"),
    "show": ("registry", "show", "{ae}"),
    "show clf": ("registry", "show", "{clf}"),
    "show run": ("registry", "show", "{run}"),
    "verify": ("registry", "verify", "{clf}"),
    "verify all": ("registry", "verify"),
    "gc": ("registry", "gc"),
    "tag": ("registry", "tag", "{ae}", "mine"),
    "export": ("registry", "export", "{run}", "{folder}/out.tar"),
    "export keras": ("registry", "export", "{clf}", "{folder}/out.keras", "--format", "keras"),
    "export joblib": ("registry", "export", "{clf}", "{folder}/out.joblib", "--format", "joblib"),
    "purify": ("purify", "--ae", "{ae}", "{images}", "{folder}/out.npy"),
    "predict": ("predict", "--clf", "{clf}", "{images}"),
    "attack": ("attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{clf}"),
    "purify it": ("purify", "--ae", "{ae}", "{file}", "{folder}/out.npy"),
    "predict it": ("predict", "--clf", "{clf}", "{file}"),
    "train-ae": ("train-ae", "--type", "vanilla", "--epochs", "1", "--dataset", "{file}"),
    "train-clf": ("train-clf", "--model", "lr", "--dataset", "{file}"),
    "ls --dataset": ("registry", "ls", "--dataset", "{file}"),
    "data verify": ("data", "verify", "{file}"),
    "data verify mnist": ("data", "verify", "mnist", "--data-dir", "{folder}"),
    "train-ae mnist": ("train-ae", "--type", "vanilla", "--dataset", "mnist", "--data-dir", "{folder}"),
}
"""Every command that reads an entry, a bundle, an .npz or .npy, as ``Scene`` fills it in."""

BUNDLE = {"import": 4}
REPLACING = BUNDLE | {"import --force": 4}
IMAGES = dict.fromkeys(("purify it", "predict it"), 6)
DATASET = dict.fromkeys(("train-ae", "ls --dataset", "data verify"), 6)
MNIST = dict.fromkeys(("data verify mnist", "train-ae mnist"), 6)
FILE = REPLACING | IMAGES | DATASET | {"train-clf": 6}
USED = dict.fromkeys(("purify", "predict", "attack", "export keras"), 4)
SEALED = dict.fromkeys(("show", "purify", "predict", "attack", "verify all"), 4)
READ = dict.fromkeys(("predict", "verify all"), 4)
FORGED = dict.fromkeys(("show", "verify", "purify", "predict", "attack"), 4)
DAMAGED = SEALED | dict.fromkeys(("verify", "export", "export keras", "import the good one"), 4)
LOST = DAMAGED | {"tag": 4}

CORPUS: dict[str, Hostile] = {}


def add_bundle(name: str, make: Callable[[Scene], bytes], offers: dict[str, int] = BUNDLE) -> None:
    """Add a file, by default one that is offered as a bundle."""
    CORPUS[name] = Hostile(lambda scene: (scene.file.write_bytes(make(scene)), None)[1], offers)


def add_members(name: str, change: Callable[[Members], Members], offers: dict[str, int] = BUNDLE) -> None:
    """Add a tar of the members of a good bundle, changed: a run, its classifier and its autoencoder, oldest first."""
    add_bundle(name, lambda scene: encode_bundle(change(take_apart(scene.bundle))), offers)


def add_first_member(label: str, /, **fields: bytes) -> None:
    """Add a good bundle, some fields of whose first header are others and its checksum right."""
    add_bundle(label, lambda scene: set_fields(scene.bundle[:BLOCK], **fields) + scene.bundle[BLOCK:])


def add_weights(name: str, make: Callable[[Scene], bytes], offers: dict[str, int] | None = None) -> None:
    """Add weights whose digest fits, in a bundle and in an entry."""
    add_bundle(f"bundle: {name}", lambda scene: encode_bundle(change_artifact(take_apart(scene.bundle), make(scene))))

    def lay(scene: Scene) -> None:
        put_members(scene, change_artifact(take_apart(scene.bundle), make(scene)))

    # Its digest fits: who only hands it on, or looks whether it is there, need not look into it.
    CORPUS[f"entry: {name}"] = Hostile(lay, offers or SEALED)


def add_manifest(name: str, make: Callable[[Document], bytes], offers: dict[str, int] | None = None) -> None:
    """Add an autoencoder's manifest, in a bundle and in an entry."""

    def change(members: Members) -> Members:
        return [(n, make(open_manifest(c)) if n.startswith("ae-") and n.endswith(MANIFEST) else c) for n, c in members]

    add_members(f"bundle: {name}", change)
    CORPUS[f"entry: {name}"] = Hostile(
        lambda scene: put_members(scene, change(take_apart(scene.bundle))), offers or FORGED
    )


def add_forgery(name: str, change: Change, offers: dict[str, int] | None = None) -> None:
    """Add an autoencoder's manifest that says something else and is sealed over it."""

    def make(document: Document) -> bytes:
        change(document)
        return seal_document(document)

    add_manifest(name, make, offers)


def add_family(
    name: str, offers: dict[str, int] = USED, weights: bytes | None = None, *, of: str = "ae", **changes: Change
) -> None:
    """Add a family, in a home, in which every digest and every id fits, and a recipe or its weights make no sense.

    weights: of the entry of kind ``of``.
    """

    def lay(scene: Scene) -> Scene:
        members = take_apart(scene.bundle)
        if weights is not None:
            members = change_artifact(members, weights, of=of)
        members = rename_family(members, changes)
        shutil.rmtree(scene.home / "entries")
        put_members(scene, members)
        ids = dict.fromkeys(name.partition(".")[0] for name, _ in members)
        return replace(scene, **{id_.partition("-")[0]: id_ for id_ in ids})

    CORPUS[name] = Hostile(lay, offers)


def put_members(scene: Scene, members: Members) -> None:
    """Write a bundle's members where the entries of a home are."""
    for name, content in members:
        id_, _, file = name.partition(".")
        scene.entry(id_).mkdir(parents=True, exist_ok=True)
        (scene.entry(id_) / file).write_bytes(content)


def add_damage(name: str, file: str, damage: Callable[[Path], Any]) -> None:
    """Add an entry one of whose files is damaged or something else."""
    CORPUS[name] = Hostile(
        lambda scene: (damage(scene.entry(scene.ae) / file), None)[1], LOST if file == MANIFEST else DAMAGED
    )


# ---------------------------------------------------------------- what is executed when it is loaded


def pickle_npy(scene: Scene) -> bytes:
    np.save(stream := io.BytesIO(), np.array([scene.canary], dtype=object), allow_pickle=True)
    return stream.getvalue()


def pickle_npz(scene: Scene) -> bytes:
    member = pickle_npy(scene)
    return encode_npz({f"{key}.npy": member for key in ("0.0", "x_train", "y_train", "x_test", "y_test")})


def pickle_bundle(scene: Scene) -> bytes:
    """Return a good bundle with a pickle after it, as some loaders look for one."""
    return pickle.dumps(scene.canary) + scene.bundle


@cache
def build_lambda_model(path: Path) -> bytes:
    """Return a .keras file whose Lambda layer, marshalled bytecode, touches a path when the model is called."""
    import keras

    source = f"lambda x: (__import__('pathlib').Path({str(path)!r}).touch(), x)[1]"
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(eval(source))(inputs))
    path.unlink(missing_ok=True)
    file = path.with_name("lambda.keras")
    model.save(file)
    content = file.read_bytes()
    file.unlink()
    return content


def sings_lambda(scene: Scene) -> bool:
    """Return whether the model's canary sings where a library opens it that trusts it."""
    import keras

    path = scene.canary.path.with_name("trusted.keras")
    path.write_bytes(build_lambda_model(scene.canary.path))
    keras.models.load_model(path, safe_mode=False)(np.zeros((1, 4), "f4"))
    path.unlink()
    sang = scene.canary.path.exists()
    scene.canary.path.unlink(missing_ok=True)
    return sang


add_bundle("pickle", lambda scene: pickle.dumps(scene.canary), FILE)
add_bundle("pickle in .npy", pickle_npy, FILE)
add_bundle("pickle in .npz", pickle_npz, FILE)
add_bundle("pickle before a bundle", pickle_bundle, FILE)
add_bundle("pickle, by gzip", lambda scene: gzip.compress(pickle.dumps(scene.canary)), FILE)
add_bundle("Lambda in .keras", lambda scene: build_lambda_model(scene.canary.path), FILE)
add_weights("pickle in .npz, digest fits", pickle_npz)
add_weights("pickle for weights, digest fits", lambda scene: pickle.dumps(scene.canary))
add_weights("Lambda in .keras, digest fits", lambda scene: build_lambda_model(scene.canary.path))
add_manifest("pickle for a manifest", lambda document: pickle.dumps(document))


# ---------------------------------------------------------------- names, links and devices in a tar

NAMES: dict[str, bytes] = {
    "above": b"../ae-000000000000.manifest.json",
    "above, later": b"ae-000000000000.manifest.json/../../x",
    "absolute": b"/tmp/ae-000000000000.manifest.json",
    "home": b"~/ae-000000000000.manifest.json",
    "drive": b"C:\\ae-000000000000.manifest.json",
    "backslash": b"..\\ae-000000000000.manifest.json",
    "here": b"./ae-000000000000.manifest.json",
    "folder": b"ae-000000000000/manifest.json",
    "folder of version 7": b"ae-000000000000.manifest.json/",
    "nothing": b"",
    "dot": b".",
    "dots": b"..",
    "line feed": b"ae-000000000000.manifest.json\n",
    "escape": b"\x1b[2J\x1b]0;x\x07ae-000000000000.manifest.json",
    "not ascii": "ae-000000000000.manifest.json\u202e".encode(),
    "not utf-8": b"ae-000000000000.manifest.json\xff",
    "hidden": b".ae-000000000000.manifest.json",
    "capitals": b"AE-000000000000.manifest.json",
    "unknown kind": b"os-000000000000.manifest.json",
    "short id": b"ae-00000000000.manifest.json",
    "another file": b"ae-000000000000.VERSION",
    "a program": b"ae-000000000000.weights.npz.py",
    "as long as it gets": b"ae-" + b"0" * 97,
    "another id": b"ae-000000000000.manifest.json",
}
for _name, _field in NAMES.items():
    add_first_member(f"name: {_name}", name=_field)
add_first_member("name: above, by its prefix", prefix=b"..")
add_first_member("name: absolute, by its prefix", prefix=b"/tmp")

TYPES: dict[str, bytes] = {
    "hard link": tarfile.LNKTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "folder": tarfile.DIRTYPE,
    "fifo": tarfile.FIFOTYPE,
    "contiguous": tarfile.CONTTYPE,
    "GNU long name": tarfile.GNUTYPE_LONGNAME,
    "GNU long link": tarfile.GNUTYPE_LONGLINK,
    "GNU sparse": tarfile.GNUTYPE_SPARSE,
    "GNU volume": b"V",
    "GNU continuation": b"M",
    "GNU folder": b"D",
    "pax": tarfile.XHDTYPE,
    "pax global": tarfile.XGLTYPE,
    "Solaris pax": tarfile.SOLARIS_XHDTYPE,
    "unknown": b"Z",
    "not ascii": b"\xff",
}
for _name, _field in TYPES.items():
    add_first_member(f"type: {_name}", type=_field, linkname=b"/etc/passwd")
    add_first_member(f"type: {_name}, of no size", type=_field, linkname=b"../../VERSION", size=b"0" * 11)


def encode_pax(**records: str) -> bytes:
    """Return what stands in a pax header."""
    text = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + 1
        length = len(line) + len(str(length + len(str(length)) - 1))
        text += f"{length}".encode() + line
    return text


def before(header: bytes) -> Callable[[Scene], bytes]:
    return lambda scene: header + scene.bundle


add_bundle("pax: another name", before(encode_member("pax", encode_pax(path="../../x"), type=b"x")))
add_bundle("pax: another size", before(encode_member("pax", encode_pax(size=str(TIB8)), type=b"x")))
add_bundle("pax: for all", before(encode_member("pax", encode_pax(linkpath="/etc/passwd"), type=b"g")))
add_bundle(
    "pax: sparse",
    before(encode_member("pax", encode_pax(GNU__sparse__major="1", GNU__sparse__realsize=str(TIB8)), type=b"x")),
)
add_bundle("pax: without end", before(encode_member("pax", b"9" * 4096, type=b"x")))
add_bundle("GNU long name", before(encode_member("././@LongLink", b"../" * 400 + b"x\0", type=b"L")))
add_bundle("GNU long name of 8 TiB", before(encode_header("././@LongLink", 0, type=b"L", size=binary_size(TIB8))))
add_bundle(
    "links, then through it",
    before(encode_header("ae-000000000000.weights.npz", 0, type=b"2", linkname=b"/tmp")),
)

SIZES: dict[str, bytes] = {
    "negative": binary_size(-1),
    "negative, of a block": binary_size(-BLOCK),
    "negative, in octal": b"-0000000777",
    "8 TiB": binary_size(TIB8),
    "8 EiB": binary_size(EIB8),
    "88 bits": b"\x80" + b"\xff" * 11,
    "8 GiB": b"7" * 11,
    "nothing": b"",
    "spaces": b" " * 12,
    "words": b"a lot of it",
    "digits that are not octal": b"99999999999",
    "one more": b"",
    "one less": b"",
    "none": b"0" * 11,
}
for _name, _field in SIZES.items():
    if _name.startswith("one "):
        _step = 1 if _name == "one more" else -1
        add_bundle(
            f"size: {_name}",
            lambda scene, step=_step: (
                set_fields(scene.bundle[:BLOCK], size=b"%011o" % (len(take_apart(scene.bundle)[0][1]) + step))
                + scene.bundle[BLOCK:]
            ),
        )
    else:
        add_first_member(f"size: {_name}", size=_field)
add_first_member("checksum: wrong", checksum=b"000000\0 ")
add_first_member("checksum: nothing", checksum=b"")


def enlarge(scene: Scene, size: int) -> bytes:
    """Return a bundle whose second member, weights, claims a size, in its manifest too, and goes on for ever."""
    (name, content), (artifact, old), *_ = take_apart(scene.bundle)
    document = open_manifest(content)
    document["artifacts"][WEIGHTS]["size"] = size
    return encode_member(name, seal_document(document)) + encode_header(artifact, 0, size=binary_size(size)) + old


add_bundle("size: weights of 8 TiB, in the manifest too", lambda scene: enlarge(scene, TIB8))
add_bundle("size: weights of 8 EiB, in the manifest too", lambda scene: enlarge(scene, EIB8))
add_bundle("size: weights of -1, in the manifest too", lambda scene: enlarge(scene, -1))

# ---------------------------------------------------------------- order of a tar

ORDERS: dict[str, Callable[[Members], Members]] = {
    "nothing": lambda members: [],
    "manifest alone": lambda members: members[:1],
    "no manifest": lambda members: members[1:],
    "weights before the manifest": lambda members: [members[1], members[0], *members[2:]],
    "child before its parent": lambda members: [*members[2:4], *members[:2], *members[4:]],
    "without the parent": lambda members: members[2:],
    "without an artifact": lambda members: members[:-1],
    "artifacts the other way round": lambda members: [*members[:-2], members[-1], members[-2]],
    "a manifest twice": lambda members: [members[0], *members],
    "an artifact twice": lambda members: [*members[:2], *members[1:]],
    "an entry twice": lambda members: [*members[:2], *members[:2], *members[2:]],
    "everything twice": lambda members: [*members, *members],
    "one artifact more": lambda members: [*members, (members[-1][0].replace("samples", "more"), members[-1][1])],
    "another's artifact": lambda members: [*members[:3], members[1], *members[4:]],
    "an artifact of another name": lambda members: [members[0], (members[0][0][:16] + "other.npz", members[1][1])],
}
for _name, _order in ORDERS.items():
    add_members(f"order: {_name}", _order, REPLACING)


def crowd(scene: Scene) -> bytes:
    """Return a bundle of more entries than a bundle may hold, each good."""
    content, made = take_apart(scene.bundle)[0][1], []
    for seed in range(1001):
        document = open_manifest(content) | {"artifacts": {}}
        document["recipe"]["seed"] = seed
        document = tell_own(document)
        made.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
    return encode_bundle(made)


def build_diamonds(scene: Scene) -> bytes:
    """Return a bundle of 60 runs, two a step, each resting on both of the step below: 2 ** 30 ways to go down."""
    members = take_apart(scene.bundle)
    run = open_manifest(next(content for name, content in members if name.startswith("run-") and MANIFEST in name))
    below = [scene.clf, scene.clf]
    for _ in range(30):
        step = []
        for seed in range(2):
            recipe = run["recipe"] | {"seed": seed, "classifier": below[0], "twin": below[1]}
            document = tell_own(run | {"recipe": recipe, "artifacts": {}})
            members.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
            step.append(document["id"])
        below = step
    return encode_bundle(members)


def build_chain(scene: Scene) -> bytes:
    """Return a bundle of 900 classifiers, each behind the one before it."""
    members = take_apart(scene.bundle)
    clf = open_manifest(next(content for name, content in members if name.startswith("clf-") and MANIFEST in name))
    before, members = scene.ae, members[:2]
    for _ in range(900):
        document = tell_own(clf | {"recipe": clf["recipe"] | {"autoencoder": before}, "artifacts": {}})
        members.append((f"{document['id']}.{MANIFEST}", seal_document(document)))
        before = document["id"]
    return encode_bundle(members)


add_bundle("crowd", crowd, {"import": 4})
add_bundle("lineage: a chain of diamonds", build_diamonds)
add_bundle("lineage: a chain of 900", build_chain)

# ---------------------------------------------------------------- damaged and no bundles at all, and bombs

ZEROS = gzip.compress(bytes(1 << 24), 9)
"""16 MiB in 16 KiB."""

OTHERS: dict[str, Callable[[Scene], bytes]] = {
    "empty": lambda scene: b"",
    "text": lambda scene: b"hello\n",
    "zeros": lambda scene: bytes(1 << 16),
    "ones": lambda scene: b"\xff" * (1 << 16),
    "one byte": lambda scene: b"\x1f",
    "gzip's first two bytes": lambda scene: b"\x1f\x8b",
    "gzip of nothing": lambda scene: gzip.compress(b""),
    "gzip of text": lambda scene: gzip.compress(b"hello\n" * 1000),
    "gzip with a name without end": lambda scene: b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"a" * 100_000,
    "bz2": lambda scene: __import__("bz2").compress(scene.bundle),
    "xz": lambda scene: __import__("lzma").compress(scene.bundle),
    "zip": lambda scene: encode_npz({"manifest.json": b"{}"}),
    "shell script": lambda scene: b"#!/bin/sh\ntouch canary\n",
}
for _name, _make in OTHERS.items():
    add_bundle(f"other: {_name}", _make, FILE)
for _part in (1, 511, 512, 513, 2000, -1025, -1500):
    add_bundle(f"cut at {_part}", lambda scene, part=_part: scene.bundle.rstrip(b"\0")[:part])
add_bundle("cut by gzip", lambda scene: gzip.compress(scene.bundle)[:-1000])
add_bundle("flipped in gzip", lambda scene: flip(gzip.compress(scene.bundle), 200))
add_bundle("flipped in weights", lambda scene: flip(scene.bundle, scene.bundle.index(b"PK\x03\x04") + 200))
add_bundle("bomb: gzip of zeros", lambda scene: ZEROS * 64, FILE)
add_bundle(
    "bomb: gzip of zeros for weights",
    lambda scene: gzip.compress(enlarge(scene, 1 << 30)[: -len(take_apart(scene.bundle)[1][1])]) + ZEROS * 64,
)
add_bundle("bomb: gzip of a manifest", lambda scene: gzip.compress(enlarge_manifest(scene, 1 << 25)))
add_bundle("bomb: manifest of small lists", lambda scene: enlarge_manifest(scene, 5 << 20), {"import": 4})
add_bundle("bomb: gzip in gzip", lambda scene: gzip.compress(ZEROS * 64))
add_bundle(
    "bomb: gzip of gzip's empty members", lambda scene: gzip.compress(b"") * 20_000 + gzip.compress(scene.bundle[:900])
)
add_weights("bomb: deflated npz", lambda scene: encode_npz({"0.0.npy": encode_npy("(4000000,)", bytes(16_000_000))}, 8))
add_weights("npz claims 8 TiB", lambda scene: encode_npz({"0.0.npy": encode_npy(f"({TIB8 // 4},)")}))
add_weights("npz claims 8 EiB", lambda scene: encode_npz({"0.0.npy": encode_npy(f"({EIB8},)")}))
add_weights("npz of members that overlap", lambda scene: repeat_member(encode_npy("(25000,)", bytes(100_000)), 100))
add_weights("npz of Python 2", lambda scene: encode_npz({"0.0.npy": encode_npy("(9L,)", bytes(4))}))
add_weights("npz of many members", lambda scene: repeat_member(b"", 20_000), {"verify": 4})
for _name, _content in BAD_NPZ.items():
    add_weights(f"npz, {_name}", lambda scene, content=_content: content, READ)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def enlarge_manifest(scene: Scene, size: int) -> bytes:
    """Return a bundle whose first manifest is sealed JSON of many small lists, a hundredfold of that in memory."""
    (name, content), *_ = take_apart(scene.bundle)
    document = open_manifest(content) | {"versions": ["@"]}
    return encode_member(name, seal_text(document, '"@"', ",".join(["[]"] * ((size - 4000) // 3))))


# ---------------------------------------------------------------- manifests

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000

MANIFESTS: dict[str, Callable[[Document], bytes]] = {
    "nothing": lambda document: b"",
    "null": lambda document: b"null",
    "a list": lambda document: b"[]",
    "text": lambda document: b"hello",
    "deep lists": lambda document: b"[" * 200_000,
    "deep JSON, sealed": lambda document: seal_text(document | {"source": "@"}, '"@"', DEEP),
    "deep recipe, sealed": lambda document: seal_text(change_at(document, "recipe.options", "@"), '"@"', DEEP),
    "deep versions, sealed": lambda document: seal_text(
        document | {"versions": "@"}, '"@"', "[" * 200 + "1" + "]" * 200
    ),
    "not sealed": lambda document: json.dumps(document).encode(),
    "sealed over something else": lambda document: (
        seal_document(document).replace(b'"mse', b'"MSE').replace(b"0", b"1")
    ),
    "two digests": lambda document: seal_document(document | {"sha256": "0" * 64}),
    "more after it": lambda document: seal_document(document) + b"more",
    "a BOM": lambda document: b"\xef\xbb\xbf" + seal_document(document),
    "UTF-16": lambda document: seal_document(document).decode().encode("utf-16"),
    "not UTF-8": lambda document: seal_text_bytes(document | {"source": "@"}, b'"@"', b'"\xff"'),
    "NaN": lambda document: seal_text(change_at(document, "metrics.test_mse", "@"), '"@"', "NaN"),
    "infinity": lambda document: seal_text(change_at(document, "metrics.test_mse", "@"), '"@"', "-Infinity"),
    "infinity, written as a number": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1e999"
    ),
    "a number of 400 digits": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1" * 400
    ),
    "a number of 5000 digits": lambda document: seal_text(
        change_at(document, "metrics.test_mse", "@"), '"@"', "1" * 5000
    ),
    "NaN in the recipe": lambda document: seal_text(
        change_at(document, "recipe.network.learning_rate", "@"), '"@"', "NaN"
    ),
    "a size of infinity": lambda document: seal_text(
        change_at(document, f"artifacts.{WEIGHTS.replace('.', '/')}.size", "@"), '"@"', "1e999"
    ),
    "a size of 400 digits": lambda document: seal_text(
        change_at(document, f"artifacts.{WEIGHTS.replace('.', '/')}.size", "@"), '"@"', "1" * 400
    ),
    "a newer schema": lambda document: seal_document(document | {"schema": 99}),
    "a schema of 5000 digits": lambda document: seal_text(
        document, f'"schema": {STORE_SCHEMA}', '"schema": ' + "9" * 5000
    ),
    "schema 1 in the clothes of 2": lambda document: seal_document(document | {"schema": 1}),
    "first schema, forged": lambda document: seal_first_schema(document).replace(b'"seed": 0', b'"seed": 1'),
    "first schema, another id": lambda document: seal_first_schema(document | {"id": "ae-000000000000"}),
    "first schema, NaN": lambda document: seal_first_nan(document),
    "first schema, deep": lambda document: b'{\n "schema_version": 1,\n "recipe": ' + b"[" * 200_000,
    "first schema, a newer one": lambda document: seal_first_schema(document).replace(
        b'"schema_version": 1', b'"schema_version": 9'
    ),
}


def change_at(document: Document, path: str, value: Any) -> Document:
    """Return a document with one value replaced; ``/`` stands for a dot within a name."""
    changed = node = json.loads(json.dumps(document))
    *names, last = path.split(".")
    for name in names:
        node = node[name.replace("/", ".")]
    node[last.replace("/", ".")] = value
    return dict(changed)


def seal_text_bytes(document: Document, old: bytes, new: bytes) -> bytes:
    body = json.dumps(document, indent=1).removesuffix("\n}").encode().replace(old, new, 1)
    return body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


def seal_first_nan(document: Document) -> bytes:
    """Return a manifest of schema 1 with a number that is none, sealed as a writer would that lets it pass."""
    document = change_at(document, "metrics.test_mse", float("nan"))
    older = {"schema_version": 1} | {k: v for k, v in document.items() if k not in SINCE_FIRST}
    digest = hashlib.sha256(json.dumps(older, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return (json.dumps(older | {"sha256": digest}, indent=1) + "\n").encode()


for _name, _encode in MANIFESTS.items():
    add_manifest(f"manifest: {_name}", _encode)


def set_artifact(name: str, **described: Any) -> Change:
    """Return a change that lets an artifact be called something else."""
    return lambda stored: stored["artifacts"].update({name: stored["artifacts"].pop(WEIGHTS) | described})


FORGERIES: dict[str, Change] = {
    "another id": lambda stored: stored.update(id="ae-000000000000"),
    "another recipe": lambda stored: stored["recipe"].update(seed=1),
    "another dataset": lambda stored: stored["dataset"].update(name="mnist"),
    "parents that it has not": lambda stored: stored.update(parents=["ae-000000000000"]),
    "another kind": lambda stored: stored["recipe"].update(kind="clf"),
    "an unknown kind": lambda stored: stored.update(recipe=stored["recipe"] | {"kind": "os"}, id="os-000000000000"),
    "an unknown field": lambda stored: stored.update(execute="rm -rf"),
    "an unknown field of control characters": lambda stored: stored.update({"\x1b[2J\n\u202e": 1}),
    "an unknown field in metrics": lambda stored: stored["metrics"].update(__class__="os"),
    "metrics of another kind": lambda stored: stored.update(
        metrics=make_metrics(make_run_recipe()).model_dump(mode="json")
    ),
    "no recipe": lambda stored: stored.pop("recipe"),
    "no artifacts": lambda stored: stored.pop("artifacts"),
    "a list of artifacts": lambda stored: stored.update(artifacts=[]),
    "artifacts of numbers": lambda stored: stored.update(artifacts={WEIGHTS: 7}),
    "no versions": lambda stored: stored.pop("versions"),
    "versions of lists": lambda stored: stored.update(versions={"python": []}),
    "a moment of numbers": lambda stored: stored.update(created=7),
    "an artifact without a digest": lambda stored: stored["artifacts"][WEIGHTS].pop("sha256"),
    "an artifact of size -1": lambda stored: stored["artifacts"][WEIGHTS].update(size=-1),
    "an artifact without letters": lambda stored: stored["artifacts"][WEIGHTS].update(sha256="0" * 63),
    "an artifact above": set_artifact("../../VERSION"),
    "an artifact that is absolute": set_artifact("/etc/passwd"),
    "an artifact of no name": set_artifact(""),
    "an artifact that is the manifest": set_artifact(MANIFEST),
    "an artifact of control characters": set_artifact("\x1b[2J\n.npz"),
    "an artifact with a NUL": set_artifact("weights\0.npz"),
    "a parent above": lambda stored: stored.update(
        recipe=stored["recipe"] | {"autoencoder": "../../x"}, parents=["../../x"]
    ),
    "a parent that is a table": lambda stored: stored.update(tell_own(stored | {"recipe": with_parent(stored, {})})),
}


def with_parent(stored: Document, parent: Any) -> Document:
    return stored["recipe"] | {"autoencoder": parent or {"a": 1}}


for _name, _change in FORGERIES.items():
    add_forgery(f"forged: {_name}", _change)
# What only an artifact can show: the manifest could be true.
add_forgery("forged: an artifact of 8 TiB", set_artifact(WEIGHTS, size=TIB8), SEALED)
add_forgery("forged: another digest", set_artifact(WEIGHTS, sha256="0" * 64), SEALED)
add_forgery("forged: an artifact of another name", set_artifact("other.npz"), SEALED)

# ---------------------------------------------------------------- recipes that make no sense, every digest and id right

PREDICTED = dict.fromkeys(("predict", "attack", "export keras"), 4)
FOREIGN = PREDICTED | {"predict": 6}
"""Of a model that might be whole: the images that it is given are not of its size, and that is seen first."""


def in_recipe(path: str, value: Any) -> Change:
    return lambda stored: stored.update(recipe=change_at(stored["recipe"], path, value))


PERCEPTRON: Document = {"hidden": 3, "narrow": 2, "epochs": 1, "batch_size": 16, "learning_rate": 0.001}

RECIPES: dict[str, dict[str, Change]] = {
    "unknown autoencoder": {"ae": in_recipe("type", "magic")},
    "unknown activation": {"ae": in_recipe("network.activations", ["relu", "relu", "relu", "os.system"])},
    "unknown loss": {"ae": in_recipe("loss", "magic")},
    "sparse without its options": {"ae": in_recipe("type", "sparse")},
    "denoising by unknown noise": {
        "ae": lambda stored: (
            in_recipe("type", "denoising")(stored),
            in_recipe("options", {"noise": "magic", "noise_level": 0.1})(stored),
        )
    },
    "variational by words": {
        "ae": lambda stored: (
            in_recipe("type", "variational")(stored),
            in_recipe("options", {"kl_weight": "much", "sample": False})(stored),
        )
    },
    "weights do not fit": {"ae": in_recipe("network.hidden", 4)},
    "a network of 16 GiB": {
        "ae": lambda stored: (
            in_recipe("network.hidden", 65_536)(stored),
            in_recipe("network.code", 65_536)(stored),
        )
    },
    "no side": {"ae": in_recipe("dataset.side", 0)},
    "a negative side": {"ae": in_recipe("dataset.side", -2)},
    "a side of 400 digits": {"ae": in_recipe("dataset.side", 10**400)},
}
for _name, _changes in RECIPES.items():
    add_family(f"recipe: {_name}", USED, None, **_changes)
for _name, _changes in {
    "unknown classifier": {"clf": in_recipe("model", "magic")},
    "a network with the options of lr": {"clf": in_recipe("model", "nn")},
    "no classes": {"clf": in_recipe("dataset.classes", [])},
    "three classes": {"clf": in_recipe("dataset.classes", ["a", "b", "c"])},
    "a classifier of no side": {"clf": in_recipe("dataset.side", 0)},
}.items():
    add_family(f"recipe: {_name}", PREDICTED, None, **_changes)
add_family("recipe: a side of a million", USED, ae=in_recipe("dataset.side", 10**6))
add_family("recipe: a side of 4000", USED | {"purify": 6}, ae=in_recipe("dataset.side", 4000))
add_family("recipe: a classifier of a side of 4000", FOREIGN, clf=in_recipe("dataset.side", 4000))
# Layers that a check by hand of some layers' sizes leaves out: those between the body and the code, and the last one.
add_family(
    "recipe: a robust autoencoder of 16 GiB",
    USED,
    encode_npz({"0.0.npy": encode_npy("(300000,)", bytes(1_200_000))}),
    ae=lambda stored: stored.update(
        recipe=stored["recipe"]
        | {
            "type": "robust",
            "network": stored["recipe"]["network"]
            | {"hidden": 65_536, "code": 1, "activations": [*["leaky_relu"] * 3, "sigmoid"]},
            "loss": "squared-error",
            "rescale": "none",
            "options": {name: option.default for name, option in ROBUST_OPTIONS.items()} | {"body": "dense"},
            "recipe_rev": 2,
        }
    ),
)
add_family(
    "recipe: a perceptron of 2 GiB",
    PREDICTED,
    encode_npz({"0.0.npy": encode_npy("(70000,)", bytes(280_000))}),
    of="clf",
    ae=in_recipe("dataset.classes", [str(n) for n in range(8_000)]),
    clf=lambda stored: (
        in_recipe("model", "mlp")(stored),
        in_recipe("dataset.classes", [str(n) for n in range(8_000)])(stored),
        in_recipe("options", PERCEPTRON | {"hidden": 1, "narrow": 65_536})(stored),
    ),
)
add_family("recipe: coefficients of three classes", {"export joblib": 4}, clf=in_recipe("dataset.classes", ["a"] * 3))


# ---------------------------------------------------------------- baselines, forged

BASELINES: dict[str, tuple[Document, dict[str, Any]]] = {
    "blur": ({"sigma": 1.0}, {"kernel": np.full((SIDE, SIDE), 0.5, "f4")}),
    "pca": ({"code_size": 2}, {"mean": np.zeros(SIDE**2, "f4"), "components": np.eye(2, SIDE**2, dtype="f4")}),
    "binary": ({"threshold": 0.5}, {}),
}
"""Kind -> options and arrays that are good."""


def as_baseline(type_: str, **changes: Any) -> Change:
    """Return a change of a recipe to a baseline's, some of whose fields or options are others."""
    fields: Document = {"type": type_, "network": None, "loss": None, "rescale": "none"}
    options = BASELINES[type_][0] | {name: value for name, value in changes.items() if name not in fields}
    fields |= {name: value for name, value in changes.items() if name in fields} | {"options": options}

    def change(stored: Document) -> None:
        stored["recipe"].update(fields)

    return change


def encode_arrays(arrays: dict[str, Any]) -> bytes:
    np.savez(stream := io.BytesIO(), **arrays)
    return stream.getvalue()


def lay_baseline(scene: Scene, type_: str) -> Scene:
    """Lay a family whose purifier is a good baseline."""
    add_family(name := f"good: {type_}", {}, encode_arrays(BASELINES[type_][1]), ae=as_baseline(type_))
    laid = CORPUS.pop(name).lay(scene)
    assert laid is not None
    return laid


for _type, _field, _value in (
    *(("blur", "sigma", value) for value in (1e9, 0, -1.0, 10**400, "much", True, [1.0])),
    *(("pca", "code_size", value) for value in (10**9, 0, -1, 5, 1.5, 2.0, True, "two", 10**400)),
    *(("binary", "threshold", value) for value in (0, 1, -0.5, 1e300, "grey", True)),
    *((type_, "network", NETWORK.model_dump(mode="json")) for type_ in BASELINES),
    *((type_, "loss", "squared-error") for type_ in BASELINES),
    *((type_, "rescale", "intensity") for type_ in BASELINES),
):
    _what = f"{_value:.0e}" if _value == 10**9 else str(_value)[:20]
    add_family(
        f"baseline: {_type}, {_field} {_what}",
        USED,
        encode_arrays(BASELINES[_type][1]),
        ae=as_baseline(_type, **{_field: _value}),
    )
for _name, _change in {
    "vanilla without a network": in_recipe("network", None),
    "vanilla without a loss": in_recipe("loss", None),
    "a network of a baseline": in_recipe("type", "blur"),
    "a baseline with the arrays of a network": as_baseline("pca"),
}.items():
    add_family(f"baseline: {_name}", USED, None, ae=_change)
# Within what an image may be, and far beyond what is stored.
for _type in ("blur", "pca"):
    add_family(
        f"baseline: {_type} of 64 MiB",
        {"export keras": 4, "purify": 6},
        encode_arrays(BASELINES[_type][1]),
        ae=lambda stored, type_=_type: (
            as_baseline(type_, **({"code_size": 4096} if type_ == "pca" else {}))(stored),
            in_recipe("dataset.side", 4096)(stored),
        ),
        clf=in_recipe("dataset.side", 4096),
    )
add_manifest(
    "baseline: a threshold of NaN",
    lambda document: seal_text(
        tell_own(change_at(document, "recipe", document["recipe"] | {"options": {"threshold": "@"}})), '"@"', "NaN"
    ),
)


def add_other_side() -> None:
    """Add a classifier behind an autoencoder of other images, each good by itself."""
    np.savez(stream := io.BytesIO(), **fit_weights(3))
    add_family("recipe: a parent of other images", PREDICTED, stream.getvalue(), ae=in_recipe("dataset.side", 3))


add_other_side()


# ---------------------------------------------------------------- an entry, damaged where it lies


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: (path.unlink(), path.symlink_to(target), None)[2]


def grow_sparse(path: Path) -> None:
    """Make a file of 8 TiB that takes no room."""
    with path.open("r+b") as stream:
        stream.truncate(TIB8)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": lambda path: path.write_bytes(flip(path.read_bytes(), path.stat().st_size // 2)),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "8 TiB of nothing": grow_sparse,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a fifo": make_fifo,
    "a link to a device": link_to("/dev/zero"),
    "a link to nothing": link_to("/nowhere/at/all"),
    "a link to itself": link_to(WEIGHTS),
}
for _name, _damage in DAMAGES.items():
    add_damage(f"weights: {_name}", WEIGHTS, _damage)
    if _name != "a link to itself":
        add_damage(f"manifest: {_name}", MANIFEST, _damage)

# ---------------------------------------------------------------- images and datasets

NPYS: dict[str, Callable[[Scene], bytes]] = {
    f"npy, {name}": lambda scene, content=content: content for name, content in BAD_NPY.items()
} | {
    "npy claims 8 TiB": lambda scene: encode_npy(f"({TIB8 // 16}, 2, 2)"),
    "npy claims 8 TiB in version 1": lambda scene: b"\x93NUMPY\x01\0v\0" + encode_npy(f"({TIB8},)")[12:],
    "npy of Python 2": lambda scene: encode_npy("(9L, 2L, 2L)", bytes(4)),
    "npy of NaN": lambda scene: encode_npy("(1, 2, 2)", struct.pack("<4f", *[float("nan")] * 4)),
}
NPZS: dict[str, Callable[[Scene], bytes]] = {
    f"npz, {name}": lambda scene, content=content: encode_dataset(content) for name, content in BAD_NPY.items()
} | {
    "npz claims 8 TiB": lambda scene: encode_dataset(encode_npy(f"({TIB8 // 4}, 2, 2)", descr="|u1")),
    "npz of Python 2": lambda scene: encode_dataset(encode_npy("(9L, 2L, 2L)", bytes(4))),
    "npz of NaN": lambda scene: encode_dataset(encode_npy("(1, 2, 2)", struct.pack("<4f", *[float("nan")] * 4))),
    "npz, deflated bomb": lambda scene: encode_npz(
        dict.fromkeys(DATASET_KEYS, encode_npy("(8000000, 2, 2)", bytes(32_000_000), "|u1")), 8
    ),
    "npz of members that overlap": lambda scene: repeat_member(encode_npy("(25000,)", bytes(100_000)), 100),
}
DATASET_KEYS = ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy")


def encode_dataset(images: bytes) -> bytes:
    """Return an .npz with the four keys of a dataset, whose images are hostile."""
    labels = encode_npy("(1,)", b"\0", "|u1")
    return encode_npz(dict(zip(DATASET_KEYS, (images, labels, images, labels), strict=True)))


for _name, _make in NPYS.items():
    add_bundle(f"images: {_name}", _make, IMAGES)
for _name, _make in NPZS.items():
    add_bundle(f"dataset: {_name}", _make, DATASET)


def add_place(name: str, make: Callable[[Path], Any], code: int | None) -> None:
    """Add what is no file, where a file is expected. code: of ``import``, None where that is right to wait."""
    offers = IMAGES | DATASET | ({} if code is None else {"import": code, "import --force": code})
    CORPUS[name] = Hostile(lambda scene: (make(scene.file), None)[1], offers)


# A path that is no file is a wrong argument to import, as one that is not there; no bundle was read.
add_place("file: a fifo", os.mkfifo, None)
add_place("file: a link to a device", lambda path: path.symlink_to("/dev/zero"), 4)
add_place("file: a folder", Path.mkdir, 2)
add_place("file: a link to nothing", lambda path: path.symlink_to("/nowhere/at/all"), 2)
add_place("file: a link to itself", lambda path: path.symlink_to(path.name), 2)
add_place("file: 8 TiB of nothing", lambda path: (path.touch(), grow_sparse(path)), 4)


def add_idx(name: str, content: bytes, suffix: str = "") -> None:
    """Add a folder of MNIST whose training images are hostile."""

    def lay(scene: Scene) -> None:
        folder = scene.folder / "mnist"
        folder.mkdir()
        (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(content)
        for other in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
            (folder / other).write_bytes(b"")

    CORPUS[f"IDX: {name}"] = Hostile(lay, MNIST)


IDX_BOMB = gzip.compress(struct.pack(">4I", 0x803, 1000, 28, 28)) + ZEROS * 64
add_idx("bomb, by gzip", IDX_BOMB, ".gz")
add_idx("bomb, by gzip, misnamed", IDX_BOMB)
add_idx("claims 8 EiB", struct.pack(">4I", 0x803, *[0xFFFFFFFF] * 3))
add_idx("claims 8 TiB of the right images", struct.pack(">4I", 0x803, 0xFFFFFFFF, 28, 28))
add_idx("pickle", pickle.dumps([1, 2, 3]))
add_idx("255 axes", b"\0\0\x08\xff" + b"\xff" * 1020)
