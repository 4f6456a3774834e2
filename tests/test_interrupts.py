"""Interrupts while a library computes: answered at once, raised at the end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from advae.interrupts import answer_interrupts, delay_interrupts


def interrupt_work(answered: list[float], done: list[float]) -> None:
    """Work that is interrupted twice and lasts until the first interrupt is answered, or for a minute."""
    with answer_interrupts(lambda: answered.append(time.monotonic())), delay_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 60
        while not answered and time.monotonic() < deadline:
            time.sleep(0.01)
        done.append(time.monotonic())


def test_an_interrupt_is_answered_at_once_and_once_and_raised_after_the_work() -> None:
    answered, done = list[float](), list[float]()
    with pytest.raises(KeyboardInterrupt):
        interrupt_work(answered, done)
    assert len(answered) == len(done) == 1
    assert answered < done


def test_nothing_remains_where_there_was_no_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT)
    with answer_interrupts(lambda: None), delay_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1
