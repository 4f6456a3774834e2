"""The messages and the output of the commands that train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from advae.cli.entry_names import name_entry, say_found
from advae.cli.next_command import suggest_attacking, suggest_training
from advae.cli.session import Session

if TYPE_CHECKING:
    from advae.records import ClassifierMetrics, ClassifierRecipe, Manifest
    from advae.workflows import Made


def put_trained(session: Session, train: Callable[[], Made], tag: str | None, data_dir: Path | None) -> None:
    """Train, tag the entry where a tag is given, and print its id, or with ``--json`` its recipe and metrics."""
    put_autoencoder(session, lambda: (train(), None), tag, data_dir)


def put_autoencoder(
    session: Session, train: Callable[[], tuple[Made, Made | None]], tag: str | None, data_dir: Path | None
) -> None:
    """Do the same for an autoencoder, and also show the classifier that it was trained with, where there is one.

    A tag names both, because it may name one entry of each kind.
    """
    if tag is not None:
        from advae.registry import check_tag

        check_tag(tag, session.registry.ids())
    made, companion = train()
    manifest = made.manifest
    for one in (made, companion):
        if one and tag is not None:
            name_entry(session, one.manifest, tag)
        if one:
            found = say_found(one.manifest) if one.cached else "is stored"
            session.tell(f"{one.manifest.id} {found}: {_describe(one.manifest)}")
    document = {
        "id": manifest.id,
        "cached": made.cached,
        "imported": manifest.imported,
        "metrics": manifest.metrics.model_dump(mode="json", exclude={"kind"}),
        "recipe": manifest.recipe.model_dump(mode="json"),
        "tag": tag,
    }
    if companion:
        document["classifier"] = companion.manifest.id
    session.put(document, manifest.id)
    if manifest.kind == "ae":
        suggest_training(session, manifest, companion.manifest if companion else None, data_dir)
    else:
        suggest_attacking(session, manifest, data_dir)


def _describe(manifest: Manifest) -> str:
    if manifest.kind == "ae":
        recipe, purifier = manifest.as_autoencoder()
        low, high = purifier.output_range
        baseline = "a baseline, no autoencoder: " if recipe.is_baseline else ""
        return f"{baseline}mean squared error {purifier.test_mse:.4f} on test images, output in [{low:.3g}, {high:.3g}]"
    clf, classifier = manifest.as_classifier()
    low, high = classifier.test_accuracy_interval
    behind = f"behind {clf.autoencoder}, its weights from {clf.origin}: " if clf.origin else ""
    clean = f"{behind}clean test accuracy {classifier.test_accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
    return clean + _describe_retraining(clf, classifier)


def _describe_retraining(recipe: ClassifierRecipe, found: ClassifierMetrics) -> str:
    """Return how a retraining ended, behind the clean accuracy; empty for another classifier."""
    how, rounds = recipe.retrained, found.retraining.rounds if found.retraining else ()
    if how is None or not rounds:
        return ""
    last = rounds[-1]
    rest = f"{last.new} adversarial examples are still new" if last.new else "no adversarial example is new"
    robust = (
        f"robust accuracy {last.robust_accuracy:.4f} under {how.method} at eps {how.eps:.4g}, which it was trained on"
    )
    return f"; {robust}; {rest} after {len(rounds) - 1} of {how.rounds} rounds"
