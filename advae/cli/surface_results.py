"""The output of ``advae surface``: JSON for programs, a table and the checks for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from advae.checks.decision_surfaces import check_surface, find_harm_ratio
from advae.cli.entry_names import say_found
from advae.cli.result_tables import name_stored
from advae.cli.session import Session
from advae.errors import printable
from advae.report.formats.fitted_table import FittedTable

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.workflows import Made


def put_surfaces(session: Session, made: Sequence[Made]) -> None:
    """Print the ids of surfaces, or with ``--json`` their shares; show them to people."""
    for one in made:
        if one.cached and one.manifest.imported:
            session.tell(f"{one.manifest.id} {say_found(one.manifest)}")
    session.tell(_tabulate(session, made))
    for one in made:
        for line in _list_remarks(one.manifest):
            session.tell(line)
    documents = [_describe(session, one) for one in made]
    document = documents[0] if len(documents) == 1 else {"surfaces": documents}
    session.put(document, "\n".join(one.manifest.id for one in made))


def _tabulate(session: Session, made: Sequence[Made]) -> FittedTable:
    recipe, metrics = made[0].manifest.as_surface()
    title = (
        f"decision surfaces, {printable(recipe.dataset.title)}, radius {recipe.radius:.4g}, "
        f"{recipe.points} x {recipe.points} points, {metrics.n} images\nshares that stay right"
    )
    table = FittedTable(title, ("pipeline", "plane", "up the\ngradient", "random\nsigns", "check"), ("pipeline",))
    for one in made:
        (recipe, metrics), pipeline = one.manifest.as_surface(), _name_pipeline(session, one.manifest)
        shares = (metrics.right_share, metrics.gradient_share, metrics.random_share)
        table.add_row(pipeline, *map(_show, shares), check_surface(recipe, metrics).status)
    return table


def _show(share: float | None) -> str:
    return "n/a" if share is None else f"{share:.2%}"


def _name_pipeline(session: Session, manifest: Manifest) -> str:
    return name_stored(session.registry.manifest(manifest.parents[0]).as_classifier()[0])


def _list_remarks(manifest: Manifest) -> list[str]:
    """Return what people should know of a surface: a check that does not pass, classes without an image."""
    recipe, metrics = manifest.as_surface()
    result, names = check_surface(recipe, metrics), recipe.dataset.classes
    remarks = [] if result.status == "PASS" else [f"{result.status}: {result.sentence}"]
    if metrics.missing:
        whose = "by all of them" if recipe.alongside else "by this pipeline"
        missing = ", ".join(printable(names[label]) for label in metrics.missing)
        remarks.append(f"no test image is classified correctly {whose} of class {missing}")
    if metrics.left_out:
        remarks.append(f"{metrics.left_out} of {len(names)} classes are not looked at: the first ones only")
    return [f"{manifest.id}: {remark}" for remark in remarks]


def _describe(session: Session, made: Made) -> dict[str, Any]:
    recipe, metrics = made.manifest.as_surface()
    classifier = session.registry.manifest(recipe.classifier).as_classifier()[0]
    return {
        "id": made.manifest.id,
        "cached": made.cached,
        "imported": made.manifest.imported,
        "classifier": recipe.classifier,
        "autoencoder": classifier.autoencoder,
        "alongside": recipe.alongside or (),
        "dataset": recipe.dataset.title,
        "radius": recipe.radius,
        "points": recipe.points,
        "clip": recipe.clip,
        "seed": recipe.seed,
        **metrics.model_dump(mode="json", exclude={"kind", "samples_digest"}),
        "harm_ratio": find_harm_ratio(metrics),
        "check": check_surface(recipe, metrics).model_dump(mode="json"),
    }
