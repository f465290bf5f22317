"""The journal's thread: takes what has piled up, makes it durable in one go, and answers all of it."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError

__all__ = ["Writer"]

T = TypeVar("T")
Operation: TypeAlias = Callable[[Store], Any]
_Order: TypeAlias = "tuple[Operation, asyncio.Future[Any]]"

_Result: TypeAlias = "tuple[asyncio.Future[Any], Any, JournalError | None]"

_MOST_AT_ONCE = 1000


class Writer:
    """A thread with the one connection that there is to a journal.

    What is asked for while a commit is under way waits for the next one, which makes all of it durable at
    once: a disk that takes 5 ms for a commit keeps up with any number of uploads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="siliconflow-voice-journal", daemon=True)

    async def open(self) -> None:
        """Start the thread, and wait until it has opened the journal.

        Raises:
            JournalError: It can't.
        """
        self._thread.start()
        # Who waits for it may be cancelled, and never hear that it failed.
        self._opened.add_done_callback(lambda opened: opened.exception())
        await asyncio.shield(self._opened)

    async def run(self, operation: Callable[[Store], T]) -> T:
        """Have something done, and wait until it is durable. What fails in it fails all that comes later.

        Raises:
            JournalError: It could not be done, or not be made durable.
        """
        order: asyncio.Future[T] = self._loop.create_future()
        self._orders.put((operation, order))
        return await order

    def leave(self) -> None:
        """Have what was asked for finished, and the file given up, and don't wait for that."""
        self._orders.put(None)

    async def close(self) -> None:
        """Finish what was asked for, and give up the file."""
        self.leave()
        await asyncio.shield(self._ended)

    def _work(self) -> None:
        try:
            store = Store.open(self._path)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to hear of it
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
        """Carry out orders up to the one to end; give what failed, or None."""
        goes_on = True
        while goes_on:
            orders = self._take()
            goes_on = orders[-1] is not None
            failure = self._carry_out(store, [order for order in orders if order is not None])
            if failure is not None:
                # What was not written may have been what the rest stands on.
                if goes_on:
                    self._refuse(failure)
                return failure
        return None

    def _refuse(self, failure: Exception) -> None:
        """Answer orders with a failure, up to the one to end."""
        while (order := self._orders.get()) is not None:
            self._answer([(order[1], None, self._again(failure))])

    def _take(self) -> list[_Order | None]:
        """Wait for an order, and take along what else is there, up to the one to end."""
        orders = [self._orders.get()]
        with suppress(queue.Empty):
            while orders[-1] is not None and len(orders) < _MOST_AT_ONCE:
                orders.append(self._orders.get_nowait())
        return orders

    def _carry_out(self, store: Store, orders: list[_Order]) -> Exception | None:
        if not orders:
            return None
        results: list[_Result]
        try:
            with store.transaction():
                results = [(order, operation(store), None) for operation, order in orders]
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to hear of it
            self._answer([(order, None, self._again(error)) for _, order in orders])
            return error
        self._answer(results)
        return None

    def _answer(self, results: list[_Result]) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, results)

    def _again(self, error: Exception) -> JournalError:
        """Make an error of one's own for each who waits: tracebacks grow on those that are shared."""
        if isinstance(error, JournalError):
            message, cause = error.message, error.__cause__
        else:
            message, cause = f"The journal {self._path} can't be used: {error!r}", error
        another = JournalError(message)
        another.__cause__ = cause
        return another


def _settle(results: list[_Result]) -> None:
    for future, value, error in results:
        if future.done():
            continue  # who waited was cancelled
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
