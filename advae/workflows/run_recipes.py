"""From a request to attack to the recipe of its run: every default filled in, whatever does not fit refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from advae.attacks import Attack, find_attack, find_loss
from advae.attacks.losses import NORMALISED
from advae.errors import BudgetError, UsageError, unknown
from advae.evaluation.attacker import list_members
from advae.evaluation.eot import DRAWS_PER_BATCH
from advae.models.purifiers import samples
from advae.records import RunRecipe, key_eps, unite_eps
from advae.requests import AttackRequest, suggest_point, suggest_scale
from advae.sampling import SAMPLINGS, STRATIFIED
from advae.settings import BFLOAT16, FLOAT32, PRECISIONS
from advae.threats import Threat, find_threat
from advae.workflows.counterparts import SURROGATE, PipelineRecipes, describe_reseeded, describe_undefended

RUN_REV = 2
"""Raised when the same recipe would give another result than before, whatever the attack; one alone has a revision."""

DRAWS = 16
"""Over how many draws of a purifier that samples a gradient is averaged, unless the user says otherwise."""

QUERIES = 1_000
"""How often a score-based attack may ask for each sample, unless the user says otherwise."""


@dataclass(frozen=True)
class Prepared:
    """The recipe of a run, checked. siblings: what its attacker needs and may have to be trained first."""

    recipe: RunRecipe
    siblings: tuple[PipelineRecipes, ...]


def prepare_run(
    recipes: PipelineRecipes, request: AttackRequest, *, n_test: int, find_twin: Callable[[PipelineRecipes], str]
) -> Prepared:
    """Return the request with every default filled in; the pipeline need not be trained yet.

    n_test: how many test images its dataset has; find_twin: undefended pipeline of the same recipe -> id of the one
    that an oblivious attacker is to use. Raises UsageError and BudgetError for what does not fit.
    """
    recipe = recipes.classifier
    row = find_attack(request.method, model=recipe.model)
    threat = find_threat(request.threat, purified=recipe.autoencoder is not None)
    _check_options(request, row)
    _check_budget(request, row, side=recipe.dataset.side)
    undefended, surrogate = describe_undefended(recipes), describe_reseeded(recipes, SURROGATE)
    twin = find_twin(undefended) if threat.needs_twin else None
    needed = ((undefended, twin == undefended.id), (surrogate, threat.needs_surrogate))
    limit = request.limit if request.limit and request.limit < n_test else None
    made = RunRecipe(
        method=request.method,
        threat=request.threat,
        classifier=recipes.id,
        twin=twin,
        surrogate=surrogate.id if threat.needs_surrogate else None,
        dataset=recipe.dataset,
        eps=tuple(eps if key_eps(eps) else 0.0 for eps in request.eps),
        target=_choose_target(request, row, len(recipe.dataset.classes)),
        norm=request.norm,
        steps=None if row.queries else request.steps or row.steps,
        step_size=request.step_size,
        restarts=request.restarts or row.restarts,
        draws=_choose_draws(recipes, request, threat),
        queries=request.queries or QUERIES if row.queries else None,
        loss=request.loss or row.loss,
        precision="bfloat16" if request.precision == BFLOAT16 else None,
        clip=request.clip,
        limit=limit,
        sample="stratified" if limit and request.sample == STRATIFIED else None,
        save_adversarial=request.save_adversarial,
        seed=request.seed,
        recipe_rev=RUN_REV + row.revision,
    )
    sampled = threat.on_input and recipes.autoencoder is not None and samples(recipes.autoencoder)
    made = made.model_copy(update={"recipe_rev": made.recipe_rev + _count_revisions(made, sampled=sampled)})
    return Prepared(made, tuple(sibling for sibling, wanted in needed if wanted))


def _count_revisions(recipe: RunRecipe, *, sampled: bool) -> int:
    """Return how often the result changed of some runs of a method, but not of all: so that others keep their ids.

    sampled: whether what is attacked meets other draws each time that it is seen.
    """
    # The ratio was constant on two classes.
    ratio = len(recipe.dataset.classes) < NORMALISED and any(one.loss == "dlr" for one in list_members(recipe))
    # Success by one draw counted, and no success rates were measured.
    return ratio + sampled


def _choose_draws(recipes: PipelineRecipes, request: AttackRequest, threat: Threat) -> int | None:
    """Return over how many draws gradients are averaged; None where nothing on their way samples."""
    if threat.samples and recipes.autoencoder is not None and samples(recipes.autoencoder):
        return request.draws or DRAWS
    if request.draws is not None and request.threat == "adaptive":
        raise UsageError("--draws does not fit: nothing samples on the way of this attack's gradients")
    return None


def _check_options(request: AttackRequest, row: Attack) -> None:
    """Raise UsageError for an option that the method does not have."""
    if request.loss:
        find_loss(request.loss)
    if request.precision not in PRECISIONS:
        raise UsageError(unknown("precision", request.precision, PRECISIONS))
    _check_sample(request)
    unfit = {
        "--steps": request.steps is not None and (row.queries or not row.iterative),
        "--queries": request.queries is not None and not row.queries,
        "--step-size": request.step_size is not None and not (row.iterative and row.sized),
        "--restarts": request.restarts is not None and row.restarts is None,
        "--loss": request.loss is not None and row.loss is None,
        # Others ask for scores, or look for the nearest point: there what is rounded away would be missed.
        f"--precision {request.precision}": request.precision != FLOAT32 and row.loss is None,
        "--no-clip": not request.clip and row.unclipped is None,
        "--target": request.target is not None and row.target is None,
    }
    for option, wrong in unfit.items():
        if wrong:
            raise UsageError(f"{option} does not fit attack {request.method!r}")
    if request.steps is not None and request.steps >= DRAWS_PER_BATCH:
        raise UsageError(f"bad --steps {request.steps}: at most {DRAWS_PER_BATCH - 1}")


def _check_sample(request: AttackRequest) -> None:
    """Raise UsageError for a way of choosing images that there is not, or where none are chosen."""
    if request.sample is not None and request.sample not in SAMPLINGS:
        raise UsageError(unknown("sample", request.sample, SAMPLINGS))
    if request.sample and request.limit is None:
        raise UsageError(
            f"--sample {request.sample} needs --limit N, how many test images to draw; without either all are attacked"
        )


def _check_budget(request: AttackRequest, row: Attack, *, side: int) -> None:
    """Raise UsageError for a norm that the method does not have, and for a step or an eps that is too long for it.

    Of an eps, BudgetError.
    """
    if request.norm not in row.norms:
        raise UsageError(f"attack {request.method!r} has no --norm {request.norm}; it takes {', '.join(row.norms)}")
    # The longest way between two images: from black to white.
    most = 1 if request.norm == "linf" else side
    if request.step_size is not None and not 0 < request.step_size <= most:
        raise UsageError(
            f"bad --step-size {request.step_size}: more than 0 and at most {most}, "
            f"the largest {request.norm} distance between two images{suggest_scale(request.step_size, most)}"
        )
    if not request.eps:
        raise BudgetError(f"no eps given; one or more numbers in [0, {most}], such as 0.1,0.2 or 50/255")
    point = suggest_point(request.eps)
    for eps in request.eps:
        if not (math.isfinite(eps) and 0 <= eps <= most):
            raise BudgetError(
                f"bad eps {eps}: a number in [0, {most}], in units of a pixel's range (50/255 is accepted)"
                f"{f'; did you mean {point}, with a decimal point?' if point else suggest_scale(eps, most)}"
            )
    if len(unite_eps(request.eps)) < len(request.eps):
        one = "" if len(set(request.eps)) < len(request.eps) else "; attacks compute in float32, where two are equal"
        raise BudgetError(f"an eps is given twice: {', '.join(map(str, request.eps))}{one}")


def _choose_target(request: AttackRequest, row: Attack, classes: int) -> int | None:
    """Return the class to reach: by default the method's, or the last one of a dataset with fewer classes."""
    if request.target is None:
        return None if row.target is None else min(row.target, classes - 1)
    if 0 <= request.target < classes:
        return request.target
    raise UsageError(f"bad --target {request.target}: the classes of this dataset are 0 to {classes - 1}")
