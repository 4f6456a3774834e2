"""The attacks and the table ATTACKS. An attack receives functions, not models; the evaluation scores its proposals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from advae.attacks.ball import keep, noise
from advae.attacks.carlini_wagner import cw
from advae.attacks.ensemble_members import AUTOATTACK, AUTOATTACK_EOT, AUTOATTACK_ON_RANDOM, WORST, Member, Members
from advae.attacks.fab import fab
from advae.attacks.goals import Goal
from advae.attacks.gradient_sign import bim, fgsm, loss_gradient, margin_gradient
from advae.attacks.hop_skip_jump import hop_skip_jump
from advae.attacks.iterative import apgd, mim, pgd
from advae.attacks.linear import (
    linear_direction,
    linear_step,
    natural_targets,
    non_natural_targets,
    paper_direction,
    scaled_direction,
)
from advae.attacks.losses import LOSSES
from advae.attacks.square import square
from advae.attacks.target_turns import apgd_targeted
from advae.batching import Tensor
from advae.errors import UsageError, unknown
from advae.run_options import DEFAULT_LOSS, ENSEMBLE_QUERIES, NORMS, QUERIES

if TYPE_CHECKING:
    from advae.records import IntArray, Norm


@dataclass(frozen=True)
class Attack:
    """A row of ATTACKS."""

    summary: str
    """One line for ``--help``."""
    run: Callable[..., Tensor]
    """(goal, x, eps=, where ``iterative`` also step_size=, steps=) -> proposed x_adv; an ensemble has its first
    member's."""
    gradient: Callable[[Goal, Tensor], Tensor] = loss_gradient
    """(goal, x) -> the first gradient of the attack; for an attack without gradients, the gradient of the margin."""
    steps: int | None = None
    """Default number of iterations, or of queries; None for an attack of a single step."""
    stride: float = 1.0
    """The default step size is stride * eps / steps."""
    norms: tuple[Norm, ...] = ("linf",)
    """Norms that its budget may have."""
    restarts: int | None = None
    """Default number of random starting points; None for an attack that starts at x."""
    loss: str | None = DEFAULT_LOSS
    """The loss that it maximises by default; None for an attack with an objective of its own."""
    direction: Callable[[Goal, Tensor], Tensor] | None = None
    """(goal, x) -> the direction d of x_adv = x + eps * d, so that one gradient serves every eps; None for other
    attacks."""
    unclipped: Callable[[Goal, Tensor], Tensor] | None = None
    """(goal, x) -> the paper's form of the direction, for ``--no-clip``; None for other attacks."""
    target: int | None = None
    """Default target class of an attack with one target; None for other attacks."""
    choose_targets: Callable[[IntArray], tuple[int, ...]] | None = None
    """Confusion matrix under TARGETS_FROM, at the same eps on the same samples -> target class of each true class; None
    for other attacks."""
    linear_only: bool = False
    """Whether it is defined for affine classifiers only."""
    sized: bool = True
    """Whether the user can choose the step size."""
    queries: int | None = None
    """Default number of queries, where ``steps`` are queries for logits, not gradients; of an ensemble that of its
    members; None for other attacks."""
    threat: str | None = None
    """The only threat model that fits the attack; None for any."""
    takes_gradients: bool = True
    """Whether the attack uses gradients; without them it works on any classifier."""
    members: Members = field(default_factory=dict)
    """Norm -> attacks of an ensemble, cheapest first; empty for a single attack. A sample is attacked by the members in
    turn until one succeeds."""
    members_on_random: Members | None = None
    """The members where gradients pass through a random purifier; None: the same."""
    eot_samples: int | None = None
    """Fixed number of EOT samples of a published set of attacks; None where the user chooses it."""
    in_turn: bool = False
    """Whether all steps are made towards each of the most likely other classes in turn."""
    given: bool = False
    """Whether its adversarial examples come from a file of the user; it is requested by ``--from-file``."""
    leaves: bool = False
    """Whether an image leaves the attack at its first success, and is not attacked again at a larger eps, where the
    attacker asks the very function that is scored."""
    revision: int = 0
    """Raised when the results of this attack alone change."""

    @property
    def iterative(self) -> bool:
        """Whether the attack takes several steps."""
        return self.steps is not None

    @property
    def needs_gradients(self) -> bool:
        """Whether it cannot be made on a model that gives scores only; an ensemble has members that can."""
        return self.takes_gradients and not self.members

    def list_members(self, norm: str, *, sampling: bool = False) -> tuple[Member, ...]:
        """Return the attacks of an ensemble, empty for a single attack. sampling: whether gradients average draws."""
        chosen = self.members_on_random if sampling and self.members_on_random else self.members
        return chosen.get(norm, ())

    @property
    def published(self) -> bool:
        """Whether it is a published set of attacks, whose settings are fixed."""
        return self.eot_samples is not None

    @property
    def targeted(self) -> bool:
        """Whether the attack aims at a class."""
        return self.target is not None or self.choose_targets is not None


def _linear(summary: str, **row: Any) -> Attack:
    return Attack(
        summary,
        linear_step,
        linear_direction,
        direction=scaled_direction,
        unclipped=paper_direction,
        linear_only=True,
        loss=None,
        revision=1,
        **row,
    )


ATTACKS: dict[str, Attack] = {
    "fgsm": Attack("one signed-gradient step", fgsm),
    "tfgsm": Attack("one signed-gradient step towards a class", fgsm, target=5),
    "bim": Attack("repeated signed-gradient steps, projected", bim, steps=10),
    "pgd": Attack(
        "steps from random points, the best iterate",
        pgd,
        steps=40,
        stride=2.5,
        norms=NORMS,
        restarts=1,
        leaves=True,
        revision=1,
    ),
    "mim": Attack(
        "steps along the accumulated gradient", mim, steps=20, stride=2.0, norms=NORMS, leaves=True, revision=1
    ),
    "apgd": Attack(
        "Auto-PGD: steps that shorten by themselves",
        apgd,
        steps=100,
        norms=NORMS,
        restarts=1,
        loss="dlr",
        sized=False,
        leaves=True,
        revision=2,
    ),
    "apgd-t": Attack(
        "Auto-PGD towards each of the nine most likely other classes",
        apgd_targeted,
        margin_gradient,
        steps=100,
        norms=NORMS,
        restarts=1,
        loss=None,
        sized=False,
        in_turn=True,
        leaves=True,
        revision=1,
    ),
    "fab": Attack(
        "FAB: the nearest misclassified point, towards each of the nine most likely other classes",
        fab,
        margin_gradient,
        steps=100,
        norms=NORMS,
        loss=None,
        sized=False,
        in_turn=True,
        revision=1,
    ),
    "cw": Attack(
        "Carlini-Wagner: the nearest misclassified point (l2)",
        cw,
        margin_gradient,
        steps=200,
        norms=("l2",),
        loss=None,
        sized=False,
    ),
    "square": Attack(
        "random square windows, scores only",
        square,
        margin_gradient,
        steps=QUERIES,
        norms=NORMS,
        loss=None,
        sized=False,
        queries=QUERIES,
        threat="black-box",
        takes_gradients=False,
        revision=1,
    ),
    "hop-skip-jump": Attack(
        "HopSkipJump: along the boundary, labels only",
        hop_skip_jump,
        margin_gradient,
        steps=QUERIES,
        norms=NORMS,
        loss=None,
        sized=False,
        queries=QUERIES,
        takes_gradients=False,
    ),
    "noise": Attack(
        "random noise, the floor",
        noise,
        margin_gradient,
        norms=NORMS,
        loss=None,
        threat="noise",
        takes_gradients=False,
    ),
    "from-file": Attack(
        "adversarial examples that were made elsewhere",
        keep,
        margin_gradient,
        norms=NORMS,
        loss=None,
        threat="elsewhere",
        takes_gradients=False,
        given=True,
    ),
    "worst": Attack(
        "fgsm, pgd, apgd with two losses, apgd-t and square (l2: with cw, without fgsm), until one succeeds",
        fgsm,
        norms=NORMS,
        loss=None,
        queries=ENSEMBLE_QUERIES,
        members=WORST,
        leaves=True,
        revision=2,
    ),
    "autoattack": Attack(
        "AutoAttack, the standard set: apgd (ce), apgd-t, fab and square, until one succeeds",
        apgd,
        norms=NORMS,
        loss=None,
        members=AUTOATTACK,
        members_on_random=AUTOATTACK_ON_RANDOM,
        eot_samples=AUTOATTACK_EOT,
        leaves=True,
        revision=2,
    ),
    "non-targeted": _linear("one step away from the true class (lr)"),
    "natural": _linear("towards the class each class is mistaken for most often (lr)", choose_targets=natural_targets),
    "non-natural": _linear(
        "towards the class each class is mistaken for least often (lr)", choose_targets=non_natural_targets
    ),
    "one-target": _linear("towards one class (lr)", target=7),
}

FROM_FILE = "from-file"
"""The attack of ``--from-file``."""

TARGETS_FROM = "non-targeted"
"""The attack whose mistakes give natural and non-natural targets."""


def list_attacks(*, linear: bool = True) -> list[str]:
    """Return the names of the attacks that ``--method`` takes; linear: also those for affine classifiers only."""
    return [name for name, row in ATTACKS.items() if not row.given and (linear or not row.linear_only)]


def find_attack(name: str, *, model: str, linear: bool) -> Attack:
    """Return a row of ATTACKS for a classifier of kind ``model``. Raises UsageError where it does not fit."""
    if name not in ATTACKS:
        raise UsageError(unknown("attack", name, ATTACKS))
    attack = ATTACKS[name]
    if attack.linear_only and not linear:
        fitting = ", ".join(sorted(list_attacks(linear=False)))
        raise UsageError(
            f"attack {name!r} is for logistic regression, this classifier is {model!r}; use one of {fitting}"
        )
    return attack


def find_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a row of LOSSES. Raises UsageError."""
    if name not in LOSSES:
        raise UsageError(unknown("attack loss", name, LOSSES))
    return LOSSES[name]
