"""The accuracies that Chen and Sirkeci-Mergen print.

I. Chen, B. Sirkeci-Mergen, A comparative study of autoencoders against adversarial attacks, International Conference on
Image Processing, Computer Vision, and Pattern Recognition, 2018: FGSM on MNIST.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FilteredAccuracy:
    """What the paper prints of one classifier."""

    classifier: str
    """Kind of the classifier: nn or lr."""
    classes: tuple[int, ...] | None
    """Labels of the classes that it distinguishes; None for all ten digits."""
    undefended: float
    """Its accuracy under FGSM, 0 to 1."""
    purified: float
    """The same behind the autoencoder."""

    @property
    def images(self) -> str:
        """What the images are, in words."""
        return "ten digits" if self.classes is None else f"digits {' and '.join(map(str, self.classes))}"


FILTERED = (
    FilteredAccuracy("nn", None, undefended=0.0292, purified=0.7552),
    FilteredAccuracy("lr", (3, 7), undefended=0.0412, purified=0.9357),
)
