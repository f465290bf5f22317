"""Counts what happens in a run, in a few numbers however long it is."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from siliconflow_voice.calls.events import AttemptEvent, Event, SettleEvent
from siliconflow_voice.models import Attempt
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import Status, UploadOutcome

__all__ = [
    "ATTEMPTS",
    "STATUSES",
    "Bucket",
    "Kind",
    "Stats",
    "ThrottleState",
    "Timeline",
    "kind_of",
    "throttle_state",
]

Kind: TypeAlias = Literal["accepted", "rate_limited", "overloaded", "no_answer", "other_error"]

ATTEMPTS: dict[Kind, str] = {
    "accepted": "accepted",
    "rate_limited": "rate limited (429)",
    "overloaded": "overloaded (503)",
    "no_answer": "no answer",
    "other_error": "other error",
}
"""What an attempt came to, and how that is shown, in this order."""
STATUSES: dict[Status, str] = {"uploaded": "green", "recovered": "green", "skipped": "cyan", "failed": "red"}
"""What an upload came to, and its colour, in this order."""

_Sample: TypeAlias = "tuple[float, int, int]"

_BUCKETS = 240
_RATE_SECONDS = 60.0


def kind_of(attempt: Attempt) -> Kind:
    """Return what an attempt came to."""
    match attempt.status:
        case None:
            return "no_answer"
        case 429:
            return "rate_limited"
        case 503:
            return "overloaded"
        case _:
            return "accepted" if attempt.failure is None else "other_error"


@define
class Bucket:
    """A stretch of time."""

    attempts: Counter[Kind] = field(factory=Counter[Kind])
    in_flight: int = 0
    """The most requests that were seen in flight at once."""
    limit: float | None = None
    """Requests a minute that the throttle believed in at its end, or None."""


@define
class Timeline:
    """What happened when, in at most 240 buckets: they get wider as the run gets longer."""

    width: float = 1.0
    """Seconds of a bucket."""
    buckets: list[Bucket] = field(factory=list[Bucket])

    def at(self, seconds: float) -> Bucket:
        """Return the bucket of a moment, counted from the beginning."""
        while seconds >= self.width * _BUCKETS:
            self._widen()
        place = int(seconds / self.width)
        while len(self.buckets) <= place:
            last = self.buckets[-1].limit if self.buckets else None
            self.buckets.append(Bucket(limit=last))
        return self.buckets[place]

    def _widen(self) -> None:
        self.width *= 2
        pairs = [self.buckets[place : place + 2] for place in range(0, len(self.buckets), 2)]
        self.buckets = [
            Bucket(
                sum((bucket.attempts for bucket in pair), Counter[Kind]()),
                max(bucket.in_flight for bucket in pair),
                pair[-1].limit,
            )
            for pair in pairs
        ]


@frozen
class ThrottleState:
    """What holds uploads back at the moment, all models taken together."""

    begun: bool = False
    """Whether an upload has come to the throttle."""
    in_flight: int = 0
    waiting: int = 0
    opens_in: float = 0.0
    """Seconds until the last of the models that uploads wait for may be sent to."""
    limit: float | None = None
    """Requests a minute."""
    tokens: float | None = None
    """Tokens a minute."""

    @property
    def closed(self) -> bool:
        """Whether uploads wait for quota, and not just for a turn."""
        return bool(self.waiting) and self.opens_in >= 1


def throttle_state(throttle: Throttle) -> ThrottleState:
    """Return the sum of a throttle's gates that uploads pass. To be called within the loop."""
    gates = [gate for gate in throttle.snapshot() if gate.model]
    minute = 60.0 / throttle.window
    return ThrottleState(
        begun=bool(gates),
        in_flight=sum(gate.in_flight for gate in gates),
        waiting=sum(gate.waiting for gate in gates),
        opens_in=max((gate.opens_in for gate in gates if gate.waiting), default=0.0),
        limit=_sum([gate.requests_per_window for gate in gates], minute),
        tokens=_sum([gate.tokens_per_window for gate in gates], minute),
    )


def _sum(limits: list[float | None], minute: float) -> float | None:
    known = [limit for limit in limits if limit is not None]
    return sum(known) * minute if known else None


@define
class Stats:
    """What has happened so far."""

    total: int
    """Rows of the manifest."""
    began: float = field(factory=time.time)
    """Seconds since 1970."""
    _now: Callable[[], float] = time.perf_counter
    statuses: Counter[Status] = field(factory=Counter[Status], init=False)
    attempts: Counter[Kind] = field(factory=Counter[Kind], init=False)
    sent_bytes: int = field(default=0, init=False)
    """Of audio, of all uploads that have their voice."""
    timeline: Timeline = field(factory=Timeline, init=False)
    _limit: float | None = field(default=None, init=False)
    _opens_in: float = field(default=0.0, init=False)
    _ends_at: float | None = field(default=None, init=False)
    """When all will be done, by the latest estimate."""
    _based_on: tuple[int, float | None] | None = field(default=None, init=False)
    _settled_at: float = field(default=0.0, init=False)
    _start: float = field(init=False)
    _recent: deque[_Sample] = field(factory=deque["_Sample"], init=False)

    def __attrs_post_init__(self) -> None:
        self._start = self._now()

    @property
    def done(self) -> int:
        """Uploads that have an outcome."""
        return self.statuses.total()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._now() - self._start

    @property
    def settling(self) -> float:
        """Seconds until the run before has settled."""
        return max(0.0, self._settled_at - self.seconds)

    def outcome(self, outcome: UploadOutcome) -> None:
        """Count an outcome."""
        self.statuses[outcome.status] += 1
        if outcome.status in {"uploaded", "recovered"}:
            self.sent_bytes += outcome.size or 0

    def event(self, event: Event) -> None:
        """Count an attempt of an upload, or note until when the run before settles."""
        match event:
            case AttemptEvent(operation="upload_voice", attempt=attempt):
                kind = kind_of(attempt)
                self.attempts[kind] += 1
                self.timeline.at(self.seconds).attempts[kind] += 1
            case SettleEvent(seconds=seconds):
                self._settled_at = self.seconds + seconds
            case _:
                pass

    def sample(self, *, in_flight: int, limit: float | None, opens_in: float = 0.0) -> None:
        """Record the throttle's state at the moment.

        Args:
            in_flight: Requests.
            limit: Requests a minute, or None where it is not known.
            opens_in: Seconds until those that wait for quota may be sent, or 0.
        """
        self._opens_in = opens_in
        bucket = self.timeline.at(self.seconds)
        bucket.in_flight = max(bucket.in_flight, in_flight)
        bucket.limit = self._limit = limit
        # How fast rows were skipped says nothing about how fast the rest will go.
        self._recent.append((self.seconds, self.done - self.statuses["skipped"], self.sent_bytes))
        while self._recent[-1][0] - self._recent[0][0] > _RATE_SECONDS:
            self._recent.popleft()
        self._estimate()

    def rates(self) -> tuple[float, float]:
        """Return the uploads and the bytes per second of the last minute."""
        if not self._recent:
            return 0.0, 0.0
        (began, uploads_then, bytes_then), (now, uploads, sent) = self._recent[0], self._recent[-1]
        seconds = now - began
        return ((uploads - uploads_then) / seconds, (sent - bytes_then) / seconds) if seconds else (0.0, 0.0)

    def remaining(self) -> float | None:
        """Return the seconds that the rest will take, or None where that can't be estimated.

        Estimated when something is done: at the rate of the last minute, or at the limit, where that is less,
        for a window begins with a burst. In between it is counted down, and is no less than what quota that
        uploads wait for allows; once nothing was done for longer than that, it grows.
        """
        rest, now = max(0, self.total - self.done), self.seconds
        if self._ends_at is None or not rest:
            return None if self._ends_at is None else 0.0
        left = self._ends_at - now
        if self._limit is not None and self._opens_in:
            # As many as the limit may go as it opens, and the others in the windows after that.
            left = max(left, self._opens_in + max(0.0, rest - self._limit) / self._limit * 60)
        if left > 0:
            return left
        return rest * now / (self.done - self.statuses["skipped"])

    def _estimate(self) -> None:
        """Estimate the end anew, if something was done since, or the limit is another."""
        rate, _ = self.rates()
        if self._limit is not None:
            rate = min(rate, self._limit / 60)
        based_on = (self.done, self._limit)
        if rate and based_on != self._based_on:
            self._based_on = based_on
            self._ends_at = self.seconds + max(0, self.total - self.done) / rate
