"""The way to one address with one key: sends one attempt, and reads all of its answer."""

from __future__ import annotations

import platform

import aiohttp
from attrs import define, field

from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.responses import Answer
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.transport.origin import Origin, Secret
from siliconflow_voice.transport.payload import RequestPayload, Transfer
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.transport.timeouts import Timeouts, Watch
from siliconflow_voice.transport.translation import translate
from siliconflow_voice.version import __version__

__all__ = ["Channel"]

_READ = 1 << 16


@define(eq=False)
class Channel:
    """Sends requests to an origin through a connection that clients may share."""

    connection: Connection
    origin: Origin
    timeouts: Timeouts
    _headers: dict[str, str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._headers = {
            "Authorization": Secret(f"Bearer {self.origin.key}"),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": (
                f"siliconflow-voice/{__version__} aiohttp/{aiohttp.__version__}"
                f" Python/{platform.python_version()}"
            ),
        }

    async def send(
        self,
        request: Request,
        payload: RequestPayload | None,
        transfer: Transfer,
        until: float | None,
    ) -> Answer | SiliconFlowError:
        """Send a request once; return its whole answer, or the error that stands for what came instead.

        Args:
            request: What to send.
            payload: Its body, made for this attempt.
            transfer: Tells afterwards how far it got.
            until: The loop's time at which it is over at the latest, or None.
        """
        timeouts, headers = self.timeouts, self._headers
        if payload is None:
            transfer.body_sent = True
        else:
            headers = {**headers, "Content-Type": payload.content_type}
        transfer.was_used = self.connection.was_used
        watch = Watch(transfer, timeouts, until)
        try:
            session = self.connection.session()
            async with watch.scope:
                watch.start()
                try:
                    async with session.request(
                        request.method,
                        self.origin.base_url / request.path,
                        headers=headers,
                        data=payload,
                        allow_redirects=False,
                        raise_for_status=False,
                        auto_decompress=False,
                        middlewares=(),
                        timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect),
                    ) as response:
                        return await _read(response, request.max_answer, transfer, self.origin.key)
                finally:
                    watch.stop()
                    await transfer.ended()
        except SiliconFlowError as error:
            return transfer.error or error
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as problem:
            return transfer.error or watch.error(problem) or translate(problem, self.origin.host)


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
