"""The attacks of foolbox and of the Adversarial Robustness Toolbox (ART) that ours are compared with: table PEERS."""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from advae.backend import start_tensorflow

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray

BIM_STEPS = 10
PGD_STEPS, PGD_STRIDE = 40, 2.5
"""Iterations, and the sum of their step sizes in units of eps; as our ``pgd`` has them."""


@contextmanager
def _quiet_imports() -> Iterator[None]:
    """Contain the side effects of importing the peers.

    ART writes ~/.art/config.json and warns that there is no PyTorch; foolbox imports GitPython, which raises where
    there is no git, and a SciPy name that SciPy 2 no longer has.
    """
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mock.patch.dict(os.environ, HOME=home, GIT_PYTHON_REFRESH="quiet"):
            yield


def import_peers() -> None:
    """Import foolbox and ART in silence. A second call does nothing."""
    start_tensorflow()
    with _quiet_imports():
        for name in ("art", "foolbox"):
            importlib.import_module(name)
    # ART configures a logger of this name for itself; what we log under it would go to stderr.
    logging.getLogger("tests").handlers.clear()
    logging.getLogger("tests").setLevel(logging.NOTSET)


@dataclass(frozen=True)
class Subject:
    """An exported pipeline as plain Keras loads it, and the images that are attacked."""

    dataset: str
    """Name of the dataset."""

    behind: str
    """Kind of its purifier, or ``none``."""

    id: str
    """Of its classifier."""

    model: Any
    """The Keras model: images to logits."""

    images: FloatArray
    """float32 (n, side, side, 1) in [0, 1]."""

    labels: IntArray
    """int64 (n,)."""


def wrap_for_foolbox(subject: Subject) -> Any:
    """Return the model as foolbox takes it: any callable to logits.

    The device is named because foolbox would look for one with a function that TensorFlow deprecates.
    """
    import foolbox

    return foolbox.TensorFlowModel(subject.model, bounds=(0, 1), device="/CPU:0")


def wrap_for_art(subject: Subject) -> Any:
    """Return the model as ART takes it: a ``loss_object`` over logits is all that its attacks need.

    Its gradient is that of the whole batch's loss: the sum here, not Keras' default, the mean. Divided by the number
    of images, the smallest gradients leave the range of float32, their sign is 0, and those images do not change: with
    the mean, the robust accuracy under BIM at eps 0.3 on 1,000 images of MNIST is 28.7 % instead of 28.1 %.
    """
    import keras
    from art.estimators.classification import TensorFlowV2Classifier

    return TensorFlowV2Classifier(
        subject.model,
        nb_classes=subject.model.output_shape[-1],
        input_shape=subject.images.shape[1:],
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        clip_values=(0.0, 1.0),
    )


@dataclass(frozen=True)
class Peer:
    """A row of PEERS: one attack of another library."""

    library: str
    """``foolbox`` or ``art``."""

    name: str
    """The name of our attack that it is compared with."""

    generate: Callable[[Subject, float], FloatArray]
    """(subject, eps) -> adversarial examples (n, side, side, 1)."""

    norm: str = "linf"
    """Of eps: ``linf`` or ``l2``."""


def _foolbox(name: str, class_name: str, norm: str = "linf", **options: Any) -> Peer:
    def generate(subject: Subject, eps: float) -> FloatArray:
        import foolbox
        import tensorflow as tf

        method = getattr(foolbox.attacks, class_name)(**options)
        images, labels = tf.constant(subject.images), tf.constant(subject.labels)
        # The second of three is what was found, moved into the ball.
        return method(wrap_for_foolbox(subject), images, labels, epsilons=eps)[1].numpy()

    return Peer("foolbox", name, generate, norm)


def _art(name: str, class_name: str, stride: float | None = None, **options: Any) -> Peer:
    """Return a row of ART's; stride: its ``eps_step`` in units of eps, which by default is 0.1 whatever eps is."""

    def generate(subject: Subject, eps: float) -> FloatArray:
        from art.attacks import evasion

        step = {} if stride is None else {"eps_step": stride * eps}
        # By default 32 images a batch.
        batch = {"batch_size": len(subject.images)}
        method = getattr(evasion, class_name)(wrap_for_art(subject), eps=eps, **step, **batch, **options)
        # Without labels it would leave the predicted class, not the true one.
        return method.generate(subject.images.copy(), subject.labels)

    return Peer("art", name, generate)


PEERS = [
    _foolbox("fgsm", "LinfFastGradientAttack"),
    _art("fgsm", "FastGradientMethod"),
    _foolbox("bim", "LinfBasicIterativeAttack", steps=BIM_STEPS, rel_stepsize=1 / BIM_STEPS),
    _art("bim", "BasicIterativeMethod", 1 / BIM_STEPS, max_iter=BIM_STEPS, verbose=False),
    _foolbox("pgd", "LinfProjectedGradientDescentAttack", steps=PGD_STEPS, rel_stepsize=PGD_STRIDE / PGD_STEPS),
    _art(
        "pgd",
        "ProjectedGradientDescent",
        PGD_STRIDE / PGD_STEPS,
        max_iter=PGD_STEPS,
        num_random_init=1,
        verbose=False,
    ),
    # Of its losses, the estimator's: its difference_logits_ratio loops over images in Python, a minute for 360 of them.
    _art("apgd", "AutoProjectedGradientDescent", 2.0, max_iter=100, nb_random_init=1, verbose=False),
    _art("square", "SquareAttack", max_iter=300, verbose=False),
    _foolbox("pgd", "L2ProjectedGradientDescentAttack", "l2", steps=PGD_STEPS, rel_stepsize=PGD_STRIDE / PGD_STEPS),
    # With its default step, 0.01 in arctanh space, 100 steps do not get away from a black or a white pixel.
    _foolbox(
        "carlini-wagner",
        "L2CarliniWagnerAttack",
        "l2",
        binary_search_steps=5,
        steps=100,
        initial_const=1.0,
        stepsize=0.1,
    ),
]
"""The attacks that ours are compared with. Bounds, steps and loss are those of our attack of the same name."""
