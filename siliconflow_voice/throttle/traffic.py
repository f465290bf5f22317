"""What every phase of a pace looks at: the requests under way, and those of the last window."""

from __future__ import annotations

import math

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger

__all__ = ["Permit", "Traffic"]


@define(eq=False)
class Permit:
    """What a request was admitted with."""

    sent_at: float
    cost: float
    epoch: int
    """Counts the refusals that were news: what was sent before the last of them says nothing new."""
    trial: bool = False
    """Whether it is more than the limit is believed to allow."""


@define(eq=False)
class Traffic:
    """Counts requests, and how long their answers take."""

    window: float
    ledger: Ledger = field(init=False)
    in_flight: int = 0
    cost_in_flight: float = 0.0
    epoch: int = 0
    answered: int = 0
    answered_cost: float = 0.0
    began_at: float = math.inf
    """When the first request was sent."""
    latency: float = 0.0
    """Seconds to an answer, averaged over the last few."""
    fastest: float = math.inf
    """Seconds to the fastest answer."""

    def __attrs_post_init__(self) -> None:
        self.ledger = Ledger(self.window)

    @property
    def used(self) -> float:
        """What may count in the last window."""
        return self.ledger.sent + self.cost_in_flight

    @property
    def usual_cost(self) -> float:
        """What a request costs on average."""
        return self.answered_cost / self.answered if self.answered_cost else 1.0

    def admit(self, now: float, cost: float) -> Permit:
        """Count a request as under way."""
        self.began_at = min(self.began_at, now)
        self.in_flight += 1
        self.cost_in_flight += cost
        return Permit(now, cost, self.epoch)

    def forget(self, requests: int, cost: float) -> None:
        """Count some no longer as under way."""
        self.in_flight -= requests
        self.cost_in_flight = self.cost_in_flight - cost if self.in_flight else 0.0

    def end(self, now: float, permit: Permit, *, accepted: bool | None) -> None:
        """Count a request as answered.

        The service has counted it between its sending and its answer. If it counts each at the same share of
        its time, then this is the latest at which it may have, against the next one's earliest.
        """
        self.forget(1, permit.cost)
        took = now - permit.sent_at
        if accepted:
            self.fastest = min(self.fastest, took)
        if accepted is not None:
            self.latency += (took - self.latency) / 8 if self.latency else took
        self.ledger.expire(now)
        counted_at = now if self.fastest == math.inf else now - min(self.fastest, took)
        self.ledger.add(counted_at, permit.cost, accepted=accepted is True)
        self.answered += 1
        self.answered_cost += permit.cost
