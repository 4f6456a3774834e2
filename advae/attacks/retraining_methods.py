"""The attacks that a classifier can be retrained on: the table RETRAIN_METHODS."""

from __future__ import annotations

from advae.attacks import ATTACKS, Attack

DEFAULT_METHOD = "bim"
"""Ten projected steps. A classifier that is retrained on single steps learns to mask its gradients from them, and is
robust under that attack only (Tramer et al. 2018, arXiv:1705.07204); more steps cost more in every round."""


def _fits(row: Attack) -> bool:
    """Whether an attack maximises a loss by its gradient, in L-infinity, for a classifier of any kind."""
    single = not (row.members or row.in_turn or row.targeted)
    return single and row.takes_gradients and not row.linear_only and row.loss is not None and "linf" in row.norms


RETRAIN_METHODS = {name: row for name, row in ATTACKS.items() if _fits(row)}
"""The attacks that a classifier can be retrained on."""
