"""The options that say which attacks to make, read off the tables of attacks and threat models."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from advae.attacks import ATTACKS, BOTH, DEFAULT_LOSS
from advae.attacks.losses import LOSSES
from advae.cli.groups import Group, complete_names, make_option
from advae.cli.options import describe_rows, split_names
from advae.errors import BudgetError, UsageError, unknown
from advae.settings import FLOAT32, PRECISIONS
from advae.threats import ALL, THREATS

if TYPE_CHECKING:
    from advae.requests import AttackRequest

_TARGETS = ", ".join(f"{row.target} for {name}" for name, row in ATTACKS.items() if row.target is not None)
_STEPS = ", ".join(f"{row.steps} for {name}" for name, row in ATTACKS.items() if row.steps and not row.queries)
_SIZED = {name: row for name, row in ATTACKS.items() if row.iterative and row.sized}
_STRIDES = ", ".join(f"{row.stride:g} for {name}" for name, row in _SIZED.items() if row.stride != 1)
_RESTARTED = ", ".join(name for name, row in ATTACKS.items() if row.restarts)
_ASKING = ", ".join(name for name, row in ATTACKS.items() if row.queries)
_PANEL = "The attack"


def _option(type_: Any, flag: str, metavar: str | None, help_: str, **settings: Any) -> Any:
    return make_option(type_, flag, metavar=metavar, help=help_, rich_help_panel=_PANEL, **settings)


ATTACK = Group(
    {
        "threat": (
            make_option(
                str,
                "--threat",
                metavar="T[,T...]",
                help=f"What the attacker knows: {', '.join(THREATS)}; {ALL} is each of them, weakest first.",
                autocompletion=complete_names((*THREATS, ALL)),
            ),
            "adaptive",
        ),
        "norm": (_option(str, "--norm", "NORM", "linf or l2, of eps.", autocompletion=complete_names(BOTH)), "linf"),
        "steps": (_option(int | None, "--steps", "N", f"Default {_STEPS}.", min=1), None),
        "step_size": (
            _option(float | None, "--step-size", "X", f"Default eps / steps, times {_STRIDES}."),
            None,
        ),
        "restarts": (
            _option(int | None, "--restarts", "N", f"Random starts of {_RESTARTED}; the best one counts.", min=1),
            None,
        ),
        "draws": (
            _option(
                int | None,
                "--draws",
                "N",
                "Each gradient is the mean over so many draws of an autoencoder that samples; default 16.",
                min=1,
            ),
            None,
        ),
        "queries": (
            _option(int | None, "--queries", "N", f"For each image, of {_ASKING}; default 1000.", min=1),
            None,
        ),
        "loss": (
            _option(
                str | None,
                "--loss",
                "LOSS",
                f"{', '.join(LOSSES)}; default {DEFAULT_LOSS}, of apgd dlr; ce saturates in float32.",
                autocompletion=complete_names(LOSSES),
            ),
            None,
        ),
        "precision": (
            _option(
                str,
                "--precision",
                "P",
                "Of the products that craft the attack: float32, or bfloat16, faster on processors made for it; "
                "results are always scored in float32.",
                autocompletion=complete_names(PRECISIONS),
            ),
            FLOAT32,
        ),
        "target": (
            _option(int | None, "--target", "CLASS", f"Class to reach; default {_TARGETS}, or the last class.", min=0),
            None,
        ),
        "no_clip": (
            _option(
                bool,
                "--no-clip",
                None,
                "The paper's protocol (linear attacks): not projected, not clipped, not a valid result.",
            ),
            False,
        ),
    },
    lambda values: dict(values),
)


def build_requests(method: str, eps: str, options: dict[str, Any], **others: Any) -> list[AttackRequest]:
    """Return a request for each method under each threat model. Raises UsageError and BudgetError."""
    from advae.requests import AttackRequest

    if options["norm"] not in BOTH:
        raise UsageError(unknown("norm", options["norm"], BOTH))
    threats, clip = split_names("--threat", options["threat"]), not options["no_clip"]
    shared = {name: value for name, value in options.items() if name not in ("threat", "no_clip")} | others
    return [
        AttackRequest(method=one_method, threat=one_threat, eps=parse_eps(eps), clip=clip, **shared)
        for one_method in split_names("--method", method)
        for one_threat in threats
    ]


def describe_methods() -> str:
    """Return what the attacks are, for the help text."""
    return f"{describe_rows(ATTACKS)}."


def parse_eps(text: str) -> tuple[float, ...]:
    """Return the radii of ``0.1,0.2`` or ``50/255``, not yet checked against [0, 1]. Raises BudgetError."""
    from advae.requests import parse_number

    parts = [part.strip() for part in text.split(",")]
    # 0,05 would be read as 0 and 5.
    for before, part in pairwise(parts):
        if re.fullmatch(r"0\d+", part):
            raise BudgetError(f"bad eps {before + ',' + part!r}: did you mean {before}.{part}, with a decimal point?")
    return tuple(map(parse_number, parts))
