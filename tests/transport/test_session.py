from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
import trustme
from support.raw_server import Exchange, Script, raw_server
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AmbiguousUploadError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    Event,
    Failure,
    InvalidResponseError,
    RetryPolicy,
    SiliconFlowError,
    Timeouts,
    UnexpectedRedirectError,
    Voice,
    VoiceClient,
    WaitEvent,
)
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.transport.translation import translate

LARGE = bytes(16 << 20)  # more than the socket buffers of loopback take


def once(base_url: str, timeouts: Timeouts = Timeouts()) -> VoiceClient:  # noqa: B008 - frozen
    return VoiceClient("sk-test", base_url=base_url, retry=RetryPolicy.none(), limits=None, timeouts=timeouts)


async def upload(client: VoiceClient, audio: bytes = SPEECH) -> Voice:
    return await client.upload_voice(audio, custom_name="narrator", text=TEXT, on_ambiguous="raise")


async def failure_of(base_url: str, audio: bytes = SPEECH, **timeouts: float) -> SiliconFlowError:
    """The error of one attempt; of an unknown outcome, the cause that is behind it."""
    async with once(base_url, Timeouts(**timeouts)) as client:
        with pytest.raises(SiliconFlowError) as caught:
            await upload(client, audio)
    error = caught.value
    if isinstance(error, AmbiguousUploadError):
        assert isinstance(error.__cause__, SiliconFlowError)
        return error.__cause__
    return error


def after_all(then: Callable[[Exchange], Awaitable[None]]) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await then(exchange)

    return script


async def close(exchange: Exchange) -> None:
    exchange.writer.close()


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def sends(data: bytes) -> Callable[[Exchange], Awaitable[None]]:
    async def send(exchange: Exchange) -> None:
        await exchange.send(data)

    return send


@pytest.mark.parametrize(
    ("answer", "kind", "fragment"),
    [
        (close, APIConnectionError, "closed the connection without an answer"),
        (reset, APIConnectionError, "broke: Connection reset by peer"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), APIConnectionError, "was cut short"),
        (
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            APIConnectionError,
            "not valid",
        ),
        (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), APIConnectionError, "is not valid HTTP"),
        (
            sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999 + b"\r\n\r\n"),
            APIConnectionError,
            "is not valid HTTP",
        ),
        (
            sends(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"),
            InvalidResponseError,
            "without a speech: uri",
        ),
        (sends(b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"), APIStatusError, "Bad Gateway"),
    ],
)
async def test_an_answer_that_is_lost_after_all_was_sent_is_unknown(
    answer: Callable[[Exchange], Awaitable[None]], kind: type[SiliconFlowError], fragment: str
) -> None:
    async with raw_server(after_all(answer)) as server:
        error = await failure_of(server.base_url)
    assert (type(error) is kind or kind is APIStatusError, error.failure) == (True, Failure.UNKNOWN)
    assert fragment in str(error)


@pytest.mark.parametrize("end", [close, reset])
async def test_a_connection_that_ends_within_the_body_has_not_sent_it(
    end: Callable[[Exchange], Awaitable[None]],
) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.reader.readexactly(1000)
        await end(exchange)

    async with raw_server(script) as server:
        error = await failure_of(server.base_url, LARGE)
    assert (type(error), error.failure) == (APIConnectionError, Failure.NOT_SENT)


async def test_a_refusal_in_the_middle_of_the_body_is_heard() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.answer(b'{"code":50505,"message":"busy"}', "503 Service Unavailable")
        await exchange.reader.readexactly(1000)

    async with raw_server(script) as server:
        error = await failure_of(server.base_url, LARGE)
    assert (getattr(error, "code", None), error.failure) == (50505, Failure.REFUSED)


async def test_a_500_in_the_middle_of_the_body_has_stored_nothing() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.answer(b"{}", "500 Internal Server Error")
        await exchange.reader.readexactly(1000)

    async with raw_server(script) as server:
        error = await failure_of(server.base_url, LARGE)
    assert (getattr(error, "status", None), error.failure) == (500, Failure.NOT_SENT)


async def test_the_status_of_a_refusal_that_is_cut_short_counts() -> None:
    answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 90\r\n\r\n{"
    async with raw_server(after_all(sends(answer))) as server:
        error = await failure_of(server.base_url)
    assert (getattr(error, "status", None), error.failure) == (503, Failure.REFUSED)


async def test_nobody_listening_is_not_sent(unused_tcp_port: int) -> None:
    error = await failure_of(f"http://127.0.0.1:{unused_tcp_port}/v1")
    assert (type(error), error.failure) == (APIConnectionError, Failure.NOT_SENT)
    assert "No connection to 127.0.0.1: Connect" in str(error)


async def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    error = await failure_of("https://siliconflow.invalid/v1")
    assert (type(error), error.failure) == (APIConnectionError, Failure.NOT_SENT)
    assert "The name siliconflow.invalid can't be resolved" in str(error)


@pytest.mark.parametrize(
    ("status", "headers"),
    [("302 Found", "Location: https://elsewhere.invalid/\r\n"), ("307 Temporary Redirect", "")],
)
async def test_a_redirect_is_never_followed(status: str, headers: str) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(b"", status, headers)

    async with raw_server(script) as server:
        error = await failure_of(server.base_url)
        assert len(server.exchanges) == 1
    assert (type(error), error.failure) == (UnexpectedRedirectError, Failure.FINAL)


async def test_a_compressed_answer_is_understood_and_a_bomb_is_not_unpacked() -> None:
    async def good(exchange: Exchange) -> None:
        await exchange.read_request()
        body = gzip.compress(b'{"uri":"speech:a:b:c"}')
        await exchange.answer(body, headers="Content-Encoding: gzip\r\n")

    async def bomb(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(gzip.compress(bytes(64 << 20)), headers="Content-Encoding: gzip\r\n")

    async with raw_server(good) as server, once(server.base_url) as client:
        assert (await upload(client)).uri == "speech:a:b:c"
    async with raw_server(bomb) as server:
        assert "more than 1,048,576 bytes" in str(await failure_of(server.base_url))


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    async with raw_server(script) as server:
        assert "more than 1,048,576 bytes" in str(await failure_of(server.base_url))


async def never(_exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def trickle(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.3)


async def begin_and_stop(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n ")
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("script", "audio", "fragment", "failure"),
    [
        (
            after_all(never),
            SPEECH,
            "took longer than 20 s; all was sent, and no answer came",
            Failure.UNKNOWN,
        ),
        (
            after_all(trickle),
            SPEECH,
            "took longer than 20 s; 67 bytes of the answer had come",
            Failure.UNKNOWN,
        ),
        (after_all(begin_and_stop), SPEECH, "no byte moved for 5 s; 1 bytes of the answer", Failure.UNKNOWN),
        (never, LARGE, "no byte moved for 5 s", Failure.NOT_SENT),
    ],
    ids=["no answer", "a trickling answer", "an answer that stops", "a body that is not read"],
)
def test_an_attempt_ends_when_it_takes_too_long_or_stalls(
    script: Script, audio: bytes, fragment: str, failure: Failure
) -> None:
    @virtual_time
    async def run() -> None:
        async with raw_server(script) as server:
            error = await failure_of(server.base_url, audio, attempt=20, stall=5)
        assert (type(error), error.failure) == (APITimeoutError, failure)
        assert fragment in str(error)

    run()


@virtual_time
async def test_a_slow_link_is_no_stall() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        for _ in range(16):
            await exchange.reader.readexactly(1 << 20)
            await asyncio.sleep(4)
        await exchange.answer()

    timeouts = Timeouts(attempt=None, stall=20)
    async with raw_server(script) as server, once(server.base_url, timeouts) as client:
        voice = await upload(client, LARGE)
    assert voice.attempts[0].seconds >= 60


@virtual_time
async def test_without_bounds_an_attempt_may_take_its_time() -> None:
    async with Emulator(latency=3600) as emulator:
        timeouts = Timeouts(attempt=None, connect=None, stall=None)
        retry = RetryPolicy(attempts=1, deadline=None)
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, timeouts=timeouts, retry=retry
        ) as client:
            assert (await upload(client)).attempts[0].seconds == pytest.approx(3600, abs=1)


@virtual_time
async def test_the_deadline_of_a_call_ends_its_attempt() -> None:
    async with Emulator(latency=3600) as emulator:
        retry = RetryPolicy(attempts=1, deadline=30)
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            with pytest.raises(AmbiguousUploadError, match="ran into the deadline of the call"):
                await upload(client)
            assert asyncio.get_running_loop().time() == pytest.approx(30, abs=1)


async def test_no_connection_in_time_is_a_timeout() -> None:
    class Nowhere(aiohttp.abc.AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
            await asyncio.Event().wait()
            raise AssertionError

        async def close(self) -> None:
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Nowhere())) as session:
        client = VoiceClient(
            "sk-test", session=session, retry=RetryPolicy.none(), timeouts=Timeouts(connect=0.001)
        )
        with pytest.raises(APITimeoutError, match=r"No connection to api\.siliconflow\.cn in time") as caught:
            await upload(client)
    assert caught.value.failure is Failure.NOT_SENT


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> aiohttp.ClientSession:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


async def test_a_recording_goes_over_tls(authority: trustme.CA) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer()

    async with raw_server(script, ssl=serving(authority, "localhost")) as server:
        async with trusting(authority) as session:
            client = VoiceClient("sk-test", base_url=server.base_url, session=session, limits=None)
            await client.upload_voice(LARGE, custom_name="narrator", text=TEXT, on_ambiguous="raise")
        assert LARGE in server.exchanges[0].body


@pytest.mark.parametrize("name", ["localhost", "elsewhere.invalid"])
async def test_a_certificate_that_is_not_valid_is_not_sent_to(authority: trustme.CA, name: str) -> None:
    trusted = trustme.CA() if name == "localhost" else authority
    async with raw_server(never, ssl=serving(authority, name)) as server, trusting(trusted) as session:
        client = VoiceClient("sk-test", base_url=server.base_url, session=session, retry=RetryPolicy.none())
        with pytest.raises(APIConnectionError, match="TLS certificate of localhost is not valid") as caught:
            await upload(client)
    assert caught.value.failure is Failure.NOT_SENT


async def test_a_server_that_speaks_no_tls_is_not_sent_to(emulator: Emulator) -> None:
    error = await failure_of(emulator.base_url.replace("http:", "https:"))
    assert (type(error), error.failure) == (APIConnectionError, Failure.NOT_SENT)


async def test_closing_the_client_ends_what_is_under_way() -> None:
    held = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        held.set()
        await asyncio.Event().wait()

    async with raw_server(script) as server:
        client = once(server.base_url)
        task = asyncio.create_task(upload(client))
        await held.wait()
        await client.close()
        with pytest.raises(AmbiguousUploadError):
            await task


async def test_the_middlewares_of_a_borrowed_session_see_nothing(emulator: Emulator) -> None:
    seen: list[str] = []

    async def middleware(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        seen.append(request.headers["Authorization"])
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        await upload(VoiceClient("sk-test", base_url=emulator.base_url, session=session))
        assert seen == []
        async with session.get(f"{emulator.base_url}/x", headers={"Authorization": "none"}):
            assert seen == ["none"]


async def test_a_session_that_is_closed_between_attempts_is_said_so(emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(503))
    waiting = asyncio.Event()

    def look(event: Event) -> None:
        if isinstance(event, WaitEvent):
            waiting.set()

    async with aiohttp.ClientSession() as session:
        client = VoiceClient("sk-test", base_url=emulator.base_url, session=session, on_event=look)
        task = asyncio.create_task(upload(client))
        await waiting.wait()
    with pytest.raises(ConfigurationError, match="The session is closed"):
        await task


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (aiohttp.ClientConnectionError("Connector is closed."), "failed: ClientConnectionError"),
        (OSError("no number"), "broke: OSError"),
    ],
)
def test_whatever_else_goes_wrong_is_no_answer_too(problem: Exception, said: str) -> None:
    error = translate(problem, "api.siliconflow.cn")
    assert (type(error), str(error)) == (
        APIConnectionError,
        f"The connection to api.siliconflow.cn {said}.",
    )
