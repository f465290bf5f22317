"""Holds what one model of an account may be sent: requests, tokens and overload together. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.state import dumped, loaded
from siliconflow_voice.throttle.traffic import Permit

__all__ = ["Admission", "Limiter", "Verdict"]

# A longer Retry-After is a matter for the one call that met it.
_LONGEST_CLOSURE = 120.0


class Verdict(enum.Enum):
    """What a request's end says to those that come after it."""

    ACCEPTED = enum.auto()
    REQUESTS_REFUSED = enum.auto()
    TOKENS_REFUSED = enum.auto()
    OVERLOADED = enum.auto()
    NEITHER = enum.auto()
    """Other errors, timeouts, cancellation."""


@frozen
class Admission:
    """What a request holds while it is under way, and returns with its end."""

    requests: Permit
    tokens: Permit
    overload: int


@define(eq=False)
class Limiter:
    """Decides when the next request may go, and learns from what becomes of it."""

    requests: Pace
    tokens: Pace
    overload: Overload
    in_flight: int = 0
    streaming: int = 0
    """Requests that were answered, and whose answers still come: the service is busy with them."""
    closed_until: float = 0.0
    """Before this nothing may go: the service said so."""

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        """Return when a request may go; None if that depends on an answer which is still out."""
        by_overload = self.overload.ready_at(now, self.in_flight + self.streaming, retry=retry)
        if by_overload is None:
            return None
        by_requests = self.requests.ready_at(now, 1.0)
        # Only where tokens are known to be limited: the requests' pace is slow enough to begin with.
        by_tokens = self.tokens.ready_at(now, tokens) if self.tokens.is_limited else now
        if by_requests is None or by_tokens is None:
            return None
        return max(by_overload, by_requests, by_tokens, self.closed_until)

    def admit(self, now: float, tokens: float, *, retry: bool) -> Admission:
        """Count a request as under way."""
        self.in_flight += 1
        return Admission(
            self.requests.admit(now, 1.0),
            self.tokens.admit(now, tokens),
            self.overload.admit(retry=retry),
        )

    def answered(
        self, now: float, admission: Admission, verdict: Verdict, *, retry_after: float | None = None
    ) -> None:
        """Learn from a request's end."""
        self.in_flight -= 1
        accepted = verdict is Verdict.ACCEPTED or None
        self.requests.answered(
            now, admission.requests, accepted=False if verdict is Verdict.REQUESTS_REFUSED else accepted
        )
        self.tokens.answered(
            now, admission.tokens, accepted=False if verdict is Verdict.TOKENS_REFUSED else accepted
        )
        if verdict is Verdict.ACCEPTED:
            self.overload.accepted(admission.overload)
        elif verdict is Verdict.OVERLOADED:
            self.overload.overloaded(now, admission.overload)
        if retry_after is not None and verdict is not Verdict.NEITHER:
            self.closed_until = max(self.closed_until, now + min(retry_after, _LONGEST_CLOSURE))

    def expected_at(self, now: float, requests: int, tokens: float) -> float:
        """Return when the last of so many requests more, of so many tokens together, would go: about."""
        at = max(self.requests.expected_at(now, requests), self.closed_until, self.overload.resting_until)
        if self.tokens.is_limited:
            at = max(at, self.tokens.expected_at(now, tokens))
        excess = self.in_flight + self.streaming + requests - int(self.overload.allowed)
        rounds = math.ceil(excess / int(self.overload.allowed))
        return max(at, now + rounds * self.requests.traffic.latency)

    @property
    def certainty(self) -> float:
        """How much of an expected wait is certain: a learned limit may turn out to be twice as high."""
        bases = {self.requests.basis, self.tokens.basis}
        if "believed" in bases:
            return 0.0
        return 0.5 if "learned" in bases else 1.0

    def is_blank(self, now: float) -> bool:
        """Whether a new one would know as much."""
        rested = self.overload.allowed == self.overload.capacity and self.closed_until <= now
        return rested and self.requests.is_blank(now) and self.tokens.is_blank(now)

    def state(self, now: float) -> dict[str, Any]:
        """Return what was learned and is under way as a plain value of JSON, with ages in place of times."""
        return {
            "requests": self.requests.state(now),
            "tokens": self.tokens.state(now),
            "overload": dumped(self.overload, now),
            "in_flight": self.in_flight,
            "closed_for": max(self.closed_until - now, 0.0),
        }

    def load(self, state: Mapping[str, Any], now: float) -> None:
        """Go on from a state: *now* is a time of any clock, and those passed in later are of the same.

        Raises:
            KeyError: It is no state of this version's.
        """
        self.requests.load(state["requests"], now)
        self.tokens.load(state["tokens"], now)
        capacity = self.overload.capacity
        self.overload = loaded(state["overload"], (Overload,), now, capacity=capacity)
        self.overload.allowed = min(self.overload.allowed, float(capacity))
        self.in_flight = state["in_flight"]
        self.closed_until = now + state["closed_for"]

    def refund(self, admission: Admission) -> None:
        """Take back a request that was admitted and not sent."""
        self.in_flight -= 1
        self.requests.refund(admission.requests)
        self.tokens.refund(admission.tokens)

    def lose(self, now: float, requests: int, tokens: float) -> None:
        """Count so many of those under way as sent, and their answers as lost: none will come.

        Args:
            now: The time.
            requests: How many.
            tokens: What they cost together.
        """
        self.in_flight -= requests
        self.requests.lose(now, requests, float(requests))
        self.tokens.lose(now, requests, tokens)

    def abandon(self, now: float) -> None:
        """Count all that is under way as sent, and the answers as lost: so it is after a restart."""
        self.lose(now, self.in_flight, self.tokens.traffic.cost_in_flight)
