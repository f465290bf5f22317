"""Spares an overloaded service: fewer at once, then a rest, and few retries. Pure, as pacing is."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Overload"]

_DECREASE = 0.5
# Doubled up to this share of where it broke down: all the way would break it again at once.
_THRESHOLD = 0.75
_SOME = 4
_FIRST_REST = 0.5
_LONGEST_REST = 8.0

# What botocore and gRPC call a retry budget: retries are paid for by what succeeds, and by time.
_BUDGET = 10.0
_EARNED_BY_SUCCESS = 0.2
_EARNED_BY_SECOND = 0.5


@define(eq=False)
class Overload:
    """How many requests a service that answers 503 is to have at once.

    Halved by the first 503 among those that were under way together; doubled by each round of successes until
    near where it broke down, and one more for each round after that. Where even one at a time is too many,
    there is a rest of half a second between them, doubled each time, up to eight.
    """

    capacity: int
    """Requests at once when all is well."""
    allowed: float = field(init=False)
    """Requests at once now."""
    resting_until: float = 0.0
    _threshold: float = field(init=False)
    _accepted: int = _SOME
    """Since the last 503."""
    _rest: float = _FIRST_REST
    _epoch: int = 0
    _budget: float = _BUDGET
    _earned_until: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.allowed = self._threshold = float(self.capacity)

    def ready_at(self, now: float, in_flight: int, *, retry: bool) -> float | None:
        """Give the time at which one more may go; None if an answer must come first."""
        if in_flight >= int(self.allowed):
            return None
        at = max(now, self.resting_until)
        if retry:
            self._earn((now - self._earned_until) * _EARNED_BY_SECOND)
            self._earned_until = now
            at = max(at, now + (1 - self._budget) / _EARNED_BY_SECOND)
        return at

    def let_pass(self, *, retry: bool) -> int:
        """Count one as under way; what this gives is to be handed back with its answer."""
        if retry:
            self._budget -= 1
        return self._epoch

    def accepted(self) -> None:
        """Learn from a success."""
        self._rest = _FIRST_REST
        self._accepted += 1
        self._earn(_EARNED_BY_SUCCESS)
        if self.allowed < self.capacity:
            self.allowed += 1.0 if self.allowed < self._threshold else 1 / self.allowed
            self.allowed = min(self.allowed, float(self.capacity))

    def overloaded(self, now: float, epoch: int) -> None:
        """Learn from a 503, if it is not one of many that say the same."""
        if epoch != self._epoch:
            return
        self._epoch += 1
        if self.allowed <= 1:
            self.resting_until = now + self._rest
            self._rest = min(self._rest * 2, _LONGEST_REST)
        if self._accepted >= _SOME:
            # Of a series of them, only the first tells how much was too much.
            self._threshold = self.allowed * _THRESHOLD
        self._accepted = 0
        self.allowed = max(self.allowed * _DECREASE, 1.0)

    def _earn(self, amount: float) -> None:
        self._budget = min(self._budget + amount, _BUDGET)
