"""Sends one attempt over aiohttp: the only place that knows its sessions and its exceptions."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp
from attrs import define, field, frozen
from yarl import URL

from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.responses import Answer
from siliconflow_voice.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    SiliconFlowError,
)
from siliconflow_voice.transport.payload import RequestPayload, Transfer
from siliconflow_voice.validation import positive_or_none

__all__ = ["Connection", "Timeouts"]

_READ = 1 << 16


@frozen
class Timeouts:
    """Bounds for one attempt, in seconds; None lifts one.

    aiohttp has none for writing, and its one for reading is reset by each byte: these are the SDK's own.
    """

    attempt: float | None = field(default=120.0, validator=positive_or_none)
    """From the connection to the last byte of the answer."""
    connect: float | None = field(default=10.0, validator=positive_or_none)
    """To have a connection: DNS, TCP and TLS together."""
    stall: float | None = field(default=30.0, validator=positive_or_none)
    """Without a byte moving while the body is sent, or while the answer's body comes.

    The time in between, when the service thinks, is bounded by ``attempt``.
    """


@define(eq=False)
class Connection:
    """A session, owned or borrowed, that a client and its siblings share."""

    _borrowed: aiohttp.ClientSession | None = field(repr=False)
    _own: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    closed: bool = field(default=False, init=False)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Give the loop that this belongs to: the one that uses it first.

        Raises:
            ConfigurationError: It is closed, there is no running loop, or it is another one.
        """
        if self.closed:
            raise ConfigurationError("The client is closed")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError("The client needs a running asyncio event loop") from None
        if self._loop is None:
            self._loop = loop
        elif loop is not self._loop:
            raise ConfigurationError("The client belongs to another event loop: make one for each")
        return loop

    def session(self) -> aiohttp.ClientSession:
        """Give the session; make our own at its first use.

        Raises:
            ConfigurationError: It is closed, or this is no place to use it.
        """
        self.loop()
        session = self._borrowed or self._own
        if session is None:
            session = self._own = aiohttp.ClientSession(
                # The throttle bounds the requests under way; a second bound would only hide it.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        if session.closed:
            raise ConfigurationError("The session is closed")
        return session

    async def close(self) -> None:
        """Close the session if it is our own. A second call does nothing."""
        self.closed = True
        own, self._own = self._own, None
        if own is not None:
            await own.close()

    async def send(
        self,
        request: Request,
        url: URL,
        *,
        headers: Mapping[str, str],
        payload: RequestPayload | None,
        transfer: Transfer,
        timeouts: Timeouts,
        until: float | None,
        key: str,
    ) -> Answer:
        """Send a request once, and read all of its answer.

        Raises:
            APIConnectionError: No whole answer came.
            APITimeoutError: It took longer than one of *timeouts*, or than *until*.
            AudioSourceError: The audio could not be read to its end.
            ConfigurationError: The session or the address is of no use.
        """
        session = self.session()
        if payload is None:
            transfer.body_sent = True
        watch = _Watch(transfer, timeouts, until)
        error: SiliconFlowError
        try:
            async with watch.scope:
                watch.start()
                try:
                    async with session.request(
                        request.method,
                        url,
                        headers=headers,
                        data=payload,
                        allow_redirects=False,
                        raise_for_status=False,
                        auto_decompress=False,
                        middlewares=(),
                        timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect),
                    ) as response:
                        answer = await _read(response, request.max_answer, transfer, key)
                finally:
                    watch.stop()
                    await transfer.ended()
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError, SiliconFlowError) as problem:
            error = transfer.error or watch.error(problem) or _translate(problem, url)
        else:
            return answer
        # Raised out here, it has neither a context nor a traceback in which the key could be found.
        raise error


class _Watch:
    """Ends an attempt that takes too long in all, or in which no byte moves."""

    def __init__(self, transfer: Transfer, timeouts: Timeouts, until: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transfer = transfer
        self._timeouts = timeouts
        self._reason = f"took longer than {timeouts.attempt:g} s" if timeouts.attempt is not None else ""
        deadline = None if timeouts.attempt is None else self._loop.time() + timeouts.attempt
        if until is not None and (deadline is None or until < deadline):
            deadline, self._reason = until, "ran into the deadline of the call"
        self.scope = asyncio.timeout_at(deadline)
        self._position = 0
        self._moved = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timeouts.stall is not None:
            stall = self._timeouts.stall
            self._timer = self._loop.call_later(stall / 4, self._look, stall)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def error(self, problem: BaseException) -> APITimeoutError | None:
        """Say which bound ended the attempt, if one of ours did."""
        if isinstance(problem, TimeoutError) and self.scope.expired():
            return APITimeoutError(f"The attempt {self._reason}; {self._state()}")
        return None

    def _state(self) -> str:
        if self._transfer.received:
            return f"{self._transfer.received:,} bytes of the answer had come"
        if self._transfer.body_sent:
            return "all was sent, and no answer came"
        return f"{max(self._transfer.position(), 0):,} bytes had been sent"

    def _look(self, stall: float) -> None:
        """See whether a byte has moved since the last look; several times in the time allowed."""
        if self.scope.expired():
            return
        now = self._loop.time()
        position = self._transfer.position()
        unbegun = not self._transfer.sent and not self._transfer.body_sent
        thinking = self._transfer.body_sent and not self._transfer.received
        if position != self._position or thinking or unbegun:
            self._position, self._moved = position, now
        elif now - self._moved >= stall:
            self._reason = f"stalled: no byte moved for {stall:g} s"
            self.scope.reschedule(now)
            return
        self._timer = self._loop.call_at(now + stall / 4, self._look, stall)


async def _read(response: aiohttp.ClientResponse, limit: int, transfer: Transfer, key: str) -> Answer:
    """Read an answer, but not without end."""
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(_READ):
            body += chunk
            transfer.received += len(chunk)
            if len(body) > limit:
                break
    except aiohttp.ClientError:
        # Of a refusal, the status is what matters; a success that is cut short is none.
        if response.status < 300:
            raise
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, bytes(body), overlong=len(body) > limit, limit=limit, key=key)


def _translate(problem: BaseException, url: URL) -> SiliconFlowError:
    """Say in words of our own what aiohttp says in objects that know the key."""
    host = url.host
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return APITimeoutError(f"No connection to {host} in time")
        case aiohttp.ClientConnectorDNSError():
            return APIConnectionError(f"The name {host} can't be resolved: {_reason(problem.os_error)}")
        case aiohttp.ClientConnectorCertificateError():
            return APIConnectionError(
                f"The TLS certificate of {host} is not valid: {_reason(problem.certificate_error)}"
            )
        case aiohttp.ClientConnectorError():
            return APIConnectionError(f"No connection to {host}: {_reason(problem.os_error)}")
        case aiohttp.ServerDisconnectedError():
            return APIConnectionError(f"{host} closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return APIConnectionError(f"The answer of {host} was cut short")
        case aiohttp.ClientResponseError():
            return APIConnectionError(f"The answer of {host} is not valid HTTP")
        case ValueError() | RuntimeError():
            # A borrowed session with credentials of its own, or an address that aiohttp won't have.
            return ConfigurationError(f"This session can't make the request: {type(problem).__name__}")
        case OSError():
            return APIConnectionError(f"The connection to {host} broke: {_reason(problem)}")
        case _:
            return APIConnectionError(f"The connection to {host} failed: {type(problem).__name__}")


def _reason(problem: BaseException) -> str:
    match problem:
        case ssl.SSLCertVerificationError():
            return problem.verify_message
        case ssl.SSLError():
            return problem.reason or "TLS failed"
        case OSError() if problem.strerror:
            return problem.strerror
        case _:
            return type(problem).__name__
