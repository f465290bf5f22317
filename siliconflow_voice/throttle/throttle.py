"""Holds an account's coroutines to what the service takes: one gate for each model, that all of them pass."""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools

from attrs import define, field, frozen

from siliconflow_voice.errors import InvalidUploadError
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace, Pass
from siliconflow_voice.validation import at_least_one, at_least_one_or_none, positive

__all__ = ["Admission", "Gate", "GateSnapshot", "Throttle", "Verdict"]

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
class GateSnapshot:
    """What a gate believes at the moment."""

    address: str
    model: str
    requests_per_window: float | None
    """The limit that was declared or learned, or None if none is known."""
    tokens_per_window: float | None
    in_flight: int
    waiting: int
    concurrency: int
    """How many at once the service is thought to bear."""
    opens_in: float
    """Seconds until the next one in the line may pass, as far as is known; 0 if it depends on answers."""


@frozen
class Admission:
    """What a request holds while it is under way, and gives back with its end."""

    requests: Pass
    tokens: Pass
    overload: int


@define(eq=False)
class _Waiter:
    turn: int
    tokens: float
    retry: bool
    admitted: asyncio.Future[Admission]

    def __lt__(self, other: _Waiter) -> bool:
        return self.turn < other.turn


@define(eq=False)
class Gate:
    """Lets requests pass, those of the oldest calls first, when the limits that it learns allow it."""

    requests: Pace
    tokens: Pace
    overload: Overload
    in_flight: int = 0
    closed_until: float = 0.0
    """The loop's time before which nothing passes: the service said so."""
    _turns: itertools.count[int] = field(factory=itertools.count, repr=False)
    _waiting: list[_Waiter] = field(factory=list[_Waiter], repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def turn(self) -> int:
        """Give a call its place in the line, which it keeps for all of its attempts."""
        return next(self._turns)

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return sum(not waiter.admitted.done() for waiter in self._waiting)

    def is_open(self, tokens: float, *, retry: bool = False) -> bool:
        """Whether a request would pass at once."""
        now = asyncio.get_running_loop().time()
        return not self._waiting and self._ready_at(now, tokens, retry=retry) == now

    def try_enter(self, tokens: float, *, retry: bool) -> Admission | None:
        """Pass if that is possible at once: the way of most, for whom nothing has to be set up.

        Raises:
            InvalidUploadError: It alone costs more tokens than were declared for a window.
        """
        if self.tokens.declared is not None and tokens > self.tokens.declared:
            raise InvalidUploadError(
                "text",
                f"has an estimated {tokens:g} tokens; the throttle allows {self.tokens.declared:g} a minute",
            )
        if not self.is_open(tokens, retry=retry):
            return None
        return self._let_pass(asyncio.get_running_loop().time(), tokens, retry=retry)

    def opens_in(self) -> float:
        """Give the seconds until the next may pass, as far as is known; 0 if that depends on answers."""
        now = asyncio.get_running_loop().time()
        ready_at = self._ready_at(now, 1.0, retry=False)
        return 0.0 if ready_at is None else ready_at - now

    async def enter(self, turn: int, tokens: float, *, retry: bool) -> Admission:
        """Wait for the turn; :meth:`leave` ends it. Cancelled, it takes none.

        Args:
            turn: The call's place in the line.
            tokens: What the request is estimated to cost.
            retry: Whether it was turned away because of an overload before.

        Raises:
            InvalidUploadError: It alone costs more tokens than were declared for a window.
        """
        admission = self.try_enter(tokens, retry=retry)
        if admission is not None:
            return admission
        waiter = _Waiter(turn, tokens, retry, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        self._admit()
        try:
            return await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                # It was let pass in the very moment in which it was cancelled.
                self.leave(waiter.admitted.result(), Verdict.NEITHER)
            else:
                waiter.admitted.cancel()
                self._admit()
            raise

    def leave(self, admission: Admission, verdict: Verdict, *, retry_after: float | None = None) -> None:
        """Learn from a request's end, and let the next ones pass."""
        now = asyncio.get_running_loop().time()
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
        self._admit()

    def _ready_at(self, now: float, tokens: float, *, retry: bool) -> float | None:
        by_overload = self.overload.ready_at(now, self.in_flight, retry=retry)
        by_requests = self.requests.ready_at(now, 1.0)
        # Only where tokens are known to be limited: the requests' pace is slow enough to begin with.
        by_tokens = now if self.tokens.limit is None else self.tokens.ready_at(now, tokens)
        if by_overload is None or by_requests is None or by_tokens is None:
            return None
        return max(by_overload, by_requests, by_tokens, self.closed_until)

    def _let_pass(self, now: float, tokens: float, *, retry: bool) -> Admission:
        self.in_flight += 1
        return Admission(
            self.requests.let_pass(now, 1.0),
            self.tokens.let_pass(now, tokens),
            self.overload.let_pass(retry=retry),
        )

    def _admit(self) -> None:
        """Let pass whoever may, one after the other, or come back when the first of them may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            waiter = self._waiting[0]
            if not waiter.admitted.done():
                now = loop.time()
                ready_at = self._ready_at(now, waiter.tokens, retry=waiter.retry)
                if ready_at is None:
                    return  # the next answer will call again
                if ready_at > now:
                    self._timer = loop.call_at(ready_at, self._admit)
                    return
                waiter.admitted.set_result(self._let_pass(now, waiter.tokens, retry=waiter.retry))
            heapq.heappop(self._waiting)


@define(eq=False)
class Throttle:
    """What all clients of one account share, so that one's refusal slows all of them.

    Pass it to each client of the account::

        throttle = Throttle(max_concurrency=8)
        VoiceClient(throttle=throttle)

    The vendor limits each model of an account by itself: inside is one gate for each (address, model). What
    the account may send is learned from what is accepted and refused; limits that are declared are kept
    besides, and never exceeded.
    """

    max_concurrency: int = field(default=16, validator=at_least_one, kw_only=True)
    """Requests under way at once, for each gate."""
    requests_per_minute: int | None = field(default=None, validator=at_least_one_or_none, kw_only=True)
    """Requests per window, refused ones too, never exceeded; None to learn the limit alone."""
    tokens_per_minute: int | None = field(default=None, validator=at_least_one_or_none, kw_only=True)
    """Tokens per window, likewise. An upload is taken to cost one for each character of its text: an
    estimate, as the vendor publishes no price."""
    window: float = field(default=60.0, validator=positive, kw_only=True)
    """Seconds: the vendor's minute, to be scaled down in tests."""
    _gates: dict[tuple[str, str], Gate] = field(factory=dict[tuple[str, str], Gate], init=False, repr=False)

    def gate(self, address: str, model: str) -> Gate:
        """Give the gate that requests for *model* at *address* pass through."""
        key = address, model
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(
                Pace(self.window, self.requests_per_minute),
                Pace(self.window, self.tokens_per_minute),
                Overload(self.max_concurrency),
            )
        return gate

    def snapshot(self) -> tuple[GateSnapshot, ...]:
        """Say what each gate believes: for a progress line, or a metric. To be called within the loop."""
        return tuple(
            GateSnapshot(
                address=address,
                model=model,
                requests_per_window=gate.requests.limit,
                tokens_per_window=gate.tokens.limit,
                in_flight=gate.in_flight,
                waiting=gate.waiting,
                concurrency=int(gate.overload.allowed),
                opens_in=gate.opens_in(),
            )
            for (address, model), gate in self._gates.items()
        )
