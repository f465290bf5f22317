from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import trustme

from siliconflow_voice.emulator import Emulator, Fault

Until = Callable[[Callable[[], bool]], Awaitable[None]]
Connect = Callable[[Emulator], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

AUDIO = "data:audio/mpeg;base64,aGVsbG93b3JsZA=="
UPLOADS, LIST, DELETIONS = "/uploads/audio/voice", "/audio/voice/list", "/audio/voice/deletions"


async def upload(
    emulator: Emulator, session: aiohttp.ClientSession, fields: dict[str, str], **changes: str
) -> tuple[int, Any]:
    body = fields | {"audio": AUDIO} | changes
    async with session.post(emulator.base_url + UPLOADS, json=body) as response:
        return response.status, await response.json()


async def test_the_address_is_loopback_and_ends_in_v1() -> None:
    async with Emulator() as emulator:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", emulator.base_url)


async def test_it_serves_https_with_a_context(fields: dict[str, str]) -> None:
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with (
        Emulator(ssl=server) as emulator,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client), headers={"Authorization": "Bearer sk-test"}
        ) as session,
    ):
        assert emulator.base_url.startswith("https://127.0.0.1:")
        assert (await upload(emulator, session, fields))[0] == 200


def test_there_is_no_address_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="only while it runs"):
        _ = Emulator().base_url


async def test_it_can_not_be_started_twice_at_once() -> None:
    async with Emulator() as emulator:
        with pytest.raises(RuntimeError, match="already runs"):
            await emulator.start()


async def test_it_can_be_closed_twice_and_started_again() -> None:
    emulator = Emulator()
    await emulator.start()
    await emulator.close()
    await emulator.close()
    async with emulator:
        assert emulator.base_url


async def test_a_port_that_is_taken_is_reported_and_leaves_it_closed() -> None:
    async with Emulator() as first:
        second = Emulator(port=int(first.base_url.split(":")[2].removesuffix("/v1")))
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        with pytest.raises(RuntimeError, match="only while it runs"):
            _ = second.base_url


@pytest.mark.parametrize("latency", [-1.0, (2.0, 1.0), float("inf")])
def test_an_impossible_latency_is_refused(latency: Any) -> None:
    with pytest.raises(ValueError, match="latency must be seconds or a range of seconds"):
        Emulator(latency=latency)


async def test_requests_are_noted_with_their_time_endpoint_and_outcome(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    before = asyncio.get_running_loop().time()
    async with Emulator(faults=[Fault.return_status(503)]) as emulator:
        await upload(emulator, session, fields)
        async with session.get(emulator.base_url + LIST):
            pass
        noted = [
            (record.endpoint, record.status, record.code, record.refused) for record in emulator.requests
        ]
        assert noted == [("upload", 503, 50505, True), ("list", 200, None, False)]
        first, second = (record.at for record in emulator.requests)
        assert before <= first <= second <= asyncio.get_running_loop().time()


async def test_the_most_requests_at_once_are_counted(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(latency=(0.02, 0.04)) as emulator:
        await asyncio.gather(*(upload(emulator, session, fields) for _ in range(5)))
        assert (emulator.peak_in_flight, emulator.in_flight, len(emulator.voices)) == (5, 0, 5)


async def test_latency_is_waited_on_the_loops_clock(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(latency=0.05) as emulator:
        before = asyncio.get_running_loop().time()
        await upload(emulator, session, fields)
        assert asyncio.get_running_loop().time() - before >= 0.05


async def test_a_seed_makes_a_run_repeatable(session: aiohttp.ClientSession, fields: dict[str, str]) -> None:
    uris = []
    for seed in (1, 1, 2):
        async with Emulator(seed=seed) as emulator:
            uris.append((await upload(emulator, session, fields))[1]["uri"])
    assert (uris[0] == uris[1], uris[0] == uris[2]) == (True, False)


async def test_closing_cuts_off_what_is_under_way_and_leaves_no_task(
    session: aiohttp.ClientSession, fields: dict[str, str], until: Until
) -> None:
    emulator = Emulator(latency=3600.0)
    await emulator.start()
    url = emulator.base_url + UPLOADS
    async with asyncio.TaskGroup() as group:

        async def disappointed() -> None:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.post(url, json=fields | {"audio": AUDIO})

        group.create_task(disappointed())
        await until(lambda: bool(emulator.voices))
        await emulator.close()
    assert emulator.in_flight == 0
    assert emulator.requests[0].status is None
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_client_that_gives_up_leaves_no_trace_in_the_log(
    session: aiohttp.ClientSession, fields: dict[str, str], caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    async with Emulator(latency=3600.0) as emulator:
        url = emulator.base_url + UPLOADS
        with pytest.raises(TimeoutError):
            await session.post(url, json=fields | {"audio": AUDIO}, timeout=aiohttp.ClientTimeout(total=0.05))
        await until(lambda: not emulator.in_flight)
    assert caplog.records == []


async def test_a_client_that_leaves_within_its_body_leaves_no_trace_in_the_log(
    connect: Connect, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    async with Emulator() as emulator:
        _, writer = await connect(emulator)
        writer.write(
            b"POST /v1/uploads/audio/voice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\nonly some"
        )
        await until(lambda: bool(emulator.in_flight))
        writer.close()
        await until(lambda: not emulator.in_flight)
    assert (emulator.requests[0].status, caplog.records) == (None, [])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"POST /v1/uploads/audio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: ?\r\n\r\n",
        (
            b"POST /v1/uploads/audio/voice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n?\r\n"
        ),
    ],
)
async def test_a_client_that_does_not_speak_http_leaves_no_trace_in_the_log(
    connect: Connect, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator() as emulator:
        reader, writer = await connect(emulator)
        writer.write(request_bytes)
        assert b" 400 " in await reader.readline()
    assert caplog.records == []
