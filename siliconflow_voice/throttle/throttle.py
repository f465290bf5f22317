"""What all clients of an account share: one gate for each model, and what the caller is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from attrs import define, evolve, field, frozen

from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.limiter import Limiter
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.validation import at_least_one, at_least_one_or_none, positive

__all__ = ["GateSnapshot", "Throttle"]

# Gates from which on those that know nothing are looked for, each time that there are twice as many.
_MANY = 64


@frozen
class GateSnapshot:
    """What a gate believes at the moment."""

    address: str
    model: str
    requests_per_window: float | None
    """The limit that was declared or learned, or None if none is known."""
    requests_used: float
    """Requests that may count in the last window."""
    requests_basis: Literal["declared", "learned", "believed"] | None
    """Where the limit is from: the caller; refusals that confirm it; or a first one, so that it may change
    much still. None if none was met."""
    tokens_per_window: float | None
    tokens_used: float
    tokens_basis: Literal["declared", "learned", "believed"] | None
    in_flight: int
    waiting: int
    concurrency: int
    """How many at once the service is thought to bear."""
    opens_in: float
    """Seconds until the next one in the line may pass, as far as is known; 0 if it depends on answers."""

    @property
    def requests_remaining(self) -> float | None:
        """Requests that the limit leaves in this window, or None if no limit is known."""
        return _remaining(self.requests_per_window, self.requests_used)

    @property
    def tokens_remaining(self) -> float | None:
        """Tokens that the limit leaves in this window, or None if no limit is known."""
        return _remaining(self.tokens_per_window, self.tokens_used)


def _remaining(limit: float | None, used: float) -> float | None:
    return None if limit is None else max(limit - used, 0.0)


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
    _state: Mapping[str, Any] | None = field(default=None, kw_only=True, alias="state", repr=False)
    """What an earlier throttle learned: what its :meth:`state` returned."""
    _gates: dict[tuple[str, str], Gate] = field(factory=dict[tuple[str, str], Gate], init=False, repr=False)
    _learned: dict[tuple[str, str], Mapping[str, Any]] = field(init=False, repr=False)
    """The states of gates that were not used since."""
    _many: int = field(default=_MANY, init=False)

    def __attrs_post_init__(self) -> None:
        gates: list[Mapping[str, Any]] = [] if self._state is None else self._state["gates"]
        self._learned = {(gate["address"], gate["model"]): gate["limiter"] for gate in gates}

    def gate(self, address: str, model: str) -> Gate:
        """Return the gate that requests for *model* at *address* pass through."""
        key = address, model
        gate = self._gates.get(key)
        if gate is None:
            if len(self._gates) >= self._many:
                self._forget_idle()
            gate = self._gates[key] = self._made(key)
        return gate

    def expected_wait(self, model: str, *, address: str | None = None) -> float:
        """Return the seconds until a call made now would be sent, about: the line is counted.

        It is 0 for a model that was not used yet. To be called within the loop.

        Args:
            model: The model's name.
            address: The base url, where clients of several share the throttle: by default, the one with the
                longest wait.
        """
        gates = [gate for key, gate in self._gates.items() if key[1] == model and address in {None, key[0]}]
        return max((gate.line().seconds for gate in gates), default=0.0)

    def snapshot(self) -> tuple[GateSnapshot, ...]:
        """Return what each gate believes: for a progress line, or a metric. To be called within the loop."""
        return tuple(_snapshot(address, model, gate) for (address, model), gate in self._gates.items())

    def state(self) -> dict[str, Any]:
        """Return what was learned as a plain value of JSON, to go on from it after a restart.

        Pass it to another throttle as ``Throttle(state=…)``. It holds ages, and no time of any clock: what
        passes in between is taken for no time, so at worst a window is waited for once more. What is under
        way counts as sent. To be called within the loop.
        """
        gates = [(key, gate.state()) for key, gate in self._gates.items() if not gate.is_idle()]
        return {
            "gates": [
                {"address": address, "model": model, "limiter": state}
                for (address, model), state in (*gates, *self._learned.items())
            ]
        }

    def limiter(self) -> Limiter:
        """Return a limiter that keeps to what was declared, and has learned nothing."""
        return Limiter(
            Pace(self.window, self.requests_per_minute),
            Pace(self.window, self.tokens_per_minute),
            Overload(self.max_concurrency),
        )

    def another(self) -> Throttle:
        """Return one for another account: with the same settings, and nothing learned.

        Raises:
            ConfigurationError: What another account's throttle is, has to be said.
        """
        return evolve(self, state=None)

    def _made(self, key: tuple[str, str]) -> Gate:
        limiter = self.limiter()
        state = self._learned.pop(key, None)
        if state is not None:
            now = asyncio.get_running_loop().time()
            try:
                limiter.load(state, now)
                limiter.abandon(now)
            except KeyError:
                limiter = self.limiter()  # another version's state, half of it loaded: learn it again
        return Gate(limiter)

    def _forget_idle(self) -> None:
        """Drop the gates that are idle and know nothing: a name used once takes no memory for good."""
        self._gates = {key: gate for key, gate in self._gates.items() if not gate.is_idle()}
        self._many = max(2 * len(self._gates), _MANY)


def _snapshot(address: str, model: str, gate: Gate) -> GateSnapshot:
    requests, tokens = gate.limiter.requests, gate.limiter.tokens
    return GateSnapshot(
        address=address,
        model=model,
        requests_per_window=requests.limit,
        requests_used=requests.traffic.used,
        requests_basis=requests.basis,
        tokens_per_window=tokens.limit,
        tokens_used=tokens.traffic.used,
        tokens_basis=tokens.basis,
        in_flight=gate.in_flight,
        waiting=gate.waiting,
        concurrency=int(gate.limiter.overload.allowed),
        opens_in=gate.opens_in(),
    )
