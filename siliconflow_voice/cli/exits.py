"""How a command ends: its exit status, and stopping in good order when a signal arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from signal import Signals
from typing import cast

from attrs import define, field, frozen

from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.wording import in_options
from siliconflow_voice.errors import JournalError
from siliconflow_voice.signals import on_stop_signal

__all__ = ["ALL_DONE", "BAD_USAGE", "BY_SIGNAL", "SOME_FAILED", "STOPPED", "Exit", "Interruption"]

ALL_DONE, SOME_FAILED, BAD_USAGE, STOPPED = 0, 1, 2, 3
# As shells have it: 130 for SIGINT, 143 for SIGTERM.
BY_SIGNAL = 128


@frozen
class Exit:
    """How a run ended."""

    status: int
    """The exit status."""
    reason: str | None = None
    """Why it ended before all was done."""
    resumable: bool = True
    """Whether the same command continues from there, as far as is known: not after the journal failed."""

    @classmethod
    def of(cls, *, failed: int, error: Exception | None, signal: int | None) -> Exit:
        """Return how a run ended.

        Args:
            failed: Uploads that failed.
            error: What would have failed the other uploads too, or kept their outcomes from being written.
            signal: The number of the signal that interrupted it.
        """
        if signal is not None:
            return cls(BY_SIGNAL + signal, translated("interrupted by {signal}", signal=Signals(signal).name))
        if error is not None:
            reason = " ".join(map(in_options, [str(error), *getattr(error, "__notes__", [])]))
            return cls(STOPPED, reason, resumable=not isinstance(error, JournalError))
        return cls(SOME_FAILED if failed else ALL_DONE)


@define
class Interruption:
    """Ends a part of a command early: at a signal, or when :meth:`end` is called."""

    signal: int | None = field(default=None, init=False)
    """The number of the latest signal."""
    _task: asyncio.Task[object] | None = field(default=None, init=False)
    """The task, while it can be ended."""
    _wanted: bool = field(default=False, init=False)

    @contextmanager
    def at_signals(self) -> Generator[None, None, None]:
        """End at SIGINT, SIGTERM or SIGHUP. To be entered within the loop."""
        with on_stop_signal(self._interrupt):
            yield

    def end(self) -> None:
        """End the part early, or at its first step if it has not begun."""
        self._wanted = True
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def of_this_task(self) -> Generator[None, None, None]:
        """Make the block the part that is ended early; the task goes on after it."""
        task = self._task = cast("asyncio.Task[object]", asyncio.current_task())
        if self._wanted:
            task.cancel()
        try:
            yield
        except asyncio.CancelledError:
            if not self._wanted:
                raise
            # As often as it was ended: asyncio must not mistake that for a cancellation by another task.
            while task.cancelling():
                task.uncancel()
        finally:
            self._task = None

    def _interrupt(self, number: int) -> None:
        self.signal = number
        self.end()
