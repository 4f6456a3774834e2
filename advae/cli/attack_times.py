"""The output of ``advae attack --dry-run``: what would be computed, and about how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from advae.cli.values import show_seconds

if TYPE_CHECKING:
    from advae.cli.session import Session
    from advae.workflows import AttackEstimate


def put_estimates(session: Session, estimates: Sequence[AttackEstimate], seeds: int) -> None:
    """Print what attacks would cost: a line each, or with ``--json`` their options and seconds."""
    documents = [_describe(one) for one in estimates]
    known = [one.seconds for one in estimates if one.seconds is not None]
    total = seeds * sum(known) if len(known) == len(estimates) else None
    document: dict[str, Any] = documents[0]
    lines = list(map(_write, estimates))
    if len(estimates) > 1 or seeds > 1:
        times = f" for {seeds} seeds, without their training" if seeds > 1 else ""
        lines.append(f"all together{times}: {_show(total)}")
        document = {"runs": documents, "seeds": seeds, "estimated_seconds": _round(total)}
    session.put(document, "\n".join(lines))


def _write(estimate: AttackEstimate) -> str:
    recipe = estimate.recipe
    eps = ", ".join(f"{one:.4g}" for one in recipe.eps)
    what = f"{recipe.method}, {recipe.threat}, {recipe.norm}, eps {eps}, {estimate.n} images of {recipe.classifier}"
    cost = "already in the registry" if estimate.made else _show(estimate.seconds)
    first = f", after {', '.join(estimate.missing)} is trained" if estimate.missing else ""
    return f"{estimate.id}  {what}: {cost}{first}"


def _show(seconds: float | None) -> str:
    return "not known before it is trained" if seconds is None else f"about {show_seconds(seconds)}"


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _describe(estimate: AttackEstimate) -> dict[str, Any]:
    recipe = estimate.recipe
    return {
        "id": estimate.id,
        "made": estimate.made,
        "method": recipe.method,
        "threat": recipe.threat,
        "norm": recipe.norm,
        "eps": recipe.eps,
        "classifier": recipe.classifier,
        "n": estimate.n,
        "missing": estimate.missing,
        "estimated_seconds": _round(estimate.seconds),
    }
