"""Files of entries, damaged at random: bits flipped, bytes cut off, lost, added or zeroed. Each must be noticed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from advae.errors import CorruptError
from advae.identity import KINDS, SAMPLES
from advae.records import ADVERSARIAL, OUTCOMES, Manifest
from advae.registry import Registry
from advae.registry.folders import MANIFEST
from advae.registry.verification import find_problems
from tests.entries import WEIGHTS, make_autoencoder_recipe, make_classifier_recipe, make_metrics, make_run_recipe
from tests.registry.trials import Outcome

Damage = Callable[[bytes, random.Random], tuple[bytes, str]]


def _flip(content: bytes, at: int, bit: int) -> tuple[bytes, str]:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :], f"bit {bit} of byte {at} flipped"


def _flip_among(letters: bytes) -> Damage:
    def flip(content: bytes, rng: random.Random) -> tuple[bytes, str]:
        places = [at for at, byte in enumerate(content) if byte in letters] or range(len(content))
        return _flip(content, rng.choice(places), rng.randrange(8))

    return flip


def _zero(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Zero a stretch that held something else, as a disk that never wrote it would."""
    at = rng.choice([at for at, byte in enumerate(content) if byte])
    size = min(rng.choice((1, 16, 512)), len(content) - at)
    return content[:at] + bytes(size) + content[at + size :], f"{size} bytes from {at} zeroed"


def _cut(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    size = rng.randrange(len(content))
    return content[:size], f"cut to {size} of {len(content)} bytes"


def _lose(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    at = rng.randrange(len(content))
    return content[:at] + content[at + 1 :], f"byte {at} lost"


def _append(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    more = rng.choice((b"\n", b" ", b"\0", rng.randbytes(rng.randrange(1, 600))))
    return content + more, f"{more[:8]!r}, {len(more)} bytes in all, appended"


DAMAGES: dict[str, Damage] = {
    "bit": lambda content, rng: _flip(content, rng.randrange(len(content)), rng.randrange(8)),
    "bit of whitespace": _flip_among(b" \n"),
    "bit of a digit": _flip_among(b"0123456789"),
    "bit near the end": lambda content, rng: _flip(content, len(content) - 1 - rng.randrange(100), rng.randrange(8)),
    "cut by one byte": lambda content, rng: (content[:-1], "last byte lost"),
    "cut to nothing": lambda content, rng: (b"", "cut to nothing"),
    "cut": _cut,
    "byte lost": _lose,
    "appended": _append,
    "zeroed": _zero,
}


def publish_all_kinds(registry: Registry) -> list[Manifest]:
    """Publish an autoencoder, a classifier behind it and a run of three artifacts."""
    rng = np.random.default_rng(0)
    weights = {"0.0": rng.random((8, 5), np.float32), "0.1": np.zeros(5, np.float32)}
    images = {"x": rng.random((3, 4), np.float32), "y": np.arange(3)}
    found: list[Manifest] = []
    for make, parent in (
        (make_autoencoder_recipe, ""),
        (make_classifier_recipe, "autoencoder"),
        (make_run_recipe, "classifier"),
    ):
        recipe: Any = make(**({parent: found[-1].id} if parent else {}))
        names = (OUTCOMES, SAMPLES, ADVERSARIAL) if recipe.kind == "run" else ()
        arrays = dict.fromkeys(names, images) or {WEIGHTS: weights}
        found.append(registry.publish(recipe, make_metrics(recipe), arrays))
    return found


def damage_often(folder: Path, count: int = 1000, seed: int = 0) -> Outcome:
    """Damage one file after the other, each in turn in each way, and mend it again."""
    registry, rng = Registry(folder / "damaged"), random.Random(seed)
    entries = publish_all_kinds(registry)
    registry.tag(entries[0], "best")
    files = [(entry, name) for entry in entries for name in (MANIFEST, *entry.artifacts)]
    outcome, ways, kinds = Outcome(), Counter[str](), Counter[str]()
    for number in range(count):
        entry, name = files[number % len(files)]
        way = list(DAMAGES)[number // len(files) % len(DAMAGES)]
        path = registry.folders.entries / entry.id / name
        sound = path.read_bytes()
        damaged, what = DAMAGES[way](sound, rng)
        path.write_bytes(damaged)
        missed = [] if damaged == sound else _find_missed(registry, entry, name)
        outcome.violations += [f"{seed=}, damage {number}, {entry.kind} {name}: {what}: {line}" for line in missed]
        path.write_bytes(sound)
        outcome.count += damaged != sound
        ways[way] += 1
        kinds[f"{entry.kind} {name}"] += 1
    outcome.violations += [line for entry in entries for line in find_problems(registry, entry.id)]
    outcome.figures = {"ways": dict(ways), "files": dict(kinds), "kinds": len(KINDS)}
    return outcome


def _find_missed(registry: Registry, entry: Manifest, name: str) -> list[str]:
    """Return the readers that do not notice that a file is damaged."""
    fresh = Registry(registry.home)
    problems = find_problems(fresh, entry.id)
    missed = [] if any(name in line for line in problems) else [f"verify says {problems}"]
    readers: dict[str, Callable[[], Any]] = {
        "resolve": lambda: fresh.resolve(entry.id),
        "latest": lambda: fresh.read_summary(entry.id),
        "tag": lambda: fresh.resolve("best") if entry.kind == "ae" else fresh.manifest(entry.id),
    }
    if name != MANIFEST:
        readers = {"read": lambda: fresh.read_arrays(entry, name), "check": lambda: fresh.check(entry)}
    elif entry.id not in fresh.list_summaries()[1] or entry.id not in fresh.scan()[1]:
        missed.append("a list shows it")
    for reader, read in readers.items():
        try:
            read()
        except CorruptError:
            continue
        missed.append(f"{reader} took it")
    return missed
