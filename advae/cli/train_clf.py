"""``advae train-clf``: train a classifier, undefended or behind a purifier, and print its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from advae.cli.option_groups import SESSION, complete_names, complete_refs, grouped
from advae.cli.options import (
    ClassesOption,
    DataDirOption,
    DatasetOption,
    ForceOption,
    ResizeOption,
    SeedOption,
    TagOption,
)
from advae.cli.retraining_options import RETRAIN_GROUP
from advae.cli.session import Session
from advae.cli.trained import put_trained
from advae.cli.training_options import NETWORK, ModelOption, build_network_request, parse_layers
from advae.cli.values import read_fraction
from advae.errors import UsageError
from advae.models.classifiers import CLASSIFIERS
from advae.settings import IMAGE, SHOWN

if TYPE_CHECKING:
    from advae.requests import LogisticRequest

_LOGISTIC = "Logistic regression"


@grouped(network=NETWORK, retraining=RETRAIN_GROUP, session=SESSION)
def train_clf(
    session: Session,
    network: dict[str, Any],
    retraining: dict[str, Any],
    model: ModelOption = None,
    ae: Annotated[
        str | None,
        typer.Option(
            "--ae",
            metavar="REF",
            help="Train on, and classify, images purified by this autoencoder or baseline.",
            autocompletion=complete_refs("ae"),
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="REF",
            help="Put this trained classifier behind --ae as it is.",
            autocompletion=complete_refs("clf"),
        ),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    classes: ClassesOption = None,
    c: Annotated[
        float | None,
        typer.Option(
            "--C",
            metavar="X",
            parser=read_fraction,
            help="Inverse regularisation for pixels in [0, 1]; default 255^2.",
            rich_help_panel=_LOGISTIC,
        ),
    ] = None,
    intercept: Annotated[
        bool | None,
        typer.Option("--intercept/--no-intercept", help="Fit a constant term; default: no.", rich_help_panel=_LOGISTIC),
    ] = None,
    max_iter: Annotated[
        int | None,
        typer.Option(
            "--max-iter", metavar="N", min=1, help="Iterations of lbfgs; default 100.", rich_help_panel=_LOGISTIC
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            metavar="N[,N...]",
            help="Only mlp: units of each hidden layer, with ReLU between them, in place of --hidden-size.",
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="WHAT",
            help="Only mlp: image, or code: the code of --ae, whose encoder and this classifier are then one.",
            autocompletion=complete_names(SHOWN),
        ),
    ] = IMAGE,
    noise_level: Annotated[
        float | None,
        typer.Option(
            "--noise-level",
            metavar="X",
            parser=read_fraction,
            help="Train on images plus unclipped Gaussian noise of this standard deviation, added before --ae: for "
            "randomised smoothing.",
        ),
    ] = None,
    seed: SeedOption = 0,
    tag: TagOption = None,
    force: ForceOption = False,
) -> None:
    """Train a classifier, or put a trained one behind an autoencoder; prints its id.

    The dataset is the autoencoder's, or digits.
    """
    from advae.requests import ClassifierRequest, RetrainRequest
    from advae.workflows import put_classifier, train_classifier

    place = {"data_dir": data_dir, "resize": resize, "classes": classes}
    logistic = _build_logistic(c, intercept, max_iter)
    if model is None or from_ is not None:
        given = network or retraining or logistic or layers or on != IMAGE or noise_level or seed
        _check_untrained(model=model, ae=ae, options=given)
        with session.workspace("put behind", **place, force=force) as workspace:
            put_trained(session, lambda: put_classifier(workspace, dataset, str(ae), from_), tag, data_dir)
        return
    request = ClassifierRequest(
        model=model,
        network=build_network_request(network),
        logistic=logistic,
        noise_level=noise_level,
        retraining=RetrainRequest(**retraining) if retraining else None,
        layers=parse_layers(layers),
        on=on,
        seed=seed,
    )
    with session.workspace(f"train {model}", **place, force=force) as workspace:
        put_trained(session, lambda: train_classifier(workspace, dataset, request, ae), tag, data_dir)


def _check_untrained(*, model: str | None, ae: str | None, options: object) -> None:
    """Raise UsageError for options that do not fit putting a trained classifier behind an autoencoder."""
    if ae is None:
        raise UsageError(
            f"train-clf needs --model ({', '.join(CLASSIFIERS)}), or --ae REF to put a trained classifier behind it"
        )
    if model is not None:
        raise UsageError("--from and --model exclude each other: --from takes a trained classifier, --model trains one")
    if options:
        raise UsageError("--seed, --on and training options need --model")


def _build_logistic(c: float | None, intercept: bool | None, max_iter: int | None) -> LogisticRequest | None:
    """Return the logistic regression that the options ask for, None where none was given. Raises UsageError."""
    from advae.requests import LogisticRequest

    request = LogisticRequest(C=c, intercept=intercept, max_iter=max_iter)
    return request if request != LogisticRequest() else None
