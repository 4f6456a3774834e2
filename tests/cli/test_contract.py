"""The command-line contract: data on stdout, ids and JSON, the same command twice, version and help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from advae.cli.app import build_app
from advae.experiments import PAPER
from tests.calls import call, list_commands, succeed
from tests.cli.registry_calls import one_line
from tests.conftest import Trained

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


def test_no_arguments_is_a_call_for_help() -> None:
    for command in ((), ("registry",), ("data",)):
        assert "Usage: advae" in succeed(*command).out
