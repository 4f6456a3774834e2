"""The command-line contract: data on stdout, one line for a mistake, the exit codes, the registry left as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from typer.main import get_command

from advae.cli.app import build_app
from advae.evaluation.pipelines import WEIGHTS
from advae.experiments import PAPER
from advae.registry import Registry
from tests.calls import Outcome, call, list_commands, succeed
from tests.cli.terminal import open_terminal
from tests.conftest import Trained
from tests.entries import list_names

RESULT_FIELDS = [
    "eps",
    "accuracy",
    "accuracy_interval",
    "attack_success_rate",
    "target_hit_rate",
    "linf_max",
    "l2_mean",
    "zero_gradient_fraction",
]
RUN_FIELDS = [
    "id",
    "method",
    "threat",
    "norm",
    "classifier",
    "autoencoder",
    "dataset",
    "n",
    "seed",
    "clean_accuracy",
    "results",
]


@pytest.fixture
def home(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained registry, to write on."""
    target = tmp_path / "copy"
    shutil.copytree(trained.home, target)
    return target


def snapshot(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- what works


def test_the_same_command_again_prints_the_same_id_and_does_no_work(trained: Trained) -> None:
    again = succeed("train-ae", "--type", "vanilla", "--epochs", 8, "--home", trained.home, "--json")
    assert again.json["id"] == trained.ae
    assert again.json["cached"] is True
    assert "is already in the registry" in again.err
    quiet = succeed("train-ae", "--type", "vanilla", "--epochs", 8, "--home", trained.home, "-q")
    assert (quiet.out, quiet.err) == (f"{trained.ae}\n", "")


def test_force_computes_again_and_finds_the_same(home: Path, trained: Trained) -> None:
    before = succeed("registry", "show", trained.nn, "--home", home).json
    forced = succeed("train-clf", "--model", "nn", "--epochs", 8, "--home", home, "--force", "--json").json
    after = succeed("registry", "show", trained.nn, "--home", home).json
    assert forced["cached"] is False
    assert after["created"] > before["created"]
    assert after["artifacts"] == before["artifacts"]
    assert after["metrics"]["test_accuracy"] == before["metrics"]["test_accuracy"]


def test_attack_json_is_the_contracts(trained: Trained) -> None:
    run = succeed(
        "attack", "--method", "bim", "--eps", "0.1,50/255", "--clf", trained.nn_behind, "--home", trained.home, "--json"
    ).json
    assert list(run)[: len(RUN_FIELDS)] == RUN_FIELDS
    assert (run["method"], run["threat"], run["norm"], run["n"]) == ("bim", "adaptive", "linf", 360)
    assert (run["classifier"], run["autoencoder"], run["dataset"]) == (trained.nn_behind, trained.ae, "digits")
    assert [result["eps"] for result in run["results"]] == [0.1, 50 / 255]
    for result in run["results"]:
        assert list(result)[: len(RESULT_FIELDS)] == RESULT_FIELDS
        assert result["linf_max"] <= result["eps"] + 1e-6
        assert result["target_hit_rate"] is None
    assert run["results"][1]["accuracy"] < 0.2 < run["clean_accuracy"]


def test_several_methods_and_threats_make_several_runs_on_the_same_samples(trained: Trained) -> None:
    found = succeed(
        *("attack", "--method", "fgsm,tfgsm", "--threat", "adaptive,oblivious", "--eps", "0.2"),
        *("--clf", trained.nn_behind, "--home", trained.home, "--limit", 100, "--json"),
    ).json["runs"]
    assert [(run["method"], run["threat"]) for run in found] == [
        (method, threat) for method in ("fgsm", "tfgsm") for threat in ("adaptive", "oblivious")
    ]
    assert {run["n"] for run in found} == {100}
    assert {run["twin"] for run in found if run["threat"] == "oblivious"} == {trained.nn}
    assert len({run["clean_accuracy"] for run in found}) == 1


METHODS = ["fgsm", "tfgsm", "bim", "non-targeted", "natural", "non-natural", "one-target"]


# Undefended and behind a purifier differ in the pipeline, not in the method: one method is enough for the former.
@pytest.mark.parametrize(("method", "behind"), [*((method, True) for method in METHODS), ("natural", False)])
def test_every_method_attacks_logistic_regression(method: str, behind: bool, trained: Trained) -> None:
    clf = trained.lr_behind if behind else trained.lr
    run = succeed(
        "attack", "--method", method, "--eps", "50/255", "--clf", clf, "--home", trained.home, "--json", "--limit", 200
    ).json
    assert run["results"][0]["accuracy"] < run["clean_accuracy"]
    assert (run["target"] is not None) == (method in ("tfgsm", "one-target"))
    assert (run["results"][0]["targets"] is not None) == (method in ("natural", "non-natural"))


def test_no_clip_is_never_called_a_valid_result(trained: Trained) -> None:
    outcome = succeed(
        *("attack", "--method", "non-targeted", "--eps", "50/255", "--no-clip", "--clf", trained.lr),
        *("--home", trained.home, "--json"),
    )
    assert outcome.json["results"][0]["within_budget"] is False
    assert "not a valid result" in outcome.err


def test_a_zero_among_several_eps_is_warned_of_once(trained: Trained) -> None:
    attack = ("attack", "--method", "fgsm,tfgsm", "--limit", 20, "--clf", trained.lr, "--home", trained.home, "--eps")
    told = succeed(*attack, "0,1")
    assert len(told.out.split()) == 2
    assert told.err.count("eps 0 ") == told.err.count("did you mean 0.1, with a decimal point?") == 1
    assert "eps 0 changes no image" in succeed(*attack, "0,0.1").err
    assert "eps 0 " not in succeed(*attack, "0").err


def test_a_step_size_may_be_a_fraction_as_eps_may(trained: Trained) -> None:
    attack = ("attack", "--method", "bim", "--eps", "8/255", "--limit", 20, "--clf", trained.lr, "--home", trained.home)
    assert succeed(*attack, "--step-size", "2/255").out == succeed(*attack, "--step-size", repr(2 / 255)).out


def test_without_clf_the_newest_classifier_of_the_dataset_is_attacked(home: Path, trained: Trained) -> None:
    succeed("train-clf", "--model", "nn", "--epochs", 8, "--home", home, "-q")
    attack = ("attack", "--method", "fgsm", "--eps", "0.1", "--limit", 50, "--home", home, "--json")
    assert succeed(*attack).json["classifier"] == trained.nn
    assert succeed(*attack, "--dataset", "digits").json["classifier"] == trained.nn
    assert succeed(*attack, "--clf", "latest").json["classifier"] == trained.nn


def test_references_are_ids_prefixes_and_tags(home: Path, trained: Trained) -> None:
    succeed("registry", "tag", trained.ae, "mine", "--home", home)
    for ref in (trained.ae, trained.ae[:8], trained.ae.partition("-")[2][:6], "mine", "latest"):
        assert succeed("train-clf", "--model", "lr", "--ae", ref, "--home", home, "-q").id == trained.lr_behind
    assert succeed("registry", "show", "mine", "--home", home).json["tags"] == ["mine"]
    retagged = succeed("train-ae", "--type", "vanilla", "--epochs", 8, "--tag", "other", "--home", home, "-q")
    assert retagged.id == trained.ae
    assert succeed("registry", "untag", "mine", "--home", home).id == trained.ae
    assert call("registry", "show", "mine", "--home", home).code == 3


def test_registry_lists_and_removes(home: Path, trained: Trained) -> None:
    rows = succeed("registry", "ls", "--home", home, "--json").json
    assert {trained.ae, trained.nn, trained.lr_behind} <= {row["id"] for row in rows}
    listed = succeed("registry", "ls", "--kind", "clf", "--home", home, "-q").out.split()
    assert set(listed) == {trained.nn, trained.nn_behind, trained.lr, trained.lr_behind}
    refused = call("registry", "rm", trained.ae, "--home", home)
    assert refused.code == 2
    assert f"{trained.ae} is needed by " in refused.err
    for row in rows:
        if row["kind"] == "run":
            succeed("registry", "rm", row["id"], "--home", home)
    assert succeed("registry", "rm", trained.lr, "--home", home).id == trained.lr
    assert call("registry", "show", trained.lr, "--home", home).code == 3
    lineage = succeed("registry", "show", trained.nn_behind, "--home", home).json["lineage"]
    assert lineage == {"id": trained.nn_behind, "parents": [{"id": trained.ae, "parents": []}]}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_purify_and_predict(dtype: str, trained: Trained, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    images = load_digits().images[:40] / 16
    stored = (images * 255).round().astype(dtype) if dtype == "uint8" else images.astype(dtype)
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, stored)
    done = succeed("purify", "--ae", trained.ae, source, target, "--home", trained.home)
    assert done.out == f"{target}\n"
    purified = np.load(target)
    assert purified.shape == images.shape
    assert purified.dtype == np.float32
    np.testing.assert_allclose(purified.sum((1, 2)), images.sum((1, 2)), rtol=0.3)
    predicted = succeed("predict", "--clf", trained.nn_behind, source, "--home", trained.home).json
    assert (predicted["classifier"], predicted["autoencoder"]) == (trained.nn_behind, trained.ae)
    labels = [row["label"] for row in predicted["predictions"]]
    assert np.mean(np.array(labels) == load_digits().target[:40]) > 0.6
    for row in predicted["predictions"]:
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert int(np.argmax(row["probabilities"])) == row["label"]
    lines = succeed("predict", "--clf", trained.nn_behind, source, "--format", "csv", "--home", trained.home).out
    header, *rows = lines.strip().split("\n")
    assert header.split(",") == ["label", *(f"p_{label}" for label in range(10))]
    assert [int(row.split(",")[0]) for row in rows] == labels
    assert "pixels range only" not in done.err
    # Divided by 255 once more, or 0 and 1 in uint8.
    np.save(source, (images > 0.5).astype(dtype) if dtype == "uint8" else stored / 255)
    for command in (("purify", "--ae", trained.ae, source, target), ("predict", "--clf", trained.nn_behind, source)):
        told = succeed(*command, "--home", trained.home).err
        assert f"{source}: pixels range only from 0 to 0.00392, where 1 is white, as if divided by 255 twice" in told


def test_ones_own_images_train_attack_and_report(tmp_path: Path) -> None:
    """Two classes, 6 x 6: another side length, logits [0, z], a dataset found again by its path."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = rng.uniform(0, 0.4, (400, 6, 6))
    x[y == 1, :3] += 0.5
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    home = ("--home", tmp_path / "home")
    ae = succeed("train-ae", "--type", "denoising", "--dataset", path, "--epochs", 15, *home, "-q").id
    for model in ("nn", "lr"):
        options = ("--epochs", 30) if model == "nn" else ()
        clf = succeed("train-clf", "--model", model, "--ae", ae, *options, *home, "--json").json
        assert clf["metrics"]["test_accuracy"] > 0.9
        run = succeed("attack", "--method", "fgsm", "--eps", "0.5", *home, "--json").json
        assert (run["dataset"], run["n"], run["classifier"]) == ("digits.npz", 100, clf["id"])
    assert succeed("attack", "--method", "tfgsm", "--eps", "0.1", *home, "--json").json["target"] == 1
    # A file that bears the name of a published dataset is not that dataset.
    named = ("attack", "--method", "fgsm", "--eps", "0.5", "--clf", clf["id"], *home, "--dataset")
    assert call(*named, "digits").code == 2
    assert succeed(*named, path, "--json").json["cached"] is True
    assert call("report", "--dataset", "digits", "--out", tmp_path / "out", *home).code == 3
    assert len(succeed("registry", "ls", "--dataset", path, "-q", *home).out.split()) == 6
    page = succeed("report", "--dataset", path, "--out", tmp_path / "out", *home).out.strip()
    assert Path(page).is_file()
    moved = path.rename(tmp_path / "moved.npz")
    asked = ("attack", "--method", "bim", "--steps", 1, "--eps", "0.1", *home)
    for gone in (call(*asked), call("train-clf", "--model", "lr", "--ae", ae, "--C", 1, *home)):
        assert str(path) in one_line(gone, 6)
        assert "; if it has moved, pass --dataset PATH.npz" in gone.err
    succeed(*asked, "--dataset", moved)
    np.savez(path, x_train=x[:300], y_train=y[:300], x_test=x[1:101], y_test=y[1:101])
    other = one_line(call(*asked, "--force"), 6)
    assert f"no longer contains the images that {clf['id']} was made from; if it has moved, pass --dataset" in other


def test_report_writes_where_it_is_told_and_prints_only_the_page(trained: Trained, tmp_path: Path) -> None:
    run = succeed("attack", "--method", "fgsm", "--eps", "0.1", "--clf", trained.nn, "--home", trained.home, "-q").id
    outcome = succeed("report", run, "--out", tmp_path / "r", "--home", trained.home)
    assert outcome.out == f"{tmp_path / 'r' / 'report.html'}\n"
    alone = {path.name for path in (tmp_path / "r").iterdir() if "-" not in path.name}
    assert alone == {f"report.{f}" for f in ("html", "md", "json", "csv")}
    one = succeed("report", run, "--out", tmp_path / "s", "--format", "csv", "--home", trained.home, "--json").json
    assert "csv" in one["files"]
    assert {Path(path) for path in one["files"].values()} == set((tmp_path / "s").iterdir())
    assert one["runs"] == [run]


def test_report_prints_its_schema_without_a_registry(tmp_path: Path) -> None:
    outcome = succeed("report", "--schema", "--home", tmp_path / "none")
    assert outcome.json["$id"] == "urn:advae:report:5"
    assert outcome.out == succeed("report", "--schema", "--json").out
    assert list(tmp_path.iterdir()) == []


def test_version_and_help() -> None:
    assert succeed("--version").out.startswith("advae 0.")
    for command in ("train-ae", "train-clf", "attack", "report", "purify", "predict", "registry", "data", "data ls"):
        shown = succeed(*command.split(), "--help").out
        assert "Usage: advae " + command in shown
        assert succeed(*command.split(), "-h").out == shown
    assert succeed("-h").out == succeed("--help").out == succeed().out


def test_version_with_v_prints_libraries_and_devices() -> None:
    from advae.registry import library_versions

    lines = succeed("--version", "-v").out.splitlines()
    assert lines[0] == succeed("--version").out.strip()
    assert lines[1:-1] == [f"{name} {version}" for name, version in library_versions().items() if name != "advae"]
    assert lines[-1].startswith(("GPU: ", "CPU only: "))
    assert succeed("-v", "--version").out.splitlines() == lines
    assert succeed("--version", "-v", "--json").json["devices"] == lines[-1:]


def test_options_before_the_command_are_for_the_version_only() -> None:
    for arguments in (("-v",), ("-v", "registry", "ls"), ("--json", "data", "ls")):
        outcome = call(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert "follow the subcommand" in outcome.err


def test_help_imports_no_room_but_the_command_line() -> None:
    """What keeps `advae --help` at the cost of importing Typer: a stand-in for each command that is not named."""
    script = "import sys; from advae.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    rooms = {name for name in run.stderr.split() if name.startswith("advae.") and not name.startswith("advae.cli")}
    assert rooms == {"advae.errors", "advae.settings"}


def test_a_tilde_is_the_home_wherever_a_path_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    seen = 0
    for command in list_commands(get_command(build_app())).values():
        context = command.make_context("it", [], resilient_parsing=True)
        for parameter in command.get_params(context):
            if parameter.type_descriptor.annotation is Path:
                value = parameter.get_runtime_param().coerce("~/x", param=parameter, ctx=context)
                assert value == tmp_path / "x", (command.name, parameter.name)
                seen += 1
    assert seen > 30


def test_a_tilde_in_a_variable_and_in_the_name_of_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ADVAE_HOME", "~/registry")
    monkeypatch.setenv("ADVAE_DATA_DIR", "~/data")
    monkeypatch.chdir(tmp_path)
    assert f"in {tmp_path}/registry;" in one_line(call("registry", "show", "x"), 3)
    assert f"{tmp_path}/data does not exist" in one_line(call("data", "verify", "mnist"), 6)
    plan = tmp_path / "plan.toml"
    for arguments in (
        ("data", "verify", "~/own.npz"),
        ("train-ae", "--type", "blur", "--dataset", "~/own.npz"),
        ("registry", "ls", "--dataset", "~/own.npz"),
        ("reproduce", "--dataset", "~/own.npz"),
        ("reproduce", "--plan", plan),
    ):
        plan.write_text(PAPER.read_text("utf-8").replace('"digits"', '"~/own.npz"'), encoding="utf-8")
        assert f"{tmp_path}/own.npz" in one_line(call(*arguments), 6)
    assert list(tmp_path.iterdir()) == [plan]


# ---------------------------------------------------------------- bad input

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
    (["attack", "--method", "fgsm", "--eps", "0.1", "--clf", "{nn}", "--threat", "oblivious"], 2, "knows only noise"),
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


def one_line(outcome: Outcome, code: int) -> str:
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    return outcome.err


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


# ---------------------------------------------------------------- whole processes


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # Empty means unset: streams are tried as buffered as users have them.
    return {**os.environ, "PATH": path, "ADVAE_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": ""}


def test_the_four_steps_in_a_shell_at_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    """stdout is data only, whatever people see meanwhile; TensorFlow's chatter is not among that."""
    script = """
        set -euo pipefail
        AE=$(advae train-ae --type sparse --epochs 1)
        CLF=$(advae train-clf --model lr --max-iter 5 --ae "$AE")
        echo "$AE $CLF"
        advae attack --method fgsm --eps 0.3 --limit 20 --clf "$CLF" --json | python -m json.tool
        advae report
    """
    with open_terminal(80) as terminal:
        run = subprocess.run(
            ["bash", "-c", script],
            env=environment | {"TERM": "xterm"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=terminal.descriptor,
            text=True,
            timeout=280,
        )
    assert run.returncode == 0, terminal.screen
    first, *middle, last = run.stdout.strip().split("\n")
    ae, clf = first.split()
    assert ae.startswith("ae-")
    document = json.loads("\n".join(middle))
    assert (document["classifier"], document["autoencoder"]) == (clf, ae)
    assert last == "advae-report/report.html"
    assert (tmp_path / last).is_file()
    assert "train sparse" in terminal.screen
    for chatter in ("cuda", "oneDNN", "absl", "XLA", "WARNING"):
        assert chatter not in terminal.screen


@pytest.mark.timed
def test_an_interrupted_training_is_exit_130_and_stores_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    import time

    process = subprocess.Popen(
        ["advae", "train-ae", "--type", "vanilla", "--epochs", "100000", "-v"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    while "epoch 1/" not in process.stderr.readline():
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert out == ""
    assert err.strip().split("\n")[-1] == "advae: interrupted; no partial result was stored"
    assert not list((tmp_path / "home" / "entries").iterdir())
    assert not list((tmp_path / "home" / "tmp").iterdir())


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("ignored", [False, True])
def test_the_end_of_a_terminal_is_an_interrupt_and_nohup_is_heeded(
    name: str, ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    if name == "SIGINT" and not ignored:
        signal.signal(number, signal.default_int_handler)
    monkeypatch.setattr("advae.registry.Registry.list_summaries", lambda *_: os.kill(os.getpid(), number) or ([], {}))
    try:
        outcome = call("registry", "ls", "-q")
    finally:
        signal.signal(number, before)
    assert (outcome.code, outcome.out) == (0 if ignored else 130, "")
    assert outcome.err == ("" if ignored else "advae: interrupted; no partial result was stored\n")


NO_FOLDER = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/dev/null/none"]
from advae.cli import main
sys.exit(max(main(line.split()) for line in sys.argv[1:]))
"""


def test_no_folder_for_temporary_files_need_be_writable(trained: Trained, tmp_path: Path) -> None:
    """TensorFlow writes the source of what it traces, and Keras and joblib what they export: into the home then."""
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    lines = (
        f"train-clf --model lr --C 2 -q --home {home}",
        f"registry export {trained.nn} {tmp_path}/x.keras --format keras -q --home {home}",
        f"train-clf --model lr --C 3 --tag {trained.lr[:7]} --home {home}",
    )
    run = subprocess.run(
        [sys.executable, "-c", NO_FOLDER, *lines], env=os.environ, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith(f"advae: bad tag '{trained.lr[:7]}': it is the beginning of an id")
    assert run.stdout.splitlines()[1:] == [f"{tmp_path}/x.keras"]
    assert list((home / "tmp").iterdir()) == []


STREAMS = {
    "reader gone": ("set -o pipefail; advae registry show {nn} | true", 0, ""),
    "reader of a list gone": ("set -o pipefail; advae registry ls -q | head -c 3 >/dev/null", 0, ""),
    "reader of a help text gone": ("set -o pipefail; advae registry | true", 0, ""),
    "reader of a help in panels gone": ("set -o pipefail; advae attack -h | head -c 3 >/dev/null", 0, ""),
    "reader of what people are told gone": (
        "set -o pipefail; advae attack --clf {nn} --method noise --eps 0.1 --limit 9 2>&1 >/dev/null | true",
        0,
        "",
    ),
    "stdout closed": ("advae registry ls -q >&-", 5, "cannot write to standard output: it is closed"),
    "stdout closed, help": ("advae --help >&-", 5, "cannot write to standard output: it is closed"),
    "stdout closed, nothing to write": ("advae registry ls -q --kind run --tag none >&-", 0, ""),
    "stderr closed": ("advae registry show nope 2>&-", 3, ""),
    "all closed": ("advae registry show {nn} <&- >&- 2>&-", 5, ""),
    "stdout on a full disk": ("advae registry show {nn} >/dev/full", 5, "cannot write to standard output"),
    "stderr on a full disk": ("advae registry show nope 2>/dev/full", 3, ""),
}


@pytest.mark.parametrize("case", STREAMS)
def test_streams_that_are_gone_or_full(case: str, environment: dict[str, str], trained: Trained) -> None:
    command, code, message = STREAMS[case]
    home = environment | {"ADVAE_HOME": str(trained.home)}
    run = subprocess.run(
        ["bash", "-c", command.format(nn=trained.nn)], env=home, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == code, run.stderr
    assert run.stdout == ""
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert "defect" not in run.stderr


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


def test_no_arguments_is_a_call_for_help() -> None:
    for command in ((), ("registry",), ("data",)):
        assert "Usage: advae" in succeed(*command).out
