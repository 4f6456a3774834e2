"""The options of `train-clf` that retrain the classifier on adversarial examples."""

from __future__ import annotations

from typing import Any

from advae.attacks.retraining_methods import DEFAULT_METHOD, RETRAIN_METHODS
from advae.cli.option_groups import OptionGroup, complete_names, make_option
from advae.cli.options import describe_rows
from advae.cli.values import read_fraction
from advae.run_options import MOST_RETRAINED_STEPS, MOST_ROUNDS

_PANEL = "Retraining"


def _make(type_: Any, name: str, **settings: Any) -> tuple[Any, Any]:
    return make_option(type_ | None, f"--{name}", rich_help_panel=_PANEL, **settings), None


RETRAIN_GROUP = OptionGroup(
    {
        "retrain": _make(
            int,
            "retrain",
            metavar="N",
            min=1,
            max=MOST_ROUNDS,
            help="Retrain on adversarial examples of the training images (RAD), at most N times: fit, attack, add what "
            "is new, fit again from scratch, until nothing is new.",
        ),
        "retrain_method": _make(
            str,
            "retrain-method",
            metavar="METHOD",
            help=f"{describe_rows(RETRAIN_METHODS)}\nDefault {DEFAULT_METHOD}.",
            autocompletion=complete_names(RETRAIN_METHODS),
        ),
        "retrain_eps": _make(
            float,
            "retrain-eps",
            metavar="E",
            parser=read_fraction,
            help="L-infinity radius, in units of a pixel's range (25/255 is accepted); --retrain needs it.",
        ),
        "retrain_steps": _make(
            int,
            "retrain-steps",
            metavar="N",
            min=1,
            max=MOST_RETRAINED_STEPS,
            help="Iterations of the attack; default: its own (bim 10, pgd 40).",
        ),
        "retrain_limit": _make(
            int,
            "retrain-limit",
            metavar="N",
            min=1,
            help="Attack N training images, drawn by --seed, in each round; default: all.",
        ),
    },
    lambda v: {name: value for name, value in v.items() if value is not None},
)
