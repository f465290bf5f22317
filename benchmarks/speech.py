"""How soon a chunk of speech is handed out, and the peak memory of long streams and of large references."""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import struct
import sys
import tempfile
from pathlib import Path

import aiohttp

from siliconflow_voice import Reference, Timeouts, VoiceClient

MIB = 1 << 20
PIECE = 1 << 16
ROUNDS = 300
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nTransfer-Encoding: chunked\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak as many MiB as the input says; with 0, one chunk that has the time at which it was sent."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            left = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.read(min(left, PIECE))
            left -= len(body)
            while left:
                left -= len(await reader.read(min(left, PIECE)))
            writer.write(HEAD)
            await writer.drain()
            await asyncio.sleep(0.002)
            mib = int(body.split(b'"input":"')[1].split(b'"')[0])
            if not mib:
                sent = struct.pack("<d", asyncio.get_running_loop().time())
                writer.write(b"8\r\n" + sent + b"\r\n0\r\n\r\n")
            else:
                chunk = b"%x\r\n" % PIECE + bytes(PIECE) + b"\r\n"
                for _ in range(mib * MIB // PIECE):
                    writer.write(chunk)
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def handed_out(url: str) -> None:
    """Print how long after it was sent a first chunk is handed out: by plain aiohttp, and by the client."""
    loop = asyncio.get_running_loop()
    bare: list[float] = []
    client_took: list[float] = []
    async with aiohttp.ClientSession() as session, VoiceClient("sk-test", base_url=url) as client:
        for _ in range(ROUNDS):
            async with session.post(f"{url}/audio/speech", data=b'{"input":"0"}') as response:
                chunk = await response.content.readany()
                bare.append(loop.time() - struct.unpack("<d", chunk[:8])[0])
            async with client.stream_speech("0", voice="anna", response_format="pcm") as speech:
                chunk = await anext(speech)
                client_took.append(loop.time() - struct.unpack("<d", chunk[:8])[0])
    for name, seconds in (("bare aiohttp", bare), ("client", client_took)):
        ordered = sorted(seconds)
        print(
            f"first chunk, {name:12}: median {statistics.median(seconds) * 1000:.2f} ms, "
            f"99 % {ordered[int(len(ordered) * 0.99)] * 1000:.2f} ms"
        )


async def stream(url: str, mib: str) -> None:
    """Read so many MiB of speech."""
    timeouts = Timeouts(attempt=None)
    async with VoiceClient("sk-test", base_url=url, timeouts=timeouts) as client:
        async with client.stream_speech(mib, voice="anna", response_format="pcm") as speech:
            async for _chunk in speech:
                pass
        assert speech.received == int(mib) * MIB


async def refer(url: str, path: str) -> None:
    """Send the same recording as two references."""
    references = [Reference(path, "a"), Reference(path, "b")]
    async with (
        VoiceClient("sk-test", base_url=url, limits=None, timeouts=Timeouts(attempt=None)) as client,
        client.stream_speech("0", references=references, response_format="pcm") as speech,
    ):
        await speech.read()


async def child(*arguments: str) -> str:
    """Run a part of this in a process of its own; return what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--child", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def compare(mib: int, folder: Path) -> None:
    """Measure all of it."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print((await child("handed_out", url, "")).strip().rpartition("\n")[0])
    for name, part, small, big in (
        ("stream", "stream", "1", str(mib)),
        ("references", "refer", str(folder / "tiny"), str(folder / "large")),
    ):
        least, most = [float(await child(part, url, size)) for size in (small, big)]
        print(f"{name:10} tiny: {least:6.1f} MiB   {mib} MiB: {most:6.1f} MiB   + {most - least:.1f} MiB")
    server.close()


def main() -> None:
    """Compare, or be a part of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "tiny").write_bytes(bytes(1024))
            (folder / "large").write_bytes(bytes(options.mib * MIB // 2))
            asyncio.run(compare(options.mib, folder))
        return
    part, url, argument = options.child
    match part:
        case "handed_out":
            asyncio.run(handed_out(url))
        case "stream":
            asyncio.run(stream(url, argument))
        case _:
            asyncio.run(refer(url, argument))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
