"""A process's part in a journal that others share: its connection, its heartbeat, and common commits."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from attrs import define, field, frozen

from siliconflow_voice.bulk import statements as sql
from siliconflow_voice.database import Address, Connection, Database, DatabaseError
from siliconflow_voice.errors import JournalError

__all__ = ["Member", "Rows"]

Rows: TypeAlias = "list[tuple[Any, ...]]"

_MOST_AT_ONCE = 1000
# Heartbeats within a lease: two may be late.
_BEATS = 3

_log = logging.getLogger("siliconflow_voice")


@frozen
class _Statement:
    text: str
    values: Mapping[str, Any]
    key: bytes = b""
    """Of the upload that it changes: those of a transaction go in one order, so that none blocks another."""


_Order: TypeAlias = "tuple[_Statement, asyncio.Future[Rows]]"


@define(eq=False)
class Member:
    """Carries out statements, all that there are in one transaction, and proves that this process lives."""

    address: Address
    lease: float
    """Seconds after its last heartbeat for which a process keeps its claims."""
    patience: float
    """Seconds for which a database that is away is waited for."""
    me: uuid.UUID = field(factory=uuid.uuid4, init=False)
    database: Database = field(init=False, repr=False)
    tasks: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]], init=False, repr=False)
    """That which carries out the statements, and that which proves that the process lives."""
    leaving: bool = field(default=False, init=False)
    _orders: list[_Order] = field(factory=list[_Order], init=False, repr=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)
    _failed: Exception | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.database = Database(self.address, "journal", self.patience)

    async def open(self) -> None:
        """Connect, create the tables if there are none, and begin to prove that this process lives."""
        try:
            await self.database.open("journal", sql.MIGRATIONS)
            await self.database.transact(self._register)
        except DatabaseError as error:
            await self.database.close()
            raise self.error(error) from None
        # Tasks of its own: what one caller asks for must not end when another is cancelled.
        self.tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._live())]

    def leave(self) -> None:
        """Have what was asked for finished and the connection closed, without waiting for that."""
        self.leaving = True
        self._wake.set()

    async def close(self) -> None:
        """Finish what was asked for, release what is claimed, and close the connection."""
        self.leave()
        if self.tasks:
            await asyncio.shield(self.tasks[0])

    def _values(self, **values: Any) -> dict[str, Any]:
        return {"me": self.me, "lease": self.lease, **values}

    async def row(self, statement: str, key: bytes = b"", **values: Any) -> tuple[Any, ...] | None:
        """Run a statement as :meth:`ask` does; return its first row, or None."""
        rows = await self.ask(statement, key, **values)
        return rows[0] if rows else None

    async def ask(self, statement: str, key: bytes = b"", **values: Any) -> Rows:
        """Run a statement in a transaction, and wait until what it did is durable."""
        if self.leaving:
            raise JournalError(f"The journal {self.address.shown} was closed during the run")
        return await self._order(_Statement(statement, self._values(key=key, **values), key))

    def put(self, statement: str, key: bytes = b"", **values: Any) -> None:
        """Run a statement as :meth:`ask` does, without waiting for that; nothing, once it was closed."""
        if not self.leaving:
            self._order(_Statement(statement, self._values(key=key, **values), key))

    def _order(self, statement: _Statement) -> asyncio.Future[Rows]:
        order: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        if self._failed is None:
            self._orders.append((statement, order))
            self._wake.set()
        else:
            order.set_exception(self.error(self._failed))
            order.exception()  # a release is not waited for
        return order

    async def _serve(self) -> None:
        """Carry out orders, all that there are in one transaction, until the journal is closed."""
        while not (self.leaving and not self._orders):
            if not self._orders:
                self._wake.clear()
                await self._wake.wait()
                continue
            orders = self._orders[:_MOST_AT_ONCE]
            del self._orders[:_MOST_AT_ONCE]
            orders.sort(key=lambda order: order[0].key)
            try:
                results = await self.database.transact(partial(_carry_out, orders))
            except Exception as error:  # noqa: BLE001 - raised to all waiting callers
                # What comes later may depend on it.
                self._failed = error
                self._refuse(error, [*orders, *self._orders])
                self._orders.clear()
                continue
            for (_, order), rows in zip(orders, results, strict=True):
                if not order.done():  # the waiting call may have been cancelled
                    order.set_result(rows)
        self.tasks[1].cancel()
        if self._failed is None:
            try:
                await self.database.transact(self._deregister)
            except DatabaseError:
                _log.warning(
                    "The journal %s could not be left: its claims run out by themselves", self.address.shown
                )
        await self.database.close()

    async def _live(self) -> None:
        """Prove that this process lives, until the journal is closed."""
        while True:
            await asyncio.sleep(self.lease / _BEATS)
            self.put(sql.BEAT)

    async def _register(self, connection: Connection) -> None:
        await connection.execute(sql.TIDY.encode())
        name = f"{platform.node()} {os.getpid()}"
        await connection.execute(sql.REGISTER.encode(), self._values(name=name))

    async def _deregister(self, connection: Connection) -> None:
        await connection.execute(sql.DEREGISTER.encode(), self._values())

    def _refuse(self, error: Exception, orders: Iterable[_Order]) -> None:
        for _, order in orders:
            if not order.done():
                order.set_exception(self.error(error))
                order.exception()  # a heartbeat is not waited for

    def error(self, error: Exception) -> JournalError:
        """Make an error for one waiting call: tracebacks grow on errors that are shared."""
        what = str(error) if isinstance(error, DatabaseError) else repr(error)
        return JournalError(f"The journal {self.address.shown} can't be used: {what}")


async def _carry_out(orders: Collection[_Order], connection: Connection) -> list[Rows]:
    """Run statements in one round trip; return each one's rows."""
    async with connection.pipeline():
        cursors = [await connection.execute(asked.text.encode(), asked.values) for asked, _ in orders]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]
