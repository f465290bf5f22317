"""Remembers what was sent within the last window, and when it will have aged out of it."""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

__all__ = ["Ledger"]

_SLOTS = 480


@define(eq=False)
class Ledger:
    """The answered requests of one window, by their costs.

    They are kept in slots of 1/480 of a window, so that six thousand a minute take no more memory than sixty.
    A request counts until one window after its *answer*: when in between the service has counted it, nobody
    here knows.
    """

    window: float
    """Seconds."""
    sent: float = 0.0
    """The cost of all that was answered within the window, refusals too."""
    accepted: float = 0.0
    """Of these, what was accepted."""
    _slots: deque[list[float]] = field(factory=deque[list[float]], repr=False)

    def add(self, now: float, cost: float, *, accepted: bool) -> None:
        """Take down a request that was answered."""
        self.expire(now)
        grain = self.window / _SLOTS
        end = (math.floor(now / grain) + 1) * grain
        if not self._slots or self._slots[-1][0] != end:
            self._slots.append([end, 0.0, 0.0])
        slot = self._slots[-1]
        slot[1] += cost
        self.sent += cost
        if accepted:
            slot[2] += cost
            self.accepted += cost

    def expire(self, now: float) -> None:
        """Forget what is older than a window."""
        while self._slots and self._slots[0][0] + self.window <= now:
            _, sent, accepted = self._slots.popleft()
            self.sent -= sent
            self.accepted -= accepted
        if not self._slots:
            self.sent = self.accepted = 0.0  # not what rounding has left of them

    def frees(self, cost: float) -> float | None:
        """Give the time by which *cost* will have aged out; None if there is not as much."""
        freed = 0.0
        for end, sent, _ in self._slots:
            freed += sent
            if freed >= cost:
                return end + self.window
        return None
