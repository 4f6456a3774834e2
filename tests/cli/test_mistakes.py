"""Mistakes at the command line: one line, the exit code, and a registry that is not changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from advae.evaluation.pipelines import WEIGHTS
from advae.registry import Registry
from tests.calls import Outcome, call, succeed
from tests.cli.registry_calls import one_line, snapshot
from tests.conftest import Trained
from tests.entries import list_names

BAD: list[tuple[list[str], int, str]] = [
    (["train-ae", "--type", "spars"], 2, "did you mean 'sparse'"),
    (["train-ae", "--type", "vanilla", "--dataset", "minst"], 2, "did you mean 'mnist'"),
    (["train-ae", "--type", "vanilla", "--rho", "0.1"], 2, "--rho does not fit"),
    (["train-ae", "--type", "vanilla", "--epochs", "0"], 2, "--epochs"),
    (["train-ae", "--type", "vanilla", "--epochs", "many"], 2, "--epochs"),
    (["train-ae", "--type", "vanilla", "--learning-rate", "-1"], 2, "--learning-rate"),
    (["train-ae", "--type", "vanilla", "--learning-rate", "nan"], 2, "--learning-rate"),
    (["train-ae", "--type", "vanilla", "--activations", "relu"], 2, "four names"),
    (["train-ae", "--type", "vanilla", "--rescale", "intens"], 2, "did you mean 'intensity'"),
    (["train-ae", "--type", "vanilla", "--tag", "../../x"], 2, "bad tag"),
    (["train-ae", "--type", "vanilla", "--dataset", "mnist", "--data-dir", "/nowhere"], 6, "/nowhere"),
    (["train-ae", "--type", "vanilla", "--dataset", "gone.npz"], 6, "gone.npz"),
    (["train-ae"], 2, "--type"),
    (["train-ae", "--type", "sparse", "--sparsity-weight", "nan"], 2, "bad --sparsity-weight"),
    (["train-ae", "--type", "variational", "--kl-weight", "inf"], 2, "bad --kl-weight"),
    (["train-ae", "--type", "sparse", "--penalty", "l1", "--rho", "0.1"], 2, "--penalty l1"),
    (["train-ae", "--type", "sparse", "--activations", "relu,relu,relu,softplus"], 2, "a sigmoid"),
    (["train-ae", "--type", "vanilla", "--activations", "relu,relu,relu,tanh"], 2, "does not fit output tanh"),
    (["train-ae", "--type", "blur", "--epochs", "3"], 2, "--epochs does not fit --type blur, a baseline"),
    (["train-ae", "--type", "pca", "--activations", "relu,relu,relu,relu"], 2, "--activations does not fit --type pca"),
    (["train-ae", "--type", "binary", "--loss", "squared-error"], 2, "--loss does not fit --type binary"),
    (["train-ae", "--type", "blur", "--rescale", "intensity"], 2, "--rescale intensity does not fit --type blur"),
    (["train-ae", "--type", "vanilla", "--sigma", "1"], 2, "--sigma does not fit --type vanilla; it is for blur"),
    (["train-ae", "--type", "blur", "--sigma", "0"], 2, "bad --sigma 0.0"),
    (["train-ae", "--type", "blur", "--sigma", "9"], 2, "at most 8, the side of an image"),
    (["train-ae", "--type", "blur", "--sigma", "nan"], 2, "bad --sigma nan"),
    (["train-ae", "--type", "binary", "--threshold", "1"], 2, "bad --threshold 1.0"),
    (["train-ae", "--type", "bit-depth", "--bits", "9"], 2, "bad --bits 9: a whole number from 1 to 8"),
    (["train-ae", "--type", "median", "--window", "1"], 2, "bad --window 1: a whole number from 2 to 5, in pixels"),
    (["train-ae", "--type", "jpeg", "--quality", "0"], 2, "bad --quality 0: a whole number from 1 to 100"),
    (["train-ae", "--type", "jpeg", "--quality", "best"], 2, "--quality"),
    (["train-ae", "--type", "total-variation", "--tv-weight", "0"], 2, "bad --tv-weight 0.0: above 0, at most 100"),
    (["train-ae", "--type", "jpeg", "--bits", "1"], 2, "--bits does not fit --type jpeg; it is for bit-depth"),
    (["train-ae", "--type", "pca", "--code-size", "65"], 2, "bad --code-size 65"),
    (["train-clf", "--model", "lr", "--C", "0"], 2, "bad --C"),
    (["attack", "--method", "bim", "--eps", "0.1", "--step-size", "-1"], 2, "bad --step-size"),
    (["train-clf", "--model", "svm"], 2, "lr, mlp, nn"),
    (["train-clf", "--model", "nn", "--ae", "ae-000000000000"], 3, "train-ae"),
    (["train-clf", "--model", "nn", "--ae", "{nn}"], 3, "is no autoencoder"),
    (["train-clf", "--model", "nn", "--ae", ""], 2, "an argument is empty"),
    (["train-clf", "--model", "nn", "--ae="], 2, "an argument is empty"),
    (["train-ae", "--type", "sparse", "--rho", "nan"], 2, "bad --rho nan"),
    (["train-ae", "--type", "vanilla", "--batch-size", "99999999999999999999"], 2, "bad --batch-size"),
    (["attack", "--method", "bim", "--eps", "0.1", "--step-size", "1e300"], 2, "bad --step-size"),
    (["train-clf", "--model", "lr", "--C", "1e-320"], 2, "bad --C"),
    (["--home", "x", "registry", "ls"], 2, "options follow the subcommand"),
    (["bogus"], 2, "train-clf"),
    (["train-clf", "--model", "lr", "--epochs", "3"], 2, "do not fit --model lr"),
    (["train-clf", "--model", "nn", "--C", "3"], 2, "do not fit --model nn"),
    (["train-clf", "--model", "nn", "--ae", "{ae}", "--dataset", "mnist"], 2, "'digits'"),
    (["train-clf", "--model", "nn", "--retrain-eps", "0.1"], 2, "--retrain-eps needs --retrain N"),
    (["train-clf", "--model", "nn", "--retrain", "2"], 2, "--retrain needs --retrain-eps E"),
    (["train-clf", "--model", "nn", "--retrain", "2", "--retrain-eps", "25"], 2, "did you mean 25/255?"),
    (["train-clf", "--from", "{nn}", "--ae", "{ae}", "--retrain", "2"], 2, "training options need --model"),
    (["attack", "--method", "fgms", "--eps", "0.1"], 2, "did you mean 'fgsm'"),
    (["attack", "--method", "fgsm", "--eps", "-0.1"], 2, "bad eps"),
    (["attack", "--method", "fgsm", "--eps", "1.5"], 2, "bad eps"),
    (["attack", "--method", "fgsm", "--eps", "nan"], 2, "bad eps"),
    (["attack", "--method", "fgsm", "--eps", "0.1,zero"], 2, "'zero'"),
    (["attack", "--method", "fgsm", "--eps", "1/0"], 2, "'1/0'"),
    (["attack", "--method", "fgsm", "--eps", ""], 2, "an argument is empty"),
    (["attack", "--method", "fgsm", "--eps", "30"], 2, "did you mean 30/255?"),
    (["attack", "--method", "fgsm", "--eps", "0,3"], 2, "did you mean 0.3, with a decimal point?"),
    (["attack", "--method", "fgsm", "--eps", "0.1,0,05"], 2, "bad eps '0,05': did you mean 0.05, with a decimal"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--fail-under", "0,5"], 2, "got '0,5'; did you mean 0.5?"),
    (["attack", "--method", "bim", "--eps", "0.1", "--step-size", "2/0"], 2, "a number, got '2/0'"),
    (["attack", "--method", "bim", "--eps", "0.1", "--steps", "1e3"], 2, "an integer, got '1e3'"),
    (["train-ae", "--type", "binary", "--threshold", "128"], 2, "did you mean 128/255?"),
    (["train-ae", "--type", "robust", "--train-eps", "8"], 2, "did you mean 8/255?"),
    (["attack", "--method", "fgsm", "--eps", "0.1,0.1"], 2, "twice"),
    (["attack", "--method", ",", "--eps", "0.1"], 2, "--method"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--threat", "adaptiv"], 2, "did you mean 'adaptive'"),
    (["attack", "--method", "natural", "--eps", "0.1", "--clf", "{nn}"], 2, "logistic regression"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--dataset", "mnist"], 2, "not 'mnist'"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--threat", "oblivious"], 2, "has only noise"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--no-clip"], 2, "--no-clip does not fit"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--steps", "5"], 2, "--steps does not fit"),
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--target", "5"], 2, "--target does not fit"),
    (["attack", "--method", "tfgsm", "--eps", "0.1", "--clf", "{nn}", "--target", "10"], 2, "bad --target"),
    (["attack", "--method", "bim", "--eps", "0.1", "--clf", "{nn}", "--loss", "c"], 2, "did you mean 'ce'"),
    (["attack", "--method", "bim", "--eps", "0.1", "--clf", "clf-zz"], 3, "train-clf"),
    (["attack", "--method", "bim", "--eps", "0.1", "--clf", "{ae}"], 3, "is no classifier"),
    (["attack", "--method", "bim", "--eps", "0.1", "--limit", "0"], 2, "--limit"),
    (["report", "run-000000000000"], 3, "no entry"),
    (["report", "--dataset", "fashion-mnist"], 3, "fashion-mnist"),
    (["report", "--format", "pdf"], 2, "unknown format"),
    (["report", "--figure-format", "png"], 2, "--figure-format needs --figures DIR"),
    (["purify", "--ae", "{ae}", "gone.npy", "out.npy"], 6, "gone.npy"),
    (["predict", "--clf", "{nn}", "gone.npy"], 6, "gone.npy"),
    (["predict", "--clf", "{nn}", "gone.npy", "--format", "xml"], 2, "unknown format"),
    (["registry", "show", "nothing"], 3, "nothing"),
    (["registry", "rm", "nothing"], 3, "nothing"),
    (["registry", "show", "{nn}0"], 3, "did you mean '{nn}'"),
    (["registry", "ls", "--dataset", "minst"], 2, "did you mean 'mnist'"),
    (["registry", "untag", "nothing"], 3, "nothing"),
    (["registry", "tag", "{ae}", "ae-000000000000"], 2, "bad tag"),
    (["registry", "ls", "--kind", "cfl"], 2, "did you mean 'clf'"),
    (["data", "fetch", "minst"], 2, "did you mean 'mnist'"),
    (["atack"], 2, "attack"),
    (["attack", "--metod", "bim"], 2, "--method"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=[" ".join(row[0])[:70] for row in BAD])
def test_a_mistake_is_one_line_and_changes_nothing(
    arguments: list[str], code: int, message: str, home: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVAE_HOME", str(home))
    monkeypatch.delenv("ADVAE_DATA_DIR", raising=False)
    monkeypatch.chdir(home.parent)
    before = snapshot(home)
    names = {"ae": trained.ae, "nn": trained.nn}
    outcome = call(*(argument.format(**names) for argument in arguments))
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.startswith("advae: ")
    assert message.format(**names) in outcome.err
    assert snapshot(home) == before


def test_oblivious_without_an_undefended_counterpart_names_the_command_that_makes_one(
    home: Path, trained: Trained
) -> None:
    for row in succeed("registry", "ls", "--home", home, "--json").json:
        if row["kind"] == "run":
            succeed("registry", "rm", row["id"], "--home", home)
    succeed("registry", "rm", trained.nn, "--home", home)
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--threat", "oblivious", "--clf", trained.nn_behind)
    assert "`advae train-clf --model nn --dataset digits`" in one_line(call(*attack, "--home", home), 3)


def test_no_classifier_at_all_names_the_command_that_makes_one(tmp_path: Path) -> None:
    line = one_line(call("attack", "--method", "fgsm", "--eps", "0.1", "--home", tmp_path / "empty"), 3)
    assert "advae train-clf" in line
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("command", "repaired_by"),
    [
        (["train-clf", "--model", "nn", "--epochs", "8"], "nn"),
        (["train-ae", "--type", "vanilla", "--epochs", "8"], "ae"),
    ],
)
def test_a_corrupt_entry_is_exit_4_and_force_repairs_it(
    command: list[str], repaired_by: str, home: Path, trained: Trained
) -> None:
    id_ = getattr(trained, repaired_by)
    manifest = home / "entries" / id_ / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    line = one_line(call(*command, "--home", home, "-q"), 4)
    assert str(manifest) in line
    assert "--force" in line
    assert succeed(*command, "--home", home, "--force", "-q").id == id_
    assert succeed(*command, "--home", home, "--json").json["cached"] is True


def test_damaged_weights_are_found_before_they_are_used(home: Path, trained: Trained) -> None:
    weights = home / "entries" / trained.nn / "weights.npz"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    line = one_line(call("attack", "--method", "fgsm", "--eps", "0.123", "--clf", trained.nn, "--home", home), 4)
    assert str(weights) in line


def test_an_unwritable_home_is_exit_5_before_any_training(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    line = one_line(call("train-ae", "--type", "vanilla", "--home", blocked / "home"), 5)
    assert "cannot be a registry" in line


def test_divergence_is_exit_8_and_publishes_nothing(tmp_path: Path) -> None:
    command = ("train-ae", "--type", "vanilla", "--learning-rate", "1e6", "--epochs", 3, "--home", tmp_path / "home")
    line = one_line(call(*command), 8)
    assert "in epoch 1 of 3" in line
    # The loss of these is finite, and the error of their output on the test images is not.
    command = (*command[:3], "--activations", "tanh,tanh,tanh,softplus", "--learning-rate", "1e30", "--rescale", "none")
    line = one_line(call(*command, "--epochs", 2, "--home", tmp_path / "home"), 8)
    assert "training diverged: test MSE" in line
    assert list_names(tmp_path / "home" / "entries") == list_names(tmp_path / "home" / "tmp") == []


@pytest.mark.parametrize("damage", ["truncated", "pickled", "shape", "range", "nan", "npz"])
def test_for_bad_images_no_output_is_written(damage: str, trained: Trained, tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    images: Any = np.zeros((10, 8, 8), "f4")
    if damage == "pickled":
        images = np.array([{"a": 1}], dtype=object)
    elif damage == "shape":
        images = np.zeros((10, 7, 7), "f4")
    elif damage in ("range", "nan"):
        images[3, 0, 0] = 1.5 if damage == "range" else np.nan
    np.save(source, images)
    if damage == "truncated":
        source.write_bytes(source.read_bytes()[:-100])
    if damage == "npz":
        with source.open("wb") as stream:
            np.savez(stream, x=images)
    one_line(call("purify", "--ae", trained.ae, source, target, "--home", trained.home, "-q"), 6)
    one_line(call("predict", "--clf", trained.nn, source, "--home", trained.home, "-q"), 6)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".out", "out"))] == []


def test_a_device_is_not_replaced_by_a_file(trained: Trained, tmp_path: Path) -> None:
    source = tmp_path / "in.npy"
    np.save(source, np.zeros((2, 8, 8), "f4"))
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", tmp_path):
        line = one_line(call("purify", "--ae", trained.ae, source, target, "--home", trained.home, "-q"), 5)
        assert "a folder or a device" in line
    assert (tmp_path / "pipe").is_fifo()
    one_line(call("purify", "--ae", trained.ae, tmp_path / "pipe", tmp_path / "out.npy", "--home", trained.home), 6)


def test_too_little_memory_is_no_defect(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses to load TensorFlow, numpy an array, TensorFlow a tensor."""
    from tensorflow.errors import ResourceExhaustedError

    advae = Path(sys.executable).parent / "advae"
    attack = ["attack", "--clf", trained.nn, "--method", "noise", "--eps", "0.1", "-q", "--home", str(trained.home)]
    script = f"ulimit -v 600000; {advae} {' '.join(attack)} --limit 7"
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=240)
    outcomes = [Outcome(run.returncode, run.stdout, run.stderr)]
    exhausted = ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]\nand a hint of its own")
    for trouble in (lambda *_, **__: np.empty(1 << 56), Mock(side_effect=exhausted)):
        monkeypatch.setattr("advae.registry.store.Registry.obtain", trouble)
        outcomes.append(call(*attack, "--limit", 8))
    for outcome in outcomes:
        assert one_line(outcome, 5).startswith("advae: too little memory; try fewer images (--limit), ")


def test_purify_replaces_what_it_reads_by_force_only(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "in.npy"
    np.save(source, np.full((2, 8, 8), 0.5, "f4"))
    (tmp_path / "link.npy").symlink_to("in.npy")
    (tmp_path / "hard.npy").hardlink_to(source)
    before = source.read_bytes()
    purify = ("purify", "--ae", trained.ae, "--home", trained.home, "-q")
    for pair in ((source, source), ("in.npy", source), (source, "link.npy"), ("link.npy", "./in.npy")):
        assert "it is the file of the images to purify" in one_line(call(*purify, *pair), 2)
    one_line(call(*purify, source, "hard.npy"), 2)
    assert source.read_bytes() == before
    inside = trained.home / "entries" / trained.ae / "weights.npz"
    (tmp_path / "home").symlink_to(trained.home)
    (tmp_path / "loose.npy").symlink_to(inside)
    around = tmp_path / ".." / tmp_path.name / "home" / "nowhere" / "out.npy"
    for target in (inside, trained.home / "out.npy", "home/out.npy", "loose.npy", around):
        assert "it is in the registry's folder" in one_line(call(*purify, source, target), 2)
    assert "it is in the registry's folder" in one_line(call(*purify, source, inside, "--home", "home"), 2)
    (tmp_path / "out.npy").write_text("older")
    succeed(*purify, source, "out.npy")
    succeed(*purify, source, source, "--force")
    assert source.read_bytes() == (tmp_path / "out.npy").read_bytes() != before


def test_an_overflow_is_an_error_and_no_image_is_written(trained: Trained, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "home")
    shutil.copytree(trained.home, registry.home)
    np.save(tmp_path / "in.npy", np.ones((3, 8, 8), "f4"))
    wild = []
    for id_ in (trained.ae, trained.nn):
        entry = registry.manifest(id_)
        recipe = entry.recipe.model_copy(update={"seed": 99})
        arrays = {name: array * np.float32(1e30) for name, array in registry.read_arrays(entry, WEIGHTS).items()}
        made = registry.publish(
            recipe, entry.metrics, {WEIGHTS: arrays}, parent_digests=registry.digest_parents(recipe)
        )
        wild.append(made.id)
    done = call("purify", "--ae", wild[0], tmp_path / "in.npy", tmp_path / "out.npy", "--home", registry.home)
    assert f"{wild[0]} turns images 0 to 2 of {tmp_path / 'in.npy'} into values that are not finite" in one_line(
        done, 4
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "in.npy"]
    done = succeed("predict", "--clf", wild[1], tmp_path / "in.npy", "--home", registry.home)
    assert [row["probabilities"][0] for row in done.json["predictions"]] == [None] * 3
    assert done.err.endswith(
        f"{wild[1]} overflows on 3 of 3 images: their probabilities are null, and their labels are not reliable\n"
    )


def test_predict_prints_nothing_where_the_last_image_is_bad(trained: Trained, tmp_path: Path) -> None:
    images = np.zeros((3000, 8, 8), "f4")
    images[-1, 0, 0] = 7
    np.save(tmp_path / "in.npy", images)
    for format_ in ("json", "csv"):
        command = ("predict", "--clf", trained.lr, tmp_path / "in.npy", "--format", format_, "--home", trained.home)
        assert "rows 2500 to 2999" in one_line(call(*command), 6)


def test_a_run_with_a_broken_ancestor_is_excluded_unless_it_is_named(
    home: Path, trained: Trained, tmp_path: Path
) -> None:
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--limit", 20, "--home", home, "-q", "--clf")
    lost, kept = (succeed(*attack, clf).id for clf in (trained.lr, trained.nn))
    (home / "entries" / trained.lr / "manifest.json").write_text("{}")
    report = succeed("report", "--out", tmp_path / "out", "--home", home, "--json")
    assert kept in report.json["runs"]
    assert lost not in report.json["runs"]
    assert f"{lost} is excluded" in report.err
    assert call("report", lost, "--out", tmp_path / "out", "--home", home).code == 4
    shutil.rmtree(home / "entries" / trained.ae)
    shown = call("registry", "show", trained.nn_behind, "--home", home)
    assert "no entry" in shown.json["lineage"]["parents"][0]["problem"]
    assert shown.code == 4
    assert shown.err.splitlines()[-1] == f"advae: {trained.nn_behind} depends on {trained.ae}, which is missing"
