"""Learns how much the service takes, from what it accepted and refused: pure, with the time passed in.

What the vendor counts, and how, is not published: nothing is assumed but the length of the window. A pace
goes through phases:

opening
    Nothing is known: a slow start.
closed
    Refused. Single probes, and the end of the window, tell when there is room again.
reopened
    A probe was accepted. As much as before, and a new window has begun; little, and it refills evenly.
window
    So much a window: as what was sent ages out of it, or from the window's beginning on.
paced
    So much a second: it refills evenly.

In the last two, a little more than is believed is tried now and then: a limit that was raised, or learned too
low, is found again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger
from siliconflow_voice.throttle.opening import Opening
from siliconflow_voice.throttle.paced import Paced
from siliconflow_voice.throttle.phases import Closed, Closure, Phase, Reopened, Window
from siliconflow_voice.throttle.state import dumped, loaded
from siliconflow_voice.throttle.traffic import Permit, Traffic

__all__ = ["Pace"]

_ROUNDING = 1e-9
_PHASES = (Opening, Closed, Closure, Reopened, Window, Paced)


@define(eq=False)
class Pace:
    """When the next request may go, as far as the account's limit is concerned."""

    window: float
    declared: float | None = None
    """A limit that the caller knows, per window: never exceeded, whatever was learned."""
    traffic: Traffic = field(init=False, repr=False)
    phase: Opening | Phase = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.traffic = Traffic(self.window)
        # A declared limit bounds what the first requests may cost: no slow start is needed.
        self.phase = Opening(self.traffic) if self.declared is None else Opening(self.traffic, math.inf)

    @property
    def learned(self) -> float:
        """What was learned to be taken per window; ``inf`` if nothing was."""
        if isinstance(self.phase, Paced):
            return self.phase.rate * self.window
        return math.inf if isinstance(self.phase, Opening) else self.phase.limit

    @property
    def limit(self) -> float | None:
        """What is known to be taken per window, or None."""
        known = min(self.learned, math.inf if self.declared is None else self.declared)
        return None if known == math.inf else known

    @property
    def basis(self) -> Literal["declared", "learned", "believed"] | None:
        """Where the limit is from."""
        if self.declared is not None and self.declared <= self.learned:
            return "declared"
        if isinstance(self.phase, Opening):
            return None
        return "learned" if self.phase.settled else "believed"

    @property
    def is_limited(self) -> bool:
        """Whether a limit was declared or met."""
        return self.declared is not None or not isinstance(self.phase, Opening)

    def is_blank(self, now: float) -> bool:
        """Whether nothing is under way, and nothing was learned."""
        self.traffic.ledger.expire(now)
        return isinstance(self.phase, Opening) and not self.traffic.used and not self.traffic.in_flight

    def ready_at(self, now: float, cost: float) -> float | None:
        """Return the time at which a request may go; None if that depends on an answer that is still out."""
        traffic = self.traffic
        traffic.ledger.expire(now)
        learned = self.phase.ready_at(now, cost)
        if self.declared is None or learned is None:
            return None if learned == math.inf else learned
        excess = traffic.used + cost - self.declared - _ROUNDING
        if excess <= 0:
            return learned
        declared = traffic.ledger.frees(excess)
        return None if declared is None else max(declared, learned)

    def expected_at(self, now: float, cost: float) -> float:
        """Return when about so much more will have gone."""
        usual, limit = self.traffic.usual_cost, self.limit
        at = self.ready_at(now, min(cost, usual))
        at = now + self.traffic.latency if at is None else at
        if limit is None:
            return at
        if isinstance(self.phase, Paced) and limit == self.learned:
            return at + max(cost - usual, 0.0) * self.window / limit
        excess = self.traffic.used + cost - limit
        if excess <= _ROUNDING:
            return at
        freed = self.traffic.ledger.frees(excess - _ROUNDING)
        if (
            freed is None
        ):  # more than a window's worth: it goes when all that is there has aged out, and after
            empty = self.traffic.ledger.frees(self.traffic.used - _ROUNDING)
            if empty is None:
                empty = now + self.window if self.traffic.used else now
            freed = empty + (cost - _ROUNDING) // limit * self.window
        return max(at, freed)

    def admit(self, now: float, cost: float) -> Permit:
        """Count a request as under way."""
        permit = self.traffic.admit(now, cost)
        self.phase.admitted(now, permit)
        return permit

    def answered(self, now: float, permit: Permit, *, accepted: bool | None) -> None:
        """Learn from what became of a request: accepted, refused, or None for neither."""
        traffic = self.traffic
        traffic.end(now, permit, accepted=accepted)
        if accepted is None:
            if permit.trial:
                self._forget_trial()
        elif permit.epoch != traffic.epoch:
            self.phase.late(permit, accepted=accepted)
        elif accepted:
            self.phase = self.phase.accepted(now, permit)
        else:
            if not permit.trial:
                traffic.epoch += 1
            self.phase = self.phase.refused(now, permit)

    def state(self, now: float) -> dict[str, Any]:
        """Return what was learned, and what is under way, as a plain value."""
        return {"traffic": dumped(self.traffic, now), "phase": dumped(self.phase, now)}

    def load(self, state: Mapping[str, Any], now: float) -> None:
        """Go on from a state."""
        self.traffic = loaded(state["traffic"], (Traffic, Ledger), now, window=self.window)
        self.phase = loaded(state["phase"], _PHASES, now, traffic=self.traffic)

    def refund(self, permit: Permit) -> None:
        """Take back a request that was not sent."""
        self.traffic.forget(1, permit.cost)
        if isinstance(self.phase, Window):
            self.phase.spent = max(self.phase.spent - permit.cost, 0.0)
        if permit.trial:
            self._forget_trial()

    def lose(self, now: float, requests: int, cost: float) -> None:
        """Count some of those under way as sent, and their answers as lost."""
        self.traffic.ledger.add(now, cost, accepted=False)
        self.traffic.forget(requests, cost)
        self._forget_trial()

    def _forget_trial(self) -> None:
        if isinstance(self.phase, Window):
            self.phase.trial_out = False
