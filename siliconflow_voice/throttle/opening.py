"""The phase of a pace before the first refusal: a slow start."""

from __future__ import annotations

import math

from attrs import define, field

from siliconflow_voice.throttle.phases import Closed
from siliconflow_voice.throttle.traffic import Permit, Traffic

__all__ = ["Opening"]

# Requests at once, to begin with: few enough to be refused for little.
AT_FIRST = 8
# Seconds of a minute after which twice as many go though none was answered: limiters answer at once, uploads
# take long, and to wait for the first of them would double the time that a burst takes.
ROUND = 0.6


@define(eq=False)
class Opening:
    """No refusal yet: with every round of answers, twice as many go at once."""

    traffic: Traffic
    at_once: float = field(factory=lambda: AT_FIRST)
    doubles_at: float = math.inf
    settled: bool = False

    def ready_at(self, now: float, cost: float) -> float | None:  # noqa: ARG002 - any cost is as good
        if self.traffic.in_flight < self.at_once:
            return now
        return max(now, self.doubles_at)

    def admitted(self, now: float, permit: Permit) -> None:  # noqa: ARG002 - one signature
        if self.traffic.in_flight > self.at_once:
            self.at_once *= 2
        if self.traffic.in_flight >= self.at_once:
            self.doubles_at = now + ROUND * self.traffic.window / 60

    def accepted(self, now: float, permit: Permit) -> Opening:  # noqa: ARG002 - one signature
        self.at_once += 1
        return self

    def late(self, permit: Permit, *, accepted: bool) -> None:
        """Learn nothing, and never be asked to: only after a refusal is an answer late."""

    def refused(self, now: float, permit: Permit) -> Closed:
        return Closed.at(self.traffic, now, permit)
