"""``advae.Purifier``: scikit-learn's own checks, and the purifier that ``advae train-ae`` makes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import advae
from advae.errors import DatasetError, UsageError
from advae.evaluation.pipelines import load_pipeline, load_purifier
from advae.notebooks import purifier_transformer
from advae.notebooks.image_arrays import read_images
from advae.records import Dataset
from advae.registry import Registry
from advae.requests import AutoencoderRequest, NetworkRequest
from advae.workflows import Workspace, train_autoencoder
from tests.conftest import Trained

RANGE = "images are in [0, 1], and the check's are not"

OUT_OF_RANGE = dict.fromkeys(
    (
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_1feature",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_pipeline_consistency",
        "check_positive_only_tag_during_fit",
        "check_readonly_memmap_input",
        "check_transformer_data_not_an_array",
        "check_transformer_general",
        "check_transformer_preserve_dtypes",
    ),
    RANGE,
)
"""The checks of scikit-learn whose data are out of range -> why they fail; they pass on the same data clipped."""


def run_checks(purifier: advae.Purifier) -> dict[str, set[str]]:
    """Return status -> the names of scikit-learn's checks that have it. Each failure must be that of the range."""
    from sklearn.utils.estimator_checks import check_estimator

    found: dict[str, set[str]] = {}
    for one in check_estimator(purifier, on_fail=None, on_skip=None):
        found.setdefault(one["status"], set()).add(one["check_name"])
        if one["status"] == "failed":
            error = one["exception"].__cause__ or one["exception"]
            assert isinstance(error, DatasetError), one
            assert "expected float in [0, 1]" in str(error)
    return found


def test_scikit_learns_checks_pass_but_for_the_range() -> None:
    found = run_checks(advae.Purifier(epochs=1))
    assert found["failed"] == set(OUT_OF_RANGE)
    assert len(found["passed"]) > 20


def test_the_checks_out_of_range_pass_on_clipped_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def clip(images: Any, shape: Any = None) -> Any:
        return read_images(images.clip(0, 1), shape)

    monkeypatch.setattr(purifier_transformer, "read_images", clip)
    # A baseline, which takes no training: all that the checks look at is common to all types.
    assert "failed" not in run_checks(advae.Purifier(type="blur"))


def test_it_is_the_purifier_of_train_ae(trained: Trained, digits: Dataset) -> None:
    stored = advae.open_registry(trained.home).load(trained.ae)
    fitted = advae.Purifier(type="vanilla", epochs=8).fit(digits.x_train, digits.y_train)
    assert np.array_equal(fitted.transform(digits.x_test), stored.purify(digits.x_test))


def test_parameters_are_kept_by_clone_and_pickle(digits: Dataset) -> None:
    from sklearn.base import clone

    x = digits.x_train[:60].reshape(-1, 8, 8)
    purifier = advae.Purifier(type="blur", sigma=0.5)
    assert purifier.get_params() == {"type": "blur", "epochs": None, "seed": 0, "sigma": 0.5}
    assert clone(purifier).get_params() == purifier.get_params()
    assert "sigma=0.5" in repr(purifier)
    assert purifier.set_params(sigma=0.6, seed=1).get_params()["sigma"] == 0.6
    with pytest.raises(ValueError, match="sigmas"):
        purifier.set_params(sigmas=6)
    fitted = purifier.fit(x)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(x), fitted.transform(x))
    assert fitted.transform(x).shape == x.shape


def test_images_of_any_form(digits: Dataset) -> None:
    levels = (255 * digits.x_train[:40]).round().astype(np.uint8)
    fitted = advae.Purifier(epochs=1).fit(levels)
    assert fitted.recipe_.dataset.shape == (8, 8, 1)
    assert np.array_equal(fitted.transform(levels), fitted.transform(levels.astype(np.float32) / np.float32(255)))
    assert advae.Purifier(epochs=1).fit(levels[:, :60]).recipe_.dataset.shape == (1, 60, 1)
    assert advae.Purifier(epochs=1).fit(np.zeros((4, 6, 5, 3))).transform(np.zeros((1, 6, 5, 3))).shape == (1, 6, 5, 3)


def test_a_robust_purifier_is_trained_with_a_classifier(digits: Dataset, tmp_path: Path) -> None:
    """The purifier and the classifier of ``advae train-ae --type robust``, and evaluated together."""
    options = {"body": "dense", "train_steps": 1, "train_eps": 0.1}
    fitted = advae.Purifier(type="robust", epochs=2, **options).fit(digits.x_train, digits.y_train)
    workspace = Workspace(Registry(tmp_path / "home"))
    asked = AutoencoderRequest(type="robust", network=NetworkRequest(epochs=2), options=options)
    made, companion = train_autoencoder(workspace, "digits", asked)
    x, y = digits.x_test[:50], digits.y_test[:50]
    expected = load_purifier(workspace.registry, made.manifest)(x, 0)
    np.testing.assert_allclose(fitted.transform(x), expected, atol=1e-6)
    assert companion
    logits = load_pipeline(workspace.registry, companion.manifest).defend(x, 0)
    np.testing.assert_allclose(fitted.classifier_(fitted.transform(x)), logits, rtol=1e-4, atol=1e-4)
    result = advae.evaluate(fitted.classifier_, x, y, purifier=fitted, methods=["fgsm"], eps=0.1)
    assert result.clean_accuracy == pytest.approx((np.argmax(logits, axis=1) == y).mean())
    assert advae.Purifier(epochs=1).fit(x).classifier_ is None


def test_errors_name_the_mend(digits: Dataset) -> None:
    x = digits.x_train[:40]
    with pytest.raises(UsageError, match="did you mean 'denoising'"):
        advae.Purifier(type="denoise").fit(x)
    with pytest.raises(UsageError, match="--noise-level does not fit --type vanilla"):
        advae.Purifier(type="vanilla", noise_level=0.1).fit(x)
    with pytest.raises(UsageError, match=r"is trained with a classifier, which needs labels: fit\(x, y\)"):
        advae.Purifier(type="robust").fit(x)
    with pytest.raises(DatasetError, match="divide by 255"):
        advae.Purifier(epochs=1).fit(255 * x)
    with pytest.raises(ValueError, match="NaN"):
        advae.Purifier(epochs=1).fit(np.where(x > 0.9, np.nan, x))


def test_what_keeps_a_classifiers_answers_is_made_by_the_command_line(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="`advae train-ae --type kl --protect CLF` makes one"):
        advae.Purifier(type="kl").fit(digits.x_train, digits.y_train)
