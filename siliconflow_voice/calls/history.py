"""The history of one call, and what is reported from it: events and log records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from attrs import define, field

from siliconflow_voice.api.answers import shown
from siliconflow_voice.calls.events import AttemptEvent, Event, OutcomeEvent, QueueEvent, WaitEvent
from siliconflow_voice.calls.operation import Failed, Success
from siliconflow_voice.errors import APIStatusError, InvalidResponseError, SiliconFlowError
from siliconflow_voice.models import Attempt

__all__ = ["History", "guarded"]

logger = logging.getLogger("siliconflow_voice")


@define(eq=False)
class History:
    """The attempts of one call so far."""

    number: int
    """The number of the call, unique among the client and its siblings."""
    operation: str
    subject: str
    on_event: Callable[[Event], object] | None
    attempts: tuple[Attempt, ...] = ()
    _started: float = field(factory=lambda: asyncio.get_running_loop().time(), init=False)
    _began: float = field(default=0.0, init=False)
    _ended: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ended = self._started

    def begins(self, now: float) -> None:
        """Note that an attempt begins."""
        self._began = now

    def ended(self, outcome: Success[Any] | Failed) -> None:
        """Record an attempt, and report it."""
        now = asyncio.get_running_loop().time()
        attempt = Attempt(
            number=len(self.attempts) + 1,
            waited=self._began - self._ended,
            seconds=now - self._began,
            **_facts(outcome),
        )
        self._ended = now
        self.attempts += (attempt,)
        logger.debug(
            "%s %s: attempt %d: %s after %.3f s (trace id %s)",
            self.operation,
            shown(self.subject),
            attempt.number,
            attempt.cause or f"HTTP {attempt.status}",
            attempt.seconds,
            attempt.trace_id,
        )
        self._report(AttemptEvent(self.number, self.operation, self.subject, attempt))

    def queues(self, seconds: float, ahead: int) -> None:
        """Report that the call begins to wait for its first turn."""
        logger.debug("%s %s: waits about %.2f s for its turn", self.operation, shown(self.subject), seconds)
        self._report(QueueEvent(self.number, self.operation, self.subject, seconds, ahead))

    def waits(self, seconds: float, error: SiliconFlowError) -> None:
        """Report that the call waits before its next attempt."""
        logger.info("%s %s: waits %.2f s after %s", self.operation, shown(self.subject), seconds, error)
        self._report(WaitEvent(self.number, self.operation, self.subject, seconds, error))

    def over(self, error: SiliconFlowError | None) -> None:
        """Report that the call is over, and the error that it raises."""
        seconds = asyncio.get_running_loop().time() - self._started
        self._report(OutcomeEvent(self.number, self.operation, self.subject, seconds, self.attempts, error))

    def _report(self, event: Event) -> None:
        if self.on_event is not None:
            guarded(self.on_event, event)


def _facts(outcome: Success[Any] | Failed) -> dict[str, Any]:
    if isinstance(outcome, Success):
        return {"status": outcome.status, "trace_id": outcome.trace_id}
    error = outcome.error
    facts: dict[str, Any] = {"cause": f"{type(error).__name__}: {error.message}", "failure": outcome.failure}
    if isinstance(error, APIStatusError | InvalidResponseError):
        facts |= {"status": error.status, "trace_id": error.trace_id}
    if isinstance(error, APIStatusError):
        facts["code"] = error.code
    return facts


def guarded(callback: Callable[..., object], *arguments: object) -> None:
    """Call a user's callback; what it raises is logged, and the call goes on."""
    try:
        callback(*arguments)
    except Exception:
        logger.exception("The callback %r raised; the call goes on", callback)
