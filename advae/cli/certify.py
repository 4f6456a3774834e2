"""``advae certify``: prove robust accuracy from below, print the certificate's id."""

from __future__ import annotations

from typing import Annotated

import typer

from advae.certificates import ALPHA, CERTIFICATES, SAMPLES, SELECT
from advae.cli.attack_options import parse_eps
from advae.cli.next_command import suggest_report
from advae.cli.option_groups import SESSION, EpsOption, NewestClfOption, complete_names, grouped
from advae.cli.options import DataDirOption, DatasetOption, ForceOption, ResizeOption, describe_rows
from advae.cli.session import Session
from advae.cli.values import read_fraction, read_share
from advae.errors import UsageError, unknown
from advae.run_options import IMAGES, NORMS, RESULT, RUN_OPTIONS, SAMPLINGS

_NOISE = "Randomised smoothing"


@grouped(session=SESSION)
def certify(
    *,
    eps: EpsOption = None,
    session: Session,
    clf: NewestClfOption = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="M",
            help=f"{describe_rows(CERTIFICATES)}\nDefault: what fits the pipeline.",
            autocompletion=complete_names(CERTIFICATES),
        ),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            "--norm",
            metavar="NORM",
            help="Norm of eps: linf, l2. Default: linf, of smoothing l2.",
            autocompletion=complete_names(NORMS),
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            help="Only the first N test images, or --sample of N.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            "--sample",
            metavar="HOW",
            help=RUN_OPTIONS["sample"].row.help,
            autocompletion=complete_names(SAMPLINGS),
            rich_help_panel=IMAGES,
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            metavar="S",
            parser=read_fraction,
            help="Standard deviation of the noise, in units of a pixel's range.",
            rich_help_panel=_NOISE,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            min=1,
            help=f"Noisy copies that bound the probability of the class; default {SAMPLES}.",
            rich_help_panel=_NOISE,
        ),
    ] = None,
    select: Annotated[
        int | None,
        typer.Option(
            "--select",
            metavar="N",
            min=1,
            help=f"Noisy copies that choose the class; default {SELECT}.",
            rich_help_panel=_NOISE,
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha",
            metavar="A",
            parser=read_share,
            help=f"Probability that the certificate of an image is wrong; default {ALPHA}.",
            rich_help_panel=_NOISE,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, help="Seed of the noise; default 0.", rich_help_panel=_NOISE),
    ] = None,
    dataset: DatasetOption = None,
    data_dir: DataDirOption = None,
    resize: ResizeOption = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print what would be computed, and about how long it takes.", rich_help_panel=RESULT
        ),
    ] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            metavar="X",
            parser=read_share,
            help="Exit 7 if certified accuracy is below X, in [0, 1].",
            rich_help_panel=RESULT,
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Prove for each test image that no perturbation changes its class; prints the certificate's id."""
    from advae.cli.certificate_results import put_certificate, put_estimate, require_certified
    from advae.requests import CertificateRequest
    from advae.workflows import certify_classifier, estimate_certificate

    if norm not in (None, *NORMS):
        raise UsageError(unknown("norm", str(norm), NORMS))
    request = CertificateRequest(
        method=method,
        norm=norm,
        eps=parse_eps(eps),
        limit=limit,
        sample=sample,
        sigma=sigma,
        samples=samples,
        select=select,
        alpha=alpha,
        seed=seed,
    )
    with session.workspace("certify", data_dir=data_dir, resize=resize, force=force) as workspace:
        if dry_run:
            put_estimate(session, estimate_certificate(workspace, clf, dataset, request))
            return
        made = certify_classifier(workspace, clf, dataset, request)
    put_certificate(session, made)
    suggest_report(session, made.manifest)
    if fail_under is not None:
        require_certified(made, fail_under)
