"""A throttle that processes share through a PostgreSQL database."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from types import TracebackType
from typing import Self

import psycopg
from attrs import define, field

from siliconflow_voice.database import Address, Database, DatabaseError, connect
from siliconflow_voice.errors import ConfigurationError, ThrottleError
from siliconflow_voice.fleet.agent import Agent
from siliconflow_voice.fleet.gate import SharedGate
from siliconflow_voice.fleet.rows import MIGRATIONS, Gates, Key, channel
from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.validation import positive

__all__ = ["SharedThrottle"]

# Seconds until the connection on which a process is called is made anew.
_AGAIN = 1.0


@define(eq=False)
class SharedThrottle(Throttle):
    """A :class:`Throttle` for all processes that name the same database and account.

    ::

        async with SharedThrottle("postgresql://user@host/name") as throttle:
            async with VoiceClient(throttle=throttle) as client:
                ...

    What is learned, and what is under way, is kept in the database: a refusal that one process meets slows
    all of them, and ``max_concurrency`` bounds the requests of all of them together. Processes that wait are
    let pass equally, weighted by what their requests cost. While the database is away nothing passes. Its
    clock is the only one that counts. The settings should be the same in all processes.

    Raises:
        ConfigurationError: The database's URL is invalid.
    """

    database_url: str = field(repr=False)
    """``postgresql://user:password@host:port/name``; what it leaves out comes from libpq's variables."""
    account: str = field(default="default", kw_only=True)
    """The account whose quota it is, by a name of your choice: one for each account in the database."""
    patience: float = field(default=60.0, validator=positive, kw_only=True)
    """Seconds for which a database that is away is waited for, by calls without a deadline too."""
    _address: Address = field(init=False, repr=False)
    _database: Database | None = field(default=None, init=False, repr=False)
    _rows: Gates = field(init=False, repr=False)
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1), init=False, repr=False)
    _listening: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._address = Address.parse(self.database_url)
        super().__attrs_post_init__()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect to the database, and create its tables where there are none.

        Raises:
            ThrottleError: It can't be reached, or was made by a newer version.
        """
        database, problem = Database(self._address, "throttle", self.patience), None
        try:
            await database.open("throttle", MIGRATIONS)
        except DatabaseError as error:
            problem = self._address.unusable(str(error))
        if problem is not None:  # outside of the handler: frames below it hold the password
            await database.close()
            raise ThrottleError(problem)
        self._database = database
        self._rows = Gates(uuid.uuid4().hex)
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Report what is known, and leave what is held to the other processes; waiting calls fail.

        Answers that come later are not reported: close the clients first. Closing twice does nothing.
        """
        database, self._database = self._database, None
        if database is None or self._listening is None:
            return
        self._listening.cancel()
        gates, self._gates = self._gates, {}
        await asyncio.gather(*(gate.agent.close() for gate in gates.values() if isinstance(gate, SharedGate)))
        await asyncio.wait([self._listening])
        await database.close()

    def gate(self, address: str, model: str) -> Gate:
        """Return the gate that requests for *model* at *address* pass through.

        Raises:
            ConfigurationError: It is not open.
        """
        if self._database is None:
            raise ConfigurationError(
                "The shared throttle is not open: use it within async with SharedThrottle(…) as throttle"
            )
        return super().gate(address, model)

    def another(self) -> Throttle:
        raise ConfigurationError(
            "A shared throttle is one account's: with another key or address, pass a throttle too, such as "
            "SharedThrottle(…, account=…)"
        )

    def _made(self, key: tuple[str, str]) -> Gate:
        assert self._database is not None  # noqa: S101 - gate() has seen to it
        agent = Agent(
            Key(self.account, *key),
            self._rows,
            self._database,
            self._numbers,
            self.limiter,
            self._learned.pop(key, None),
        )
        return SharedGate.of(agent)

    async def _listen(self) -> None:
        """Come when another process says that it is this one's turn."""
        while True:
            try:
                async with await connect(self._address, "throttle's calls") as connection:
                    await connection.execute(f"LISTEN {channel(self._rows.process)}".encode())
                    async for notify in connection.notifies():
                        self._called(int(notify.payload))
            except psycopg.Error:
                await asyncio.sleep(_AGAIN)  # meanwhile, each agent comes by itself, if later

    def _called(self, number: int) -> None:
        for gate in self._gates.values():
            if isinstance(gate, SharedGate) and gate.agent.gate == number:
                gate.agent.come()
