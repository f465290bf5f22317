"""Decides whether to try again and how long to wait before: the only user of tenacity."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import define, field, frozen

from siliconflow_voice.calls.operation import Failed, Outcome, Success
from siliconflow_voice.errors import APIStatusError, RateLimitError
from siliconflow_voice.models import Failure
from siliconflow_voice.validation import at_least_one, positive, positive_or_none

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from siliconflow_voice.calls.call import Call

__all__ = ["RetryPolicy"]

T = TypeVar("T")


@frozen
class RetryPolicy:
    """How often a call is tried, and how long it waits in between.

    Failures (a lost connection, a timeout, a 500) are counted: after ``attempts`` of them the last is raised.
    Throttling (429 per minute or hour, 503) is not counted as a failure, and is waited out until
    ``deadline``. The wait is drawn from ``0 … min(wait_max, wait_initial · 2ⁿ)`` ("full jitter"), or is
    ``Retry-After``, if that is longer. After a 429, the :class:`Throttle` decides when the next attempt goes.
    A connection that was closed while it was idle is replaced at once: that costs no attempt and no wait.
    """

    attempts: int = field(default=6, validator=at_least_one)
    """Failures after which a call gives up, throttling not counted. 1 means that nothing is retried."""
    deadline: float | None = field(default=600.0, validator=positive_or_none)
    """Seconds that a call may take as a whole, waits included; None for no bound."""
    wait_initial: float = field(default=0.5, validator=positive)
    """Seconds: the longest wait before the second attempt."""
    wait_max: float = field(default=30.0, validator=positive)
    """Seconds: the longest back-off."""
    max_retry_after: float = field(default=120.0, validator=positive)
    """Seconds: with a longer ``Retry-After``, the error is raised at once."""

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return a policy without retries: every failure is raised at once."""
        return cls(attempts=1)

    def backoff(self, failures: int) -> float:
        """Return the seconds, drawn at random, to wait after the given number of failures in a row."""
        ceiling = min(self.wait_max, self.wait_initial * 2.0 ** min(failures - 1, 64))
        return random.uniform(0, ceiling)  # noqa: S311 - to spread load, not to hide anything

    async def call(self, call: Call[T]) -> Outcome[T]:
        """Make attempts until one succeeds or fails for good, or no attempts or no time are left.

        Returns:
            The outcome of the last attempt.
        """
        first = await call.attempt()
        if isinstance(first, Success):
            return first
        # Few calls come this far: to set all of this up would cost a good one a tenth of its time.
        from tenacity import AsyncRetrying  # noqa: PLC0415 - and a program that never fails its import

        decider = _Decider(self, call)
        replay = [first]

        async def attempt() -> Outcome[T]:
            return replay.pop() if replay else await call.attempt()

        # One of these for each call: shared by coroutines, tenacity mixes up their results.
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            stop=decider.stop,
            wait=decider.wait,
            retry=decider.retry,
            before_sleep=decider.before_sleep,
            retry_error_callback=_outcome,
        )
        return await retrying(attempt)


@define
class _Decider(Generic[T]):
    """What tenacity asks after each attempt, in this order: retry, wait, stop, before_sleep."""

    policy: RetryPolicy
    call: Call[T]
    failures: int = 0
    refusals: int = 0

    def retry(self, state: RetryCallState) -> bool:
        outcome = _outcome(state)
        if not isinstance(outcome, Failed) or self.policy.attempts == 1:
            return False
        if outcome.failure is Failure.REFUSED:
            self.refusals += 1
        else:
            self.failures += 1
        return self.call.retryable(outcome)

    def wait(self, state: RetryCallState) -> float:
        error = _outcome(state).error
        asked = (isinstance(error, APIStatusError) and error.retry_after) or 0.0
        if isinstance(error, RateLimitError):
            return asked  # the throttle knows better than any dice when there will be room
        return max(asked, self.policy.backoff(self.failures + self.refusals))

    def stop(self, state: RetryCallState) -> bool:
        if self.failures >= self.policy.attempts:
            return True
        error = _outcome(state).error
        if isinstance(error, APIStatusError) and (error.retry_after or 0) > self.policy.max_retry_after:
            return True
        # To wait for an attempt that will not be made would only delay the error.
        now, until = asyncio.get_running_loop().time(), self.call.deadline.last_attempt
        return until is not None and now + state.upcoming_sleep >= until

    def before_sleep(self, state: RetryCallState) -> None:
        self.call.waits(_outcome(state), state.upcoming_sleep)


def _outcome(state: RetryCallState) -> Any:
    """Return the outcome of an attempt; None if it was cancelled, which tenacity then raises again."""
    outcome = state.outcome
    return None if outcome is None or outcome.failed else outcome.result()
