"""Signals that end a run in good order, instead of in the middle of anything."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from attrs import define, field

__all__ = ["Interruption"]

# A terminal that is closed sends SIGHUP, where there are such things.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@define
class Interruption:
    """What may end a run early."""

    signal: int | None = field(default=None, init=False)
    """The number of the latest signal."""
    _task: asyncio.Task[object] | None = field(default=None, init=False)
    """The run, while it can be ended."""
    _wanted: bool = field(default=False, init=False)

    @contextmanager
    def catching(self) -> Generator[None, None, None]:
        """Take signals for an order to end the run. To be entered within the loop."""
        loop = asyncio.get_running_loop()

        def interrupt(number: int, _frame: object) -> None:
            self.signal = number
            loop.call_soon_threadsafe(self.end)

        # Unlike the loop's own, these handlers are there on Windows too. What was started with nohup, or
        # in a script's background, goes on to ignore what it was told to.
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        taken = [number for number in _SIGNALS if before[number] not in {signal.SIG_IGN, None}]
        for number in taken:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def end(self) -> None:
        """End the run early, if it goes on."""
        self._wanted = True
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def of_this_task(self) -> Generator[None, None, None]:
        """Let this task be ended within it, and go on after it."""
        task = self._task = cast("asyncio.Task[object]", asyncio.current_task())
        if self._wanted:
            task.cancel()
        try:
            yield
        except asyncio.CancelledError:
            if not self._wanted:
                raise
            # As often as it was ended: asyncio must not take that for somebody else's cancellation.
            while task.cancelling():
                task.uncancel()
        finally:
            self._task = None
