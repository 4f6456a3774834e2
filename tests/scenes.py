"""A line for every command, and a folder that holds all that they name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from tests.calls import succeed
from tests.conftest import Trained

PLAN = """
datasets = ["digits"]
[classifiers.lr]
model = "lr"
[[attacks]]
classifiers = ["lr"]
behind = ["none"]
methods = ["fgsm"]
eps = [0.1]
limit = 20
"""

LINES: dict[tuple[str, ...], list[str]] = {
    ("train-ae",): ["--type vanilla --epochs 8"],
    ("train-clf",): ["--model lr"],
    ("add-clf",): ["model.keras --input-range 0,1 --channels last"],
    ("add-ae",): ["purifier.keras"],
    ("attack",): ["--method fgsm --eps 0.1 --limit 20 --clf {lr}"],
    ("attack-code",): ["--ae {ae} --pairs 2 --points 3 --steps 20"],
    ("certify",): ["--eps 0.01 --limit 20 --clf {lr}"],
    ("surface",): ["--clf {lr} --points 5"],
    ("report",): ["{run} --out out", "--schema"],
    ("diff",): ["{run} {other}"],
    ("reproduce",): ["--plan plan.toml --out out", "--plan plan.toml --dry-run", "--show-plan"],
    ("purify",): ["--ae {ae} in.npy out.npy"],
    ("predict",): ["--clf {nn} in.npy"],
    ("registry", "init"): ["new"],
    ("registry", "ls"): [""],
    ("registry", "show"): ["{ae}"],
    ("registry", "tag"): ["{ae} mine"],
    ("registry", "untag"): ["there"],
    ("registry", "rm"): ["{run}"],
    ("registry", "verify"): [""],
    ("registry", "gc"): ["", "--dry-run"],
    ("registry", "export"): ["{run} it.tar", "{nn} it.keras --format keras"],
    ("registry", "import"): ["there.tar"],
    ("data", "ls"): [""],
    ("data", "fetch"): ["mnist"],
    ("data", "verify"): ["digits"],
}
"""Arguments of every command; what they ask for is there already."""


def save_models(folder: Path) -> None:
    """Write a classifier and a purifier of 8 x 8 images as Keras does."""
    import keras

    inputs = keras.Input((8, 8, 1))
    start = keras.initializers.GlorotUniform(seed=0)
    logits = keras.layers.Dense(10, kernel_initializer=start)(keras.layers.Flatten()(inputs))
    keras.Model(inputs, logits).save(folder / "model.keras")
    keras.Model(inputs, keras.layers.Conv2D(1, 1, kernel_initializer="ones")(inputs)).save(folder / "purifier.keras")


def set_scene(folder: Path, trained: Trained) -> dict[str, str]:
    """Make the folder, its registry in ``home``, and return the ids that the lines name."""
    shutil.copytree(trained.home, folder / "home")
    home = ("--home", folder / "home", "-q")
    attack = ("attack", "--method", "fgsm", "--eps", 0.1, "--limit", 20, "--clf", trained.lr)
    ids = {"run": succeed(*attack, *home).id, "ae": trained.ae, "nn": trained.nn, "lr": trained.lr}
    ids["other"] = succeed(*attack[:3], "--limit", 20, "--eps", "0.1,0.2", "--clf", trained.lr, *home).id
    (folder / "plan.toml").write_text(PLAN)
    succeed("reproduce", "--plan", folder / "plan.toml", "--jobs", 1, "--out", folder / "first", *home)
    succeed("registry", "tag", trained.nn, "there", *home)
    succeed("registry", "export", trained.ae, folder / "there.tar", *home)
    np.save(folder / "in.npy", np.zeros((3, 8, 8), "f4"))
    save_models(folder)
    return ids
