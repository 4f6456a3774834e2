"""The output of ``advae attack-code``: JSON for programs, a table and the checks for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advae.cli.entry_names import say_found
from advae.cli.session import Session
from advae.errors import printable
from advae.report.formats.fitted_table import FittedTable
from advae.report.wording import format_area, format_distortion

if TYPE_CHECKING:
    from advae.workflows import Made

AREA_MEANS = "a larger area is a code that is harder to steer; the identity has about 0.5, and it is no accuracy"
"""What a reader must know of the area."""


def put_code_attack(session: Session, made: Made) -> None:
    """Print the id of an attack on a code, or with ``--json`` its results; show them to people."""
    recipe, metrics = made.manifest.as_code_attack()
    autoencoder = session.registry.manifest(recipe.autoencoder).as_autoencoder()[0]
    if made.cached and made.manifest.imported:
        session.tell(f"{made.manifest.id} {say_found(made.manifest)}")
    session.tell(_tabulate(made, autoencoder.type))
    for result in metrics.checks:
        if result.status != "PASS":
            session.tell(f"{result.check} {result.status}: {result.sentence}")
    session.tell(AREA_MEANS)
    session.put(_describe(made), made.manifest.id)


def _tabulate(made: Made, type_: str) -> FittedTable:
    """Return the table of one row, which fits its terminal."""
    recipe, metrics = made.manifest.as_code_attack()
    title = f"code of {type_} {recipe.autoencoder}, {printable(recipe.dataset.title)}"
    towards = "" if recipe.target is None else f", towards class {printable(recipe.dataset.classes[recipe.target])}"
    how = f"{recipe.optimizer}, {recipe.steps} steps, {recipe.points} weights"
    columns = ("pairs", "area under the curve\n[95 % interval]", "deviation", "distortion\nhalf way", "half way")
    table = FittedTable(f"{title}{towards}\n{how}", columns, ())
    table.add_row(
        str(metrics.n),
        format_area(metrics.area, metrics.area_interval),
        format_distortion(metrics.area_deviation),
        format_distortion(metrics.half_distortion),
        f"{metrics.half_reached} of {metrics.n}",
    )
    return table


def _describe(made: Made) -> dict[str, Any]:
    recipe, metrics = made.manifest.as_code_attack()
    return {
        "id": made.manifest.id,
        "cached": made.cached,
        "imported": made.manifest.imported,
        "autoencoder": recipe.autoencoder,
        "dataset": recipe.dataset.title,
        "pairs": recipe.pairs,
        "target": recipe.target,
        "limit": recipe.limit,
        "points": recipe.points,
        "optimizer": recipe.optimizer,
        "steps": recipe.steps,
        "seed": recipe.seed,
        **metrics.model_dump(mode="json", exclude={"kind"}),
    }
