"""Attacks on codes in a plan, ``[[code-attacks]]``: which autoencoders are attacked, and how."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, Strict

from advae.records import Record
from advae.requests import CodeAttackRequest

Whole = Annotated[int, Strict()]
# TOML has types: true and "100" are no numbers. Ranges are those of the request.


class CodeAttackPlan(Record):
    """Attacks on the codes of some autoencoders. The options are those of ``advae attack-code``; None: its default."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    autoencoders: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of autoencoders of the plan."""
    pairs: Whole | None = None
    """Pairs of an original and a target image."""
    target: Whole | None = None
    """Class of all targets; None: any class but the original's."""
    limit: Whole | None = None
    """How many first test images the pairs are drawn from; None: all."""
    points: Whole | None = None
    """Weights of the perturbation that are tried on each pair."""
    optimizer: str | None = None
    """What minimises."""
    steps: Whole | None = None
    """Iterations for each weight."""

    def make_request(self, seed: int) -> CodeAttackRequest:
        """Return the request. The seed is that of the pairs."""
        given = self.model_dump(exclude={"autoencoders"}, exclude_none=True)
        return CodeAttackRequest(seed=seed, **given)
