"""The calls that wait at a gate, the oldest first."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort

from attrs import define, field

from siliconflow_voice.throttle.limiter import Admission

__all__ = ["Line", "Waiter"]


@define(eq=False)
class Waiter:
    """A call that waits for its turn, which no other call has."""

    turn: int
    tokens: float
    retry: bool
    since: float
    """The loop's time at which it came."""
    admitted: asyncio.Future[Admission]

    def __lt__(self, other: Waiter) -> bool:
        return self.turn < other.turn


@define(eq=False)
class Line:
    """Waiting calls in the order of their turns."""

    _waiters: list[Waiter] = field(factory=list[Waiter], init=False)

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: Waiter) -> None:
        """Put a call in its place."""
        insort(self._waiters, waiter)

    def discard(self, waiter: Waiter) -> None:
        """Take a call out, if it is in the line."""
        place = bisect_left(self._waiters, waiter)
        if place < len(self._waiters) and self._waiters[place] is waiter:
            del self._waiters[place]

    def first(self, most: int = 1) -> list[Waiter]:
        """Return so many calls at most, the oldest first."""
        return self._waiters[:most]

    def before(self, turn: int | None) -> list[Waiter]:
        """Return the calls that are older than one with a *turn*, or than one that comes now."""
        if turn is None:
            return self._waiters[:]
        return self._waiters[: bisect_left(self._waiters, turn, key=lambda waiter: waiter.turn)]
