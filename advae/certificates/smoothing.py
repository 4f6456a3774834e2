"""Randomised smoothing: certified L2 radii of the class that a pipeline predicts most often under Gaussian noise.

Cohen et al. 2019, arXiv:1902.02918. The smoothed pipeline is another one than the pipeline without noise: it has
predictions, abstentions and certificates of its own, which say nothing about attacks on the pipeline without noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from advae.batching import BATCH, Tensor
from advae.certificates.certified_images import CertifiedImages, Images, OnProgress, ProofProgress
from advae.errors import CorruptError
from advae.metrics import ABSTAINS, decide_radii
from advae.models.training_progress import NO_CHECKPOINT, TrainingCheckpoint
from advae.threats import Pipeline
from advae.tracing import trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import CertificateRecipe, FloatArray, IntArray

    Floats = NDArray[np.float64]

BLOCK_VALUES = BATCH * 784
"""Most values of the noisy copies that are in memory at once; an image of 28 x 28 pixels has 784."""

SAVE_SECONDS = 30.0
"""Seconds of work that an interruption loses at most, apart from one image."""

NOISE_TAG = 0x5300_7E
"""Part of the seed of the noise, which keeps it apart from all noise that models are trained on."""


@dataclass(frozen=True)
class Smoothing:
    """The noise and the statistics of a smoothed pipeline."""

    sigma: float
    """Standard deviation of the noise, in units of a pixel's range, above 0."""
    samples: int = 10_000
    """Noisy copies of each image that bound the probability of the chosen class from below."""
    select: int = 100
    """Noisy copies of each image that choose the class; none of them is used for the bound."""
    alpha: float = 0.001
    """Probability, in (0, 1), that the certificate of one image is wrong."""
    seed: int = 0
    """Seed of the noise."""


class SmoothedImages(NamedTuple):
    """What is found out about n images under noise."""

    counts: IntArray
    """int64 (n, 2, classes): how often each class is predicted, in rows SELECTING and ESTIMATING."""
    predictions: IntArray
    """int64 (n,): the class that is predicted most often; ABSTAINS where that was not shown."""
    radii: Floats
    """float64 (n,): certified L2 radius of the prediction, in units of a pixel's range; 0 where it abstains."""
    seconds: float
    """Seconds that the counting took, with those before an interruption."""
    seconds_before: float
    """The seconds of them before an interruption; 0 where there was none."""

    @property
    def abstained(self) -> int:
        """The number of images without a prediction."""
        return int((self.predictions == ABSTAINS).sum())


def smooth(
    pipeline: Pipeline,
    x: FloatArray,
    ids: IntArray,
    *,
    smoothing: Smoothing,
    classes: int,
    checkpoint: TrainingCheckpoint = NO_CHECKPOINT,
    on_image: OnProgress = lambda done, total: None,
) -> SmoothedImages:
    """Return predictions and certified radii of the smoothed pipeline.

    x: float32 (n, d) in [0, 1]; ids: int64 (n,), the position of each image in its dataset, from which its noise is
    derived: neither the other images nor an interruption change a result. on_image: (images done, of how many). The
    noise is added before the purifier and is never clipped; a random purifier makes a fresh draw for each copy.

    The noise of the proof is a continuous Gaussian, what is drawn are float32 numbers whose sum with a pixel is
    rounded; the difference, about 1e-7 of a pixel's range, is neglected here as in the literature.

    Raises CorruptError for the checkpoint of other images.
    """
    import numpy as np

    ask = _compile_counts(pipeline, classes, smoothing, x.shape[1])
    counts, before = _resume(checkpoint, ids, classes)
    start = saved = time.monotonic()
    for done in range(len(counts), len(x)):
        counts.append(_count_image(ask, x[done], int(ids[done]), smoothing))
        on_image(done + 1, len(x))
        if time.monotonic() - saved > SAVE_SECONDS and done + 1 < len(x):
            saved = time.monotonic()
            _save(checkpoint, ids, counts, before + saved - start)
    found = np.stack(counts)
    predictions, radii = _decide(found, smoothing)
    return SmoothedImages(found, predictions, radii, before + time.monotonic() - start, before)


def read_smoothing(recipe: CertificateRecipe) -> Smoothing:
    """Return the noise and the statistics of a recipe. Raises CorruptError where it has none."""
    sigma, samples, select, alpha, seed = recipe.sigma, recipe.samples, recipe.select, recipe.alpha, recipe.seed
    if sigma is None or samples is None or select is None or alpha is None or seed is None:
        raise CorruptError("the recipe of a certificate by smoothing lacks an option of its noise")
    return Smoothing(sigma, samples, select, alpha, seed)


def certify_by_smoothing(
    pipeline: Pipeline, images: Images, recipe: CertificateRecipe, progress: ProofProgress
) -> CertifiedImages:
    """Return what the smoothed pipeline predicts, and which images are certified at each eps of the recipe.

    More arrays: ``radii``, float64 (n,); ``counts``, int64 (n, 2, classes); ``abstained``, bool (n,). Raises as
    ``smooth`` does.
    """
    found = smooth(
        pipeline,
        images.x,
        images.ids,
        smoothing=read_smoothing(recipe),
        classes=len(recipe.dataset.classes),
        checkpoint=progress.checkpoint,
        on_image=progress.on_images,
    )
    return CertifiedImages(
        found.predictions,
        find_certified(images.y, found.predictions, found.radii, recipe.eps),
        {"radii": found.radii, "counts": found.counts, "abstained": found.predictions == ABSTAINS},
        seconds_before=found.seconds_before,
    )


def estimate_seconds(pipeline: Pipeline, x: FloatArray, ids: IntArray, *, smoothing: Smoothing, classes: int) -> float:
    """Return about how many seconds ``smooth`` takes for these images, measured on the first of them."""
    ask = _compile_counts(pipeline, classes, smoothing, x.shape[1])
    taken = []
    # The first one traces.
    for _ in range(2):
        start = time.monotonic()
        _count_image(ask, x[0], int(ids[0]), smoothing)
        taken.append(time.monotonic() - start)
    return taken[1] * len(x)


# ---------------------------------------------------------------- statistics


def _decide(counts: IntArray, smoothing: Smoothing) -> tuple[IntArray, Floats]:
    return decide_radii(counts, sigma=smoothing.sigma, samples=smoothing.samples, alpha=smoothing.alpha)


def find_largest_radius(smoothing: Smoothing) -> float:
    """Return the radius of an image whose copies are all of one class: a larger one cannot be certified."""
    import numpy as np

    n = smoothing.samples
    _, radii = _decide(np.array([[[1], [n]]]), smoothing)
    return float(radii[0])


def find_certified(labels: IntArray, predictions: IntArray, radii: Floats, eps: Sequence[float]) -> NDArray[np.bool_]:
    """Return which images are certified at each radius, bool (n_eps, n): the right class inside the whole ball.

    The theorem holds inside the open ball, so the certified radius must exceed eps; at eps 0 what remains are the right
    predictions, where an abstention is wrong. Cohen et al. 2019, theorem 1. The means of the rows are the curve of
    certified accuracy against radius.
    """
    import numpy as np

    certified: NDArray[np.bool_] = (predictions == labels) & (radii > np.asarray(eps, np.float64)[:, None])
    return certified


# ---------------------------------------------------------------- counts

Ask = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(image, seed of the noise, draw of the purifier, first copy) -> int64 (2, classes), counts of a block of copies."""


def _lay_out_blocks(smoothing: Smoothing, pixels: int) -> tuple[int, int]:
    """Return the number of blocks of copies of one image, and the copies of each; the last may be partly unused."""
    copies = smoothing.select + smoothing.samples
    blocks = -(-copies // max(1, min(BATCH, BLOCK_VALUES // pixels)))
    return blocks, -(-copies // blocks)


def _compile_counts(pipeline: Pipeline, classes: int, smoothing: Smoothing, pixels: int) -> Ask:
    """Return the compiled function that draws noisy copies of one image and counts their classes.

    All copies of a call are of one image, and all calls have one shape: a matrix product rounds by its shape.
    """
    import tensorflow as tf

    _, size = _lay_out_blocks(smoothing, pixels)
    last = smoothing.select + smoothing.samples

    def count(image: Tensor, seed: Tensor, draw: Tensor, first: Tensor) -> Tensor:
        noise = tf.random.stateless_normal((size, pixels), seed)
        logits = pipeline.defend(image[None] + smoothing.sigma * noise, draw)
        logits = tf.where(tf.math.is_nan(logits), -float("inf"), logits)
        hits = tf.one_hot(tf.argmax(logits, axis=1), classes)
        copy = first + tf.range(size)
        selecting, estimating = copy < smoothing.select, (copy >= smoothing.select) & (copy < last)
        # Sums of ones are exact in float32, and GPUs have no such product of integers.
        return tf.cast(tf.cast(tf.stack([selecting, estimating]), tf.float32) @ hits, tf.int64)

    numbers = tf.TensorSpec((), tf.int32)
    ask: Ask = trace(count, (tf.TensorSpec((pixels,)), tf.TensorSpec((2,), tf.int64), numbers, numbers))
    return ask


def _count_image(ask: Ask, image: FloatArray, id_: int, smoothing: Smoothing) -> IntArray:
    """Return the counts of one image, int64 (2, classes). image: float32 (d,)."""
    import numpy as np
    import tensorflow as tf

    blocks, size = _lay_out_blocks(smoothing, len(image))
    first, second, draws = (
        int(one >> np.uint64(2))
        for one in np.random.SeedSequence([NOISE_TAG, smoothing.seed, id_]).generate_state(3, np.uint64)
    )
    pixels, start = tf.constant(image), draws % 2**30
    parts = [
        ask(
            pixels,
            tf.constant([first, second + block], tf.int64),
            tf.constant(start + block),
            tf.constant(block * size),
        )
        for block in range(blocks)
    ]
    counts: IntArray = np.sum([part.numpy() for part in parts], axis=0)
    return counts


# ---------------------------------------------------------------- interruptions


def _save(checkpoint: TrainingCheckpoint, ids: IntArray, counts: list[IntArray], seconds: float) -> None:
    import numpy as np

    checkpoint.save({"ids": ids, "counts": np.stack(counts), "seconds": np.array([seconds])})


def _resume(checkpoint: TrainingCheckpoint, ids: IntArray, classes: int) -> tuple[list[IntArray], float]:
    """Return the counts of the images that are done, and the seconds that they took. Raises CorruptError."""
    import numpy as np

    arrays = checkpoint.load()
    if arrays is None:
        return [], 0.0
    counts = arrays.get("counts", np.zeros(0))
    if (
        set(arrays) != {"ids", "counts", "seconds"}
        or not np.array_equal(arrays["ids"], ids)
        or (counts.dtype, counts.shape[1:]) != (np.int64, (2, classes))
        or len(counts) > len(ids)
    ):
        raise CorruptError("the checkpoint is of another certification; --force starts again")
    return list(counts), float(arrays["seconds"][0])
