from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.emulator.wire import has_left, reset

Until = Callable[[Callable[[], bool]], Awaitable[None]]
Connect = Callable[[Emulator], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

AUDIO = "data:audio/mpeg;base64,aGVsbG93b3JsZA=="
UPLOADS = "/uploads/audio/voice"


def head(length: int) -> bytes:
    return (
        b"POST /v1/uploads/audio/voice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
    )


async def test_a_returned_status_stores_nothing_and_asks_no_quota(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    fault = Fault.return_status(503, headers={"Retry-After": "7", "X-SiliconCloud-Trace-Id": "ti_mine"})
    async with Emulator(faults=[fault]) as emulator:
        async with session.post(emulator.base_url + UPLOADS, json=fields | {"audio": AUDIO}) as response:
            assert (response.status, (await response.json())["code"]) == (503, 50505)
            assert response.headers["Retry-After"] == "7"
            assert response.headers.getall("x-siliconcloud-trace-id") == ["ti_mine"]
        assert (emulator.voices, emulator.unmet_faults) == ([], ())


async def test_a_returned_status_waits_for_the_whole_body(connect: Connect) -> None:
    async with Emulator(faults=[Fault.return_status(503)]) as emulator:
        reader, writer = await connect(emulator)
        writer.write(head(10) + b"12345")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
        writer.write(b"67890")
        assert await reader.readline() == b"HTTP/1.1 503 Service Unavailable\r\n"


async def test_a_returned_status_is_returned_to_a_broken_body_too(
    session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Emulator(faults=[Fault.return_status(503)]) as emulator,
        session.post(
            emulator.base_url + UPLOADS, data=b"no gzip", headers={"Content-Encoding": "gzip"}
        ) as response,
    ):
        assert response.status == 503
    assert caplog.records == []


async def test_a_fault_may_be_added_while_it_runs(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator() as emulator:
        emulator.add_fault(Fault.return_status(504, endpoint="list"))
        async with session.get(emulator.base_url + "/audio/voice/list") as response:
            assert (response.status, await response.json()) == (504, "504 Gateway Timeout")


async def test_a_delay_stores_at_once_and_answers_late(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(faults=[Fault.delay(0.05)]) as emulator:
        before = asyncio.get_running_loop().time()
        async with session.post(emulator.base_url + UPLOADS, json=fields | {"audio": AUDIO}) as response:
            assert (response.status, len(emulator.voices)) == (200, 1)
        assert asyncio.get_running_loop().time() - before >= 0.05


async def test_a_stall_takes_no_more_of_the_body_than_fits_in_buffers(connect: Connect, until: Until) -> None:
    async with Emulator(faults=[Fault.stall_after(1000)]) as emulator:
        _, writer = await connect(emulator)
        writer.write(head(100_000_000))
        writer.write(bytes(50_000_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await writer.drain()
        assert emulator.in_flight == 1
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until(lambda: not emulator.in_flight)


@pytest.mark.parametrize("sent", [10, 500_000], ids=["a little", "more than aiohttp's buffer holds"])
async def test_a_stalled_connection_is_let_go_when_the_client_closes_it(
    connect: Connect, sent: int, until: Until
) -> None:
    async with Emulator(faults=[Fault.stall_after(0)]) as emulator:
        _, writer = await connect(emulator)
        writer.write(head(1_000_000) + bytes(sent))
        await until(lambda: bool(emulator.in_flight))
        writer.close()
        await writer.wait_closed()
        await until(lambda: not emulator.in_flight)
        assert (emulator.requests[0].status, emulator.voices) == (None, [])


async def test_a_stalled_connection_does_not_keep_the_emulator_from_closing(
    connect: Connect, until: Until
) -> None:
    async with Emulator(faults=[Fault.stall_after(5)]) as emulator:
        reader, writer = await connect(emulator)
        writer.write(head(10) + b"1234567890")
        await until(lambda: bool(emulator.in_flight))
    assert await reader.read() == b""


@pytest.mark.parametrize("after", [0, 5, 1_000_000], ids=["at once", "within the body", "past its end"])
async def test_a_reset_is_an_error_on_the_clients_socket(connect: Connect, after: int, until: Until) -> None:
    async with Emulator(faults=[Fault.reset_after(after)]) as emulator:
        reader, writer = await connect(emulator)
        writer.write(head(10) + b"1234567890")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(lambda: not emulator.in_flight)
        assert (emulator.requests[0].status, emulator.voices) == (None, [])


async def test_a_reset_waits_for_its_byte(connect: Connect) -> None:
    async with Emulator(faults=[Fault.reset_after(6)]) as emulator:
        reader, writer = await connect(emulator)
        writer.write(head(10) + b"12345")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
        writer.write(b"6")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_dropped_answer_leaves_a_voice_behind(
    session: aiohttp.ClientSession, fields: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator(faults=[Fault.drop_answer()]) as emulator:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(emulator.base_url + UPLOADS, json=fields | {"audio": AUDIO})
        assert (len(emulator.voices), emulator.requests[0].status) == (1, None)
    assert caplog.records == []


@pytest.mark.parametrize("keep", [0, 8])
async def test_a_truncated_answer_announces_more_than_it_sends(
    session: aiohttp.ClientSession, fields: dict[str, str], keep: int
) -> None:
    async with Emulator(faults=[Fault.truncate_answer(keep)]) as emulator:
        async with session.post(emulator.base_url + UPLOADS, json=fields | {"audio": AUDIO}) as response:
            assert response.status == 200
            assert response.content_length is not None
            assert response.content_length > 40
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
            assert response.content.total_raw_bytes == keep
        assert (len(emulator.voices), emulator.requests[0].status) == (1, 200)


async def test_a_trickled_answer_comes_byte_by_byte_and_whole(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(faults=[Fault.trickle_answer(0.001)]) as emulator:
        before = asyncio.get_running_loop().time()
        async with session.post(emulator.base_url + UPLOADS, json=fields | {"audio": AUDIO}) as response:
            first = await response.content.readany()
            body = first + await response.read()
        assert len(first) < len(body) // 2
        assert body.decode() == f'{{"uri": "{emulator.voices[0].uri}"}}'
        assert asyncio.get_running_loop().time() - before >= 0.001 * len(body)


@pytest.mark.parametrize("fault", [Fault.trickle_answer(3600.0), Fault.delay(3600.0)])
async def test_a_client_that_will_not_wait_for_its_answer_is_let_go(
    session: aiohttp.ClientSession,
    fields: dict[str, str],
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    until: Until,
) -> None:
    async with Emulator(faults=[fault]) as emulator:
        with pytest.raises(TimeoutError):
            async with session.post(
                emulator.base_url + UPLOADS,
                json=fields | {"audio": AUDIO},
                timeout=aiohttp.ClientTimeout(total=0.1),
            ) as response:
                await response.read()
        await until(lambda: not emulator.in_flight)
        assert len(emulator.voices) == 1
    assert caplog.records == []


class TransportInMemory(asyncio.Transport):
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_a_connection_without_a_socket_can_be_reset() -> None:
    transport = TransportInMemory()
    reset(transport)
    assert transport.aborted


def test_of_a_connection_without_a_socket_nobody_knows_that_it_was_left() -> None:
    assert not has_left(TransportInMemory())
