"""The page's templates, read from beside this file, with everything that enters them cleaned and escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advae.errors import printable
from advae.report.wording import NBSP

if TYPE_CHECKING:
    from jinja2 import Environment


def render_template(name: str, **context: Any) -> str:
    """Return a template filled in. Strings are escaped; only markup that we made ourselves goes in as markup."""
    return _load_templates().get_template(name).render(**context)


def _clean(value: Any) -> Any:
    """Return what a template shows: a text with what cannot be printed escaped; markup, made by another, as it is."""
    return printable(value, keep=NBSP) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def _load_templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parents[1]
    return Environment(
        loader=FileSystemLoader([folder / room for room in ("drawing", "formats")]),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
