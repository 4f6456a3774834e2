"""The attack of a retraining (RAD): which attacks it can be, and their adversarial examples of many images.

Li and Vorobeychik 2018, Evasion-robust classification on binary domains, algorithm RAD: fit, attack, add what is new to
the training images, until an attack brings nothing new. The rounds themselves are in ``workflows.retraining``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advae.attacks import Attack
from advae.attacks.retraining_methods import DEFAULT_METHOD, RETRAIN_METHODS
from advae.errors import UsageError, unknown
from advae.evaluation.attacker import Attacker
from advae.evaluation.purifier_draws import draw_for_score
from advae.evaluation.scorer import Scorer
from advae.metrics import decide
from advae.records import AutoencoderRecipe, ClassifierRecipe, RetrainOptions, RunRecipe, entry_id
from advae.requests import RetrainRequest
from advae.run_options import RUN_OPTIONS
from advae.threats import Pipeline, view_adaptive

if TYPE_CHECKING:
    from advae.records import FloatArray, IntArray

RETRAIN_REV = 1
"""Raised when all attacks of a retraining would find other adversarial examples; else the attack's own ``revision``."""


def fill_in_retraining(request: RetrainRequest, images: int) -> RetrainOptions:
    """Return the request with every default filled in. images: number of training images.

    Raises UsageError for an option without ``--retrain``, a missing eps, and an attack that does not fit.
    """
    if request.retrain is None:
        given = next(name for name, value in request if value is not None)
        raise UsageError(f"--{given.replace('_', '-')} needs --retrain N, how often the classifier is retrained")
    if request.retrain_eps is None:
        raise UsageError("--retrain needs --retrain-eps E, the L-infinity radius of its attacks, such as 0.1 or 25/255")
    method = request.retrain_method or DEFAULT_METHOD
    row = _find_method(method)
    if request.retrain_steps and not row.iterative:
        raise UsageError(f"--retrain-steps does not fit --retrain-method {method}, which takes a single step")
    limit = request.retrain_limit
    return RetrainOptions(
        rounds=request.retrain,
        method=method,
        eps=request.retrain_eps,
        steps=request.retrain_steps or row.steps,
        limit=limit if limit and limit < images else None,
        attack_rev=RETRAIN_REV + row.revision,
    )


def _find_method(name: str) -> Attack:
    """Return a row of RETRAIN_METHODS. Raises UsageError."""
    if name not in RETRAIN_METHODS:
        raise UsageError(f"bad --retrain-method: {unknown('attack', name, RETRAIN_METHODS)}")
    return RETRAIN_METHODS[name]


def require_possible(recipe: ClassifierRecipe, purifier: AutoencoderRecipe | None = None) -> None:
    """Raise UsageError where a classifier cannot be retrained as its recipe says. purifier: None where not known."""
    options = recipe.retrained
    if options is None:
        return
    if recipe.added or recipe.distilled:
        raise UsageError("only a classifier that is trained on labels here can be retrained")
    if recipe.code is not None:
        raise UsageError("--retrain does not fit --on code: it retrains classifiers of images")
    if recipe.noise_level:
        raise UsageError(
            "--retrain and --noise-level exclude each other: an adversarial example is of one image, not of its noisy "
            "copies"
        )
    if purifier and purifier.samples:
        raise UsageError(
            f"--retrain does not fit {entry_id(purifier)}, which is random: what evades one draw need not evade the "
            "next, so no adversarial example is new or known; take a purifier without --sample"
        )
    if (options.steps is not None) != _find_method(options.method).iterative:
        raise UsageError(f"--retrain-steps does not fit --retrain-method {options.method}")


def describe_own_attack(recipe: ClassifierRecipe) -> RunRecipe:
    """Return the recipe of a retraining's attack: adaptive, through the purifier, with the attack's own defaults."""
    options = recipe.retrained
    if options is None:
        raise ValueError(f"{entry_id(recipe)} is not retrained")
    row = _find_method(options.method)
    filled = {name: option.fill_in(row, option.default) for name, option in RUN_OPTIONS.items()}
    filled |= {"steps": options.steps, "seed": recipe.seed, "precision": None}
    return RunRecipe(
        method=options.method,
        threat="adaptive",
        classifier=entry_id(recipe),
        twin=None,
        dataset=recipe.dataset,
        eps=(options.eps,),
        recipe_rev=options.attack_rev,
        **filled,
    )


@dataclass(frozen=True)
class AttackedBatch:
    """The adversarial examples of some images."""

    rows: IntArray
    """Positions of the images, int64 (m,)."""
    seen: FloatArray
    """What the classifier is fed for them, float32 (m, d): they themselves, purified where there is a purifier."""
    predictions: IntArray
    """The classes that are predicted for them, int64 (m,)."""


def attack_images(
    pipeline: Pipeline,
    recipe: ClassifierRecipe,
    x: FloatArray,
    y: IntArray,
    report: Callable[[], None],
    ids: IntArray | None = None,
) -> Iterator[AttackedBatch]:
    """Yield the adversarial examples of all images, batch by batch. x: float32 (n, d) in [0, 1]; y: int64 (n,).

    report: called after each batch. ids: positions in their set, int64 (n,), to which random starts belong; None: the
    first n. Raises AdvaeError where one is outside budget or range: a defect of advae.
    """
    import numpy as np
    import tensorflow as tf

    attack, surface = describe_own_attack(recipe), view_adaptive(pipeline)
    attacker, scorer, eps = Attacker(surface, attack, x, y, report, ids=ids), Scorer(surface, attack, x), attack.eps[0]
    for index, proposal in enumerate(attacker.propose(eps, np.arange(len(y)), None)):
        scorer.check_proposal(proposal, eps)
        draw = draw_for_score(attack.seed, index)
        seen, logits = scorer.classify(tf.constant(proposal.x_adv), tf.constant(draw))
        yield AttackedBatch(proposal.rows, seen.numpy(), decide(logits.numpy()))
