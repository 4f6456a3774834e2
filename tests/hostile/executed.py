"""Rows of CORPUS: files that execute code where a reader loads them."""

from __future__ import annotations

import gzip
import io
import pickle
from functools import cache
from pathlib import Path

import numpy as np

from tests.entries import (
    encode_npz,
)
from tests.hostile.rows import FILE, add_bundle, add_manifest, add_weights
from tests.hostile.scene import Scene


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
