"""The session that requests go through: made at its first use, and bound to one event loop."""

from __future__ import annotations

import asyncio
import select
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.connector import Connection as PooledConnection
from aiohttp.tracing import Trace
from attrs import define, field

from siliconflow_voice.errors import ClientClosedError, ConfigurationError
from siliconflow_voice.transport.origin import LOCALHOST, is_loopback

__all__ = ["Connection"]


class _Connector(aiohttp.TCPConnector):
    """A pool that never hands out a connection which the service closed while it was idle.

    Right after an answer, the loop has not looked at the socket again, and aiohttp assumes that it is open.
    """

    def __init__(self) -> None:
        # The throttle bounds the requests under way; a second bound would only hide it.
        super().__init__(limit=0)  # pyright: ignore[reportUnknownMemberType] - aiohttp's own hint is partial
        self._used: WeakSet[object] = WeakSet()
        self.used_again: WeakSet[object] = WeakSet()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - the base's
    ) -> PooledConnection:
        while True:
            connection = await super().connect(req, traces, timeout)
            _check_local(req, connection)
            if connection.protocol not in self._used:
                self._used.add(connection.protocol)
                return connection
            if not has_news(connection.transport):
                self.used_again.add(connection.protocol)
                return connection
            connection.close()


def _check_local(req: ClientRequest, connection: PooledConnection) -> None:
    """Refuse plain http to localhost where that name leads to another machine; nothing was sent yet.

    Other names are here only with ``allow_http``, and addresses are what is connected to.
    """
    if req.url.scheme != "http" or req.url.host != LOCALHOST or is_loopback(_peer(connection.transport)):
        return
    connection.close()
    raise ConfigurationError(
        "The name localhost leads to another machine, which plain http would send the key to: "
        "use https, or http://127.0.0.1"
    )


def _peer(transport: asyncio.Transport | None) -> str:
    """Return the address at the other end, or an empty string."""
    peer = None if transport is None else transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def has_news(transport: asyncio.Transport | None) -> bool:
    """Return whether something arrived on an idle connection: that can only be its end."""
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


@define(eq=False)
class Connection:
    """A session, owned or borrowed, that a client and its siblings share."""

    _borrowed: aiohttp.ClientSession | None = field(repr=False)
    _own: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _seen: WeakSet[object] = field(factory=WeakSet[Any], init=False, repr=False)
    closed: bool = field(default=False, init=False)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that this belongs to: the first in which it was used.

        Raises:
            ClientClosedError: It is closed.
            ConfigurationError: There is no running loop, or it is another one.
        """
        if self.closed:
            raise ClientClosedError("The client is closed: create a new VoiceClient")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "The client needs a running asyncio event loop: use it inside a coroutine"
            ) from None
        if self._loop is None:
            self._loop = loop
        elif loop is not self._loop:
            raise ConfigurationError(
                "The client belongs to another event loop: create a client for each loop"
            )
        return loop

    def session(self) -> aiohttp.ClientSession:
        """Return the session, which is created at its first use unless it is borrowed.

        Raises:
            ConfigurationError: The client or the session is closed, or this is not the client's event loop.
        """
        self.loop()
        session = self._borrowed or self._own
        if session is None:
            session = self._own = aiohttp.ClientSession(
                connector=_Connector(), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        if session.closed:
            raise ConfigurationError(
                "The session is closed: keep the aiohttp session open for as long as the client is used"
            )
        return session

    def was_used(self, protocol: object) -> bool:
        """Return whether an earlier request used this connection.

        Of a borrowed session's connections, only the ones that carried a body are known.
        """
        if self._own is not None and isinstance(self._own.connector, _Connector):
            return protocol in self._own.connector.used_again
        if protocol in self._seen:
            return True
        self._seen.add(protocol)
        return False

    async def close(self) -> None:
        """Close the session unless it is borrowed; closing twice does nothing."""
        self.closed = True
        own, self._own = self._own, None
        if own is not None:
            await own.close()
