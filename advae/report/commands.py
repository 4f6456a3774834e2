"""The commands that make a report's entries again, derived from their recipes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from advae.records import AutoencoderRecipe, ClassifierRecipe, Manifest, NetworkOptions, RunRecipe, Scalar
from advae.report.comparison import list_parents
from advae.report.runs import Run

Options = dict[str, Scalar | None]


def list_commands(runs: Iterable[Run]) -> list[str]:
    """Return the commands that make these runs and all that they rest on, each once, in an order that works.

    A recipe that is run again gets the same id, so the commands can refer to each other's results by id.
    """
    commands: dict[str, str] = {}
    for run in runs:
        for entry in (*list_parents(run), run.manifest):
            commands.setdefault(entry.id, describe_command(entry))
    return list(commands.values())


def describe_command(entry: Manifest) -> str:
    """Return the command line that makes an entry again, quoted for a shell."""
    recipe = entry.recipe
    if isinstance(recipe, AutoencoderRecipe):
        words, options = ["advae", "train-ae"], _list_autoencoder_options(recipe)
    elif isinstance(recipe, ClassifierRecipe):
        words, options = ["advae", "train-clf"], _list_classifier_options(recipe)
    else:
        words, options = ["advae", "attack"], _list_attack_options(recipe)
    if not isinstance(recipe, RunRecipe):
        options |= {"dataset": entry.source or recipe.dataset.name, "seed": recipe.seed}
    return shlex.join(words + [word for name, value in options.items() for word in _write_option(name, value)])


def _list_autoencoder_options(recipe: AutoencoderRecipe) -> Options:
    options: Options = {"type": recipe.type}
    if recipe.network:
        options |= _list_network_options(recipe.network)
    return options | {"loss": recipe.loss, "rescale": recipe.rescale} | recipe.options


def _list_classifier_options(recipe: ClassifierRecipe) -> Options:
    options: Options = {"model": recipe.model, "ae": recipe.autoencoder}
    if isinstance(recipe.options, NetworkOptions):
        return options | _list_network_options(recipe.options)
    logistic = recipe.options
    options |= {"C": logistic.C, "intercept": logistic.intercept, "no-intercept": not logistic.intercept}
    return options | {"max-iter": logistic.max_iter}


def _list_network_options(network: NetworkOptions) -> Options:
    return {
        "epochs": network.epochs,
        "batch-size": network.batch_size,
        "learning-rate": network.learning_rate,
        "hidden-size": network.hidden,
        "code-size": network.code,
        "activations": ",".join(network.activations),
    }


def _list_attack_options(recipe: RunRecipe) -> Options:
    return {
        "method": recipe.method,
        "norm": None if recipe.norm == "linf" else recipe.norm,
        "eps": ",".join(repr(eps) for eps in recipe.eps),
        "clf": recipe.classifier,
        "threat": recipe.threat,
        "target": recipe.target,
        "steps": recipe.steps,
        "step-size": recipe.step_size,
        "restarts": recipe.restarts,
        "loss": recipe.loss,
        "no-clip": not recipe.clip,
        "limit": recipe.limit,
        "save-adversarial": recipe.save_adversarial,
        "seed": recipe.seed,
    }


def _write_option(name: str, value: Scalar | None) -> list[str]:
    """Return an option's words; none for one that is unset, or a switch that is off."""
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    return [flag] if value is True else [flag, str(value)]
