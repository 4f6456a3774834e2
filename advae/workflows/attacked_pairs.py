"""The pairs of an attack on a code: their choice, the adversarial examples, and what is measured on them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.attacks.code_steering import CODE_OPTIMIZERS, list_trade_offs, view_code
from advae.batching import BATCH, apply
from advae.checks.steered_codes import SteeredPairs, check_steering
from advae.distortion_curves import PairDistances, summarize_curves
from advae.errors import CorruptError, UsageError
from advae.records import SAMPLES, STEERED, CodeAttackMetrics, CodeAttackRecipe, Dataset
from advae.sampling import choose_pairs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.attacks.code_steering import CodeView, Find
    from advae.models.contracts import Purifier
    from advae.models.layers import Arrays
    from advae.records import FloatArray, IntArray

BLENDS = 11
"""Blends of the two images that the attack is compared with, from the original to the target, both included."""

SHOWN_PAIRS = 5
"""Pairs whose images are stored for reports."""

SHOWN_WAY = 0.8
"""Of each pair the smallest perturbation is shown that makes this share of the way that the attack can make."""


@dataclass(frozen=True, eq=False)
class CodePairs:
    """Pairs of an original and a target image; p pairs of images of d values."""

    originals: IntArray
    """Positions of the originals in the test set, (p,)."""
    targets: IntArray
    """Positions of the targets, (p,)."""
    x: FloatArray
    """Originals, then targets, (2 p, d)."""
    y: IntArray
    """Their labels, (2 p,)."""

    @property
    def x_original(self) -> FloatArray:
        """The originals, (p, d)."""
        return self.x[: len(self.originals)]

    @property
    def x_target(self) -> FloatArray:
        """The targets, (p, d)."""
        return self.x[len(self.originals) :]


def choose_code_pairs(dataset: Dataset, recipe: CodeAttackRecipe) -> CodePairs:
    """Return the pairs of a recipe. Raises UsageError where the images have none."""
    import numpy as np

    y = dataset.y_test[: recipe.limit]
    try:
        originals, targets = choose_pairs(y, recipe.pairs, recipe.seed, recipe.target)
    except ValueError as error:
        where = f"the first {len(y)} test images" if recipe.limit else "the test images"
        where += f" of {dataset.ref.title}" + ("" if recipe.target is None else f" with --target {recipe.target}")
        raise UsageError(
            f"cannot draw {recipe.pairs} pairs from {where}: {error}; give fewer --pairs, or raise or leave out --limit"
        ) from None
    both = np.concatenate([originals, targets])
    return CodePairs(originals, targets, dataset.x_test[both], y[both])


# ---------------------------------------------------------------- the attack


@dataclass(frozen=True, eq=False)
class AttackedPairs:
    """Everything that is measured on the attacked pairs: p pairs, k weights, images of d values."""

    recipe: CodeAttackRecipe
    """The recipe."""
    pairs: CodePairs
    """The pairs."""
    weights: NDArray[np.float64]
    """The weights C, rising, (k,)."""
    x_adv: FloatArray
    """Adversarial examples, (p, k, d)."""
    purified: FloatArray
    """Reconstructions of the originals, then of the targets, (2 p, d)."""
    purified_adv: FloatArray
    """Reconstructions of the adversarial examples, (p, k, d)."""
    distances: PairDistances
    """Distances of images and reconstructions."""
    code_distances: NDArray[np.float64]
    """Distance of the adversarial examples' codes from the targets', (p, k)."""
    codes_apart: NDArray[np.float64]
    """Distance of the originals' codes from the targets', (p,)."""
    blends: NDArray[np.float64]
    """Lowest objective of a blend of the two images, (p, k)."""

    @classmethod
    def make(
        cls, purifier: Purifier, pairs: CodePairs, recipe: CodeAttackRecipe, on_batch: Callable[[int, int], None]
    ) -> AttackedPairs:
        """Attack the pairs of a recipe and measure them."""
        import numpy as np

        if purifier.encode is None:
            raise TypeError("the purifier has no code")
        view, weights = view_code(purifier.encode, purifier.moments), list_trade_offs(recipe.points)
        p, d = pairs.x_original.shape
        codes = apply(lambda x, draw: view.describe(x), pairs.x)
        x_adv = _attack(CODE_OPTIMIZERS[recipe.optimizer].compile(view), pairs, codes[p:], weights, recipe, on_batch)
        purified = apply(lambda x, draw: purifier.mean(x), pairs.x)
        purified_adv = apply(lambda x, draw: purifier.mean(x), x_adv.reshape(-1, d)).reshape(x_adv.shape)
        apart, steered = _measure_codes(view, pairs, codes, x_adv)
        target, original = pairs.x_target, pairs.x_original
        return cls(
            recipe=recipe,
            pairs=pairs,
            weights=weights,
            x_adv=x_adv,
            purified=purified,
            purified_adv=purified_adv,
            distances=PairDistances(
                images=_norm(original - target),
                before=_norm(purified[:p] - target),
                best=_norm(purified[p:] - target),
                distortion=_norm(x_adv - original[:, None]),
                reached=_norm(purified_adv - target[:, None]),
            ),
            code_distances=steered,
            codes_apart=apart,
            blends=np.stack([_blend(view, *pair, weights) for pair in zip(original, target, codes[p:], strict=True)]),
        )

    @functools.cached_property
    def complete(self) -> NDArray[np.bool_]:
        """Which pairs have a curve, (p,)."""
        import numpy as np

        finite = np.isfinite(self.codes_apart) & np.isfinite(self.code_distances).all(1)
        complete: NDArray[np.bool_] = self.distances.find_complete() & finite
        return complete

    @property
    def objectives(self) -> NDArray[np.float64]:
        """The attack's objectives, (p, k)."""
        found: NDArray[np.float64] = self.code_distances + self.weights * self.distances.distortion**2
        return found

    def measure(self, seconds: float) -> CodeAttackMetrics:
        """Return the results. Raises CorruptError where an image is not finite: its weights are damaged."""
        import numpy as np

        if not np.isfinite(self.x_adv).all():
            raise CorruptError(
                f"{self.recipe.autoencoder} gives codes that are not finite; "
                f"`advae registry verify {self.recipe.autoencoder}` checks its weights"
            )
        complete, pixels = self.complete, (float(self.x_adv.min()), float(self.x_adv.max()))
        x, y = self.distances.relate(complete)
        steered = SteeredPairs(
            pixel_range=pixels,
            left_out=int((~complete).sum()),
            codes_apart=self.codes_apart[complete],
            distances=self.code_distances[complete],
            objectives=self.objectives[complete],
            blends=self.blends[complete],
            smallest_y=y.min(axis=1) if len(y) else np.zeros(0),
        )
        return CodeAttackMetrics(
            **summarize_curves(x, y),
            left_out=steered.left_out,
            pixel_range=pixels,
            pairs_digest=metrics.digest_samples(self.pairs.x, self.pairs.y),
            checks=check_steering(steered),
            seconds=round(seconds, 3),
        )

    def collect(self) -> dict[str, Arrays]:
        """Return the arrays of the artifacts; distances are float64 as they are measured."""
        p, found = len(self.pairs.originals), self.distances
        return {
            STEERED: {
                "original_ids": self.pairs.originals,
                "target_ids": self.pairs.targets,
                "labels": self.pairs.y[:p],
                "target_labels": self.pairs.y[p:],
                "weights": self.weights,
                "images": found.images,
                "before": found.before,
                "best": found.best,
                "distortion": found.distortion,
                "reached": found.reached,
                "code_distances": self.code_distances,
                "codes_apart": self.codes_apart,
                "complete": self.complete,
            },
            SAMPLES: self._show(),
        }

    def _show(self) -> Arrays:
        """Return the images of the first pairs that have a curve, (s, d) each, with the weight that is shown."""
        import numpy as np

        rows = np.flatnonzero(self.complete)[:SHOWN_PAIRS]
        x, y = self.distances.relate(self.complete)
        places = np.array([_choose_shown(*pair) for pair in zip(x[: len(rows)], y[: len(rows)], strict=True)], np.int64)
        p = len(self.pairs.originals)
        return {
            "pairs": rows,
            "shown": places,
            "x": self.pairs.x_original[rows],
            "x_adv": self.x_adv[rows, places],
            "purified": self.purified_adv[rows, places],
            "target": self.pairs.x_target[rows],
            "purified_target": self.purified[p + rows],
        }


def _choose_shown(x: NDArray[np.float64], y: NDArray[np.float64]) -> int:
    """Return the position of the smallest perturbation that makes SHOWN_WAY of the way that the attack can make."""
    import numpy as np

    far = np.flatnonzero(1 - y >= SHOWN_WAY * (1 - y.min()))
    return int(far[np.argmin(x[far])])


def _attack(
    find: Find,
    pairs: CodePairs,
    codes: FloatArray,
    weights: NDArray[np.float64],
    recipe: CodeAttackRecipe,
    on_batch: Callable[[int, int], None],
) -> FloatArray:
    """Return the adversarial examples, (p, k, d), as many pairs at once as fit a batch. codes: of the targets."""
    import numpy as np

    p, k = len(codes), len(weights)
    at_once = max(1, BATCH // k) if CODE_OPTIMIZERS[recipe.optimizer].together else 1
    parts = []
    for first in range(0, p, at_once):
        # The last, short batch repeats its first pair, so that it is not traced anew.
        rows = np.arange(first, min(first + at_once, p))
        padded = np.concatenate([rows, np.full(min(at_once, p) - len(rows), first, np.int64)])
        originals, targets = (np.repeat(one[padded], k, axis=0) for one in (pairs.x_original, codes))
        found = find(originals, targets, np.tile(weights, len(padded)).astype(np.float32), recipe.steps)
        parts.append(found.reshape(len(padded), k, -1)[: len(rows)])
        on_batch(len(rows) + first, p)
    return np.concatenate(parts)


def _measure_codes(
    view: CodeView, pairs: CodePairs, codes: FloatArray, x_adv: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances from the targets' codes: of the originals', (p,), and the adversarial examples', (p, k)."""
    import numpy as np

    p, k, d = x_adv.shape
    steered = apply(lambda x, draw: view.describe(x), x_adv.reshape(-1, d))
    apart = view.distance(codes[:p], codes[p:]).numpy()
    found = view.distance(steered, np.repeat(codes[p:], k, axis=0)).numpy().reshape(p, k)
    return apart.astype(np.float64), found.astype(np.float64)


def _blend(
    view: CodeView, original: FloatArray, target: FloatArray, code: FloatArray, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the lowest objective of a blend of two images at each weight, (k,). code: of the target."""
    import numpy as np
    import tensorflow as tf

    shares = np.linspace(0.0, 1.0, BLENDS, dtype=np.float32)[:, None]
    blended = original + shares * (target - original)
    apart = view.distance(view.describe(tf.constant(blended)), np.tile(code, (BLENDS, 1))).numpy().astype(np.float64)
    lowest: NDArray[np.float64] = (apart + weights[:, None] * _norm(blended - original) ** 2).min(axis=1)
    return lowest


def _norm(images: Any) -> NDArray[np.float64]:
    """Return the L2 norm of each image, summed in float64."""
    import numpy as np

    found: NDArray[np.float64] = np.sqrt(np.square(images, dtype=np.float64).sum(axis=-1))
    return found
