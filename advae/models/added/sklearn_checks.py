"""Checks of what scikit-learn's compiled code reads unchecked: indices of trees, support vectors and neighbours.

Each takes an object as it stands in a .skops file, before anything is made of it, and raises ValueError, or KeyError
for a missing attribute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.models.added.skops_nodes import SkopsObject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TREE = "sklearn.tree._tree.Tree"
TREE_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TREE_REGRESSOR = "sklearn.tree._classes.DecisionTreeRegressor"
DUMMY = "sklearn.dummy.DummyClassifier"

KERNELS = ("linear", "poly", "rbf", "sigmoid")
METRICS = ("minkowski", "euclidean", "l2", "manhattan", "l1", "cityblock", "chebyshev", "cosine")
COUNT_LIMIT = 1 << 31


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < COUNT_LIMIT


def _is_array(value: object, shape: tuple[int, ...], kinds: str) -> bool:
    import numpy as np

    return isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in kinds


def _is_finite(value: Any, *shape: int) -> bool:
    """Return whether it is an array of that shape, all of finite float64 numbers."""
    import numpy as np

    return _is_array(value, shape, "f") and value.dtype.itemsize == 8 and bool(np.isfinite(value).all())


def _require_descent(nodes: NDArray[Any], names: tuple[str, str, str], inner: NDArray[np.bool_], features: int) -> None:
    """Raise ValueError unless each inner node leads to two later ones, so that every descent ends at a leaf.

    names: the columns of the left child, the right child and the feature.
    """
    import numpy as np

    place = np.arange(len(nodes))[inner]
    for name in names[:2]:
        child = nodes[name][inner].astype(np.int64)
        _require((child > place).all() and (child < len(nodes)).all(), "a tree has a child that is out of range")
    feature = nodes[names[2]][inner].astype(np.int64)
    _require((feature >= 0).all() and (feature < features).all(), "a tree reads a feature that is out of range")


def check_tree(tree: SkopsObject) -> None:
    """Check the arrays of a decision tree, and the counts by which compiled code reads them."""
    args, state = tree.fields["args"], tree.fields["state"]
    _require(isinstance(args, tuple) and len(args) == 3 and isinstance(state, dict), "a tree is no tree")
    features, classes, outputs = args
    _require(
        _is_count(features) and features > 0 and outputs == 1 and type(outputs) is int, "a tree has several outputs"
    )
    _require(_is_array(classes, (1,), "i") and 0 < classes[0] < COUNT_LIMIT, "a tree has no number of classes")
    nodes, values = state["nodes"], state["values"]
    named = getattr(getattr(nodes, "dtype", None), "names", None) or ()
    _require({"left_child", "right_child", "feature"} <= {*named} and nodes.ndim == 1, "a tree has no nodes")
    _require(len(nodes) > 0 and state["node_count"] == len(nodes), "a tree claims another number of nodes than it has")
    _require(_is_count(state["max_depth"]), "a tree has no depth")
    _require(_is_finite(values, len(nodes), 1, int(classes[0])), "a tree's values do not fit its nodes")
    _require_descent(nodes, ("left_child", "right_child", "feature"), nodes["left_child"] != -1, features)


def check_tree_owner(owner: SkopsObject) -> None:
    """Check that a decision tree reads as many features as the estimator that owns it accepts."""
    tree = owner.fields["tree_"]
    _require(isinstance(tree, SkopsObject) and tree.type == TREE, "a decision tree has no tree")
    _require(tree.fields["args"][0] == owner.fields["n_features_in_"], "a tree reads another number of features")


def check_boosting(model: SkopsObject) -> None:
    """Check the shape of the trees of a GradientBoostingClassifier, and of the scores that they are added to."""
    own = model.fields
    classes, stages, loss = _count_classes(own["classes_"]), own["estimators_"], own["_loss"]
    trees = 1 if classes == 2 else classes
    _require(isinstance(stages, list) and stages, "boosting has no trees")
    for stage in stages:
        _require(isinstance(stage, list) and len(stage) == trees, "boosting has not one tree for each class")
        for tree in stage:
            fits = isinstance(tree, SkopsObject) and tree.type == TREE_REGRESSOR
            _require(
                fits and tree.fields["tree_"].fields["args"][1].item() == 1, "boosting has something else than trees"
            )
            _require(tree.fields["n_features_in_"] == own["n_features_in_"], "boosting has trees of other features")
    _require(own["n_trees_per_iteration_"] == trees, "boosting has not one tree for each class")
    _require(isinstance(loss, SkopsObject) and "is_multiclass" not in loss.fields, "boosting has no loss")
    _require(classes == 2 or loss.type.endswith(".HalfMultinomialLoss"), "boosting has a loss for two classes")
    first = own["init_"]
    if first != "zero":
        fits = isinstance(first, SkopsObject) and first.type == DUMMY and first.fields["strategy"] == "prior"
        _require(fits, "boosting begins with another model (init=), which is not supported; use init=None or 'zero'")
        _require(_is_finite(first.fields["class_prior_"], classes), "boosting begins with another number of classes")


def check_predictor(predictor: SkopsObject) -> None:
    """Check the nodes of a tree of HistGradientBoostingClassifier, but for its features."""
    nodes = predictor.fields["nodes"]
    named = getattr(getattr(nodes, "dtype", None), "names", None) or ()
    needed = {"left", "right", "feature_idx", "is_leaf", "is_categorical"}
    _require(needed <= {*named} and nodes.ndim == 1 and len(nodes), "a tree has no nodes")
    _require(not nodes["is_categorical"].any(), "a tree splits categories, which images do not have")
    _require_descent(nodes, ("left", "right", "feature_idx"), nodes["is_leaf"] == 0, COUNT_LIMIT)


def check_hist_boosting(model: SkopsObject) -> None:
    """Check that the trees of a HistGradientBoostingClassifier read features that an image has."""
    import numpy as np

    own = model.fields
    features, mapper = own["_n_features"], own["_bin_mapper"]
    _require(_is_count(features) and features == own["n_features_in_"], "boosting has another number of features")
    _require(isinstance(mapper, SkopsObject), "boosting has no bins")
    categories = mapper.fields["is_categorical_"]
    _require(_is_array(categories, (features,), "bu") and not np.any(categories), "boosting has categories")
    for stage in own["_predictors"]:
        for tree in stage:
            _require(isinstance(tree, SkopsObject) and tree.type == TREE_PREDICTOR, "boosting has no trees")
            nodes = tree.fields["nodes"]
            inner = nodes["is_leaf"] == 0
            _require((nodes["feature_idx"][inner] < features).all(), "a tree reads a feature that is out of range")


def check_support_vectors(model: SkopsObject) -> None:
    """Check the arrays of SVC and NuSVC, which libsvm reads by the numbers of support vectors of each class."""
    own = model.fields
    classes, vectors, counts = _count_classes(own["classes_"]), own["support_vectors_"], own["_n_support"]
    _require(
        own["_sparse"] is False and own["kernel"] in KERNELS, f"an SVC needs one of the kernels {', '.join(KERNELS)}"
    )
    _require(own.get("_impl", "c_svc") in ("c_svc", "nu_svc"), "an SVC has no known algorithm")
    _require(_is_array(counts, (classes,), "i") and (counts >= 0).all(), "an SVC has no numbers of support vectors")
    total, pairs = int(counts.sum()), classes * (classes - 1) // 2
    _require(
        total > 0 and _is_finite(vectors, total, own["n_features_in_"]), "support vectors do not fit their numbers"
    )
    _require(_is_finite(own["_dual_coef_"], classes - 1, total), "coefficients do not fit the support vectors")
    _require(_is_finite(own["dual_coef_"], classes - 1, total), "coefficients do not fit the support vectors")
    _require(_is_finite(own["_intercept_"], pairs) and _is_finite(own["intercept_"], pairs), "intercepts do not fit")
    _require(_is_array(own["support_"], (total,), "i") and (own["support_"] >= 0).all(), "support indices do not fit")
    for name in ("_probA", "_probB"):
        _require(_is_finite(own[name], 0) or _is_finite(own[name], pairs), f"{name} does not fit the classes")
    _require(type(own["degree"]) is int and 0 <= own["degree"] < 1000, "an SVC has no degree")


def check_neighbors(model: SkopsObject) -> None:
    """Check the labels and counts of a KNeighborsClassifier. Its tree is made anew before it is used."""
    own = model.fields
    classes, points, labels, count = _count_classes(own["classes_"]), own["_fit_X"], own["_y"], own["n_neighbors"]
    shape: tuple[int, ...] = getattr(points, "shape", ())
    _require(len(shape) == 2 and _is_finite(points, *shape), "neighbours have no points")
    _require(
        shape[1] == own["n_features_in_"] and own["n_samples_fit_"] == shape[0], "neighbours do not fit the images"
    )
    _require(_is_array(labels, shape[:1], "i") and own["outputs_2d_"] is False, "neighbours have no labels")
    _require(len(labels) and labels.min() >= 0 and labels.max() < classes, "a neighbour's label is out of range")
    _require(_is_count(count) and 0 < count <= shape[0], "it asks for more neighbours than it has")
    known = own["metric"] in METRICS and own["effective_metric_"] in METRICS and not own["metric_params"]
    _require({*own["effective_metric_params_"]} <= {"p"}, "neighbours have a metric with weights")
    _require(known, f"neighbours need one of the metrics {', '.join(METRICS)}")
    _require(own["weights"] in ("uniform", "distance"), "neighbours need weights 'uniform' or 'distance'")
    _require(own["_fit_method"] in ("brute", "kd_tree", "ball_tree"), "neighbours are found in an unknown way")


def check_neighbor_tree(tree: SkopsObject) -> None:
    """Check that the state of a tree of neighbours can be set; it is never asked."""
    import numpy as np

    state = tree.fields["state"]
    _require(isinstance(state, tuple) and len(state) == 13 and state[12] is None, "a tree of neighbours is none")
    _require(all(isinstance(array, np.ndarray) for array in state[:4]), "a tree of neighbours has no arrays")
    _require(all(_is_count(number) for number in state[4:11]), "a tree of neighbours has no counts")
    _require(isinstance(state[11], SkopsObject), "a tree of neighbours has no metric")


def check_metric(metric: SkopsObject) -> None:
    """Check that the state of a metric can be set."""
    import numpy as np

    state = metric.fields["state"]
    fits = isinstance(state, tuple) and len(state) == 3 and isinstance(state[0], float)
    _require(fits and all(isinstance(array, np.ndarray) and array.ndim for array in state[1:]), "a metric is none")


def check_loss(loss: SkopsObject) -> None:
    """Check that a compiled loss is made of a few numbers."""
    args, state = loss.fields["args"], loss.fields["state"]
    _require(isinstance(args, tuple) and len(args) <= 2 and not state, "a loss has a state")
    _require(all(type(number) in (int, float) for number in args), "a loss is made of something else than numbers")


def check_random_state(state: SkopsObject) -> None:
    """Check the state of numpy's older generator, whose position in its words is read unchecked."""
    own = state.fields["state"]
    fits = isinstance(own, dict) and own.keys() == {"bit_generator", "state", "has_gauss", "gauss"}
    _require(fits and own["bit_generator"] == "MT19937" and isinstance(own["state"], dict), "a random state is none")
    words, place = own["state"].get("key"), own["state"].get("pos")
    _require(_is_array(words, (624,), "u") and _is_count(place) and place <= 624, "a random state is out of range")


def check_generator(generator: SkopsObject) -> None:
    """Check the state of numpy's generator, of which scikit-learn stores the default kind only."""
    bits, seeds = generator.fields["bit_generator"], generator.fields["seed_seq"]
    _require(isinstance(bits, dict) and bits.get("bit_generator") == "PCG64", "a random generator is not PCG64")
    fits = isinstance(seeds, dict) and seeds.keys() <= {"entropy", "spawn_key", "pool_size", "n_children_spawned"}
    _require(fits and seeds.get("pool_size") == 4, "a random generator has a seed of unknown form")


def _count_classes(classes: object) -> int:
    """Return the number of class labels. Raises ValueError for fewer than two."""
    import numpy as np

    count = len(classes) if isinstance(classes, list) else 0
    if isinstance(classes, np.ndarray) and classes.ndim == 1:
        count = len(classes)
    _require(count > 1, "it has fewer than two classes")
    return count
