"""How much longer an honest upload takes beside a hundred recordings that are made to be slow to look at."""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from recordings import recording
from sink import serving

from siliconflow_voice import AudioLimits, InvalidUploadError, VoiceClient

SIZE = 4_990_000
ASKED = 0.3
FRAME = b"\xff\xfb\x90\xc4" + bytes(413)


def page(packets: list[bytes], flags: int = 0) -> bytes:
    """Lay out a page of Ogg, with no checksum."""
    head = b"OggS\0" + bytes([flags]) + bytes(8) + b"\1\0\0\0" + bytes(8) + bytes([len(packets)])
    return head + bytes(map(len, packets)) + b"".join(packets)


OPUS = page([b"OpusHead\1\1" + bytes(9)], flags=2) + page([b"OpusTags" + bytes(8)])
PAGE = page([b"\xf8"] * 255)
SLOW = {
    "a frame, then 0xFF": FRAME + b"\xff" * (SIZE - len(FRAME)),
    "headers": b"\xff\xfb\x90\xc4" * (SIZE // 4),
    "noise of headers": b"\xff\xfb\x90\x14\xff\x90\xfb\xfb" * (SIZE // 8),
    "pages of a packet": OPUS + b"".join(page([b"\xf8"]) for _ in range(60_000)),
    "pages of many packets": OPUS + PAGE * (SIZE // len(PAGE) - 1),
}


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


KINDS: dict[str, Callable[[bytes], Any]] = {
    "file objects": io.BytesIO,
    "bytes": lambda data: data,
    "60 KiB of bytes": lambda data: data[:61_440],
    "streams": _stream,
}


async def honest(client: VoiceClient, path: Path) -> float:
    """Upload an honest recording, and return how long that took."""
    began = time.perf_counter()
    await client.upload_voice(path, custom_name="honest", text="慢工出细活")
    return time.perf_counter() - began


async def hostile(client: VoiceClient, audio: Any) -> None:
    """Try to upload a hostile one."""
    with suppress(InvalidUploadError):
        await client.upload_voice(audio, custom_name="hostile", text="慢工出细活")


async def measure(port: int, path: Path, make: Callable[[bytes], Any], data: bytes, count: int) -> float:
    """Return by how many seconds an honest upload is later beside *count* hostile ones than alone."""
    async with VoiceClient("sk-test", base_url=f"http://127.0.0.1:{port}") as client:
        await honest(client, path)  # the list, the connection
        alone = statistics.median([await honest(client, path) for _ in range(5)])
        # All are refused in the end: what is measured is what it costs to look at them, and not to send them.
        strict = client.with_options(limits=AudioLimits(formats=frozenset({"wav"})))
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(hostile(strict, make(data)))
            beside = await group.create_task(honest(client, path))
    return beside - alone


def main() -> None:
    """Print the delay of each kind of source and of recording, the median of some runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="hostile uploads (default: 100)")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with serving() as port, tempfile.TemporaryDirectory() as folder:
        path = recording(Path(folder), "wav")
        for kind, make in KINDS.items():
            for name, data in SLOW.items():
                later = statistics.median(
                    asyncio.run(measure(port, path, make, data, options.count)) for _ in range(options.runs)
                )
                short = "" if later < ASKED else "   short"
                print(
                    f"{options.count} x {name:22} {kind:16} +{later:.3f} s   asked {ASKED} s{short}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
