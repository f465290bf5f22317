"""A journal in an SQLite file: what a run asks of one, made durable by the thread that has the connection."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from siliconflow_voice.bulk.store import BEAT, Entry, LastRun, Record, Store
from siliconflow_voice.errors import APIStatusError, JournalError, SiliconFlowError
from siliconflow_voice.models import Failure, Voice

__all__ = ["SQLiteJournal"]

T = TypeVar("T")
Operation: TypeAlias = Callable[[Store], Any]
_Order: TypeAlias = "tuple[Operation, asyncio.Future[Any]]"

_Result: TypeAlias = "tuple[asyncio.Future[Any], Any, JournalError | None]"

_MOST_AT_ONCE = 1000


class SQLiteJournal:
    """A journal's file, open; what is asked of it is durable when the answer comes.

    What is asked for while a commit is under way waits for the next one, which makes all of it durable at
    once: a disk that takes 5 ms for a commit keeps up with any number of uploads. What fails once fails all
    that comes later. Each method raises a :class:`JournalError` where it fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name="siliconflow-voice-journal", daemon=True)

    async def open(self) -> None:
        """Start the thread, and wait until it has opened the journal."""
        self._thread.start()
        # The caller may be cancelled, and never see that it failed.
        self._opened.add_done_callback(lambda opened: opened.exception())
        await asyncio.shield(self._opened)

    def leave(self) -> None:
        """Have what was asked for finished and the file closed, without waiting for that."""
        self._leaving = True
        self._orders.put(None)

    async def close(self) -> None:
        """Finish what was asked for, and close the file."""
        self.leave()
        await asyncio.shield(self._ended)

    # --- a run

    async def last_run(self) -> LastRun | None:
        """Return what the last run left, or None if there was none."""
        return await self.transact(Store.last_run)

    async def begin_run(self, run: LastRun, found: Mapping[bytes, str], absent: Iterable[bytes]) -> None:
        """Record a run's beginning, with the uris of the unknown uploads that were found, and the others.

        From then on, it is recorded every second that the run goes on, up to :meth:`end_run`.
        """
        await self.transact(partial(Store.begin_run, run=run, found=found, absent=absent))

    async def end_run(self) -> None:
        """Record that the run has ended, if one was begun."""
        await self.transact(Store.end_run)

    async def unknown(self) -> list[Record]:
        """Return the uploads that were begun and whose end was not recorded."""
        return await self.transact(Store.unknown)

    async def uris_of(self, names: Collection[str]) -> set[str]:
        """Return the uris that were uploaded under these names."""
        return await self.transact(partial(Store.uris_of, names=names))

    async def any_uri(self) -> str | None:
        """Return the uri of some upload, or None if there is none."""
        return await self.transact(Store.any_uri)

    # --- an upload of a run

    async def find(self, entry: Entry) -> Record | None:
        """Return what is known of an upload, or None."""
        return await self.transact(partial(Store.find, key=entry.key))

    async def intend(self, entry: Entry) -> None:
        """Record that an upload is about to be sent; if this raises, nothing must be sent."""
        await self.transact(partial(Store.intend, entry=entry))

    async def done(self, entry: Entry, voice: Voice) -> None:
        """Record an upload's voice; an error's note has the uri that could not be recorded."""
        operation = partial(
            Store.done,
            key=entry.key,
            state="recovered" if voice.recovered else "uploaded",
            uri=voice.uri,
            trace_id=voice.trace_id,
            attempts=len(voice.attempts),
        )
        try:
            await self.transact(operation)
        except JournalError as error:
            error.add_note(f"{entry.custom_name} was uploaded, but could not be recorded: {voice.uri}")
            raise

    async def failed(self, entry: Entry, error: SiliconFlowError) -> None:
        """Record that an upload failed; it stays unknown if its voice may exist all the same."""
        await self.transact(
            partial(
                Store.failed,
                entry=entry,
                state="unknown" if error.failure is Failure.UNKNOWN else "failed",
                error=str(error),
                trace_id=error.trace_id if isinstance(error, APIStatusError) else None,
                attempts=len(error.attempts),
            )
        )

    # --- by hand

    async def counts(self) -> dict[str, int]:
        """Count the uploads in each state."""
        return await self.transact(Store.counts)

    async def page(self, after: int, size: int) -> list[tuple[int, Record]]:
        """Return up to *size* records whose number is above *after*, in order, each with its number."""
        return await self.transact(partial(Store.page, after=after, size=size))

    async def superseded(self, after: int, size: int) -> list[tuple[int, Record, str]]:
        """Return a page, as :meth:`page` does, of the uploads that later ones replaced, and these uris."""
        return await self.transact(partial(Store.superseded, after=after, size=size))

    async def decide(self, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Record what became of an upload that is unknown; return whether there was one."""
        return await self.transact(partial(Store.decide, sha256=sha256, custom_name=custom_name, uri=uri))

    async def forget(self, uri: str) -> bool:
        """Record that a voice does not exist any more; return whether it was an upload's."""
        return await self.transact(partial(Store.forget, uri=uri))

    # --- the thread

    async def transact(self, operation: Callable[[Store], T]) -> T:
        """Run an operation in the thread, and wait until what it did is durable."""
        if self._leaving:
            raise JournalError(f"The journal {self.path} was closed during the run")
        order: asyncio.Future[T] = self._loop.create_future()
        self._orders.put((operation, order))
        return await order

    def _work(self) -> None:
        try:
            store = Store.open(self.path)
        except Exception as error:  # noqa: BLE001 - raised to all waiting callers
            self._answer([(self._opened, None, self._again(error))])
            self._refuse(error)
            self._answer([(self._ended, None, None)])
            return
        self._answer([(self._opened, None, None)])
        failure = self._serve(store)
        try:
            store.close()
        except Exception as error:  # noqa: BLE001 - likewise
            self._answer([(self._ended, None, None if failure else self._again(error))])
        else:
            self._answer([(self._ended, None, None)])

    def _serve(self, store: Store) -> Exception | None:
        """Carry out orders up to the one to end; return what failed, or None."""
        goes_on = True
        while goes_on:
            orders = self._next_orders(BEAT if store.running else None)
            goes_on = not orders or orders[-1] is not None
            failure = self._carry_out(store, [order for order in orders if order is not None])
            if failure is not None:
                # The rest may depend on what was not written.
                if goes_on:
                    self._refuse(failure)
                return failure
        return None

    def _refuse(self, failure: Exception) -> None:
        """Answer orders with a failure, up to the one to end."""
        while (order := self._orders.get()) is not None:
            self._answer([(order[1], None, self._again(failure))])

    def _next_orders(self, timeout: float | None) -> list[_Order | None]:
        """Wait for an order, and return it with those behind it, up to the one to end; or none, in time."""
        orders: list[_Order | None] = []
        with suppress(queue.Empty):
            orders.append(self._orders.get(timeout=timeout))
            while orders[-1] is not None and len(orders) < _MOST_AT_ONCE:
                orders.append(self._orders.get_nowait())
        return orders

    def _carry_out(self, store: Store, orders: list[_Order]) -> Exception | None:
        if not orders and not store.running:
            return None
        results: list[_Result]
        try:
            with store.transaction():
                results = [(order, operation(store), None) for operation, order in orders]
                store.beat()
        except Exception as error:  # noqa: BLE001 - raised to all waiting callers
            self._answer([(order, None, self._again(error)) for _, order in orders])
            return error
        self._answer(results)
        return None

    def _answer(self, results: list[_Result]) -> None:
        # In a loop that is closed, nothing waits any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, results)

    def _again(self, error: Exception) -> JournalError:
        """Make an error for one waiting call: tracebacks grow on errors that are shared."""
        if isinstance(error, JournalError):
            message, cause = error.message, error.__cause__
        else:
            message, cause = f"The journal {self.path} can't be used: {error!r}", error
        another = JournalError(message)
        another.__cause__ = cause
        return another


def _settle(results: list[_Result]) -> None:
    for future, value, error in results:
        if future.done():
            continue  # the waiting call was cancelled
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
