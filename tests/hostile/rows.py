"""The table CORPUS of hostile files, the commands that each is offered to, and functions that add rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.entries import (
    seal_document,
)
from tests.hostile.members import (
    BLOCK,
    change_artifact,
    encode_bundle,
    open_manifest,
    rename_family,
    set_fields,
    take_apart,
)
from tests.hostile.scene import MANIFEST, Change, Document, Members, Scene


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
    "data verify cifar-10": ("data", "verify", "cifar-10", "--data-dir", "{folder}"),
    "data verify --resize": ("data", "verify", "{file}", "--resize", "8,8"),
    "train-ae mnist": ("train-ae", "--type", "vanilla", "--dataset", "mnist", "--data-dir", "{folder}"),
}
"""Every command that reads an entry, a bundle, an .npz or .npy, as ``Scene`` fills it in."""

BUNDLE = {"import": 4}
REPLACING = BUNDLE | {"import --force": 4}
IMAGES = dict.fromkeys(("purify it", "predict it"), 6)
DATASET = dict.fromkeys(("train-ae", "ls --dataset", "data verify"), 6)
MNIST = dict.fromkeys(("data verify mnist", "train-ae mnist"), 6)
CIFAR = {"data verify cifar-10": 6}
FOLDER = DATASET | {"train-clf": 6, "data verify --resize": 6}
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
