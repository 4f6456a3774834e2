"""A registry of thousands of entries: how long people wait for a list, and for the shell to complete an id."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from advae.identity import KINDS
from advae.records import Artifact, DatasetRef, History, Manifest, NetworkOptions, entry_id
from advae.registry import Registry
from advae.registry.collection import find_garbage, remove_garbage
from advae.registry.folders import MANIFEST
from advae.registry.manifest_files import encode
from tests.entries import (
    WEIGHTS,
    make_autoencoder_recipe,
    make_certificate_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    publish,
)
from tests.registry.trials import Outcome

LIMITS = {"ls": 4.2, "completion": 2.0, "gc": 14.0}
"""Times a completion in an empty registry, which is little more than a start and takes about 0.4 s.

A list then takes about 1.5 s at most, and gc 5 s. Seconds would say more of what else the machine is doing. Completion
opens no entry, which is counted exactly: reading 5,000 manifests would take at least as long as a list.
"""

COUNTED = """
import runpy, sys
folder, found = sys.argv.pop(), []
sys.addaudithook(lambda event, args: found.append(event) if args and str(args[0]).startswith(folder) else None)
sys.argv[0] = "advae"
try:
    runpy.run_module("advae", run_name="__main__", alter_sys=True)
finally:
    print(len(found), file=sys.stderr)
"""
"""A start that counts how often something in a folder is opened or listed."""

RUNS = 7
EPOCHS = 35
EPS = (0.05, 0.1, 0.2, 0.3)
DATASET = DatasetRef(name="mnist", digest="0" * 64, side=28, classes=tuple("0123456789"))
NETWORK = NetworkOptions(
    hidden=128,
    code=32,
    activations=("relu", "relu", "relu", "sigmoid"),
    epochs=EPOCHS,
    batch_size=256,
    learning_rate=0.001,
)


def make_many(home: Path, count: int) -> None:
    """Make entries of realistic size. Their arrays are left out: no list looks at them."""
    registry, rng = Registry(home), random.Random(0)
    history = History(
        loss=tuple(rng.random() for _ in range(EPOCHS)),
        validation_loss=tuple(rng.random() for _ in range(EPOCHS)),
        seconds=rng.random(),
    )
    for manifest in _vary(registry, history, count):
        folder = registry.folders.entries / manifest.id
        folder.mkdir(exist_ok=True)
        (folder / MANIFEST).write_bytes(encode(manifest))
    for number, entry in enumerate(registry.list_summaries("ae")[0][:50]):
        registry.references.write("ae", f"tag{number}", entry.id)


def _vary(registry: Registry, history: History, count: int) -> Iterator[Manifest]:
    autoencoder = make_autoencoder_recipe(dataset=DATASET, network=NETWORK)
    classifier = make_classifier_recipe(dataset=DATASET, options=NETWORK, autoencoder=entry_id(autoencoder))
    run = make_run_recipe(dataset=DATASET, eps=EPS, classifier=entry_id(classifier))
    certificate = make_certificate_recipe(dataset=DATASET, eps=EPS, classifier=entry_id(classifier), seed=0)
    artifacts = {WEIGHTS: Artifact(sha256="0" * 64, size=1_700_000)}
    for recipe, share in ((autoencoder, 0.2), (classifier, 0.4), (run, 0.3), (certificate, 0.1)):
        metrics = make_metrics(recipe)
        if hasattr(metrics, "history"):
            metrics = metrics.model_copy(update={"history": history})
        first = publish(registry, recipe).model_copy(update={"metrics": metrics, "artifacts": artifacts})
        for seed in range(round(share * count)):
            varied = recipe.model_copy(update={"seed": seed})
            created = f"2026-01-01T{seed // 3600 % 24:02}:{seed // 60 % 60:02}:{seed % 60:02}.{seed:06}+00:00"
            yield first.model_copy(update={"id": entry_id(varied), "recipe": varied, "created": created})


def _time_collection(registry: Registry, outcome: Outcome) -> float:
    """Return the processor seconds of finding and removing what no run and no tag reaches."""
    start = time.process_time()
    garbage = find_garbage(registry, grace=False)
    remove_garbage(registry, garbage)
    if not garbage.entries or set(garbage.entries) & set(registry.ids()):
        outcome.violations.append(f"gc left some of {len(garbage.entries)} entries")
    return time.process_time() - start


def _count_opened(home: Path, environment: dict[str, str]) -> int:
    """Return how many files and folders of the entries a completion opens or lists."""
    command = [sys.executable, "-c", COUNTED, str(home / "entries")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stderr.split()[-1])


def time_lists(folder: Path, count: int = 5000) -> Outcome:
    """Time the list and a completion, in turn with a completion in an empty registry: processor seconds."""
    home = folder / "many"
    make_many(home, count)
    # As users have it: Python keeps what it has compiled.
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment = {**os.environ, **kept, "ADVAE_HOME": str(home)}
    completing = {"_ADVAE_COMPLETE": "complete_bash", "COMP_WORDS": "advae registry show ae-0", "COMP_CWORD": "3"}
    advae = [sys.executable, "-m", "advae"]
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "ls": ([*advae, "registry", "ls"], environment),
        "completion": (advae, environment | completing),
        "start": (advae, environment | completing | {"ADVAE_HOME": str(folder / "empty")}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    printed = {}
    for _ in range(RUNS):
        for name, (command, environ) in commands.items():
            before = os.times()
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=120)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            seconds[name].append(used)
            printed[name] = done.stdout.split()
    ids = Registry(home).ids()
    outcome = Outcome(len(ids))
    if sorted(printed["ls"]) != ids or len(ids) != count:
        outcome.violations.append(f"{len(printed['ls'])} of {len(ids)} ids are listed, of {count} made")
    if not printed["completion"] or set(printed["completion"]) != {id_ for id_ in ids if id_.startswith("ae-0")}:
        outcome.violations.append(f"completion offers {len(printed['completion'])} ids")
    seconds["gc"] = [_time_collection(Registry(home), outcome)]
    # One run in the fastest or slowest state of the machine decides nothing.
    usual = {name: round(median(found), 3) for name, found in seconds.items()}
    outcome.violations += [
        f"{name} took {usual[name]} s, promised {limit} times the {usual['start']} s of a start"
        for name, limit in LIMITS.items()
        if usual[name] >= limit * usual["start"]
    ]
    opened = _count_opened(home, environment | completing)
    if opened != 1:
        outcome.violations.append(f"completion opens {opened} files and folders of the entries, not only their list")
    made = [kind for kind in KINDS if Registry(home).ids(kind)]
    sizes = {kind: (home / "entries" / Registry(home).ids(kind)[-1] / MANIFEST).stat().st_size for kind in made}
    outcome.figures = {"median_seconds": usual, "all_seconds": seconds, "bytes_of_a_manifest": sizes}
    return outcome
