"""How late the event loop is: with 32 uploads of 5 MB, a disk that takes 200 ms, a list of 100,000 voices."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from sink import serving

from siliconflow_voice import Encoding, Throttle, VoiceClient

VOICES = 100_000
ENCODINGS: tuple[Encoding, ...] = ("multipart", "base64")


async def lateness(until: asyncio.Event) -> list[float]:
    """Ask to be woken every millisecond, and note by how much that is missed."""
    late = []
    while not until.is_set():
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - due)
    return late


async def measure(port: int, path: Path, encoding: Encoding) -> list[float]:
    """Upload the file thirty-two times at once, five times over."""
    done = asyncio.Event()
    throttle = Throttle(max_concurrency=32)
    async with VoiceClient(
        "sk-test", base_url=f"http://127.0.0.1:{port}", limits=None, throttle=throttle
    ) as client:
        watch = asyncio.create_task(lateness(done))
        for _ in range(5):
            async with asyncio.TaskGroup() as group:
                for _ in range(32):
                    group.create_task(
                        client.upload_voice(path, custom_name="bench", text="慢工出细活", encoding=encoding)
                    )
        done.set()
        return await watch


async def measure_list(port: int, path: Path, *, listing: bool) -> list[float]:
    """Meet an account with many voices, three times over: before a first upload, or to list them."""
    done = asyncio.Event()
    watch = asyncio.create_task(lateness(done))
    for _ in range(3):
        async with VoiceClient("sk-test", base_url=f"http://127.0.0.1:{port}", limits=None) as client:
            if listing:
                assert len(await client.list_voices()) == VOICES
            else:
                await client.upload_voice(path, custom_name="bench", text="慢工出细活")
    done.set()
    return await watch


def slow_open(*arguments: Any, **options: Any) -> int:
    """Open as a disk does that has to be woken."""
    time.sleep(0.2)
    return _open(*arguments, **options)


_open = os.open


def main() -> None:
    """Print the 99th percentile and the most, in ms."""
    with serving() as port, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "5mb")
        path.write_bytes(bytes(5_000_000))
        for disk in ("a warm disk", "a disk that takes 200 ms to open a file"):
            for encoding in ENCODINGS:
                late = sorted(asyncio.run(measure(port, path, encoding)))
                p99 = statistics.quantiles(late, n=100)[98]
                print(f"{encoding:10} {disk:40} p99 {1e3 * p99:6.2f} ms  most {1e3 * late[-1]:6.2f} ms")
            os.open = slow_open
        os.open = _open
        with serving(voices=VOICES) as listing_port:
            for listing, what in ((False, "before a first upload"), (True, "list_voices()")):
                late = sorted(asyncio.run(measure_list(listing_port, path, listing=listing)))
                p99 = statistics.quantiles(late, n=100)[98]
                print(
                    f"{what:21} 100,000 voices{'':15} p99 {1e3 * p99:6.2f} ms  most {1e3 * late[-1]:6.2f} ms"
                )


if __name__ == "__main__":
    main()
