"""What a reader must know before believing a number: what the attacker knew, and what is wrong with a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advae.report.pairing import has_same_options
from advae.report.runs import Measured, read_raw_range
from advae.report.wording import format_eps, format_share
from advae.threats import THREATS

if TYPE_CHECKING:
    from advae.report.comparison import Row

SMALL_SAMPLE = 1000
WEAK_GRADIENTS = 0.01

NOT_ESTABLISHED = "robustness not established"
NOT_VALID = "outside the budget: not a valid result"

ORDER = tuple(THREATS)
"""The threat models in the order of the report."""

INPUT_THREATS = tuple(name for name, threat in THREATS.items() if threat.on_input)
"""Those whose perturbation is added to the image, as an attacker outside the pipeline must."""


def describe_threat(name: str) -> str:
    """Return what the attacker knows under a threat model."""
    return THREATS[name].explanation if name in THREATS else "A threat model that this version does not know."


def write_notes(row: Row, *, doubt: str | None) -> tuple[str, ...]:
    """Return the warnings that belong beside a row, the gravest first.

    doubt: why the robustness of its pipeline is not established at its eps, None where it is.
    """
    other = row.undefended if row.defended else None
    notes = [
        _note_budget(row.own),
        f"without the autoencoder: {_note_budget(other)}" if other and _note_budget(other) else None,
        f"{NOT_ESTABLISHED}: {doubt}" if doubt and row.defended else None,
        _note_chance(row.own),
        _note_gradients(row.own),
        _note_encoded(row.own),
        _note_options(row.own, other),
        _note_size(row.own),
    ]
    return tuple(note for note in notes if note)


def _note_budget(measured: Measured) -> str | None:
    result = measured.result
    if result.within_budget:
        return None
    return f"{NOT_VALID} (largest change {result.linf_max:.3g}, budget {format_eps(result.eps)})"


def _note_gradients(measured: Measured) -> str | None:
    share = measured.result.zero_gradient_fraction
    if share <= WEAK_GRADIENTS:
        return None
    return f"no usable gradient for {format_share(share)} of the samples: a weak attack, not a strong defence"


def _note_encoded(measured: Measured) -> str | None:
    run = measured.run
    if run.recipe.threat != "encoded":
        return None
    note, reach = "the budget is applied to the purified data", read_raw_range(run)
    return f"{note}, whose range is {reach[0]:.3g} to {reach[1]:.3g} here, not 0 to 1" if reach else note


def _note_chance(measured: Measured) -> str | None:
    """Warn of a collapsed classifier: an accuracy that an attack cannot lower is not robustness."""
    run, chance = measured.run, 1 / len(measured.run.recipe.dataset.classes)
    if run.clean.low > chance:
        return None
    return f"clean accuracy cannot be told from chance ({format_share(chance)}): what an attack leaves says nothing"


def _note_options(own: Measured, other: Measured | None) -> str | None:
    if other is None or has_same_options(own.run, other.run):
        return None
    recipe = other.run.recipe
    return f"the run without autoencoder used other options (steps {recipe.steps}, loss {recipe.loss})"


def _note_size(measured: Measured) -> str | None:
    n = measured.run.metrics.n
    return f"small sample (n = {n} < {SMALL_SAMPLE})" if n < SMALL_SAMPLE else None
