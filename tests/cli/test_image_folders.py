"""A folder of images from training to report: later commands find it again, at the size that it was resized to."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np

from tests.calls import call, succeed
from tests.datasets.pictures import encode, make_files, write_files


def test_a_resized_folder_travels_from_training_to_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = {name: encode(rng.integers(0, 256, (6 + i, 5, 3), np.uint8)) for i, name in enumerate(make_files())}
    folder, home = write_files(tmp_path / "pets", files), ("--home", tmp_path / "home")
    train = ("train-clf", "--model", "lr", "--dataset", folder)
    line = call(*train, *home)
    assert (line.code, "pass --resize HEIGHT,WIDTH" in line.err) == (6, True)
    for size in ("8", "8,0", "a,b", "8,8,3", "5000,8"):
        assert call(*train, "--resize", size, *home).code == 2
    clf = succeed(*train, "--resize", "4,3", *home).out.strip()
    attack = ("attack", "--method", "fgsm", "--clf", clf, *home, "--eps")
    succeed(*attack, "0.1")
    succeed(*attack, "0.2", "--dataset", folder)
    other = call(*attack, "0.1", "--dataset", folder, "--resize", "3,4")
    assert (other.code, other.err) == (2, f"advae: {clf} was made with --resize 4,3; leave --resize out\n")
    listed = succeed("registry", "ls", "--dataset", folder, "--resize", "4,3", *home).out.split()
    assert (len(listed), listed[-1]) == (3, clf)
    out = tmp_path / "report"
    succeed("report", "--dataset", folder, "--resize", "4,3", "--out", out, "--format", "md,json", *home)
    assert "pets/" in (out / "report.md").read_text()
    # The commands of a report can be pasted as they are.
    commands = [shlex.split(one)[1:] for one in json.loads((out / "report.json").read_text())["commands"]]
    assert [succeed(*one, *home).out.strip() for one in commands if one[0] == "train-clf"] == [clf]
    moved = folder.rename(tmp_path / "moved")
    gone = call(*attack, "0.3")
    assert (gone.code, "; if it has moved, pass --dataset DIR" in gone.err) == (6, True)
    succeed(*attack, "0.3", "--dataset", moved)


def test_a_size_without_a_folder_is_a_mistake(tmp_path: Path) -> None:
    line = call("data", "verify", "digits", "--resize", "8,8", "--home", tmp_path)
    assert (line.code, line.err) == (2, "advae: --resize 8,8 is for a folder of images, and digits is none\n")
