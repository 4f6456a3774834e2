"""``advae registry`` export and import: what they print, refuse and write."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from tests.calls import call, succeed
from tests.cli.registry_calls import bundle_of, call_at_terminal, refuse, registry, spoil
from tests.entries import (
    WEIGHTS,
    list_names,
    read_tree,
    read_unmarked,
)
from tests.hostile.scene import Scene


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
    assert " ".join(call_at_terminal("registry", "ls", "--home", other).out.split()).count(", imported 20") == 3
    assert succeed("registry", "show", scene.run, "--json").json["imported"] is None
    assert ", imported" not in call_at_terminal("registry", "ls").out


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
