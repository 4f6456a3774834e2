"""The table of the plans that come with advae, one row for each.

Help, completion, ``reproduce`` and the report read it. A new plan needs a row, and its file in ``experiments/plans``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "experiments" / "plans"
"""The folder of the plans' files."""

QUICK = "-quick"
"""End of the name of a plan's quick form: fewer images, epochs and eps, on digits, in less than two minutes."""

PAPER_PLAN = "paper"
"""The plan that ``reproduce`` runs unless another one is named."""

CHEN_PLAN = "chen2018"
"""The plan of Chen and Sirkeci-Mergen 2018."""

SAHAY_PLAN = "sahay2019"
"""The plan of the cascade's authors."""


@dataclass(frozen=True)
class NamedPlan:
    """A plan that comes with advae."""

    summary: str
    """One line for ``--help``."""
    file: str
    """Name of its TOML file in FOLDER."""

    @property
    def path(self) -> Path:
        """Path of its TOML file."""
        return FOLDER / self.file


def _list_forms(name: str, summary: str) -> dict[str, NamedPlan]:
    """Return the rows of a plan and of its quick form."""
    quick = NamedPlan(f"the quick form of {name}, on digits", f"{name}{QUICK}.toml")
    return {name: NamedPlan(summary, f"{name}.toml"), name + QUICK: quick}


PLANS: dict[str, NamedPlan] = {
    PAPER_PLAN: NamedPlan("the paper's experiment; the default", "paper.toml"),
    **_list_forms("all-defences", "every purifier beside the others"),
    **_list_forms("yu2018", "decision surfaces side by side"),
    **_list_forms(CHEN_PLAN, "FGSM at a calibrated eps, filtered"),
    **_list_forms(SAHAY_PLAN, "a cascade of two autoencoders"),
    **_list_forms("gondim-ribeiro2018", "attacks on the code"),
    **_list_forms("retraining", "retrained, under stronger attacks"),
}
"""Name for ``reproduce --plan`` -> the plan."""

WHOLE_PLANS = {name: plan for name, plan in PLANS.items() if not name.endswith(QUICK)}
"""The plans without their quick forms."""
