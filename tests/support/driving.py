"""Drives a pace by hand: what is sent, when, and what becomes of it."""

from __future__ import annotations

from attrs import define, field

from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.throttle.pacing import Pace, Pass


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

    def send(self, cost: float = 1.0) -> Pass:
        """Send as soon as it may go."""
        self.wait(cost)
        assert self.ready(cost) == self.now
        return self.pace.let_pass(self.now, cost)

    def answer(self, let: Pass, *, accepted: bool | None, after: float = 0.0) -> None:
        self.now += after
        self.pace.answered(self.now, let, accepted=accepted)

    def try_one(self, *, accepted: bool | None, cost: float = 1.0, after: float = 0.0) -> Pass:
        """Send one as soon as it may go, and answer it."""
        let = self.send(cost)
        self.answer(let, accepted=accepted, after=after)
        return let

    def try_all(self, *answers: bool) -> None:
        for accepted in answers:
            self.try_one(accepted=accepted)


def closed(accepted: int = 10, every: float = 1.0) -> Driver:
    """A pace that has seen so many accepted, one after the other, and then a first refusal."""
    driver = Driver()
    for _ in range(accepted):
        driver.try_one(accepted=True)
        driver.now += every
    driver.try_one(accepted=False)
    return driver


def settled(accepted: int = 10) -> Driver:
    """One that has found out, by two probes in vain, that the limit is that of a window."""
    driver = closed(accepted)
    driver.try_all(False, False)
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
            let = driver.send()
            accepted = self.meter.take(driver.now, 1) is None
            driver.answer(let, accepted=accepted)
            self.sent.append(driver.now)
            if let.trial:
                self.trials.append(driver.now)
            if not accepted:
                self.refusals.append(driver.now)
            if driver.now >= end:
                return
