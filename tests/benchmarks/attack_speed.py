"""Speed of BIM beside foolbox, ART and CleverHans; in bfloat16; over many eps."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from tests.benchmarks.contenders import Contender, compare, take_turns
from tests.benchmarks.measurements import Measured, Section, Target
from tests.benchmarks.workload import LoadedClassifier, Workload

EPS, STEPS = 0.3, 10
OURS = "advae"
SIZES = (1024, 2048)
"""Sizes of the square matrices whose product shows the speed of the processor; the faster one counts."""

Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]

# ---------------------------------------------------------------- the contenders


def _measure_quality(loaded: LoadedClassifier) -> Callable[[Any], dict[str, float]]:
    return lambda x_adv: {"accuracy": loaded.measure_accuracy(x_adv)}


def prepare_ours(
    workload: Workload, *, n: int, loss: str, eps: tuple[float, ...], precision: str = "float32"
) -> Prepared:
    """Return our BIM, as ``advae attack`` crafts it, with its robust accuracy at every eps."""
    import numpy as np

    from advae.evaluation.attacker import Attacker
    from advae.evaluation.pipelines import load_pipeline
    from advae.threats import THREATS

    loaded = workload.load("nn")
    pipeline = load_pipeline(workload.registry, loaded.manifest, precision=precision)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]
    recipe = loaded.describe_attack("bim", eps, steps=STEPS, loss=loss)
    attacker = Attacker(THREATS["adaptive"].view(pipeline), recipe, x, y, lambda: None)

    def work() -> list[Any]:
        return [np.concatenate([found.x_adv for found in attacker.propose(one, np.arange(n), None)]) for one in eps]

    def measure_quality(found: list[Any]) -> dict[str, float]:
        accuracies = [loaded.measure_accuracy(x_adv) for x_adv in found]
        return {"accuracy": accuracies[-1]} | {f"accuracy at {e:g}": a for e, a in zip(eps, accuracies, strict=True)}

    return work, measure_quality


def prepare_foolbox(workload: Workload, *, n: int, batch: int) -> Prepared:
    """Return foolbox' BIM."""
    import numpy as np

    from tests.benchmarks.peer_attacks import import_peers

    loaded = workload.load("nn")
    import_peers()
    import foolbox
    import tensorflow as tf

    # The device is named because foolbox would look for one with a function that TensorFlow deprecates.
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else "/CPU:0"
    model = foolbox.TensorFlowModel(loaded.classify, bounds=(0, 1), device=device)
    method = foolbox.attacks.LinfBasicIterativeAttack(steps=STEPS, rel_stepsize=1 / STEPS)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def work() -> Any:
        parts = [(tf.constant(x[i : i + batch]), tf.constant(y[i : i + batch])) for i in range(0, n, batch)]
        return np.concatenate([method(model, *part, epsilons=EPS)[1].numpy() for part in parts])

    return work, _measure_quality(loaded)


def prepare_art(workload: Workload, *, n: int, batch: int) -> Prepared:
    """Return the Adversarial Robustness Toolbox's BIM."""
    from tests.benchmarks.peer_attacks import import_peers

    loaded = workload.load("nn")
    import_peers()
    import keras
    from art.attacks.evasion import BasicIterativeMethod
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
    step = EPS / STEPS
    method = BasicIterativeMethod(model, eps=EPS, eps_step=step, max_iter=STEPS, batch_size=batch, verbose=False)
    return lambda: method.generate(x.copy(), y), _measure_quality(loaded)


def prepare_cleverhans(workload: Workload, *, n: int, batch: int) -> Prepared:
    """Return CleverHans' BIM: its projected gradient descent without random start."""
    import numpy as np

    loaded = workload.load("nn")
    import tensorflow as tf
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def attack(rows: slice) -> Any:
        # Its own check of the range raises with NumPy 2.
        options = {"clip_min": 0.0, "clip_max": 1.0, "rand_init": False, "sanity_checks": False}
        images, labels = tf.constant(x[rows]), tf.constant(y[rows])
        step = EPS / STEPS
        return projected_gradient_descent(
            loaded.classify, images, EPS, step, STEPS, np.inf, y=labels, **options
        ).numpy()

    return lambda: np.concatenate([attack(slice(i, i + batch)) for i in range(0, n, batch)]), _measure_quality(loaded)


def prepare_product(library: str, size: int) -> Prepared:
    """Return the product of two square float32 matrices, which has no quality but its time."""
    import numpy as np

    if library == "numpy":
        a = np.ones((size, size), np.float32)
        return lambda: a @ a, lambda product: {}
    from advae.backend import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    b, multiply = tf.ones((size, size)), tf.function(tf.matmul)
    return lambda: multiply(b, b)[0, 0].numpy(), lambda product: {}


# ---------------------------------------------------------------- the sections


def measure_bim(
    workload: Workload, *, n: int = 10_000, batches: tuple[int, ...] = (1000, 2500), rounds: int = 3
) -> Section:
    """Compare ten steps of BIM at eps 0.3 with every peer's, at several sizes of its batches."""
    ours = Contender(OURS, prepare_ours, {"workload": workload, "n": n, "loss": "ce", "eps": (EPS,)})
    makers = {"foolbox": prepare_foolbox, "ART": prepare_art, "CleverHans": prepare_cleverhans}
    peers = [
        Contender(f"{name}, batch {batch}", make, {"workload": workload, "n": n, "batch": batch})
        for name, make in makers.items()
        for batch in batches
    ]
    products = [
        Contender(f"{library} product {size}", prepare_product, {"library": library, "size": size})
        for library in ("numpy", "tensorflow")
        for size in SIZES
    ]
    found = take_turns([ours, *peers, *products], rounds=rounds)
    slow = Contender("ART, batch 32, its default", prepare_art, {"workload": workload, "n": n, "batch": 32})
    # It takes minutes where the others take seconds: once will do.
    found.insert(1, take_turns([slow], rounds=1)[0])
    by_name = {one.name: one for one in found}
    sizes = {name: int(name.rsplit(" ", 1)[1]) for name in by_name if " product " in name}
    rates = {name: 2 * size**3 / median(by_name[name].seconds) for name, size in sizes.items()}
    work, peak = _count_operations(workload, n), max(rates.values())
    best = {name: _find_best(found, name) for name in makers}
    spread = [one.quality["accuracy"] for one in found if one.quality]
    at_1000 = by_name.get("foolbox, batch 1000", best["foolbox"])
    return Section(
        "BIM",
        f"{STEPS} steps of BIM at eps {EPS:g}, cross-entropy, the paper's network, {n} images",
        tuple(one for one in found if one.quality),
        (
            Target("foolbox' time / ours", compare(at_1000, by_name[OURS]), "at least", 3.5),
            Target("ART's time at its best batch / ours", compare(best["ART"], by_name[OURS]), "at least", 5),
            Target("CleverHans' at its best batch / ours", compare(best["CleverHans"], by_name[OURS]), "at least", 1.5),
            Target("our operations / the machine's", work / median(by_name[OURS].seconds) / peak, "at least", 0.65),
            Target("spread of accuracies", max(spread) - min(spread), "at most", 0.002),
        ),
        {
            "operations a second": {one.name: work / median(one.seconds) for one in found if one.quality},
            "products, operations a second": rates,
        },
    )


def _find_best(found: list[Measured], library: str) -> Measured:
    return min((one for one in found if one.name.startswith(library)), key=lambda one: median(one.seconds))


def _count_operations(workload: Workload, n: int) -> float:
    """Return the operations of the attack: two a weight forwards, and two back to the image."""
    arrays = workload.registry.read_arrays(workload.train("nn"), "weights.npz")
    return 4.0 * n * STEPS * sum(array.size for array in arrays.values() if array.ndim == 2)


def measure_precision(workload: Workload, *, n: int = 10_000, rounds: int = 3) -> Section:
    """Compare the attack crafted in bfloat16 with the one in float32, both scored in float32."""
    from advae.workflows.attacking import LEAST_GAIN

    shared = {"workload": workload, "n": n, "loss": "scaled", "eps": (0.05, 0.1)}
    full, low, gain = take_turns(
        [
            Contender("float32", prepare_ours, shared),
            Contender("bfloat16", prepare_ours, {**shared, "precision": "bfloat16"}),
            Contender("gain", prepare_gain),
        ],
        rounds=rounds,
    )
    apart = max(abs(full.quality[name] - low.quality[name]) for name in full.quality)
    faster, here = compare(full, low), gain.quality["gain"]
    refused = here < LEAST_GAIN
    why = f"refused here: products in bfloat16 run at {here:.2f} times the speed of float32's" if refused else ""
    return Section(
        "precision",
        f"{STEPS} steps of BIM at eps 0.05 and 0.1, {n} images, crafted in either precision, scored in float32",
        (full, low),
        (
            Target("float32's time / bfloat16's", None if refused else faster, "at least", 1.8, why),
            Target("difference of accuracies", apart, "at most", 0.002),
        ),
        {"products, bfloat16 / float32": here, "attack, bfloat16 / float32": faster},
    )


def prepare_gain() -> Prepared:
    """Return the measurement by which ``--precision bfloat16`` is refused."""
    from advae.backend import compare_precisions, start_tensorflow

    start_tensorflow()
    return compare_precisions, lambda gain: {"gain": gain}


def prepare_sweep(workload: Workload, *, n: int, eps: tuple[float, ...], **options: Any) -> Prepared:
    """Return a whole attack as ``advae attack`` makes it: tracing, crafting, scoring, probing."""
    from advae.evaluation.evaluate import evaluate
    from advae.threats import THREATS

    loaded = workload.load("nn")
    surface = THREATS["adaptive"].view(loaded.pipeline)
    recipe = loaded.describe_attack("bim", eps, **options)

    def work() -> Any:
        return evaluate(surface, recipe, loaded.data.x_test[:n], loaded.data.y_test[:n])

    return work, lambda found: {"accuracy": found.metrics.results[-1].accuracy}


def measure_sweep(workload: Workload, *, n: int = 10_000, rounds: int = 3) -> Section:
    """Compare an attack at ten eps with one at one eps."""
    many = tuple(round(0.03 * k, 2) for k in range(1, 11))
    one, ten = take_turns(
        [
            Contender(f"{len(eps)} eps", prepare_sweep, {"workload": workload, "n": n, "eps": eps})
            for eps in ((EPS,), many)
        ],
        rounds=rounds,
    )
    return Section(
        "sweep",
        f"a whole BIM attack, tracing and scoring included, {n} images",
        (one, ten),
        (Target("ten eps' time / ten times one's", compare(ten, one) / 10, "at most", 1.0),),
    )
