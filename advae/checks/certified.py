"""Certificates beside attacks: no attack breaks a certified image, and how far the two bounds are apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from advae.checks.check_table import not_run, say
from advae.checks.strongest import Measurement
from advae.metrics import wilson_interval
from advae.records import key_eps
from advae.threats import THREATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.checks.evidence import ScoredRun
    from advae.records import (
        CertificateMetrics,
        CertificateRecipe,
        CheckResult,
        EpsResult,
        IntArray,
        RunMetrics,
        Status,
    )

    Truths = NDArray[np.bool_]
    Places = tuple[IntArray, IntArray]

PROOF, UNCHANGED, LABEL, CLASS = range(4)
"""What may be wrong with an image, the gravest first: a certified one is broken, or misclassified without an attack;
its label differs; its predicted class without an attack differs."""


class Compared(Measurement, Protocol):
    """One run at one eps, as it is compared with certificates."""

    @property
    def result(self) -> EpsResult: ...
    @property
    def metrics(self) -> RunMetrics: ...


@dataclass(frozen=True, eq=False)
class Certificate:
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
class Bounds:
    """The robust accuracy at one eps from below, by proof, and from above, by attack, on the same images."""

    certificate: Certificate
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


def bound_accuracy(certificates: Iterable[Certificate], row: Compared) -> Bounds | None:
    """Return the bounds of the robust accuracy around an attack; None where no certificate concerns it.

    Of several certificates the one that shares most images with the attack counts, then the one that proves most.
    """
    found = filter(None, (_bound(certificate, row) for certificate in certificates if certificate.concerns(row)))
    return max(found, key=lambda one: (one.n, one.lower, -one.eps, one.certificate.id), default=None)


def _bound(certificate: Certificate, row: Compared) -> Bounds | None:
    index, (mine, theirs) = certificate.find_index(row.eps), certificate.find_common(row)
    n = len(mine)
    if index is None or n == 0:
        return None
    low, high = int(certificate.certified[index][mine].sum()), int(row.right[theirs].sum())
    return Bounds(
        certificate=certificate,
        eps=certificate.recipe.eps[index],
        lower=low / n,
        lower_interval=wilson_interval(low, n),
        upper=high / n,
        upper_interval=wilson_interval(high, n),
        n=n,
        whole=n == len(row.sample_ids),
    )


# ---------------------------------------------------------------- the check


@dataclass(frozen=True)
class Conflict:
    """An image of which a certificate and a run say different things."""

    kind: int
    """PROOF, UNCHANGED, LABEL or CLASS."""
    image: int
    """Position of the image in the test set."""
    certificate: str
    """Id of the certificate."""
    certified_eps: float
    """The eps that is certified."""
    run: ScoredRun
    """The run, at one eps."""

    def describe(self) -> str:
        """Return the conflict in words."""
        what = f"image {self.image}, certified at eps {self.certified_eps:.4g} by {self.certificate},"
        if self.kind == PROOF:
            return f"{what} is misclassified under {self.run.recipe.method} at eps {self.run.eps:.4g} of {self.run.id}"
        if self.kind == UNCHANGED:
            return f"{what} is misclassified without an attack in {self.run.id}"
        word = "label" if self.kind == LABEL else "predicted class without an attack"
        return f"image {self.image} has another {word} in {self.certificate} than in {self.run.id}"


def judge_certificates(certificates: Sequence[Certificate], rows: Sequence[ScoredRun]) -> CheckResult:
    """Return the result of the check that no attack breaks a certified image; NOT RUN where none can be compared.

    Certificates of the smoothed pipeline are compared with no row: it is another function, and none attacks it.
    """
    proofs = [certificate for certificate in certificates if not certificate.smoothed]
    if not certificates:
        return not_run("certificate")
    if not proofs:
        return not_run("certificate", f"{certificates[0].id} is of the smoothed pipeline, which no attack was run on")
    pairs = [(proof, row) for proof in proofs for row in rows if proof.concerns(row)]
    conflicts = [conflict for proof, row in pairs for conflict in _find_conflicts(proof, row)]
    if conflicts:
        first, *others = sorted(conflicts, key=lambda conflict: conflict.kind)
        more = f", and {len(others)} more such cases" if others else ""
        status: Status = "WARN" if first.kind == CLASS else "FAIL"
        return say("certificate", status, f"{first.describe()}{more}", len(conflicts))
    counts = [count for proof, row in pairs if (count := _count_pairs(proof, row)) is not None]
    if not counts:
        return not_run("certificate", f"no valid attack within an eps and norm of {proofs[0].id} on its images was run")
    sentence = f"{sum(counts)} pairs of a certified image and an attack on it were compared: no attack breaks one"
    return say("certificate", "PASS", sentence, sum(counts))


def _count_pairs(proof: Certificate, row: ScoredRun) -> int | None:
    """Return how many certified images a run attacks within the certified eps, None where it attacks no image so."""
    index, (mine, _) = proof.find_index(row.eps), proof.find_common(row)
    return int(proof.certified[index][mine].sum()) if index is not None and len(mine) else None


def _find_conflicts(proof: Certificate, row: ScoredRun) -> Iterator[Conflict]:
    """Yield every image of which a certificate and a run at one eps say different things."""
    mine, theirs = proof.find_common(row)
    labels, clean, index = proof.labels[mine], row.clean_predictions[theirs], proof.find_index(row.eps)
    least = min(range(len(proof.recipe.eps)), key=lambda place: proof.recipe.eps[place])
    found: list[tuple[int, Truths, int]] = []
    if index is not None:
        found.append((PROOF, proof.certified[index][mine] & ~row.right[theirs], index))
    # What does not depend on the eps is said once for each run.
    if row.index == 0:
        unchanged = proof.certified[least][mine] & (clean != labels)
        found.append((UNCHANGED, unchanged, least))
        found.append((LABEL, labels != row.labels[theirs], least))
        found.append((CLASS, ~unchanged & (clean != proof.predictions[mine]), least))
    for kind, where, place in found:
        for image in proof.sample_ids[mine[where]].tolist():
            yield Conflict(kind, image, proof.id, proof.recipe.eps[place], row)
