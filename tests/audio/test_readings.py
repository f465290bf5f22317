from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tempfile
import threading
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recordings import MP3, WAV

from siliconflow_voice.audio import files
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import BLOCK, MOST_HELD, STEP, ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError

Whole = Callable[[Reading], Awaitable[bytes]]
Content = Callable[[int], bytes]
MakeFile = Callable[[bytes], Path]

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux does")
SIZES = [1, 4095, 4096, 4097, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]


def reading_of(audio: Audio, pool: ReadPool) -> Reading:
    return AudioSource.of(audio).reading(pool)


class ReadsAndSeeks:
    """A file object that doesn't say whether it can seek."""

    def __init__(self, data: bytes) -> None:
        file = io.BytesIO(data)
        self.read, self.seek, self.tell, self.close = file.read, file.seek, file.tell, file.close


def spooled(data: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile(max_size=4096)  # noqa: SIM115 - whoever asks for it closes it
    file.write(data)
    file.seek(0)
    return file


def temporary(data: bytes) -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - likewise
    file.write(data)
    file.seek(0)
    return file


IN_MEMORY: list[Callable[[bytes], Any]] = [bytes, bytearray, memoryview]
REPLAYABLE_FILES: list[Callable[[bytes], Any]] = [io.BytesIO, temporary, spooled, ReadsAndSeeks]


@pytest.mark.parametrize("size", SIZES)
async def test_a_path_is_read_whole_as_often_as_wanted(
    pool: ReadPool, make_file: MakeFile, content: Content, whole: Whole, size: int
) -> None:
    reading = reading_of(make_file(content(size)), pool)
    facts = await reading.facts()
    assert (facts.size, await whole(reading), await whole(reading)) == (size, content(size), content(size))


@pytest.mark.parametrize("make", [*IN_MEMORY, *REPLAYABLE_FILES])
@pytest.mark.parametrize("size", SIZES)
async def test_memory_and_files_are_read_whole_as_often_as_wanted(
    pool: ReadPool, content: Content, whole: Whole, make: Callable[[bytes], Any], size: int
) -> None:
    audio = make(content(size))
    reading = reading_of(audio, pool)
    facts = await reading.facts()
    assert (facts.size, await whole(reading), await whole(reading)) == (size, content(size), content(size))
    close = getattr(audio, "close", bytes)
    close()


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 3 * BLOCK), start=st.integers(0, 3 * BLOCK))
async def test_a_file_is_read_from_where_it_stands(
    content: Content, whole: Whole, pool: ReadPool, size: int, start: int
) -> None:
    data = content(size)
    start %= size
    file = io.BytesIO(data)
    file.seek(start)
    reading = reading_of(file, pool)
    facts = await reading.facts()
    expected = data[start:]
    assert (facts.size, await whole(reading), await whole(reading)) == (len(expected), expected, expected)


@pytest.mark.parametrize("position", [3, 5])
async def test_a_file_at_its_end_is_refused(pool: ReadPool, position: int) -> None:
    file = io.BytesIO(b"abc")
    file.seek(position)
    with pytest.raises(InvalidUploadError, match="audio file is at its end: seek it to where") as caught:
        await reading_of(file, pool).facts()
    assert caught.value.field == "audio"


@pytest.mark.parametrize("make", REPLAYABLE_FILES[:3])
async def test_the_callers_file_stays_open(whole: Whole, make: Callable[[bytes], Any]) -> None:
    pool = ReadPool()
    with make(b"abc") as file:
        reading = reading_of(file, pool)
        await reading.facts()
        await whole(reading)
        await pool.close()
        assert not file.closed


async def test_memory_is_never_copied(pool: ReadPool) -> None:
    data = bytes(2 * STEP)
    blocks = [block async for block in reading_of(data, pool).blocks()]
    assert [cast("memoryview", block).obj is data for block in blocks] == [True, True]


def test_memory_is_counted_in_bytes(pool: ReadPool) -> None:
    reading = reading_of(memoryview(b"abcdefgh").cast("I"), pool)
    assert asyncio.run(reading.facts()).size == 8


def test_memory_with_gaps_is_refused(pool: ReadPool) -> None:
    with pytest.raises(InvalidUploadError, match="a memoryview that is not contiguous"):
        reading_of(memoryview(b"abcdef")[::2], pool)


@pytest.mark.parametrize("make", [Path, Path.read_bytes, lambda path: io.BytesIO(path.read_bytes())])
async def test_a_recording_is_described(pool: ReadPool, make: Callable[[Path], Audio]) -> None:
    facts = await reading_of(make(MP3), pool).facts()
    assert facts == AudioFacts(MP3.stat().st_size, "mp3", "audio/mpeg", facts.duration)
    assert facts.duration == pytest.approx(5.592, abs=0.1)


@pytest.mark.parametrize("make", [Path, Path.read_bytes, lambda path: io.BytesIO(path.read_bytes())])
async def test_a_duration_is_not_measured_unasked(pool: ReadPool, make: Callable[[Path], Audio]) -> None:
    facts = await reading_of(make(WAV), pool).facts(measure=False)
    assert facts == AudioFacts(WAV.stat().st_size, "wav", "audio/wav")


@pytest.mark.parametrize("measure", [True, False])
async def test_the_duration_of_a_file_larger_than_a_block_is_measured(
    pool: ReadPool, tmp_path: Path, measure: bool
) -> None:
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 60))
    facts = await reading_of(tmp_path / "long.wav", pool).facts(measure=measure)
    assert facts == AudioFacts(960_044, "wav", "audio/wav", 60.0 if measure else None)


async def test_audio_in_the_middle_of_a_file_is_known_like_any_other(pool: ReadPool) -> None:
    file = io.BytesIO(WAV.read_bytes() * 2)
    file.seek(WAV.stat().st_size)
    assert await reading_of(file, pool).facts() == AudioFacts(WAV.stat().st_size, "wav", "audio/wav", 3.63325)


async def test_a_file_object_stands_where_it_stood_after_it_was_looked_at(pool: ReadPool) -> None:
    file = io.BytesIO(WAV.read_bytes())
    file.seek(7)
    await reading_of(file, pool).facts(digest=True)
    assert file.tell() == 7


async def test_a_few_that_wait_are_held_in_memory_and_the_others_are_read_anew(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    opened, pool = recorded_opening(monkeypatch), ReadPool()
    readings = [reading_of(MP3, pool) for _ in range(MOST_HELD + 8)]
    for reading in readings:
        await reading.facts()
    for reading in readings:
        reading.wait()
        reading.wait()
    assert pool.held == MOST_HELD
    assert {await whole(reading) for reading in readings} == {MP3.read_bytes()}
    assert (pool.held, len(opened)) == (0, MOST_HELD + 8 + 8)
    await pool.close()


async def test_what_is_closed_is_held_no_more() -> None:
    pool = ReadPool()
    reading = reading_of(MP3, pool)
    await reading.facts()
    await reading.close()
    await reading.close()
    assert pool.held == 0
    await pool.close()


async def test_a_path_is_read_for_its_digest_in_the_same_trip(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, whole: Whole
) -> None:
    opened = recorded_opening(monkeypatch)
    reading = reading_of(MP3, pool)
    facts = await reading.facts(digest=True)
    assert facts.sha256 == hashlib.sha256(MP3.read_bytes()).hexdigest()
    assert (await whole(reading), len(opened)) == (MP3.read_bytes(), 1)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
async def test_any_audio_that_can_be_read_twice_has_a_digest(
    pool: ReadPool, tmp_path: Path, whole: Whole, size: int
) -> None:
    data = b"RIFF" + bytes(size)
    (tmp_path / "a.wav").write_bytes(data)
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    for audio in (tmp_path / "a.wav", data, file):
        reading = reading_of(audio, pool)
        facts = await reading.facts(digest=True)
        assert (facts.sha256, facts.size) == (hashlib.sha256(data).hexdigest(), len(data))
        assert await whole(reading) == data


async def test_what_can_be_read_once_has_no_digest(pool: ReadPool) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"RIFF"

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    for audio in (stream(), Pipe(b"RIFF")):
        with pytest.raises(InvalidUploadError, match="can be read only once, and a journal needs its digest"):
            await reading_of(audio, pool).facts(digest=True)


async def test_a_path_is_read_where_the_system_has_no_call_that_reads_into_memory(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, whole: Whole
) -> None:
    monkeypatch.setattr(files, "_raw", partial(io.FileIO, closefd=False))
    reading = reading_of(MP3, pool)
    assert (await reading.facts()).size == MP3.stat().st_size
    assert await whole(reading) == MP3.read_bytes()


async def test_a_small_file_is_opened_once_for_its_facts_and_its_first_attempt(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, whole: Whole
) -> None:
    opened = recorded_opening(monkeypatch)
    reading = reading_of(MP3, pool)
    await reading.facts()
    assert (await whole(reading), len(opened)) == (MP3.read_bytes(), 1)


def test_waiting_does_nothing_to_what_holds_nothing(pool: ReadPool) -> None:
    reading = reading_of(b"abc", pool)
    reading.wait()
    assert reading.can_replay


async def test_files_are_opened_off_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, whole: Whole, make_file: MakeFile
) -> None:
    opened = recorded_opening(monkeypatch)
    reading = reading_of(make_file(bytes(2 * BLOCK)), pool)
    await reading.facts()
    await whole(reading)
    assert (len(opened), threading.current_thread() in opened) == (2, False)


async def test_files_are_read_off_the_event_loop(pool: ReadPool, whole: Whole) -> None:
    threads: list[threading.Thread] = []

    class Recorded(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            threads.append(threading.current_thread())
            return super().readinto(buffer)

        def seek(self, *where: int) -> int:
            threads.append(threading.current_thread())
            return super().seek(*where)

    reading = reading_of(Recorded(bytes(2 * BLOCK)), pool)
    await reading.facts()
    await whole(reading)
    assert (len(threads) > 5, threading.current_thread() in threads) == (True, False)


@ON_LINUX
async def test_what_is_refused_does_not_stay_open(tmp_path: Path) -> None:
    pool = ReadPool()
    await pool.begin(int)
    before = open_files()
    with pytest.raises(AudioSourceError):
        await reading_of(tmp_path, pool).facts()
    await pool.close()
    assert open_files() == before


@ON_LINUX
@pytest.mark.parametrize("blocks_read", [0, 1, 9])
async def test_no_file_stays_open(make_file: MakeFile, content: Content, blocks_read: int) -> None:
    path = make_file(content(4 * BLOCK))
    pool = ReadPool()
    await pool.begin(int)
    before = open_files()
    reading = reading_of(path, pool)
    await reading.facts()
    blocks = reading.blocks()
    for _ in range(blocks_read):
        await anext(blocks, None)
    await blocks.aclose()
    await pool.close()
    assert open_files() == before


def open_files() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


def recorded_opening(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Note the thread of each opening of a file."""
    threads: list[threading.Thread] = []
    opening = os.open

    def recorded(*arguments: Any) -> int:
        threads.append(threading.current_thread())
        return opening(*arguments)

    monkeypatch.setattr(os, "open", recorded)
    return threads
