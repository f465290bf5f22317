"""A PostgreSQL database that processes share: its address, a connection that comes back, its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg
import psycopg.conninfo
from attrs import define, field, frozen

from siliconflow_voice.errors import ConfigurationError

__all__ = ["Address", "Connection", "Database", "DatabaseError"]

T = TypeVar("T")
Connection: TypeAlias = "psycopg.AsyncConnection[tuple[Any, ...]]"

# Seconds between two attempts to connect, at first and at most.
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 1.0
# Processes that come at once create tables one after the other; the number is the project's own.
_MIGRATING = 0x51_F1_0E
# Read-only; and a transaction that was ended, since its process was stopped in the middle.
_PASSING = {"25006", "25P03"}

_VERSIONS = """
CREATE SCHEMA IF NOT EXISTS siliconflow_voice;
CREATE TABLE IF NOT EXISTS siliconflow_voice.versions (part text PRIMARY KEY, version integer NOT NULL);
"""


class DatabaseError(Exception):
    """Why the database can't be used, without its password: for the error that the caller raises."""


@frozen
class Address:
    """Where a database is, and what of that may be shown."""

    conninfo: str = field(repr=False)
    shown: str
    """Its host, port and name: without user, password and options."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read a URL; what it leaves out comes from libpq's variables, such as PGPASSWORD.

        Raises:
            ConfigurationError: It is not valid.
        """
        try:
            parts = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            parts = None
        if parts is None:  # the error would show the password
            raise ConfigurationError(
                "The database's URL is invalid: it must look like postgresql://user@host:5432/database, with "
                "special characters of its parts percent-encoded"
            )
        host, port, name = (parts.get(part) for part in ("host", "port", "dbname"))
        where = f"{host or ''}{f':{port}' if port else ''}"
        return cls(url, f"postgresql://{where}/{name or ''}")

    def unusable(self, why: str) -> str:
        """Return a message that says that the database can't be used."""
        return f"The database {self.shown} can't be used: {why}"


@define(eq=False)
class Database:
    """One connection to a database; a lost one is made anew, and what was under way is done again.

    What is done in a transaction may be done twice, if the connection is lost just as it is committed: it
    must come to the same.
    """

    address: Address
    name: str
    """What it is used for, as the database's administrator sees it."""
    patience: float = 60.0
    """Seconds for which a database that is away, full or read-only is waited for."""
    problem: str | None = field(default=None, init=False)
    """Why it can't be used, without a password; None while it can."""
    _connection: Connection | None = field(default=None, init=False, repr=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False, repr=False)

    async def open(self, part: str, migrations: Sequence[str]) -> None:
        """Connect, and create or migrate the tables of one part of the project.

        Args:
            part: Its name.
            migrations: Each makes the next version of the one before.

        Raises:
            DatabaseError: It can't be reached, or a newer version made its tables.
        """
        problem = None
        try:
            await self._once(lambda connection: _migrate(connection, part, migrations))
        except psycopg.Error as error:
            problem = self._describe(error)
        if problem is not None:  # outside of the handler: frames of psycopg hold the password
            raise DatabaseError(problem)

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run *work* in a transaction; return what it returns, once that is durable.

        Raises:
            DatabaseError: The database was away for longer than the patience, or refused it.
        """
        loop = asyncio.get_running_loop()
        until, wait = loop.time() + self.patience, _FIRST_WAIT
        async with self._lock:
            while True:
                timer = asyncio.timeout_at(until)
                try:
                    async with timer:
                        result = await self._once(work)
                except psycopg.Error as error:
                    problem, passes = self._describe(error), _passes(error)
                except TimeoutError:
                    problem, passes = "", False
                else:
                    self.problem = None
                    return result
                if timer.expired():  # which psycopg may have made an error of its own of
                    problem, passes = "the database does not answer", False
                self.problem = problem
                if not passes or loop.time() + wait > until:
                    break
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        raise DatabaseError(problem)

    async def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._connection is None:
            self._connection = await connect(self.address, self.name)
        try:
            async with self._connection.transaction():
                return await work(self._connection)
        except BaseException:
            # Whatever was under way on it, the next begins anew.
            await self.close()
            raise

    @staticmethod
    def _describe(error: psycopg.Error) -> str:
        return (" ".join(str(error).split()) or type(error).__name__)[:500]


async def connect(address: Address, name: str) -> Connection:
    """Return a new connection, on which a commit is durable when it returns.

    Raises:
        psycopg.Error: There is none to be had.
    """
    connection = await psycopg.AsyncConnection.connect(
        address.conninfo,
        autocommit=True,
        application_name=f"siliconflow-voice {name}",
        connect_timeout=10,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
    )
    # A commit that is lost with the server's power would make a voice twice.
    try:
        await connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    except BaseException:  # cancelled as well
        await connection.close()
        raise
    return connection


def _passes(error: psycopg.Error) -> bool:
    """Return whether an error may pass by itself: a restart, a failover, a full disk, a deadlock."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) or error.sqlstate in _PASSING


async def _migrate(connection: Connection, part: str, migrations: Sequence[str]) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
    found = await (
        await connection.execute(
            "SELECT to_regclass('siliconflow_voice.versions') IS NOT NULL",
        )
    ).fetchone()
    if found != (True,):
        await connection.execute(_VERSIONS.encode())
    row = await (
        await connection.execute("SELECT version FROM siliconflow_voice.versions WHERE part = %s", (part,))
    ).fetchone()
    version = row[0] if row else 0
    if version > len(migrations):
        raise DatabaseError(
            f"its tables for the {part} are of version {version}, and this release knows "
            f"{len(migrations)}: upgrade siliconflow-voice"
        )
    for migration in migrations[version:]:
        await connection.execute(migration.encode())
    if version < len(migrations):
        await connection.execute(
            "INSERT INTO siliconflow_voice.versions VALUES (%s, %s)"
            " ON CONFLICT (part) DO UPDATE SET version = excluded.version",
            (part, len(migrations)),
        )
