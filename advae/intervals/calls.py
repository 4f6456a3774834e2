"""One call of an operation in a network that Keras traced, and what a rule for intervals is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from advae.intervals.arithmetic import Arithmetic, Bounds
from advae.intervals.curve_shapes import Followed


@dataclass(frozen=True)
class OperationCall:
    """An operation and its arguments: intervals, or symbols while a network is only looked at, and constants."""

    operation: Any
    """The ``keras.Operation``, which may be a layer."""
    args: tuple[Any, ...]
    """Its positional arguments."""
    kwargs: Mapping[str, Any]
    """Its other arguments."""

    @property
    def operands(self) -> tuple[Any, ...]:
        """The positional arguments, those of a list written out."""
        return tuple(one for argument in self.args for one in _write_out(argument))

    @property
    def live(self) -> list[bool]:
        """Which operands depend on the image."""
        return [is_live(one) for one in self.operands]

    def compute(self, arithmetic: Arithmetic, end: Callable[[Bounds], Any]) -> Any:
        """Return the operation's result for one end of its intervals; constants are rounded to float32."""

        def take(value: Any) -> Any:
            return end(value) if isinstance(value, Bounds) else _take_constant(arithmetic, value)

        kwargs = {name: _map_leaves(take, value) for name, value in self.kwargs.items() if name != "training"}
        # Not __call__: it would cast the ends to float32.
        return self.operation.call(*(_map_leaves(take, value) for value in self.args), **kwargs)

    @property
    def intervals(self) -> list[Bounds]:
        """The positional arguments that are intervals, in their order."""
        return [one for one in self.operands if isinstance(one, Bounds)]

    def swap(self, others: Sequence[Bounds]) -> OperationCall:
        """Return the call with other intervals among its positional arguments, one for each of ``intervals``."""
        rest = iter(others)
        return replace(
            self,
            args=tuple(_map_leaves(lambda one: next(rest) if isinstance(one, Bounds) else one, a) for a in self.args),
        )


def _map_leaves(take: Callable[[Any], Any], value: Any) -> Any:
    """Return an argument with a function applied to it, or to each element of nested lists."""
    if isinstance(value, list | tuple):
        return type(value)(_map_leaves(take, one) for one in value)
    return take(value)


def _write_out(argument: Any) -> Any:
    return argument if isinstance(argument, list) and any(map(is_live, argument)) else [argument]


def is_live(value: Any) -> bool:
    """Return whether a value depends on the image."""
    import keras

    return isinstance(value, Bounds | keras.KerasTensor)


def _take_constant(arithmetic: Arithmetic, value: Any) -> Any:
    import numpy as np

    if isinstance(value, float):
        return float(np.float32(value))
    dtype = getattr(value, "dtype", None)
    # A dtype is NumPy's, or TensorFlow's, which has a name, too.
    return arithmetic.constant(value) if dtype is not None and "float" in dtype.name else value


def _always(call: OperationCall) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """How the interval of an operation's result follows from those of its operands."""

    run: Callable[[Arithmetic, OperationCall], Any]
    """(arithmetic, call) -> the interval, or a list of them."""
    fits: Callable[[OperationCall], bool] = _always
    """Whether the rule holds for a call; False: there is none for it."""
    affine: Callable[[OperationCall], bool] = lambda call: False
    """Whether the operation is affine in the image; a clip is one where it changes nothing."""
    weigh: Callable[[Arithmetic, OperationCall], Bounds] | None = None
    """(arithmetic, call) -> the interval before the activation of a layer that has weights and an activation."""
    curve: Callable[[OperationCall], Followed | None] | None = None
    """The function of one number that the operation is, or the activation after ``weigh``; None for any other."""


def map_ends(arithmetic: Arithmetic, call: OperationCall) -> Any:
    """Return the interval of an operation that never decreases and does not round: it is applied to both ends."""
    low = call.compute(arithmetic, lambda interval: interval.low)
    high = call.compute(arithmetic, lambda interval: interval.high)
    if isinstance(low, list | tuple):
        return [Bounds(*ends) for ends in zip(low, high, strict=True)]
    return Bounds(low, high)


def always_affine(call: OperationCall) -> bool:
    """Return True, for an operation that is affine whatever its settings."""
    return True


def in_one(call: OperationCall) -> bool:
    """Return whether one operand only depends on the image."""
    return sum(call.live) == 1


def keeps_images_apart(call: OperationCall) -> bool:
    """Return whether an operation over axes takes values of one image, not of several."""
    axes, x = call.operation.axis, call.args[0]
    rank = len(x.low.shape if isinstance(x, Bounds) else x.shape)
    return axes is not None and all(axis % rank for axis in axes)
