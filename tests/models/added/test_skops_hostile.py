"""Hostile .skops files: nothing is executed, no memory is taken for what a file merely claims, one line says why."""

from __future__ import annotations

import io
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from advae.errors import CorruptError
from advae.models.added.score_process import ScoreProcess
from advae.models.added.skops_reader import check_skops, read_skops
from tests.models.added.skops_changes import (
    alter,
    at,
    break_sparse,
    call_node,
    claim,
    contain_itself,
    drop_key_types,
    give_outputs,
    move_random_state,
    name_twice,
    narrow_stages,
    nest,
    put,
    set_value,
    store_objects,
    swap_counts,
)
from tests.models.added.skops_files import (
    Members,
    Nodes,
    attributes,
    change_array,
    edit,
    find_nodes,
    fit,
    json_node,
    make_images,
    save,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CANARY = "skops_canary"
"""A module that writes a file where it is imported."""


@cache
def files() -> dict[str, bytes]:
    """Return a small file of each kind of model."""
    return {
        "linear": save(fit(LogisticRegression())),
        "pipeline": save(fit(make_pipeline(FunctionTransformer(), LogisticRegression()))),
        "tree": save(fit(DecisionTreeClassifier(random_state=0))),
        "forest": save(fit(ensemble.RandomForestClassifier(2, random_state=0))),
        "boosting": save(fit(ensemble.GradientBoostingClassifier(n_estimators=2, random_state=0))),
        "hist": save(fit(ensemble.HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2))),
        "svc": save(fit(SVC())),
        "neighbors": save(fit(KNeighborsClassifier())),
        "kd": save(fit(KNeighborsClassifier(algorithm="kd_tree"))),
        "perceptron": save(fit(MLPClassifier((4,), max_iter=3, random_state=0))),
        "sparse": save(fit(LogisticRegression()).sparsify()),
    }


SYSTEM = call_node("FunctionNode", CANARY, "run")
EMPTY = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}

ROWS: list[tuple[str, str, Callable[[Nodes, Members], Any], str]] = [
    ("function", "linear", put("C", SYSTEM), r"not known to be safe: skops_canary\.run.*--trust skops_canary\.run"),
    ("type", "linear", put("C", call_node("TypeNode", CANARY, "run")), r"skops_canary\.run"),
    ("numpy's function", "linear", put("C", call_node("FunctionNode", "numpy", "save")), r"numpy\.save"),
    ("object", "linear", put("C", call_node("ObjectNode", CANARY, "Run", content=None)), r"skops_canary\.Run"),
    (
        "call",
        "linear",
        put("C", call_node("ConstructorFromReduceNode", "os", "system", content=EMPTY)),
        "'ConstructorFromReduceNode', which is never opened",
    ),
    (
        "attrgetter",
        "linear",
        put("C", call_node("OperatorFuncNode", "operator", "attrgetter", attrs=EMPTY)),
        "'OperatorFuncNode', which is never opened",
    ),
    ("method", "linear", put("C", call_node("MethodNode", "os", "x", content={})), "'MethodNode', which is never"),
    ("partial", "linear", put("C", call_node("PartialNode", "functools", "partial", content={})), "'PartialNode'"),
    ("cached", "linear", put("C", call_node("CachedNode", "builtins", "x")), "'CachedNode'"),
    ("list type", "linear", put("C", call_node("ListNode", CANARY, "run", content=[])), "ListNode of type"),
    (
        "array type",
        "linear",
        put("C", call_node("NdArrayNode", CANARY, "run", type="numpy", file="x")),
        "names an array",
    ),
    ("loss type", "linear", put("C", call_node("LossNode", CANARY, "run", content={})), "which is no loss"),
    ("dotted name", "linear", put("C", call_node("ObjectNode", CANARY, "a.b", content=None)), "no name in Python"),
    ("pickle", "linear", store_objects, "expected numbers"),
    ("claim", "linear", claim((1 << 40, 8)), "claims 1099511627776 x 8"),
    ("depth", "linear", nest, "more than 100 nodes"),
    ("itself", "linear", contain_itself, "contains itself"),
    ("twice", "linear", name_twice, "names it twice"),
    ("keys", "linear", drop_key_types, "keys do not fit"),
    ("hidden name", "linear", put("__class__", json_node(1)), "keys do not fit"),
    ("not finite", "linear", alter("coef_", lambda coef: coef * np.nan), "not finite numbers"),
    ("another width", "linear", set_value("n_features_in_", 7), r"expected \(3, 7\)"),
    ("several classes", "linear", alter("classes_", lambda classes: classes[:1]), "fewer than two classes"),
    ("protocol", "linear", lambda schema, members: schema.update(protocol=0), "protocol '0', expected 2"),
    ("no member", "linear", lambda schema, members: members.clear(), "names an array that it does not have"),
    ("sparse index", "sparse", break_sparse, "indices are out of range"),
    ("child", "tree", alter("nodes", at("left_child", 0, 10**6), "Tree"), "child that is out of range"),
    ("cycle", "tree", alter("nodes", at("left_child", 1, 0), "Tree"), "out of range|values do not fit"),
    ("feature", "tree", alter("nodes", at("feature", 0, 10**6), "Tree"), "feature that is out of range"),
    ("negative", "forest", alter("nodes", at("right_child", 0, -7), "Tree"), "child that is out of range"),
    ("node count", "tree", swap_counts, "another number of nodes"),
    ("outputs", "tree", give_outputs, "several outputs"),
    ("values", "tree", alter("values", lambda values: values[:, :, :1], "Tree"), "values do not fit"),
    ("features of a tree", "tree", set_value("n_features_in_", 3), "another number of features"),
    ("first scores", "boosting", narrow_stages, "begins with another number of classes"),
    ("random state", "boosting", move_random_state, "random state is out of range"),
    ("hist child", "hist", alter("nodes", at("left", 0, 0), "TreePredictor"), "child that is out of range"),
    ("hist feature", "hist", alter("nodes", at("feature_idx", 0, 99), "TreePredictor"), "feature that is out of range"),
    ("hist category", "hist", alter("nodes", at("is_categorical", 0, 1), "TreePredictor"), "splits categories"),
    ("support", "svc", alter("_n_support", lambda counts: counts + 1), "do not fit their numbers"),
    ("coefficients", "svc", alter("_dual_coef_", lambda coef: coef[:1]), "do not fit the support vectors"),
    ("vectors", "svc", alter("support_vectors_", lambda vectors: vectors[:, :2]), "do not fit their numbers"),
    ("kernel", "svc", set_value("kernel", "precomputed"), "one of the kernels"),
    ("probability", "svc", alter("_probA", lambda found: np.ones(1)), "_probA does not fit"),
    ("labels", "neighbors", alter("_y", lambda y: y + 10**6), "label is out of range"),
    ("many", "neighbors", set_value("n_neighbors", 10**6), "more neighbours than it has"),
    ("metric", "neighbors", set_value("metric", "pyfunc"), "one of the metrics"),
    ("points", "kd", alter("_fit_X", lambda points: points[:, :2]), "do not fit the images"),
    ("layers", "perceptron", set_value("coefs_", None), "damaged"),
]


def read(content: bytes, tmp_path: Path) -> None:
    read_skops(content, tmp_path / "model.skops")


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the canary writes where it is executed."""
    log = tmp_path / "executed"
    (tmp_path / f"{CANARY}.py").write_text(f"open({str(log)!r}, 'w').close()\ndef run(*args): pass\nRun = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    return log


@pytest.mark.parametrize(("name", "kind", "change", "reason"), ROWS, ids=[row[0] for row in ROWS])
def test_a_hostile_file_is_one_line(
    name: str, kind: str, change: Any, reason: str, tmp_path: Path, canary: Path
) -> None:
    content = edit(files()[kind], change)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError, match=reason) as caught:
            read(content, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert peak < 30e6
    assert not canary.exists()
    assert CANARY not in sys.modules


def test_a_file_that_is_not_changed_is_read(tmp_path: Path) -> None:
    """The corpus would prove nothing if rewriting a file were enough to have it refused."""
    for kind in ("linear", "sparse", "perceptron", "pipeline"):
        read(edit(files()[kind], lambda schema, members: None), tmp_path)


def test_an_archive_is_looked_at_first(tmp_path: Path) -> None:
    content = files()["linear"]

    def fill(schema: Nodes, members: Members) -> None:
        members["zeros.npy"] = bytes(1 << 28)

    with pytest.raises(CorruptError, match="unpacks to"):
        read(edit(content, fill, zipfile.ZIP_DEFLATED), tmp_path)
    with pytest.raises(CorruptError, match="packed unusually"):
        read(edit(content, lambda schema, members: None, zipfile.ZIP_BZIP2), tmp_path)
    with pytest.raises(CorruptError, match="not an archive"):
        read(content[:-30], tmp_path)
    with pytest.raises(CorruptError, match="not an archive"):
        read(b"\x80\x04K\x01.", tmp_path)


@pytest.mark.parametrize(
    "schema", ["[]", "{}", "[" * 100_000, '{"protocol": 2}', "no json", '{"protocol": 2, "__loader__": 5}']
)
def test_a_schema_that_is_none_is_refused(schema: str, tmp_path: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("schema.json", schema)
    with pytest.raises(CorruptError):
        read(written.getvalue(), tmp_path)


def test_any_change_of_a_node_is_an_error_of_ours_or_none(tmp_path: Path) -> None:
    """Each attribute of each model becomes another kind of value in turn; the checks may pass what stays harmless."""
    random = np.random.default_rng(0)
    values = [None, -1, 10**12, "text", 1e308, [], True]
    for content in files().values():
        for _ in range(25):

            def change(schema: Nodes, members: Members) -> None:
                dictionaries = [node for node in find_nodes(schema, "dict") if node["content"]]
                chosen = dictionaries[random.integers(len(dictionaries))]["content"]
                chosen[list(chosen)[random.integers(len(chosen))]] = json_node(values[random.integers(len(values))])

            with suppress(CorruptError):
                check_skops(edit(content, change))


def test_a_trusted_type_is_told_and_opened_in_the_process_alone(tmp_path: Path, canary: Path) -> None:
    """The canary, as a function of a pipeline, is imported by the process of the model only."""
    path = tmp_path / "model.skops"

    def change(schema: Nodes, members: Members) -> None:
        step = find_nodes(schema, "FunctionTransformer")[0]
        step["content"]["content"]["func"] = call_node("FunctionNode", "numpy", "log1p")

    content = edit(files()["pipeline"], change)
    with pytest.raises(CorruptError, match=r"--trust numpy\.log1p"):
        read_skops(content, path)
    found = read_skops(content, path, trust=["numpy.log1p", "not.in.it"])
    assert found.graph["trusted"] == ["numpy.log1p"]
    assert not found.differentiable
    assert found.notes[-1] == "trusted by --trust: numpy.log1p"
    assert found.file is not None
    process = ScoreProcess(found.format, found.file, {**found.graph, "trusted": []})
    with pytest.raises(CorruptError, match="not known to be safe"):
        process.describe()
    assert not canary.exists()


def test_an_attribute_may_not_hide_a_method() -> None:
    def change(schema: Nodes, members: Members) -> None:
        attributes(schema)["_validate_for_predict"] = call_node("TypeNode", "numpy", "float64")
        schema["content"]["key_types"]["content"].append(call_node("TypeNode", "builtins", "str"))

    process = ScoreProcess("sklearn-scores", edit(files()["svc"], change), {"trusted": []})
    with pytest.raises(CorruptError, match="replaces the method '_validate_for_predict' of SVC"):
        process.describe()


def test_a_stored_tree_of_neighbours_is_never_asked() -> None:
    """Its indices lead nowhere; the labels are the model's all the same."""

    def change(schema: Nodes, members: Members) -> None:
        indices = find_nodes(schema, "KDTree")[0]["content"]["content"][1]
        change_array(members, indices, lambda array: array + 10**6)

    process = ScoreProcess("sklearn-scores", edit(files()["kd"], change), {"trusted": []})
    x = make_images()[0].astype(np.float32)
    found = np.array(process.describe().classes)[process.scores(x).argmax(axis=1)]
    process.close()
    assert (found == fit(KNeighborsClassifier(algorithm="kd_tree")).predict(x.astype(np.float64))).all()
