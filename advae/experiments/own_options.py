"""The options of an autoencoder's kind in a plan: TOML has types, the command line has text."""

from __future__ import annotations

from advae.errors import UsageError, unknown
from advae.experiments.plan import AUTOENCODER_OPTIONS
from advae.models import purifiers
from advae.records import Scalar
from advae.requests import AutoencoderRequest


def parse_own_options(request: AutoencoderRequest) -> AutoencoderRequest:
    """Return a request whose options have the same types as from the command line, so that ids are the same.

    Raises UsageError for an option that no kind has, and for a value of another type than the default's.
    """
    kinds = purifiers.AUTOENCODERS
    every = {name for kind in kinds.values() for name in kind.options}
    own = kinds[request.type].options if request.type in kinds else {}
    for name, value in request.options.items():
        spelled = name.replace("_", "-")
        if name in own and not _is_like(value, own[name].default):
            raise UsageError(f"bad --{spelled} {value!r}: {_TYPES[type(own[name].default)]}")
        if name not in every:
            known = [other.replace("_", "-") for other in (*AUTOENCODER_OPTIONS, *own)]
            raise UsageError(unknown("option", spelled, known))
    parsed = {name: type(own[name].default)(value) if name in own else value for name, value in request.options.items()}
    return request.model_copy(update={"options": parsed})


_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a name, in quotes"}


def _is_like(value: Scalar, default: Scalar) -> bool:
    """Whether a value has its default's type; a whole number fits a float default, too."""
    return type(value) is type(default) or (type(value) is int and type(default) is float)
