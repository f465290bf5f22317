"""Signals that ask a program to stop: handled in the event loop, on every platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["default_interrupt", "on_stop_signal"]

# A terminal that is closed sends SIGHUP, where there are such things.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def on_stop_signal(callback: Callable[[int], object]) -> Generator[None, None, None]:
    """Call *callback* in the running loop with the number of each SIGINT, SIGTERM or SIGHUP.

    Handlers are as before afterwards. A signal that was ignored before stays ignored: so a program that was
    started with ``nohup``, or in a script's background, goes on. For the main thread only.

    Args:
        callback: A function of the signal's number.
    """
    loop = asyncio.get_running_loop()

    def handle(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(callback, number)

    # Unlike the loop's own, these handlers are there on Windows too.
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = [number for number in _SIGNALS if before[number] not in {signal.SIG_IGN, None}]
    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


@contextmanager
def default_interrupt() -> Generator[None, None, None]:
    """Let SIGINT raise KeyboardInterrupt where it arrives, even within code that blocks the event loop."""
    # asyncio's own handler would wait for the loop, which waits for that code.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
