"""What a purifier brings to the certified accuracy: the same classifier without one, on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.checks import ProvedImages
from advae.checks.strongest import SIGNIFICANT
from advae.metrics import mcnemar, wilson_interval
from advae.records import key_eps
from advae.report.analysis.tables import Difference, ShownInterval, ShownShare, TableRecord
from advae.report.data.contents import Comparison
from advae.report.data.runs import StoredPipeline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CERTIFIED, NO_BODY = "certified", "none"
"""The kind that is trained with its classifier, and its ``--body`` that leaves images as they are."""

OF_THE_PURIFIER = ("body", "slope", "reconstruction_weight")
"""Options of that kind that say what the purifier is like; two trainings of one classifier share the others."""


class CertifiedWithout(TableRecord):
    """The certified accuracy of the same classifier without a purifier, on the same images at the same eps."""

    id: str
    """The certificate's id in the registry."""
    classifier_id: str
    """The classifier's id in the registry."""
    accuracy: ShownShare
    """Certified accuracy without the purifier, 0 to 1."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""
    difference: Difference
    """Certified accuracy behind the purifier minus that without it, -1 to 1: what the purifier brings."""
    mcnemar_p: ShownShare
    """McNemar's exact p-value of the difference, 0 to 1."""

    @property
    def nothing(self) -> bool:
        """Whether the purifier brings nothing: the difference is negative, or due to chance."""
        return self.difference <= 0 or self.mcnemar_p >= SIGNIFICANT


def has_purifier(pipeline: StoredPipeline) -> bool:
    """Whether images are changed before they are classified."""
    recipe = pipeline.autoencoder_recipe
    return recipe is not None and recipe.options.get("body") != NO_BODY


def measure_gain(
    comparison: Comparison, pipeline: StoredPipeline, certificate: ProvedImages, index: int
) -> CertifiedWithout | None:
    """Return what a purifier brings at one of the eps of a certificate; None where nothing fits beside it."""
    fitting = (
        (other, proof, place)
        for other, proof in comparison.proofs
        if _is_same_classifier(pipeline, other) and (place := _find_place(certificate, index, proof)) is not None
    )
    # ``max`` keeps the first of equals, and the order of the certificates is fixed.
    best = max(fitting, key=lambda found: _rate_likeness(pipeline, found[0]), default=None)
    if best is None:
        return None
    other, proof, place = best
    mine, theirs = certificate.certified[index], proof.certified[place]
    return _compare(other, proof, mine, theirs)


def _compare(
    other: StoredPipeline, proof: ProvedImages, mine: NDArray[np.bool_], theirs: NDArray[np.bool_]
) -> CertifiedWithout:
    n, proved = len(theirs), int(theirs.sum())
    return CertifiedWithout(
        id=proof.id,
        classifier_id=other.classifier.id,
        accuracy=proved / n,
        accuracy_interval=wilson_interval(proved, n),
        difference=(int(mine.sum()) - proved) / n,
        mcnemar_p=mcnemar(mine, theirs),
    )


def _is_same_classifier(pipeline: StoredPipeline, other: StoredPipeline) -> bool:
    """Whether the other pipeline is the same classifier without a purifier.

    A classifier that was trained along with a certified autoencoder is compared with one that was trained in the same
    way with ``--body none``; any other with an undefended one of its kind.
    """
    mine, theirs = pipeline.classifier_recipe, other.classifier_recipe
    alike = mine.model == theirs.model and mine.dataset.key == theirs.dataset.key and mine.retrained == theirs.retrained
    if not alike or has_purifier(other) or not has_purifier(pipeline):
        return False
    trained, bare = pipeline.autoencoder_recipe, other.autoencoder_recipe
    if trained is None or trained.type != CERTIFIED or trained.protects:
        return bare is None
    rest = [
        {name: value for name, value in one.options.items() if name not in OF_THE_PURIFIER}
        for one in (trained, bare)
        if one
    ]
    return len(rest) == 2 and rest[0] == rest[1] and mine.options == theirs.options


def _find_place(certificate: ProvedImages, index: int, proof: ProvedImages) -> int | None:
    """Return the index of the same eps in a certificate of the same method on the same images; None where none is."""
    import numpy as np

    mine, theirs = certificate.recipe, proof.recipe
    if (mine.method, mine.norm) != (theirs.method, theirs.norm):
        return None
    if not np.array_equal(certificate.sample_ids, proof.sample_ids):
        return None
    places = {key_eps(eps): place for place, eps in enumerate(theirs.eps)}
    return places.get(key_eps(mine.eps[index]))


def _rate_likeness(pipeline: StoredPipeline, other: StoredPipeline) -> tuple[bool, bool]:
    mine, theirs = pipeline.classifier_recipe, other.classifier_recipe
    return mine.options == theirs.options, mine.seed == theirs.seed
