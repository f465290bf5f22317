"""Uploads a second, against peers: one server, one run, ratios instead of seconds."""

from __future__ import annotations

import argparse
import asyncio
import base64
import socket
import statistics
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import openai
from sink import serving

from siliconflow_voice import Throttle, VoiceClient

FIELDS = {"model": "FunAudioLLM/CosyVoice2-0.5B", "customName": "bench", "text": "慢工出细活"}
AT_ONCE = 32

_LIMIT = "sendfile, one blocking socket"
_ASKED = [
    ("siliconflow_voice multipart", "aiohttp FormData", 2.75),
    ("siliconflow_voice multipart", "openai files=", 6.5),
    ("siliconflow_voice multipart", "httpx files=", 6),
    ("siliconflow_voice multipart", _LIMIT, 0.85),
    ("siliconflow_voice base64", "aiohttp json=", 4),
]

Upload = Callable[[Path], Awaitable[object]]


def recording(folder: Path) -> Path:
    """Write 300 KB of sound: 9.4 s at 16 kHz."""
    path = folder / "300kb.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(range(250)) * 1_200)
    return path


@asynccontextmanager
async def ours(base: str, encoding: str) -> AsyncIterator[Upload]:
    """The SDK as a user has it: all checks, retries and the throttle on."""
    async with VoiceClient("sk-test", base_url=base, throttle=Throttle(max_concurrency=AT_ONCE)) as client:

        def upload(path: Path) -> Awaitable[object]:
            return client.upload_voice(
                path,
                custom_name="bench",
                text=FIELDS["text"],
                encoding="base64" if encoding == "base64" else "multipart",
            )

        yield upload


@asynccontextmanager
async def aiohttp_form(base: str) -> AsyncIterator[Upload]:
    """What an aiohttp user writes: FormData with an open file."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def upload(path: Path) -> None:
            form = aiohttp.FormData(FIELDS)
            with path.open("rb") as file:
                form.add_field("file", file, filename="a.wav", content_type="audio/wav")
                async with session.post(f"{base}/uploads/audio/voice", data=form) as response:
                    assert response.status == 200
                    await response.json()

        yield upload


@asynccontextmanager
async def aiohttp_json(base: str) -> AsyncIterator[Upload]:
    """What an aiohttp user writes for base64."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def upload(path: Path) -> None:
            audio = base64.b64encode(path.read_bytes()).decode()  # noqa: ASYNC240 - as it is commonly written
            document = {**FIELDS, "audio": f"data:audio/wav;base64,{audio}"}
            async with session.post(f"{base}/uploads/audio/voice", json=document) as response:
                assert response.status == 200
                await response.json()

        yield upload


@asynccontextmanager
async def httpx_files(base: str) -> AsyncIterator[Upload]:
    """Httpx with an open file."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

        async def upload(path: Path) -> None:
            with path.open("rb") as file:
                response = await client.post(
                    f"{base}/uploads/audio/voice", data=FIELDS, files={"file": ("a.wav", file, "audio/wav")}
                )
            assert response.status_code == 200
            response.json()

        yield upload


@asynccontextmanager
async def openai_files(base: str) -> AsyncIterator[Upload]:
    """Openai's client, as SiliconFlow's own guide uses it."""
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=base) as client:

        async def upload(path: Path) -> None:
            audio = path.read_bytes()  # noqa: ASYNC240 - as it is commonly written
            await client.post(
                "/uploads/audio/voice",
                cast_to=object,
                body=FIELDS,
                files={"file": ("a.wav", audio)},
            )

        yield upload


def sendfile(port: int, path: Path, seconds: float) -> float:
    """One blocking socket, the kernel copying: uploads a second that nothing in Python will pass."""
    size = path.stat().st_size
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size
    with socket.create_connection(("127.0.0.1", port)) as connection:
        count = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            with path.open("rb") as file:
                connection.sendall(head)
                connection.sendfile(file)
            connection.recv(4096)
            count += 1
        return count / (time.perf_counter() - began)


async def rate(upload: Upload, path: Path, seconds: float) -> float:
    """Uploads a second, with so many at once."""
    done = 0
    began = time.perf_counter()

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await upload(path)
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    return done / (time.perf_counter() - began)


async def measure(port: int, path: Path, *, seconds: float, rounds: int, only: str) -> dict[str, float]:
    """Take turns, so that what else the machine does hits all alike; the median of each."""
    base = f"http://127.0.0.1:{port}"
    results: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        peers = {
            "siliconflow_voice multipart": await stack.enter_async_context(ours(base, "multipart")),
            "siliconflow_voice base64": await stack.enter_async_context(ours(base, "base64")),
            "aiohttp FormData": await stack.enter_async_context(aiohttp_form(base)),
            "aiohttp json=": await stack.enter_async_context(aiohttp_json(base)),
            "httpx files=": await stack.enter_async_context(httpx_files(base)),
            "openai files=": await stack.enter_async_context(openai_files(base)),
        }
        peers = {name: upload for name, upload in peers.items() if only in name}
        for upload in peers.values():
            await rate(upload, path, seconds / 4)  # warm
        for _ in range(rounds):
            for name, upload in peers.items():
                results.setdefault(name, []).append(await rate(upload, path, seconds))
            results.setdefault(_LIMIT, []).append(await asyncio.to_thread(sendfile, port, path, seconds))
    return {name: statistics.median(rates) for name, rates in results.items()}


def report(rates: dict[str, float]) -> None:
    """Print uploads a second, and the ratios that the design asks for."""
    for name, uploads in rates.items():
        print(f"{name:32} {uploads:8,.0f} uploads/s {1e3 / uploads:8.3f} ms each")
    print()
    for mine, peer, asked in _ASKED:
        if mine in rates and peer in rates:
            print(f"{mine} / {peer}: {rates[mine] / rates[peer]:.2f} x (asked: {asked} x)")


def main() -> None:
    """Start the server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each peer in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="peers with this in their names")
    options = parser.parse_args()
    with serving() as port, tempfile.TemporaryDirectory() as folder:
        path = recording(Path(folder))
        results = measure(port, path, seconds=options.seconds, rounds=options.rounds, only=options.only)
        report(asyncio.run(results))


if __name__ == "__main__":
    main()
