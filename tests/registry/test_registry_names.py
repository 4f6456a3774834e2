"""References to entries of a registry: ids, prefixes, tags and ``latest``, and the removal of what they name."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from advae.errors import NotFoundError, UsageError
from advae.identity import KINDS
from advae.records import Manifest, entry_id
from advae.registry import LATEST, Registry, check_tag
from tests.entries import (
    list_names,
    make_autoencoder_recipe,
    make_classifier_recipe,
    make_run_recipe,
    publish,
    publish_each_kind,
    publish_family,
    read_tree,
)

OTHER = make_autoencoder_recipe(seed=1)


def test_an_id_and_its_prefixes_name_an_entry(registry: Registry, entry: Manifest) -> None:
    publish(registry, make_classifier_recipe())
    digits = entry.id.removeprefix("ae-")
    for ref in (entry.id, entry.id[:-1], f"ae-{digits[:2]}", f"ae-{digits[0]}", digits, digits[:4]):
        assert registry.resolve(ref) == registry.resolve(ref, "ae") == entry, ref
        assert registry.resolve_id(ref) == entry.id


def test_a_prefix_of_several_is_ambiguous(registry: Registry) -> None:
    by_start: dict[str, list[Any]] = {}
    for recipe in (make_autoencoder_recipe(seed=seed) for seed in range(100)):
        by_start.setdefault(entry_id(recipe)[:5], []).append(recipe)
    pair = next(pair for pair in by_start.values() if len({entry_id(recipe)[5] for recipe in pair}) > 1)
    one, two = publish(registry, pair[0]), publish(registry, pair[-1])
    for ref in (one.id[:5], one.id[3:5]):
        with pytest.raises(NotFoundError, match=f"name one of {min(one.id, two.id)}, {max(one.id, two.id)}"):
            registry.resolve(ref)
    for manifest in (one, two):
        assert registry.resolve(manifest.id[:6]) == registry.resolve(manifest.id[3:6]) == manifest


def test_a_kind_narrows_what_a_reference_may_be(registry: Registry) -> None:
    family = publish_each_kind(registry)
    for kind, manifest in zip(KINDS, family, strict=True):
        registry.tag(manifest, "best")
        assert registry.resolve("best", kind) == manifest
        for other in set(KINDS) - {kind}:
            with pytest.raises(NotFoundError, match=f"its kind is {kind}, not {other}"):
                registry.resolve(manifest.id, other)
    with pytest.raises(NotFoundError, match="ambiguous"):
        registry.resolve("best")


def test_an_error_for_an_unknown_reference_tells_what_to_do(registry: Registry, entry: Manifest) -> None:
    registry.tag(entry, "best")
    nothing = ["", entry.id[0], entry.id[3], "best?", "../../passwd", "ae-zz", "*", "a\0b", "x" * 5000, "best\n"]
    for ref in nothing:
        with pytest.raises(NotFoundError, match=r"no classifier .*`advae registry ls`.*`advae train-clf`") as caught:
            registry.resolve(ref, "clf")
        assert "\n" not in str(caught.value)
        with pytest.raises(NotFoundError, match="no entry"):
            registry.resolve(ref)


def test_latest_is_the_marked_entry_of_each_kind_and_no_tag(registry: Registry, entry: Manifest) -> None:
    clf = publish(registry, make_classifier_recipe())
    for marked in (publish(registry, OTHER), entry):
        registry.mark_latest(marked)
        assert registry.latest("ae") == registry.resolve(LATEST, "ae") == registry.resolve(LATEST) == marked
    assert registry.latest("clf") is None
    registry.mark_latest(clf)
    assert registry.resolve(LATEST, "clf") == clf
    for use in (registry.resolve, registry.untag):
        with pytest.raises(NotFoundError):
            use(LATEST)
    assert registry.tags() == {}
    shutil.rmtree(registry.folders.entries / entry.id)
    assert registry.latest("ae") is None
    with pytest.raises(NotFoundError):
        registry.resolve(LATEST, "ae")


def test_a_damaged_reference_names_no_entry(registry: Registry, entry: Manifest) -> None:
    for content in (b"", b"\xff\xfe", b"../../x", b"ae-xyz", b"ae-000000000000", b"a\0", b"x" * 100_000):
        registry.tag(entry, "best")
        registry.mark_latest(entry)
        for name in ("best", LATEST):
            (registry.home / "refs" / "ae" / name).write_bytes(content)
        with pytest.raises(NotFoundError):
            registry.resolve("best")
        assert registry.latest("ae") is None
        assert set(registry.tags()) | set(registry.untag("best")) <= {"ae-000000000000"}


def test_a_tag_names_an_entry_moves_and_goes(registry: Registry) -> None:
    ae, clf, run = publish_family(registry)
    other = publish(registry, OTHER)
    for manifest, alias in ((ae, "best"), (ae, "a.second-one_2"), (clf, "best"), (run, "third")):
        registry.tag(manifest, alias)
    assert registry.tags() == {ae.id: ["a.second-one_2", "best"], clf.id: ["best"], run.id: ["third"]}
    registry.tag(other, "best")
    assert registry.resolve("best", "ae") == other
    assert registry.untag("best") == [other.id, clf.id]
    assert registry.tags() == {ae.id: ["a.second-one_2"], run.id: ["third"]}
    with pytest.raises(NotFoundError, match="no tag 'best'"):
        registry.untag("best")
    assert len(registry.ids()) == 4


def test_a_name_that_can_be_a_tag(registry: Registry, entry: Manifest) -> None:
    for alias in ("a", "7", "v1.0", "A_b-c", "x" * 64, "ae-0123", "ae-0123456789abc"):
        registry.tag(entry, alias)
        assert registry.resolve(alias) == entry
        assert registry.untag(alias) == [entry.id]


def test_a_tag_that_begins_another_id_is_refused(registry: Registry, entry: Manifest) -> None:
    other = publish(registry, make_autoencoder_recipe(seed=7))
    digits = other.id.partition("-")[2]
    for alias in (digits[:6], f"ae-{digits[:3]}"):
        with pytest.raises(UsageError, match=f"bad tag '{alias}': it is the beginning of an id, {other.id}; choose"):
            registry.tag(entry, alias)
    assert registry.tags() == {}
    registry.tag(other, digits[:6])
    assert registry.resolve(digits[:6]) == other


PATHS = ("", ".", "..", "../x", "/etc/x", "a/b", "a\\b", ".hidden", "-q", "_x")
IDS = (LATEST, "ae-0123456789ab", "clf-0123456789ab", "run-0123456789ab")


@pytest.mark.parametrize("alias", [*PATHS, *IDS, " ", "a b", "a\n", "a\0", "é", "٣", "x" * 65])
def test_a_name_that_cannot_be_a_tag_is_refused(registry: Registry, entry: Manifest, alias: str) -> None:
    before = read_tree(registry.home.parent)
    for use in (lambda: registry.tag(entry, alias), lambda: check_tag(alias)):
        with pytest.raises(UsageError, match="bad tag") as caught:
            use()
        assert caught.value.exit_code == 2
        assert "\n" not in str(caught.value)
    with pytest.raises(NotFoundError):
        registry.untag(alias)
    assert read_tree(registry.home.parent) == before


def test_remove_takes_the_entry_and_all_its_references(registry: Registry, entry: Manifest) -> None:
    other = publish(registry, OTHER)
    for manifest, alias in ((entry, "one"), (entry, "two"), (other, "three")):
        registry.tag(manifest, alias)
    registry.mark_latest(entry)
    registry.remove(entry.id)
    assert (registry.entries(), registry.tags(), registry.latest("ae")) == ([other], {other.id: ["three"]}, None)
    assert list_names(registry.folders.tmp) == []
    with pytest.raises(NotFoundError):
        registry.remove(entry.id)
    assert publish(registry).id == entry.id


def test_remove_is_refused_while_another_entry_depends_on_it(registry: Registry) -> None:
    ae, clf, run = publish_family(registry)
    undefended = publish(registry, make_classifier_recipe(seed=5))
    second = publish(registry, make_run_recipe(classifier=clf.id, twin=undefended.id))
    registry.tag(ae, "best")
    before = read_tree(registry.home)
    for needed, dependants in ((ae, [clf]), (clf, [run, second]), (undefended, [second])):
        with pytest.raises(UsageError) as caught:
            registry.remove(needed.id)
        assert all(dependant.id in str(caught.value) for dependant in dependants)
    assert read_tree(registry.home) == before
    for manifest in (second, run, clf, undefended, ae):
        registry.remove(manifest.id)
    assert (registry.ids(), registry.tags()) == ([], {})
