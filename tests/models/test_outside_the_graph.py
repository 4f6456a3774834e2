"""JPEG against Pillow and total variation against scikit-image, image by image; attacked, and refused where needed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advae.batching import apply
from advae.models import outside_the_graph
from advae.models.blurring import blur_matrix
from advae.records import Dataset, ImageShape
from advae.threats import Pipeline
from tests.calls import call, succeed
from tests.models.test_shapes import make_images
from tests.models.test_squeezing import restore

SHAPES = [ImageShape(8, 8, 1), ImageShape(5, 19, 1), ImageShape(28, 28, 1), ImageShape(7, 10, 3), ImageShape(1, 1, 3)]


def compress(image: Any, quality: int) -> Any:
    """Return one image as Pillow writes and reads it."""
    from PIL import Image

    pixels = np.rint(image * 255).astype("u1")
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        stream := io.BytesIO(), "JPEG", quality=quality
    )
    return np.asarray(Image.open(stream)).reshape(image.shape).astype("f4") / np.float32(255)


@pytest.mark.parametrize("quality", [10, 75, 100])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_image_is_compressed_as_if_it_were_alone(
    quality: int, shape: ImageShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grey ones are compressed in stacks, here of two and of one."""
    x = np.random.default_rng(quality).random((5, shape.size), "f4")
    x[1], x[2] = 0, 1
    jpeg, images = restore(make_images(shape), "jpeg", quality=quality), x.reshape(-1, *shape)
    expected = np.stack([compress(image, quality) for image in images]).reshape(5, -1)
    np.testing.assert_array_equal(apply(jpeg, x), expected)
    monkeypatch.setattr(outside_the_graph, "LONGEST_STACK", 2 * (shape.height + -shape.height % 8))
    np.testing.assert_array_equal(apply(jpeg, x), expected)
    assert not np.array_equal(expected, x)


@pytest.mark.parametrize("weight", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_total_variation_is_scikit_images_for_each_channel(weight: float, shape: ImageShape) -> None:
    from skimage.restoration import denoise_tv_chambolle

    x = np.random.default_rng(0).random((4, shape.size), "f4")
    x[1], x[2] = 0, 1
    channels = np.moveaxis(x.reshape(-1, *shape), -1, 1)
    expected = np.array([[denoise_tv_chambolle(one, weight=weight) for one in image] for image in channels])
    purified = apply(restore(make_images(shape), "total-variation", tv_weight=weight), x)
    np.testing.assert_allclose(purified.reshape(-1, *shape), np.clip(np.moveaxis(expected, 1, -1), 0, 1), atol=1e-6)


def test_total_variation_falls_and_keeps_the_mean(digits: Dataset) -> None:
    def measure(images: Any) -> float:
        square = images.reshape(-1, 8, 8)
        return float(np.abs(np.diff(square, axis=1)).sum() + np.abs(np.diff(square, axis=2)).sum())

    found = [apply(restore(digits, "total-variation", tv_weight=weight), digits.x_test) for weight in (0.05, 0.2, 1.0)]
    assert [*map(measure, found)] == sorted(map(measure, found), reverse=True)
    assert measure(found[0]) < measure(digits.x_test)
    np.testing.assert_allclose(found[1].mean(1), digits.x_test.mean(1), atol=2e-3)


@pytest.mark.parametrize("kind", ["jpeg", "total-variation"])
def test_what_is_outside_the_graph_can_be_traced_for_any_number_of_images(kind: str, digits: Dataset) -> None:
    import tensorflow as tf

    purify = restore(digits, kind)
    traced = tf.function(lambda x: purify(x, 0), [tf.TensorSpec((None, 64), tf.float32)])
    for n in (0, 1, 7):
        found = traced(digits.x_test[:n])
        assert found.shape == (n, 64)
        np.testing.assert_array_equal(found, apply(purify, digits.x_test)[:n])


def test_the_missing_derivative_is_a_blurs_where_the_identitys_would_mislead(digits: Dataset) -> None:
    """The value is the purifier's, bit by bit; the derivative is that of the blur, which is its own transpose's."""
    import tensorflow as tf

    for kind, kernel in (("jpeg", np.eye(8)), ("total-variation", blur_matrix(8, 1.0).astype("f8"))):
        purify = restore(digits, kind)
        pipeline = Pipeline(classify=lambda x: x, purify=purify, differentiable=False, stand_in=purify.stand_in)
        x = tf.constant(digits.x_test[:6])
        wanted = np.random.default_rng(0).normal(size=(6, 64)).astype("f4")
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = pipeline.differentiate(x, 0)
        np.testing.assert_array_equal(found, purify(x, 0))
        gradient = tape.gradient(found, x, output_gradients=tf.constant(wanted)).numpy()
        expected = kernel.T @ wanted.reshape(-1, 8, 8) @ kernel
        np.testing.assert_allclose(gradient.reshape(-1, 8, 8), expected, atol=1e-5)
        assert pipeline.backward == ("identity" if kind == "jpeg" else "blur")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a regression behind JPEG, and one without."""
    home = tmp_path_factory.mktemp("outside") / "home"
    succeed("train-clf", "--model", "lr", "--home", home)
    ae = succeed("train-ae", "--type", "jpeg", "--quality", 30, "--home", home, "--tag", "jpeg").id
    succeed("train-clf", "--model", "lr", "--ae", ae, "--home", home, "--tag", "behind")
    return home


METHODS = {"fgsm": (), "pgd": ("--steps", 2), "cw": ("--steps", 2, "--norm", "l2"), "square": ("--queries", 20)}
"""One step, a loop, a loop of its own with another norm, and one that only asks; with what makes them short."""


@pytest.mark.parametrize("method", METHODS)
def test_attacks_go_through_what_is_outside_the_graph(method: str, home: Path) -> None:
    """By the identity's derivative, or by asking; and what they find is found again."""
    attack = ("attack", "--clf", "behind", "--method", method, "--eps", 0.1, "--limit", 12, *METHODS[method])
    run = succeed(*attack, "--home", home, "--json").json
    assert run["results"][0]["accuracy"] <= run["clean_accuracy"]
    assert run["results"][0]["l2_mean"] > 0
    assert succeed(*attack, "--home", home, "--force", "--json").json["results"] == run["results"]


def test_noise_in_training_goes_through_it(home: Path) -> None:
    made = succeed("train-clf", "--model", "nn", "--ae", "jpeg", "--noise-level", 0.1, "--epochs", 1, "--home", home)
    assert made.id


def test_a_proof_is_refused_and_smoothing_is_not(home: Path) -> None:
    certify = ("certify", "--clf", "behind", "--eps", 0.1, "--home", home, "--limit", 4)
    for more, said in (
        ((), "no proof of a purifier that Keras does not compute but randomised smoothing"),
        (("--method", "ibp"), "another library than Keras computes its purifier"),
        (("--method", "exact"), "its logits are not affine"),
    ):
        refused = call(*certify, *more)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err
    assert succeed(*certify, "--method", "smoothing", "--sigma", 0.1, "--samples", 20, "--select", 5).id


def test_without_scikit_image_one_line_says_what_installs_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    for line in (("train-ae", "--type", "total-variation"), ("reproduce", "--plan", "all-defences-quick", "--dry-run")):
        refused = call(*line, "--home", home)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert "--type total-variation needs scikit-image" in refused.err
        assert 'pip install "advae[filters]"' in refused.err
