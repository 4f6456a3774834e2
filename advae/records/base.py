"""The base of every record, and the types of fields with their ranges."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LARGEST = 1e100
"""Largest stored number. A training that diverges ends before it, because it exceeds float32; its square is finite."""

MAX_COUNT = 2**53
MAX_CLASSES = 65_536
MAX_TEXT = 100_000
MAX_ITEMS = 1_000_000
"""Largest length of a list: a number for each epoch, eps or iteration."""


def _check_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("its lower end is above its upper end")
    return pair


def _check_length(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"it has more than {MAX_TEXT} characters")
    return text


# Pydantic's own limit refuses file names that are not UTF-8.
Name = Annotated[str, AfterValidator(_check_length)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]

Share = Annotated[float, Field(ge=0, le=1)]
Real = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Magnitude = Annotated[float, Field(ge=0, le=LARGEST)]
Interval = Annotated[tuple[Share, Share], AfterValidator(_check_order)]
Range = Annotated[tuple[Real, Real], AfterValidator(_check_order)]

Natural = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Positive = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Label = Annotated[int, Field(ge=0, lt=MAX_CLASSES)]

Scalar = bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | Name

# For a hostile list pydantic reports the first error, not a million.
Names = Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=MAX_ITEMS)]
Shares = Annotated[tuple[Share, ...], Field(fail_fast=True, max_length=MAX_ITEMS)]
ClassShares = Annotated[tuple[Share | None, ...], Field(fail_fast=True, max_length=MAX_CLASSES)]
Reals = Annotated[tuple[Real, ...], Field(fail_fast=True, max_length=MAX_ITEMS)]
Counts = Annotated[tuple[Natural, ...], Field(fail_fast=True, max_length=MAX_CLASSES)]
ClassLabels = Annotated[tuple[Label, ...], Field(fail_fast=True, max_length=MAX_CLASSES)]


class Record(BaseModel):
    """A typed frozen value; unknown fields and numbers that are not finite are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def absent_unless_given() -> Any:
    """Return a field that is absent from the JSON where it is None, so that the JSON of older records is unchanged."""
    return Field(default=None, exclude_if=lambda value: value is None)
