"""Remembers what was sent within the last window, and when it will have aged out of it."""

from __future__ import annotations

import math
from array import array

from attrs import define, field

__all__ = ["Ledger"]

# Of a minute, half a second each: three kilobytes at any rate, and that much longer a request may count.
_SLOTS = 120


def _doubles() -> array[float]:
    return array("d")


@define(eq=False)
class Ledger:
    """The answered requests of one window, by their costs, in slots of 1/120 of it."""

    window: float
    """Seconds."""
    sent: float = 0.0
    """The cost of all that counts still, refusals too."""
    accepted: float = 0.0
    """Of these, what was accepted."""
    _slot_ends_at: array[float] = field(factory=_doubles, repr=False)
    _slot_sent: array[float] = field(factory=_doubles, repr=False)
    _slot_accepted: array[float] = field(factory=_doubles, repr=False)

    def add(self, at: float, cost: float, *, accepted: bool) -> None:
        """Record a request that counts from *at* on."""
        self.expire(at)
        grain = self.window / _SLOTS
        end = (math.floor(at / grain) + 1) * grain
        if not self._slot_ends_at or self._slot_ends_at[-1] < end:
            self._slot_ends_at.append(end)
            self._slot_sent.append(0.0)
            self._slot_accepted.append(0.0)
        self._slot_sent[-1] += cost
        self.sent += cost
        if accepted:
            self._slot_accepted[-1] += cost
            self.accepted += cost

    def expire(self, now: float) -> None:
        """Forget what is older than a window."""
        while self._slot_ends_at and self._slot_ends_at[0] + self.window <= now:
            del self._slot_ends_at[0]
            self.sent -= self._slot_sent.pop(0)
            self.accepted -= self._slot_accepted.pop(0)
        if not self._slot_ends_at:
            self.sent = self.accepted = 0.0  # not what rounding has left of them

    def frees(self, cost: float) -> float | None:
        """Return the time by which *cost* will have aged out; None if there is not as much."""
        freed = 0.0
        for end, sent in zip(self._slot_ends_at, self._slot_sent, strict=True):
            freed += sent
            if freed >= cost:
                return end + self.window
        return None
