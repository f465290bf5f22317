"""Lets requests pass, those of the oldest calls first, when the limiter allows it: all that waits is here."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from attrs import define, field, frozen

from siliconflow_voice.errors import InvalidUploadError
from siliconflow_voice.throttle.limiter import Admission, Limiter, Verdict

__all__ = ["Gate", "Line"]


@frozen
class Line:
    """What a call would have to wait for."""

    ahead: int
    """Calls before it."""
    seconds: float
    """Until its turn, about."""
    at_least: float
    """Until its turn, as far as that is certain."""


@define(eq=False)
class _Waiter:
    turn: int
    tokens: float
    retry: bool
    admitted: asyncio.Future[Admission]

    def __lt__(self, other: _Waiter) -> bool:
        return self.turn < other.turn


@define(eq=False)
class Gate:
    """The line before a limiter."""

    limiter: Limiter
    _turns: itertools.count[int] = field(factory=itertools.count, repr=False)
    _waiting: list[_Waiter] = field(factory=list[_Waiter], repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def turn(self) -> int:
        """Return a call's place in the line, which it keeps for all of its attempts."""
        return next(self._turns)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self.limiter.in_flight + self.limiter.streaming

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return sum(not waiter.admitted.done() for waiter in self._waiting)

    @property
    def closed_until(self) -> float:
        """The loop's time before which nothing passes: the service said so."""
        return self.limiter.closed_until

    def is_open(self, tokens: float, *, retry: bool = False) -> bool:
        """Whether a request would pass at once."""
        return not self._waiting and self._ready_in(tokens, retry=retry) == 0

    def is_idle(self, now: float) -> bool:
        """Whether it is not used, and knows nothing."""
        return not self._waiting and not self.in_flight and self.limiter.is_blank(now)

    def opens_in(self) -> float:
        """Return the seconds until the next may pass, as far as is known; 0 if that depends on answers."""
        return self._ready_in(1.0) or 0.0

    def line(self, turn: int | None = None, tokens: float = 1.0) -> Line:
        """Return what a call would have to wait for: one with a *turn*, or one that comes now."""
        ahead = [
            waiter
            for waiter in self._waiting
            if not waiter.admitted.done() and (turn is None or waiter.turn < turn)
        ]
        now = asyncio.get_running_loop().time()
        expected = self.limiter.expected_at(
            now, len(ahead) + 1, tokens + sum(waiter.tokens for waiter in ahead)
        )
        seconds = expected - now
        certain = max(self.closed_until - now, seconds * self.limiter.certainty)
        return Line(len(ahead), seconds, certain)

    def try_enter(self, tokens: float, *, retry: bool) -> Admission | None:
        """Pass if that is possible at once: the way of most, for whom nothing has to be set up.

        Raises:
            InvalidUploadError: It alone costs more tokens than were declared for a window.
        """
        declared = self.limiter.tokens.declared
        if declared is not None and tokens > declared:
            raise InvalidUploadError(
                "text", f"has an estimated {tokens:g} tokens; the throttle allows {declared:g} a minute"
            )
        if self._waiting:
            return None
        now = asyncio.get_running_loop().time()
        if self.limiter.ready_at(now, tokens, retry=retry) != now:
            return None
        return self.limiter.admit(now, tokens, retry=retry)

    async def enter(self, turn: int, tokens: float, *, retry: bool) -> Admission:
        """Wait for the turn; :meth:`leave` ends it. A cancelled call takes none.

        Args:
            turn: The call's place in the line.
            tokens: What the request is estimated to cost.
            retry: Whether it was turned away because of an overload before.

        Raises:
            InvalidUploadError: It alone costs more tokens than were declared for a window.
        """
        admission = self.try_enter(tokens, retry=retry)
        if admission is not None:
            return admission
        waiter = _Waiter(turn, tokens, retry, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        self._admit()
        try:
            return await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                # It was admitted in the very moment in which it was cancelled.
                self.leave(waiter.admitted.result(), Verdict.NEITHER)
            else:
                waiter.admitted.cancel()
                self._admit()
            raise

    def leave(self, admission: Admission, verdict: Verdict, *, retry_after: float | None = None) -> None:
        """Learn from a request's end, and let the next ones pass."""
        now = asyncio.get_running_loop().time()
        self.limiter.answered(now, admission, verdict, retry_after=retry_after)
        self._admit()

    def keep(self) -> None:
        """Count a request as under way beyond its :meth:`leave`, since its answer is a stream."""
        self.limiter.streaming += 1

    def release(self) -> None:
        """End what :meth:`keep` began, and let the next ones pass."""
        self.limiter.streaming -= 1
        self._admit()

    def _ready_in(self, tokens: float, *, retry: bool = False) -> float | None:
        now = asyncio.get_running_loop().time()
        ready_at = self.limiter.ready_at(now, tokens, retry=retry)
        return None if ready_at is None else ready_at - now

    def _admit(self) -> None:
        """Let pass all that may, one after the other, or come back when the first of them may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            waiter = self._waiting[0]
            if not waiter.admitted.done():
                now = loop.time()
                ready_at = self.limiter.ready_at(now, waiter.tokens, retry=waiter.retry)
                if ready_at is None:
                    return  # the next answer will call again
                if ready_at > now:
                    self._timer = loop.call_at(ready_at, self._admit)
                    return
                waiter.admitted.set_result(self.limiter.admit(now, waiter.tokens, retry=waiter.retry))
            heapq.heappop(self._waiting)
