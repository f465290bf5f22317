"""One call under way: its history, what it tells of it, and whether it may be tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field

from siliconflow_voice.api.requests import Request
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.events import AttemptEvent, Event, OutcomeEvent, WaitEvent
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    OverloadedError,
    SiliconFlowError,
    SourceConsumedError,
)
from siliconflow_voice.models import Attempt, Failure
from siliconflow_voice.throttle.throttle import Admission, Gate, Verdict

__all__ = ["AttemptGuard", "Call", "guarded"]

logger = logging.getLogger("siliconflow_voice")


class AttemptGuard(Protocol):
    """Stands beside the attempts of a call."""

    async def begins(self) -> None:
        """An attempt has its turn, and nothing of it was sent yet.

        What this raises ends the call.
        """

    def ended(self) -> None:
        """It is over, and so is the search for a voice whose answer was lost."""


@define(eq=False)
class Call:
    """What the attempts of one call have in common."""

    number: int
    request: Request
    subject: str
    gate: Gate
    on_event: Callable[[Event], object] | None
    reading: Reading | None = None
    deadline: Deadline = field(factory=lambda: Deadline(None))
    resend_unknown: bool = False
    """Whether to send again what may have been stored."""
    retries: bool = True
    """Whether the policy tries anything twice."""
    guard: AttemptGuard | None = None
    """Told of each attempt's beginning and end."""
    lost: Callable[[], object] | None = None
    """Told at the end, if what it sent may be stored and nobody knows."""
    may_be_stored: bool = field(default=False, init=False)
    """Whether all of it was sent, and nobody knows what became of it."""
    _attempts: list[Attempt] = field(factory=list[Attempt], init=False)
    _last_error: SiliconFlowError | None = field(default=None, init=False)
    _started: float = field(factory=lambda: asyncio.get_running_loop().time(), init=False)
    _ended: float = field(init=False)
    _out_of_time: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _turn: int = field(init=False)
    _admission: Admission = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ended = self._started
        self._turn = self.gate.turn()

    @property
    def history(self) -> tuple[Attempt, ...]:
        """The attempts so far."""
        return tuple(self._attempts)

    async def enter(self) -> None:
        """Wait for the gate, but not past the deadline.

        Raises:
            SiliconFlowError: The deadline came first: the last failure, or if there was none, a timeout.
        """
        retry = isinstance(self._last_error, OverloadedError)
        admission = self.gate.try_enter(self.request.tokens, retry=retry)
        if admission is None:
            if self.reading is not None:
                self.reading.wait()
            admission = await self._wait(retry=retry)
        self._admission = admission
        self._began = asyncio.get_running_loop().time()
        self.deadline.begin(self._began)

    async def _wait(self, *, retry: bool) -> Admission:
        # To wait for a gate that will not open in time would only delay the bad news.
        until = self.deadline.last_attempt
        in_vain = until is not None and self.gate.closed_until > until
        try:
            async with asyncio.timeout_at(self._started if in_vain else until):
                return await self.gate.enter(self._turn, self.request.tokens, retry=retry)
        except TimeoutError:
            reason = "would pass" if in_vain else "passed"
            error = self._last_error or APITimeoutError(
                f"The deadline {reason} while waiting for the throttle"
            )
        error.failure = Failure.NOT_SENT if self._last_error is None else error.failure
        self._out_of_time = True
        raise error

    def leave(self, verdict: Verdict, *, retry_after: float | None = None) -> None:
        """Give back the place at the gate, and tell what became of the request."""
        self.gate.leave(self._admission, verdict, retry_after=retry_after)

    def succeeded(self, status: int, trace_id: str | None) -> None:
        """Take down an attempt that went well."""
        self._record(status=status, trace_id=trace_id)

    def failed(self, error: SiliconFlowError, failure: Failure) -> None:
        """Take down an attempt that went wrong."""
        self._last_error = error
        error.failure = failure
        self.may_be_stored |= failure is Failure.UNKNOWN
        facts: dict[str, Any] = {}
        if isinstance(error, APIStatusError | InvalidResponseError):
            facts = {"status": error.status, "trace_id": error.trace_id}
        self._record(
            code=getattr(error, "code", None),
            cause=f"{type(error).__name__}: {error.message}",
            failure=failure,
            **facts,
        )

    def retryable(self, error: SiliconFlowError) -> bool:
        """Whether another attempt can be made, and does no harm."""
        match error.failure:
            case Failure.NOT_SENT | Failure.REFUSED:
                harmless = True
            case Failure.UNKNOWN:
                harmless = self.request.repeatable or self.resend_unknown
            case _:
                harmless = False
        return harmless and not self._out_of_time and (self.reading is None or self.reading.can_replay)

    def waiting(self, error: SiliconFlowError, seconds: float) -> None:
        """Announce a wait: the policy's or, where that is longer, the throttle's as far as it is known."""
        seconds = max(seconds, self.gate.opens_in())
        logger.info("%s %s: waits %.2f s after %s", self.request.operation, self.subject, seconds, error)
        self._emit(WaitEvent(self.number, self.request.operation, self.subject, seconds, error))

    def ended(self) -> None:
        """Announce success."""
        self._finish(None)

    def gave_up(self, error: SiliconFlowError) -> SiliconFlowError:
        """Announce failure, and give what is to be raised for it."""
        final = self._final(error)
        final.attempts = self.history
        if final.failure is Failure.UNKNOWN and self.lost is not None:
            self.lost()
        self._finish(final)
        return final

    def cancelled(self, error: asyncio.CancelledError) -> None:
        """Note on a cancellation what it may leave behind."""
        if self.may_be_stored and self.lost is not None:
            self.lost()
            error.add_note(
                f"{self.request.operation} {self.subject}: all was sent, and the voice may have been stored"
            )

    def _final(self, error: SiliconFlowError) -> SiliconFlowError:
        wrapped: SiliconFlowError
        if error.failure is Failure.UNKNOWN and not (self.request.repeatable or self.resend_unknown):
            if isinstance(error, AmbiguousUploadError):
                return error
            wrapped = AmbiguousUploadError(f"The upload's answer was lost: {error.message}")
            wrapped.failure = Failure.UNKNOWN
        elif (
            error.failure in {Failure.NOT_SENT, Failure.REFUSED}
            and self.retries
            and not (self.reading is None or self.reading.can_replay)
        ):
            wrapped = SourceConsumedError(f"It failed, and the audio can't be read again: {error.message}")
            wrapped.failure = error.failure
        else:
            return error
        wrapped.__cause__ = error
        return wrapped

    def _record(self, **facts: Any) -> None:
        now = asyncio.get_running_loop().time()
        attempt = Attempt(
            number=len(self._attempts) + 1,
            waited=self._began - self._ended,
            seconds=now - self._began,
            **facts,
        )
        self._ended = now
        self._attempts.append(attempt)
        logger.debug(
            "%s %s: attempt %d: %s after %.3f s (trace id %s)",
            self.request.operation,
            self.subject,
            attempt.number,
            attempt.cause or f"HTTP {attempt.status}",
            attempt.seconds,
            attempt.trace_id,
        )
        self._emit(AttemptEvent(self.number, self.request.operation, self.subject, attempt))

    def _finish(self, error: SiliconFlowError | None) -> None:
        seconds = asyncio.get_running_loop().time() - self._started
        self._emit(
            OutcomeEvent(self.number, self.request.operation, self.subject, seconds, self.history, error)
        )

    def _emit(self, event: Event) -> None:
        if self.on_event is not None:
            guarded(self.on_event, event)


def guarded(callback: Callable[..., object], *arguments: object) -> None:
    """Call what the user gave; its failure is logged, and is not the upload's."""
    try:
        callback(*arguments)
    except Exception:
        logger.exception("%r failed", callback)
