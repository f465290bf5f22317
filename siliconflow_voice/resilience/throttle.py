"""Holds an account's coroutines to what the service takes: how many at once, and none while it says no."""

from __future__ import annotations

import asyncio
from collections import deque

from attrs import define, field

from siliconflow_voice.validation import at_least_one

__all__ = ["Gate", "Throttle"]


@define(eq=False)
class Gate:
    """Lets requests pass in the order in which they came."""

    capacity: int
    in_flight: int = 0
    closed_until: float = 0.0
    """The loop's time before which nothing passes."""
    _waiting: deque[asyncio.Future[None]] = field(factory=deque[asyncio.Future[None]], repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether a request would pass at once."""
        return not self._waiting and self._admits()

    def leave(self) -> None:
        """Make room for the next."""
        self.in_flight -= 1
        self._wake()

    def pause(self, seconds: float) -> None:
        """Let nothing pass for *seconds*: the service said so to one, and meant all."""
        self.closed_until = max(self.closed_until, asyncio.get_running_loop().time() + seconds)

    def _admits(self) -> bool:
        return self.in_flight < self.capacity and asyncio.get_running_loop().time() >= self.closed_until

    async def enter(self) -> None:
        """Wait for a turn; :meth:`leave` ends it. Cancelled, it takes none."""
        if self.is_open:
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():
                self.in_flight -= 1  # it was let pass in the very moment in which it was cancelled
            self._wake()
            raise

    def _wake(self) -> None:
        """Let pass as many as may, or come back when the pause is over."""
        while self._waiting and self._admits():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self.in_flight < self.capacity:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self.closed_until, self._wake)


@define(eq=False)
class Throttle:
    """What all clients of one account share, so that one's refusal slows all of them.

    Pass it to each client of the account::

        throttle = Throttle(max_concurrency=8)
        VoiceClient(throttle=throttle)

    The vendor limits each model of an account by itself: inside is one gate for each (address, model).
    """

    max_concurrency: int = field(default=16, validator=at_least_one, kw_only=True)
    """Requests under way at once, for each gate."""
    _gates: dict[tuple[str, str], Gate] = field(factory=dict[tuple[str, str], Gate], init=False, repr=False)

    def gate(self, address: str, model: str) -> Gate:
        """Give the gate that requests for *model* at *address* pass through."""
        key = address, model
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(self.max_concurrency)
        return gate
