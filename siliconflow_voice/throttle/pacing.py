"""Learns how much the service takes, from what it accepted and refused: pure, with the time passed in.

What the vendor counts, and how, is not published: nothing is assumed but the length of the window. A pace
goes through phases:

opening
    Nothing is known. A few requests at once, then more with every one that is accepted, so that the first
    refusal comes while few others are under way.
window
    Refused: what was accepted within the last window is taken for the limit, and more is sent as it ages out
    of the window. Two probes, early in that wait, find out whether the service refills evenly instead.
paced
    It does: one request follows another at the rate at which it was seen to refill.

In the last two, a little more than is believed is tried now and then, more seldom each time in vain: a limit
that was raised, or learned too low, is found again.
"""

from __future__ import annotations

import math

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger
from siliconflow_voice.throttle.phases import Opening, Paced, Pass, Phase, Traffic, Window

__all__ = ["Pace", "Pass"]

_ROUNDING = 1e-9


@define(eq=False)
class Pace:
    """When the next request may go, as far as the account's limit is concerned."""

    window: float
    declared: float | None = None
    """A limit that the user knows, per window: never exceeded, whatever was learned."""
    _traffic: Traffic = field(init=False, repr=False)
    _phase: Phase = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._traffic = Traffic(Ledger(self.window), self.window)
        self._phase = Opening(self._traffic)

    @property
    def limit(self) -> float | None:
        """What is believed to be taken per window, or None if nothing is known."""
        match self._phase:
            case Window(limit=limit):
                learned = limit
            case Paced(rate=rate):
                learned = rate * self.window
            case _:
                learned = math.inf
        known = min(learned, math.inf if self.declared is None else self.declared)
        return None if known == math.inf else known

    def ready_at(self, now: float, cost: float) -> float | None:
        """Give the time at which a request may go; None if that depends on an answer that is still out."""
        traffic = self._traffic
        traffic.ledger.expire(now)
        learned = self._phase.ready_at(now, cost)
        if self.declared is None or learned is None:
            return learned
        excess = traffic.used + cost - self.declared - _ROUNDING
        if excess <= 0:
            return learned
        declared = traffic.ledger.frees(excess)
        return None if declared is None else max(declared, learned)

    def let_pass(self, now: float, cost: float) -> Pass:
        """Count a request as under way."""
        traffic = self._traffic
        let = Pass(now, cost, traffic.epoch)
        self._phase.let_pass(now, let)
        if traffic.began_at is None:
            traffic.began_at = now
        traffic.in_flight += 1
        traffic.in_flight_of_epoch += 1
        traffic.cost_in_flight += cost
        return let

    def answered(self, now: float, let: Pass, *, accepted: bool | None) -> None:
        """Learn from what became of a request: accepted, refused, or None for neither."""
        traffic = self._traffic
        traffic.in_flight -= 1
        traffic.cost_in_flight = traffic.cost_in_flight - let.cost if traffic.in_flight else 0.0
        traffic.ledger.add(now, let.cost, accepted=accepted is True)
        traffic.answered += 1
        traffic.answered_cost += let.cost
        late = let.epoch != traffic.epoch
        if not late:
            traffic.in_flight_of_epoch -= 1
        if accepted is None:
            if let.trial and isinstance(self._phase, Window):
                self._phase.trial_out = False
            return
        taken = now - let.sent_at
        traffic.latency += (taken - traffic.latency) / 8 if traffic.latency else taken
        if accepted:
            traffic.accepted += 1
            traffic.accepted_cost += let.cost
        if late:
            self._phase.late(now, let, accepted=accepted)
        elif accepted:
            self._phase = self._phase.accepted(now, let)
        elif let.trial and isinstance(self._phase, Window):
            self._phase = self._phase.trial_refused(now)
        else:
            traffic.epoch += 1
            traffic.in_flight_of_epoch = 0
            self._phase = self._phase.refused(now)
