"""What commands print of the entries that they made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from advae.cli.session import Session
from advae.errors import printable
from advae.records import ClassifierRecipe, Manifest
from advae.registry import check_tag
from advae.verdicts import NOT_VALID
from advae.workflows import Made


def put_trained(session: Session, train: Callable[[], Made], tag: str | None) -> None:
    """Train, tag the entry where a tag is given, and print its id, or with ``--json`` what is known of it."""
    if tag is not None:
        check_tag(tag)
    made = train()
    manifest = made.manifest
    if tag is not None:
        session.registry.tag(manifest, tag)
    session.tell(f"{manifest.id} {'was there already' if made.cached else 'is stored'}: {_describe(manifest)}")
    document = {
        "id": manifest.id,
        "cached": made.cached,
        "metrics": manifest.metrics.model_dump(mode="json", exclude={"kind"}),
        "recipe": manifest.recipe.model_dump(mode="json"),
        "tag": tag,
    }
    session.put(document, manifest.id)


def _describe(manifest: Manifest) -> str:
    if manifest.kind == "ae":
        _, purifier = manifest.as_autoencoder()
        low, high = purifier.output_range
        return f"mean squared error {purifier.test_mse:.4f} on test images, output in [{low:.3g}, {high:.3g}]"
    _, classifier = manifest.as_classifier()
    low, high = classifier.test_accuracy_interval
    return f"clean test accuracy {classifier.test_accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"


def describe_run(made: Made, autoencoder: str | None) -> dict[str, Any]:
    """Return the JSON document of a run, as the command-line contract lays it down."""
    recipe, metrics = made.manifest.as_run()
    return {
        "id": made.manifest.id,
        "method": recipe.method,
        "threat": recipe.threat,
        "norm": recipe.norm,
        "classifier": recipe.classifier,
        "autoencoder": autoencoder,
        "dataset": recipe.dataset.name,
        "n": metrics.n,
        "seed": recipe.seed,
        "clean_accuracy": metrics.clean_accuracy,
        "results": [result.model_dump(mode="json") for result in metrics.results],
        "clean_accuracy_interval": metrics.clean_accuracy_interval,
        "cached": made.cached,
        "clip": recipe.clip,
        "loss": recipe.loss,
        "steps": recipe.steps,
        "restarts": recipe.restarts,
        "target": recipe.target,
        "twin": recipe.twin,
    }


def tabulate_runs(made: list[Made], classifier: ClassifierRecipe) -> Table:
    """Return the table that people read after an attack, narrow enough for 80 columns."""
    behind = f"behind {classifier.autoencoder}" if classifier.autoencoder else "without a purifier"
    _, first = made[0].manifest.as_run()
    low, high = first.clean_accuracy_interval
    clean = f"n = {first.n}, clean {first.clean_accuracy:.2%} ({low:.2%} to {high:.2%})"
    table = Table(
        title=f"{classifier.model} {behind}, {printable(classifier.dataset.name)}\n{clean}",
        title_justify="left",
        box=SIMPLE,
    )
    for name in ("method", "threat", "eps", "attacked (95 % interval)", "fooled"):
        table.add_column(name, justify="left" if name in ("method", "threat") else "right")
    for one in made:
        recipe, metrics = one.manifest.as_run()
        for result in metrics.results:
            rate = result.attack_success_rate
            low, high = result.accuracy_interval
            table.add_row(
                recipe.method if recipe.norm == "linf" else f"{recipe.method} {recipe.norm}",
                recipe.threat,
                f"{result.eps:.4g} ({result.eps * 255:.4g}/255)",
                f"{result.accuracy:.2%} ({low:.2%} to {high:.2%})",
                "-" if rate is None else f"{rate:.2%}",
            )
            if not result.within_budget:
                table.add_row("", "", f"L-inf {result.linf_max:.4g}", NOT_VALID, "")
    return table
