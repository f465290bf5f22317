"""The calls of a client and its siblings: counted, and let go where they wait, as a service shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from attrs import define, field, frozen

from siliconflow_voice.errors import ClientClosedError

__all__ = ["Calls", "Drained"]


@frozen
class Drained:
    """What became of the calls of a client that was drained."""

    finished: int
    """Calls that were under way, and have ended."""
    released: int
    """Calls that were waiting for the throttle or for another attempt: each has raised ClientClosedError, and
    nothing of it is stored."""
    unfinished: int
    """Calls that are still under way: closing the client ends them."""


@define(eq=False)
class Calls:
    """The calls that are open, and whether further ones are accepted."""

    _draining: bool = field(default=False, init=False)
    _open: int = field(default=0, init=False)
    _released: int = field(default=0, init=False)
    _waits: set[asyncio.Timeout] = field(factory=set[asyncio.Timeout], init=False)
    _none_open: asyncio.Event = field(factory=asyncio.Event, init=False)

    def are_draining(self) -> bool:
        """Return whether no further call or attempt begins."""
        return self._draining

    @contextmanager
    def counted(self) -> Generator[None, None, None]:
        """Count what is within as one call."""
        self._open += 1
        try:
            yield
        except ClientClosedError:
            self._released += 1
            raise
        finally:
            self._open -= 1
            if not self._open:
                self._none_open.set()

    @asynccontextmanager
    async def waiting(self, until: float | None) -> AsyncGenerator[None, None]:
        """Bound a wait by the loop's time *until*, and by the beginning of a drain.

        Raises:
            TimeoutError: One of them came.
        """
        async with asyncio.timeout_at(until) as scope:
            self._waits.add(scope)
            try:
                yield
            finally:
                self._waits.discard(scope)

    async def drain(self, seconds: float | None) -> Drained:
        """Accept no further call, let waiting ones go, and wait until the others have ended.

        Args:
            seconds: How long to wait for them; None for as long as they take.
        """
        self._draining = True
        opened, released = self._open, self._released
        now = asyncio.get_running_loop().time()
        for scope in self._waits:
            scope.reschedule(now)
        if self._open:
            self._none_open.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._none_open.wait()
            except TimeoutError:
                pass
        released = self._released - released
        return Drained(opened - self._open - released, released, self._open)
