"""The smallest valid recipes, metrics and arrays, and files that no reader may take, for tests of what reads them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError
from advae.identity import canonical_json
from advae.records import (
    AutoencoderMetrics,
    AutoencoderRecipe,
    CertificateMetrics,
    CertificateRecipe,
    CertifiedEps,
    ClassifierMetrics,
    ClassifierRecipe,
    CodeAttackMetrics,
    CodeAttackRecipe,
    DatasetRef,
    EpsResult,
    History,
    Manifest,
    Metrics,
    NetworkOptions,
    Recipe,
    RunMetrics,
    RunRecipe,
    SurfaceImage,
    SurfaceMetrics,
    SurfaceRecipe,
)
from advae.registry import Registry
from advae.registry.bundles import Imported, read_bundle, write_bundle
from advae.registry.collection import find_garbage
from advae.registry.manifest_files import remove_import_mark

WEIGHTS = "weights.npz"
ABSENT_DIGEST = "0" * 64
"""The digest of the weights of a parent that is not there."""
TINY = DatasetRef(name="tiny", digest="0" * 64, side=2, classes=("a", "b"))
NETWORK = NetworkOptions(
    hidden=3,
    code=2,
    activations=("relu", "relu", "exponential", "softplus"),
    epochs=1,
    batch_size=16,
    learning_rate=0.001,
)
HISTORY = History(loss=(0.5,), validation_loss=(0.75,), seconds=0.25)


def make_autoencoder_recipe(**changes: Any) -> AutoencoderRecipe:
    """Return the recipe of a vanilla autoencoder with some fields changed."""
    fields: dict[str, Any] = {
        "type": "vanilla",
        "dataset": TINY,
        "network": NETWORK,
        "loss": "categorical_crossentropy",
        "rescale": "intensity",
        "options": {},
        "seed": 0,
        "recipe_rev": 1,
    }
    return AutoencoderRecipe(**(fields | changes))


def make_classifier_recipe(**changes: Any) -> ClassifierRecipe:
    """Return the recipe of an undefended network with some fields changed."""
    fields: dict[str, Any] = {
        "model": "nn",
        "dataset": TINY,
        "autoencoder": None,
        "options": NETWORK,
        "seed": 0,
        "recipe_rev": 1,
    }
    return ClassifierRecipe(**(fields | changes))


def make_run_recipe(**changes: Any) -> RunRecipe:
    """Return the recipe of a BIM run with some fields changed; its classifier does not exist unless one is given."""
    fields: dict[str, Any] = {
        "method": "bim",
        "threat": "adaptive",
        "classifier": "clf-000000000000",
        "twin": None,
        "dataset": TINY,
        "eps": (0.1, 0.3),
        "target": None,
        "steps": 10,
        "step_size": None,
        "loss": "scaled",
        "clip": True,
        "limit": None,
        "save_adversarial": False,
        "seed": 0,
        "recipe_rev": 1,
    }
    return RunRecipe(**(fields | changes))


def make_code_attack_recipe(**changes: Any) -> CodeAttackRecipe:
    """Return the recipe of an attack on a code with some fields changed."""
    fields: dict[str, Any] = {
        "autoencoder": "ae-000000000000",
        "dataset": TINY,
        "pairs": 4,
        "target": None,
        "limit": None,
        "points": 3,
        "optimizer": "adam",
        "steps": 10,
        "seed": 0,
        "recipe_rev": 1,
    }
    return CodeAttackRecipe(**(fields | changes))


def make_certificate_recipe(**changes: Any) -> CertificateRecipe:
    """Return the recipe of a certificate by interval bounds with some fields changed."""
    fields: dict[str, Any] = {
        "method": "ibp",
        "norm": "linf",
        "classifier": "clf-000000000000",
        "dataset": TINY,
        "eps": (0.1, 0.3),
        "limit": None,
        "recipe_rev": 1,
    }
    return CertificateRecipe(**(fields | changes))


def make_surface_recipe(**changes: Any) -> SurfaceRecipe:
    """Return the recipe of decision surfaces with some fields changed."""
    fields: dict[str, Any] = {
        "classifier": "clf-000000000000",
        "dataset": TINY,
        "radius": 0.25,
        "points": 5,
        "clip": True,
        "seed": 0,
        "recipe_rev": 1,
    }
    return SurfaceRecipe(**(fields | changes))


def make_metrics(recipe: Recipe) -> Metrics:
    """Return metrics of the recipe's kind."""
    if isinstance(recipe, AutoencoderRecipe):
        history = None if recipe.is_baseline else HISTORY
        return AutoencoderMetrics(history=history, test_mse=0.01, output_range=(0.0, 1.0))
    if isinstance(recipe, ClassifierRecipe):
        return ClassifierMetrics(
            train_accuracy=1.0, test_accuracy=0.75, test_accuracy_interval=(0.5, 0.875), n_test=8, history=HISTORY
        )
    if isinstance(recipe, CertificateRecipe):
        return CertificateMetrics(
            n=8,
            clean_accuracy=0.75,
            clean_accuracy_interval=(0.5, 0.875),
            results=tuple(
                CertifiedEps(eps=eps, certified_accuracy=0.25, certified_accuracy_interval=(0.125, 0.5))
                for eps in recipe.eps
            ),
            samples_digest="0" * 64,
            seconds=1.5,
        )
    if isinstance(recipe, SurfaceRecipe):
        return make_surface_metrics()
    if isinstance(recipe, CodeAttackRecipe):
        return CodeAttackMetrics(
            n=4,
            left_out=0,
            area=0.375,
            area_deviation=0.125,
            area_interval=(0.25, 0.5),
            half_distortion=0.25,
            half_reached=4,
            pixel_range=(0.0, 1.0),
            pairs_digest="0" * 64,
            checks=(),
            seconds=1.5,
        )
    results = tuple(
        EpsResult(
            eps=eps,
            accuracy=0.25,
            accuracy_interval=(0.125, 0.5),
            attack_success_rate=0.75,
            target_hit_rate=None,
            linf_max=eps,
            l2_mean=eps,
            zero_gradient_fraction=0.0,
            within_budget=True,
        )
        for eps in recipe.eps
    )
    return RunMetrics(n=8, clean_accuracy=0.75, clean_accuracy_interval=(0.5, 0.875), results=results)


def make_surface_metrics(**changes: Any) -> SurfaceMetrics:
    """Return the metrics of the surface of one image with some fields changed."""
    shares = {"right_share": 0.5, "gradient_share": 0.25, "random_share": 0.75}
    fields: dict[str, Any] = {
        "n": 1,
        "images": (SurfaceImage(label=0, sample_id=3, zero_gradient=False, **shares),),
        "missing": (1,),
        "left_out": 0,
        **shares,
        "zero_gradients": 0,
        "outside_fraction": 0.125,
        "backward": "exact",
        "fixed_draw": False,
        "samples_digest": "0" * 64,
        "seconds": 1.5,
    }
    return SurfaceMetrics(**(fields | changes))


def make_arrays() -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Return one artifact of two arrays."""
    return {WEIGHTS: {"0.0": np.arange(6, dtype=np.float32).reshape(2, 3), "0.1": np.array([1, -1], dtype=np.int64)}}


def digest_parents(registry: Registry, recipe: Recipe) -> dict[str, str]:
    """Return digests for the parents of a recipe, also where they are absent."""
    there = [id_ for id_ in recipe.parents if registry.find(id_)]
    if there == list(recipe.parents):
        return registry.digest_parents(recipe)
    return dict.fromkeys(recipe.parents, ABSENT_DIGEST) | {id_: registry.manifest(id_).weights for id_ in there}


def publish(registry: Registry, recipe: Recipe | None = None, **options: Any) -> Manifest:
    """Publish a recipe, by default an autoencoder's, with metrics of its kind and the arrays above."""
    recipe = recipe or make_autoencoder_recipe()
    options.setdefault("parent_digests", digest_parents(registry, recipe))
    return registry.publish(recipe, make_metrics(recipe), make_arrays(), **options)


def spoil(arrays: dict[str, np.ndarray[Any, Any]]) -> Iterator[dict[str, np.ndarray[Any, Any]]]:
    """Yield a model's arrays with each of them missing, of another shape and of another dtype, and with one more."""
    for damaged, array in arrays.items():
        yield {name: kept for name, kept in arrays.items() if name != damaged}
        for changed in (array[:-1], array[..., None], array.astype("f2"), array.astype("u4")):
            yield arrays | {damaged: changed}
    yield arrays | {"9.9": np.zeros(1, "f4")}


def forbid_building(patch: pytest.MonkeyPatch) -> None:
    """Let no network be built from here on."""
    for name in ("Sequential", "layers.Dense", "layers.Conv2D"):
        patch.setattr(f"keras.{name}", lambda *args, **options: pytest.fail("a network was built"))


# ---------------------------------------------------------------- files that are refused


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))

    def sings(self) -> bool:
        """Return whether it was unpickled, having made sure that unpickling it would have shown."""
        sang = self.path.exists()
        pickle.loads(pickle.dumps(self))
        assert self.path.exists()
        self.path.unlink()
        return sang


def encode_npy(shape: str, data: bytes = b"", descr: str = "<f4") -> bytes:
    """Return a .npy file with a header of one's own."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header + data


def encode_npz(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of some files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _change_zip(local: int, value: int) -> bytes:
    """Return an archive of one good array, one byte of whose two headers is another."""
    content = bytearray(encode_npz({"0.0.npy": encode_npy("(1,)", bytes(4))}))
    content[local] = content[content.find(b"PK\x01\x02") + local + 2] = value
    return bytes(content)


def repeat_member(member: bytes, count: int) -> bytes:
    """Return a zip of many names for one member."""
    archive = encode_npz({"0.npy": member})
    at, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    directory = archive[at:end]
    entries = [directory.replace(b"0.npy", b"%06d.npy" % n) for n in range(count)]
    entries = [entry[:28] + struct.pack("<H", 10) + entry[30:] for entry in entries]
    directory = b"".join(entries)
    sizes = struct.pack("<HHII", min(count, 65535), min(count, 65535), len(directory), at)
    return archive[:at] + directory + archive[end : end + 8] + sizes + b"\0\0"


def hide_directory(archive: bytes, *, ahead: int = 0) -> bytes:
    """Return a zip whose end claims a directory of no bytes, beside a record of 64-bit numbers that is followed.

    ahead: by how many bytes the record lies before where it is expected.
    """
    content, end = archive[:-22], archive[-22:]
    count, size, at = struct.unpack("<8xHxxII2x", end)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, at)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content), 1)
    return content + record + bytes(ahead) + locator + end[:8] + bytes(8) + end[16:]


MANY = repeat_member(b"", 20_000)
"""A directory of more than a megabyte, which takes ten in memory."""

BAD_NPY: dict[str, bytes] = {
    "empty": b"",
    "text": b"hello\n",
    "zip": b"PK\x03\x04garbage",
    "magic alone": encode_npy("(1,)")[:6],
    "half a header": encode_npy("(1,)", bytes(4))[:30],
    "header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    "version 9": encode_npy("(1,)", bytes(4)).replace(b"NUMPY\x02", b"NUMPY\x09"),
    "another field": encode_npy("(1,)", bytes(4)).replace(b"'shape'", b"'shaqe'"),
    "no such dtype": encode_npy("(1,)", bytes(4), "<q9"),
    "objects": encode_npy("(1,)", bytes(8), "|O"),
    "strings": encode_npy("(1,)", bytes(4), "<U1"),
    "dates": encode_npy("(1,)", bytes(8), "<M8[s]"),
    "complex": encode_npy("(1,)", bytes(8), "<c8"),
    "too few": encode_npy("(3,)", bytes(8)),
    "too many": encode_npy("(1,)", bytes(8)),
    "negative": encode_npy("(-1,)", bytes(4)),
    "two negatives": encode_npy("(-1, -1)", bytes(4)),
    "bool": encode_npy("(True,)", bytes(4)),
    "a word": encode_npy("'x'", bytes(4)),
    "an open bracket": encode_npy("(1,", bytes(4)),
    "deep": encode_npy(f"{'(' * 4000}{')' * 4000}", bytes(4)),
    "wide": encode_npy(f"({'1, ' * 3000})", bytes(4)),
    "65 axes": encode_npy(f"({'1, ' * 65})", bytes(4)),
    "petabytes": encode_npy("(1000000000000000,)"),
    "more than 64 bits": encode_npy(f"(1{'0' * 30},)"),
    "zero of more than 64 bits": encode_npy(f"(0, 1{'0' * 30})"),
}
"""Each a .npy file that is damaged or lies; numpy meets them with nearly as many kinds of exceptions."""

BAD_NPZ: dict[str, bytes] = {
    "no archive": b"hello",
    "npy": encode_npy("(1,)", bytes(4)),
    "no array": encode_npz({"0.0.npy": encode_npy("(1,)", bytes(4)), "readme.txt": b"x"}),
    "bomb": encode_npz({"0.0.npy": encode_npy("(25000,)", bytes(100_000))}, zipfile.ZIP_DEFLATED),
    "lzma": encode_npz({"0.0.npy": encode_npy("(1,)", bytes(4))}, zipfile.ZIP_LZMA),
    "unknown packing": _change_zip(8, 99),
    "encrypted": _change_zip(6, 1),
    "another checksum": _change_zip(14, 0),
    "longer than it is packed": _change_zip(22, 200),
    "a name twice": repeat_member(encode_npy("(1,)", bytes(4)), 2).replace(b"000001.npy", b"000000.npy"),
    "a large directory": MANY,
    "a large directory, by 64 bits": hide_directory(MANY),
    "a large directory, by 64 bits and elsewhere": hide_directory(MANY, ahead=8),
    "a comment": encode_npz({"0.0.npy": encode_npy("(1,)", bytes(4))})[:-2] + b"\x05\0hello",
    **{f"member {name}": encode_npz({"0.0.npy": content}) for name, content in BAD_NPY.items()},
}
"""Each an .npz file that is damaged, lies, or is none of ours."""


# ---------------------------------------------------------------- a registry's files


def locate(registry: Registry, manifest: Manifest, name: str = "manifest.json") -> Path:
    return registry.home / "entries" / manifest.id / name


@contextmanager
def watch_garbage(*ids: str) -> Iterator[set[str]]:
    """Give what `gc --no-grace` would have taken, meanwhile, of some entries and of those that were just published."""
    needed, taken, publish = set(ids), set[str](), Registry.publish

    def publish_and_look(self: Registry, *arguments: Any, **options: Any) -> Manifest:
        made = publish(self, *arguments, **options)
        needed.add(made.id)
        taken.update(needed.intersection(find_garbage(self, grace=False).entries))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "publish", publish_and_look)
        yield taken


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """Return every path under a folder with its content, None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def read_unmarked(home: Path) -> dict[str, bytes | None]:
    """Return every file of a home's entries, as they were before one was imported."""
    found = read_tree(home / "entries")
    return {name: remove_import_mark(content) if content else content for name, content in found.items()}


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


Family = tuple[Manifest, Manifest, Manifest]
"""An autoencoder, a classifier behind it, and a run on that."""


def publish_family(registry: Registry) -> Family:
    """Publish an autoencoder, a classifier behind it and a run on that."""
    ae = publish(registry)
    clf = publish(registry, make_classifier_recipe(autoencoder=ae.id))
    return ae, clf, publish(registry, make_run_recipe(classifier=clf.id))


def publish_each_kind(registry: Registry) -> tuple[Manifest, ...]:
    """Publish an entry of each kind, in the order of ``KINDS``."""
    ae, clf, run = publish_family(registry)
    cert = publish(registry, make_certificate_recipe(classifier=clf.id))
    surface = publish(registry, make_surface_recipe(classifier=clf.id))
    return ae, clf, run, cert, surface, publish(registry, make_code_attack_recipe(autoencoder=ae.id))


def pack_bundle(registry: Registry, entry: Manifest) -> bytes:
    """Return the bundle of an entry."""
    write_bundle(registry, entry, stream := io.BytesIO())
    return stream.getvalue()


def take_bundle(registry: Registry, content: bytes, **options: Any) -> Imported:
    """Import a bundle."""
    return read_bundle(registry, io.BytesIO(content), **options)


def seal(registry: Registry, entry: Manifest, change: Callable[[dict[str, Any]], Any] = lambda stored: None) -> None:
    """Make the manifest's digests fit what now lies on the disk, as someone who forges an entry would."""
    path = locate(registry, entry)
    stored = json.loads(path.read_bytes())
    stored.pop("sha256")
    artifact = locate(registry, entry, WEIGHTS).read_bytes()
    stored["artifacts"][WEIGHTS] = {"sha256": hashlib.sha256(artifact).hexdigest(), "size": len(artifact)}
    change(stored)
    path.write_bytes(seal_document(stored))


def seal_document(document: Any) -> bytes:
    """Return a manifest's bytes around any JSON, its digest over the bytes before it."""
    body = json.dumps(document, indent=1).removesuffix("\n}").encode()
    return body + b',\n "sha256": "%s"\n}\n' % hashlib.sha256(body).hexdigest().encode()


SINCE_FIRST = ("schema", "parents", "dataset", "parent_digests")
"""What manifests of schema 1 had not."""


def seal_second_schema(document: dict[str, Any]) -> bytes:
    """Return the bytes of a manifest of schema 2, from a document of the present one."""
    older = {name: value for name, value in document.items() if name not in ("parent_digests", "sha256")}
    return seal_document(older | {"schema": 2})


def seal_first_schema(document: dict[str, Any]) -> bytes:
    """Return the bytes of a manifest of schema 1, from a document of the present one."""
    older = {"schema_version": 1} | {
        name: value for name, value in document.items() if name not in (*SINCE_FIRST, "sha256")
    }
    digest = hashlib.sha256(canonical_json(older).encode()).hexdigest()
    return (json.dumps(older | {"sha256": digest}, indent=1) + "\n").encode()


def assert_refused(registry: Registry, entry: Manifest, read: Callable[[], Any], name: str) -> None:
    """Hold that a read names the file and the repair."""
    with pytest.raises(CorruptError) as caught:
        read()
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert str(locate(registry, entry, name)) in message
    assert f"`advae registry rm {entry.id}`" in message
    assert "--force" in message
    assert message.isprintable()
