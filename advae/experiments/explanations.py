"""Why ours differs from what the paper prints, figure by figure: a sentence for each difference that needs one."""

from __future__ import annotations

EXPLANATIONS: dict[tuple[int, ...], str] = {}
"""Figures -> sentence."""


def explain_difference(figure: int) -> str | None:
    """Return the sentence for a figure of the paper, None where there is none."""
    return next((sentence for figures, sentence in EXPLANATIONS.items() if figure in figures), None)
