"""What an attacker returns: its proposals for a batch of samples, and its view of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks.goals import CONFIRMED_SHARE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import FloatArray, IntArray


@dataclass(frozen=True)
class Proposal:
    """The proposal of an attack for a batch of m samples."""

    rows: IntArray
    """Positions of the samples, int64 (m,)."""
    start: FloatArray
    """The points to which the perturbation is added, float32 (m, d)."""
    x_adv: FloatArray
    """Adversarial examples, float32 (m, d)."""


@dataclass(frozen=True)
class Look:
    """The attacker's view of m images."""

    margins: FloatArray
    """Distance of each image from success, float32 (m,), in logits; below 0: success."""
    shares: FloatArray | None = None
    """Share of fresh draws on which each is a success, float32 (m,) in [0, 1]; None for a pipeline without draws."""
    final: NDArray[np.bool_] | None = None
    """Whether each image leaves the attack, bool (m,): it is a success, also after rounding to 8 bits; None where no
    image leaves."""

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """Whether each image is a success; for a pipeline that samples: on at least half of the draws; bool (m,)."""
        return self.margins < 0 if self.shares is None else self.shares >= 0.5

    @property
    def confirmed(self) -> NDArray[np.bool_]:
        """Whether each image is a success on so many draws that it is not due to chance; bool (m,)."""
        return self.margins < 0 if self.shares is None else self.shares >= CONFIRMED_SHARE
