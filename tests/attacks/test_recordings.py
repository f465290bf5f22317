"""Recordings that are made to be slow: the work is in proportion to what is allowed, not to what is sent."""

from __future__ import annotations

import asyncio
import io
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.made import frames, hum, id3, mpeg, opus, page, wav

from siliconflow_voice import AudioLimits, InvalidUploadError, VoiceClient, inspect_audio
from siliconflow_voice.audio.formats import facts_of
from siliconflow_voice.emulator import Emulator

SIZE = 4_990_000
AIM = 0.02 if sys.gettrace() is None else 0.2
"""Seconds; lines that are counted, for their coverage, take longer."""
TINY = b"\xff\xf3\x14\xc4" + bytes(20)
TINY_TOO = b"\xff\xf3\x10\xc4" + bytes(22)


def filled(beginning: bytes, rest: bytes) -> bytes:
    """Repeat *rest* behind a beginning up to the size that is allowed."""
    return beginning + rest * ((SIZE - len(beginning)) // len(rest))


ATTACKS: dict[str, Callable[[], bytes]] = {
    "a frame, then 0xFF": lambda: filled(mpeg(), b"\xff"),
    "three frames, then 0xFF": lambda: filled(mpeg() * 3, b"\xff"),
    "three frames, then headers": lambda: filled(mpeg() * 3, b"\xff\xfb\x90\xc4"),
    "headers": lambda: filled(b"", b"\xff\xfb\x90\xc4"),
    "headers of another length": lambda: filled(b"", b"\xff\xfb\x90"),
    "sync words": lambda: filled(b"", b"\xff\xfb"),
    "the smallest frames": lambda: filled(b"", TINY),
    "three frames and a byte": lambda: filled(b"", TINY * 3 + b"\1"),
    "three frames and a tag": lambda: filled(b"", TINY * 3 + id3(0)),
    "three frames and three others": lambda: filled(b"", TINY * 3 + TINY_TOO * 3),
    "empty tags": lambda: filled(b"", id3(0)),
    "tags behind it": lambda: filled(mpeg() * 3, b"TAG" + bytes(125)),
    "zeros": lambda: bytes(SIZE),
    "noise": lambda: random.Random(1).randbytes(SIZE),  # noqa: S311 - to be the same each time
    "noise of headers' bytes": lambda: bytes(random.Random(1).choices(b"\xff\xfb\x90\x14", k=SIZE)),  # noqa: S311 - as above
    "empty chunks": lambda: filled(b"RIFF\0\0\0\0WAVE", b"JUNK\0\0\0\0"),
    "empty chunks behind no data": lambda: filled(wav(b""), b"JUNK\0\0\0\0"),
    "empty pages": lambda: filled(opus(0), page([], 0)),
    "pages of many packets": lambda: filled(opus(0), page([b"\xf8"] * 255, 0)),
    "pages of a packet": lambda: opus(0) + b"".join(page([b"\xf8"], 960 * n) for n in range(100_000)),
    "pages of another stream": lambda: filled(opus(0), page([b"\xf8"], 0).replace(b"\1\0\0\0", b"\2\0\0\0")),
    "beginnings of streams, each with a page": lambda: filled(
        opus(0), page([b"OpusHead" + bytes(11)], 0, flags=2) + page([b"\xf8"], 0)
    ),
    "beginnings of streams": lambda: filled(opus(0), page([b"OpusHead" + bytes(11)], 0, flags=2)),
    "AAC": lambda: filled(b"", b"\xff\xf1\x50\x80\x01\x1f\xfc\0"),
    "text": lambda: filled(b"", b"words "),
    "JSON": lambda: filled(b'{"a":[', b"[1],"),
    "an address": lambda: filled(b"https://", b"a"),
    "base64": lambda: filled(b"", b"QUJD" * 16 + b"\n"),
}


@pytest.mark.parametrize("make", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("as_file", [False, True])
def test_nothing_takes_long_to_look_at(make: Callable[[], bytes], as_file: bool) -> None:
    data = make()
    head, whole = (data[:65_536], lambda: io.BytesIO(data)) if as_file else (data, None)
    facts_of(mpeg() * 9, 9 * len(mpeg()), None, None)  # patterns are made once
    taken = []
    for _ in range(3):
        began = time.thread_time()
        facts_of(head, len(data), None, whole)
        taken.append(time.thread_time() - began)
    # Before, the first of these took 6.5 s.
    assert min(taken) < AIM


async def longest_hold(work: Any) -> float:
    """Return the longest time (seconds of CPU) that the event loop was held up while *work* was awaited."""
    longest = 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    await task
    return longest


@pytest.mark.parametrize("name", ["a frame, then 0xFF", "the smallest frames", "pages of many packets"])
@pytest.mark.parametrize("size", [500_000, SIZE])
async def test_nothing_holds_up_the_event_loop(name: str, size: int) -> None:
    data = ATTACKS[name]()[:size]
    await inspect_audio(data[:10_000])
    assert min([await longest_hold(inspect_audio(data)) for _ in range(3)]) < AIM


@pytest.mark.parametrize("size", [4_000, 64_000])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "name", ["a frame, then 0xFF", "noise of headers' bytes", "pages of a packet", "pages of many packets"]
)
async def test_a_hundred_small_ones_at_once_do_not_hold_up_the_event_loop_either(
    name: str, streamed: bool, size: int
) -> None:
    # Then: half a second, as each was looked at on the loop.
    data = ATTACKS[name]()[:size]

    async def stream() -> AsyncIterator[bytes]:
        yield data

    async def hostile(client: VoiceClient) -> None:
        with pytest.raises(InvalidUploadError):
            await client.upload_voice(stream() if streamed else data, custom_name="v", text="t")

    limits = AudioLimits(formats=frozenset({"wav"}))
    async with VoiceClient("sk-test", base_url="http://127.0.0.1:9/v1", limits=limits) as client:
        holds = [await longest_hold(asyncio.gather(*(hostile(client) for _ in range(100)))) for _ in range(3)]
    assert min(holds) < 2 * AIM


async def test_a_recording_that_is_too_large_is_refused_for_that_and_not_walked() -> None:
    class Counts(io.BytesIO):
        count = 0

        def readinto(self, buffer: Any) -> int:
            read = super().readinto(buffer)
            self.count += read
            return read

    file = Counts(frames(3_600))
    async with VoiceClient("sk-test", base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(InvalidUploadError, match="is 57,467,604 bytes; the limit is 5,000,000") as caught:
            await client.upload_voice(file, custom_name="a", text="b")
    assert (caught.value.rule, file.count <= 65_536) == ("too_large", True)


async def test_a_hundred_hostile_recordings_leave_time_for_an_honest_one(tmp_path: Path) -> None:
    data = ATTACKS["noise of headers' bytes"]()
    path = tmp_path / "honest.wav"
    path.write_bytes(wav(hum(9)))
    async with Emulator() as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        began = time.process_time()

        async def hostile() -> None:
            with pytest.raises(InvalidUploadError, match="not a recognised audio format"):
                await client.upload_voice(io.BytesIO(data), custom_name="hostile", text="t")

        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(hostile())
            honest = group.create_task(client.upload_voice(path, custom_name="honest", text="t"))
        # Before, each of them took seconds.
        assert time.process_time() - began < 3
        assert [voice.uri for voice in emulator.voices] == [honest.result().uri]


async def test_what_is_cancelled_before_its_turn_is_not_looked_at() -> None:
    read = set()
    begun, go_on = threading.Event(), threading.Event()

    class Waits(io.BytesIO):
        """A file that takes a reading thread until it is let go on."""

        def readinto(self, buffer: Any) -> int:
            read.add(id(self))
            begun.set()
            assert go_on.wait(30)
            return super().readinto(buffer)

    files = [Waits(mpeg() * 9) for _ in range(100)]
    async with VoiceClient("sk-test", base_url="http://127.0.0.1:9/v1") as client:
        uploads = [client.upload_voice(file, custom_name="v", text="t") for file in files]
        tasks = [asyncio.create_task(upload) for upload in uploads]
        assert await asyncio.to_thread(begun.wait, 30)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        go_on.set()
    assert len(read) <= 8  # as many as there are threads
