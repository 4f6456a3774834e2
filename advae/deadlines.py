"""Calls to other machines with a time limit for the whole call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def call_within(seconds: float, action: Callable[[], _T]) -> _T:
    """Return what an action returns, or raise what it raises. Raises TimeoutError after so many seconds.

    The action runs in a thread of its own, which is then abandoned: time limits of sockets start again with each byte,
    and a look-up of a host name has none.
    """
    outcome: Future[_T] = Future()

    def work() -> None:
        try:
            outcome.set_result(action())
        # Any error, because it is raised again in the calling thread.
        except BaseException as error:
            outcome.set_exception(error)

    # A daemon does not keep the program from ending.
    threading.Thread(target=work, daemon=True).start()
    try:
        return outcome.result(max(seconds, 0.0))
    except TimeoutError as error:
        raise error if outcome.done() else TimeoutError(f"no answer within {seconds:.0f} seconds") from None
