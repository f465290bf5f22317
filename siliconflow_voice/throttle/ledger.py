"""Remembers what was sent within the last window, and when it will have aged out of it."""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

__all__ = ["Ledger"]

_SLOTS = 120


@define(eq=False)
class Ledger:
    """The answered requests of one window, by their costs, in slots of 1/120 of it.

    So six thousand a minute take no more memory than a hundred.
    """

    window: float
    """Seconds."""
    sent: float = 0.0
    """The cost of all that counts still, refusals too."""
    accepted: float = 0.0
    """Of these, what was accepted."""
    _slots: deque[list[float]] = field(factory=deque[list[float]], repr=False)

    def add(self, at: float, cost: float, *, accepted: bool) -> None:
        """Take down a request that counts from *at* on."""
        grain = self.window / _SLOTS
        end = (math.floor(at / grain) + 1) * grain
        if not self._slots or self._slots[-1][0] < end:
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
        """Return the time by which *cost* will have aged out; None if there is not as much."""
        freed = 0.0
        for end, sent, _ in self._slots:
            freed += sent
            if freed >= cost:
                return end + self.window
        return None
