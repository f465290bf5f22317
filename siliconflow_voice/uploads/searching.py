"""Listings that searches share: each shows all that was stored when it began, to whoever asked before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from attrs import define, field

from siliconflow_voice.errors import APITimeoutError, SiliconFlowError

__all__ = ["ListUntil", "SharedListings"]

T = TypeVar("T")

ListUntil: TypeAlias = "Callable[[float | None], Awaitable[list[T]]]"
"""Lists the account, by the loop's time that it is called with."""

# Of the time that a search has left, how much it may wait for a listing under way to end: the rest is for
# the listing that it shares.
_PATIENCE = 1 / 4


@define(eq=False)
class _Listing(Generic[T]):
    """One listing, and the searches that share it."""

    list_until: ListUntil[T]
    before: asyncio.Task[object] | None
    """The listing that began last: this one begins when that has ended, or when a search can't wait."""
    begin: asyncio.Event = field(factory=asyncio.Event, init=False)
    began: bool = field(default=False, init=False)
    searches: int = field(default=0, init=False)
    until: float | None = field(default=0.0, init=False)
    """The loop's time by which the last of them has to know; None for no bound."""
    task: asyncio.Task[list[T] | SiliconFlowError] = field(init=False)

    async def carry_out(self) -> list[T] | SiliconFlowError:
        """Wait until it is to begin, and list the account."""
        if self.before is not None and not self.before.done():
            self.before.add_done_callback(lambda _: self.begin.set())
            await self.begin.wait()
        self.began = True
        try:
            return await self.list_until(self.until)
        except SiliconFlowError as error:
            return error


@define(eq=False)
class SharedListings(Generic[T]):
    """The listings of one account for its searches.

    A burst of lost answers takes two: one for the first, and one for all that failed after that had begun.
    """

    _latest: _Listing[T] | None = field(default=None, init=False)

    async def list_by(self, until: float | None, list_until: ListUntil[T]) -> list[T]:
        """Return a listing that begins after this call, and is there by the loop's time *until*.

        Raises:
            SiliconFlowError: The account can't be listed in time.
        """
        loop = asyncio.get_running_loop()
        listing = self._latest
        if listing is None or listing.began:
            before = None if listing is None else listing.task
            listing = self._latest = _Listing(list_until, before)
        listing.searches += 1
        if until is None or (listing.until is not None and listing.until < until):
            listing.until = until
        timer = None
        if until is not None:
            timer = loop.call_at(loop.time() + _PATIENCE * (until - loop.time()), listing.begin.set)
        if listing.searches == 1:
            # A task of its own: the search that began it may be cancelled, or be out of time before others.
            listing.task = asyncio.create_task(listing.carry_out())
        try:
            async with asyncio.timeout_at(until):
                result = await asyncio.shield(listing.task)
        except TimeoutError:
            raise APITimeoutError("The deadline passed while the account was listed") from None
        finally:
            if timer is not None:
                timer.cancel()
            self._leave(listing)
        if isinstance(result, SiliconFlowError):
            raise result
        return result

    def _leave(self, listing: _Listing[T]) -> None:
        listing.searches -= 1
        if not listing.searches:
            listing.task.cancel()
            if self._latest is listing:
                self._latest = None
