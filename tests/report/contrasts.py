"""Contrast of two colours, as WCAG 2.2 defines it."""

from __future__ import annotations


def measure_contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, ``#rrggbb``: 1 for equal ones, 21 for black and white."""
    light, dark = sorted((_measure_luminance(one), _measure_luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _measure_luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
