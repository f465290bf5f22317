"""One call under way: its attempts, whether it may be tried again, and what it comes to."""

from __future__ import annotations

import asyncio
import math
from typing import Generic, TypeVar

from attrs import define, evolve, field

from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.draining import Calls
from siliconflow_voice.calls.failures import classify, is_stale, verdict_on
from siliconflow_voice.calls.history import History
from siliconflow_voice.calls.operation import Failed, Operation, Outcome, Success
from siliconflow_voice.errors import (
    AmbiguousUploadError,
    APIStatusError,
    APITimeoutError,
    ClientClosedError,
    OverloadedError,
    SiliconFlowError,
    SourceConsumedError,
    ThrottleError,
)
from siliconflow_voice.models import Failure
from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.limiter import Admission, Verdict
from siliconflow_voice.transport.channel import Channel
from siliconflow_voice.transport.payload import Transfer

__all__ = ["Call"]

T = TypeVar("T")

# Seconds without which an attempt is not begun: no answer comes sooner.
_LEAST = 0.01


@define(eq=False)
class Call(Generic[T]):
    """What the attempts of one call have in common.

    Nothing is raised before :meth:`over`, except a cancellation: attempts come to values.
    """

    operation: Operation[T]
    gate: Gate
    deadline: Deadline
    channel: Channel
    history: History
    retries: bool
    """Whether the policy allows a second attempt."""
    calls: Calls
    """Those that a drain lets go together with this one."""
    _turn: int = field(init=False)
    _last: Failed | None = field(default=None, init=False)
    _transfer: Transfer | None = field(default=None, init=False)
    """Of the attempt under way."""
    _cleared: int = field(default=0, init=False)
    """Attempts that are known to have stored nothing, or whose voice was found."""

    def __attrs_post_init__(self) -> None:
        self._turn = self.gate.turn()

    async def attempt(self) -> Outcome[T]:
        """Wait for the throttle, send once, and look up a voice whose answer was lost."""
        admission = await self._enter()
        if isinstance(admission, Failed):
            return admission
        try:
            outcome = await self._send(admission)
            if isinstance(outcome, Failed) and outcome.failure is Failure.UNKNOWN:
                outcome = await self._search(outcome)
        finally:
            self.operation.ended()
        self._last = outcome if isinstance(outcome, Failed) else None
        return outcome

    def retryable(self, failed: Failed) -> bool:
        """Return whether another attempt is possible and harmless."""
        match failed.failure:
            case Failure.NOT_SENT | Failure.REFUSED:
                harmless = True
            case Failure.UNKNOWN:
                harmless = self.operation.repeatable
            case _:
                harmless = False
        return harmless and not failed.over and self.operation.replayable

    def waits(self, failed: Failed, seconds: float) -> None:
        """Report a wait: the policy's or, where that is longer, the throttle's as far as it is known."""
        self.history.waits(max(seconds, self.gate.opens_in()), self._finished(failed.error, failed.failure))

    def over(self, outcome: Outcome[T]) -> Success[T]:
        """Return what the call came to, or raise it.

        Raises:
            SiliconFlowError: With the history of the call, and what the failure means.
        """
        if self._may_be_stored():
            self.operation.lost()
        if isinstance(outcome, Success):
            if self.operation.lasts:
                self.operation.goes_on(self.ended)
            else:
                self.history.over(None)
            return Success(outcome.value, outcome.status, outcome.trace_id, self.history.attempts)
        error = self._final(outcome)
        self.history.over(error)
        raise error

    def ended(self, error: SiliconFlowError | None) -> None:
        """End a call that has lasted after its success: return its place, and report what became of it."""
        self.gate.release()
        self.history.over(None if error is None else self._finished(error, Failure.UNKNOWN))

    def cancelled(self, error: asyncio.CancelledError) -> None:
        """Add a note to a cancellation, if the voice may have been stored."""
        if self._may_be_stored() and not self.operation.request.repeatable:
            self.operation.lost()
            what = f"{self.operation.request.operation} {self.operation.subject}"
            error.add_note(f"{what}: all was sent, and the voice may have been stored: check list_voices()")

    async def pause(self, seconds: float) -> None:
        """Wait between two attempts; a drain ends that at once."""
        try:
            async with self.calls.waiting(None):
                await asyncio.sleep(seconds)
        except TimeoutError:
            pass  # the attempt that follows lets the call go

    async def _enter(self) -> Admission | Failed:
        """Wait for the throttle's gate, but not past the deadline, nor past the beginning of a drain."""
        if self.calls.are_draining():
            return self._let_go()
        tokens, retry, until = (
            self.operation.request.tokens,
            self._was_overloaded(),
            self.deadline.last_attempt,
        )
        if until is not None and until - asyncio.get_running_loop().time() < _LEAST:
            return self._out_of_time("passed before anything could be sent")
        try:
            admission = self.gate.try_enter(tokens, retry=retry)
        except SiliconFlowError as error:
            return Failed(error, Failure.FINAL)
        if admission is not None:
            return admission
        self.operation.waits()
        line = self.gate.line(self._turn, tokens)
        if not self.history.attempts:
            self.history.queues(line.seconds, line.ahead)
        left = math.inf if until is None else until - asyncio.get_running_loop().time()
        if line.at_least > left:
            # To wait for a turn that will not come in time would only delay the bad news.
            return self._out_of_time(
                "would pass while waiting for the throttle",
                f": its turn is about {line.seconds:.0f} s away, {self._explained(line.ahead, left)}",
            )
        try:
            async with self.calls.waiting(until):
                return await self.gate.enter(self._turn, tokens, retry=retry)
        except ThrottleError as error:
            return self._cut_off(error)
        except TimeoutError:
            return self._waited_in_vain(line.ahead)

    def _waited_in_vain(self, ahead: int) -> Failed:
        if self.calls.are_draining():
            return self._let_go()
        if self.gate.trouble is not None:
            return self._cut_off(ThrottleError(f"{self.gate.trouble}; nothing was sent"))
        return self._out_of_time("passed while waiting for the throttle", f"; {self._explained(ahead, 0.0)}")

    def _cut_off(self, error: ThrottleError) -> Failed:
        """Return the failure of a call whose throttle can't be asked."""
        if self._last is not None and self._last.failure is Failure.UNKNOWN:
            return evolve(self._last, over=True)
        error.__cause__ = None if self._last is None else self._last.error
        return Failed(error, Failure.NOT_SENT, over=True)

    def _explained(self, ahead: int, left: float) -> str:
        reserve = self.deadline.reserve
        kept = f", as {reserve:.1f} s are kept back to look for a lost answer" if reserve else ""
        return f"behind {ahead} other calls, with {max(left, 0.0):.1f} s left{kept}"

    def _was_overloaded(self) -> bool:
        return self._last is not None and isinstance(self._last.error, OverloadedError)

    def _let_go(self) -> Failed:
        if self._last is not None and self._last.failure is Failure.UNKNOWN:
            return evolve(self._last, over=True)
        error = ClientClosedError(
            "The client is being closed, and let this call go before it was sent; nothing is stored: "
            "call again with another client"
        )
        error.__cause__ = None if self._last is None else self._last.error
        return Failed(error, Failure.NOT_SENT, over=True)

    def _out_of_time(self, how: str, why: str = "") -> Failed:
        if self._last is not None:
            return evolve(self._last, over=True)
        error = APITimeoutError(
            f"The deadline {how}{why}; nothing was sent: "
            "raise RetryPolicy.deadline, or make fewer calls at once"
        )
        return Failed(error, Failure.NOT_SENT, over=True)

    async def _send(self, admission: Admission) -> Outcome[T]:
        """Send once, record the attempt, and report its result to the gate."""
        now = asyncio.get_running_loop().time()
        self.deadline.begin(now)
        self.history.begins(now)
        verdict, retry_after = Verdict.NEITHER, None
        try:
            outcome, sending = await self._exchange_on_a_live_connection()
            if isinstance(outcome, Success):
                verdict = Verdict.ACCEPTED
            else:
                verdict = verdict_on(outcome.error, outcome.failure, sending=sending)
                if isinstance(outcome.error, APIStatusError):
                    retry_after = outcome.error.retry_after
            self.history.ended(outcome)
            self._transfer = None
        finally:
            if verdict is Verdict.ACCEPTED and self.operation.lasts:
                self.gate.keep()
            self.gate.leave(admission, verdict, retry_after=retry_after)
        return outcome

    async def _exchange_on_a_live_connection(self) -> tuple[Outcome[T], bool]:
        """Send once; immediately again if the connection had been closed while it was idle."""
        while True:
            transfer = self._transfer = Transfer(self.operation.sent)
            outcome = await self._exchange(transfer)
            if not (is_stale(outcome, transfer) and self.operation.replayable):
                return outcome, transfer.sent > 0

    async def _exchange(self, transfer: Transfer) -> Outcome[T]:
        operation = self.operation
        try:
            await operation.begins()
        except SiliconFlowError as error:
            return Failed(error, Failure.FINAL)
        result = await operation.exchange(self.channel, transfer, self.deadline.last_attempt)
        if isinstance(result, SiliconFlowError):
            return Failed(result, classify(result, body_sent=transfer.body_sent))
        return result

    async def _search(self, unknown: Failed) -> Outcome[T]:
        outcome = await self.operation.search(unknown)
        if not (isinstance(outcome, Failed) and outcome.failure is Failure.UNKNOWN):
            self._cleared = len(self.history.attempts)
        return outcome

    def _may_be_stored(self) -> bool:
        """Return whether some attempt sent the whole body, and its outcome is unknown."""
        if self._transfer is not None and self._transfer.body_sent:
            return True
        return any(attempt.failure is Failure.UNKNOWN for attempt in self.history.attempts[self._cleared :])

    def _final(self, failed: Failed) -> SiliconFlowError:
        """Return what is raised for a call's last failure."""
        error, failure = failed.error, failed.failure
        final: SiliconFlowError = error
        if failure is Failure.UNKNOWN and not self.operation.repeatable:
            if not isinstance(error, AmbiguousUploadError):
                final = AmbiguousUploadError(f"The upload's answer was lost: {error.summary}")
        elif self._is_stranded(failure):
            final = SourceConsumedError(
                f"The upload failed, and the audio can't be read again: {error.summary}"
            )
        if final is not error:
            final.__cause__ = error
        if isinstance(final.__cause__, SiliconFlowError):
            self._finished(final.__cause__, failure)
        return self._finished(final, failure)

    def _is_stranded(self, failure: Failure) -> bool:
        """Return whether only the audio, which can't be read again, prevents another attempt."""
        harmless = failure in {Failure.NOT_SENT, Failure.REFUSED}
        return harmless and self.retries and not self.operation.replayable

    def _finished(self, error: SiliconFlowError, failure: Failure) -> SiliconFlowError:
        """Return the error with the history of the call."""
        error.failure = failure
        error.attempts = self.history.attempts
        return error
