"""What every record is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast

Scalar = bool | int | float | str

Floats = Annotated[tuple[float, ...], FailFast()]
Names = Annotated[tuple[str, ...], FailFast()]
"""Of any length. Of a hostile list the first fault is told, not a million."""


class Record(BaseModel):
    """A typed value that never changes, refuses fields it does not know and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
