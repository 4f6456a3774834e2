"""Estimates of the floating-point operations of an experiment's cells, from which their time is estimated."""

from __future__ import annotations

from advae.attacks import Attack
from advae.attacks.target_turns import MOST_TARGETS
from advae.evaluation.ensemble import list_members
from advae.models import classifiers, purifiers
from advae.records import (
    AddedOptions,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierRecipe,
    CodeAttackRecipe,
    ConvolutionOptions,
    LayersOptions,
    LogisticOptions,
    NetworkOptions,
    PerceptronOptions,
    RetrainOptions,
    RunRecipe,
    SurfaceRecipe,
)
from advae.workflows.counterparts import PipelineRecipes

TRAINING_OPERATIONS = 6.0
"""Operations of a training step for each weight and image: two in the forward pass, four in the backward pass."""

DOUBLE_PRECISION = 8.0
"""Time of an operation of scikit-learn, in float64 and without fusing, as a multiple of one in the networks."""

SCORING_LOOKS = 4
"""Evaluations of each image that the attack itself does not make: scores at full precision and at 8 bits, progress."""

EVADING = 0.7
"""Share of the attacked training images that a round of retraining adds, about: a robust classifier leaves fewer."""

ATTACK_OPERATIONS = 4.0
"""Operations of a gradient with respect to the image, for each weight and image."""


def estimate_autoencoder(recipe: AutoencoderRecipe, n: int) -> float:
    """Return the operations of training an autoencoder on n images; none for a baseline."""
    epochs = recipe.network.epochs if recipe.network else 0
    head = _count_weights(classifiers.describe_head(recipe)) if purifiers.trains_classifier(recipe) else 0.0
    return TRAINING_OPERATIONS * n * epochs * (_count_weights(recipe) + head) * purifiers.count_passes(recipe)


def estimate_classifier(recipe: ClassifierRecipe, n: int) -> float:
    """Return the operations of training a classifier on n images; none for one that is taken over or added."""
    options, how = recipe.options, recipe.retrained
    if how and not recipe.origin:
        return _estimate_retraining(recipe, how, n)
    if recipe.origin or isinstance(options, AddedOptions):
        return 0.0
    if isinstance(options, LogisticOptions):
        return DOUBLE_PRECISION * TRAINING_OPERATIONS * n * options.max_iter * _count_weights(recipe)
    return TRAINING_OPERATIONS * n * options.epochs * _count_weights(recipe)


def _estimate_retraining(recipe: ClassifierRecipe, how: RetrainOptions, n: int) -> float:
    """Return the operations of all rounds: fits on a growing set, and attacks; EVADING of the images are added."""
    bare = recipe.model_copy(update={"retrained": None})
    attacked = min(how.limit or n, n)
    fits = sum(estimate_classifier(bare, int(n + EVADING * number * attacked)) for number in range(how.rounds + 1))
    return fits + (how.rounds + 1) * ATTACK_OPERATIONS * _count_weights(recipe) * (how.steps or 1) * attacked


def _count_weights(recipe: AutoencoderRecipe | ClassifierRecipe) -> float:
    """Return how many weights an autoencoder or a classifier has, without biases; of convolutions, how often used."""
    pixels, classes = recipe.dataset.shape.size, len(recipe.dataset.classes)
    if isinstance(recipe, AutoencoderRecipe):
        return purifiers.count_products(recipe)
    options = recipe.options
    if isinstance(options, ConvolutionOptions):
        return classifiers.describe_convolutions(recipe).count_products()
    if isinstance(options, PerceptronOptions | LayersOptions):
        return classifiers.describe_perceptron(recipe).count_products()
    if isinstance(options, NetworkOptions):
        return 2.0 * options.hidden * (pixels + options.code) + pixels * classes
    return float(pixels * classes)


def estimate_run(recipes: PipelineRecipes, recipe: RunRecipe, n: int) -> float:
    """Return the operations of attacking n images."""
    weights = sum(_count_weights(one) for one in (recipes.classifier, recipes.autoencoder) if one)
    looks = sum(_count_looks(one, row) for one, row in list_members(recipe))
    return ATTACK_OPERATIONS * weights * n * len(recipe.eps) * (looks + SCORING_LOOKS)


FORWARD_OPERATIONS = 2.0
"""Operations of a forward pass, for each weight and image."""

BOUND_PASSES = 3.0
"""Forward passes in float64 that sound bounds cost: the centre of the box, its radius, and the rounding errors."""


def estimate_proof(recipes: PipelineRecipes, recipe: CertificateRecipe, n: int) -> float:
    """Return the operations of certifying n images; of smoothing, of the noisy copies."""
    weights = sum(_count_weights(one) for one in (recipes.classifier, recipes.autoencoder) if one)
    if recipe.samples:
        return FORWARD_OPERATIONS * weights * n * (recipe.samples + (recipe.select or 0))
    return FORWARD_OPERATIONS * DOUBLE_PRECISION * BOUND_PASSES * weights * n * len(recipe.eps)


def estimate_surface(recipes: PipelineRecipes, recipe: SurfaceRecipe) -> float:
    """Return the operations of a decision surface: a forward pass for each point of each class's image."""
    weights = sum(_count_weights(one) for one in (recipes.classifier, recipes.autoencoder) if one)
    return FORWARD_OPERATIONS * weights * len(recipe.dataset.classes) * recipe.points**2


def estimate_code_attack(autoencoder: AutoencoderRecipe, recipe: CodeAttackRecipe) -> float:
    """Return the operations of an attack on a code: the gradient of each pair and weight, at each step."""
    looks = recipe.pairs * recipe.points * recipe.steps
    return ATTACK_OPERATIONS * _count_weights(autoencoder) * looks


def _count_looks(recipe: RunRecipe, row: Attack) -> int:
    """Return how often an attack evaluates an image at most; an ensemble's members attack fewer and fewer images."""
    turns = min(MOST_TARGETS, len(recipe.dataset.classes) - 1) if row.in_turn else 1
    return turns * (recipe.queries or recipe.steps or 1) * (recipe.restarts or 1) * (recipe.draws or 1)


FIXED_SECONDS: dict[str, float] = {
    "autoencoders": 3.0,
    "classifiers": 2.0,
    "defences": 5.0,
    "cascades": 1.0,
    "behind defences": 1.0,
    "surrogates": 7.0,
    "attacks": 1.0,
    "certificates": 2.0,
    "surfaces": 3.0,
    "code attacks": 5.0,
}
"""Level -> seconds of the smallest cell, most of them compilation; measured on two cores."""
