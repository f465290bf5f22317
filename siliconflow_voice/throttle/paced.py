"""The phase of a pace in which the service refills evenly: so much a second."""

from __future__ import annotations

import math

from attrs import define, field

from siliconflow_voice.throttle.traffic import Permit, Traffic

__all__ = ["Paced"]

# While the rate is a lower bound, each round of answers raises it by so much.
GROWTH = 1.3
# Once it was measured, it rises by this share after a window without a refusal, by four times that after two,
# by nine times after three: a refusal a minute at any rate, and a limit that was doubled is found in three.
CREEP = 0.1
# What was believed before weighs as much as so many requests, against those that were measured since.
BEFORE = 3


@define(eq=False)
class Paced:
    """So much a second, measured from one refusal to the next: what was accepted meanwhile was refilled."""

    traffic: Traffic
    rate: float
    most: float
    """Up to which the rate is raised fast."""
    empty_at: float
    """When nothing was left; ``inf`` if the rate has not held requests back since."""
    refilled: float = 0.0
    """Accepted since then."""
    next_at: float = field(init=False)
    raised_at: float = field(init=False)
    failed: int = 1
    """Refusals since the last request that was accepted."""
    calm: float = 0.0
    """Seconds since the last refusal in which the rate held requests back."""
    binding: bool = True
    """Whether it does."""

    def __attrs_post_init__(self) -> None:
        # One a window at least, to begin with: what was accepted may have cost nothing.
        self.rate = max(self.rate, self.traffic.usual_cost / self.traffic.window)
        self.next_at = self.empty_at + min(self.traffic.usual_cost / self.rate, self.traffic.window / 2)
        self.raised_at = self.empty_at

    @property
    def settled(self) -> bool:
        """Whether the rate was measured."""
        return self.rate >= self.most

    def ready_at(self, now: float, cost: float) -> float | None:  # noqa: ARG002 - it is paid for afterwards
        if self.failed and self.traffic.in_flight:
            return None  # one probe, not a herd
        return max(now, self.next_at)

    def admitted(self, now: float, permit: Permit) -> None:
        rate = self.rate * (1 + CREEP * (self.calm / self.traffic.window) ** 2)
        spacing = min(permit.cost / rate, self.traffic.window)
        self.binding = self.next_at > now - 2 * max(self.traffic.latency, spacing)
        if not self.binding:
            self.empty_at = math.inf
        self.next_at = max(now, self.next_at) + spacing

    def accepted(self, now: float, permit: Permit) -> Paced:
        self.refilled += permit.cost
        self.failed = 0
        if not self.binding:
            return self
        if self.settled:
            self.calm += permit.cost / self.rate
        elif permit.sent_at >= self.raised_at:
            self.rate = min(self.rate * GROWTH, self.most)
            self.raised_at = now
        return self

    def late(self, permit: Permit, *, accepted: bool) -> None:
        if accepted:
            self.refilled += permit.cost

    def refused(self, now: float, permit: Permit) -> Paced:
        if not self.failed and now > self.empty_at:
            before = BEFORE * self.traffic.usual_cost
            self.rate = (self.refilled + before) / (now - self.empty_at + before / self.rate)
        self.most = self.rate
        self.empty_at = now
        self.refilled = self.calm = 0.0
        wait = 2.0 ** min(self.failed, 60) * max(permit.cost, self.traffic.usual_cost) / self.rate
        self.next_at = now + min(wait, self.traffic.window / 2)
        self.failed += 1
        return self
