"""What a method of certification takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.models.training_progress import NO_CHECKPOINT, TrainingCheckpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray

OnProgress = Callable[[int, int], None]
"""(images done, images in all) -> None."""


@dataclass(frozen=True, eq=False)
class Images:
    """The images to certify."""

    x: FloatArray
    """float32 (n, d) in [0, 1]."""
    y: IntArray
    """True classes, int64 (n,)."""
    ids: IntArray
    """Positions in the test set, int64 (n,)."""

    def first(self, n: int) -> Images:
        """Return the first n of them."""
        return Images(self.x[:n], self.y[:n], self.ids[:n])


@dataclass(frozen=True, eq=False)
class ProofProgress:
    """How a proof reports its progress, and where it saves what it has done."""

    on_images: OnProgress = lambda done, total: None
    """Called after each part of the work."""
    checkpoint: TrainingCheckpoint = NO_CHECKPOINT
    """Store of the work that is done, so that an interrupted proof continues."""


@dataclass(frozen=True, eq=False)
class CertifiedImages:
    """The result for n images at each eps."""

    predictions: IntArray
    """The predicted classes, int64 (n,)."""
    certified: NDArray[np.bool_]
    """Whether the true class is predicted everywhere in the ball, bool (eps, n)."""
    more: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Further arrays of the method, by name: of smoothing ``radii``, ``counts`` and ``abstained``; first axis n."""
    seconds_before: float = 0.0
    """Seconds that the proof took before it was interrupted; 0 where it was not."""
