"""The commands that compute a report's entries again, made from their recipes."""

from __future__ import annotations

from collections.abc import Iterable

from advae.named_plans import PAPER_PLAN
from advae.quoting import join_command
from advae.records import (
    AddedOptions,
    AutoencoderRecipe,
    CertificateRecipe,
    ClassifierRecipe,
    CodeAttackRecipe,
    ConvolutionOptions,
    LayersOptions,
    LogisticOptions,
    Manifest,
    NetworkOptions,
    PerceptronOptions,
    RunRecipe,
    Scalar,
    SurfaceRecipe,
)
from advae.report.data.contents import Comparison, list_parents, list_runs_of
from advae.report.data.runs import Run
from advae.report.data.threat_models import list_methods
from advae.run_options import RUN_OPTIONS, write_options

SHELL_AE, SHELL_CLF = "__ae_of_this_line__", "__clf_of_this_line__"
"""Placeholders for shell variables with ids, which must not be quoted."""

FREE_METHOD = "pgd"
"""The attack that is suggested instead of one that only its own threat model has; it fits every norm and classifier."""

ADDED_FILE, GIVEN_FILE = "FILE", "ADV.npy"
"""Stand for the file of an added model, and of adversarial examples; no entry has their names."""

CommandOptions = dict[str, Scalar | None]

UNUSED_SIZES = {"denoise": ("code-size",), "reduce": ("hidden-size",)}
"""The stages of a cascade -> sizes in its recipe that follow from the other size, and are no options there."""


def list_commands(comparison: Comparison) -> list[str]:
    """Return the commands that compute a report's runs and all that it shows, each once, in an order that works.

    The same recipe has the same id, so the commands can name each other's results by id. For the cells of a named plan
    the first command computes all of it.
    """
    runs = list(list_runs_of(comparison.rows))
    entries = [entry for run in runs for entry in (*list_parents(run), run.manifest)]
    entries += [entry for pipeline in comparison.unattacked for entry in pipeline.entries]
    entries += [entry for pipeline, _ in comparison.surfaces for entry in pipeline.entries]
    entries += [network.manifest for network in comparison.networks]
    entries += [attack.autoencoder for attack in comparison.code_attacks]
    # No command but the attack trains a surrogate on the answers of an added model.
    commands = {entry.id: describe_command(entry) for entry in entries if not _is_distilled(entry)}
    commands |= {surface.id: describe_surface(surface.recipe) for _, surface in comparison.surfaces}
    commands |= {certificate.id: describe_certificate(certificate.recipe) for certificate in comparison.certificates}
    commands |= {attack.id: describe_code_attack(attack.recipe) for attack in comparison.code_attacks}
    if not comparison.plan:
        return list(commands.values())
    attacked = [one.classifier for one in (*runs, *comparison.unattacked)]
    attacked += [pipeline.classifier for pipeline, _ in comparison.surfaces]
    used = [_list_data(one) for one in (*attacked, *(attack.autoencoder for attack in comparison.code_attacks))]
    data: CommandOptions = {"dataset": ",".join(dict.fromkeys(str(one["dataset"]) for one in used))}
    sizes = {one["resize"] for one in used}
    named: CommandOptions = {"plan": None if comparison.plan == PAPER_PLAN else comparison.plan}
    return [
        _join(["advae", "reproduce"], named | data | {"resize": sizes.pop() if len(sizes) == 1 else None}),
        *commands.values(),
    ]


def describe_command(entry: Manifest) -> str:
    """Return the command line that computes an entry again, quoted for a shell."""
    recipe = entry.recipe
    if entry.added and not (entry.kind == "clf" and recipe.parents):
        command = "add-ae" if entry.kind == "ae" else "add-clf"
        return _join(["advae", command, ADDED_FILE], _list_added_options(entry.added) | _list_data(entry))
    if isinstance(recipe, AutoencoderRecipe):
        words, options = ["advae", "train-ae"], _list_autoencoder_options(recipe)
    elif isinstance(recipe, ClassifierRecipe):
        words, options = ["advae", "train-clf"], _list_classifier_options(recipe)
        if recipe.origin:
            # Nothing is trained: its source decides the rest.
            source = None if recipe.origin == recipe.autoencoder else recipe.origin
            return _join(words, {"from": source, "ae": recipe.autoencoder, **_list_data(entry)})
    elif isinstance(recipe, CertificateRecipe):
        return describe_certificate(recipe)
    elif isinstance(recipe, SurfaceRecipe):
        return describe_surface(recipe)
    elif isinstance(recipe, CodeAttackRecipe):
        return describe_code_attack(recipe)
    else:
        return _join(["advae", "attack"], _list_attack_options(recipe))
    return _join(words, options | _list_data(entry) | {"seed": recipe.seed})


def describe_certificate(recipe: CertificateRecipe) -> str:
    """Return the command line that certifies a classifier again, quoted for a shell."""
    return _join(["advae", "certify"], _list_certificate_options(recipe))


def describe_surface(recipe: SurfaceRecipe) -> str:
    """Return the command line that computes a decision surface again, and those of the pipelines beside it."""
    options: CommandOptions = {
        "clf": ",".join((recipe.classifier, *(recipe.alongside or ()))),
        "radius": repr(recipe.radius),
        "points": recipe.points,
        "no-clip": not recipe.clip,
        "seed": recipe.seed,
    }
    return _join(["advae", "surface"], options)


def describe_code_attack(recipe: CodeAttackRecipe) -> str:
    """Return the command line that attacks a code again, quoted for a shell."""
    options: CommandOptions = {"ae": recipe.autoencoder}
    names = ("pairs", "target", "limit", "points", "optimizer", "steps", "seed")
    return _join(["advae", "attack-code"], options | {name: getattr(recipe, name) for name in names})


def _is_distilled(entry: Manifest) -> bool:
    return isinstance(entry.recipe, ClassifierRecipe) and entry.recipe.distilled is not None


def suggest_attack(recipe: RunRecipe, threat: str, **changes: Scalar | None) -> str:
    """Return the command for the attack of a run under another threat model.

    Where the attack does not fit, another one replaces it, and only the options that all attacks share are kept.
    changes: options to replace.
    """
    options, method, fitting = _list_attack_options(recipe), recipe.method, list_methods(threat)
    if fitting and method not in fitting:
        method = fitting[0]
    elif not fitting and list_methods(recipe.threat):
        method = FREE_METHOD
    if method != recipe.method:
        kept = {"eps", "clf", *(option.word for option in RUN_OPTIONS.values() if option.row.shared)}
        options = {name: value for name, value in options.items() if name in kept} | {"method": method}
    # Not every threat model has EOT samples: their number is the default.
    options |= {
        "threat": None if "from-file" in options else threat,
        "draws": None,
        "no-clip": False,
        "save-adversarial": False,
    }
    return _join(["advae", "attack"], options | changes)


def suggest_baselines(run: Run, kinds: Iterable[str]) -> str:
    """Return one line that makes some baselines and attacks classifiers behind them as this run did its own."""
    data = _list_data(run.classifier)
    make = _join(["advae", "train-ae"], data)
    classifier = _list_classifier_options(run.classifier_recipe) | {"ae": SHELL_AE} | data
    train = _join(["advae", "train-clf"], classifier | {"seed": run.classifier_recipe.seed})
    attack = suggest_attack(run.recipe, run.recipe.threat, clf=SHELL_CLF)
    each = f'AE=$({make} --type "$T") && CLF=$({train}) && {attack} || break'
    line = f"for T in {join_command(kinds)}; do {each}; done"
    return line.replace(SHELL_AE, '"$AE"').replace(SHELL_CLF, '"$CLF"')


def _list_data(entry: Manifest) -> CommandOptions:
    """Return ``--dataset``, the user's own file or folder, else a published name; ``--resize`` and ``--classes``."""
    name, resize, kept = entry.dataset.name, entry.recipe.dataset.resize, entry.recipe.dataset.classes_option
    own = name.endswith((".npz", "/"))
    size = f"{resize[0]},{resize[1]}" if resize else None
    return {"dataset": entry.source if own and entry.source else name, "resize": size, "classes": kept}


def _join(words: list[str], options: CommandOptions) -> str:
    return join_command(words + [word for name, value in options.items() for word in _write_option(name, value)])


def _list_autoencoder_options(recipe: AutoencoderRecipe) -> CommandOptions:
    options: CommandOptions = {"type": recipe.type}
    stages = recipe.options.get("stages")
    if recipe.network:
        options |= _list_network_options(recipe.network)
        options["body"] = "dense" if recipe.dataset.shape.suits_convolutions and not stages else None
        options |= dict.fromkeys(UNUSED_SIZES.get(str(stages), ()))
    return options | {"loss": recipe.loss, "rescale": recipe.rescale, "protect": recipe.protects} | recipe.options


def _list_classifier_options(recipe: ClassifierRecipe) -> CommandOptions:
    options: CommandOptions = {
        "model": recipe.model,
        "ae": recipe.autoencoder,
        "on": "code" if recipe.code is not None else None,
        "noise-level": recipe.noise_level,
    }
    options |= _list_retraining(recipe)
    given = recipe.options
    if isinstance(given, NetworkOptions):
        return options | _list_network_options(given)
    if isinstance(given, LogisticOptions):
        options |= {"C": given.C, "intercept": given.intercept, "no-intercept": not given.intercept}
        return options | {"max-iter": given.max_iter}
    if isinstance(given, AddedOptions):
        return options
    sizes: CommandOptions = (
        {"layers": ",".join(map(str, given.layers))}
        if isinstance(given, LayersOptions)
        else {"hidden-size": given.hidden}
    )
    return options | _list_schedule(given) | sizes


def _list_retraining(recipe: ClassifierRecipe) -> CommandOptions:
    how = recipe.retrained
    if how is None:
        return {}
    return {
        "retrain": how.rounds,
        "retrain-method": how.method,
        "retrain-eps": how.eps,
        "retrain-steps": how.steps,
        "retrain-limit": how.limit,
    }


def _list_added_options(added: AddedOptions) -> CommandOptions:
    numbers = {"input-range": added.input_range, "mean": added.mean, "std": added.std}
    written = {name: ",".join(f"{value!r}" for value in values) for name, values in numbers.items() if values}
    outputs = None if added.outputs == "images" else added.outputs
    return {**written, "channels": added.channels, "outputs": outputs, "trust": ",".join(added.trusted or ()) or None}


def _list_schedule(
    trained: NetworkOptions | PerceptronOptions | LayersOptions | ConvolutionOptions,
) -> CommandOptions:
    return {
        "epochs": trained.epochs,
        "batch-size": trained.batch_size,
        "learning-rate": trained.learning_rate,
    }


def _list_network_options(network: NetworkOptions) -> CommandOptions:
    return _list_schedule(network) | {
        "hidden-size": network.hidden,
        "code-size": network.code,
        "activations": ",".join(network.activations),
    }


def _list_attack_options(recipe: RunRecipe) -> CommandOptions:
    how: CommandOptions = {"from-file": GIVEN_FILE} if recipe.examples else {"method": recipe.method}
    budget: CommandOptions = {"norm": None, "eps": ",".join(repr(eps) for eps in recipe.eps)}
    who: CommandOptions = {"clf": recipe.classifier, "threat": None if recipe.examples else recipe.threat}
    return how | budget | who | write_options(recipe)


def _list_certificate_options(recipe: CertificateRecipe) -> CommandOptions:
    return {
        "method": recipe.method,
        "norm": recipe.norm,
        "eps": ",".join(repr(eps) for eps in recipe.eps),
        "clf": recipe.classifier,
        "limit": recipe.limit,
        "sample": recipe.sample,
        **recipe.noise,
    }


def _write_option(name: str, value: Scalar | None) -> list[str]:
    """Return an option's words; none for one that is unset, or a switch that is off."""
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    return [flag] if value is True else [flag, str(value)]
