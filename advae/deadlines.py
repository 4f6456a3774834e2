"""What another machine has to answer within a time that holds, however slowly it speaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def call_within(seconds: float, action: Callable[[], T]) -> T:
    """Return what an action returns, or raise what it raises. Raises TimeoutError where it is not done by then.

    It runs in a thread of its own, which is left to itself then: time limits of sockets begin anew with each byte, and
    nothing ends a look-up of a name.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:
            outcome.set_exception(error)

    # A daemon does not keep the program from ending.
    threading.Thread(target=work, daemon=True).start()
    try:
        return outcome.result(max(seconds, 0.0))
    except TimeoutError as error:
        raise error if outcome.done() else TimeoutError(f"no answer within {seconds:.0f} seconds") from None
