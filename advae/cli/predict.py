"""``advae predict``: classify the images of a .npy file, purifier included."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advae.cli.option_groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.session import Session
from advae.cli.stdout import write
from advae.errors import UsageError, printable, unknown
from advae.paths import to_path
from advae.quoting import disarm_formulas

if TYPE_CHECKING:
    from advae.records import Manifest
    from advae.workflows import Prediction

LABEL_FORMATS = ("json", "csv")


@grouped(session=SESSION)
def predict(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", parser=to_path, help="Images, uint8 or float in [0, 1].")],
    session: Session,
    clf: Annotated[
        str, typer.Option("--clf", metavar="REF", help="The classifier.", autocompletion=complete_refs("clf"))
    ],
    format_: Annotated[
        str,
        typer.Option("--format", metavar="F", help="json or csv.", autocompletion=complete_names(LABEL_FORMATS)),
    ] = "json",
) -> None:
    """Classify images; prints label and probabilities of each, as JSON or CSV."""
    from advae.workflows import predict_images

    if format_ not in LABEL_FORMATS:
        raise UsageError(unknown("format", format_, LABEL_FORMATS))
    if session.as_json and format_ != "json":
        raise UsageError("--json does not fit --format csv")
    with session.workspace("predict") as workspace:
        manifest, predictions = predict_images(workspace, clf, source)
        (_put_csv if format_ == "csv" else _put_json)(manifest, predictions)


def _put_csv(manifest: Manifest, predictions: Iterator[Prediction]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = manifest.recipe.dataset.classes
    header: list[str] | None = ["label", *(disarm_formulas(printable(f"p_{name}")) for name in classes)]
    for batch in predictions:
        if header:
            writer.writerow(header)
            header = None
        writer.writerows(
            [label, *row] for label, row in zip(batch.labels.tolist(), _list_probabilities(batch), strict=True)
        )
        write(text.getvalue())
        text.seek(0)
        text.truncate()


def _put_json(manifest: Manifest, predictions: Iterator[Prediction]) -> None:
    """Print one document with a line for each prediction; only one batch is in memory."""
    head = {
        "classifier": manifest.id,
        "autoencoder": manifest.as_classifier()[0].autoencoder,
        "classes": manifest.recipe.dataset.classes,
    }
    before = json.dumps(head)[:-1] + ', "predictions": [\n'
    for batch in predictions:
        lines = []
        for label, row in zip(batch.labels.tolist(), _list_probabilities(batch), strict=True):
            lines.append(json.dumps({"label": label, "probabilities": row}, allow_nan=False))
        write(before + ",\n".join(lines))
        before = ",\n"
    write("\n]}\n")


def _list_probabilities(batch: Prediction) -> list[list[float | None]]:
    """Return the rows, None for what is not a number: JSON has no NaN."""
    return [[value if math.isfinite(value) else None for value in row] for row in batch.probabilities.tolist()]
