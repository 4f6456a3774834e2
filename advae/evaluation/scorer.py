"""The scorer: measures predictions, norms and pixel range of adversarial examples, independently of the attack."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.attacks.ball import round_to_8_bits
from advae.batching import Tensor
from advae.errors import AdvaeError
from advae.evaluation.purifier_draws import (
    KEPT_DRAWS,
    SCORING_DRAWS,
    draw_for_rate,
    draw_for_rate_trial,
    draw_for_score,
    draw_for_trial,
)
from advae.evaluation.run_artifacts import EpsScores, SavedSamples
from advae.threats import THREATS, Surface
from advae.tracing import loops_over_tensors, trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advae.evaluation.proposals import Proposal
    from advae.records import FloatArray, IntArray, RunRecipe


MEASURED_IN_GRAPH = {
    "predictions": "int64",
    "rounded": "int64",
    "success_rate": "float32",
    "wrong_draws": "bool",
    "linf": "float32",
    "l2": "float32",
    "x_adv": "float32",
    "seen": "float32",
    "low": "float32",
    "high": "float32",
    "finite": "bool",
    "inside": "bool",
    "longest": "float32",
    "largest": "float32",
}
"""The measurements of a batch that are made in the TensorFlow graph: name -> dtype."""


class Scorer:
    """The scorer of one pipeline; it uses draws that no attack step uses. x: float32 (n, d) in [0, 1]."""

    def __init__(self, surface: Surface, recipe: RunRecipe, x: FloatArray) -> None:
        import tensorflow as tf

        self.surface, self.recipe, self.x = surface, recipe, x
        images, whole = tf.TensorSpec((None, x.shape[1]), tf.float32), tf.TensorSpec((), tf.int32)
        self.classify = trace(self._classify_batch, [images, whole])
        self._round = trace(self._classify_rounded, [images, whole])
        labels = tf.TensorSpec((None,), tf.int64)
        self._rate = trace(lambda x, y, index: self.rate(x, y, index, draw_for_rate), [images, labels, whole])
        self._try = trace(lambda x, y, index: self.rate(x, y, index, draw_for_rate_trial)[0], [images, labels, whole])
        self.start = trace(self._start_batch, [images, whole])

    @property
    def on_images(self) -> bool:
        """Whether x_adv are images, which can be stored in 8 bits, and not purified data."""
        return THREATS[self.recipe.threat].on_input

    @property
    def measured(self) -> list[str]:
        """The names of the measurements that ``measure`` returns."""
        fixed = not self.surface.samples
        absent = {"rounded": not self.on_images, "success_rate": fixed, "wrong_draws": fixed}
        return [name for name in MEASURED_IN_GRAPH if not absent.get(name)]

    def measure_success(self, index: int, x_adv: FloatArray, y: IntArray) -> dict[str, NDArray[Any]]:
        """Return the success of each image on SCORING_DRAWS, which nothing else uses; empty without sampling.

        success_rate: share of draws with a wrong prediction, float32 (m,); wrong_draws: whether it is wrong on each of
        the first draws, bool (m, KEPT_DRAWS). y: the true classes.
        """
        if not self.surface.samples:
            return {}
        rate, wrong = self._apply(self._rate, index, x_adv, y)
        return {"success_rate": rate.numpy(), "wrong_draws": wrong.numpy()}

    def measure_trial(self, index: int, x_adv: FloatArray, y: IntArray) -> FloatArray:
        """Return the share of trial draws with a wrong prediction, float32 (m,); one draw where the pipeline has none.

        An attacker can measure it; the score uses other draws.
        """
        import numpy as np

        sampled = self._apply(self._try, index, x_adv, y).numpy() if self.surface.samples else None
        wrong: FloatArray = (self.try_out(index, x_adv) != y).astype(np.float32) if sampled is None else sampled
        return wrong

    def measure_rounded(self, index: int, x_adv: FloatArray, y: IntArray) -> FloatArray:
        """Return 1 for each image that is misclassified after rounding to 8 bits, else 0: float32 (m,)."""
        import numpy as np
        import tensorflow as tf

        draw = draw_for_trial(self.recipe.seed, index)
        decided = metrics.decide(self._round(tf.constant(x_adv), tf.constant(draw)).numpy())
        wrong: FloatArray = (decided != y).astype(np.float32)
        return wrong

    def _apply(self, rate: Any, index: int, x_adv: FloatArray, y: IntArray) -> Any:
        import tensorflow as tf

        return rate(*map(tf.constant, (x_adv, y, index)))

    def score(self, index: int, proposal: Proposal, eps: float, y: IntArray, saved: SavedSamples) -> EpsScores:
        """Return the scores of a proposal. Raises AdvaeError where it is outside budget or range.

        y: int64 (n,), the true classes; saved: the samples whose images are returned.
        """
        import numpy as np
        import tensorflow as tf

        rows, x_adv = proposal.rows, proposal.x_adv
        inputs = tf.constant(x_adv), tf.constant(draw_for_score(self.recipe.seed, index))
        seen, logits = (output.numpy() for output in self.classify(*inputs))
        linf, l2 = metrics.perturbation_norms(proposal.start, x_adv)
        self._check(proposal, eps, longest=float((linf if self.recipe.norm == "linf" else l2).max()))
        success = self.measure_success(index, x_adv, y[rows])
        return EpsScores(
            predictions=metrics.decide(logits),
            rounded=metrics.decide(self._round(*inputs).numpy()) if self.on_images else None,
            success_rate=success.get("success_rate"),
            wrong_draws=success.get("wrong_draws"),
            linf=linf.astype(np.float32),
            l2=l2.astype(np.float32),
            x_adv=x_adv[np.isin(rows, saved.images)],
            seen=seen[np.isin(rows, saved.shown)],
            targets=None,
            pixel_range=(float(x_adv.min()), float(x_adv.max())),
            finite=bool(np.isfinite(x_adv).all()),
        )

    def check_proposal(self, proposal: Proposal, eps: float) -> None:
        """Raise AdvaeError where a proposal is outside budget or range."""
        linf, l2 = metrics.perturbation_norms(proposal.start, proposal.x_adv)
        self._check(proposal, eps, longest=float((linf if self.recipe.norm == "linf" else l2).max()))

    def _check(self, proposal: Proposal, eps: float, *, longest: float) -> None:
        start, x_adv = proposal.start, proposal.x_adv
        lower, upper = start.clip(max=0.0), start.clip(min=self.surface.upper)
        self.check(
            eps,
            longest=longest,
            inside=bool(((x_adv >= lower) & (x_adv <= upper)).all()),
            largest=float(abs(start).max()),
            pixels=(float(x_adv.min()), float(x_adv.max())),
        )

    def try_out(self, index: int, x_adv: FloatArray, k: int | None = None) -> IntArray:
        """Return the predictions by a draw that the score does not use, int64 (m,); k: the k-th draw of a trial."""
        import tensorflow as tf

        seed = self.recipe.seed
        draw = draw_for_trial(seed, index) if k is None else draw_for_rate_trial(seed, index, k)
        return metrics.decide(self.classify(tf.constant(x_adv), tf.constant(draw))[1].numpy())

    def check(self, eps: float, *, longest: float, inside: bool, largest: float, pixels: tuple[float, float]) -> None:
        """Raise AdvaeError where a projected attack is outside budget or range; unprojected attacks are not checked.

        longest: norm of the largest perturbation; inside: whether every pixel is in its range; largest: greatest
        magnitude of a pixel where the attack starts; pixels: smallest and largest pixel of x_adv.
        """
        if self.recipe.clip and not (inside and longest <= eps + metrics.BUDGET_TOLERANCE * max(1.0, largest)):
            raise AdvaeError(
                f"attack {self.recipe.method!r} left its budget: {self.recipe.norm} {longest:.9g} at eps {eps!r}, "
                f"pixels from {pixels[0]:.9g} to {pixels[1]:.9g}; nothing was stored"
            )

    # ------------------------------------------------------------ traced

    def _start_batch(self, x: Tensor, draw: Tensor) -> Tensor:
        return self.surface.start(x, draw)

    def _classify_batch(self, x_adv: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the classifier, and its logits."""
        seen = self.surface.see(x_adv, draw)
        return seen, self.surface.classify(seen)

    def _classify_rounded(self, x_adv: Tensor, draw: Tensor) -> Tensor:
        """Return the logits after rounding the images to 8 bits."""
        return self._classify_batch(round_to_8_bits(x_adv), draw)[1]

    @loops_over_tensors
    def rate(
        self, x_adv: Tensor, y: Tensor, index: Tensor, draw: Callable[[int, Tensor, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the share of SCORING_DRAWS with a wrong prediction, and whether each of the KEPT_DRAWS is wrong.

        Shapes: float32 (m,), bool (m, KEPT_DRAWS). draw: (seed, index, k) -> the k-th of them.
        """
        import tensorflow as tf

        count, kept = tf.zeros_like(y), tf.cast(tf.zeros_like(y)[:, None] * tf.zeros(KEPT_DRAWS, tf.int64), tf.bool)
        for k in tf.range(SCORING_DRAWS):
            wrong = self.decide(self._classify_batch(x_adv, draw(self.recipe.seed, index, k))[1]) != y
            count += tf.cast(wrong, tf.int64)
            kept |= wrong[:, None] & (tf.range(KEPT_DRAWS) == k)
        return tf.cast(count, tf.float32) / SCORING_DRAWS, kept

    def measure(
        self, start: Tensor, x_adv: Tensor, y: Tensor, index: Tensor, saved: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """Return the measurements of a batch that are made in the graph, by the names of ``measured``.

        y: the true classes; index: of the batch; saved: positions of the samples whose x_adv is returned; shown:
        positions of the samples whose classifier input is returned.
        """
        import tensorflow as tf

        draw = draw_for_score(self.recipe.seed, index)
        delta, (seen, logits) = x_adv - start, self._classify_batch(x_adv, draw)
        linf, l2 = tf.reduce_max(tf.abs(delta), axis=-1), tf.sqrt(tf.reduce_sum(delta * delta, axis=-1))
        low, high, (lower, upper) = tf.reduce_min(x_adv), tf.reduce_max(x_adv), self.surface.find_range(start)
        # Where a pixel is not finite the norm is not finite either.
        finite = tf.reduce_all(tf.math.is_finite(l2))
        # Comparing every pixel takes as long as the attack; where all pixels have one range, the extremes are enough.
        inside = (low >= lower) & (high <= upper) if self.on_images else (x_adv >= lower) & (x_adv <= upper)
        found = {
            "predictions": self.decide(logits),
            "linf": linf,
            "l2": l2,
            "x_adv": tf.gather(x_adv, saved),
            "seen": tf.gather(seen, shown),
            "low": low,
            "high": high,
            "finite": finite,
            "inside": finite & tf.reduce_all(inside),
            "longest": tf.reduce_max(linf if self.recipe.norm == "linf" else l2),
            "largest": tf.reduce_max(tf.abs(start)),
        }
        if self.on_images:
            found["rounded"] = self.decide(self._classify_rounded(x_adv, draw))
        if self.surface.samples:
            found["success_rate"], found["wrong_draws"] = self.rate(x_adv, y, index, draw_for_rate)
        return found

    def decide(self, logits: Tensor) -> Tensor:
        """Return the class of the largest logit, as ``metrics.decide`` does, in the graph."""
        import tensorflow as tf

        return tf.argmax(tf.where(tf.math.is_nan(logits), -float("inf"), logits), axis=-1)
