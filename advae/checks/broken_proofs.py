"""The check that no attack breaks a certified image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.checks.check_table import not_run, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from advae.checks.certified import ProvedImages
    from advae.checks.evidence import ScoredRun
    from advae.records import CheckResult, Status

PROOF, UNCHANGED, LABEL, CLASS = range(4)
"""What may be wrong with an image, the gravest first: a certified one is broken, or misclassified without an attack;
its label differs; its predicted class without an attack differs."""


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


def check_certificates(certificates: Sequence[ProvedImages], rows: Sequence[ScoredRun]) -> CheckResult:
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
    if not any(counts):
        return not_run("certificate", f"no image that was attacked within an eps of {proofs[0].id} is certified")
    sentence = f"{sum(counts)} pairs of a certified image and an attack on it were compared: no attack breaks one"
    return say("certificate", "PASS", sentence, sum(counts))


def _count_pairs(proof: ProvedImages, row: ScoredRun) -> int | None:
    """Return how many certified images a run attacks within the certified eps, None where it attacks no image so."""
    index, (mine, _) = proof.find_index(row.eps), proof.find_common(row)
    return int(proof.certified[index][mine].sum()) if index is not None and len(mine) else None


def _find_conflicts(proof: ProvedImages, row: ScoredRun) -> Iterator[Conflict]:
    """Yield every image of which a certificate and a run at one eps say different things."""
    mine, theirs = proof.find_common(row)
    labels, clean, index = proof.labels[mine], row.clean_predictions[theirs], proof.find_index(row.eps)
    least = min(range(len(proof.recipe.eps)), key=lambda place: proof.recipe.eps[place])
    found: list[tuple[int, NDArray[np.bool_], int]] = []
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
