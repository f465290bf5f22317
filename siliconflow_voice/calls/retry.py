"""Decides whether to try again and how long to wait before: the only user of tenacity."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import define, field, frozen

from siliconflow_voice.errors import APIStatusError, RateLimitError, SiliconFlowError
from siliconflow_voice.models import Failure
from siliconflow_voice.validation import at_least_one, positive, positive_or_none

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["RetryPolicy"]

T = TypeVar("T")


@frozen
class RetryPolicy:
    """How often a call is tried, and how long it waits in between.

    Failures (a lost connection, a timeout, a 500) are counted: after ``attempts`` of them the last is raised.
    Being told to slow down (429 per minute or hour, 503) is no failure of the request's, and is waited out
    until ``deadline``. The wait is drawn from ``0 … min(wait_max, wait_initial · 2ⁿ)`` ("full jitter"), or is
    what ``Retry-After`` says. After a 429 it is the :class:`Throttle` that says when there is room again.
    """

    attempts: int = field(default=6, validator=at_least_one)
    """Failures, refusals not counted, after which a call gives up. 1 means that nothing is tried twice."""
    deadline: float | None = field(default=600.0, validator=positive_or_none)
    """Seconds that a call may take in all, its waits included; None for no bound."""
    wait_initial: float = field(default=0.5, validator=positive)
    """Seconds: the longest wait before the second attempt."""
    wait_max: float = field(default=30.0, validator=positive)
    """Seconds: the longest wait of our own choosing."""
    max_retry_after: float = field(default=120.0, validator=positive)
    """Seconds: a ``Retry-After`` above this is not waited for; the error is raised."""

    @classmethod
    def none(cls) -> RetryPolicy:
        """Try once: every failure is raised as it comes."""
        return cls(attempts=1)

    def backoff(self, failures: int) -> float:
        """Draw the seconds to wait after the given number of failures in a row."""
        ceiling = min(self.wait_max, self.wait_initial * 2.0 ** min(failures - 1, 64))
        return random.uniform(0, ceiling)  # noqa: S311 - to spread load, not to hide anything

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        retryable: Callable[[SiliconFlowError], bool],
        before_wait: Callable[[SiliconFlowError, float], None],
        until: Callable[[], float | None],
    ) -> T:
        """Await *attempt* until it succeeds, fails for good, or there are no tries or no time left.

        Args:
            attempt: One try; it raises only errors of this package's, or is cancelled.
            retryable: Whether another try could succeed and do no harm.
            before_wait: Told the error and the seconds before each wait.
            until: Gives the loop's time by which all must be over, or None.

        Raises:
            SiliconFlowError: The last attempt's.
        """
        try:
            return await attempt()
        except SiliconFlowError as error:
            failed: list[SiliconFlowError] = [error]

        async def again() -> T:
            if failed:
                raise failed.pop()
            return await attempt()

        # Few calls come this far: to set all of this up would cost a good one a tenth of its time.
        from tenacity import AsyncRetrying  # noqa: PLC0415 - and a program that never fails its import

        decider = _Decider(self, retryable, before_wait, until)
        # One of these for each call: shared by coroutines, tenacity mixes up their results.
        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            stop=decider.stop,
            wait=decider.wait,
            retry=decider.retry,
            before_sleep=decider.before_sleep,
            reraise=True,
        )
        return await retrying(again)


@define
class _Decider:
    """What tenacity asks after each attempt, in this order: retry, wait, stop, before_sleep."""

    policy: RetryPolicy
    retryable: Callable[[SiliconFlowError], bool]
    announce: Callable[[SiliconFlowError, float], None]
    until: Callable[[], float | None]
    failures: int = 0
    refusals: int = 0

    def retry(self, state: RetryCallState) -> bool:
        error = _error(state)
        if error is None or self.policy.attempts == 1:
            return False
        if error.failure is Failure.REFUSED:
            self.refusals += 1
        else:
            self.failures += 1
        return self.retryable(error)

    def wait(self, state: RetryCallState) -> float:
        error = _error(state)
        asked = (isinstance(error, APIStatusError) and error.retry_after) or 0.0
        if isinstance(error, RateLimitError):
            return asked  # the throttle knows better than any dice when there will be room
        return max(asked, self.policy.backoff(self.failures + self.refusals))

    def stop(self, state: RetryCallState) -> bool:
        if self.failures >= self.policy.attempts:
            return True
        error = _error(state)
        if isinstance(error, APIStatusError) and (error.retry_after or 0) > self.policy.max_retry_after:
            return True
        # To wait for what can't be tried any more would only delay the bad news.
        now = asyncio.get_running_loop().time()
        until = self.until()
        return until is not None and now + state.upcoming_sleep >= until

    def before_sleep(self, state: RetryCallState) -> None:
        self.announce(cast("SiliconFlowError", _error(state)), state.upcoming_sleep)


def _error(state: RetryCallState) -> SiliconFlowError | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, SiliconFlowError) else None
