"""The two contracts of a model: a Purifier maps images to images, a Classifier maps them to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from advae.batching import Tensor


@dataclass(frozen=True)
class Purifier:
    """(x, draw) -> x', float32 (n, d) both; ``draw``, an int32 scalar, is the number of a random purifier's draw."""

    mean: Callable[[Tensor], Tensor]
    """x -> x' without randomness, in stock layers and keras.ops, so that a ``keras.Input`` can take the place of x; in
    NumPy for a baseline that another library computes."""
    sample: Callable[[Tensor, Tensor], Tensor] | None = None
    """(x, draw) -> a random x'; None for a deterministic purifier."""
    differentiable: bool = True
    """False where the gradient is zero almost everywhere: an attack then needs BPDA."""
    stand_in: Callable[[Tensor], Tensor] | None = None
    """x -> roughly x', whose derivative BPDA takes in place of the missing one; None: the identity's."""
    clips: bool = False
    """Whether values are clipped at 0 and 1, where the gradient is zero."""
    encode: Callable[[Tensor], Tensor] | None = None
    """x -> code, or the mean of a random code; None where there is no code."""
    moments: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """x -> mean and log variance of a Gaussian code, both (n, size of the code); None where the code is not random."""
    decode: Callable[[Tensor], Tensor] | None = None
    """Code -> reconstruction before rescaling; None where there is no code."""

    @property
    def samples(self) -> bool:
        """Whether the purifier is random."""
        return self.sample is not None

    def __call__(self, x: Tensor, draw: Tensor) -> Tensor:
        return self.mean(x) if self.sample is None else self.sample(x, draw)


@dataclass(frozen=True)
class Classifier:
    """x -> logits, float32 (n, d) -> float32 (n, classes)."""

    logits: Callable[[Tensor], Tensor]
    """x -> logits, in stock layers and keras.ops, so that a ``keras.Input`` can take the place of x."""
    classes: int
    """Number of classes, at least 2."""
    differentiable: bool = True
    """Whether the logits have a gradient; False for a model that gives scores only."""
    linear: bool = False
    """Whether the logits are affine in the image."""
    trainable: bool = True
    """Whether the recipe is enough to train the classifier again; False for a model that came from a file."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.logits(x)
