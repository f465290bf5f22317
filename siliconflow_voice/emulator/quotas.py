"""The account's quota of requests and tokens, metered the three ways in which services commonly do it."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from attrs import define, field, frozen

__all__ = ["Quota", "QuotaMeter"]

# A client that paces itself exactly must not be refused for the rounding of a refill.
_ROUNDING = 1e-9


@frozen
class Quota:
    """What one model of the account allows per window; None means no limit.

    Which ``kind`` the vendor's own meter is, is not known: a client should do well with each.
    """

    requests: int | None = None
    """Requests per window (the vendor's RPM)."""
    tokens: int | None = None
    """Tokens per window (TPM). An upload costs one for each character of its ``text``: the emulator's own
    assumption, since the vendor publishes no price of an upload."""
    window: float = 60.0
    """Seconds: the vendor's minute, which tests scale down."""
    kind: Literal["fixed", "sliding", "bucket"] = "fixed"
    """``fixed``: windows one after the other. ``sliding``: any span of ``window`` seconds. ``bucket``:
    refilled evenly, so that ``burst`` requests may come at once."""
    burst: int | None = None
    """Requests that a full bucket holds; by default ``requests``."""
    count_refusals: bool = True
    """Whether a refused request counts as a request too, as it does for the vendor. It never costs tokens."""
    told_as: Literal[429, 403] = 429
    """The status of a refusal. 403, with a JSON string for a body, is what accounts without identity
    verification have reported."""
    phase: float = 0.0
    """Seconds of the first ``fixed`` window that are over when the first request comes, as where windows are
    minutes of the clock."""

    def __attrs_post_init__(self) -> None:
        for name in ("requests", "tokens", "burst"):
            value: int | None = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1 or None, got {value!r:.80}")
        if not 0 < self.window < math.inf:
            raise ValueError(f"window must be a positive number of seconds, got {self.window!r:.80}")
        if self.kind not in {"fixed", "sliding", "bucket"}:
            raise ValueError(f"kind must be 'fixed', 'sliding' or 'bucket', got {self.kind!r:.80}")
        if self.told_as not in {429, 403}:
            raise ValueError(f"told_as must be 429 or 403, got {self.told_as!r:.80}")
        if not 0 <= self.phase < self.window:
            raise ValueError(f"phase must be at least 0 and less than the window, got {self.phase!r}")
        if self.phase and self.kind != "fixed":
            raise ValueError("phase is for a quota of kind 'fixed'")
        if self.burst is not None and (self.kind != "bucket" or self.requests is None):
            raise ValueError("burst is valid only for a quota of kind 'bucket' that limits requests")


@define
class _Log:
    """The requests of the current window, and their sums."""

    requests: int = 0
    tokens: int = 0
    _events: deque[tuple[float, int]] = field(factory=deque[tuple[float, int]])
    _opened: float | None = None

    def add(self, now: float, tokens: int) -> None:
        self._events.append((now, tokens))
        self.requests += 1
        self.tokens += tokens

    def open(self, now: float, phase: float) -> None:
        if self._opened is None:
            self._opened = now - phase

    def forget(self, now: float, window: float, *, sliding: bool) -> None:
        if self._opened is None:
            return
        if now >= self._opened + window:
            # Not past `now`, where rounding might put it: this request belongs to the new window.
            self._opened = min(now, self._opened + window * ((now - self._opened) // window))
        while self._events:
            at, tokens = self._events[0]
            if (at + window > now) if sliding else (at >= self._opened):
                break
            self._events.popleft()
            self.requests -= 1
            self.tokens -= tokens


@define
class _Bucket:
    """A token bucket, told by what is missing in it, so that its size can change under way."""

    drawn: float = 0.0
    _at: float = 0.0

    def refill(self, now: float, limit: int | None, window: float) -> None:
        refilled = math.inf if limit is None else (now - self._at) * limit / window
        self.drawn = max(0.0, self.drawn - refilled)
        self._at = now

    def holds(self, amount: int, capacity: int) -> bool:
        return self.drawn + amount <= capacity + _ROUNDING


@define
class QuotaMeter:
    """Counts the requests of one model against a quota, which may be replaced at any time.

    What was counted stays counted then. Between ``bucket`` and the other kinds nothing is carried over.
    """

    quota: Quota
    _log: _Log = field(init=False, factory=_Log)
    _requests: _Bucket = field(init=False, factory=_Bucket)
    _tokens: _Bucket = field(init=False, factory=_Bucket)

    def take(self, now: float, tokens: int) -> str | None:
        """Count a request that costs ``tokens``.

        Args:
            now: Seconds of any clock that does not go back.
            tokens: What the request costs if it is admitted.

        Returns:
            None if it is admitted, else the limit that refuses it: ``"RPM"`` or ``"TPM"``.
        """
        if self.quota.kind == "bucket":
            return self._draw(now, tokens)
        return self._count(now, tokens, sliding=self.quota.kind == "sliding")

    def used(self, now: float) -> tuple[float, float]:
        """Return the requests and tokens that are counted now: of this window, or missing in the bucket."""
        if self.quota.kind == "bucket":
            self._refill(now)
            return self._requests.drawn, self._tokens.drawn
        self._log.forget(now, self.quota.window, sliding=self.quota.kind == "sliding")
        return self._log.requests, self._log.tokens

    def _count(self, now: float, tokens: int, *, sliding: bool) -> str | None:
        quota, log = self.quota, self._log
        log.open(now, quota.phase)
        log.forget(now, quota.window, sliding=sliding)
        hit: str | None = None
        if quota.requests is not None and log.requests >= quota.requests:
            hit = "RPM"
        elif quota.tokens is not None and log.tokens + tokens > quota.tokens:
            hit = "TPM"
        if hit is None:
            log.add(now, tokens)
        elif quota.count_refusals:
            log.add(now, 0)
        return hit

    def _draw(self, now: float, tokens: int) -> str | None:
        quota = self.quota
        self._refill(now)
        burst = quota.burst or quota.requests
        hit: str | None = None
        if burst is not None and not self._requests.holds(1, burst):
            hit = "RPM"
        elif quota.tokens is not None and not self._tokens.holds(tokens, quota.tokens):
            hit = "TPM"
        if hit is None:
            self._requests.drawn += 1
            self._tokens.drawn += tokens
        elif burst is not None and quota.count_refusals:
            # The level may sink to minus burst, no further: a closed door opens again some day.
            self._requests.drawn = min(self._requests.drawn + 1, 2.0 * burst)
        return hit

    def _refill(self, now: float) -> None:
        self._requests.refill(now, self.quota.requests, self.quota.window)
        self._tokens.refill(now, self.quota.tokens, self.quota.window)
