"""Spares an overloaded service: fewer at once, then a rest, and few retries. Pure, as pacing is."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Overload"]

DECREASE = 0.5
# Doubled up to this share of where it broke down: all the way would break it again at once.
THRESHOLD = 0.8
# Of a series of 503s with fewer successes between them, the first alone tells how much was too much.
SOME = 4
FIRST_REST = 0.5
LONGEST_REST = 2.0

# What botocore and gRPC call a retry budget: retries are paid for by what succeeds, and by time. A success
# pays for two, so that after an outage the retries come back as fast as the concurrency does.
BUDGET = 10.0
EARNED_BY_SUCCESS = 2.0
EARNED_BY_SECOND = 0.5


@define(eq=False)
class Overload:
    """How many requests a service that answers 503 is to have at once.

    Halved by the first 503 among those that were under way together; doubled by each round of successes until
    near where it broke down, and one more for each round after that. Where even one at a time is too many,
    there is a rest of half a second between them, doubled each time, up to two.
    """

    capacity: int
    """Requests at once when all is well."""
    allowed: float = field(init=False)
    """Requests at once now."""
    resting_until: float = 0.0
    threshold: float = field(init=False)
    successes: int = SOME
    """Since the last 503."""
    rest: float = FIRST_REST
    epoch: int = 0
    budget: float = BUDGET
    earned_until: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.allowed = self.threshold = float(self.capacity)

    def ready_at(self, now: float, in_flight: int, *, retry: bool) -> float | None:
        """Return the time at which one more may go; None if an answer must come first."""
        if in_flight >= int(self.allowed):
            return None
        at = max(now, self.resting_until)
        if retry:
            self._earn((now - self.earned_until) * EARNED_BY_SECOND)
            self.earned_until = now
            at = max(at, now + (1 - self.budget) / EARNED_BY_SECOND)
        return at

    def admit(self, *, retry: bool) -> int:
        """Count one as under way, and return what is to be handed back with its answer."""
        if retry:
            self.budget -= 1
        return self.epoch

    def accepted(self, epoch: int) -> None:
        """Learn from a success: of one sent before the last 503, that is little."""
        self._earn(EARNED_BY_SUCCESS)
        if epoch != self.epoch:
            return
        self.rest = FIRST_REST
        self.successes += 1
        if self.allowed < self.capacity:
            self.allowed += 1.0 if self.allowed < self.threshold else 1 / self.allowed
            self.allowed = min(self.allowed, float(self.capacity))

    def overloaded(self, now: float, epoch: int) -> None:
        """Learn from a 503, if it is not one of many that say the same."""
        if epoch != self.epoch:
            return
        self.epoch += 1
        if self.allowed <= 1:
            self.resting_until = now + self.rest
            self.rest = min(self.rest * 2, LONGEST_REST)
        if self.successes >= SOME:
            # Of a series of them, only the first tells how much was too much.
            self.threshold = self.allowed * THRESHOLD
        self.successes = 0
        self.allowed = max(self.allowed * DECREASE, 1.0)

    def _earn(self, amount: float) -> None:
        self.budget = min(self.budget + amount, BUDGET)
