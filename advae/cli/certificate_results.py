"""The output of ``advae certify``: JSON for programs, a table for people, and the threshold of --fail-under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.cli.entry_names import say_found
from advae.cli.result_tables import start_table, write_clean, write_eps, write_rate
from advae.cli.session import Session
from advae.cli.values import show_seconds
from advae.errors import CheckFailedError

if TYPE_CHECKING:
    from advae.records import ClassifierRecipe
    from advae.report.formats.fitted_table import FittedTable
    from advae.workflows import Estimate, Made


def put_certificate(session: Session, made: Made) -> None:
    """Print the id of a certificate, or with ``--json`` its results; show them to people."""
    recipe = made.manifest.as_certificate()[0]
    classifier = session.registry.manifest(recipe.classifier).as_classifier()[0]
    if made.cached and made.manifest.imported:
        session.tell(f"{made.manifest.id} {say_found(made.manifest)}")
    session.tell(_tabulate(made, classifier))
    if recipe.sigma:
        session.tell(
            f"smoothing certifies another pipeline, the one that answers by majority under noise of {recipe.sigma:g}; "
            "attacks on the pipeline without noise say nothing about it"
        )
    session.put(_describe(made, classifier), made.manifest.id)


def _tabulate(made: Made, classifier: ClassifierRecipe) -> FittedTable:
    """Return the table of certified accuracies, which fits its terminal."""
    recipe, metrics = made.manifest.as_certificate()
    smoothed = f", smoothed with noise of {recipe.sigma:g}" if recipe.sigma else ""
    clean = write_clean(metrics.n, metrics.clean_accuracy, metrics.clean_accuracy_interval)
    if metrics.abstained is not None:
        clean += f", {metrics.abstained} abstentions"
    columns = ("method", "norm", "eps", "certified accuracy\n[95 % interval]")
    table = start_table(classifier, clean, columns, smoothed)
    for result in metrics.results:
        rate = write_rate(result.certified_accuracy, result.certified_accuracy_interval)
        table.add_row(recipe.method, recipe.norm, write_eps(result.eps, recipe.norm), rate)
    return table


def _describe(made: Made, classifier: ClassifierRecipe) -> dict[str, Any]:
    recipe, metrics = made.manifest.as_certificate()
    return {
        "id": made.manifest.id,
        "cached": made.cached,
        "imported": made.manifest.imported,
        "method": recipe.method,
        "norm": recipe.norm,
        "classifier": recipe.classifier,
        "autoencoder": classifier.autoencoder,
        "dataset": recipe.dataset.title,
        "n": metrics.n,
        "limit": recipe.limit,
        "sample": recipe.sample,
        "clean_accuracy": metrics.clean_accuracy,
        "clean_accuracy_interval": metrics.clean_accuracy_interval,
        "abstained": metrics.abstained,
        "results": [result.model_dump(mode="json") for result in metrics.results],
        "seconds": metrics.seconds,
        **recipe.noise,
    }


def put_estimate(session: Session, estimate: Estimate) -> None:
    """Print what a certificate would cost: a sentence, or with ``--json`` its options and seconds."""
    recipe = estimate.recipe
    eps = ", ".join(f"{one:.4g}" for one in recipe.eps)
    what = f"{recipe.method}, {recipe.norm}, eps {eps}, {estimate.n} images of {recipe.classifier}"
    cost = f"about {show_seconds(estimate.seconds)}" if estimate.made is None else "already in the registry"
    document = {
        "id": estimate.id,
        "made": estimate.made is not None,
        "method": recipe.method,
        "norm": recipe.norm,
        "eps": recipe.eps,
        "classifier": recipe.classifier,
        "n": estimate.n,
        "estimated_seconds": round(estimate.seconds, 1),
        **recipe.noise,
    }
    session.put(document, f"{estimate.id}  {what}: {cost}")


def require_certified(made: Made, least: float) -> None:
    """Raise CheckFailedError if the certified accuracy at an eps is below ``least``."""
    recipe, metrics = made.manifest.as_certificate()
    for result in metrics.results:
        if result.certified_accuracy < least:
            raise CheckFailedError(
                f"{made.manifest.id}: certified accuracy is {result.certified_accuracy:.2%} by {recipe.method} at eps "
                f"{result.eps:.4g}; --fail-under asks for {least:.2%}"
            )
