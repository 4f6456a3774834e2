"""The record of one pipeline at one eps, as the first screen shows it."""

from __future__ import annotations

from advae.records import Norm
from advae.report.analysis.baseline_comparison import Role
from advae.report.analysis.headline_records import Strength
from advae.report.analysis.ratings import DefenceRating, NumberRating
from advae.report.analysis.tables import (
    Difference,
    Ids,
    NotRun,
    PipelineRecord,
    ShownInterval,
    ShownShare,
    TableRecord,
)
from advae.report.data.runs import Rate


class CertifiedShare(TableRecord):
    """The certified accuracy of a pipeline at an eps."""

    certificate: str
    """The certificate's id in the registry."""
    method: str
    """How it was proved, as `advae certify --method` takes it."""
    eps: float
    """The eps of the certificate, not below the eps shown."""
    n: int
    """Number of images: those both certified and attacked, all certified ones where none was attacked."""
    accuracy: ShownShare
    """Certified accuracy, 0 to 1: the robust accuracy on these images is not below it."""
    accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of it."""

    @property
    def rate(self) -> Rate:
        return Rate(self.accuracy, *self.accuracy_interval)


class PipelineNumber(PipelineRecord):
    """One pipeline at one eps: its accuracies, and whether the defence is good and the number reliable."""

    pipeline: str
    """The pipeline in words: dataset, classifier, purifier, seeds other than 0."""
    purifier_name: str
    """The purifier in words, with seeds other than 0, and with the classifier's id where another has the same name;
    undefended where there is none."""
    role: Role
    """Whether the purifier is an autoencoder or a baseline; without one, whether the classifier was retrained on
    adversarial examples, or is undefended, so that it is the reference."""
    norm: Norm
    """The norm that bounds the perturbation."""
    eps: float
    """The eps shown, in units of an image's range, 0 to 1."""
    headline: bool
    """Whether it is the pipeline's headline: its number at the eps that is shown first, else where it was attacked."""
    white_box: Strength | NotRun
    """Under the strongest adaptive attack at this eps, or at a smaller one where that is clearly stronger."""
    oblivious: Strength | NotRun | None
    """Under the strongest oblivious attack at this eps, on the same images where there is one; null without
    purifier."""
    illusion_gap: Difference | NotRun | None
    """Robust accuracy oblivious minus white-box on the same images, -1 to 1; null without purifier."""
    clean_accuracy: ShownShare
    """Share of the unchanged images that are classified correctly, 0 to 1."""
    clean_accuracy_interval: ShownInterval
    """Wilson's 95 % confidence interval of the clean accuracy."""
    chance: ShownShare
    """Accuracy of a guess, 0 to 1: one over the number of classes."""
    certified: CertifiedShare | None
    """Certified accuracy at this eps or a larger one; null where nothing is proved."""
    gain: Difference | NotRun | None
    """White-box robust accuracy minus that of the undefended counterpart on the same images, -1 to 1; null without
    purifier."""
    gain_p: ShownShare | None
    """McNemar's p of that difference, 0 to 1; null where there is none."""
    collapsed: bool
    """Whether one class is predicted whatever the image: such a pipeline has no place among the others."""
    place: int | None
    """Place among the pipelines of its classifier by white-box robust accuracy, the highest first, from 1; null for the
    undefended reference, for what has collapsed, and where there is no number."""
    defence: DefenceRating | None
    """Whether the defence is good; null for the undefended reference."""
    reliability: NumberRating
    """Whether the white-box robust accuracy is reliable."""
    imported: Ids
    """Ids of what came from a bundle: the run of the number, or an entry that it depends on."""

    @property
    def clean(self) -> Rate:
        return Rate(self.clean_accuracy, *self.clean_accuracy_interval)

    @property
    def robust(self) -> Rate | None:
        """The white-box robust accuracy, None where it was not measured."""
        return self.white_box.rate if isinstance(self.white_box, Strength) else None

    @property
    def known(self) -> float:
        """What it sorts by: the white-box robust accuracy, else the certified one, else less than any."""
        proved = self.certified.accuracy if self.certified else -1.0
        return self.robust.value if self.robust else proved
