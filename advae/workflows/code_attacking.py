"""``advae attack-code``: perturb images until an autoencoder gives them the code of other images."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advae import metrics
from advae.attacks.code_steering import CODE_OPTIMIZERS, list_trade_offs, view_code
from advae.batching import BATCH, apply
from advae.checks.steered_codes import SteeredPairs, check_steering
from advae.distortion_curves import PairDistances, summarize_curves
from advae.errors import CorruptError, UsageError, unknown
from advae.evaluation.pipelines import list_weights, load_purifier
from advae.models.purifiers import explain_no_code
from advae.records import (
    SAMPLES,
    STEERED,
    AutoencoderRecipe,
    CodeAttackMetrics,
    CodeAttackRecipe,
    Dataset,
    Manifest,
    entry_id,
)
from advae.requests import CodeAttackRequest
from advae.sampling import choose_pairs
from advae.workflows.workspace import Content, Made, Workspace, load_dataset_of, make_entry, resolve_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.attacks.code_steering import CodeView, Find
    from advae.models.contracts import Purifier
    from advae.models.layers import Arrays
    from advae.records import FloatArray, IntArray

REVISION = 1
"""Raised when the same recipe gives other numbers."""

MOST_ATTACKED = 200_000_000
"""Most values of all attacked images of one attack, which are in memory together: 0.8 GB."""

BLENDS = 11
"""Blends of the two images that the attack is compared with, from the original to the target, both included."""

SHOWN_PAIRS = 5
"""Pairs whose images are stored for reports."""

SHOWN_WAY = 0.8
"""Of each pair the smallest perturbation is shown that makes this share of the way that the attack can make."""


def steer_codes(workspace: Workspace, ae_ref: str, dataset_name: str | None, request: CodeAttackRequest) -> Made:
    """Return the attack on the code of an autoencoder.

    Raises UsageError where it has no code or the options do not fit, NotFoundError, DatasetError.
    """
    autoencoder = resolve_model(workspace, ae_ref, "ae")
    # An impossible recipe is refused as such, whatever else does not fit it.
    list_weights(autoencoder.as_autoencoder()[0])
    recipe = prepare_code_attack(autoencoder.as_autoencoder()[0], request)
    load = functools.cache(lambda: load_dataset_of(workspace, autoencoder, dataset_name))
    if dataset_name:
        load()
    with workspace.registry.lease([entry_id(recipe), *recipe.parents]):
        return make_code_attack(workspace, recipe, autoencoder, load)


def prepare_code_attack(autoencoder: AutoencoderRecipe, request: CodeAttackRequest) -> CodeAttackRecipe:
    """Return the recipe of a request, with every default filled in; the autoencoder need not be trained yet.

    Raises UsageError where it has no code, or a value does not fit.
    """
    id_, classes = entry_id(autoencoder), autoencoder.dataset.classes
    if why := explain_no_code(autoencoder):
        raise UsageError(f"attack-code needs an autoencoder with a code; {id_} has none: {why}")
    if request.optimizer not in CODE_OPTIMIZERS:
        raise UsageError(unknown("optimizer", request.optimizer, CODE_OPTIMIZERS))
    if request.target is not None and request.target >= len(classes):
        raise UsageError(
            f"bad --target {request.target}: a class from 0 to {len(classes) - 1} of {autoencoder.dataset.title}"
        )
    if request.pairs * request.points * autoencoder.dataset.shape.size > MOST_ATTACKED:
        most = MOST_ATTACKED // (request.points * autoencoder.dataset.shape.size)
        raise UsageError(
            f"bad --pairs {request.pairs}: at most {most} at {request.points} points and images of "
            f"{autoencoder.dataset.shape}; give fewer --pairs or --points"
        )
    return CodeAttackRecipe(
        autoencoder=id_,
        dataset=autoencoder.dataset,
        pairs=request.pairs,
        target=request.target,
        limit=request.limit,
        points=request.points,
        optimizer=request.optimizer,
        steps=request.steps or CODE_OPTIMIZERS[request.optimizer].steps,
        seed=request.seed,
        recipe_rev=REVISION,
    )


def make_code_attack(
    workspace: Workspace,
    recipe: CodeAttackRecipe,
    autoencoder: Manifest,
    load: Callable[[], Dataset],
    *,
    latest: bool = True,
) -> Made:
    """Return the attack of a recipe, computed where it is missing. latest: whether ``latest`` names it afterwards."""

    def compute() -> Content:
        start = time.monotonic()
        pairs = _choose(load(), recipe)
        purifier = load_purifier(workspace.registry, autoencoder)
        if purifier.encode is None:
            raise UsageError(f"attack-code needs an autoencoder with a code; {autoencoder.id} has none")
        attacked = _Attacked.make(purifier, pairs, recipe, workspace.on_batch)
        return attacked.measure(time.monotonic() - start), attacked.collect()

    return make_entry(workspace, recipe, compute, autoencoder.source, latest=latest)


# ---------------------------------------------------------------- the pairs


@dataclass(frozen=True, eq=False)
class _Pairs:
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
        return self.x[: len(self.originals)]

    @property
    def x_target(self) -> FloatArray:
        return self.x[len(self.originals) :]


def _choose(dataset: Dataset, recipe: CodeAttackRecipe) -> _Pairs:
    """Return the pairs of a recipe. Raises UsageError where the images have none."""
    import numpy as np

    y = dataset.y_test[: recipe.limit]
    try:
        originals, targets = choose_pairs(y, recipe.pairs, recipe.seed, recipe.target)
    except ValueError as error:
        where = f"the first {len(y)} test images" if recipe.limit else "the test images"
        where += f" of {dataset.ref.title}" + ("" if recipe.target is None else f" with --target {recipe.target}")
        raise UsageError(f"no pair in {where}: {error}; raise or leave out --limit") from None
    both = np.concatenate([originals, targets])
    return _Pairs(originals, targets, dataset.x_test[both], y[both])


# ---------------------------------------------------------------- the attack


@dataclass(frozen=True, eq=False)
class _Attacked:
    """Everything that is measured on the attacked pairs: p pairs, k weights, images of d values."""

    recipe: CodeAttackRecipe
    """The recipe."""
    pairs: _Pairs
    """The pairs."""
    weights: NDArray[np.float64]
    """The weights C, rising, (k,)."""
    x_adv: FloatArray
    """Attacked images, (p, k, d)."""
    purified: FloatArray
    """Reconstructions of the originals, then of the targets, (2 p, d)."""
    purified_adv: FloatArray
    """Reconstructions of the attacked images, (p, k, d)."""
    distances: PairDistances
    """Distances of images and reconstructions."""
    code_distances: NDArray[np.float64]
    """Distance of the attacked images' codes from the targets', (p, k)."""
    codes_apart: NDArray[np.float64]
    """Distance of the originals' codes from the targets', (p,)."""
    blends: NDArray[np.float64]
    """Lowest objective of a blend of the two images, (p, k)."""

    @classmethod
    def make(
        cls, purifier: Purifier, pairs: _Pairs, recipe: CodeAttackRecipe, on_batch: Callable[[int, int], None]
    ) -> _Attacked:
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
    pairs: _Pairs,
    codes: FloatArray,
    weights: NDArray[np.float64],
    recipe: CodeAttackRecipe,
    on_batch: Callable[[int, int], None],
) -> FloatArray:
    """Return the attacked images, (p, k, d), as many pairs at once as a batch has room for. codes: of the targets."""
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
    view: CodeView, pairs: _Pairs, codes: FloatArray, x_adv: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance from the targets' codes of the originals' codes, (p,), and the attacked images', (p, k)."""
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
