"""The types of scikit-learn that a .skops file may hold, each with the check of what its compiled code reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from advae.models.added import sklearn_checks as checks
from advae.models.added.skops_nodes import SkopsObject

ObjectCheck = Callable[[SkopsObject], None]


def _unchecked(value: SkopsObject) -> None:
    """Accept a type whose code is Python and numpy, which check every index themselves."""


def _name_all(module: str, *names: str) -> dict[str, ObjectCheck]:
    return {f"sklearn.{module}.{name}": _unchecked for name in names}


KNOWN_TYPES: dict[str, ObjectCheck] = {
    **_name_all("pipeline", "Pipeline"),
    **_name_all(
        "preprocessing._data",
        *("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer", "Binarizer"),
        *("QuantileTransformer", "PowerTransformer"),
    ),
    **_name_all("preprocessing._function_transformer", "FunctionTransformer"),
    **_name_all("preprocessing._label", "LabelBinarizer", "LabelEncoder"),
    **_name_all("decomposition._pca", "PCA"),
    **_name_all("decomposition._truncated_svd", "TruncatedSVD"),
    **_name_all("decomposition._fastica", "FastICA"),
    **_name_all("linear_model._logistic", "LogisticRegression", "LogisticRegressionCV"),
    **_name_all("linear_model._ridge", "Ridge", "RidgeCV", "RidgeClassifier", "RidgeClassifierCV"),
    **_name_all("linear_model._base", "LinearRegression"),
    **_name_all("linear_model._coordinate_descent", "Lasso", "ElasticNet", "MultiTaskLasso", "MultiTaskElasticNet"),
    **_name_all("linear_model._stochastic_gradient", "SGDClassifier"),
    **_name_all("linear_model._perceptron", "Perceptron"),
    **_name_all("linear_model._passive_aggressive", "PassiveAggressiveClassifier"),
    **_name_all("svm._classes", "LinearSVC"),
    **_name_all("discriminant_analysis", "LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis"),
    **_name_all("neural_network._multilayer_perceptron", "MLPClassifier", "MLPRegressor"),
    **_name_all("neural_network._stochastic_optimizers", "AdamOptimizer", "SGDOptimizer"),
    **_name_all("naive_bayes", "GaussianNB", "BernoulliNB", "MultinomialNB", "ComplementNB"),
    **_name_all("neighbors._nearest_centroid", "NearestCentroid"),
    **_name_all("ensemble._forest", "RandomForestClassifier", "ExtraTreesClassifier"),
    **_name_all("ensemble._bagging", "BaggingClassifier"),
    **_name_all("ensemble._weight_boosting", "AdaBoostClassifier"),
    **_name_all("ensemble._voting", "VotingClassifier"),
    **_name_all("ensemble._stacking", "StackingClassifier"),
    **_name_all("ensemble._hist_gradient_boosting.binning", "_BinMapper"),
    **_name_all("utils._bunch", "Bunch"),
    **_name_all("calibration", "CalibratedClassifierCV", "_CalibratedClassifier", "_SigmoidCalibration"),
    **_name_all("isotonic", "IsotonicRegression"),
    **_name_all("multiclass", "OneVsRestClassifier", "OneVsOneClassifier", "_ConstantPredictor"),
    **_name_all("dummy", "DummyClassifier"),
    **_name_all("model_selection._search", "GridSearchCV"),
    **_name_all("model_selection._split", "StratifiedKFold", "KFold"),
    **_name_all("metrics._scorer", "_PassthroughScorer"),
    **_name_all("_loss.loss", "HalfBinomialLoss", "HalfMultinomialLoss", "ExponentialLoss"),
    **_name_all("_loss.link", "LogitLink", "HalfLogitLink", "MultinomialLogit", "IdentityLink", "Interval"),
    "sklearn.tree._classes.DecisionTreeClassifier": checks.check_tree_owner,
    "sklearn.tree._classes.ExtraTreeClassifier": checks.check_tree_owner,
    checks.TREE_REGRESSOR: checks.check_tree_owner,
    checks.TREE: checks.check_tree,
    "sklearn.ensemble._gb.GradientBoostingClassifier": checks.check_boosting,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier": (
        checks.check_hist_boosting
    ),
    checks.TREE_PREDICTOR: checks.check_predictor,
    "sklearn.svm._classes.SVC": checks.check_support_vectors,
    "sklearn.svm._classes.NuSVC": checks.check_support_vectors,
    "sklearn.neighbors._classification.KNeighborsClassifier": checks.check_neighbors,
    "sklearn.neighbors._kd_tree.KDTree": checks.check_neighbor_tree,
    "sklearn.neighbors._ball_tree.BallTree": checks.check_neighbor_tree,
    **{
        f"sklearn.metrics._dist_metrics.{name}Distance64": checks.check_metric
        for name in ("Euclidean", "Manhattan", "Chebyshev", "Minkowski")
    },
    **{
        f"sklearn._loss._loss.Cy{name}": checks.check_loss
        for name in ("HalfBinomialLoss", "HalfMultinomialLoss", "ExponentialLoss")
    },
    **{
        f"sklearn.linear_model._sgd_fast.{name}": checks.check_loss
        for name in ("Hinge", "SquaredHinge", "ModifiedHuber", "EpsilonInsensitive", "SquaredEpsilonInsensitive")
    },
}
"""Full name -> check of such an object."""

NUMPY_TYPES: dict[str, ObjectCheck] = {"RandomState": checks.check_random_state, "Generator": checks.check_generator}
"""The same for numpy's own types."""


FITTED_ONLY = (
    *(checks.check_tree_owner, checks.check_boosting, checks.check_hist_boosting),
    *(checks.check_support_vectors, checks.check_neighbors),
)
"""The checks of fitted estimators; scikit-learn asks none without an attribute whose name ends with ``_``."""


def check_objects(value: Any) -> None:
    """Check every object in a value of a .skops file. Raises ValueError."""
    seen, left = set[int](), [value]
    objects = list[SkopsObject]()
    while left:
        one = left.pop()
        if isinstance(one, dict | SkopsObject | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            inner = one.fields if isinstance(one, SkopsObject) else one
            left += inner.values() if isinstance(inner, dict) else inner
            if isinstance(one, SkopsObject):
                objects.append(one)
    for found in objects:
        _check_object(found)


def _check_object(value: SkopsObject) -> None:
    check = KNOWN_TYPES.get(value.type) or NUMPY_TYPES.get(value.type, _unchecked)
    short = value.type.rpartition(".")[2]
    if check in FITTED_ONLY and not any(name.endswith("_") for name in value.fields):
        # A prototype, of which an ensemble made its members, was never fitted and cannot be asked.
        return
    try:
        check(value)
    except KeyError as error:
        raise ValueError(f"its {short} has no {error.args[0]}") from None
    except (AttributeError, TypeError, IndexError) as error:
        raise ValueError(f"its {short} is damaged: {str(error)[:80]}") from None
    except ValueError as error:
        raise ValueError(f"its {short} is refused: {error}") from None
