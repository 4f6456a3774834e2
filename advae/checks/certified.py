"""Certificates beside attacks: the robust accuracy from below, by proof, and from above, on the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from advae.checks.strongest import Measurement
from advae.metrics import wilson_interval
from advae.records import key_eps
from advae.threats import THREATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.records import (
        CertificateMetrics,
        CertificateRecipe,
        EpsResult,
        IntArray,
        RunMetrics,
    )

    Truths = NDArray[np.bool_]
    Places = tuple[IntArray, IntArray]


class Compared(Measurement, Protocol):
    """One run at one eps, as it is compared with certificates."""

    @property
    def result(self) -> EpsResult: ...
    @property
    def metrics(self) -> RunMetrics: ...


@dataclass(frozen=True, eq=False)
class ProvedImages:
    """A certificate, with what it says of each image."""

    id: str
    """Id of the certificate."""
    recipe: CertificateRecipe
    """Its recipe."""
    metrics: CertificateMetrics
    """Its metrics, at all its eps."""
    sample_ids: IntArray = field(repr=False)
    """Positions of the images in the test set, int64 (n,)."""
    labels: IntArray = field(repr=False)
    """True classes, int64 (n,)."""
    predictions: IntArray = field(repr=False)
    """Predicted classes, int64 (n,); -1 where the smoothed pipeline abstains."""
    certified: Truths = field(repr=False)
    """Which images are proved to be classified correctly in the whole ball, bool (n_eps, n)."""
    radii: NDArray[np.float64] | None = field(default=None, repr=False)
    """Certified radius of each prediction of the smoothed pipeline, float64 (n,) in units of x; None for others."""
    imported: str | None = None
    """When it came from a bundle, in UTC; None for one that was made here."""
    places: dict[str, Places] = field(default_factory=dict, repr=False)
    """Positions of the common images in the certificate and in a run, by the run's id; filled at the first use."""

    @property
    def smoothed(self) -> bool:
        """Whether it is of the smoothed pipeline, which is another function than the one that is attacked."""
        return self.recipe.sigma is not None

    def find_index(self, eps: float) -> int | None:
        """Return the index of the smallest certified eps that is not below an eps, None where there is none.

        A certificate for a larger ball is one for a smaller ball, too.
        """
        enough = [(key_eps(own), place) for place, own in enumerate(self.recipe.eps) if key_eps(own) >= key_eps(eps)]
        return min(enough)[1] if enough else None

    def find_common(self, row: Compared) -> Places:
        """Return the positions of the images that both have, in the certificate and in the run, int64 (m,) each."""
        import numpy as np

        if row.id not in self.places:
            _, mine, theirs = np.intersect1d(self.sample_ids, row.sample_ids, return_indices=True)
            self.places[row.id] = mine, theirs
        return self.places[row.id]

    def concerns(self, row: Compared) -> bool:
        """Whether it is about the function and the kind of perturbation of a run, whatever the eps.

        That takes the same classifier, images and norm, and perturbations that are added to the image, projected and
        clipped. It says nothing of a pipeline that samples. Every run is scored in float32, whatever its precision.
        """
        mine, theirs = self.recipe, row.recipe
        same = (mine.classifier, mine.norm, mine.dataset.key) == (theirs.classifier, theirs.norm, theirs.dataset.key)
        valid = row.result.within_budget and theirs.threat in THREATS and THREATS[theirs.threat].on_input
        return same and valid and row.metrics.stochastic is False and not self.smoothed


# ---------------------------------------------------------------- the interval of the robust accuracy


@dataclass(frozen=True, eq=False)
class AccuracyBounds:
    """The robust accuracy at one eps from below, by proof, and from above, by attack, on the same images."""

    certificate: ProvedImages
    """The certificate."""
    eps: float
    """The eps that is certified, not below that of the attack."""
    lower: float
    """Certified accuracy, 0 to 1."""
    lower_interval: tuple[float, float]
    """Its 95 % confidence interval (Wilson)."""
    upper: float
    """Robust accuracy under the attack, 0 to 1."""
    upper_interval: tuple[float, float]
    """Its 95 % confidence interval (Wilson)."""
    n: int
    """Number of images, those that were both certified and attacked."""
    whole: bool
    """Whether these are all images of the attack."""


def bound_accuracy(certificates: Iterable[ProvedImages], row: Compared) -> AccuracyBounds | None:
    """Return the bounds of the robust accuracy around an attack; None where no certificate concerns it.

    Of several certificates the one that shares most images with the attack counts, then the one that proves most.
    """
    fitting = [certificate for certificate in certificates if certificate.concerns(row)]
    places = [(certificate, certificate.find_index(row.eps)) for certificate in fitting]
    found = filter(None, (measure_bounds(one, place, row) for one, place in places if place is not None))
    return max(found, key=lambda one: (one.n, one.lower, -one.eps, one.certificate.id), default=None)


def measure_bounds(certificate: ProvedImages, index: int, row: Compared) -> AccuracyBounds | None:
    """Return the bounds by one of the eps of a certificate that concerns an attack; None without common images."""
    mine, theirs = certificate.find_common(row)
    n = len(mine)
    if n == 0:
        return None
    low, high = int(certificate.certified[index][mine].sum()), int(row.right[theirs].sum())
    return AccuracyBounds(
        certificate=certificate,
        eps=certificate.recipe.eps[index],
        lower=low / n,
        lower_interval=wilson_interval(low, n),
        upper=high / n,
        upper_interval=wilson_interval(high, n),
        n=n,
        whole=n == len(row.sample_ids),
    )
