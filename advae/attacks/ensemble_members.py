"""The attacks of each ensemble, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from advae.attacks.losses import NORMALISED, NORMALISED_TOWARDS
from advae.attacks.square import square_of_autoattack
from advae.batching import Tensor
from advae.run_options import DEFAULT_LOSS, NORMS


class Member(NamedTuple):
    """An attack of an ensemble."""

    attack: str
    """Name of its row in ATTACKS."""
    loss: str | None = None
    """The loss that it maximises; None: that of its row."""
    queries: int | None = None
    """Queries for each image; None: those of the ensemble, for an attack that makes queries."""
    run: Callable[..., Tensor] | None = None
    """What replaces the function of its row; None: nothing."""


Members = Mapping[str, tuple[Member, ...]]
"""Norm -> the attacks of an ensemble, cheapest first."""

WORST: Members = {
    "linf": (
        Member("fgsm"),
        Member("pgd"),
        Member("apgd", DEFAULT_LOSS),
        Member("apgd"),
        Member("apgd-t"),
        Member("square"),
    ),
    "l2": (
        Member("pgd"),
        Member("apgd", DEFAULT_LOSS),
        Member("apgd"),
        Member("apgd-t"),
        Member("cw"),
        Member("square"),
    ),
}
"""The attacks of ``worst``."""

AUTOATTACK_QUERIES = 5_000
"""Queries of ``square`` for each image in AutoAttack."""

AUTOATTACK: Members = dict.fromkeys(
    NORMS,
    (
        Member("apgd", "ce"),
        Member("apgd-t"),
        Member("fab"),
        Member("square", queries=AUTOATTACK_QUERIES, run=square_of_autoattack),
    ),
)
"""The standard version of AutoAttack. Croce and Hein 2020, arXiv:2003.01690, section 6, with the settings of the
published code: 100 iterations from one start, nine targets, 5,000 queries."""

AUTOATTACK_ON_RANDOM: Members = dict.fromkeys(NORMS, (Member("apgd", "ce"), Member("apgd", "dlr")))
"""The version of AutoAttack for random pipelines, ``rand`` in the published code."""

AUTOATTACK_EOT = 20
"""EOT samples of each gradient in the version for random pipelines."""


def name_version(*, sampling: bool) -> str:
    """Return the published name of the version of AutoAttack. sampling: whether gradients pass through random draws."""
    return "rand" if sampling else "standard"


def explain_departure(classes: int, *, sampling: bool, scores_only: bool) -> str | None:
    """Return in what a result differs from the published version of AutoAttack; None where it does not.

    classes: number of classes; scores_only: whether the classifier has no gradients, so that only ``square`` is run.
    """
    if scores_only:
        return "not the published set of attacks: the classifier gives scores only, so that square alone was run"
    fewest = NORMALISED if sampling else NORMALISED_TOWARDS
    if classes >= fewest:
        return None
    loss = "DLR loss" if sampling else "targeted DLR loss"
    return f"not the published set of attacks: the {loss} needs {fewest} classes, and the margin replaces it"
