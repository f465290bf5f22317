"""Learns"""

from __future__ import annotations

import math

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger
from siliconflow_voice.throttle.phases import Opening, Closed, Testing, Paced, Pass, Phase, Traffic, Window

__all__ = ["Pace", "Pass"]

_ROUNDING = 1e-9


@define(eq=False)
class Pace:
    window: float
    declared: float | None = None
    _traffic: Traffic = field(init=False, repr=False)
    _phase: Phase = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._traffic = Traffic(Ledger(self.window), self.window)
        self._phase = Opening(self._traffic)

    @property
    def limit(self) -> float | None:
        """What is believed to be taken per window, or None if nothing is known."""
        match self._phase:
            case Window(limit=limit) | Testing(limit=limit) | Closed(limit=limit):
                learned = limit
            case Paced(rate=rate):
                learned = rate * self.window
            case _:
                learned = math.inf
        known = min(learned, math.inf if self.declared is None else self.declared)
        return None if known == math.inf else known

    def ready_at(self, now: float, cost: float) -> float | None:
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
        traffic = self._traffic
        traffic.in_flight -= 1
        traffic.cost_in_flight = traffic.cost_in_flight - let.cost if traffic.in_flight else 0.0
        taken = now - let.sent_at
        if accepted:
            traffic.fastest = min(traffic.fastest, taken)
        counted_at = max(let.sent_at, now - traffic.fastest) if traffic.fastest < math.inf else now
        traffic.ledger.expire(now)
        traffic.ledger.add(counted_at, let.cost, accepted=accepted is True)
        traffic.answered += 1
        traffic.answered_cost += let.cost
        late = let.epoch != traffic.epoch
        if not late:
            traffic.in_flight_of_epoch -= 1
        if accepted is None:
            if let.trial and isinstance(self._phase, Window):
                self._phase.trial_out = False
            return
        traffic.latency += (taken - traffic.latency) / 8 if traffic.latency else taken
        if late:
            self._phase.late(now, let, accepted=accepted)
        elif accepted:
            self._phase = self._phase.accepted(now, let)
        else:
            if not let.trial:
                traffic.epoch += 1
                traffic.in_flight_of_epoch = 0
            self._phase = self._phase.refused(now, let)
