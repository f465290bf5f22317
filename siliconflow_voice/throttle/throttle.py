"""Holds an account's coroutines to what the service takes: one gate for each model, that all of them pass."""

from __future__ import annotations

from attrs import define, field, frozen

from siliconflow_voice.throttle.gate import Admission, Gate, Verdict
from siliconflow_voice.throttle.limiter import Limiter
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.validation import at_least_one, at_least_one_or_none, positive

__all__ = ["Admission", "Gate", "GateSnapshot", "Throttle", "Verdict"]


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
            gate = self._gates[key] = Gate(Limiter(
                Pace(self.window, self.requests_per_minute),
                Pace(self.window, self.tokens_per_minute),
                Overload(self.max_concurrency),
            ))
        return gate

    def snapshot(self) -> tuple[GateSnapshot, ...]:
        """Say what each gate believes: for a progress line, or a metric. To be called within the loop."""
        return tuple(
            GateSnapshot(
                address=address,
                model=model,
                requests_per_window=gate.limiter.requests.limit,
                tokens_per_window=gate.limiter.tokens.limit,
                in_flight=gate.in_flight,
                waiting=gate.waiting,
                concurrency=int(gate.limiter.overload.allowed),
                opens_in=gate.opens_in(),
            )
            for (address, model), gate in self._gates.items()
        )
