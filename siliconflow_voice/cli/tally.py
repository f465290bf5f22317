"""Counts what happens in a run, in a few numbers however long it is."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from attrs import define, field

from siliconflow_voice.calls.events import AttemptEvent, Event
from siliconflow_voice.models import Attempt
from siliconflow_voice.uploads.values import Status, UploadOutcome

__all__ = ["KINDS", "STYLES", "Bucket", "Kind", "Tally", "Timeline", "kind_of"]

Kind: TypeAlias = Literal["accepted", "limited", "overloaded", "lost", "refused"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STYLES: dict[Status, str] = {"uploaded": "green", "recovered": "green", "skipped": "cyan", "failed": "red"}
"""How each status is shown, in this order."""

_Sample: TypeAlias = "tuple[float, int, int]"

_BUCKETS = 240
_RATE_SECONDS = 60.0


def kind_of(attempt: Attempt) -> Kind:
    """Say what an attempt came to: *limited* is a 429, *overloaded* a 503, *lost* no answer at all."""
    match attempt.status:
        case None:
            return "lost"
        case 429:
            return "limited"
        case 503:
            return "overloaded"
        case _:
            return "accepted" if attempt.failure is None else "refused"


@define
class Bucket:
    """A stretch of time."""

    attempts: Counter[Kind] = field(factory=Counter[Kind])
    in_flight: int = 0
    """The most requests that were seen under way at once."""
    limit: float | None = None
    """Requests a minute that the throttle believed in at its end, or None."""


@define
class Timeline:
    """What happened when, in at most 240 buckets: they get wider as the run gets longer."""

    width: float = 1.0
    """Seconds of a bucket."""
    buckets: list[Bucket] = field(factory=list[Bucket])

    def at(self, seconds: float) -> Bucket:
        """Give the bucket of a moment, counted from the beginning."""
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


@define
class Tally:
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

    def outcome(self, outcome: UploadOutcome) -> None:
        """Count an outcome."""
        self.statuses[outcome.status] += 1
        if outcome.status in {"uploaded", "recovered"}:
            self.sent_bytes += outcome.size or 0

    def event(self, event: Event) -> None:
        """Count an attempt of an upload."""
        match event:
            case AttemptEvent(operation="upload_voice", attempt=attempt):
                kind = kind_of(attempt)
                self.attempts[kind] += 1
                self.timeline.at(self.seconds).attempts[kind] += 1
            case _:
                pass

    def gauge(self, *, in_flight: int, limit: float | None) -> None:
        """Take down what the throttle says at the moment."""
        bucket = self.timeline.at(self.seconds)
        bucket.in_flight = max(bucket.in_flight, in_flight)
        bucket.limit = self._limit = limit
        # What was skipped says nothing of how fast the rest will go.
        self._recent.append((self.seconds, self.done - self.statuses["skipped"], self.sent_bytes))
        while self._recent[-1][0] - self._recent[0][0] > _RATE_SECONDS:
            self._recent.popleft()

    def rates(self) -> tuple[float, float]:
        """Give the uploads and the bytes per second of the last minute."""
        if not self._recent:
            return 0.0, 0.0
        (began, uploads_then, bytes_then), (now, uploads, sent) = self._recent[0], self._recent[-1]
        seconds = now - began
        return ((uploads - uploads_then) / seconds, (sent - bytes_then) / seconds) if seconds else (0.0, 0.0)

    def remaining(self) -> float | None:
        """Give the seconds that the rest will take, or None.

        At the rate of the last minute; or at the limit, where that is less: a window begins with a rush.
        """
        rate, _ = self.rates()
        if self._limit is not None:
            rate = min(rate, self._limit / 60)
        if not rate:
            return None
        return max(0, self.total - self.done) / rate
