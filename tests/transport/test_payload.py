from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from siliconflow_voice.api.requests import Envelope
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.errors import SourceChangedError
from siliconflow_voice.transport.payload import RequestPayload, Transfer

PLAIN = Envelope("multipart/form-data; boundary=b", b"before:", b":after")
BASE64 = Envelope("application/json", b'{"audio":"', b'"}', base64=True)
ENVELOPES = [pytest.param(PLAIN, id="multipart"), pytest.param(BASE64, id="base64")]
# Above what the kernel's two buffers take, so that a peer that does not read holds it up.
LARGE = 32 << 20

parts_of_audio = st.lists(st.binary(max_size=20) | st.integers(0, 200_000).map(bytes), max_size=8)


class Transport(asyncio.WriteTransport):
    """Records the limits that its buffer is given."""

    def __init__(self, *, encrypted: bool = False) -> None:
        super().__init__({"ssl_object": object()} if encrypted else {})
        self.waiting = 0
        self.aborted = False
        self.limits: list[tuple[int | None, int | None]] = []

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits.append((high, low))

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True


class Writer(AbstractStreamWriter):
    """Looks at what is written only when drained, as transports may, and breaks at a byte."""

    def __init__(self, transport: Transport | None = None, *, breaks_at: float = float("inf")) -> None:
        self.written = bytearray()
        self.longest = 0
        self.calls: list[str] = []
        self._waiting: list[bytes | bytearray | memoryview] = []
        self.on_drain: Callable[[], object] = lambda: None
        self._transport = transport
        self._breaks_at = breaks_at

    @property
    def transport(self) -> asyncio.WriteTransport | None:
        return self._transport

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if len(self.written) + len(chunk) > self._breaks_at:
            raise ConnectionResetError("broken")
        self._waiting.append(chunk)
        self.calls.append(bytes(chunk).decode(errors="replace"))
        self.longest = max(self.longest, len(chunk))

    async def drain(self) -> None:
        self.written += b"".join(self._waiting)
        self._waiting.clear()
        self.on_drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        raise NotImplementedError

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        raise NotImplementedError

    def enable_chunking(self) -> None:
        raise NotImplementedError

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        raise NotImplementedError


async def blocks_of(parts: Sequence[bytes], *, lent: bool = False) -> AsyncGenerator[memoryview, None]:
    """Yield each part in the same memory, a pool's if *lent*, which is overwritten before the next."""
    buffer = ReadPool().borrow() if lent else bytearray(max(map(len, parts), default=0))
    for part in parts:
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]
        buffer[:] = b"\xee" * len(buffer)


def body_of(envelope: Envelope, audio: bytes) -> bytes:
    return envelope.prologue + (base64.b64encode(audio) if envelope.base64 else audio) + envelope.epilogue


@pytest.mark.parametrize("lent", [True, False])
@pytest.mark.parametrize("envelope", ENVELOPES)
@given(parts=parts_of_audio)
@example(parts=[b"a", b"", b"b", b"cdefg", b"h", b""])
async def test_a_body_is_the_same_in_whatever_blocks_it_comes(
    envelope: Envelope, parts: list[bytes], *, lent: bool
) -> None:
    writer, transfer, audio = Writer(), Transfer(), b"".join(parts)
    payload = RequestPayload(envelope, blocks_of(parts, lent=lent), len(audio), transfer)
    await payload.write_with_length(writer, payload.size)
    assert body_of(envelope, audio) == writer.written
    assert (payload.size, payload.size) == (len(writer.written), transfer.sent)
    assert transfer.body_sent


@pytest.mark.parametrize("envelope", ENVELOPES)
@given(parts=parts_of_audio)
@example(parts=[b"a", b"", b"b", b"cdefg", b"h"])
async def test_progress_never_goes_back_and_ends_with_the_audios_size(
    envelope: Envelope, parts: list[bytes]
) -> None:
    told: list[int] = []
    audio = b"".join(parts)
    await RequestPayload(envelope, blocks_of(parts), len(audio), Transfer(told.append)).write(Writer())
    assert (sorted(told), len(audio)) == (told, ([0, *told])[-1])


async def test_a_body_without_audio_is_its_envelope() -> None:
    writer, transfer = Writer(), Transfer()
    payload = RequestPayload(Envelope("application/json", b'{"uri":"speech:"}'), None, 0, transfer)
    await payload.write(writer)
    assert (bytes(writer.written), payload.size, transfer.body_sent) == (b'{"uri":"speech:"}', 17, True)


async def test_audio_of_unknown_size_gives_a_body_of_unknown_size() -> None:
    payload = RequestPayload(PLAIN, blocks_of([b"a"]), None, Transfer())
    assert payload.size is None
    assert payload.content_type == PLAIN.content_type


async def test_a_long_block_is_encoded_to_short_ones() -> None:
    writer = Writer()
    await RequestPayload(BASE64, blocks_of([bytes(3 << 18)]), 3 << 18, Transfer()).write(writer)
    assert writer.longest == 80 << 10


@pytest.mark.parametrize(
    ("envelope", "lent", "calls"),
    [
        (PLAIN, True, ["before:", "au", "dio:after"]),
        (PLAIN, False, ["before:", "au", "dio", ":after"]),
        (BASE64, False, ['{"audio":"', "YXVk", 'aW8="}']),
    ],
)
async def test_the_end_is_written_along_with_the_last_of_the_audio_where_there_is_room(
    envelope: Envelope, *, lent: bool, calls: list[str]
) -> None:
    writer = Writer()
    await RequestPayload(envelope, blocks_of([b"au", b"dio"], lent=lent), 5, Transfer()).write(writer)
    assert writer.calls == calls


@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_the_end_of_a_stream_is_written_after_it(envelope: Envelope) -> None:
    writer = Writer()
    await RequestPayload(envelope, blocks_of([b"au", b"dio"], lent=True), None, Transfer()).write(writer)
    assert body_of(envelope, b"audio") == writer.written
    assert writer.calls[-1] == envelope.epilogue.decode()


async def test_a_payload_is_consumed_once_it_was_written() -> None:
    payload = RequestPayload(PLAIN, blocks_of([b"audio"]), 5, Transfer())
    before = payload.consumed
    await payload.write(Writer())
    assert (before, payload.consumed, payload.autoclose) == (False, True, True)


def test_a_streamed_body_is_no_string() -> None:
    with pytest.raises(TypeError, match="a streamed body can't be decoded"):
        RequestPayload(PLAIN, None, 0, Transfer()).decode()


@define
class Source:
    """One block of audio, perhaps a failure then, and a note that it was closed."""

    error: Exception | None = None
    closed: bool = False

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"audio"
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_what_the_source_failed_with_is_kept(envelope: Envelope) -> None:
    error = SourceChangedError("a.mp3 shrank while it was being uploaded")
    source, transfer = Source(error), Transfer()
    with pytest.raises(SourceChangedError):
        await RequestPayload(envelope, source.blocks(), 9, transfer).write(Writer())
    assert (transfer.error, transfer.body_sent, source.closed) == (error, False, True)


async def test_what_is_no_error_of_the_sdks_is_not_kept() -> None:
    transfer = Transfer()
    with pytest.raises(ZeroDivisionError):
        await RequestPayload(PLAIN, Source(ZeroDivisionError()).blocks(), 9, transfer).write(Writer())
    assert (transfer.error, transfer.body_sent) == (None, False)


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("written", [0, 10, -1], ids=["nothing", "the prologue", "all but a byte"])
async def test_a_body_that_was_not_written_whole_was_not_sent(envelope: Envelope, written: int) -> None:
    source, transfer, transport = Source(), Transfer(), Transport()
    writer = Writer(transport, breaks_at=written % len(body_of(envelope, b"audio")))
    with pytest.raises(ConnectionResetError):
        await RequestPayload(envelope, source.blocks(), 5, transfer).write(writer)
    assert (transfer.body_sent, transfer.error, transport.limits[-1]) == (False, None, (None, None))


@pytest.mark.parametrize("waiting", [0, 3])
async def test_what_waits_in_a_buffer_when_a_body_breaks_off_is_not_sent(waiting: int) -> None:
    transport = Transport()
    transport.waiting = waiting
    with pytest.raises(ConnectionResetError):
        await RequestPayload(PLAIN, blocks_of([b"a"]), 1, Transfer()).write(Writer(transport, breaks_at=9))
    assert transport.aborted == bool(waiting)


async def test_the_source_is_closed_when_the_connection_breaks() -> None:
    source = Source()
    with pytest.raises(ConnectionResetError):
        await RequestPayload(PLAIN, source.blocks(), 5, Transfer()).write(Writer(breaks_at=10))
    assert source.closed


async def test_a_body_is_not_sent_before_its_last_byte_has_left() -> None:
    transfer, writer, seen = Transfer(), Writer(), set[bool]()
    writer.on_drain = lambda: seen.add(transfer.body_sent)
    await RequestPayload(PLAIN, blocks_of([b"a", b"b"]), 2, transfer).write(writer)
    assert (seen, transfer.body_sent) == ({False}, True)


async def test_a_body_that_a_buffer_still_holds_was_not_sent() -> None:
    transfer, writer = Transfer(), Writer()
    whole = len(body_of(PLAIN, b"ab"))

    def break_at_the_end() -> None:
        if len(writer.written) == whole:
            raise ConnectionResetError("broken")

    writer.on_drain = break_at_the_end
    with pytest.raises(ConnectionResetError):
        await RequestPayload(PLAIN, blocks_of([b"ab"]), 2, transfer).write(writer)
    assert (len(writer.written), transfer.body_sent) == (whole, False)


@pytest.mark.parametrize(("encrypted", "high"), [(False, 0), (True, 1)], ids=["tcp", "tls"])
async def test_the_connections_buffer_is_shut_for_the_body_and_opened_afterwards(
    encrypted: bool, high: int
) -> None:
    transport = Transport(encrypted=encrypted)
    await RequestPayload(PLAIN, blocks_of([b"a"]), 1, Transfer()).write(Writer(transport))
    assert [(high, 0), (None, None)] == transport.limits


async def test_a_byte_that_waits_in_a_buffer_has_not_moved() -> None:
    transport, transfer = Transport(), Transfer(received=100)
    assert transfer.position() == 100
    await RequestPayload(PLAIN, blocks_of([b"abc"]), 3, transfer).write(Writer(transport))
    transport.waiting = 10
    assert transfer.sent + 100 - 10 == transfer.position()


async def test_without_a_transport_every_written_byte_has_moved() -> None:
    transfer = Transfer()
    await RequestPayload(PLAIN, blocks_of([b"abc"]), 3, transfer).write(Writer())
    assert len(body_of(PLAIN, b"abc")) == transfer.position()


@define
class Peer:
    """An HTTP server that is given bytes, and no library to hide what they are."""

    reads: asyncio.Event = field(factory=asyncio.Event)
    head: bytes = b""
    body: bytes = b""
    port: int = 0
    breaks: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        await self.reads.wait()
        if self.breaks:
            writer.transport.abort()
            return
        if b"Transfer-Encoding: chunked" in self.head:
            while size := int(await reader.readline(), 16):
                self.body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            length = self.head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
            self.body = await reader.readexactly(int(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield


async def post(peer: Peer, payload: RequestPayload, context: ssl.SSLContext | None = None) -> int:
    scheme, options = ("https", {"ssl": context}) if context else ("http", dict[str, Any]())
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{scheme}://127.0.0.1:{peer.port}/", data=payload, **options) as response,
    ):
        return response.status


def large() -> list[bytes]:
    return [bytes([number]) * ((1 << 18) + number) for number in range(20)]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("sized", [True, False], ids=["sized", "chunked"])
async def test_a_body_arrives_whole_though_its_memory_is_used_again(envelope: Envelope, sized: bool) -> None:
    peer, transfer, audio = Peer(), Transfer(), b"".join(large())
    peer.reads.set()
    size = len(audio) if sized else None
    async with peer.running():
        assert await post(peer, RequestPayload(envelope, blocks_of(large()), size, transfer)) == 200
    expected = body_of(envelope, audio)
    assert (expected, len(expected), True) == (peer.body, transfer.sent, transfer.body_sent)
    length = b"Transfer-Encoding: chunked" if size is None else b"Content-Length: %d" % len(expected)
    assert length in peer.head


async def test_a_body_arrives_whole_over_tls() -> None:
    authority = trustme.CA()
    serving, calling = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(calling)
    peer, transfer, audio = Peer(), Transfer(), b"".join(large())
    peer.reads.set()
    async with peer.running(serving):
        await post(peer, RequestPayload(BASE64, blocks_of(large()), len(audio), transfer), calling)
    assert (body_of(BASE64, audio), True) == (peer.body, transfer.body_sent)


@pytest.mark.parametrize("breaks", [True, False], ids=["which then resets", "which then reads"])
async def test_a_body_for_a_peer_that_does_not_read_is_not_sent(breaks: bool) -> None:
    peer, transfer = Peer(breaks=breaks), Transfer()
    payload = RequestPayload(PLAIN, blocks_of([bytes(1 << 18)] * (LARGE >> 18)), LARGE, transfer)
    async with peer.running(), asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        posting = tasks.create_task(_outcome(post(peer, payload)))
        while transfer.position() == transfer.sent:  # noqa: ASYNC110 - a full buffer sets no event
            await asyncio.sleep(0)
        assert not transfer.body_sent
        assert transfer.sent < LARGE
        peer.reads.set()
        assert (await posting == 200) is not breaks
    assert transfer.body_sent is not breaks


async def _outcome(posting: Any) -> int | aiohttp.ClientError:
    try:
        status: int = await posting
    except aiohttp.ClientError as error:
        return error
    return status


async def test_a_sources_error_is_kept_where_aiohttp_wraps_it() -> None:
    error = SourceChangedError("a.mp3 shrank while it was being uploaded")
    peer, transfer = Peer(), Transfer()
    async with peer.running():
        with pytest.raises(aiohttp.ClientError):
            await post(peer, RequestPayload(PLAIN, Source(error).blocks(), 9, transfer))
        peer.breaks = True
        peer.reads.set()
    assert (transfer.error, transfer.body_sent) == (error, False)
