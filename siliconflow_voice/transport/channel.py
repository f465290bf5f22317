"""The way to one address with one key: sends one attempt, and reads all of its answer."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Generator

import aiohttp
from attrs import define, field
from yarl import URL

from siliconflow_voice.api.answers import Answer, Inflater, Redactor
from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.transport.origin import Origin, Secret
from siliconflow_voice.transport.payload import RequestPayload, Transfer
from siliconflow_voice.transport.proxy import Proxy
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.transport.timeouts import Timeouts, Watch
from siliconflow_voice.transport.translation import translate
from siliconflow_voice.version import __version__

__all__ = ["Channel"]

_READ = 1 << 16
# Parsed in one go, at most: a millisecond, or ten where the list is of empty voices.
_WHOLE = 1 << 15
_PIECE = 1 << 14
_REFUSAL = 1 << 20


@define(eq=False)
class Channel:
    """Sends requests to an origin through a connection that clients may share."""

    connection: Connection
    origin: Origin
    timeouts: Timeouts
    proxy: Proxy | None
    _headers: dict[str, str] = field(init=False, repr=False)
    _redact: Redactor = field(init=False, repr=False)
    _urls: dict[str, URL] = field(factory=dict[str, URL], init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._redact = Redactor(self.origin.key)
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
        voices: VoiceList | None = None,
    ) -> Answer | SiliconFlowError:
        """Send a request once; return its whole answer, or the error that stands for what came instead.

        Args:
            request: What to send.
            payload: Its body, made for this attempt.
            transfer: Records how far the attempt gets.
            until: The loop's time at which the attempt must be over, or None.
            voices: Receives a long list while it arrives.
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
                        self._url(request.path),
                        headers=headers,
                        data=payload,
                        allow_redirects=False,
                        raise_for_status=False,
                        auto_decompress=False,
                        middlewares=(),
                        proxy=None if self.proxy is None else self.proxy.url,
                        proxy_headers=None if self.proxy is None else self.proxy.headers,
                        timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect),
                    ) as response:
                        return await self._read(response, request.max_answer, transfer, voices)
                finally:
                    watch.stop()
                    await transfer.ended()
        except SiliconFlowError as error:
            return transfer.error or error
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as problem:
            return transfer.error or watch.error(problem) or translate(problem, self.origin.host)

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self.origin.base_url / path
        return url

    async def _read(
        self, response: aiohttp.ClientResponse, limit: int, transfer: Transfer, voices: VoiceList | None
    ) -> Answer:
        """Return the answer, read up to *limit* bytes; a long list is parsed while it arrives."""
        if response.status >= 300:
            limit, voices = min(limit, _REFUSAL), None
        body = _Body(limit, voices)
        inflater = Inflater(response.headers.get("content-encoding", ""))
        try:
            async for chunk in response.content.iter_chunked(_READ):
                transfer.received += len(chunk)
                for piece in inflater.feed(chunk, _PIECE):
                    for _ in body.feed(piece):
                        await asyncio.sleep(0)  # buffered chunks arrive without a turn of the loop
                    if body.is_over:
                        break
                if body.is_over:
                    break
        except aiohttp.ClientError:
            # Of a refusal, the status is what matters; a success that is cut short is not a success.
            if response.status < 300:
                raise
        except ValueError:
            body.spoil()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return body.end(response.status, headers, self._redact)


class _Body:
    """The part of an answer that was read: its bytes, or the voices of a list too long to hold."""

    def __init__(self, limit: int, voices: VoiceList | None) -> None:
        self._limit = limit
        self._voices = voices
        self._size = 0
        self._bytes = bytearray()
        self.streamed = False
        """Whether further pieces are parsed as they arrive."""

    @property
    def is_over(self) -> bool:
        """Whether the rest of it is not needed."""
        wrong = self._voices is not None and self._voices.wrong is not None
        return wrong or self._size > self._limit

    def feed(self, piece: bytes) -> Generator[None, None, None]:
        """Accept the next decompressed piece, and stop behind each part that is parsed."""
        self._size += len(piece)
        if not self.streamed:
            self._bytes += piece
        if self._voices is None or len(self._bytes) <= _WHOLE:
            return
        starts = range(0, len(self._bytes), _PIECE)
        parts = [piece] if self.streamed else [bytes(self._bytes[start : start + _PIECE]) for start in starts]
        self.streamed = True
        for part in parts:
            self._voices.feed(part)
            yield

    def spoil(self) -> None:
        """Note that it can't be decompressed."""
        self._bytes.clear()
        if self.streamed and self._voices is not None:
            self._voices.wrong = self._voices.wrong or "the answer can't be decompressed"

    def end(self, status: int, headers: dict[str, str], redact: Redactor) -> Answer:
        """Return the whole answer."""
        overlong = self._size > self._limit
        if self.streamed and self._voices is not None:
            if overlong:
                self._voices.wrong = f"the answer has more than {self._limit:,} bytes"
            self._voices.end()
        return Answer(
            status,
            headers,
            bytes(self._bytes),
            overlong=overlong,
            streamed=self.streamed,
            limit=self._limit,
            redact=redact,
        )
