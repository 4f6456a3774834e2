"""Numbers in a plan. TOML has types: ``true`` and "100" are no numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Strict

from advae.requests import parse_number

Number = Annotated[float, Strict()]
PlannedEps = Annotated[Number, BeforeValidator(lambda value: parse_number(value) if isinstance(value, str) else value)]
"""A radius: a number, or a fraction such as "50/255"."""
