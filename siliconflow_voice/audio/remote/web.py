"""Fetches recordings over HTTP: with a session of its own that has no key, no cookies and no proxy."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
from attrs import define, field, frozen

from siliconflow_voice.audio.remote.address import Address
from siliconflow_voice.audio.remote.networks import may_be_connected_to
from siliconflow_voice.audio.remote.policy import RemoteAudio, check_address, refused
from siliconflow_voice.errors import AudioSourceError, SiliconFlowError
from siliconflow_voice.version import __version__

__all__ = ["Body", "Interrupted", "Web"]

_PIECE = 1 << 16
# Seconds to connect, and without a byte.
_CONNECT = 10.0
_SILENCE = 30.0

_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "User-Agent": f"siliconflow-voice/{__version__}",
}
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "compress", "br", "zstd"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})
_ADVICE = {
    401: "; use an address that is signed, since no credentials are sent",
    403: "; if the address is signed, it may have expired",
    404: "; check the address",
    410: "; check the address",
}


class Interrupted(Exception):  # noqa: N818 - a signal to try again, never raised to a caller
    """A download that failed in a way that may pass."""

    def __init__(self, error: AudioSourceError) -> None:
        super().__init__()
        self.error = error


@frozen
class Body:
    """A recording on its way."""

    size: int | None
    """Bytes, if that was said."""
    chunks: AsyncIterator[bytes | memoryview]
    """Each is valid until the next one is asked for."""


class _OwnNetworkError(OSError):
    """What a connection to an address that may not be connected to fails with."""


@define(eq=False)
class Web:
    """Fetches over HTTP, in the event loop in which it is made."""

    private: bool
    """Whether this machine and private networks may be connected to."""
    _session: aiohttp.ClientSession = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=self._socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_SILENCE),
        )

    @asynccontextmanager
    async def open(self, address: Address, policy: RemoteAudio) -> AsyncGenerator[Body, None]:
        """Request a recording, and follow redirects as far as the policy allows.

        Raises:
            InvalidUploadError: A redirect or a connection leads to where none is allowed.
            AudioSourceError: The server doesn't have it.
            Interrupted: It failed, and may not the next time.
        """
        first = address
        for _ in range(policy.max_redirects + 1):
            response = await self._request(address)
            try:
                location = response.headers.get("Location") if response.status in _REDIRECTS else None
                if location is None:
                    problem = _problem_with(response, address)
                    if problem is not None:
                        raise problem
                    async with aclosing(_chunks(response, address)) as chunks:
                        yield Body(response.content_length, chunks)
                    return
            finally:
                response.close()
            target = address.join(location)
            check_address(target, policy, redirected_from=address)
            address = target
        raise AudioSourceError(
            f"{first.shown} redirects more than {policy.max_redirects} times: raise RemoteAudio.max_redirects"
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _request(self, address: Address) -> aiohttp.ClientResponse:
        try:
            return await self._session.get(address.url, allow_redirects=False)
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as problem:
            failed = _failed(problem, address)
        # Not from within: what aiohttp raises holds the whole address.
        raise failed

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for one address, right before it is connected: by then, a name is resolved."""
        family, kind, protocol, _, peer = info
        if not may_be_connected_to(str(peer[0]), private=self.private):
            raise _OwnNetworkError("not an address of the internet")
        return socket.socket(family, kind, protocol)


async def _chunks(response: aiohttp.ClientResponse, address: Address) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_chunked(_PIECE):
            yield chunk
    except (aiohttp.ClientError, OSError, RuntimeError) as problem:
        failed = _failed(problem, address)
    else:
        return
    raise failed


def _problem_with(response: aiohttp.ClientResponse, address: Address) -> Exception | None:
    """Return why an answer is not a recording, or None."""
    status = response.status
    if status == 200:
        coding = response.headers.get("Content-Encoding", "").strip().lower()
        if coding in _COMPRESSED:
            return AudioSourceError(
                f"{address.shown} comes compressed ({coding}), which was not asked for: store it as it is"
            )
        return None
    error = AudioSourceError(
        f"{address.shown} can't be fetched: HTTP {status}{_ADVICE.get(status, '')}", status=status
    )
    return Interrupted(error) if status >= 500 or status in _PASSING else error


def _failed(problem: BaseException, address: Address) -> SiliconFlowError | Interrupted:
    """Return an error of the SDK's own, with only the safe parts of *problem* in its message."""
    if isinstance(problem, aiohttp.ClientConnectorError) and isinstance(problem.os_error, _OwnNetworkError):
        return refused(
            f"{address.shown} leads to this machine or a private network; RemoteAudio(private=True) or "
            f"--allow-private allows that, and link-local addresses are never connected to"
        )
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        return AudioSourceError(f"{address.shown} can't be fetched: its TLS certificate is not valid")
    if isinstance(problem, aiohttp.InvalidURL | ValueError):
        return AudioSourceError(f"{address.shown} is not an address that can be fetched")
    return Interrupted(AudioSourceError(f"{address.shown} can't be fetched: {_reason(problem)}"))


def _reason(problem: BaseException) -> str:
    match problem:
        case TimeoutError():
            return f"no connection in {_CONNECT:g} s, or no byte for {_SILENCE:g} s"
        case aiohttp.ClientConnectorDNSError():
            return "its host can't be resolved"
        case aiohttp.ClientConnectorError():
            return problem.os_error.strerror or "no connection"
        case aiohttp.ClientPayloadError():
            return "it was cut short"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientResponseError():
            return "the answer is not valid HTTP"
        case OSError() if problem.strerror:
            return problem.strerror
        case _:
            return "the connection broke"
