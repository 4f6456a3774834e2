"""``advae registry``: what each command prints, refuses and leaves as it was, down to what a terminal is shown."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from advae.backend import start_tensorflow
from advae.cli import main
from advae.errors import DiskError
from advae.registry import Registry, locks
from tests.calls import Outcome, call, succeed
from tests.entries import (
    TINY,
    WEIGHTS,
    list_names,
    make_autoencoder_recipe,
    make_classifier_recipe,
    pack_bundle,
    publish,
    read_tree,
    read_unmarked,
)
from tests.hostile import Scene, build_scene, change_members, copy_scene, encode_bundle, rename_family, take_apart


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return build_scene(tmp_path_factory.mktemp("good"))


@pytest.fixture
def scene(good: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A home with an autoencoder, a classifier behind it and a run, all of them the latest, one of them tagged."""
    copied = copy_scene(good, tmp_path)
    monkeypatch.setenv("ADVAE_HOME", str(copied.home))
    return copied


def registry(*arguments: object) -> Outcome:
    return call("registry", *arguments)


def refuse(code: int, *arguments: object) -> str:
    """Return the one line with which a command is refused; it prints no data and changes nothing."""
    before = read_tree(Path(os.environ["ADVAE_HOME"]))
    outcome = registry(*arguments)
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("advae: ")
    assert read_tree(Path(os.environ["ADVAE_HOME"])) == before
    return outcome.err


def spoil(scene: Scene, id_: str, name: str = WEIGHTS) -> Path:
    """Flip a bit of an entry's file and return its path."""
    path = scene.entry(id_) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


class Terminal(io.StringIO):
    """What looks like a terminal."""

    def isatty(self) -> bool:
        return True


def call_at_terminal(*arguments: object) -> Outcome:
    """Run a command line as at a terminal of 100 columns."""
    out, err = Terminal(), Terminal()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


# ---------------------------------------------------------------- ls


def test_ls_prints_ids_newest_first_and_a_table_for_people(scene: Scene) -> None:
    listed = succeed("registry", "ls")
    assert listed.out.split() == [scene.run, scene.clf, scene.ae]
    header, *rows = listed.err.splitlines()
    assert header.split() == ["id", "dataset", "tags", "created", "size", "what"]
    assert [row.split()[0] for row in rows] == [scene.run, scene.clf, scene.ae]
    assert "own.npz" in rows[0]
    assert "best" in rows[2]
    quiet = succeed("registry", "ls", "-q")
    assert (quiet.out, quiet.err) == (listed.out, "")
    at_terminal = call_at_terminal("registry", "ls")
    assert at_terminal.out == ""
    assert all(id_ in at_terminal.err for id_ in (scene.ae, scene.clf, scene.run))


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


# ---------------------------------------------------------------- export, import


def bundle_of(scene: Scene, id_: str) -> bytes:
    return pack_bundle(scene.registry, scene.registry.manifest(id_))


def test_an_import_beside_other_weights_tells_what_to_do(scene: Scene) -> None:
    file = scene.folder / "it.tar"
    file.write_bytes(scene.bundle)
    ae = scene.registry.manifest(scene.ae)
    weights = {name: -array for name, array in scene.registry.read_arrays(ae, WEIGHTS).items()}
    scene.registry.publish(ae.recipe, ae.metrics, {WEIGHTS: weights}, replace=True)
    listed = registry("verify")
    assert (listed.code, listed.out.split()) == (4, sorted([scene.clf, scene.run]))
    assert f"{scene.clf} was made from other weights of {scene.ae}" in listed.err
    outcome = call("predict", "--clf", scene.clf, scene.images, "-q")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (4, "", 1)
    assert f"{scene.clf} was made from other weights of {scene.ae}" in outcome.err
    assert f"{scene.clf} was made from other weights" in refuse(4, "export", scene.run, scene.folder / "no.tar")
    shutil.rmtree(scene.entry(scene.run))
    shutil.rmtree(scene.entry(scene.clf))
    assert "`import --force` replaces" in refuse(4, "import", file)
    assert scene.registry.ids() == [scene.ae]
    file.write_bytes(bundle_of(scene, scene.ae))
    stays = succeed("registry", "import", file)
    assert "there already" in stays.err
    file.write_bytes(scene.bundle)
    assert f"replaced: {scene.ae}" in succeed("registry", "import", file, "--force").err
    succeed("registry", "verify")


def test_export_and_import_to_the_byte(scene: Scene, tmp_path: Path) -> None:
    file, other = scene.folder / "it.tar", tmp_path / "other"
    exported = succeed("registry", "export", scene.run, file)
    assert exported.out == f"{file}\n"
    assert all(id_ in exported.err for id_ in (scene.ae, scene.clf, scene.run))
    assert file.read_bytes() == scene.bundle
    document = succeed("registry", "export", scene.run, scene.folder / "again.tar", "--json").json
    ids = [scene.ae, scene.clf, scene.run]
    assert document == {"id": scene.run, "format": "bundle", "file": str(scene.folder / "again.tar"), "ids": ids}
    assert (scene.folder / "again.tar").read_bytes() == scene.bundle
    imported = succeed("registry", "import", file, "--home", other)
    assert imported.out == f"{scene.run}\n"
    assert "new: " + ", ".join(ids) in imported.err
    assert read_unmarked(other) == read_unmarked(scene.home)
    again = succeed("registry", "import", file, "--home", other, "--json")
    assert {name: again.json[name] for name in ("id", "ids", "present")} == {
        "id": scene.run,
        "ids": ids,
        "present": ids,
    }
    assert "new: none" in again.err
    packed = scene.folder / "it.tar.gz"
    packed.write_bytes(gzip.compress(scene.bundle))
    assert succeed("registry", "import", packed, "--home", tmp_path / "third", "-q").id == scene.run
    assert read_unmarked(tmp_path / "third") == read_unmarked(other)
    succeed("registry", "verify", "--home", other)
    rows = succeed("registry", "ls", "--json", "--home", other).json
    shown = succeed("registry", "show", scene.run, "--json", "--home", other)
    assert all(row["imported"] for row in rows)
    assert (shown.json["imported"], len(rows)) == (rows[0]["imported"], 3)
    assert shown.err.splitlines()[1].startswith(f"imported {shown.json['imported'][:10]} ")
    assert (
        call_at_terminal("registry", "ls", "--home", other).err.count(f", imported {shown.json['imported'][:10]}") == 3
    )
    assert succeed("registry", "show", scene.run, "--json").json["imported"] is None
    assert ", imported" not in succeed("registry", "ls").err


def test_a_file_is_replaced_by_force_only_and_whole(scene: Scene) -> None:
    file = scene.folder / "it.tar"
    file.write_text("mine")
    (scene.folder / "link.tar").symlink_to(file)
    for path in (file, scene.folder / "link.tar"):
        assert f"bad FILE {path}: it exists already" in refuse(2, "export", scene.run, path)
    (scene.folder / "link.tar").unlink()
    succeed("registry", "export", scene.run, file, "--force")
    assert file.read_bytes() == scene.bundle
    spoil(scene, scene.ae)
    assert str(scene.entry(scene.ae) / WEIGHTS) in refuse(4, "export", scene.run, file, "--force")
    assert file.read_bytes() == scene.bundle
    assert list_names(scene.folder) == ["images.npy", "it.tar"]
    assert succeed("registry", "rm", scene.run).id
    refuse(4, "export", scene.clf, file, "--force")


BAD_EXPORTS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "onto a folder": (("{run}", "{folder}"), 5, "a folder or a device"),
    "into no folder": (("{run}", "{folder}/no/it.tar"), 5, "No such file"),
    "into a file": (("{run}", "{folder}/images.npy/it.tar"), 5, "Not a directory"),
    "another format": (("{run}", "{folder}/x", "--format", "kears"), 2, "did you mean 'keras'"),
    "no format": (("{run}", "{folder}/x", "--format", "tar"), 2, "unknown format 'tar'"),
    "a run for Keras": (("{run}", "{folder}/x.keras", "--format", "keras"), 2, "is a run"),
    "another ending": (("{ae}", "{folder}/x.h5", "--format", "keras"), 2, ".keras"),
    "an autoencoder for joblib": (("{ae}", "{folder}/x.joblib", "--format", "joblib"), 2, "is not an lr classifier"),
    "Keras to stdout": (("{ae}", "-", "--format", "keras"), 2, "only a bundle goes to stdout"),
    "joblib to stdout": (("{clf}", "-", "--format", "joblib"), 2, "only a bundle goes to stdout"),
    "nothing": (("run-000000000000", "{folder}/x"), 3, "no entry"),
}


@pytest.mark.parametrize("case", BAD_EXPORTS)
def test_an_export_that_cannot_be(case: str, scene: Scene) -> None:
    arguments, code, words = BAD_EXPORTS[case]
    before = read_tree(scene.folder)
    names = {"run": scene.run, "ae": scene.ae, "clf": scene.clf, "folder": scene.folder}
    assert words in refuse(code, "export", *(argument.format(**names) for argument in arguments))
    assert read_tree(scene.folder) == before


def test_a_bundle_does_not_go_to_a_terminal(scene: Scene) -> None:
    outcome = call_at_terminal("registry", "export", scene.run, "-")
    assert (outcome.code, outcome.out) == (2, "")
    assert "into a pipe or a file" in outcome.err


def test_an_import_of_what_is_no_file(scene: Scene) -> None:
    for name in ("nothing", "."):
        assert f"bad FILE {scene.folder / name}: " in refuse(2, "import", scene.folder / name)
    for content in (b"", b"hello"):
        scene.file.write_bytes(content)
        assert "the bundle is refused" in refuse(4, "import", scene.file)


def test_a_damaged_entry_of_the_same_id_is_replaced_only_by_force(scene: Scene) -> None:
    file, before = scene.folder / "it.tar", read_unmarked(scene.home)
    file.write_bytes(scene.bundle)
    for id_, name in ((scene.ae, WEIGHTS), (scene.run, "manifest.json")):
        path = spoil(scene, id_, name)
        line = refuse(4, "import", file)
        assert str(path) in line
        assert "--force" in line
        succeed("registry", "import", file, "--force")
        assert read_unmarked(scene.home) == before
    assert succeed("registry", "show", "best").json["id"] == scene.ae
    assert list_names(scene.home / "tmp") == []


# ---------------------------------------------------------------- whole processes

SHELL = {
    "a pipe": ("advae registry export {run} - -q | advae registry import - -q --home new", 0, "{run}\n", ""),
    "gzip in a pipe": (
        "advae registry export {run} - -q | gzip | advae registry import - -q --home new",
        0,
        "{run}\n",
        "",
    ),
    "what bash puts in the place of a file": ("advae registry import <(cat it.tar) -q --home new", 0, "{run}\n", ""),
    "stdout to a file": ("advae registry export {run} - > out.tar; cmp out.tar it.tar", 0, "", "holds"),
    "the reader is gone": ("advae registry export {run} - -q | true", 5, "", "its reader closed it before the end"),
    "a full disk": ("advae registry export {run} - -q > /dev/full", 5, "", "No space left on device"),
    "nothing to write to": ("advae registry export {run} - -q >&-", 5, "", "it is closed"),
    "nothing to read from": ("advae registry import - --home new <&-", 4, "", "the bundle is refused"),
    "nothing to read": ("advae registry import - --home new < /dev/null", 4, "", "the bundle is refused"),
    "a bundle cut short": ("head -c 3000 it.tar | advae registry import - --home new", 4, "", "it ends early"),
    "a damaged entry in a pipe": (
        "advae registry export {clf} - --home broken | advae registry import - --home new",
        4,
        "",
        "the bundle is refused",
    ),
}


@pytest.mark.parametrize("case", SHELL)
def test_in_a_shell(case: str, scene: Scene, tmp_path: Path) -> None:
    command, code, out, words = SHELL[case]
    ids = {"run": scene.run, "clf": scene.clf}
    folder = tmp_path / "shell"
    folder.mkdir()
    (folder / "it.tar").write_bytes(scene.bundle)
    if "broken" in command:
        shutil.copytree(scene.home, folder / "broken")
        (folder / "broken" / "entries" / scene.clf / WEIGHTS).write_bytes(b"x")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ADVAE_HOME": str(scene.home), "PYTHONUNBUFFERED": ""}
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.format(**ids)}"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == code, run.stderr
    assert run.stdout == out.format(**ids)
    assert words in run.stderr
    assert words or run.stderr == ""
    for trouble in ("Traceback", "defect", "Exception ignored"):
        assert trouble not in run.stderr
    new = Registry(folder / "new")
    assert bool(new.ids()) == (out != "")
    if out:
        assert read_unmarked(new.home) == read_unmarked(scene.home)


def test_a_reader_that_closes_stdout_early_is_an_error(scene: Scene) -> None:
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)  # so that the bundle cannot wait whole in the pipe
    assert len(scene.bundle) > 2 * 4096
    command = [Path(sys.executable).parent / "advae", "registry", "export", scene.run, "-", "-q", "--home", scene.home]
    with subprocess.Popen(command, stdout=into, stderr=subprocess.PIPE, text=True) as export:
        os.close(into)
        assert len(os.read(out, 100)) == 100
        os.close(out)
        said = export.communicate(timeout=240)[1]
    assert export.returncode == 5
    assert "its reader closed it before the end" in said


# ---------------------------------------------------------------- a home that can only be read


@pytest.fixture
def read_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A home on a disk that refuses every write, as one that is mounted read-only does."""

    def is_inside(path: object) -> bool:
        return not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(scene.home)

    def refuse_writing(name: str, writes: Any) -> None:
        call = getattr(io if name == "io.open" else os, name.removeprefix("io."))

        def refusing(path: Any, *args: Any, **options: Any) -> Any:
            if is_inside(path) and writes(*args, **options):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return call(path, *args, **options)

        monkeypatch.setattr(io if name == "io.open" else os, name.removeprefix("io."), refusing)

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "utime", "chmod", "symlink", "link", "truncate"):
        refuse_writing(name, lambda *args, **options: True)
    refuse_writing("open", lambda flags, *args, **options: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    refuse_writing("io.open", lambda mode="r", *args, **options: bool(set(mode) & set("wax+")))
    return scene


def test_commands_that_read_work_on_a_read_only_home(read_only: Scene) -> None:
    before = read_tree(read_only.home)
    for command in (
        ("ls",),
        ("ls", "--json", "--kind", "ae", "--dataset", read_only.dataset),
        ("show", "latest"),
        ("show", read_only.run),
        ("verify",),
        ("gc", "--dry-run"),
        ("gc",),
        ("export", read_only.run, read_only.folder / "it.tar"),
    ):
        command = ("show", read_only.clf) if command == ("show", "latest") else command
        succeed("registry", *command)
    assert read_tree(read_only.home) == before


def test_an_existing_name_can_be_given_again_on_a_read_only_home(read_only: Scene) -> None:
    before = read_tree(read_only.home)
    assert succeed("registry", "tag", read_only.ae, "best").id == read_only.ae
    assert read_tree(read_only.home) == before


def test_commands_that_write_fail_on_a_read_only_home(read_only: Scene, good: Scene) -> None:
    file = read_only.folder / "it.tar"
    file.write_bytes(good.bundle)
    for command in (("tag", read_only.ae, "x"), ("rm", read_only.run), ("import", file)):
        line = refuse(5, *command)
        assert f"cannot write to {read_only.home}: Read-only file system" in line


def test_existing_entries_are_printed_on_a_read_only_home(
    scene: Scene, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ("train-clf", "--model", "lr", "--dataset", scene.dataset)
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--clf")
    first, second = (succeed(*train, *options, "-q").id for options in ((), ("--C", "2")))
    runs = [succeed(*attack, clf, "-q").id for clf in (first, second)]
    request.getfixturevalue("read_only")
    before = read_tree(scene.home)
    for command, id_ in (((*train,), first), ((*attack, first), runs[0])):
        again = succeed(*command)
        assert again.out == f"{id_}\n"
        assert "`latest` is not changed: cannot write to" in again.err
        assert succeed(*command, "--json").json["cached"] is True
        assert succeed(*command, "-q").err == ""
    assert "is not changed" not in succeed(*train, "--C", "2").err
    assert read_tree(scene.home) == before
    missing = call(*train, "--C", "3")
    assert (missing.code, missing.out) == (5, "")
    assert missing.err.startswith(f"advae: cannot write to {scene.home}: Read-only file system")


# ---------------------------------------------------------------- what a terminal is shown

NAMES = {
    "colour": "\x1b[31;5;7mred",
    "title": "\x1b]0;title\x07",
    "clear": "\x1b[2J\x1b[H",
    "one byte": "\x9b31m",
    "right to left": "\u202egnp.exe",
    "isolate": "\u2066x",
    "line feed": "a\nadvae: all is well",
    "return": "a\rb",
    "tab and back": "a\tb\b\b",
    "nul": "a\0b",
    "surrogate": "a\udcffb",
    "line separator": "a\u2028b",
    "markup": "[red]x[/red]",
    "closing markup": "[/x]",
    "link": "[link=file:///etc/passwd]x[/link]",
    "escape of markup": "\\[red]",
    "emoji": ":warning:",
}
RAW = {char for name in NAMES.values() for char in name if not char.isprintable()} - {*"\n\r\x1b\udcff"}
"""What is never shown. Rich itself shows the first three at a terminal, and stderr turns the last into plain text."""


@pytest.fixture(params=NAMES, scope="module")
def named(request: pytest.FixtureRequest, good: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, str]:
    """A scene whose dataset has a name chosen by another person, and the name."""
    start_tensorflow()
    folder, name = tmp_path_factory.mktemp("named"), NAMES[request.param]
    scene = copy_scene(good, folder)

    def rename(stored: dict[str, Any]) -> None:
        stored["recipe"]["dataset"]["name"] = name
        stored["versions"] = {name: name}
        stored["created"] = f"9{name}"

    members = rename_family(take_apart(good.bundle), dict.fromkeys(("ae", "clf", "run"), rename))
    shutil.rmtree(scene.home)
    bundle = folder / "bundle.tar"
    bundle.write_bytes(encode_bundle(members))
    assert call("registry", "import", bundle, "--home", scene.home).code == 0
    ids = {id_.partition("-")[0]: id_ for id_ in Registry(scene.home).ids()}
    return Scene(**(vars(scene) | ids)), name


def assert_tame(outcome: Outcome, name: str) -> None:
    """Hold that nothing in what was shown moves a cursor; at a terminal, Rich's own sequences apart."""
    assert outcome.code == 0, outcome.err
    for text in (outcome.out, outcome.err):
        assert not RAW & set(text), repr(text[-600:])
        assert not [begun for begun in ("\x1b[31;5;7m", "\x1b]", "\x1b[2J", "\nadvae: all is well") if begun in text]


SHOWING = [("ls",), ("ls", "--json"), ("show", "{run}"), ("show", "{ae}", "--json")]


@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
def test_no_name_reaches_the_terminal_raw(named: tuple[Scene, str], run: Any) -> None:
    scene, name = named
    for command in SHOWING:
        words = [word.format(run=scene.run, ae=scene.ae) for word in command]
        assert_tame(run("registry", *words, "--home", scene.home), name)
    if name.isprintable():
        shown = run("registry", "ls", "--home", scene.home)
        assert name in shown.err, "what is harmless is shown as it is"
        assert f"dataset.name: {name}" in run("registry", "show", scene.ae, "--home", scene.home).err


@pytest.mark.parametrize("named", ["title", "markup", "closing markup"], indirect=True)
@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
def test_no_name_reaches_the_terminal_raw_by_an_attack(named: tuple[Scene, str], run: Any) -> None:
    scene, name = named
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--clf", scene.clf, "--home", scene.home)
    attacked = run(*attack)
    assert_tame(attacked, name)
    if name.isprintable():
        assert name in attacked.err
    assert_tame(run("predict", "--clf", scene.clf, scene.images, "--home", scene.home), name)
    assert_tame(run("purify", "--ae", scene.ae, scene.images, scene.folder / "out.npy", "--home", scene.home), name)


@pytest.mark.parametrize("run", [call, call_at_terminal], ids=["file", "terminal"])
@pytest.mark.parametrize("case", [case for case, name in NAMES.items() if "\0" not in name and "/" not in name])
def test_no_error_shows_a_file_name_raw(case: str, run: Any, scene: Scene) -> None:
    """A file with a name chosen by another person, as after a download."""
    file = scene.folder / f"{NAMES[case]}.npz"
    file.write_bytes(b"hello")
    for command in (
        ("registry", "import", file),
        ("registry", "import", f"{file}x"),
        ("predict", "--clf", scene.clf, file),
        ("train-ae", "--type", "vanilla", "--dataset", file),
    ):
        refused = run(*command)
        assert refused.code in (2, 4, 6), refused.err
        assert not RAW & set(refused.err), repr(refused.err[-300:])
        *_, last = refused.err.removesuffix("\n").split("\n")
        assert "advae: " in last
        assert run is call_at_terminal or refused.err.count("\n") == 1


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "\u202e", "\x9b31m"])
def test_no_error_shows_a_source_raw(scene: Scene, name: str, tmp_path: Path) -> None:
    """Where a dataset was is what the bundle says."""
    members = take_apart(scene.bundle)
    for kind in ("ae", "clf", "run"):
        members = change_members(members, lambda stored: stored.update(source=f"/tmp/{name}.npz"), of=kind)
    scene.file.write_bytes(encode_bundle(members))
    new = ("--home", tmp_path / "new")
    succeed("registry", "import", scene.file, *new)
    refused = call("attack", "--method", "fgsm", "--eps", "0.1", "--clf", scene.clf, *new)
    assert refused.code == 6
    assert refused.err.replace("\n", "").isprintable(), repr(refused.err)


def test_exported_files_have_the_names_that_were_asked_for(scene: Scene) -> None:
    for name in ("[red]it[red].tar", "a b.tar", "-x.tar", "é☃.tar", ":x:.tar"):
        target = scene.folder / name
        assert succeed("registry", "export", scene.run, target).out == f"{target}\n"
        assert call_at_terminal("registry", "import", target).out == f"{scene.run}\n"
        assert target.read_bytes() == scene.bundle


def test_a_file_may_be_named_like_markup_that_closes(scene: Scene) -> None:
    folder = scene.folder / "x["
    folder.mkdir()
    target = folder / "x].tar"
    assert call_at_terminal("registry", "export", scene.run, target).code == 0
    assert call_at_terminal("registry", "import", target).code == 0
