"""The threat models as the report lists and explains them."""

from __future__ import annotations

from advae.threats import THREATS, THREATS_BY_KNOWLEDGE

ORDER = tuple(THREATS)
"""The threat models in the order of the report."""

INPUT_THREATS = tuple(name for name, threat in THREATS.items() if threat.on_input)
"""Those whose perturbation is added to the image, as an attacker outside the pipeline must."""


def describe_threat(name: str) -> str:
    """Return what the attacker knows under a threat model."""
    return THREATS[name].explanation if name in THREATS else "A threat model that this version does not know."


def place_threat(name: str) -> tuple[int, str]:
    """Return the sort key of threat models: the table's order, then those that this version does not know."""
    return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def list_by_knowledge(*, purified: bool, samples: bool, retrained: bool) -> list[str]:
    """Return the threat models that a classifier with, or without, a purifier has, the weakest attacker first.

    samples: whether the purifier is random; retrained: whether the classifier was retrained on adversarial examples.
    """
    fit = {
        name
        for name, row in THREATS.items()
        if purified or not row.needs_purifier or (retrained and row.needs_undefended)
    }
    return [name for name in THREATS_BY_KNOWLEDGE if name in fit and (samples or not THREATS[name].needs_sampling)]


def list_methods(name: str) -> tuple[str, ...]:
    """Return the only attacks that such an attacker can make, the default one first; empty for any."""
    return (THREATS[name].methods if name in THREATS else None) or ()
