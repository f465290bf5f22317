"""What a pace knows and does in each of its phases: before the first refusal, by windows, and evenly."""

from __future__ import annotations

import math
from typing import TypeAlias

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger

__all__ = ["Opening", "Paced", "Pass", "Phase", "Traffic", "Window"]

_ROUNDING = 1e-9

# Opening: how many at once, and how fast that grows. Each was tuned by `nox -s simulate`.
_AT_FIRST = 3
_FOR_EACH_ACCEPTED = 1 / 8
_SQUARED = 1 / 3000

# A probe comes this much later than an evenly refilled bucket would have room for it.
_PROBE_MARGIN = 1.1
_PROBES = 2
_EARLY = 4

_FEW = 4

# Probes a window, the first time, where nothing was ever accepted.
_ASKING = 30

_GROWTH = 1.3
_CREEP = 0.005
_CREEP_MOST = 0.05
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
    accepted: int = 0
    accepted_cost: float = 0.0
    answered: int = 0
    answered_cost: float = 0.0
    began_at: float | None = None
    latency: float = 0.0
    """Seconds to an answer, averaged over the last few."""

    @property
    def used(self) -> float:
        return self.ledger.sent + self.cost_in_flight

    @property
    def usual_cost(self) -> float:
        return self.answered_cost / self.answered if self.answered_cost else 1.0


@define(eq=False)
class Opening:
    """No refusal yet."""

    traffic: Traffic

    def ready_at(self, now: float, cost: float) -> float | None:  # noqa: ARG002 - any cost is as good
        return now if self.traffic.in_flight < self._at_once(now) else None

    def let_pass(self, now: float, let: Pass) -> None:
        pass

    def accepted(self, now: float, let: Pass) -> Phase:  # noqa: ARG002 - the others need them
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:
        """Learn nothing, and never be asked to: only after a refusal is an answer late."""

    def refused(self, now: float) -> Phase:
        traffic = self.traffic
        if not traffic.accepted_cost:
            # Nothing to go by; perhaps others have used up the minute. Ask again, more seldom each time.
            rate = _ASKING * traffic.usual_cost / traffic.window
            return Paced(traffic, rate, empty_at=now, since=now, failed=1)
        # What was accepted may have aged out long ago.
        limit = max(traffic.ledger.accepted, traffic.usual_cost)
        began = now if traffic.began_at is None else traffic.began_at
        # Were it a bucket that holds no more than a window's worth, then it refills at least at this rate.
        rate = traffic.accepted_cost / (now - began + traffic.window)
        refilled_after = traffic.usual_cost / rate
        early = max(now - began, _EARLY * traffic.latency)
        return Window(
            traffic,
            limit,
            limit,
            closed_at=now,
            began_at=began,
            bucket_rate=rate,
            probe_at=now + refilled_after,
            early_probe_at=now + early if 0 < early < refilled_after / 2 else math.inf,
        )

    def _at_once(self, now: float) -> float:
        traffic = self.traffic
        count = traffic.accepted
        # Where answers take long, waiting for them would take a window or two: grow with time as well.
        began = now if traffic.began_at is None else traffic.began_at
        minute = 60 / traffic.window
        slowness = min(1.0, traffic.latency * minute / 5)
        return (
            _AT_FIRST
            + count * _FOR_EACH_ACCEPTED
            + count * count * _SQUARED
            + (now - began) * minute * slowness / 2
        )


@define(eq=False)
class Window:
    """So much within a window."""

    traffic: Traffic
    limit: float
    proven: float
    """The limit before it was crept above."""
    closed_at: float
    began_at: float
    bucket_rate: float
    """What it would refill at least, if it were a bucket."""
    probe_at: float | None
    """When to send a probe; None when it is settled that this is a window."""
    early_probe_at: float = math.inf
    """A limit that was met within a moment may be one a second: that would be seen as soon."""
    probes: int = 0
    refusals: int = 1
    """Since it closed: a bucket may have been drained by them."""
    trial_out: bool = False
    sent_at: float = 0.0
    creep_at: float = math.inf
    creep_every: float = 2.0
    """Windows."""
    creep_step: float = 1.0
    dropped_at: float = -math.inf

    def ready_at(self, now: float, cost: float) -> float | None:
        room = self.limit - self.traffic.used
        if room >= cost - _ROUNDING or self.traffic.used == 0:
            return now
        short = cost - room
        if not self.traffic.in_flight:
            # What costs more than the limit goes once nothing else counts any more.
            short = min(short, self.traffic.ledger.sent)
        at = self.traffic.ledger.frees(short - _ROUNDING)
        if self.probe_at is None:
            if self.trial_out or room < -_ROUNDING or at is None:
                return at
            # Halfway through the wait: what refills evenly will have something by then.
            return min(at, max(now, self.creep_at, (self.sent_at + at) / 2))
        if self.trial_out or self.traffic.in_flight > self.traffic.in_flight_of_epoch:
            return at  # one at a time, and not before all is known of those that were sent before
        probe_at = min(self.probe_at, self.early_probe_at)
        return max(now, probe_at if at is None else min(at, probe_at))

    def let_pass(self, now: float, let: Pass) -> None:
        self.sent_at = now
        if 0 < self.traffic.used > self.limit - let.cost + _ROUNDING:
            let.trial = self.trial_out = True

    def accepted(self, now: float, let: Pass) -> Phase:
        if let.trial and self.probe_at is not None:
            gap = max(now - self.closed_at, _ROUNDING)
            return Paced(
                self.traffic, max(let.cost / gap, self.bucket_rate), empty_at=self.closed_at, since=now
            )
        if let.trial:
            self.trial_out = False
            self.limit += self.creep_step * let.cost
            self.creep_step *= 2
            self.creep_every = 1.0
            self.creep_at = now
        elif self.probe_at is not None:
            self._settle(now)
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:  # noqa: ARG002 - one signature
        if let.trial:
            self.trial_out = False
        elif accepted:
            self.limit += let.cost
            self.proven += let.cost
        else:
            self.refusals += 1

    def refused(self, now: float) -> Phase:
        traffic = self.traffic
        if self.limit > self.proven:
            if self.proven < _FEW * traffic.usual_cost:
                # Trials went well and the limit was wrong all the same: so few come better one by one.
                return Paced(traffic, self.proven / traffic.window, empty_at=now, since=now, failed=1)
            self._creep_later(now)
            self.limit = self.proven = max(self.proven, min(self.limit, traffic.ledger.accepted))
            return self
        accepted = max(traffic.ledger.accepted, traffic.usual_cost)
        if now - self.dropped_at < 2 * traffic.window:
            # Twice within so short a time: no window, or somebody else takes from it.
            rate = max(
                accepted / traffic.window, traffic.accepted_cost / (now - self.began_at + traffic.window)
            )
            return Paced(traffic, rate, empty_at=now, since=now, failed=1)
        self.dropped_at = now
        self.limit = self.proven = accepted
        self.probe_at = None
        self._creep_later(now)
        return self

    def trial_refused(self, now: float) -> Phase:
        self.trial_out = False
        if self.probe_at is None:
            self._creep_later(now)
            return self
        self.refusals += 1
        if self.early_probe_at < self.probe_at:
            self.early_probe_at = math.inf
            return self
        self.probes += 1
        if self.probes == _PROBES:
            self._settle(now)
        else:
            debt = (self.refusals + 1) * self.traffic.usual_cost
            self.probe_at = now + _PROBE_MARGIN * debt / self.bucket_rate
        return self

    def _settle(self, now: float) -> None:
        self.probe_at = None
        self.creep_at = now + self.creep_every * self.traffic.window

    def _creep_later(self, now: float) -> None:
        self.creep_step = 1.0
        self.creep_every *= 2
        self.creep_at = now + self.creep_every * self.traffic.window


@define(eq=False)
class Paced:
    """So much a second, evenly."""

    traffic: Traffic
    rate: float
    empty_at: float
    """When it was last known to have nothing left: from then on, what is accepted was refilled."""
    since: float
    """When the rate was last raised by much."""
    growing: bool = True
    """Whether the rate is a lower bound still."""
    failed: int = 0
    """Refusals, but for those that are no news, since something was accepted."""
    refilled: float = 0.0
    next_at: float = field(init=False)
    calm: int = 0
    """Accepted since the last refusal."""
    binding: bool = True
    """Whether it is the rate that holds requests back, and not the lack of them."""

    def __attrs_post_init__(self) -> None:
        self.next_at = self.since + self.traffic.usual_cost / self.rate

    def ready_at(self, now: float, cost: float) -> float | None:  # noqa: ARG002 - it is paid afterwards
        if self.failed and self.traffic.in_flight_of_epoch:
            return None  # one probe, not a herd
        return max(now, self.next_at)

    def let_pass(self, now: float, let: Pass) -> None:
        spacing = let.cost / self.rate
        latency = self.traffic.latency
        self.binding = self.next_at > now - 2 * max(latency, spacing)
        # What has refilled while a probe was under way is not lost.
        self.next_at = max(now - latency, self.next_at) + spacing

    def accepted(self, now: float, let: Pass) -> Phase:
        self.refilled += let.cost
        self.failed = 0
        if not self.binding:
            return self
        if not self.growing:
            # Creeping up, doubled after each while in which nothing was refused.
            per_second = self.rate / self.traffic.usual_cost
            quarter = per_second * self.traffic.window / 4
            while_ = max(4, min(_CREEP_ACCEPTED, quarter), 2 * per_second * self.traffic.latency)
            self.calm += 1
            self.rate *= 1 + min(_CREEP / while_ * 2 ** (self.calm // while_), _CREEP_MOST)
        elif let.sent_at >= self.since:
            self.rate *= _GROWTH
            self.since = now
        return self

    def late(self, now: float, let: Pass, *, accepted: bool) -> None:  # noqa: ARG002 - one signature
        if accepted:
            self.refilled += let.cost
        else:
            self.next_at += let.cost / self.rate

    def refused(self, now: float) -> Phase:
        usual = self.traffic.usual_cost
        if not self.failed:
            seen = self.refilled / max(now - self.empty_at, _ROUNDING)
            trust = self.refilled / (self.refilled + 8 * usual)
            self.rate = (
                max(seen, self.rate / _GROWTH**2)
                if self.growing
                else trust * seen + (1 - trust) * self.rate * 0.9
            )
            self.growing = False
            self.empty_at = now
            self.refilled = 0.0
        elif self.failed >= 3:
            self.rate *= 0.7
        self.failed += 1
        self.calm = 0
        wait = 2.0 ** min(self.failed - 1, 6) * usual / self.rate
        self.next_at = now + min(wait, self.traffic.window / 2)
        return self


Phase: TypeAlias = "Opening | Window | Paced"
