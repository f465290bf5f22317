"""What a pace knows and does in each of its phases: before the first refusal, by windows, and evenly."""

from __future__ import annotations

import math
from typing import TypeAlias

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger

_ROUNDING = 1e-9

AT_FIRST = 4
AGAIN = 2
ENOUGH = 16
CREEP=0.1
TRUST=8
CREEP_ACCEPTED = 16
ROUND = 1.0
FACTOR = 3.0
LAST = 0.5
MOST = 0.5
EVERY = 4.0
_ASKING = 30
_GROWTH = 1.3
_CREEP = 0.005
_CREEP_ACCEPTED = 16


@define(eq=False)
class Pass:
    """What a request was let through with."""

    sent_at: float
    cost: float
    epoch: int
    """Counts the refusals that were news: what was sent before the last of them says nothing new."""
    trial: bool = False
    """Whether it is more than the limit is believed to allow."""


@define(eq=False)
class Traffic:
    """What all phases look at."""

    ledger: Ledger
    window: float
    in_flight: int = 0
    cost_in_flight: float = 0.0
    in_flight_of_epoch: int = 0
    """Of these, what was sent since the last news of a refusal."""
    epoch: int = 0
    answered: int = 0
    answered_cost: float = 0.0
    began_at: float | None = None
    latency: float = 0.0
    """Seconds to an answer, averaged over the last few."""
    fastest: float = math.inf
    """The shortest of them."""

    @property
    def used(self) -> float:
        return self.ledger.sent + self.cost_in_flight

    @property
    def usual_cost(self) -> float:
        return self.answered_cost / self.answered if self.answered_cost else 1.0


@define(eq=False)
class SlowStart:
    at_once: float = AT_FIRST
    doubles_at: float = math.inf

    def ready_at(self, now: float, in_flight: int) -> float | None:
        if in_flight < self.at_once:
            return now
        return None if self.doubles_at == math.inf else max(now, self.doubles_at)

    def let_pass(self, now: float, in_flight: int, window: float) -> None:
        if in_flight >= self.at_once:
            self.at_once *= 2
        if in_flight + 1 >= self.at_once:
            self.doubles_at = now + ROUND * window / 60

    def accepted(self) -> None:
        self.at_once += 1


@define(eq=False)
class Opening:
    """No refusal yet."""

    traffic: Traffic
    start: SlowStart = field(factory=SlowStart)

    def ready_at(self, now: float, cost: float) -> float | None:
        return self.start.ready_at(now, self.traffic.in_flight)

    def let_pass(self, now: float, let: Pass) -> None:
        self.start.let_pass(now, self.traffic.in_flight, self.traffic.window)

    def accepted(self, now: float, let: Pass) -> Phase:
        self.start.accepted()
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        """Only after a refusal is an answer late."""

    def refused(self, now: float, let: Pass) -> Phase:
        began = now if self.traffic.began_at is None else self.traffic.began_at
        return closed(self.traffic, now, opened_for=now - began)


def closed(traffic: Traffic, now: float, opened_for: float = 0.0, limit: float = math.inf, *, trusted: bool = True) -> Closed:
    accepted = traffic.ledger.accepted
    gap = max(min(opened_for, traffic.window / 4), 2 * traffic.latency)
    span = min(opened_for, traffic.window) + traffic.window
    if accepted:
        limit = min(limit, accepted)
    return Closed(traffic, limit, now, gap, accepted / span, trusted=trusted and limit < math.inf)


@define(eq=False)
class Closed:
    """Refused: one probe at a time finds out when it opens."""

    traffic: Traffic
    limit: float
    closed_at: float
    gap: float
    bucket_rate: float
    trusted: bool
    refusals: float = 1.0
    probe_at: float = field(init=False)
    natural: bool = False
    shut_at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.probe_at = self.closed_at + self.gap
        self.shut_at = self.closed_at

    def ready_at(self, now: float, cost: float) -> float | None:
        traffic = self.traffic
        if traffic.in_flight:
            return None
        if not self.trusted:
            return max(now, self.probe_at)
        short = cost + traffic.used - self.limit
        room = now if short <= 0 else traffic.ledger.frees(min(short, traffic.ledger.sent) - _ROUNDING) or now
        return max(now, min(room, self.probe_at))

    def let_pass(self, now: float, let: Pass) -> None:
        self.natural = self.trusted and self.traffic.used + let.cost <= self.limit + _ROUNDING

    def accepted(self, now: float, let: Pass) -> Phase:
        if self.natural:
            window = self._unproven(now)
            if isinstance(window, Window):
                window.taken = let.cost
            return window
        at = now - self.traffic.fastest
        return Testing(self.traffic, self.limit, self.closed_at, self.shut_at, at, let.cost, self.bucket_rate, self.refusals)

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        if accepted:
            self.limit = let.cost if self.limit == math.inf else self.limit + let.cost
        else:
            self.refusals += let.cost

    def refused(self, now: float, let: Pass) -> Phase:
        if self.natural:
            return closed(self.traffic, now, limit=self.limit, trusted=False)
        self.refusals += let.cost
        self.shut_at = let.sent_at
        if self.trusted and self.gap >= LAST * self.traffic.window:
            return self._unproven(now)
        last = LAST * self.traffic.window
        self.gap = self.gap * FACTOR if self.gap * FACTOR < last or self.gap >= last else last
        if not self.trusted:
            self.closed_at = now
            self.gap = min(self.gap, last)
        self.probe_at = max(self.closed_at + self.gap, now + self.traffic.latency)
        return self

    def _unproven(self, now: float) -> Phase:
        if self.limit < 4 * self.traffic.usual_cost:
            rate = self.limit / self.traffic.window
            return Paced(self.traffic, rate, empty_at=now, since=now, most=FACTOR**2 * rate)
        at_once = max((self.limit - self.refusals) / self.traffic.usual_cost, 1.0)
        return Window(
            self.traffic, self.limit, creep_at=now + EVERY * self.traffic.window, closed=self, at_once=at_once
        )


@define(eq=False)
class Testing:
    """A probe was accepted: what follows tells what it means."""

    traffic: Traffic
    limit: float
    closed_at: float
    shut_at: float
    opened_at: float
    taken: float
    bucket_rate: float
    refusals: float
    until: float | None = None
    at_once: float = AGAIN

    def ready_at(self, now: float, cost: float) -> float | None:
        traffic = self.traffic
        if traffic.in_flight and (
            traffic.in_flight >= self.at_once or self.taken + traffic.cost_in_flight + cost > self.limit + _ROUNDING
            or (self.until is not None and now >= self.until)
        ):
            return None
        return now

    def let_pass(self, now: float, let: Pass) -> None:
        pass

    def accepted(self, now: float, let: Pass) -> Phase:
        self.at_once += 1
        self.taken += let.cost
        if self.taken >= self.limit - _ROUNDING or (self.until is not None and now >= self.until):
            return self._over(now)
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        pass

    def refused(self, now: float, let: Pass) -> Phase:
        if self.taken >= MOST * self.limit:
            self.limit = self.taken
        return self._over(now)

    def _over(self, now: float) -> Phase:
        traffic = self.traffic
        spent = self.taken + traffic.cost_in_flight
        if self.taken >= MOST * self.limit:
            return Window(
                traffic,
                self.limit,
                self.opened_at,
                self.opened_at - self.shut_at,
                spent,
                self.taken,
                check=self.opened_at - self.closed_at,
                full_at=now,
                creep_at=now + EVERY * traffic.window,
            )
        if self.until is not None:
            limit = max(self.limit, traffic.ledger.accepted)
            return Window(traffic, limit, creep_at=now + traffic.window)
        since = now - self.closed_at
        rate = max(self.taken / since, self.bucket_rate)
        most = (self.taken + self.refusals + 1) / since
        return Paced(self.traffic, rate, empty_at=now, since=now, most=most, failed=1)


@define(eq=False)
class Window:
    """So much within a window."""

    traffic: Traffic
    limit: float
    begins_at: float | None = None
    slack: float = 0.0
    spent: float = 0.0
    taken: float = 0.0
    check: float | None = None
    creep_at: float = math.inf
    creep_every: float = EVERY
    """Windows."""
    step: float = 1.0
    trial_out: bool = False
    full_at: float = 0.0
    room: float = math.inf
    at_once: float = math.inf
    closed: Closed | None = None

    def room_at(self, now: float, cost: float) -> float | None:
        traffic = self.traffic
        if self.begins_at is not None:
            if now >= self.begins_at + traffic.window - _ROUNDING:
                self.begins_at += traffic.window * ((now - self.begins_at + _ROUNDING) // traffic.window)
                self.spent = traffic.cost_in_flight
                self.taken = 0.0
            if self.spent + cost <= self.limit + _ROUNDING or not self.spent:
                return now
            return self.begins_at + traffic.window
        room = self.limit - traffic.used
        if room >= cost - _ROUNDING or traffic.used == 0:
            return now
        short = cost - room
        if not traffic.in_flight:
            # What costs more than the limit goes once nothing else counts any more.
            short = min(short, traffic.ledger.sent)
        return traffic.ledger.frees(short - _ROUNDING)

    def ready_at(self, now: float, cost: float) -> float | None:
        if self.traffic.in_flight >= self.at_once:
            return None
        at = self.room_at(now, cost)
        if at == now or self.trial_out or at is None:
            return at
        last = self._horizon(at, cost)
        if self.begins_at is None and self.traffic.ledger.accepted + self.traffic.cost_in_flight < self.limit - _ROUNDING:
            return at
        if self.check is not None:
            trial_at = max(now, self.full_at + min(self.check, (last - self.full_at) / 2))
        else:
            trial_at = max(now, self.creep_at)
        return trial_at if trial_at < last else at

    def _horizon(self, at: float, cost: float) -> float:
        """Return the time up to which what is accepted is more than the limit."""
        if self.begins_at is not None:
            return at - self.slack
        some = cost + self.traffic.used - 0.75 * self.limit
        return (self.traffic.ledger.frees(some) or at) - self.traffic.window / 8

    def let_pass(self, now: float, let: Pass) -> None:
        at = self.room_at(now, let.cost)
        if at != now:
            let.trial = self.trial_out = True
            self.room = self._horizon(at or now, let.cost)
        else:
            self.full_at = now
        self.spent += let.cost

    def accepted(self, now: float, let: Pass) -> Phase:
        self.taken += let.cost
        self.at_once += 1
        if self.taken >= self.limit / 2:
            self.closed, self.at_once = None, math.inf
        if not let.trial:
            return self
        self.trial_out = False
        if self.begins_at is not None:
            if self.check is not None:
                since = max(now - self.begins_at, self.traffic.window / 100)
                rate = (self.limit + let.cost) / since
                return Paced(self.traffic, rate, empty_at=now, since=now, most=FACTOR * rate)
            self.limit += self.step * let.cost
            self.step *= 2
            return self
        at = now - self.traffic.fastest
        if True:
            return Testing(
                self.traffic, self.limit, self.full_at, self.full_at, at, let.cost, 0, 0, until=self.room
            )

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        if let.trial:
            self.trial_out = False
        elif accepted:
            self.limit += let.cost

    def refused(self, now: float, let: Pass) -> Phase:
        self.step = 1.0
        if let.trial:
            self.trial_out = False
            if self.check is not None:
                self.check = None
                self.creep_at = now + EVERY * self.traffic.window
            else:
                self.creep_every *= 2
                self.creep_at = now + self.creep_every * self.traffic.window
            return self
        if self.closed is not None:
            if not self.taken:
                return closed(self.traffic, now, limit=self.limit, trusted=False)
            since = now - self.closed.closed_at
            rate = max(self.taken / since, self.closed.bucket_rate)
            most = (self.taken + self.closed.refusals + 1) / since
            return Paced(self.traffic, rate, empty_at=now, since=now, most=most, failed=1)
        if self.begins_at is not None and self.taken >= MOST * self.limit:
            self.limit = self.taken
            self.check = self.traffic.window
            return self
        self.limit = max(min(self.limit, self.traffic.ledger.accepted), self.traffic.usual_cost)
        return Window(self.traffic, self.limit, creep_at=now + EVERY * self.traffic.window, closed=Closed(self.traffic, self.limit, now, self.traffic.window, 0.0, trusted=True), at_once=1)


@define(eq=False)
class Paced:
    """So much a second, evenly."""

    traffic: Traffic
    rate: float
    empty_at: float
    """When it was last known to have nothing left: from then on, what is accepted was refilled."""
    since: float
    """When the rate was last raised by much."""
    most: float = math.inf
    """Up to which the rate grows fast."""
    failed: int = 0
    """Refusals, but for those that are no news, since something was accepted."""
    refilled: float = 0.0
    next_at: float = field(init=False)
    calm: float = 0.0
    """Seconds since the last refusal in which the rate held requests back."""
    binding: bool = True
    """Whether it is the rate that holds requests back, and not the lack of them."""

    def __attrs_post_init__(self) -> None:
        self.next_at = self.since + self.traffic.usual_cost / self.rate

    def ready_at(self, now: float, cost: float) -> float | None:
        if self.failed and self.traffic.in_flight_of_epoch:
            return None  # one probe, not a herd
        return max(now, self.next_at)

    def let_pass(self, now: float, let: Pass) -> None:
        spacing = let.cost / (self.rate * (1 + CREEP * (self.calm / self.traffic.window) ** 2))
        self.binding = self.next_at > now - 2 * max(self.traffic.latency, spacing)
        if not self.binding:
            self.empty_at = math.inf
        self.next_at = max(now, self.next_at) + spacing

    def accepted(self, now: float, let: Pass) -> Phase:
        self.refilled += let.cost
        self.failed = 0
        if not self.binding:
            return self
        if self.rate < self.most:
            if let.sent_at >= self.since:
                self.rate = min(self.rate * _GROWTH, self.most)
                self.since = now
        else:
            self.calm += let.cost / self.rate
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        if accepted:
            self.refilled += let.cost
        elif self.failed:
            self.empty_at, self.refilled = now, 0.0

    def refused(self, now: float, let: Pass) -> Phase:
        usual = self.traffic.usual_cost
        if not self.failed:
            since = now - self.empty_at
            if since > 0 and self.refilled:
                seen = self.refilled / since
                trust = 1 if self.rate < self.most and self.refilled > 3*usual else self.refilled / (self.refilled + TRUST * usual)
                self.rate = trust * seen + (1 - trust) * self.rate * 0.9
            else:
                self.rate *= 0.9
            self.most = 0
        elif self.failed >= 3:
            self.rate *= 0.7
        self.empty_at, self.refilled = now, 0.0
        self.failed += 1
        self.calm = 0
        wait = 2.0 ** min(self.failed - 1, 6) * usual / self.rate
        self.next_at = now + min(wait, self.traffic.window / 2)
        return self


Phase: TypeAlias = "Opening | Closed | Testing | Window | Paced"
