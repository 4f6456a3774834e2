"""Interrupts (Ctrl-C, and requests to stop) that arrive while a library computes."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command."""


@contextmanager
def delay_interrupts() -> Iterator[None]:
    """Delay interrupts to the end of the context, where it runs in the main thread.

    An exception during a C++ start-up aborts the process, and one between two assignments leaves half of a change.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept: list[int] = []
    before = {number: signal.signal(number, lambda got, _: kept.append(got)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in kept:
            signal.raise_signal(number)


@contextmanager
def answer_interrupts(answer: Callable[[], None]) -> Iterator[None]:
    """Call ``answer`` at the first interrupt of the context at once, from another thread.

    Python raises KeyboardInterrupt only after a library's call returns, which may take minutes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def listen() -> None:
        answered = False
        while number := os.read(reader, 1):
            if number[0] in INTERRUPTS and not answered:
                answered = True
                answer()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        listener.join()
        os.close(reader)
