"""Rows of CORPUS: recipes and weights that make no sense although every digest fits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from advae.models.robust import ROBUST_OPTIONS
from tests.entries import (
    NETWORK,
    encode_npy,
    encode_npz,
)
from tests.hostile.manifests import change_at
from tests.hostile.members import seal_text, tell_own
from tests.hostile.rows import CORPUS, USED, add_family, add_manifest
from tests.hostile.scene import SIDE, Change, Document, Scene, fit_weights

PREDICTED = dict.fromkeys(("predict", "attack", "export keras"), 4)
FOREIGN = PREDICTED | {"predict": 6}
"""Of a model that might be whole: the images that it is given are not of its size, and that is seen first."""


def in_recipe(path: str, value: Any) -> Change:
    return lambda stored: stored.update(recipe=change_at(stored["recipe"], path, value))


PERCEPTRON: Document = {"hidden": 3, "narrow": 2, "epochs": 1, "batch_size": 16, "learning_rate": 0.001}

RETRAINED: Document = {"rounds": 2, "method": "bim", "eps": 0.1, "norm": "linf", "steps": 10, "attack_rev": 1}

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
    "retrained on an unknown attack": {"clf": in_recipe("retrained", RETRAINED | {"method": "magic"})},
    "retrained in a billion rounds": {"clf": in_recipe("retrained", RETRAINED | {"rounds": 10**9})},
    "retrained at an infinite eps": {"clf": in_recipe("retrained", RETRAINED | {"eps": 1e308})},
    "retrained on noise": {
        "clf": lambda stored: (
            in_recipe("retrained", RETRAINED)(stored),
            in_recipe("noise_level", 0.5)(stored),
        )
    },
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
    "bit-depth": ({"bits": 1}, {}),
    "median": ({"window": 2}, {}),
    "jpeg": ({"quality": 75}, {}),
    "total-variation": ({"tv_weight": 0.1}, {}),
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
    *(("bit-depth", "bits", value) for value in (0, 9, -1, 1.5, 2.0, True, "one", 10**400)),
    *(("median", "window", value) for value in (1, 6, 10**9, 2.5, True, "two")),
    *(("jpeg", "quality", value) for value in (0, 101, 75.5, True, "best")),
    *(("total-variation", "tv_weight", value) for value in (0, -0.1, 101, 10**400, "much", True)),
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
