"""``advae registry`` ls, show, tag, untag, rm, verify and gc: what each prints, refuses and does not change."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from advae.errors import DiskError
from advae.registry import Registry, locks
from tests.calls import succeed
from tests.cli.registry_calls import bundle_of, call_at_terminal, refuse, registry, spoil
from tests.entries import (
    TINY,
    WEIGHTS,
    list_names,
    make_autoencoder_recipe,
    make_classifier_recipe,
    publish,
    read_tree,
)
from tests.hostile.members import change_members, take_apart
from tests.hostile.scene import Scene

# ---------------------------------------------------------------- ls


def test_ls_prints_ids_newest_first_in_a_pipe(scene: Scene) -> None:
    listed = succeed("registry", "ls")
    assert listed.out.split() == [scene.run, scene.clf, scene.ae]
    assert listed.err == ""
    assert succeed("registry", "ls", "-q") == listed == call_at_terminal("registry", "ls", "-q")


def test_ls_with_l_prints_fields_for_programs(scene: Scene) -> None:
    titles, *lines = (line.split("\t") for line in succeed("registry", "ls", "-l").out.splitlines())
    rows = [dict(zip(titles, line, strict=True)) for line in lines]
    assert titles == ["id", "kind", "dataset", "tags", "created", "bytes", "imported", "what"]
    assert [(row["id"], row["kind"], row["tags"]) for row in rows] == [
        (scene.run, "run", ""),
        (scene.clf, "clf", ""),
        (scene.ae, "ae", "best"),
    ]
    assert rows[1]["what"] == f"lr behind {scene.ae}, seed 0, clean 0.7500"
    assert {row["dataset"] for row in rows} == {"own.npz"}


def test_ls_prints_a_table_at_a_terminal(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose last column is folded between words, and whose other columns are left out where there is no room."""
    titles = {140: ["id", "tags", "dataset", "created", "size"], 80: ["id", "tags", "dataset"], 40: ["id"]}
    for columns, kept in titles.items():
        monkeypatch.setenv("COLUMNS", str(columns))
        listed = call_at_terminal("registry", "ls")
        header, *lines = listed.out.splitlines()
        assert header.split() == [*kept, "what"]
        assert listed.err == ""
        assert [line.split()[0] for line in lines if line[0] != " "] == [scene.run, scene.clf, scene.ae]
        assert max(map(len, lines)) <= columns
        assert f"behind {scene.ae}, seed 0, clean 0.7500" in " ".join(listed.out.split())
    assert call_at_terminal("registry", "ls", "--kind", "cert").out == ""


def test_ls_json_is_a_row_an_entry(scene: Scene) -> None:
    rows = succeed("registry", "ls", "--json").json
    assert [row["id"] for row in rows] == [scene.run, scene.clf, scene.ae]
    for row in rows:
        assert list(row) == ["id", "kind", "dataset", "summary", "tags", "created", "bytes", "imported"]
        folder = scene.entry(row["id"])
        assert row["bytes"] == sum(path.stat().st_size for path in folder.glob("*.npz"))
        assert row["dataset"] == "own.npz"
    assert [row["kind"] for row in rows] == ["run", "clf", "ae"]
    assert [row["tags"] for row in rows] == [[], [], ["best"]]
    assert rows[1]["summary"] == f"lr behind {scene.ae}, seed 0, clean 0.7500"


def test_ls_filters_by_kind_dataset_and_tag(scene: Scene) -> None:
    other = publish(scene.registry, make_autoencoder_recipe(dataset=TINY.model_copy(update={"name": "digits"})))
    scene.registry.tag(scene.registry.manifest(scene.clf), "best")

    def ls(*options: object) -> list[str]:
        return succeed("registry", "ls", "-q", *options).out.split()

    assert ls("--kind", "ae") == [other.id, scene.ae]
    assert ls("--kind", "run") == [scene.run]
    assert ls("--dataset", "digits") == [other.id]
    assert ls("--dataset", scene.dataset) == [scene.run, scene.clf, scene.ae]
    assert ls("--dataset", "mnist") == []
    assert ls("--tag", "best") == [scene.clf, scene.ae]
    assert ls("--tag", "best", "--kind", "clf") == [scene.clf]
    assert ls("--tag", "latest") == ls("--tag", "nothing") == []
    assert succeed("registry", "ls", "--json", "--tag", "nothing").json == []
    assert "did you mean 'clf'" in refuse(2, "ls", "--kind", "cfl")
    assert "did you mean 'mnist'" in refuse(2, "ls", "--dataset", "minst")


def test_ls_of_no_home_is_empty(tmp_path: Path) -> None:
    listed = succeed("registry", "ls", "--home", tmp_path / "nothing")
    assert listed.out == ""
    assert succeed("registry", "ls", "--json", "--home", tmp_path / "nothing").json == []
    assert not (tmp_path / "nothing").exists()


def test_ls_names_the_entry_that_cannot_be_read_and_lists_the_others(scene: Scene) -> None:
    path = spoil(scene, scene.clf, "manifest.json")
    listed = succeed("registry", "ls")
    assert listed.out.split() == [scene.run, scene.ae]
    assert f"advae: {path} cannot be read" in listed.err
    *rows, broken = succeed("registry", "ls", "--json").json
    assert [row["id"] for row in rows] == [scene.run, scene.ae]
    assert (broken["id"], str(path) in broken["corrupt"]) == (scene.clf, True)


# ---------------------------------------------------------------- show


def test_show_is_all_that_is_known(scene: Scene) -> None:
    shown = succeed("registry", "show", scene.run)
    document = json.loads(shown.out)
    stored = json.loads((scene.entry(scene.run) / "manifest.json").read_text())
    stored.pop("sha256")
    assert {name: document[name] for name in stored} == stored
    assert document["tags"] == []
    sizes = {id_: sum(p.stat().st_size for p in scene.entry(id_).glob("*.npz")) for id_ in (scene.ae, scene.clf)}
    sizes[scene.run] = document["bytes"]
    assert document["bytes_with_ancestors"] == sum(sizes.values())
    assert document["lineage"] == {
        "id": scene.run,
        "parents": [{"id": scene.clf, "parents": [{"id": scene.ae, "parents": []}]}],
    }
    assert succeed("registry", "show", scene.run, "--json").out == shown.out
    assert succeed("registry", "show", scene.run, "-q").err == ""


def test_show_draws_the_lineage_for_people(scene: Scene) -> None:
    shown = call_at_terminal("registry", "show", scene.run)
    assert shown.out == ""
    *_, run, clf, ae = [line for line in shown.err.splitlines() if line.strip()]
    assert run.startswith(scene.run)
    assert f"└── {scene.clf}  lr behind {scene.ae}" in clf
    assert f"    └── {scene.ae}  vanilla" in ae
    for words in ("recipe:", "metrics:", "method: bim", "on disk: ", "tags: none", "python ", "accuracy"):
        assert words in shown.err
    assert "tags: best" in call_at_terminal("registry", "show", "best").err


def test_show_names_missing_and_damaged_ancestors(scene: Scene) -> None:
    """All that is known is printed before that."""
    spoil(scene, scene.clf, "manifest.json")
    lineage = json.loads(registry("show", scene.run).out)["lineage"]
    assert "cannot be read" in lineage["parents"][0]["problem"]
    shutil.rmtree(scene.entry(scene.clf))
    shown = registry("show", scene.run)
    assert "no entry" in json.loads(shown.out)["lineage"]["parents"][0]["problem"]
    assert f"no entry {scene.clf}" in shown.err
    assert shown.code == 4
    assert shown.err.splitlines()[-1] == f"advae: {scene.run} depends on {scene.clf}, which is missing"


def test_show_prints_a_damaged_entry_and_fails(scene: Scene) -> None:
    path = spoil(scene, scene.ae)
    shown = registry("show", "best")
    assert shown.code == 4
    assert json.loads(shown.out)["id"] == scene.ae
    assert f"advae: {path} cannot be read" in shown.err.splitlines()[-1]
    spoil(scene, scene.ae, "manifest.json")
    assert str(scene.entry(scene.ae) / "manifest.json") in refuse(4, "show", "best")


def test_show_of_an_entry_of_the_first_schema(scene: Scene) -> None:
    members = change_members(take_apart(scene.bundle), lambda stored: None, of="run", first_schema=True)
    content = dict(members)[f"{scene.run}.manifest.json"]
    (scene.entry(scene.run) / "manifest.json").write_bytes(content)
    document = succeed("registry", "show", scene.run).json
    assert (document["schema"], document["parents"]) == (1, [scene.clf])
    succeed("registry", "verify")


# ---------------------------------------------------------------- tag, untag


def test_tag_names_an_entry_and_untag_removes_the_tag(scene: Scene) -> None:
    assert succeed("registry", "tag", scene.clf[:7], "mine").id == scene.clf
    assert succeed("registry", "tag", "mine", "yours", "--json").json == {"id": scene.clf, "tag": "yours"}
    assert succeed("registry", "show", "yours").json["tags"] == ["mine", "yours"]
    assert succeed("registry", "tag", scene.clf, "yours").err == ""
    other = publish(scene.registry, make_classifier_recipe(seed=77))
    moved = f"tag yours moved from {scene.clf} to {other.id}"
    assert moved in succeed("registry", "tag", other.id, "yours").err
    scene.file.write_bytes(bundle_of(scene, scene.clf))
    imported = succeed("registry", "import", scene.file, "--tag", "yours").err
    assert f"tag yours moved from {other.id} to {scene.clf}" in imported
    scene.registry.remove(other.id)
    assert succeed("registry", "untag", "yours").id == scene.clf
    assert succeed("registry", "untag", "mine", "--json").json == {"tag": "mine", "ids": [scene.clf]}
    assert "mine" in refuse(3, "untag", "mine")
    assert "latest" in refuse(3, "untag", "latest")
    for alias in ("latest", scene.ae, scene.clf[:7], scene.clf[4:9], "../x", "-", "a b", "x" * 65, "\x1b[31m"):
        line = refuse(2, "tag", scene.ae, alias)
        assert "bad tag" in line
        assert line.rstrip("\n").isprintable()


# ---------------------------------------------------------------- rm


def test_rm_is_refused_while_something_depends_on_it(scene: Scene) -> None:
    line = refuse(2, "rm", scene.ae)
    assert all(words in line for words in (scene.clf, scene.run, "--recursive"))
    assert scene.run in refuse(2, "rm", "best")
    removed = succeed("registry", "rm", scene.run)
    assert removed.out == f"{scene.run}\n"
    assert scene.run not in refuse(2, "rm", scene.ae)


def test_rm_recursive_removes_dependants_first_and_their_names(scene: Scene) -> None:
    other = publish(scene.registry, make_classifier_recipe())
    removed = succeed("registry", "rm", "best", "--recursive", "--json").json
    assert removed == {"removed": [scene.run, scene.clf, scene.ae]}
    assert succeed("registry", "ls", "-q").out.split() == [other.id]
    assert [path for path in (scene.home / "refs").rglob("*") if path.is_file()] == []
    assert "no entry" in refuse(3, "rm", scene.ae)
    succeed("registry", "verify")


def test_rm_recursive_prints_the_order(scene: Scene) -> None:
    assert succeed("registry", "rm", scene.clf, "--recursive").out.split() == [scene.run, scene.clf]
    assert succeed("registry", "rm", scene.ae, "--recursive", "-q").out.split() == [scene.ae]


@pytest.mark.parametrize("recursive", [[], ["--recursive"]])
def test_rm_of_what_is_being_made_or_needed_for_it_is_refused(scene: Scene, recursive: list[str]) -> None:
    with locks.hold(scene.registry.folders, "clf-0123456789ab", (scene.ae,), pytest.fail):
        assert "clf-0123456789ab, which is being made right now" in refuse(2, "rm", scene.ae, *recursive)
        succeed("registry", "rm", scene.run)
    with locks.hold(scene.registry.folders, scene.clf, (scene.ae,), pytest.fail):
        assert "being made" in refuse(2, "rm", scene.clf, *recursive)
        assert "being made" in refuse(2, "rm", scene.ae, *recursive)
    assert succeed("registry", "rm", scene.clf).id == scene.clf


@pytest.mark.parametrize("name", ["manifest.json", WEIGHTS])
def test_rm_removes_what_is_damaged(scene: Scene, name: str) -> None:
    succeed("registry", "rm", scene.run)
    spoil(scene, scene.clf, name)
    assert succeed("registry", "rm", scene.clf).id == scene.clf
    succeed("registry", "verify")


# ---------------------------------------------------------------- verify


def test_verify_of_undamaged_entries(scene: Scene) -> None:
    before = read_tree(scene.home)
    verified = succeed("registry", "verify")
    assert (verified.out, verified.err) == ("", "3 entries are undamaged\n")
    assert succeed("registry", "verify", "best").err == "1 entry is undamaged\n"
    assert succeed("registry", "verify", "--json").json == {"checked": 3, "damaged": {}, "references": {}}
    assert read_tree(scene.home) == before


def test_verify_names_the_damaged_files_and_prints_the_ids(scene: Scene) -> None:
    paths = [spoil(scene, scene.ae), spoil(scene, scene.run, "manifest.json")]
    found = registry("verify")
    assert (found.code, found.out.split()) == (4, sorted([scene.ae, scene.run]))
    *lines, last = found.err.splitlines()
    assert [str(path) in line for path, line in zip(paths, lines, strict=True)] == [True, True]
    assert last == "advae: 2 of 3 entries are damaged"
    document = json.loads(registry("verify", "--json").out)
    assert set(document["damaged"]) == {scene.ae, scene.run}
    assert document["checked"] == 3


def test_verify_of_one_entry_reads_it_and_its_ancestors_only(scene: Scene) -> None:
    lonely = publish(scene.registry, make_autoencoder_recipe(seed=5))
    spoil(scene, lonely.id)
    succeed("registry", "verify", scene.run)
    spoil(scene, scene.ae)
    found = registry("verify", scene.run)
    assert (found.code, found.out.split()) == (4, [scene.ae])
    assert found.err.splitlines()[-1] == "advae: 1 of 3 entries are damaged"
    assert succeed("registry", "ls").out


def test_verify_finds_names_without_an_entry(scene: Scene) -> None:
    path = scene.home / "refs" / "ae" / "best"
    path.write_text("ae-0123456789ab\n")
    found = registry("verify")
    assert (found.code, found.out) == (4, "")
    assert f"advae: {path}: it names ae-0123456789ab, which is not there; " in found.err
    assert "0 of 3 entries, 1 of the references are damaged" in found.err
    assert json.loads(registry("verify", "--json").out)["references"] == {
        str(path): "it names ae-0123456789ab, which is not there"
    }
    succeed("registry", "verify", scene.run)
    succeed("registry", "untag", "best")
    succeed("registry", "verify")


def test_verify_finds_an_ancestor_that_is_gone(scene: Scene) -> None:
    shutil.rmtree(scene.entry(scene.ae))
    (scene.home / "refs" / "ae" / "best").unlink()
    (scene.home / "refs" / "ae" / "latest").unlink()
    for ref in ((), (scene.run,), (scene.clf,)):
        found = registry("verify", *ref)
        assert found.code == 4
        assert scene.ae in found.err
        assert scene.clf in found.out


# ---------------------------------------------------------------- rm


def test_a_removal_that_fails_half_way_prints_the_removed_entries(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide = Registry._hide

    def fail_at_the_classifier(self: Registry, id_: str, *others: Any) -> bool:
        if id_ == scene.clf:
            raise DiskError("no more")
        return hide(self, id_, *others)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_hide", fail_at_the_classifier)
        found = registry("rm", scene.ae, "--recursive", "--json")
    assert (found.code, json.loads(found.out), found.err) == (5, {"removed": [scene.run]}, "advae: no more\n")
    assert succeed("registry", "rm", scene.ae, "--recursive").out.split() == [scene.clf, scene.ae]


# ---------------------------------------------------------------- gc


def test_gc_shows_what_it_would_remove_and_then_removes_it(scene: Scene) -> None:
    lonely = publish(scene.registry, make_autoencoder_recipe(seed=5))
    behind = publish(scene.registry, make_classifier_recipe(autoencoder=lonely.id))
    draft = scene.home / "tmp" / "publish-0000000000000000"
    draft.mkdir()
    os.utime(draft, (0, 0))
    lock = scene.home / "locks" / "ae-000000000000.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    before = read_tree(scene.home)
    young = succeed("registry", "gc", "--dry-run")
    assert young.out == ""
    assert "2 entries came here less than a day ago and are kept; --no-grace removes them, too" in young.err
    gc = ("registry", "gc", "--no-grace")
    dry = succeed(*gc, "--dry-run")
    assert dry.out.split() == [behind.id, lonely.id]
    assert dry.err.startswith("2 entries (")
    assert dry.err.endswith(f"2 left-over files would be removed\n{draft}\n{lock}\n")
    document = succeed(*gc, "--dry-run", "--json").json
    assert (document["dry_run"], document["entries"]) == (True, [behind.id, lonely.id])
    assert (document["drafts"], document["young"]) == (["publish-0000000000000000"], 0)
    assert document["paths"] == [str(draft), str(lock)]
    assert document["bytes"] == scene.registry.size(lonely) + scene.registry.size(behind)
    assert read_tree(scene.home) == before
    done = succeed(*gc, "--json").json
    assert done == document | {"dry_run": False}
    assert sorted(succeed("registry", "ls", "-q").out.split()) == sorted([scene.ae, scene.clf, scene.run])
    assert list_names(scene.home / "tmp") == list_names(scene.home / "locks") == []
    assert succeed(*gc).out == ""
    succeed("registry", "verify")


def test_gc_keeps_what_is_being_made(scene: Scene) -> None:
    lonely = publish(scene.registry, make_autoencoder_recipe(seed=5))
    with locks.hold(scene.registry.folders, "clf-0123456789ab", (lonely.id,), pytest.fail):
        before = read_tree(scene.home)
        assert succeed("registry", "gc", "--no-grace", "--dry-run").out == ""
        assert read_tree(scene.home) == before
        assert succeed("registry", "gc", "--no-grace").out == ""
    assert succeed("registry", "gc", "--no-grace").id == lonely.id


def test_gc_is_refused_while_an_entry_cannot_be_read(scene: Scene) -> None:
    publish(scene.registry, make_autoencoder_recipe(seed=5))
    spoil(scene, scene.clf, "manifest.json")
    for options in ((), ("--dry-run",)):
        line = refuse(4, "gc", *options)
        assert scene.clf in line
        assert "`advae registry verify` says why" in line
