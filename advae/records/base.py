"""What every record is made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field, NonNegativeInt

Scalar = bool | int | float | str

Floats = Annotated[tuple[float, ...], FailFast()]
Names = Annotated[tuple[str, ...], FailFast()]
"""Of any length. Of a hostile list the first fault is told, not a million."""

Counts = tuple[NonNegativeInt, ...]


class Record(BaseModel):
    """A typed value that never changes, refuses fields it does not know and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def absent_unless_given() -> Any:
    """Return a field that a record without it does not show in its JSON: those from before it stay as they are."""
    return Field(default=None, exclude_if=lambda value: value is None)
