"""Models that give scores only: their labels, and what happens when their process fails."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from advae.errors import CorruptError, KilledError, UsageError, take_failure
from advae.models.added import score_process
from advae.models.added.score_process import ScoreProcess, measure_disagreement, receive, send, wrap_numpy
from advae.models.added.score_worker import OPENERS
from tests.models.added.skops_files import PIXELS, fit, make_images, save

MEMBERS = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=2, random_state=0))]

MODELS = [
    SVC(),
    SVC(decision_function_shape="ovo", kernel="poly"),
    NuSVC(),
    DecisionTreeClassifier(random_state=0),
    ensemble.RandomForestClassifier(5, n_jobs=2, random_state=0),
    ensemble.ExtraTreesClassifier(5, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=3, random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
    ensemble.AdaBoostClassifier(n_estimators=3, random_state=0),
    ensemble.BaggingClassifier(n_estimators=3, max_features=0.5, random_state=0),
    ensemble.VotingClassifier(MEMBERS, voting="soft"),
    ensemble.StackingClassifier(MEMBERS, cv=2),
    KNeighborsClassifier(),
    KNeighborsClassifier(algorithm="kd_tree", weights="distance"),
    KNeighborsClassifier(algorithm="ball_tree", p=1),
    GaussianNB(),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2),
    OneVsRestClassifier(SVC()),
    OneVsOneClassifier(LogisticRegression()),
    make_pipeline(StandardScaler(), SVC()),
    make_pipeline(QuantileTransformer(n_quantiles=5), LogisticRegression()),
]

IN_THREADS = [
    ensemble.RandomForestClassifier(5, n_jobs=2, random_state=0),
    ensemble.HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
    KNeighborsClassifier(),
]
"""Models that would compute in several threads."""


def open_process(content: bytes, trusted: tuple[str, ...] = ()) -> ScoreProcess:
    return ScoreProcess("sklearn-scores", content, {"trusted": list(trusted)})


@pytest.fixture(scope="module")
def images() -> Any:
    """Images between and around those that the models were fitted on."""
    x = make_images()[0]
    return np.vstack([x, x[::-1] * 0.5 + x * 0.5, np.random.default_rng(0).random((50, PIXELS))]).astype(np.float32)


@pytest.fixture(scope="module")
def shared() -> Iterator[ScoreProcess]:
    """A process for the tests that only ask it."""
    process = open_process(save(fit(SVC())))
    yield process
    process.close()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model)[:60])
def test_the_largest_score_is_the_models_own_label(model: Any, images: Any) -> None:
    """By the function that the process calls, in this process."""
    fit(model)
    found, ask_opened = OPENERS["sklearn-scores"](save(model), {"trusted": []})
    scores, disagreed = ask_opened(images)
    scores = scores.astype(np.float32)
    own = model.predict(images.astype(np.float64))
    assert (np.array(found.classes)[scores.argmax(axis=1)] == own).all()
    assert (scores == ask_opened(images)[0].astype(np.float32)).all()
    assert (found.takes, found.gives) == (PIXELS, 3)
    ask = getattr(model, "predict_proba", None) or model.decision_function
    if getattr(model, "decision_function_shape", "ovr") == "ovr":
        largest = np.array(found.classes)[ask(images.astype(np.float64)).argmax(axis=1)]
        assert (disagreed == (largest != own)).all()


@pytest.mark.parametrize("model", IN_THREADS, ids=lambda model: str(model)[:60])
def test_a_process_answers_the_same_at_each_question(model: Any, images: Any) -> None:
    """Also the models that sum in several threads."""
    fit(model)
    process = open_process(save(model))
    scores = process.scores(images)
    found = process.describe()
    own = model.predict(images.astype(np.float64))
    assert (np.array(found.classes)[scores.argmax(axis=1)] == own).all()
    assert (scores == process.scores(images)).all()
    assert (found.takes, found.gives) == (PIXELS, 3)
    largest = np.array(found.classes)[model.predict_proba(images.astype(np.float64)).argmax(axis=1)]
    assert measure_disagreement(process, images) == pytest.approx((largest != own).mean())
    process.close()


@pytest.mark.parametrize(
    "model", [SVC(), KNeighborsClassifier(), ensemble.GradientBoostingClassifier(n_estimators=2)], ids=str
)
def test_two_classes_have_two_scores(model: Any) -> None:
    x = make_images(2)[0].astype(np.float32)
    found, ask_opened = OPENERS["sklearn-scores"](save(fit(model, 2)), {"trusted": []})
    scores = ask_opened(x)[0].astype(np.float32)
    assert found.gives == 2
    assert scores.shape == (len(x), 2)
    assert (scores.argmax(axis=1) == model.predict(x.astype(np.float64))).all()


def test_a_process_is_a_function_of_tensors_in_a_graph(shared: ScoreProcess, images: Any) -> None:
    import tensorflow as tf

    process = shared
    function = wrap_numpy(process.scores, 3)
    traced = tf.function(function, [tf.TensorSpec((None, PIXELS), tf.float32)], autograph=False)
    found = traced(tf.constant(images))
    assert found.shape == (len(images), 3)
    assert (found.numpy() == process.scores(images)).all()
    process.close()
    assert (traced(tf.constant(images)).numpy() == found.numpy()).all()


def test_an_error_inside_a_graph_is_the_error_of_the_command() -> None:
    """TensorFlow raises one of its own; the line of ours is not lost."""
    import tensorflow as tf

    def fail(x: Any) -> Any:
        raise CorruptError("the model cannot be asked")

    traced = tf.function(wrap_numpy(fail, 3), [tf.TensorSpec((None, PIXELS), tf.float32)], autograph=False)
    with pytest.raises(tf.errors.OpError):
        traced(tf.zeros((2, PIXELS)))
    assert str(take_failure()) == "the model cannot be asked"
    assert take_failure() is None


def test_a_process_starts_at_the_first_question_and_ends_with_its_owner() -> None:
    process = open_process(save(fit(SVC())))
    assert process._process is None
    process.describe()
    child = process._process
    assert child is not None
    assert child.poll() is None
    process.describe()
    assert process._process is child
    del process
    assert child.poll() is not None


def test_many_rows_are_asked_in_turns(monkeypatch: pytest.MonkeyPatch, shared: ScoreProcess, images: Any) -> None:
    process = shared
    whole = process.scores(images)
    monkeypatch.setattr(score_process, "MAX_ROWS", 7)
    assert (process.scores(images) == whole).all()
    assert process.scores(images[:0]).shape == (0, 3)
    assert measure_disagreement(process, images[:0]) == 0.0
    with pytest.raises(UsageError, match="takes images of 6 pixels"):
        process.scores(images[:, :3])


def test_a_killed_process_is_one_line_and_the_next_question_starts_another(images: Any) -> None:
    process = open_process(save(fit(SVC())))
    for number, error in ((signal.SIGKILL, KilledError), (signal.SIGSEGV, CorruptError)):
        assert len(process.scores(images)) == len(images)
        child = process._process
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        killing = threading.Timer(
            0.3, lambda one, sent: (os.kill(one, sent), os.kill(one, signal.SIGCONT)), (child.pid, number)
        )
        killing.start()
        with pytest.raises(error, match=r"^the process of the model (was killed|crashed \(SIGSEGV\))") as caught:
            process.scores(images)
        assert "\n" not in str(caught.value)
    assert len(process.scores(images)) == len(images)
    process.close()


def test_a_process_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch, images: Any) -> None:
    process = open_process(save(fit(SVC())))
    process.describe()
    child = process._process
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    monkeypatch.setattr(score_process, "ANSWERING_SECONDS", 0.5)
    with pytest.raises(KilledError, match=r"did not answer within 0 seconds|did not answer within 1 seconds"):
        process.scores(images)


def test_an_unknown_format_and_a_damaged_file_are_one_line() -> None:
    for name, content in (("nothing", b""), ("sklearn-scores", b"PK"), ("sklearn-scores", save(fit(SVC()))[:-9])):
        with pytest.raises(CorruptError) as caught:
            ScoreProcess(name, content, {"trusted": []}).describe()
        assert "\n" not in str(caught.value)


def test_frames_are_checked_before_memory_is_taken() -> None:
    written = io.BytesIO()
    send(written, {"a": 1}, b"xyz")
    assert receive(io.BytesIO(written.getvalue()), 3) == ({"a": 1}, b"xyz")
    with pytest.raises(ValueError, match="no frame"):
        receive(io.BytesIO(written.getvalue()), 2)
    with pytest.raises(ValueError, match="no frame"):
        receive(io.BytesIO(b"adv2" + written.getvalue()[4:]), 9)
    with pytest.raises(EOFError):
        receive(io.BytesIO(written.getvalue()[:-1]), 9)


def test_what_libraries_print_does_not_reach_the_answers() -> None:
    code = (
        "import os, sys\n"
        "from advae.models.added import score_worker\n"
        "pipes = score_worker._take_pipes()\n"
        "os.write(1, b'noise'); print('noise'); os.write(2, b'noise')\n"
        "pipes[1].write(b'answer'); pipes[1].flush()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"answer", b"")
