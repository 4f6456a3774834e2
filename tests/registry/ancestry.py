"""Lineages as long, and as often joined, as a forger may write them: each ancestor is visited once."""

from __future__ import annotations

import time
from pathlib import Path

from advae.errors import UsageError
from advae.identity import digest_weights
from advae.records import DatasetKey, Manifest, Recipe, entry_id
from advae.registry import Registry
from advae.registry.manifest_files import encode, list_needed
from tests.calls import call
from tests.entries import make_autoencoder_recipe, make_classifier_recipe, make_metrics
from tests.registry.trials import Outcome

SECONDS_A_THOUSAND = 10.0
"""Processor seconds that all of it may take for a thousand ancestors; an exponential walk takes for ever."""


def plant(registry: Registry, *recipes: Recipe) -> list[str]:
    """Write entries of no artifacts, as quickly as a forger would, and return their ids."""
    planted = {entry_id(recipe): recipe for recipe in recipes}
    registry.folders.prepare()
    for id_, recipe in planted.items():
        needed = list_needed(recipe.parents, lambda parent: planted[parent].parents)
        manifest = Manifest(
            id=id_,
            recipe=recipe,
            parents=recipe.parents,
            dataset=DatasetKey(name=recipe.dataset.name, digest=recipe.dataset.digest),
            metrics=make_metrics(recipe),
            artifacts={},
            source=None,
            versions={},
            created="2026-11-22T12:00:00.000001+00:00",
            parent_digests=dict.fromkeys(needed, digest_weights({})),
        )
        (registry.folders.entries / id_).mkdir()
        (registry.folders.entries / id_ / "manifest.json").write_bytes(encode(manifest))
    return list(planted)


def plant_chain(registry: Registry, length: int) -> list[str]:
    """Plant a chain: an autoencoder that protects a classifier behind an autoencoder that protects ..."""
    recipes: list[Recipe] = [make_classifier_recipe()]
    for seed in range(length // 2):
        recipes.append(make_autoencoder_recipe(protects=entry_id(recipes[-1]), seed=seed))
        recipes.append(make_classifier_recipe(autoencoder=entry_id(recipes[-1]), seed=seed))
    return plant(registry, *recipes)


def plant_diamonds(registry: Registry, depth: int) -> list[str]:
    """Plant pairs of classifiers, each of both of the step below: 2 ** depth ways lead down from the last one."""
    recipes: list[Recipe] = [make_classifier_recipe(seed=seed) for seed in range(2)]
    for seed in range(depth):
        one, two = recipes[-2:]
        purifiers = [make_autoencoder_recipe(protects=entry_id(below), seed=seed) for below in (one, two)]
        pairs = zip(purifiers, (two, one), strict=True)
        recipes += purifiers
        recipes += [
            make_classifier_recipe(autoencoder=entry_id(purifier), origin=entry_id(below), seed=seed)
            for purifier, below in pairs
        ]
    return plant(registry, *recipes)


def walk_lineages(folder: Path, *, chain: int, depth: int) -> Outcome:
    """Show and remove what rests on a chain of so many entries, and on a chain of as many diamonds."""
    outcome = Outcome()
    for name, ids in (
        ("chain", plant_chain(Registry(folder / "chain"), chain)),
        ("diamonds", plant_diamonds(Registry(folder / "diamonds"), depth)),
    ):
        started = time.process_time()
        # Of the last pair of the diamonds one does not rest on the other, nor on its purifier.
        aside = 2 if name == "diamonds" else 0
        outcome.count += len(ids)
        outcome.violations += [f"{name}: {fault}" for fault in _walk(Registry(folder / name), ids, aside)]
        seconds = time.process_time() - started
        outcome.figures[f"{name} of {len(ids)}"] = round(seconds, 1)
        if seconds > SECONDS_A_THOUSAND * max(1.0, len(ids) / 1000):
            outcome.violations.append(f"{name} of {len(ids)} took {seconds:.0f} processor seconds")
    return outcome


def _walk(registry: Registry, ids: list[str], aside: int) -> list[str]:
    """Return what is wrong with what is shown of the last of some entries, and with their removal."""
    lineage = [*registry.summarize_lineage(ids[-1])]
    shown = call("registry", "show", ids[-1], "--home", registry.home)
    if shown.code:
        return [f"show ended with {shown.code}: {shown.err[:300]}"]
    removed = _remove(registry, ids)
    held = {
        "it has other ancestors": sorted(shown.json["ancestors"]) == sorted({*lineage} - {ids[-1]}),
        "some ancestors are not visited, or twice": len(lineage) == len({*lineage}) == len(ids) - aside,
        "what is repeated is not marked": shown.out.count('"repeated"') == shown.err.count("(above)"),
        "the tree is too long for people": len(shown.err.splitlines()) < 300,
        "what is needed was removed": removed is None,
        "its dependants were not removed first": registry.remove(ids[-4], recursive=True)[0] in ids[-2:],
    }
    return [fault for fault, good in held.items() if not good]


def _remove(registry: Registry, ids: list[str]) -> list[str] | None:
    """Return what is removed of what others need; None where that is refused."""
    try:
        return registry.remove(ids[0])
    except UsageError:
        return None
