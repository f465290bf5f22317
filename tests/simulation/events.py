"""Uploads as events: the throttle's own learning against a quota's meter, without HTTP and without a loop.

Hours of quota pass in milliseconds, so that whether a rule pays is a question of seconds.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from attrs import evolve, field, frozen

from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.throttle.limiter import Verdict

# Of an answer's time, what passes until the service has counted the request.
_ARRIVES = 0.1
# As RetryPolicy draws it.
_BACKOFF, _LONGEST_BACKOFF = 0.5, 30.0


# Where a run does not end, something is wrong.
_FOREVER = 50_000.0


class Sender(Protocol):
    """What decides when the next request goes: the throttle's limiter, or another policy."""

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        """Return when the next may go; None if an answer must come first."""

    def admit(self, now: float, tokens: float, *, retry: bool) -> Any:
        """Count one as under way."""

    def answered(self, now: float, admission: Any, verdict: Verdict) -> None:
        """Learn from what became of it."""


@frozen
class Row:
    """A service, and those who upload to it."""

    name: str
    quota: Quota
    uploads: int
    at_once: int = 32
    latency: tuple[float, float] = (0.5, 1.5)
    """Seconds that an answer takes."""
    later: tuple[float, Quota] | None = None
    """When the quota is exchanged for another, and for which."""
    others_every: float | None = None
    """Seconds between the requests of another user of the account, who never waits."""
    tokens: int = 1
    """The most that an upload costs; each costs from one up to that."""
    brown_out: tuple[float, float, float] | None = None
    """From when until when which share is answered with 503."""
    bears: int | None = None
    """How many at once the service takes; more are answered with 503."""

    def at_phase(self, phase: float) -> Row:
        """Return the same with its fixed windows begun that many seconds before the first request."""
        return evolve(self, name=f"{self.name}, phase {phase:g}", quota=evolve(self.quota, phase=phase))


@frozen
class Outcome:
    """How a run went."""

    uploads: int
    refused: int
    attempts: int
    seconds: float
    sent: list[tuple[float, str | None]] = field(repr=False)
    """When each request came, and what refused it."""


def play(row: Row, sender: Sender, *, seed: int = 0) -> Outcome:
    """Send all uploads of a row, the oldest first, and return what became of them."""
    return _Run(row, sender, random.Random(seed)).play()  # noqa: S311 - to be repeatable


class _Run:
    def __init__(self, row: Row, sender: Sender, chance: random.Random) -> None:
        self.row, self.sender, self.chance = row, sender, chance
        self.meter = QuotaMeter(row.quota)
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.line: list[tuple[int, float, int]] = []
        self.turns = itertools.count()
        self.accepted = self.refused = self.handled = 0
        self.sent: list[tuple[float, str | None]] = []
        self.now = self.wakes_at = 0.0

    def play(self) -> Outcome:
        row = self.row
        for _ in range(min(row.at_once, row.uploads)):
            self.call()
        if row.later is not None:
            self.at(row.later[0], setattr, self.meter, "quota", row.later[1])
        if row.others_every is not None:
            self.at(row.others_every, self.other, row.others_every)
        self.admit()
        while self.accepted < row.uploads:
            assert self.now < _FOREVER, row
            assert len(self.sent) < 20 * row.uploads, row
            self.now, _, happens, arguments = heapq.heappop(self.events)
            happens(*arguments)
            self.admit()
        return Outcome(row.uploads, self.refused, len(self.sent), self.now, self.sent)

    def at(self, when: float, happens: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self.events, (when, next(self.order), happens, arguments))

    def other(self, every: float) -> None:
        self.meter.take(self.now, 1)
        self.at(self.now + every, self.other, every)

    def wakes(self) -> None:
        """Do nothing: what happens next is :meth:`admit`."""

    def call(self) -> None:
        """Begin with another upload, if any is left."""
        turn = next(self.turns)
        if turn < self.row.uploads:
            cost = turn * 7 % self.row.tokens + 1
            heapq.heappush(self.line, (turn, float(cost), 0))

    def admit(self) -> None:
        while self.line:
            turn, cost, overloads = self.line[0]
            at = self.sender.ready_at(self.now, cost, retry=overloads > 0)
            if at is None:
                return
            if at > self.now:
                if not self.now < self.wakes_at <= at:
                    self.wakes_at = at
                    self.at(at, self.wakes)
                return
            heapq.heappop(self.line)
            admission = self.sender.admit(self.now, cost, retry=overloads > 0)
            takes = self.chance.uniform(*self.row.latency)
            self.at(self.now + takes * _ARRIVES, self.arrives, admission, (turn, cost, overloads), takes)

    def arrives(self, admission: Any, call: tuple[int, float, int], takes: float) -> None:
        begins, ends, share = self.row.brown_out or (0.0, 0.0, 0.0)
        if begins <= self.now < ends and self.chance.random() < share:
            refused: str | None = "503"
        elif self.row.bears is not None and self.handled >= self.row.bears:
            refused = "503"
        else:
            refused = self.meter.take(self.now, int(call[1]))
        self.handled += 1
        self.sent.append((self.now, refused))
        self.at(self.now + takes * (1 - _ARRIVES), self.answers, admission, call, refused)

    def answers(self, admission: Any, call: tuple[int, float, int], refused: str | None) -> None:
        turn, cost, overloads = call
        self.handled -= 1
        match refused:
            case None:
                self.sender.answered(self.now, admission, Verdict.ACCEPTED)
                self.accepted += 1
                self.call()
            case "503":
                self.sender.answered(self.now, admission, Verdict.OVERLOADED)
                backoff = min(_BACKOFF * 2**overloads, _LONGEST_BACKOFF) * self.chance.random()
                self.at(self.now + backoff, heapq.heappush, self.line, (turn, cost, overloads + 1))
            case limit:
                verdict = Verdict.TOKENS_REFUSED if limit == "TPM" else Verdict.REQUESTS_REFUSED
                self.sender.answered(self.now, admission, verdict)
                self.refused += 1
                heapq.heappush(self.line, call)


def reference_seconds(row: Row, *, seed: int = 0) -> float:
    """Return how long a sender takes that knows the limit and not the phase, and is never refused."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    free = [0.0] * row.at_once
    room = _Room(row)
    end = 0.0
    for number in range(row.uploads):
        answered = room.take(heapq.heappop(free), number * 7 % row.tokens + 1) + chance.uniform(*row.latency)
        end = max(end, answered)
        heapq.heappush(free, answered)
    return end


class _Room:
    """When a request could go, at the earliest."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.log: deque[tuple[float, float]] = deque()
        self.used = self.drawn = self.at = 0.0

    def limit(self, at: float) -> float:
        quota = self.row.quota if self.row.later is None or at < self.row.later[0] else self.row.later[1]
        share = 1.0 if self.row.others_every is None else 0.5
        return share * (quota.tokens or quota.requests or float("inf"))

    def take(self, earliest: float, tokens: float) -> float:
        quota = self.row.quota
        cost = tokens if quota.tokens else 1.0
        self.at = max(self.at, earliest)
        return self.draw(cost) if quota.kind == "bucket" else self.count(cost)

    def draw(self, cost: float) -> float:
        """Wait for a bucket to hold as much."""
        quota, rate = self.row.quota, self.limit(self.at) / self.row.quota.window
        self.drawn = max(0.0, self.drawn - (self.at - getattr(self, "since", 0.0)) * rate)
        capacity = quota.burst or self.limit(self.at)
        short = self.drawn + cost - capacity
        if short > 0:
            self.at += short / rate
            self.drawn -= short
        self.drawn += cost
        self.since = self.at
        return self.at

    def count(self, cost: float) -> float:
        """Wait for the last window to have room."""
        while True:
            while self.log and self.log[0][0] + self.row.quota.window <= self.at:
                self.used -= self.log.popleft()[1]
            if self.used + cost <= self.limit(self.at):
                break
            self.at = self.log[0][0] + self.row.quota.window
        self.log.append((self.at, cost))
        self.used += cost
        return self.at
