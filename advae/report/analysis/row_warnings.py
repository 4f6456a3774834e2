"""The warnings of a row: what a reader must know before using its number."""

from __future__ import annotations

from collections.abc import Iterator

from advae.checks import CHECKS, check_alone, describe_departure
from advae.records import CheckResult, key_eps
from advae.report.data.contents import Row
from advae.report.data.pairing import describe_differences
from advae.report.data.runs import Measured, read_raw_range
from advae.report.wording import (
    IMPORTED,
    NOT_ESTABLISHED,
    UPPER_BOUND,
    describe_beyond,
    describe_distances,
    format_share,
)

AT_EPS = ("budget", "clean-accuracy", "gradients", "proportion", "sample-size")
"""The checks whose sentence about one eps says more than the one stored with the run, which is about its worst."""


def write_notes(row: Row, *, doubt: str | None) -> tuple[str, ...]:
    """Return the warnings that belong beside a row, the most serious first.

    doubt: why the robustness of its pipeline is not established at its eps, None where it is.
    """
    other = row.undefended if row.defended else None
    found = _collect_sentences(row)
    others = _collect_sentences(other) if other else {}
    notes = [
        found.pop("budget", None),
        *_note_given(row),
        describe_departure(row.run.recipe, row.run.metrics),
        f"undefended: {others['budget']}" if "budget" in others else None,
        f"{NOT_ESTABLISHED}: {doubt}" if doubt and row.defended else None,
        found.pop("clean-accuracy", None) or _note_chance(row),
        found.pop("gradients", None),
        found.pop("proportion", None) or _note_encoded(row),
        *(found[check] for check in found if check != "sample-size"),
        _note_own_attack(row),
        _note_options(row, other),
        found.get("sample-size"),
        _note_imported(row),
    ]
    return tuple(note for note in notes if note)


def _collect_sentences(measured: Measured) -> dict[str, str]:
    """Return the sentences of checks against a row, by check: at its own eps where possible, else of its run."""
    stored = {result.check: result for result in measured.run.metrics.verdicts if result.status == "FAIL"}
    at_eps = {result.check: result for result in _check_eps(measured) if result.status in ("FAIL", "WARN")}
    objections = stored | at_eps
    return {check: objections[check].sentence for check in CHECKS if check in objections}


def _check_eps(measured: Measured) -> tuple[CheckResult, ...]:
    """Return the results of the checks on a run as if its only eps were this one."""
    run, result = measured.run, measured.result
    # Runs from before the range was measured under attack: that of the purifier's training images.
    behind = read_raw_range(run) if run.recipe.threat == "encoded" else None
    changes = {"results": (result,), "start_range": run.metrics.start_range or behind}
    metrics, recipe = run.metrics.model_copy(update=changes), run.recipe.model_copy(update={"eps": (result.eps,)})
    return tuple(check_alone(check, recipe, metrics) for check in AT_EPS)


def _note_given(measured: Measured) -> Iterator[str]:
    """Yield what a reader must know of adversarial examples from a file."""
    run = measured.run
    if run.recipe.examples:
        yield f"{UPPER_BOUND} ({describe_distances(run.recipe, run.metrics)})"
        yield from describe_beyond(run.metrics, [measured.result])


def _note_encoded(measured: Measured) -> str | None:
    return "the budget is applied to the purified data" if measured.run.recipe.threat == "encoded" else None


def _note_chance(measured: Measured) -> str | None:
    """Warn of a collapsed classifier: an accuracy that an attack cannot lower is not robustness."""
    run, chance = measured.run, 1 / len(measured.run.recipe.dataset.classes)
    if run.clean.low > chance:
        return None
    return f"clean accuracy does not differ from chance ({format_share(chance)}): its robust accuracy means nothing"


def _note_own_attack(row: Row) -> str | None:
    """Warn of the attack that the classifier was retrained on."""
    how, recipe = row.run.classifier_recipe.retrained, row.recipe
    if how is None or (recipe.method, recipe.norm) != (how.method, how.norm) or key_eps(row.eps) != key_eps(how.eps):
        return None
    return "the classifier was retrained on this attack: an upper bound of its robust accuracy"


def _note_imported(row: Row) -> str | None:
    sides = [side.run.imported for side in (row, row.undefended) if side]
    ids = dict.fromkeys(id_ for side in sides for id_ in side)
    return f"{IMPORTED}, so measured elsewhere: {', '.join(ids)}" if ids else None


def _note_options(own: Measured, other: Measured | None) -> str | None:
    differences = describe_differences(other.run, own.run) if other else ""
    return f"the undefended run used other options ({differences})" if differences else None
