"""The scene: a registry with a working pipeline, and a folder for the files that are offered to it."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.datasets.load import load_dataset
from advae.registry import Registry
from advae.registry.bundles import write_bundle
from tests.entries import (
    NETWORK,
    WEIGHTS,
    Canary,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
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
