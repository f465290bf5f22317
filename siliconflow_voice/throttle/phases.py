"""What a pace knows and does once it was refused: closed, testing what a probe means, and by windows."""

from __future__ import annotations

import math
from typing import TypeAlias

from attrs import define, field, frozen

from siliconflow_voice.throttle.paced import Paced
from siliconflow_voice.throttle.traffic import Permit, Traffic

__all__ = ["Closed", "Closure", "Phase", "Reopened", "Window"]

_ROUNDING = 1e-9

# The first probe comes so many answers' time after a refusal, and each later one three times as late:
# whatever a bucket's size, it is met before it has been full for long, by few probes. None comes later than
# half a window: by then even a large bucket would have room, and from then on the window's end decides.
EARLIEST, APART, LATEST = 4, 3.0, 0.5
# Requests at once after a probe that was accepted.
AGAIN = 2
# Of what was accepted before, so much must be again, for it to be a new window: a window that began while the
# first requests went makes them look like twice as many, at most.
AS_BEFORE = 0.5
# Windows until a little more than the limit is tried, doubled each time in vain.
PATIENCE = 4.0


@frozen
class Closure:
    """What a refusal left to be explained."""

    closed_at: float
    floor: float
    """What is refilled a second at least, if it is refilled evenly, up to a window's worth at most."""
    refusals: float
    """The cost of what was refused: it may count as well."""

    def evenly(self, traffic: Traffic, now: float, taken: float) -> Paced:
        """Count what was accepted since as refilled."""
        since = max(now - self.closed_at, _ROUNDING)
        rate = max(taken / since, self.floor)
        return Paced(
            traffic, rate, max((taken + self.refusals + traffic.usual_cost) / since, rate), empty_at=now
        )


@define(eq=False)
class Closed:
    """Refused: one probe at a time finds out when it opens again."""

    traffic: Traffic
    limit: float
    """What was accepted in the window before; ``inf`` if nothing was."""
    closed_at: float
    probe_at: float
    floor: float
    refusals: float
    shut_at: float
    """When the last one that was refused was sent."""
    trusted: bool = True
    """Whether the limit says when there is room."""
    settled: bool = False

    @classmethod
    def at(cls, traffic: Traffic, now: float, permit: Permit) -> Closed:
        """Close by a refusal that came unexpected."""
        accepted = traffic.ledger.accepted
        span = min(now - traffic.began_at, traffic.window) + traffic.window
        return cls(
            traffic,
            accepted or math.inf,
            closed_at=now,
            probe_at=now + max(EARLIEST * traffic.latency, traffic.window / 120),
            floor=accepted / span,
            refusals=permit.cost,
            shut_at=permit.sent_at,
            trusted=accepted > 0,
        )

    def ready_at(self, now: float, cost: float) -> float | None:
        traffic = self.traffic
        if traffic.in_flight:
            return None
        if not self.trusted:
            return max(now, self.probe_at)
        return max(now, min(self.probe_at, _room_at(traffic, self.limit, now, cost) or now))

    def admitted(self, now: float, permit: Permit) -> None:  # noqa: ARG002 - one signature
        permit.trial = not self.trusted or self.traffic.used > self.limit + _ROUNDING

    def accepted(self, now: float, permit: Permit) -> Phase:
        if not permit.trial:
            return self._window(now).accepted(now, permit)
        closure = Closure(self.closed_at, self.floor, self.refusals)
        opened_at = now - min(self.traffic.fastest, now - permit.sent_at)
        return Reopened(self.traffic, self.limit, closure, self.shut_at, opened_at, taken=permit.cost)

    def late(self, permit: Permit, *, accepted: bool) -> None:
        if not accepted:
            self.refusals += permit.cost
        elif self.limit == math.inf:
            self.limit, self.trusted = permit.cost, True
        else:
            self.limit += permit.cost

    def refused(self, now: float, permit: Permit) -> Phase:
        if not permit.trial:
            return Closed.at(self.traffic, now, permit).distrusting(self.limit)
        self.refusals += permit.cost
        self.shut_at = permit.sent_at
        waited = now - self.closed_at
        latest = LATEST * self.traffic.window
        if not self.trusted:
            self.probe_at = now + min(APART * waited, latest)
        elif waited < latest:
            self.probe_at = self.closed_at + min(APART * waited, latest)
        else:
            return self._window(now)
        return self

    def distrusting(self, limit: float) -> Closed:
        """Return itself, with another limit that did not say when there is room."""
        self.limit, self.trusted = limit, False
        return self

    def _window(self, now: float) -> Phase:
        traffic = self.traffic
        if self.limit < 2 * traffic.usual_cost:  # one alone tells nothing of a window
            rate = self.limit / traffic.window
            return Paced(traffic, rate, APART**2 * rate, empty_at=now)
        # As many at once as there would be in a bucket from which the refusals have drawn as well.
        return Window(
            traffic,
            self.limit,
            at_once=max((self.limit - self.refusals) / traffic.usual_cost, 1.0),
            closure=Closure(self.closed_at, self.floor, self.refusals),
            trial_at=now + PATIENCE * traffic.window,
        )


@define(eq=False)
class Reopened:
    """A probe was accepted: what follows tells what that means."""

    traffic: Traffic
    limit: float
    closure: Closure
    shut_at: float
    """When it was closed still: if a window has begun since, then after this."""
    opened_at: float
    tells_until: float = math.inf
    """When there would be room in any case: from then on, what is accepted tells nothing."""
    taken: float = 0.0
    at_once: float = field(factory=lambda: AGAIN)
    settled: bool = False

    def ready_at(self, now: float, cost: float) -> float | None:
        traffic = self.traffic
        enough = (
            self.taken + traffic.cost_in_flight + cost > self.limit + _ROUNDING or now >= self.tells_until
        )
        return None if traffic.in_flight and (enough or traffic.in_flight >= self.at_once) else now

    def admitted(self, now: float, permit: Permit) -> None:
        pass

    def accepted(self, now: float, permit: Permit) -> Phase:
        self.at_once += 1
        self.taken += permit.cost
        return self if self.taken < self.limit - _ROUNDING and now < self.tells_until else self._over(now)

    def late(self, permit: Permit, *, accepted: bool) -> None:
        """Learn nothing: a probe is sent when nothing else is under way."""

    def refused(self, now: float, permit: Permit) -> Phase:  # noqa: ARG002 - one signature
        if self.taken >= AS_BEFORE * self.limit:
            self.limit = self.taken
        return self._over(now)

    def _over(self, now: float) -> Phase:
        traffic = self.traffic
        trial_at = now + PATIENCE * traffic.window
        if self.taken >= AS_BEFORE * self.limit:
            return Window(
                traffic,
                self.limit,
                begins_at=self.opened_at,
                slack=self.opened_at - self.shut_at,
                spent=self.taken + traffic.cost_in_flight,
                taken=self.taken,
                full_at=now,
                check=self.opened_at - self.closure.closed_at,
                trial_at=trial_at,
            )
        if self.tells_until < math.inf:
            return Window(traffic, max(self.limit, traffic.ledger.accepted), trial_at=trial_at)
        return self.closure.evenly(traffic, now, self.taken)


@define(eq=False)
class Window:
    """So much a window: as what was sent ages out of it or, where its beginning is known, from then on."""

    traffic: Traffic
    limit: float
    begins_at: float = math.inf
    """``inf`` if it is not known."""
    slack: float = 0.0
    """Seconds by which it may begin earlier."""
    spent: float = 0.0
    """Sent since it began."""
    taken: float = 0.0
    """Accepted since it began, or since it was closed."""
    full_at: float = 0.0
    check: float = math.inf
    """Seconds after it is full at which one more is tried, to see that it is not refilled in as many."""
    trial_at: float = math.inf
    """When to try a little more than the limit."""
    patience: float = field(factory=lambda: PATIENCE)
    trial_out: bool = False
    at_once: float = math.inf
    closure: Closure | None = None
    """What it was closed by, until about as much was accepted as before."""

    @property
    def settled(self) -> bool:
        """Whether the limit has held."""
        return self.closure is None and self.check == math.inf

    def ready_at(self, now: float, cost: float) -> float | None:
        if self.traffic.in_flight >= self.at_once:
            return None
        at = self._room_at(now, cost)
        if at is None or at <= now or self.trial_out:
            return at
        last = self._telling_until(at, cost)
        if self.check < math.inf:
            trial_at = self.full_at + min(self.check, (last - self.full_at) / 2)
        else:
            trial_at = self.trial_at
        return max(now, trial_at) if max(now, trial_at) < last else at

    def admitted(self, now: float, permit: Permit) -> None:
        at = self._room_at(now, 0.0 if self.begins_at == math.inf else permit.cost)
        if at is not None and at <= now:
            self.full_at = now
        else:
            permit.trial = self.trial_out = True
        self.spent += permit.cost

    def accepted(self, now: float, permit: Permit) -> Phase:
        traffic = self.traffic
        self.taken += permit.cost
        self.at_once += 1
        if self.taken >= AS_BEFORE * self.limit:
            self.closure, self.at_once = None, math.inf
        if not permit.trial:
            return self
        self.trial_out = False
        if self.check < math.inf:
            # It was no window: as much was refilled meanwhile.
            rate = self.spent / max(now - self.begins_at, _ROUNDING)
            return Paced(traffic, rate, APART * rate, empty_at=now)
        if self.begins_at < math.inf:
            self.limit += permit.cost
            return self
        closure = Closure(self.full_at, 0.0, 0.0)
        opened_at = now - min(traffic.fastest, now - permit.sent_at)
        until = self._telling_until(self._room_at(now, permit.cost) or now, permit.cost)
        return Reopened(traffic, self.limit, closure, self.full_at, opened_at, until, permit.cost)

    def late(self, permit: Permit, *, accepted: bool) -> None:
        if permit.trial:
            self.trial_out = False
        elif accepted:
            self.limit += permit.cost

    def refused(self, now: float, permit: Permit) -> Phase:
        traffic = self.traffic
        if permit.trial:
            self.trial_out = False
            if self.check < math.inf:
                self.check = math.inf
            else:
                self.patience *= 2
            self.trial_at = now + self.patience * traffic.window
            return self
        if self.closure is not None:
            if self.taken:
                return self.closure.evenly(traffic, now, self.taken)
            return Closed.at(traffic, now, permit).distrusting(self.limit)
        if self.begins_at < math.inf and self.taken >= AS_BEFORE * self.limit:
            self.limit = self.taken
            self.check = traffic.window
            return self
        limit = max(min(self.limit, traffic.ledger.accepted), traffic.usual_cost)
        closure = Closure(now, 0.0, permit.cost)
        return Window(traffic, limit, at_once=1, closure=closure, trial_at=now + PATIENCE * traffic.window)

    def _room_at(self, now: float, cost: float) -> float | None:
        if self.begins_at == math.inf:
            return _room_at(self.traffic, self.limit, now, cost)
        window = self.traffic.window
        if now >= self.begins_at + window - _ROUNDING:
            self.begins_at += window * ((now - self.begins_at + _ROUNDING) // window)
            self.spent = self.traffic.cost_in_flight
            self.taken = 0.0
        if self.spent + cost <= self.limit + _ROUNDING or not self.spent:
            return now
        return self.begins_at + window

    def _telling_until(self, at: float, cost: float) -> float:
        """Return the time up to which it is told by more than the limit that there is more."""
        if self.begins_at < math.inf:
            return at - self.slack
        ledger = self.traffic.ledger
        if ledger.accepted + self.traffic.cost_in_flight < self.limit - _ROUNDING:
            return -math.inf  # it is refusals that fill the window, and they may not count
        quarter = ledger.frees(cost + self.traffic.used - 0.75 * self.limit)
        return at if quarter is None else quarter


def _room_at(traffic: Traffic, limit: float, now: float, cost: float) -> float | None:
    """Return when a limit has room, as what was sent ages out; None if an answer must come first."""
    short = traffic.used + cost - limit
    if short <= _ROUNDING or not traffic.used:
        return now
    if not traffic.in_flight:
        # What costs more than the limit goes once nothing else counts any more.
        short = min(short, traffic.ledger.sent)
    return traffic.ledger.frees(short - _ROUNDING)


Phase: TypeAlias = "Closed | Reopened | Window | Paced"
