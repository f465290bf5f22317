"""Holds what one model of an account may be sent: requests, tokens and overload together. Pure."""

from __future__ import annotations

import enum

from attrs import define, frozen

from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace, Permit

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
    closed_until: float = 0.0
    """Before this nothing may go: the service said so."""

    def ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        """Return when a request may go; None if that depends on an answer which is still out."""
        by_overload = self.overload.ready_at(now, self.in_flight, retry=retry)
        if by_overload is None:
            return None
        by_requests = self.requests.ready_at(now, 1.0)
        # Only where tokens are known to be limited: the requests' pace is slow enough to begin with.
        by_tokens = now if self.tokens.limit is None else self.tokens.ready_at(now, tokens)
        if by_requests is None or by_tokens is None:
            return None
        return max(by_overload, by_requests, by_tokens, self.closed_until)

    def admit(self, now: float, tokens: float, *, retry: bool) -> Admission:
        """Count a request as under way."""
        self.in_flight += 1
        return Admission(
            self.requests.admit(now, 1.0),
            self.tokens.admit(now, tokens),
            self.overload.let_pass(retry=retry),
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
        match verdict:
            case Verdict.ACCEPTED:
                self.overload.accepted()
            case Verdict.OVERLOADED:
                self.overload.overloaded(now, admission.overload)
            case _:
                pass
        if retry_after is not None and verdict is not Verdict.NEITHER:
            self.closed_until = max(self.closed_until, now + min(retry_after, _LONGEST_CLOSURE))
