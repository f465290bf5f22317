"""Simpler ways to keep a limit that was not declared, to compare with: each behind the same line."""

from __future__ import annotations

from attrs import define, field

from siliconflow_voice.throttle.ledger import Ledger
from siliconflow_voice.throttle.limiter import Verdict

_WINDOW = 60.0


@define
class OneLimit:
    """One limit a window: what was accepted before the first refusal, raised by one for each trial."""

    at_once: int
    limit: float = float("inf")
    trial_at: float = float("inf")
    in_flight: int = 0
    epoch: int = 0
    ledger: Ledger = field(factory=lambda: Ledger(_WINDOW))

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        self.ledger.expire(now)
        if self.in_flight >= self.at_once:
            return None
        used = self.ledger.sent + self.in_flight
        if used < self.limit or now >= self.trial_at:
            return now
        freed = self.ledger.frees(used + 1 - self.limit - 1e-9)
        return None if freed is None else min(freed, self.trial_at)

    def admit(self, now: float, tokens: float, *, retry: bool) -> tuple[int, bool]:
        trial = self.ledger.sent + self.in_flight >= self.limit
        if trial:
            self.trial_at = now + _WINDOW / 4
        self.in_flight += 1
        return self.epoch, trial

    def answered(self, now: float, admission: tuple[int, bool], verdict: Verdict) -> None:
        epoch, trial = admission
        self.in_flight -= 1
        accepted = verdict is Verdict.ACCEPTED
        self.ledger.add(now, 1.0, accepted=accepted)
        if accepted:
            self.limit += trial or epoch != self.epoch
        elif not trial and epoch == self.epoch:
            self.epoch += 1
            self.limit = max(self.ledger.accepted, 1.0)
            self.trial_at = now + _WINDOW / 4


@define
class EvenRate:
    """An even rate, raised a little by each that is accepted, and cut by a refusal (AIMD)."""

    at_once: int
    rise: float
    cut: float
    rate: float = 1.0
    next_at: float = 0.0
    in_flight: int = 0
    epoch: int = 0

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        return None if self.in_flight >= self.at_once else max(now, self.next_at)

    def admit(self, now: float, tokens: float, *, retry: bool) -> int:
        self.in_flight += 1
        self.next_at = max(now, self.next_at) + 1 / self.rate
        return self.epoch

    def answered(self, now: float, admission: int, verdict: Verdict) -> None:
        self.in_flight -= 1
        if verdict is Verdict.ACCEPTED:
            self.rate += self.rise / _WINDOW
        elif admission == self.epoch:
            self.epoch += 1
            self.rate = max(self.rate * self.cut, 1 / _WINDOW)
            self.next_at = now + 1 / self.rate


@define
class BotocoreAdaptive:
    """botocore's adaptive mode: a rate that is cut by refusals and grown cubically, shared by all.

    Source: botocore/retries/adaptive.py, bucket.py and throttling.py. The calls' own back-off is left out,
    and there is no end of retries.
    """

    at_once: int
    rate: float = 0.5
    in_flight: int = 0
    enabled: bool = False
    w_max: float = 0.0
    last_fail: float = 0.0
    measured: float = 0.0
    bucket_at: float = 0.0
    count: int = 0
    next_at: float = 0.0

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        if self.in_flight >= self.at_once:
            return None
        return max(now, self.next_at) if self.enabled else now

    def admit(self, now: float, tokens: float, *, retry: bool) -> None:
        self.in_flight += 1
        self.next_at = max(now, self.next_at) + 1 / self.rate

    def answered(self, now: float, admission: None, verdict: Verdict) -> None:
        self.in_flight -= 1
        self.count += 1
        bucket = now * 2 // 1 / 2
        if bucket > self.bucket_at:
            self.measured = self.count / (bucket - self.bucket_at) * 0.8 + self.measured * 0.2
            self.count, self.bucket_at = 0, bucket
        if verdict is Verdict.ACCEPTED:
            k = (self.w_max * 0.3 / 0.4) ** (1 / 3)
            wanted = 0.4 * (now - self.last_fail - k) ** 3 + self.w_max
        else:
            self.w_max = min(self.measured, self.rate) if self.enabled else self.measured
            self.last_fail, self.enabled = now, True
            wanted = self.w_max * 0.7
        self.rate = max(min(wanted, 2 * self.measured), 0.5)
