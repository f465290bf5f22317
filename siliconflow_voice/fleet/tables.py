"""The fleet's tables, as one process has them open, and the queue's beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from attrs import define, field
from procrastinate.schema import SchemaManager

from siliconflow_voice.database import Address, Connection, Database, DatabaseError
from siliconflow_voice.errors import FleetError
from siliconflow_voice.fleet import statements as sql

__all__ = ["Tables", "rows_of"]

T = TypeVar("T")
# Processes that come at once create the queue's tables one after the other; the number is the project's own.
_CREATING = 0x51_F1_0F


@define(eq=False)
class Tables:
    """A connection to the fleet's tables. Each method raises a :class:`FleetError` where it fails."""

    address: Address
    patience: float = 60.0
    """Seconds for which a database that is away is waited for."""
    _database: Database = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._database = Database(self.address, "fleet", self.patience)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, and create the tables, and the queue's, where there are none."""
        try:
            await self._database.open("fleet", sql.MIGRATIONS)
            await self._database.transact(_create_queue)
        except DatabaseError as error:
            raise self._again(error) from None

    async def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        await self._database.close()

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run *work* in a transaction, a second time if the connection was lost; return what it returns."""
        try:
            return await self._database.transact(work)
        except DatabaseError as error:
            raise self._again(error) from None

    async def ask(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own, and return its rows."""
        return await self.transact(lambda connection: rows_of(connection, statement, **values))

    def _again(self, error: DatabaseError) -> FleetError:
        return FleetError(f"The fleet's database {self.address.shown} can't be used: {error}")


async def rows_of(connection: Connection, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run a statement, and return its rows."""
    cursor = await connection.execute(statement.encode(), values)
    return await cursor.fetchall() if cursor.description else []


async def _create_queue(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
    [(there,)] = await rows_of(connection, "SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
    if not there:
        await connection.execute(SchemaManager.get_schema().encode())
