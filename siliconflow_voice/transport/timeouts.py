"""The bounds of one attempt: aiohttp has none for writing, and its one for reading is reset by each byte."""

from __future__ import annotations

import asyncio

from attrs import field, frozen

from siliconflow_voice.errors import APITimeoutError
from siliconflow_voice.transport.payload import Transfer
from siliconflow_voice.validation import positive_or_none

__all__ = ["Timeouts", "Watch"]


@frozen
class Timeouts:
    """Bounds of one attempt, in seconds; None lifts a bound."""

    attempt: float | None = field(default=120.0, validator=positive_or_none)
    """From the connection to the last byte of the answer.

    Of speech, the time that its consumer takes is not counted.
    """
    connect: float | None = field(default=10.0, validator=positive_or_none)
    """To establish a connection: DNS, TCP and TLS together."""
    stall: float | None = field(default=30.0, validator=positive_or_none)
    """Without a byte moving, while the body is sent or the answer's body is received.

    The time in between, when the service works, is bounded by ``attempt``.
    """


class Watch:
    """Ends an attempt that takes too long as a whole, or in which no byte moves."""

    def __init__(self, transfer: Transfer, timeouts: Timeouts, until: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transfer = transfer
        self._timeouts = timeouts
        self._bound = "Timeouts.attempt"
        self._reason = f"took longer than {timeouts.attempt:g} s" if timeouts.attempt is not None else ""
        deadline = None if timeouts.attempt is None else self._loop.time() + timeouts.attempt
        if until is not None and (deadline is None or until < deadline):
            deadline, self._bound = until, "RetryPolicy.deadline"
            self._reason = "ran into the deadline of the call"
        self.scope = asyncio.timeout_at(deadline)
        self._position = 0
        self._moved = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch whether bytes move."""
        if self._timeouts.stall is not None:
            stall = self._timeouts.stall
            self._timer = self._loop.call_later(stall / 4, self._look, stall)

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

    def error(self, problem: BaseException) -> APITimeoutError | None:
        """Return the error that names the bound which ended the attempt, if one of ours did."""
        if isinstance(problem, TimeoutError) and self.scope.expired():
            return APITimeoutError(
                f"The attempt {self._reason}; {self._state()} (the bound is {self._bound})"
            )
        return None

    def _state(self) -> str:
        if self._transfer.received:
            return f"{self._transfer.received:,} bytes of the answer had come"
        if self._transfer.body_sent:
            return "all was sent, and no answer came"
        return f"{max(self._transfer.position(), 0):,} bytes had been sent"

    def _look(self, stall: float) -> None:
        """Check whether a byte has moved since the last look; several times in the time allowed."""
        if self.scope.expired():
            return
        now = self._loop.time()
        position = self._transfer.position()
        unbegun = not self._transfer.sent and not self._transfer.body_sent
        thinking = self._transfer.body_sent and not self._transfer.received
        if position != self._position or thinking or unbegun:
            self._position, self._moved = position, now
        elif now - self._moved >= stall:
            self._bound, self._reason = "Timeouts.stall", f"stalled: no byte moved for {stall:g} s"
            self.scope.reschedule(now)
            return
        self._timer = self._loop.call_at(now + stall / 4, self._look, stall)
