"""The options of ``advae attack``, made from the tables of run options, attacks and threat models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from advae.attacks import ATTACKS, FROM_FILE, list_attacks
from advae.attacks.losses import LOSSES
from advae.cli.list_layout import is_table, separate, tabulate
from advae.cli.option_groups import OptionGroup, complete_names, make_option
from advae.cli.values import read_fraction, split_names
from advae.errors import BudgetError, UsageError, unknown
from advae.run_options import NORMS, RUN_OPTIONS, NamedOption
from advae.threats import ALL, THREATS, THREATS_BY_KNOWLEDGE

if TYPE_CHECKING:
    from advae.cli.session import Session
    from advae.requests import AttackRequest

_CHOICES: dict[str, Iterable[str]] = {"loss": LOSSES}
"""Option -> the names that it takes, for options whose names are in a table of the attacks."""


def _make_run_option(option: NamedOption) -> tuple[Any, Any]:
    """Return annotation and default of the command line's option for a line of the table."""
    row, choices = option.row, option.row.choices or _CHOICES.get(option.name, ())
    settings: dict[str, Any] = {
        "metavar": row.metavar,
        "help": _describe(option, choices),
        "rich_help_panel": row.panel,
    }
    if option.type is int:
        settings |= {"min": row.least, "max": row.most}
    elif option.type is float:
        settings["parser"] = read_fraction
    if choices:
        settings["autocompletion"] = complete_names(choices)
    type_ = option.type if option.type in (int, float, bool) else str
    default = not option.default if option.inverted else option.default
    return make_option(type_ | None if option.optional else type_, option.flag, **settings), default


def _describe(option: NamedOption, choices: Iterable[str]) -> str:
    """Return an option's help text, with the attacks that take it and their defaults."""
    own = {name: option.row.own(attack) for name, attack in ATTACKS.items()} if option.row.own else {}
    defaults = {name: value for name, value in own.items() if value is not None}
    shown = [f"{value:g}" if isinstance(value, int | float) else str(value) for value in defaults.values()]
    same = shown[0] if len(set(shown)) == 1 and len(shown) > 1 else None
    names = {value: ", ".join(n for n, v in zip(defaults, shown, strict=True) if v == value) for value in shown}
    each = "; ".join(f"{value} for {which}" for value, which in names.items())
    return option.row.help.format(attacks=", ".join(defaults), defaults=same or each, choices=", ".join(choices))


DEFAULT = "adaptive"
"""The threat model where none is named."""

_NAMED = [name for name in THREATS if name in THREATS_BY_KNOWLEDGE]

ATTACK = OptionGroup(
    {
        "threat": (
            make_option(
                str | None,
                "--threat",
                metavar="T[,T...]",
                help=f"What the attacker knows: {', '.join(_NAMED)}; {ALL} of them. Default: {DEFAULT}.",
                autocompletion=complete_names((*_NAMED, ALL)),
            ),
            None,
        )
    }
    | {name: _make_run_option(option) for name, option in RUN_OPTIONS.items()},
    lambda values: {
        name: not value if name in RUN_OPTIONS and RUN_OPTIONS[name].inverted else value
        for name, value in values.items()
    },
)


def build_requests(
    method: str | None, eps: str | None, options: dict[str, Any], *, from_file: bool = False
) -> list[AttackRequest]:
    """Return a request for each method under each threat model; from_file: for --from-file, which excludes both.

    Raises UsageError and BudgetError.
    """
    from advae.requests import AttackRequest

    if options["norm"] not in NORMS:
        raise UsageError(unknown("norm", options["norm"], NORMS))
    threat = options["threat"]
    if from_file:
        for option, value in (("--method", method), ("--threat", threat)):
            if value is not None:
                raise UsageError(
                    f"{option} {value} does not fit --from-file, whose adversarial examples were made elsewhere; give "
                    "one of the two"
                )
        method, threat = FROM_FILE, ATTACKS[FROM_FILE].threat
    if method is None:
        raise UsageError(
            f"missing option '--method': {', '.join(list_attacks())}; `advae attack --methods` says what each is"
        )
    shared = {name: value for name, value in options.items() if name != "threat"}
    return [
        AttackRequest(method=one_method, threat=one_threat, eps=parse_eps(eps), **shared)
        for one_method in split_names("--method", method)
        for one_threat in split_names("--threat", threat or DEFAULT)
    ]


def put_methods(session: Session) -> None:
    """Print a line for each attack, its name and what it is; in a pipe separated by a tab, so that `cut` finds both."""
    rows = [(name, ATTACKS[name].summary) for name in list_attacks()]
    document = [{"name": name, "summary": summary} for name, summary in rows]
    session.put(document, tabulate([("method", "what it is"), *rows]) if is_table() else separate(rows))


def parse_eps(text: str | None) -> tuple[float, ...]:
    """Return the radii of ``0.1,0.2`` or ``50/255``, not yet checked against [0, 1].

    Raises UsageError where none was given, and BudgetError.
    """
    if text is None:
        raise UsageError("missing option '--eps': the radius of the norm's ball, 0.3 or 50/255; several with commas")
    from advae.requests import parse_number

    parts = [part.strip() for part in text.split(",")]
    # 0,05 would be read as 0 and 5.
    for before, part in pairwise(parts):
        if re.fullmatch(r"0\d+", part):
            raise BudgetError(f"bad eps {before + ',' + part!r}: did you mean {before}.{part}, with a decimal point?")
    return tuple(map(parse_number, parts))
