"""The way to one address with one key: sends one attempt, and reads its answer, or opens it as a stream."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Generator
from contextlib import AsyncExitStack

import aiohttp
from aiohttp.client import _RequestContextManager
from attrs import define, evolve, field
from yarl import URL

from siliconflow_voice.api.answers import Answer, Inflater, Redactor
from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.transport.origin import Origin, Secret
from siliconflow_voice.transport.payload import RequestPayload, Transfer
from siliconflow_voice.transport.proxy import Proxy
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.transport.streaming import AudioStream, headers_of, is_text
from siliconflow_voice.transport.timeouts import Timeouts, Watch
from siliconflow_voice.transport.translation import translate
from siliconflow_voice.version import __version__

__all__ = ["Channel"]

# What an attempt raises.
_PROBLEMS = (SiliconFlowError, aiohttp.ClientError, OSError, ValueError, RuntimeError)
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
        watch = self._watched(payload, transfer, until)
        try:
            async with watch.scope:
                watch.start()
                try:
                    async with self._ask(request, payload) as response:
                        return await self._read(response, request.max_answer, transfer, voices)
                finally:
                    watch.stop()
                    await transfer.ended()
        except _PROBLEMS as problem:
            return self._error(problem, transfer, watch)

    async def stream(
        self, request: Request, payload: RequestPayload | None, transfer: Transfer, until: float | None
    ) -> Answer | AudioStream | SiliconFlowError:
        """Send a request once; return its audio as soon as the first of it has come, to be read and closed.

        Args:
            request: What to send.
            payload: Its body, made for this attempt.
            transfer: Records how far the attempt gets.
            until: The loop's time by which the audio must begin, or None.

        Returns:
            The audio; an answer that is not audio; or the error that stands for what came instead.
        """
        watch = self._watched(payload, transfer, until)
        try:
            async with watch.scope, AsyncExitStack() as stack:
                watch.start()
                stack.push_async_callback(transfer.ended)
                stack.callback(watch.stop)
                response = await self._ask(request, payload, accept="*/*")
                stack.callback(response.close)
                if is_text(response):
                    return await self._read(response, request.max_answer, transfer, None)
                opened = await self._begin(response, request.max_answer, transfer, watch)
                if isinstance(opened, AudioStream):
                    watch.stop()
                    stack.pop_all()
                return opened
        except _PROBLEMS as problem:
            return self._error(problem, transfer, watch)

    async def _begin(
        self, response: aiohttp.ClientResponse, limit: int, transfer: Transfer, watch: Watch
    ) -> Answer | AudioStream:
        """Return audio of which the first has come; or what is text all the same, and an empty body."""
        answer = Answer(response.status, headers_of(response), limit=limit, redact=self._redact)
        stall, host = self.timeouts.stall, self.origin.host
        stream = AudioStream(answer, response, transfer, self.connection, host, stall)
        text = await stream.begin(limit)
        if text is not None:
            return evolve(answer, raw=text)
        ends = watch.scope.when()
        stream.left = None if ends is None else ends - asyncio.get_running_loop().time()
        return stream

    def _watched(self, payload: RequestPayload | None, transfer: Transfer, until: float | None) -> Watch:
        """Return what bounds an attempt that begins now."""
        if payload is None:
            transfer.body_sent = True
        transfer.was_used = self.connection.was_used
        return Watch(transfer, self.timeouts, until)

    def _ask(
        self, request: Request, payload: RequestPayload | None, accept: str | None = None
    ) -> _RequestContextManager:
        headers = self._headers
        if payload is not None:
            headers = {**headers, "Content-Type": payload.content_type}
        if accept is not None:
            headers = {**headers, "Accept": accept}
        return self.connection.session().request(
            request.method,
            self._url(request),
            headers=headers,
            data=payload,
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(),
            proxy=None if self.proxy is None else self.proxy.url,
            proxy_headers=None if self.proxy is None else self.proxy.headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect),
        )

    def _error(self, problem: BaseException, transfer: Transfer, watch: Watch) -> SiliconFlowError:
        """Return the error that stands for what an attempt raised."""
        if transfer.error is not None:
            return transfer.error
        if isinstance(problem, SiliconFlowError):
            return problem
        return watch.error(problem) or translate(problem, self.origin.host)

    def _url(self, request: Request) -> URL:
        url = self._urls.get(request.path)
        if url is None:
            url = self._urls[request.path] = self.origin.base_url / request.path
        return url.with_query(request.query) if request.query else url

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
        return body.end(response.status, headers_of(response), self._redact)


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
