"""FGSM and BIM are as strong as foolbox's and ART's: the comparison of tests/benchmarks/peers, on digits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.attacks.hop_skip_jump import hop_skip_jump
from advae.records import Dataset
from advae.registry import Registry
from advae.workflows import Workspace
from tests.attacks.models import make_goal, run_attack
from tests.benchmarks.peer_attacks import Subject, import_peers
from tests.benchmarks.peers import (
    EPS,
    SHARED_ATTACKS,
    Bound,
    compare_shared_attacks,
    find_bounds,
    load_subject,
    measure_longest,
)
from tests.conftest import Trained

DEFENCES = ("none", "vanilla")


@pytest.fixture(scope="module")
def workspace(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    home = tmp_path_factory.mktemp("peers") / "home"
    shutil.copytree(trained.home, home)
    return Workspace(Registry(home))


@pytest.fixture(scope="module")
def subjects(workspace: Workspace, trained: Trained, digits: Dataset) -> dict[str, Subject]:
    import_peers()
    ids = dict(zip(DEFENCES, (trained.nn, trained.nn_behind), strict=True))
    return {name: load_subject(workspace, workspace.registry.manifest(id_), name, digits) for name, id_ in ids.items()}


@pytest.fixture(scope="module")
def bounds(workspace: Workspace, subjects: dict[str, Subject]) -> dict[str, list[Bound]]:
    return {name: find_bounds(compare_shared_attacks(workspace, subject)) for name, subject in subjects.items()}


@pytest.mark.parametrize("method", SHARED_ATTACKS)
@pytest.mark.parametrize("defence", DEFENCES)
def test_with_cross_entropy_we_equal_the_peers(defence: str, method: str, bounds: dict[str, list[Bound]]) -> None:
    same = [bound for bound in bounds[defence] if bound.rule == "same" and bound.ours.attack == method]
    assert {(bound.peer.library, bound.ours.eps) for bound in same} == {
        (library, eps) for library in ("foolbox", "art") for eps in EPS["linf"]
    }
    assert [str(bound) for bound in same if not bound.holds] == []


@pytest.mark.parametrize("method", SHARED_ATTACKS)
@pytest.mark.parametrize("defence", DEFENCES)
def test_with_the_default_loss_no_peer_is_stronger(defence: str, method: str, bounds: dict[str, list[Bound]]) -> None:
    above = [bound for bound in bounds[defence] if bound.rule == "never above" and bound.ours.attack == method]
    assert len(above) == 2 * len(EPS["linf"])
    assert [str(bound) for bound in above if not bound.holds] == []


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_hop_skip_jump_is_as_near_as_arts_at_equal_queries(norm: str, digits: Dataset) -> None:
    """On logistic regression of digits; both begin at random images, so the medians are compared."""
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=500).fit(digits.x_train, digits.y_train)
    weights, bias = fitted.coef_.T.astype("f4"), fitted.intercept_.astype("f4")
    x = digits.x_test[fitted.predict(digits.x_test) == digits.y_test][:20]
    y = fitted.predict(x)
    asked = 0

    def answer(images: Any) -> Any:
        nonlocal asked
        asked += len(images)
        return images @ weights + bias

    estimator = BlackBoxClassifier(answer, (x.shape[1],), 10, clip_values=(0.0, 1.0))
    order = {"linf": "inf", "l2": 2}[norm]
    theirs = HopSkipJump(estimator, norm=order, max_iter=6, verbose=False).generate(x.copy(), np.eye(10)[y])
    goal = make_goal(lambda images: images @ weights + bias, y, norm=norm)
    ours = run_attack(hop_skip_jump, goal, x, 0.0, asked // len(x))

    def measure(moved: Any) -> float:
        assert (answer(moved).argmax(axis=1) != y).mean() > 0.9
        return float(np.median(np.linalg.norm(moved - x, np.inf if norm == "linf" else 2, axis=1)))

    found = measure(ours), measure(theirs)
    assert found[0] <= 1.2 * found[1], found


@pytest.mark.parametrize(
    ("norm", "pixel", "inside"),
    [("linf", 0.1, True), ("linf", 0.10001, False), ("l2", 0.1, True), ("l2", 0.10001, False), ("linf", -0.1, False)],
)
def test_images_outside_the_budget_or_the_range_are_not_scored(norm: str, pixel: float, inside: bool) -> None:
    black = np.zeros((2, 3, 3, 1), dtype=np.float32)
    moved = black.copy()
    moved[1, 2, 0, 0] = pixel
    subject = Subject("tiny", "none", "", None, black, np.zeros(2, dtype=np.int64))
    if inside:
        assert measure_longest(subject, moved, norm, 0.1) == pytest.approx(pixel)
    else:
        with pytest.raises(ValueError, match="pixels from"):
            measure_longest(subject, moved, norm, 0.1)


def test_the_peers_are_imported_without_messages_and_change_nothing(tmp_path: Path) -> None:
    """Not a word, no file in the user's home, no random state, filter or handler changed."""
    code = """
import logging, os, random, warnings
import numpy as np
from advae.backend import start_tensorflow
from tests.benchmarks.peer_attacks import import_peers

def look():
    names = (None, "tests", "tensorflow", "absl")
    handlers = [(logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names]
    return handlers, warnings.filters[:], dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()

start_tensorflow()
before = look()
import_peers()
assert look() == before
"""
    home = tmp_path / "home"
    environment = {"HOME": str(home), "PATH": "", "PYTHONPATH": ":".join(sys.path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (home / ".art").exists()
