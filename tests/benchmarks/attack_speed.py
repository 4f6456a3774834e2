"""Speed of BIM and PGD beside foolbox, ART and CleverHans; in bfloat16; over many eps; of a whole command."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.benchmarks.contenders import Contender, compare, take_turns
from tests.benchmarks.measurements import Measured, Section, Target
from tests.benchmarks.stepping_contenders import (
    PEERS,
    Prepared,
    Steps,
    prepare_art,
    prepare_cleverhans,
    prepare_ours,
)
from tests.benchmarks.workload import Workload

BIM = Steps("bim", 0.3, 10, 1.0)
PGD = Steps("pgd", 0.1, 40, 2.5)
OURS = "advae"
SIZES = (1024, 2048)
"""Sizes of the square matrices whose product shows the speed of the processor; the faster one counts."""


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
    slow = Contender(
        "ART, batch 32, its default", prepare_art, {"workload": workload, "n": n, "batch": 32, "steps": BIM}
    )
    found, products = _race(workload, BIM, n=n, batches=batches, rounds=rounds)
    # It takes minutes where the others take seconds: once will do.
    found.insert(1, take_turns([slow], rounds=1)[0])
    best = {name: _find_best(found, name) for name in PEERS}
    at_1000 = next((one for one in found if one.name == "foolbox, batch 1000"), best["foolbox"])
    return _describe(
        workload,
        BIM,
        n,
        found,
        products,
        Target("foolbox' time / ours", compare(at_1000, found[0]), "at least", 3.5),
        Target("ART's time at its best batch / ours", compare(best["ART"], found[0]), "at least", 5),
        Target("CleverHans' at its best batch / ours", compare(best["CleverHans"], found[0]), "at least", 1.5),
    )


def measure_pgd(
    workload: Workload, *, n: int = 10_000, batches: tuple[int, ...] = (1000, 2500), rounds: int = 3
) -> Section:
    """Compare forty steps of PGD at eps 0.1 with every peer's: ours does not attack again what is broken."""
    found, products = _race(workload, PGD, n=n, batches=batches, rounds=rounds)
    bounds = {"foolbox": 6, "ART": 6, "CleverHans": 4}
    ratios = {name: compare(_find_best(found, name), found[0]) for name in PEERS}
    targets = [
        Target(f"{name}'s time at its best batch / ours", ratios[name], "at least", bound)
        for name, bound in bounds.items()
    ]
    return _describe(workload, PGD, n, found, products, *targets)


def _race(
    workload: Workload, steps: Steps, *, n: int, batches: tuple[int, ...], rounds: int
) -> tuple[list[Measured], list[Measured]]:
    """Return ours, first, and every peer at every batch; and the products of matrices, all in turns."""
    shared = {"workload": workload, "n": n, "steps": steps}
    ours = Contender(OURS, prepare_ours, {**shared, "eps": (steps.eps,)})
    peers = [
        Contender(f"{name}, batch {batch}", prepare, {**shared, "batch": batch})
        for name, prepare in PEERS.items()
        for batch in batches
    ]
    products = [
        Contender(f"{library} product {size}", prepare_product, {"library": library, "size": size})
        for library in ("numpy", "tensorflow")
        for size in SIZES
    ]
    found = take_turns([ours, *peers, *products], rounds=rounds)
    return found[: 1 + len(peers)], found[1 + len(peers) :]


def _describe(
    workload: Workload, steps: Steps, n: int, found: list[Measured], products: list[Measured], *ratios: Target
) -> Section:
    sizes = {one.name: int(one.name.rsplit(" ", 1)[1]) for one in products}
    rates = {one.name: 2 * sizes[one.name] ** 3 / median(one.seconds) for one in products}
    work, spread = _count_operations(workload, n, steps.count), [one.quality["accuracy"] for one in found]
    # Ours takes fewer steps where images leave, so its rate says nothing there.
    share = work / median(found[0].seconds) / max(rates.values())
    rated = (Target("our operations / the machine's", share, "at least", 0.65),) if steps == BIM else ()
    name = steps.method.upper()
    return Section(
        name,
        f"{steps.count} steps of {name} at eps {steps.eps:g}, cross-entropy, the paper's network, {n} images",
        tuple(found),
        (*ratios, *rated, Target("spread of accuracies", max(spread) - min(spread), "at most", 0.002)),
        {
            "operations of all steps, seconds at the fastest product": work / max(rates.values()),
            "operations a second": {one.name: work / median(one.seconds) for one in found},
            "products, operations a second": rates,
        },
    )


def _find_best(found: list[Measured], library: str) -> Measured:
    return min((one for one in found if one.name.startswith(library)), key=lambda one: median(one.seconds))


def _count_operations(workload: Workload, n: int, steps: int) -> float:
    """Return the operations of all steps: two a weight forwards, and two back to the image."""
    arrays = workload.registry.read_arrays(workload.train("nn"), "weights.npz")
    return 4.0 * n * steps * sum(array.size for array in arrays.values() if array.ndim == 2)


def measure_precision(workload: Workload, *, n: int = 10_000, rounds: int = 3) -> Section:
    """Compare the attack crafted in bfloat16 with the one in float32, both scored in float32."""
    from advae.workflows.computing_runs import LEAST_GAIN

    shared = {"workload": workload, "n": n, "loss": "scaled", "eps": (0.05, 0.1), "steps": BIM}
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
        f"{BIM.count} steps of BIM at eps 0.05 and 0.1, {n} images, crafted in either precision, scored in float32",
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
            for eps in ((BIM.eps,), many)
        ],
        rounds=rounds,
    )
    return Section(
        "sweep",
        f"a whole BIM attack, tracing and scoring included, {n} images",
        (one, ten),
        (Target("ten eps' time / ten times one's", compare(ten, one) / 10, "at most", 1.0),),
    )


def prepare_cleverhans_scored(workload: Workload, *, n: int, batch: int) -> Prepared:
    """Return CleverHans' BIM at one eps and the accuracy of what it returns: a user's own loop."""
    work, measure = prepare_cleverhans(workload, n=n, batch=batch, steps=BIM)
    return lambda: measure(work()), lambda found: found


def measure_one_more(workload: Workload, *, n: int = 10_000, rounds: int = 5) -> Section:
    """Compare one more eps of a whole attack, scores and probes included, with CleverHans' loop and its accuracy."""
    shared = {"workload": workload, "n": n, "loss": "ce"}
    few, many, theirs = take_turns(
        [
            Contender("one eps", prepare_sweep, {**shared, "eps": (BIM.eps,)}),
            Contender("three eps", prepare_sweep, {**shared, "eps": (0.1, 0.2, BIM.eps)}),
            Contender("CleverHans, one eps", prepare_cleverhans_scored, {"workload": workload, "n": n, "batch": 2500}),
        ],
        rounds=rounds,
    )
    more = tuple((b - a) / 2 for a, b in zip(few.seconds, many.seconds, strict=True))
    ours = Measured("one more eps", more, many.peak_memory, many.quality)
    return Section(
        "one more eps",
        f"a whole BIM attack, {n} images: what one more eps costs",
        (few, many, ours, theirs),
        (Target("CleverHans' time / ours", compare(theirs, ours), "at least", 1.4),),
    )
