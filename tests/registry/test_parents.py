"""An id stands for a recipe, not for weights: nothing is loaded or handed on over other weights of a parent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.errors import CorruptError, NotFoundError
from advae.records import Manifest, Recipe, entry_id
from advae.registry import Registry
from advae.registry.verification import find_all_problems
from tests.entries import (
    WEIGHTS,
    Family,
    list_names,
    locate,
    make_arrays,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_metrics,
    make_run_recipe,
    pack_bundle,
    publish,
    publish_family,
    read_tree,
    seal_second_schema,
    take_bundle,
)
from tests.registry.ancestry import walk_lineages

OTHER = {WEIGHTS: {"0.0": np.full(3, 7.0)}}
"""Weights that no training of ``tests.entries`` gives."""


def publish_other(registry: Registry, recipe: Recipe, arrays: Any = OTHER, **options: Any) -> Manifest:
    """Publish the entry of a recipe with weights that its training does not give here."""
    return registry.publish(recipe, make_metrics(recipe), arrays, **options)


def find_problems(registry: Registry) -> dict[str, list[str]]:
    return {id_: lines for id_, lines in find_all_problems(registry, registry.ids()) if lines}


def obtain(registry: Registry, recipe: Recipe, **options: Any) -> tuple[Manifest, bool]:
    return registry.obtain(recipe, lambda: (make_metrics(recipe), make_arrays()), **options)


# ---------------------------------------------------------------- what is written down


def test_a_manifest_names_the_weights_of_all_that_is_loaded_with_its_parents(registry: Registry) -> None:
    ae, clf, run = publish_family(registry)
    assert ae.parent_digests == {}
    assert clf.parent_digests == {ae.id: ae.weights}
    assert run.parent_digests == {clf.id: clf.weights, ae.id: ae.weights}
    undefended = publish(registry, make_classifier_recipe(seed=5))
    behind = publish(registry, make_classifier_recipe(autoencoder=ae.id, origin=undefended.id))
    run = publish(registry, make_run_recipe(classifier=behind.id, twin=undefended.id, surrogate=clf.id))
    assert run.parent_digests == {one.id: one.weights for one in (behind, undefended, clf, ae)}


def test_images_for_a_report_are_no_weights(registry: Registry) -> None:
    ae, clf, _ = publish_family(registry)
    again = publish_other(registry, ae.recipe, make_arrays() | {"samples.npz": {"x": np.zeros(3)}}, replace=True)
    assert again.weights == ae.weights
    registry.read_arrays(clf, WEIGHTS)
    assert publish_other(registry, ae.recipe, replace=True).weights != ae.weights


# ---------------------------------------------------------------- what is here


READS: dict[str, Callable[[Registry, Manifest], Any]] = {
    "arrays": lambda registry, entry: registry.read_arrays(entry, WEIGHTS),
    "check": lambda registry, entry: registry.check(entry),
    "obtain": lambda registry, entry: obtain(registry, entry.recipe),
}


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
def test_what_was_made_from_other_weights_is_not_loaded(read: Any, registry: Registry, family: Family) -> None:
    ae, clf, run = family
    publish_other(registry, ae.recipe, replace=True)
    for entry in (clf, run):
        with pytest.raises(
            CorruptError, match=f"{entry.id} was made from other weights of {ae.id} than the registry has now"
        ) as why:
            read(registry, entry)
        assert why.value.exit_code == 4
        assert "the command that made it repairs it with --force" in str(why.value)
        with pytest.raises(
            CorruptError, match=f"{clf.id} was made from other weights of {ae.id} than the registry has"
        ):
            pack_bundle(registry, entry)
    assert find_problems(registry).keys() == {clf.id, run.id}
    assert all("was made from other weights" in line for line in find_problems(registry)[run.id])


def test_force_repairs_it_from_the_parents_down(registry: Registry, family: Family) -> None:
    ae, clf, run = family
    publish_other(registry, ae.recipe, replace=True)
    for entry in (clf, run):
        made, cached = obtain(registry, entry.recipe, force=True)
        assert not cached
        assert made.parent_digests == registry.digest_parents(entry.recipe)
    assert find_problems(registry) == {}


def test_a_classifier_that_was_put_behind_another_purifier_does_not_hide_that_its_run_is_old(
    registry: Registry,
) -> None:
    """Its weights are its origin's, and so the same as before; what the run attacked was another pipeline."""
    ae, origin = publish(registry), publish(registry, make_classifier_recipe(seed=5))
    behind = publish(registry, make_classifier_recipe(autoencoder=ae.id, origin=origin.id))
    run = publish(registry, make_run_recipe(classifier=behind.id))
    publish_other(registry, ae.recipe, replace=True)
    assert publish(registry, behind.recipe, replace=True).weights == behind.weights
    registry.check(registry.manifest(behind.id))
    with pytest.raises(CorruptError, match=f"{run.id} was made from other weights of {ae.id}"):
        registry.check(run)


def test_entries_of_older_schemas_are_not_compared(registry: Registry, family: Family) -> None:
    for entry in family:
        path = locate(registry, entry)
        path.write_bytes(seal_second_schema(json.loads(path.read_bytes())))
    publish_other(registry, family[0].recipe, replace=True)
    registry.check(registry.manifest(family[1].id))
    assert find_problems(registry) == {}


def test_a_parent_replaced_while_it_is_used_is_an_error(registry: Registry, family: Family) -> None:
    recipe = make_classifier_recipe(autoencoder=family[0].id, seed=9)

    def compute() -> Any:
        publish_other(registry, family[0].recipe, replace=True)
        return make_metrics(recipe), make_arrays()

    with pytest.raises(NotFoundError, match=f"{family[0].id} was replaced while it was used; run the command again"):
        registry.obtain(recipe, compute)
    assert registry.find(entry_id(recipe)) is None
    assert list_names(registry.folders.tmp) == list_names(registry.folders.locks) == []


def test_parents_that_are_made_on_the_way_are_named(registry: Registry) -> None:
    recipe = make_classifier_recipe(autoencoder=entry_id(make_autoencoder_recipe()))
    made, _ = registry.obtain(
        recipe, lambda: (make_metrics(recipe), make_arrays()), prepare=lambda: publish(registry) and None
    )
    assert made.parent_digests == registry.digest_parents(recipe) != {}


# ---------------------------------------------------------------- import


def as_it_is(entry: Manifest, registry: Registry) -> None:
    """Leave an entry in the present schema."""


def as_it_was(entry: Manifest, registry: Registry) -> None:
    path = locate(registry, entry)
    path.write_bytes(seal_second_schema(json.loads(path.read_bytes())))


@pytest.mark.parametrize("age", [as_it_is, as_it_was])
@pytest.mark.parametrize("child", [1, 2])
def test_no_child_is_imported_beside_other_weights_of_its_parent(
    age: Any, child: int, registry: Registry, other: Registry, family: Family
) -> None:
    for entry in family:
        age(entry, registry)
    mine = publish_other(other, family[0].recipe)
    before, content = read_tree(other.folders.entries), pack_bundle(registry, registry.manifest(family[child].id))
    words = f"{family[1].id} was made from other weights of {mine.id} than are here; nothing was imported"
    with pytest.raises(CorruptError, match=words) as caught:
        take_bundle(other, content)
    assert caught.value.exit_code == 4
    assert "--force" in str(caught.value)
    assert read_tree(other.folders.entries) == before
    assert list_names(other.folders.tmp) == []
    imported = take_bundle(other, content, replace=True)
    assert imported.replaced == (mine.id,)
    assert find_problems(other) == {}
    assert other.manifest(mine.id).weights == family[0].weights


def test_entries_whose_parents_a_bundle_replaces_are_named(registry: Registry, other: Registry, family: Family) -> None:
    mine = publish_other(other, family[0].recipe)
    child = publish(other, make_classifier_recipe(autoencoder=mine.id, seed=8))
    assert take_bundle(other, pack_bundle(registry, family[0])).other == (mine.id,)
    assert take_bundle(other, pack_bundle(registry, family[0])).outdated == ()
    assert take_bundle(other, pack_bundle(registry, family[0]), replace=True).outdated == (child.id,)
    assert find_problems(other).keys() == {child.id}
    assert take_bundle(other, pack_bundle(registry, family[0]), replace=True).outdated == ()


def test_equal_entries_are_not_replaced_even_by_force(registry: Registry, other: Registry, family: Family) -> None:
    """The home that made an entry did not import it."""
    content = pack_bundle(registry, family[2])
    before = read_tree(registry.folders.entries)
    for replace in (False, True):
        imported = take_bundle(registry, content, replace=replace)
        assert (imported.present, imported.replaced) == (tuple(entry.id for entry in family), ())
        assert read_tree(registry.folders.entries) == before
    take_bundle(other, content)
    marked = read_tree(other.folders.entries)
    assert all(other.manifest(entry.id).imported for entry in family)
    take_bundle(other, content, replace=True)
    assert read_tree(other.folders.entries) == marked
    assert pack_bundle(other, other.manifest(family[2].id)) == content


# ---------------------------------------------------------------- one id, two recipes


COLLIDING = (3_986_424, 5_957_072)
"""Seeds of two recipes of which the SHA-256 begin with the same 48 bits: found in a minute of one core."""


@pytest.fixture
def colliding() -> tuple[Recipe, Recipe]:
    one, two = (make_autoencoder_recipe(seed=seed) for seed in COLLIDING)
    assert one != two
    assert entry_id(one) == entry_id(two)
    return one, two


def test_another_recipe_of_the_same_id_is_not_taken_for_the_one_asked_for(
    registry: Registry, other: Registry, colliding: tuple[Recipe, Recipe]
) -> None:
    planted, asked = colliding
    made = publish(registry, planted)
    uses: tuple[Callable[[], Any], ...] = (
        lambda: obtain(registry, asked),
        lambda: registry.find_made(asked),
        lambda: take_bundle(registry, pack_bundle(other, publish(other, asked))),
    )
    for use in uses:
        with pytest.raises(CorruptError, match=f"{made.id} is the entry of another recipe") as caught:
            use()
        assert caught.value.exit_code == 4
    assert registry.manifest(made.id) == made
    replaced, cached = obtain(registry, asked, force=True)
    assert (replaced.id, replaced.recipe, cached) == (made.id, asked, False)


# ---------------------------------------------------------------- long lineages


def test_each_ancestor_is_visited_once(tmp_path: Path) -> None:
    assert walk_lineages(tmp_path, chain=1200, depth=40).violations == []
