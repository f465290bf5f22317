"""Drives a pace by hand: what is sent, when, and what becomes of it."""

from __future__ import annotations

from attrs import define, field

from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.traffic import Permit


@define
class Driver:
    """A pace, and a clock of its own."""

    pace: Pace = field(factory=lambda: Pace(60.0))
    now: float = 0.0

    def ready(self, cost: float = 1.0) -> float | None:
        return self.pace.ready_at(self.now, cost)

    def is_open(self) -> bool:
        return self.ready() == self.now

    def wait(self, cost: float = 1.0) -> float:
        """Go on to when the next may go; give the seconds waited."""
        at = self.ready(cost)
        assert at is not None, "it depends on an answer"
        waited, self.now = at - self.now, at
        return waited

    def send(self, cost: float = 1.0) -> Permit:
        """Send as soon as it may go."""
        self.wait(cost)
        assert self.ready(cost) == self.now
        return self.pace.admit(self.now, cost)

    def answer(self, permit: Permit, *, accepted: bool | None, after: float = 0.0) -> None:
        self.now += after
        self.pace.answered(self.now, permit, accepted=accepted)

    def try_one(self, *, accepted: bool | None, cost: float = 1.0, after: float = 0.0) -> Permit:
        """Send one as soon as it may go, and answer it."""
        permit = self.send(cost)
        self.answer(permit, accepted=accepted, after=after)
        return permit

    def try_all(self, *answers: bool) -> None:
        for accepted in answers:
            self.try_one(accepted=accepted)


def accepted(count: int, *, latency: float = 0.5) -> Driver:
    """A pace that has seen so many accepted, one after the other."""
    driver = Driver()
    for _ in range(count):
        driver.try_one(accepted=True, after=latency)
    return driver


def closed(count: int = 10, *, latency: float = 0.5) -> Driver:
    """One that was then refused for the first time."""
    driver = accepted(count, latency=latency)
    driver.try_one(accepted=False, after=latency)
    return driver


@define
class Metered:
    """One that sends one at a time, as soon as it may, to a service with a quota."""

    meter: QuotaMeter
    driver: Driver = field(factory=Driver)
    trials: list[float] = field(factory=list[float])
    refusals: list[float] = field(factory=list[float])
    sent: list[float] = field(factory=list[float])

    @classmethod
    def of(cls, quota: Quota) -> Metered:
        return cls(QuotaMeter(quota))

    def run_until(self, end: float) -> None:
        driver = self.driver
        while True:
            permit = driver.send()
            accepted = self.meter.take(driver.now, 1) is None
            driver.answer(permit, accepted=accepted)
            self.sent.append(driver.now)
            if permit.trial:
                self.trials.append(driver.now)
            if not accepted:
                self.refusals.append(driver.now)
            if driver.now >= end:
                return
