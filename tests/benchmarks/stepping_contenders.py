"""The same steps on the same network by us, foolbox, ART and CleverHans, as contenders of a speed benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.workload import LoadedClassifier, Workload

Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


@dataclass(frozen=True)
class Steps:
    """The steps that every contender takes, in L-infinity, against cross-entropy."""

    method: str
    """Our name of the attack: bim, or pgd, which starts from a random point of the ball."""

    eps: float
    """Radius of the ball, in units of x."""

    count: int
    """Number of steps."""

    stride: float
    """Sum of the step sizes, in units of eps."""

    @property
    def size(self) -> float:
        """Size of a step, in units of x."""
        return self.stride * self.eps / self.count

    @property
    def random(self) -> bool:
        """Whether the attack starts from a random point."""
        return self.method == "pgd"


def measure_quality(loaded: LoadedClassifier) -> Callable[[Any], dict[str, float]]:
    """Return (x_adv) -> its accuracy."""
    return lambda x_adv: {"accuracy": loaded.measure_accuracy(x_adv)}


def prepare_ours(
    workload: Workload, *, n: int, steps: Steps, eps: tuple[float, ...], loss: str = "ce", precision: str = "float32"
) -> Prepared:
    """Return our attack, as ``advae attack`` crafts it, with its robust accuracy at every eps."""
    import numpy as np

    from advae.evaluation.attacker import Attacker
    from advae.evaluation.pipelines import load_pipeline
    from advae.threats import THREATS

    loaded = workload.load("nn")
    pipeline = load_pipeline(workload.registry, loaded.manifest, precision=precision)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]
    recipe = loaded.describe_attack(steps.method, eps, steps=steps.count, loss=loss)
    attacker = Attacker(THREATS["adaptive"].view(pipeline), recipe, x, y, lambda: None)

    def work() -> list[Any]:
        return [np.concatenate([found.x_adv for found in attacker.propose(one, np.arange(n), None)]) for one in eps]

    def measure(found: list[Any]) -> dict[str, float]:
        accuracies = [loaded.measure_accuracy(x_adv) for x_adv in found]
        return {"accuracy": accuracies[-1]} | {f"accuracy at {e:g}": a for e, a in zip(eps, accuracies, strict=True)}

    return work, measure


def prepare_foolbox(workload: Workload, *, n: int, batch: int, steps: Steps) -> Prepared:
    """Return foolbox's attack."""
    import numpy as np

    from tests.benchmarks.peer_attacks import import_peers

    loaded = workload.load("nn")
    import_peers()
    import foolbox
    import tensorflow as tf

    # The device is named because foolbox would look for one with a function that TensorFlow deprecates.
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else "/CPU:0"
    model = foolbox.TensorFlowModel(loaded.classify, bounds=(0, 1), device=device)
    kind = foolbox.attacks.LinfPGD if steps.random else foolbox.attacks.LinfBasicIterativeAttack
    method = kind(steps=steps.count, rel_stepsize=steps.stride / steps.count)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def work() -> Any:
        parts = [(tf.constant(x[i : i + batch]), tf.constant(y[i : i + batch])) for i in range(0, n, batch)]
        return np.concatenate([method(model, *part, epsilons=steps.eps)[1].numpy() for part in parts])

    return work, measure_quality(loaded)


def prepare_art(workload: Workload, *, n: int, batch: int, steps: Steps) -> Prepared:
    """Return the Adversarial Robustness Toolbox's attack."""
    from tests.benchmarks.peer_attacks import import_peers

    loaded = workload.load("nn")
    import_peers()
    import keras
    from art.attacks.evasion import BasicIterativeMethod, ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]
    # The sum: divided by the size of a batch, the smallest gradients leave the range of float32.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    model = TensorFlowV2Classifier(
        loaded.classify,
        nb_classes=len(loaded.data.ref.classes),
        input_shape=x.shape[1:],
        loss_object=loss,
        clip_values=(0.0, 1.0),
    )
    options = {"eps": steps.eps, "eps_step": steps.size, "max_iter": steps.count, "batch_size": batch, "verbose": False}
    method = (
        ProjectedGradientDescent(model, num_random_init=1, **options)
        if steps.random
        else BasicIterativeMethod(model, **options)
    )
    return lambda: method.generate(x.copy(), y), measure_quality(loaded)


def prepare_cleverhans(workload: Workload, *, n: int, batch: int, steps: Steps) -> Prepared:
    """Return CleverHans' projected gradient descent."""
    import numpy as np

    loaded = workload.load("nn")
    import tensorflow as tf
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def attack(rows: slice) -> Any:
        # Its own check of the range raises with NumPy 2.
        options = {"clip_min": 0.0, "clip_max": 1.0, "rand_init": steps.random, "sanity_checks": False}
        images, labels = tf.constant(x[rows]), tf.constant(y[rows])
        return projected_gradient_descent(
            loaded.classify, images, steps.eps, steps.size, steps.count, np.inf, y=labels, **options
        ).numpy()

    return lambda: np.concatenate([attack(slice(i, i + batch)) for i in range(0, n, batch)]), measure_quality(loaded)


PEERS: dict[str, Callable[..., Prepared]] = {
    "foolbox": prepare_foolbox,
    "ART": prepare_art,
    "CleverHans": prepare_cleverhans,
}
"""Library -> what prepares its attack."""
