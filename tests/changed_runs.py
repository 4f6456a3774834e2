"""Invented runs with right seals: odd ones, changed ones, and what a report may make of them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from pydantic import ValidationError

from advae.attacks import ATTACKS
from advae.errors import CorruptError
from advae.records import DatasetRef, History
from advae.registry import Registry
from advae.threats import THREATS
from tests.calls import call
from tests.entries import encode_npz, pack_bundle
from tests.hostile.members import rename_family, take_apart
from tests.hostile.scene import Document, Members
from tests.report_fixtures import HISTORY, Lab, make_views

Draw = Callable[[st.SearchStrategy[Any]], Any]
Arrays = dict[str, np.ndarray[Any, Any]]
FORMATS = ("html", "json", "csv", "md")


def pick(draw: Draw, *values: Any) -> Any:
    return draw(st.sampled_from(values))


# ---------------------------------------------------------------- odd, and in order

REALS = (0.0, -1e100, 1e100, 1e39, -1.0, 0.5, 1e-320, 3.0)
OBEYED = re.compile("[\x1b\x9b\u202a-\u202e\u2066-\u2069\u200b-\u200f\ud800-\udfff]")
"""What moves a cursor, turns the direction of reading, or is no character."""

NAMES = ("\x1b[2J", "x", "digits", "mnist", "<b>", "=1+1", "", "a\nb", "\u202e", "\udcff", "9" * 300)


def draw_history(draw: Draw) -> History | None:
    if pick(draw, True, False):
        return pick(draw, None, HISTORY)
    losses = tuple(draw(st.lists(st.sampled_from(REALS), max_size=4)))
    shares = pick(draw, None, (), (0.0, 1.0))
    return History(
        loss=losses,
        validation_loss=pick(draw, losses, losses[::-1], losses[:-1], ()),
        seconds=pick(draw, 0.0, 1.0, 1e100),
        clean_accuracy=shares,
        attacked_accuracy=pick(draw, shares, None),
        certified_accuracy=pick(draw, shares, None),
    )


def draw_attack(draw: Draw) -> dict[str, Any]:
    """Return what ``Lab.add_run`` takes."""
    eps = pick(draw, (0.1,), (0.0,), (0.1, 0.3), (0.3, 0.1), (1e-300, 5e-324), (1.0,), (0.1, 0.1), (4096.0, 0.1))
    changes = {
        "eps": eps,
        "keep": [pick(draw, 0.0, 0.5, 1.0) for _ in eps],
        "n": pick(draw, 1, 2, 20, 40),
        "clean": pick(draw, 0.0, 0.9, 1.0),
        "checked": pick(draw, True, True, False),
        "valid": pick(draw, True, True, False),
        "constant": pick(draw, None, None, 0),
        "stuck": pick(draw, 0.0, 0.0, 1.0),
        "first_id": pick(draw, 0, 0, 2**40),
        "method": pick(draw, *ATTACKS, "x"),
        "threat": pick(draw, "adaptive", "adaptive", *THREATS, "x"),
        "norm": pick(draw, "linf", "linf", "l2"),
        "target": pick(draw, None, None, 0, 1),
        "steps": pick(draw, None, 10, 2**53),
        "step_size": pick(draw, None, 1e-300, 1e100),
        "restarts": pick(draw, None, 1, 5, 2**53),
        "queries": pick(draw, None, 1, 2**53),
        "draws": pick(draw, None, 1, 16),
        "loss": pick(draw, None, "scaled", "x"),
        "limit": pick(draw, None, 40, 2**53),
        "sample": pick(draw, None, "stratified"),
        "seed": pick(draw, 0, 2**31 - 1),
    }
    found = {
        "start_range": pick(draw, (0.0, 1.0), (0.0, 1e20), (-1.0, 2.0)),
        "clipped_fraction": pick(draw, None, 0.0, 1.0),
        "probabilities": pick(draw, None, True, False),
        "stochastic": pick(draw, None, True, False),
        "backward": pick(draw, None, "identity"),
        "loss_curve": pick(draw, None, (), ((0, -1e100), (1, 1e100)), ((5, 0.0),), ((2**53, -1.0), (0, 1.0))),
        "lost_fraction": pick(draw, None, 0.0, 1.0),
        "accuracy_8bit": pick(draw, None, 0.0, 1.0),
        "finite": pick(draw, None, True, False),
    }
    names = draw(st.lists(st.sampled_from(sorted(found)), max_size=3))
    return changes | {"found": {name: found[name] for name in names}}


def draw_family(draw: Draw, home: Path) -> Members:
    """Return the members of a bundle of a run that is in order, however odd; of an ordinary one where it cannot be."""
    shutil.rmtree(home, ignore_errors=True)
    classes = pick(draw, 2, 3, 10, 10, 10, 12)
    names = (pick(draw, *NAMES), *map(str, range(1, classes)))
    lab = Lab(home, DatasetRef(name=pick(draw, *NAMES), digest="c" * 64, side=pick(draw, 1, 8, 8), classes=names))
    lab.source = pick(draw, None, "/data/own.npz")
    try:
        purifier = None
        if pick(draw, True, True, False):
            purifier = lab.add_autoencoder(
                pick(draw, "vanilla", "variational", "blur", "robust", "x"),
                views=make_views(side=lab.dataset.side) if pick(draw, True, False) and classes >= 10 else None,
                reach=pick(draw, (0.0, 1.0), (0.0, 45.0), (-1e100, 1e100)),
                history=draw_history(draw),
                rescale=pick(draw, "intensity", "none"),
                options=pick(draw, {}, {"x": 1e308, "sigma": 1.0}, {"y": 2**62, "z": "=a"}),
            )
        classifier = lab.add_classifier(
            purifier,
            model=pick(draw, "nn", "lr", "x"),
            history=draw_history(draw),
            classes_predicted=pick(draw, None, 1, classes),
        )
        run = lab.add_run(classifier, **draw_attack(draw))
    except ValidationError:
        run = lab.add_run(lab.add_classifier())
    return take_apart(pack_bundle(lab.registry, run))


# ---------------------------------------------------------------- changed

DTYPES = ("u1", "i1", "?", "u8", "f2", "f4", "f8", "c8", "i8")
VALUES: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "all 0": np.zeros_like,
    "all 1": np.ones_like,
    "one more": lambda array: array + 1,
    "negative": lambda array: -array.astype("f8"),
    "huge": lambda array: array.astype("f4") * np.float32(1e38),
    "not a number": lambda array: array.astype("f4") * np.nan,
    "the other way round": lambda array: array[::-1],
    "flat": lambda array: array.reshape(-1),
    "one axis more": lambda array: array[None],
    "one less": lambda array: array[:-1],
    "twice": lambda array: np.concatenate([array, array]),
    "one number": lambda array: array.reshape(-1)[:1].sum(),
}


def change_arrays(draw: Draw, members: Members) -> Members:
    """Return a family one of whose artifacts has another array, with the digests that fit."""
    chosen = pick(draw, *(name for name, _ in members if name.endswith(".npz")))
    id_, _, file = chosen.partition(".")
    content = dict(members)[chosen]
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = dict(stored)
    name = pick(draw, *arrays)
    how = pick(draw, "dtype", "values", "values", "values", "gone")
    with np.errstate(all="ignore"):
        if how == "dtype":
            arrays[name] = arrays[name].astype(pick(draw, *DTYPES))
        elif how == "values":
            arrays[name] = np.asarray(VALUES[pick(draw, *VALUES)](arrays[name]))
        else:
            arrays.pop(name)
    np.savez(stream := io.BytesIO(), **arrays)
    new = stream.getvalue() if arrays else encode_npz({})
    described = {"sha256": hashlib.sha256(new).hexdigest(), "size": len(new)}

    def describe(document: Document) -> None:
        document["artifacts"][file] = described

    replaced = [(other, new if other == chosen else kept) for other, kept in members]
    return rename_family(replaced, {id_.partition("-")[0]: describe})


# ---------------------------------------------------------------- the report on it


SHARES = {
    *("accuracy", "clean_accuracy", "attack_success_rate", "target_hit_rate", "zero_gradient_fraction", "mcnemar_p"),
    *("accuracy_8bit", "lost_fraction", "expected_accuracy", "clipped_fraction", "precision", "recall", "f1"),
}


def list_numbers(document: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number of a document with the name of its field."""
    if isinstance(document, float | int):
        yield name, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from list_numbers(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from list_numbers(value, name)


def pick_by(content: bytes, names: tuple[str, ...]) -> str:
    """Return one of some names, the same for the same bytes."""
    return names[hashlib.sha256(content).digest()[0] % len(names)]


class Scene:
    """A home with a good run, and what a report says of it where nothing else is there."""

    def __init__(self, folder: Path) -> None:
        self.home, self.out = folder / "home", folder / "out"
        lab = Lab(self.home)
        self.good = {lab.add_run(lab.add_classifier(lab.add_autoencoder()), checked=True, n=10).id}
        self.entries = {path.name for path in (self.home / "entries").iterdir()}
        self.expected = self._select(self._report(*FORMATS)[0])

    def read(self, content: bytes) -> None:
        """Report on the good run beside those of a bundle. Raises CorruptError with the reason where they are excluded.

        Fails where a report says anything else of the good run than what it says of it alone, or of the others than
        what their arrays do.
        """
        for path in (self.home / "entries").iterdir():
            if path.name not in self.entries:
                shutil.rmtree(path)
        for name, member in take_apart(content):
            id_, _, file = name.partition(".")
            (self.home / "entries" / id_).mkdir(parents=True, exist_ok=True)
            (self.home / "entries" / id_ / file).write_bytes(member)
        # All formats of each example would take twice as long.
        document, told = self._report("json", pick_by(content, FORMATS))
        assert self._select(document) == self.expected
        shown = {run["id"]: run for run in document["runs"] if run["id"] not in self.good}
        for run in shown.values():
            self._check_run(run)
        if not shown:
            raise CorruptError(re.sub(r"\s+", " ", told.partition(" is excluded: ")[2]))

    def _report(self, *formats: str) -> tuple[Any, str]:
        done = call("report", "--home", self.home, "--out", self.out, "--format", ",".join(dict.fromkeys(formats)))
        assert done.code == 0, done.err
        texts = {name: (self.out / f"report.{name}").read_text("utf-8") for name in formats}
        document = json.loads(texts["json"], parse_constant=lambda word: self._fail(f"{word} in report.json"))
        beyond = [(name, value) for name, value in list_numbers(document) if name in SHARES and not 0 <= value <= 1]
        assert not beyond, beyond
        for name, text in texts.items():
            # Neither a coordinate nor a cell; JSON was read so that it has none, and may name something "nan".
            assert name == "json" or not re.search(r'[\s,">(|](nan|-?inf)(?=[\s,"<)%|])', text), name
            # JSON of names may hold what its own escapes are for.
            assert name == "json" or not OBEYED.search(text), name
        assert not OBEYED.search(done.err)
        return document, done.err

    def _fail(self, what: str) -> None:
        raise AssertionError(what)

    def _select(self, document: Any) -> Any:
        """Return what a document says of the good runs."""
        own = {run["recipe"]["classifier"] for run in document["runs"] if run["id"] in self.good}
        return {
            "runs": [run for run in document["runs"] if run["id"] in self.good],
            "accuracy": [one for one in document["accuracy"] if one["run"] in self.good],
            **{
                name: [one for one in document[name] if one["classifier_id"] in own]
                for name in ("headlines", "illusion_gaps", "threat_models", "checks")
            },
        }

    def _check_run(self, run: Any) -> None:
        """Hold that each accuracy of a run that is shown is that of its predictions."""
        registry = Registry(self.home)
        outcomes = registry.read_arrays(registry.manifest(run["id"]), "outcomes.npz")
        labels = outcomes["labels"].astype("i8")
        told = [run["metrics"]["clean_accuracy"], *(result["accuracy"] for result in run["metrics"]["results"])]
        found = [float((one == labels).mean()) for one in (outcomes["clean_predictions"], *outcomes["predictions"])]
        assert np.allclose(told, found, atol=1e-5, rtol=0)
