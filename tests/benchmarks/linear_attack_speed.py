"""Speed of the paper's linear attack on logistic regression at many eps, beside a loop over images and ART."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks.contenders import Contender, compare, take_turns
from tests.benchmarks.measurements import Section, Target
from tests.benchmarks.workload import LoadedClassifier, Workload

EPS_SWEEP = tuple(round(0.02 * k, 2) for k in range(1, 21))

Prepared = tuple[Callable[[], Any], Callable[[Any], dict[str, float]]]


def prepare_ours(workload: Workload, *, n: int, clip: bool) -> Prepared:
    """Return our attack at all eps, with everything that it measures for each image."""
    import numpy as np

    from advae.evaluation.attacker import Attacker
    from advae.evaluation.eps_sweep import EpsSweep
    from advae.evaluation.run_artifacts import SavedSamples
    from advae.evaluation.scorer import Scorer
    from advae.threats import THREATS

    loaded = workload.load("lr")
    recipe = loaded.describe_attack("non-targeted", EPS_SWEEP, clip=clip)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]
    surface = THREATS["adaptive"].view(loaded.pipeline)
    attacker = Attacker(surface, recipe, x, y, lambda: None)
    assert attacker.line
    sweep, saved = (
        EpsSweep(attacker, Scorer(surface, recipe, x), attacker.line),
        SavedSamples(np.arange(10), np.arange(10)),
    )

    def measure_quality(found: list[Any]) -> dict[str, float]:
        return _describe([(one.predictions == y).mean() for one in found])

    return lambda: sweep.score(EPS_SWEEP, None, saved), measure_quality


def prepare_whole(workload: Workload, *, n: int, clip: bool) -> Prepared:
    """Return the whole attack as ``advae attack`` makes it, tracing, gradient health and probing included."""
    from advae.evaluation.evaluate import evaluate
    from advae.threats import THREATS

    loaded = workload.load("lr")
    recipe = loaded.describe_attack("non-targeted", EPS_SWEEP, clip=clip)
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]
    surface = THREATS["adaptive"].view(loaded.pipeline)
    return (
        lambda: evaluate(surface, recipe, x, y),
        lambda found: _describe([result.accuracy for result in found.metrics.results]),
    )


def prepare_loop(workload: Workload, *, n: int, clip: bool) -> Prepared:
    """Return the attack written image by image, as its formula reads, in NumPy."""
    import numpy as np

    loaded = workload.load("lr")
    arrays = workload.registry.read_arrays(loaded.manifest, "weights.npz")
    weights, bias = (arrays[name].astype(np.float32) for name in ("coef", "intercept"))
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def attack(image: Any, label: int, eps: float) -> Any:
        logits = weights @ image + bias
        p = np.exp(logits - logits.max())
        p /= p.sum()
        others = np.ones(len(weights), np.float32)
        others[label] = 0
        g = (others - others.sum() * p) @ weights
        return np.clip(image + eps * g / np.abs(g).max(), 0, 1) if clip else image + eps * g / g.max()

    def is_correct(i: int, eps: float) -> bool:
        return bool((weights @ attack(x[i], y[i], eps) + bias).argmax() == y[i])

    return lambda: [sum(is_correct(i, eps) for i in range(n)) / n for eps in EPS_SWEEP], _describe


def prepare_art(workload: Workload, *, n: int, batch: int) -> Prepared:
    """Return ART's FastGradientMethod on the scikit-learn model, and its predictions."""
    import numpy as np

    from advae.models.logistic import LogisticKind
    from tests.benchmarks.peer_attacks import import_peers

    loaded: LoadedClassifier = workload.load("lr")
    import_peers()
    from art.attacks.evasion import FastGradientMethod
    from art.estimators.classification import SklearnClassifier

    recipe, metrics = loaded.manifest.as_classifier()
    arrays = workload.registry.read_arrays(loaded.manifest, "weights.npz")
    model = SklearnClassifier(LogisticKind().rebuild(recipe, arrays, metrics.iterations), clip_values=(0.0, 1.0))
    x, y = loaded.data.x_test[:n], loaded.data.y_test[:n]

    def measure(eps: float) -> float:
        x_adv = FastGradientMethod(model, eps=eps, batch_size=batch).generate(x, y)
        return float(np.mean(model.predict(x_adv).argmax(axis=1) == y))

    return lambda: [measure(eps) for eps in EPS_SWEEP], _describe


def _describe(accuracies: list[float]) -> dict[str, float]:
    """Return the mean accuracy over all eps, and the one at 0.1."""
    return {"accuracy": accuracies[EPS_SWEEP.index(0.1)], "mean": sum(accuracies) / len(accuracies)}


def measure(workload: Workload, *, n: int = 10_000, rounds: int = 3) -> Section:
    """Compare the non-targeted attack at twenty eps, clipped and not, with a loop and with ART."""
    options = {"workload": workload, "n": n}
    contenders = [
        Contender(f"{name}, {'clipped' if clip else 'not clipped'}", make, {**options, "clip": clip})
        for name, make in (("advae", prepare_ours), ("advae, whole attack", prepare_whole), ("loop", prepare_loop))
        for clip in (True, False)
    ]
    art = Contender("ART's FastGradientMethod", prepare_art, {**options, "batch": 1000})
    found = take_turns([*contenders, art], rounds=rounds)
    ours, raw, _, _, loop, raw_loop, peer = found
    apart = max(abs(a.quality["mean"] - b.quality["mean"]) for a, b in ((ours, loop), (raw, raw_loop)))
    return Section(
        "linear attacks",
        f"the non-targeted attack on logistic regression at {len(EPS_SWEEP)} eps, {n} images",
        tuple(found),
        (
            Target("the loop's time / ours, clipped", compare(loop, ours), "at least", 15),
            Target("the loop's time / ours, not clipped", compare(raw_loop, raw), "at least", 50),
            Target("ART's time / ours, clipped", compare(peer, ours), "at least", 3),
            Target("difference of mean accuracies to the loop's", apart, "at most", 0.0005),
        ),
    )
