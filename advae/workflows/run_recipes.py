"""Recipes of runs, made from requests: defaults are filled in, and options that do not fit are refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from advae.attacks import ATTACKS, Attack, find_attack, find_loss, list_attacks
from advae.attacks.losses import NORMALISED
from advae.errors import BudgetError, UsageError, unknown
from advae.evaluation.ensemble import list_members
from advae.evaluation.purifier_draws import DRAWS_PER_BATCH
from advae.models.classifiers import gives_gradients, is_linear
from advae.records import ClassifierRecipe, DatasetRef, ImageShape, RunRecipe, key_eps, unite_eps
from advae.requests import AttackRequest, suggest_point, suggest_scale
from advae.run_options import RUN_OPTIONS, Norm
from advae.settings import BFLOAT16, FLOAT32
from advae.threats import Threat, find_threat
from advae.workflows.counterparts import PipelineRecipes, describe_counterpart, describe_surrogate

RUN_REV = 2
"""Raised when the results of all attacks change; for one attack alone, its ``revision`` is raised."""

DRAWS = 16
"""EOT samples of each gradient through a random purifier, unless the user says otherwise."""


@dataclass(frozen=True)
class PreparedRun:
    """The checked recipe of a run."""

    recipe: RunRecipe
    """The recipe, with every default filled in."""
    dependencies: tuple[PipelineRecipes, ...]
    """Pipelines that the attacker needs; they are trained first where they are missing."""


def prepare_run(
    recipes: PipelineRecipes,
    request: AttackRequest,
    *,
    n_test: int,
    find_counterpart: Callable[[PipelineRecipes], str],
    surrogate_id: str | None = None,
) -> PreparedRun:
    """Return the request with every default filled in; the pipeline need not be trained yet.

    n_test: number of test images of its dataset; find_counterpart: undefended pipeline of the same recipe -> id of the
    one that an oblivious attacker uses; surrogate_id: of the pipeline that a transfer attacker differentiates, None for
    one that is made. Raises UsageError and BudgetError for what does not fit.
    """
    recipe = recipes.classifier
    row = find_attack(request.method, model=recipe.model, linear=is_linear(recipe))
    random, purified, retrained = recipes.samples, recipe.autoencoder is not None, recipe.retrained is not None
    threat = find_threat(
        request.threat, purified=purified, samples=random, retrained=retrained, on_code=recipes.on_code
    )
    _require_examples(request, row)
    _require_gradients(recipe, request, row, threat)
    _check_options(request, row)
    _check_budget(request, row, shape=recipe.dataset.shape)
    undefended, surrogate = describe_counterpart(recipes), describe_surrogate(recipes)
    counterpart = find_counterpart(undefended) if threat.needs_undefended else None
    needed = (
        (undefended, counterpart == undefended.id),
        (surrogate, threat.needs_surrogate and surrogate_id is None),
    )
    made = RunRecipe(
        method=request.method,
        threat=request.threat,
        classifier=recipes.id,
        twin=counterpart,
        surrogate=(surrogate_id or surrogate.id) if threat.needs_surrogate else None,
        dataset=recipe.dataset,
        eps=tuple(eps if key_eps(eps) else 0.0 for eps in request.eps),
        recipe_rev=RUN_REV + row.revision,
        examples=request.examples,
        **_fill_in_options(recipes, request, row, threat, n_test=n_test),
    )
    sampled = threat.on_input and not threat.needs_sampling and random
    made = made.model_copy(update={"recipe_rev": made.recipe_rev + _count_revisions(made, sampled=sampled)})
    return PreparedRun(made, tuple(pipeline for pipeline, wanted in needed if wanted))


def _require_examples(request: AttackRequest, row: Attack) -> None:
    """Raise UsageError where an attack scores examples from a file and there is none, or the other way round."""
    if row.given != (request.examples is not None):
        raise UsageError(
            "adversarial examples that were made elsewhere are read from a file: `advae attack --from-file ADV.npy "
            "--eps E`, without --method and --threat"
        )


def _require_gradients(recipe: ClassifierRecipe, request: AttackRequest, row: Attack, threat: Threat) -> None:
    """Raise UsageError where an attack needs gradients that a model of scores only does not have."""
    if gives_gradients(recipe) or not row.needs_gradients or not threat.differentiates_classifier:
        return
    free = ", ".join(name for name in list_attacks() if not ATTACKS[name].needs_gradients and name != "noise")
    raise UsageError(
        f"attack {request.method!r} needs gradients, and this classifier gives scores only; take --method {free}, or "
        "--threat transfer, whose gradients are a surrogate's"
    )


def _fill_in_options(
    recipes: PipelineRecipes, request: AttackRequest, row: Attack, threat: Threat, *, n_test: int
) -> dict[str, Any]:
    """Return every option of a run: the requested value, the attack's default, or a value that the pipeline decides."""
    limit = request.limit if request.limit and request.limit < n_test else None
    return {name: option.fill_in(row, getattr(request, name)) for name, option in RUN_OPTIONS.items()} | {
        "target": _choose_target(request, row, recipes.classifier.dataset),
        "draws": _choose_draws(recipes, request, row, threat),
        "precision": BFLOAT16 if request.precision == BFLOAT16 else None,
        "limit": limit,
        "sample": request.sample if limit else None,
    }


def _count_revisions(recipe: RunRecipe, *, sampled: bool) -> int:
    """Return the number of revisions that apply to this run but not to all runs of its method, whose ids stay.

    sampled: whether the pipeline is random in front of the point of attack.
    """
    # Before the revision, the dlr loss was constant on two classes.
    ratio = len(recipe.dataset.classes) < NORMALISED and any(one.loss == "dlr" for one, _ in list_members(recipe))
    # Before the first revision, success on one draw counted, and no success rates were measured; before the second, the
    # outcomes of single draws were not kept.
    return ratio + 2 * sampled


def _choose_draws(recipes: PipelineRecipes, request: AttackRequest, row: Attack, threat: Threat) -> int | None:
    """Return the number of EOT samples; None where the gradients pass through no random purifier."""
    if threat.samples and recipes.samples:
        return row.eot_samples or request.draws or DRAWS
    if request.draws is not None and request.threat in ("adaptive", "elsewhere"):
        raise UsageError("--draws does not fit: this attack's gradients pass through no random purifier")
    return None


def _check_options(request: AttackRequest, row: Attack) -> None:
    """Raise UsageError for an option that the method does not have."""
    if request.loss:
        find_loss(request.loss)
    for name, option in RUN_OPTIONS.items():
        if option.row.choices and getattr(request, name) not in (None, *option.row.choices):
            raise UsageError(unknown(name, getattr(request, name), option.row.choices))
    for name, option in RUN_OPTIONS.items():
        given = getattr(request, name)
        if given not in (None, option.default, FLOAT32) and not option.fits(row):
            value = f" {given}" if isinstance(given, str) and option.row.choices else ""
            raise UsageError(f"{option.flag}{value} does not fit attack {request.method!r}")
    if request.draws is not None and row.eot_samples is not None:
        raise UsageError(f"--draws does not fit attack {request.method!r}, whose settings are the published ones")
    if request.steps is not None and request.steps >= DRAWS_PER_BATCH:
        raise UsageError(f"bad --steps {request.steps}: at most {DRAWS_PER_BATCH - 1}")
    if request.sample and request.limit is None:
        raise UsageError(
            f"--sample {request.sample} needs --limit N, how many test images to draw; without either all are attacked"
        )


def _check_budget(request: AttackRequest, row: Attack, *, shape: ImageShape) -> None:
    """Raise UsageError for a norm that the method does not have or too large a step, BudgetError for a bad eps."""
    if request.norm not in row.norms:
        raise UsageError(f"attack {request.method!r} has no --norm {request.norm}; it takes {', '.join(row.norms)}")
    most = find_largest_eps(request.norm, shape)
    if request.step_size is not None and not 0 < request.step_size <= most:
        raise UsageError(
            f"bad --step-size {request.step_size}: more than 0 and at most {most:g}, "
            f"the largest {request.norm} distance between two images{suggest_scale(request.step_size, most)}"
        )
    check_eps(request.eps, most)


def find_largest_eps(norm: Norm, shape: ImageShape) -> float:
    """Return the largest distance between two images of a shape, from black to white, in units of x."""
    return 1 if norm == "linf" else shape.diameter


def check_eps(radii: Sequence[float], most: float) -> None:
    """Raise BudgetError for a list of eps that is empty, has one outside [0, most], or names one twice."""
    if not radii:
        raise BudgetError(f"no eps given; one or more numbers in [0, {most:g}], such as 0.1,0.2 or 50/255")
    point = suggest_point(radii)
    for eps in radii:
        if not (math.isfinite(eps) and 0 <= eps <= most):
            raise BudgetError(
                f"bad eps {eps}: a number in [0, {most:g}], in units of a pixel's range (50/255 is accepted)"
                f"{f'; did you mean {point}, with a decimal point?' if point else suggest_scale(eps, most)}"
            )
    if len(unite_eps(radii)) < len(radii):
        one = "" if len(set(radii)) < len(radii) else "; attacks compute in float32, where two are equal"
        raise BudgetError(f"an eps is given twice: {', '.join(map(str, radii))}{one}")


def _choose_target(request: AttackRequest, row: Attack, dataset: DatasetRef) -> int | None:
    """Return the target class: the requested one, else the method's default, at most the last class of the dataset."""
    classes = len(dataset.classes)
    if request.target is None:
        return None if row.target is None else min(row.target, classes - 1)
    if 0 <= request.target < classes:
        return request.target
    first, last = dataset.classes[0], dataset.classes[-1]
    anew = f", numbered anew: 0 is {first!r}, {classes - 1} is {last!r}" if dataset.kept else ""
    raise UsageError(f"bad --target {request.target}: the classes of this dataset are 0 to {classes - 1}{anew}")
