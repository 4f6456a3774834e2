"""``--classes``: a dataset restricted to some classes from training to report; later commands restrict it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from advae.datasets.load import load_dataset
from advae.records import DatasetRef
from advae.registry import Registry
from tests.calls import call, succeed

LR = ("train-clf", "--model", "lr")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a purifier and a logistic regression of the digits 3 and 7."""
    home = tmp_path_factory.mktemp("restricted")
    succeed(*LR, "--classes", "7,3", "--home", home, "--tag", "mine")
    succeed("train-ae", "--type", "pca", "--classes", "3,7", "--home", home, "--tag", "front")
    succeed(*LR, "--ae", "front", "--home", home, "--tag", "behind")
    return home


def test_the_same_classes_are_the_same_entry(home: Path) -> None:
    ours = succeed(*LR, "--classes", "3,7", "--home", home, "--json").json
    assert ours["cached"]
    assert ours["recipe"]["dataset"]["classes"] == ["3", "7"]
    assert succeed(*LR, "--dataset", "digits", "--ae", "front", "--home", home, "--json").json["cached"]
    assert succeed(*LR, "--classes", "7,3", "--ae", "front", "--home", home, "--json").json["cached"]
    listed = succeed("registry", "ls", "--dataset", "digits", "--home", home, "--json").json
    assert {entry["dataset"] for entry in listed} == {"digits, classes 3 and 7"}


@pytest.mark.parametrize("classifier", ["mine", "behind"])
def test_an_attack_takes_the_classifiers_classes(home: Path, classifier: str) -> None:
    found = succeed("attack", "--method", "fgsm", "--clf", classifier, "--eps", "0.1", "--home", home, "--json").json
    n = int(np.isin(load_dataset("digits").y_test, (3, 7)).sum())
    assert (found["dataset"], found["n"], len(found["class_counts"])) == ("digits, classes 3 and 7", n, 2)
    named = ("--dataset", "digits", "--home", home)
    assert succeed("attack", "--method", "fgsm", "--clf", classifier, "--eps", "0.1", *named).id == found["id"]
    other = call(
        "attack", "--method", "fgsm", "--clf", classifier, "--eps", "0.1", "--dataset", "mnist", "--home", home
    )
    assert (other.code, "was made from dataset 'digits, classes 3 and 7', not 'mnist'" in other.err) == (2, True)


def test_without_a_classifier_the_newest_of_the_dataset_is_attacked(home: Path) -> None:
    last = next(iter(Registry(home).entries("clf"))).id
    options = ("--method", "fgsm", "--eps", "0.1", "--home", home, "--json")
    assert succeed("attack", "--dataset", "digits", *options).json["classifier"] == last


def test_a_target_is_a_new_label(home: Path) -> None:
    attack = ("attack", "--method", "one-target", "--clf", "mine", "--eps", "0.1", "--home", home)
    assert succeed(*attack).id == succeed(*attack, "--target", "1").id
    refused = call(*attack, "--target", "7")
    assert (refused.code, refused.err) == (
        2,
        "advae: bad --target 7: the classes of this dataset are 0 to 1, numbered anew: 0 is '3', 1 is '7'\n",
    )


def test_the_rest_works_on_a_part(home: Path, tmp_path: Path) -> None:
    place = ("--home", home)
    proof = succeed("certify", "--clf", "mine", "--eps", "0.01", *place, "--json").json
    assert proof["dataset"] == "digits, classes 3 and 7"
    succeed("attack", "--method", "fgsm", "--clf", "behind", "--eps", "0.1", "--threat", "oblivious", *place)
    np.save(tmp_path / "x.npy", load_dataset("digits").x_test[:2].reshape(2, 8, 8))
    predicted = succeed("predict", "--clf", "behind", tmp_path / "x.npy", *place).json
    assert (predicted["classes"], len(predicted["predictions"][0]["probabilities"])) == (["3", "7"], 2)
    out = tmp_path / "report"
    succeed("report", "--dataset", "digits", "--out", out, "--format", "md,json", *place)
    report = json.loads((out / "report.json").read_text())
    assert {number["dataset"] for number in report["numbers"]} == {"digits, classes 3 and 7"}
    commands = [shlex.split(one)[1:] for one in report["commands"]]
    trained = [one for one in commands if one[0] in ("train-clf", "train-ae")]
    assert all(one[one.index("--classes") + 1] == "3,7" for one in trained)
    assert all(succeed(*one, *place, "--json").json["cached"] for one in trained)
    bundle = tmp_path / "bundle.tar"
    succeed("registry", "export", "behind", bundle, *place)
    succeed("registry", "import", bundle, "--home", tmp_path / "other")
    succeed("registry", "verify", "--home", tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--classes", "3"), "'3' is one class"),
        (("--classes", "3,3"), "class '3' is given twice"),
        (("--classes", "3,,7"), "two or more names or numbers of classes"),
        (("--classes", "3,12"), "unknown class '12'"),
        (("--classes", "3,8", "--ae", "front"), "was made with --classes 3,7; leave --classes out"),
    ],
)
def test_other_classes_are_refused_in_a_line(home: Path, options: tuple[str, ...], error: str) -> None:
    refused = call(*LR, *options, "--home", home)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert error in refused.err


def test_a_whole_purifier_takes_no_classes(home: Path) -> None:
    succeed("train-ae", "--type", "binary", "--home", home, "--tag", "whole")
    refused = call(*LR, "--classes", "3,7", "--ae", "whole", "--home", home)
    assert (refused.code, "was made without --classes; leave --classes out" in refused.err) == (2, True)


def test_own_images_are_restricted_again(tmp_path: Path) -> None:
    digits = load_dataset("digits", classes=(1, 3, 7))
    own, place = tmp_path / "own.npz", ("--home", tmp_path / "home")
    arrays = {"x_train": digits.x_train.reshape(-1, 8, 8), "x_test": digits.x_test.reshape(-1, 8, 8)}
    np.savez(own, **arrays, y_train=digits.y_train, y_test=digits.y_test)
    clf = succeed(*LR, "--dataset", own, "--classes", "0,2", *place).id
    attack = ("attack", "--method", "fgsm", "--clf", clf, *place, "--eps")
    succeed(*attack, "0.1")
    found = succeed(*attack, "0.2", "--dataset", own, "--json").json
    assert found["dataset"] == "own.npz, classes 0 and 2"
    assert succeed("registry", "ls", "--dataset", own, *place).out.split()[-1] == clf
    np.savez(own, **arrays, y_train=np.minimum(digits.y_train, 1), y_test=np.minimum(digits.y_test, 1))
    gone = call(*attack, "0.3")
    assert (gone.code, gone.err.count("\n")) == (6, 1)
    assert "no longer has the classes" in gone.err


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"kept": (3, 12)}, "keeps classes that digits does not have"),
        ({"kept": (3, 8)}, "no longer contains the images"),
    ],
)
def test_a_forged_recipe_is_refused(home: Path, tmp_path: Path, changes: dict[str, object], error: str) -> None:
    registry = Registry(tmp_path / "home")
    mine = Registry(home).resolve("mine", "clf")
    forged = mine.recipe.model_copy(update={"dataset": mine.recipe.dataset.model_copy(update=changes)})
    manifest = registry.publish(forged, mine.metrics, {"weights.npz": Registry(home).read_arrays(mine, "weights.npz")})
    refused = call("attack", "--method", "fgsm", "--eps", "0.1", "--clf", manifest.id, "--home", tmp_path / "home")
    assert (refused.code, refused.err.count("\n")) == (4 if "keeps" in error else 6, 1), refused.err
    assert error in refused.err


def test_a_recipe_that_keeps_labels_in_disorder_is_corrupt() -> None:
    ref = load_dataset("digits", classes=(3, 7)).ref.model_dump(mode="json")
    for changes in ({"kept": [7, 3]}, {"kept": [3, 3]}, {"kept": [3]}, {"kept": [3, 2**20]}, {"whole": None}):
        with pytest.raises(ValueError, match="validation error"):
            DatasetRef.model_validate(ref | changes)


def test_completion_offers_the_classes_of_the_dataset() -> None:
    from types import SimpleNamespace

    from advae.cli.options import complete_classes

    fashion: object = SimpleNamespace(params={"dataset": "fashion-mnist"})
    assert ("Trouser,Bag", "") in complete_classes(fashion, "Trouser,")
    own: object = SimpleNamespace(params={"dataset": "mine.npz"})
    assert complete_classes(own, "") == []
