from __future__ import annotations

import io
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made import frames, id3, wav
from support.recordings import MP3

from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import BLOCK, ReadPool
from siliconflow_voice.audio.readings import HEAD, MOST_HEAD, Reading
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError, SourceConsumedError

Whole = Callable[[Reading], Awaitable[bytes]]
Content = Callable[[int], bytes]

SIZES = [1, HEAD - 1, HEAD, HEAD + 1, MOST_HEAD, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]


def reading_of(audio: Any, pool: ReadPool) -> Reading:
    return AudioSource.of(audio).reading(pool)


async def looked_at(reading: Reading, whole: Whole) -> bytes:
    """Read all of it, as a call does."""
    await reading.facts()
    return await whole(reading)


@define
class ReadsAlone:
    """A file object with nothing but the least."""

    file: io.BytesIO

    def read(self, count: int) -> bytes:
        return self.file.read(count)


@contextmanager
def piped(data: bytes) -> Iterator[Any]:
    """Open the reading end of a pipe, which a thread fills."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as file:
        yield file
    thread.join()


async def one_by_one(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_that_only_reads_is_read_whole_once(
    pool: ReadPool, content: Content, whole: Whole, size: int
) -> None:
    reading = reading_of(ReadsAlone(io.BytesIO(content(size))), pool)
    facts = await reading.facts()
    assert (facts.size, await whole(reading)) == (None, content(size))
    with pytest.raises(SourceConsumedError, match="audio file can't be rewound, and was read already"):
        await whole(reading)


@pytest.mark.parametrize("size", [1, HEAD, MOST_HEAD, 200_000])
async def test_a_pipe_is_read_whole(pool: ReadPool, content: Content, whole: Whole, size: int) -> None:
    with piped(content(size)) as file:
        reading = reading_of(file, pool)
        assert (await reading.facts()).size is None
        assert await whole(reading) == content(size)


@settings(deadline=None)
@given(
    chunks=st.lists(st.integers(0, 30_000), max_size=20), kind=st.sampled_from([bytes, bytearray, memoryview])
)
async def test_a_stream_is_what_it_gave_however_it_was_cut(
    content: Content, whole: Whole, pool: ReadPool, chunks: list[int], kind: Callable[[bytes], bytes]
) -> None:
    reading = reading_of(one_by_one([kind(content(size)) for size in chunks]), pool)
    facts = await reading.facts()
    expected = b"".join(content(size) for size in chunks)
    assert (facts.size, await whole(reading)) == (None if expected else 0, expected)
    with pytest.raises(SourceConsumedError, match="audio stream can't be rewound, and was read already"):
        await whole(reading)


@pytest.mark.parametrize("make", [bytes, io.BytesIO, lambda: ReadsAlone(io.BytesIO())])
async def test_nothing_is_known_to_be_nothing(pool: ReadPool, make: Callable[[], Audio]) -> None:
    reading = reading_of(make(), pool)
    facts = await reading.facts()
    assert (facts.size, [block async for block in reading.blocks()]) == (0, [])


@pytest.mark.parametrize(
    "make", [lambda data: one_by_one([data[:10], data[10:]]), lambda data: ReadsAlone(io.BytesIO(data))]
)
async def test_what_is_read_once_is_known_by_its_beginning(
    pool: ReadPool, make: Callable[[bytes], Audio]
) -> None:
    facts = await reading_of(make(MP3.read_bytes() * 2), pool).facts()
    assert facts == AudioFacts(None, "mp3", "audio/mpeg")


@pytest.mark.parametrize(
    "make", [lambda data: one_by_one([data[:10], data[10:]]), lambda data: ReadsAlone(io.BytesIO(data))]
)
async def test_what_ends_with_its_beginning_is_known_as_a_whole(
    pool: ReadPool, make: Callable[[bytes], Audio]
) -> None:
    facts = await reading_of(make(MP3.read_bytes()[:4_000]), pool).facts()
    assert (facts.size, facts.format) == (None, "mp3")
    assert facts.duration == pytest.approx(0.42, abs=0.05)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: MP3, [True, True]),
        (lambda: b"abc", [True, True]),
        (lambda: io.BytesIO(b"abc"), [True, True]),
        (lambda: ReadsAlone(io.BytesIO(b"abc")), [True, False]),
        (lambda: one_by_one([b"abc"]), [True, False]),
    ],
)
async def test_it_tells_whether_it_can_be_read_before_and_after(
    pool: ReadPool, whole: Whole, make: Callable[[], Audio], expected: list[bool]
) -> None:
    reading = reading_of(make(), pool)
    await reading.facts()
    before = reading.can_replay
    await whole(reading)
    assert [before, reading.can_replay] == expected


class Unclosable:
    """An async iterable that is its own iterator, and no generator."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)

    def __aiter__(self) -> Unclosable:
        return self

    async def __anext__(self) -> bytes:
        if not self.answers:
            raise StopAsyncIteration
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Closable(Unclosable):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("make", [Unclosable, Closable])
async def test_a_stream_needs_to_be_no_generator(
    pool: ReadPool, whole: Whole, make: type[Unclosable]
) -> None:
    reading = reading_of(make(b"abc", b"", b"def"), pool)
    await reading.facts()
    assert await whole(reading) == b"abcdef"


async def test_only_the_first_chunks_of_a_stream_are_taken_for_its_facts(pool: ReadPool) -> None:
    stream = Unclosable(bytes(2_000), bytes(70_000), b"abc")
    await reading_of(stream, pool).facts()
    assert stream.answers == [b"abc"]


@pytest.mark.parametrize("first", [frames(1)[:HEAD], wav(b"")[:36] + bytes(HEAD)])
async def test_no_more_is_taken_than_tells_the_format(pool: ReadPool, first: bytes) -> None:
    stream = Unclosable(first, b"abc")
    await reading_of(stream, pool).facts()
    assert stream.answers == [b"abc"]


@pytest.mark.parametrize("make", [lambda data: one_by_one([data]), lambda data: ReadsAlone(io.BytesIO(data))])
async def test_what_is_behind_a_long_tag_is_known(pool: ReadPool, make: Callable[[bytes], Audio]) -> None:
    known = [await reading_of(make(id3(20_000) + data), pool).facts() for data in (frames(9), b"fLaC" * 9)]
    assert [facts.format for facts in known] == ["mp3", "flac"]


async def test_raw_samples_tell_nothing_and_are_taken_as_declared(pool: ReadPool) -> None:
    stream = Unclosable(bytes(HEAD), b"abc")
    facts = await AudioSource.of(stream, content_type="audio/pcm;rate=8000").reading(pool).facts()
    assert (facts.format, stream.answers) == ("pcm", [b"abc"])


async def test_empty_chunks_are_no_blocks(pool: ReadPool) -> None:
    reading = reading_of(Unclosable(bytes(MOST_HEAD), b"", b"abc", b""), pool)
    await reading.facts()
    assert [block async for block in reading.blocks()] == [bytes(MOST_HEAD), b"abc"]


async def test_a_stream_is_closed_at_its_end(pool: ReadPool, whole: Whole) -> None:
    stream = Closable(b"abc")
    await whole(reading_of(stream, pool))
    assert stream.closed == 1


async def test_a_stream_is_closed_when_its_blocks_are_not_wanted_any_more(pool: ReadPool) -> None:
    stream = Closable(bytes(MOST_HEAD), b"abc", b"def")
    reading = reading_of(stream, pool)
    await reading.facts()
    blocks = reading.blocks()
    await anext(blocks)
    await blocks.aclose()
    assert stream.closed == 1


async def test_a_stream_that_failed_is_closed(pool: ReadPool, whole: Whole) -> None:
    stream = Closable(bytes(MOST_HEAD), LookupError("lost"))
    reading = reading_of(stream, pool)
    await reading.facts()
    with pytest.raises(AudioSourceError):
        await whole(reading)
    assert stream.closed == 1


@pytest.mark.parametrize("chunks", [[], [bytes(MOST_HEAD)]])
async def test_what_a_stream_fails_with_is_said(pool: ReadPool, whole: Whole, chunks: list[bytes]) -> None:
    cause = LookupError("lost")
    reading = reading_of(Unclosable(*chunks, cause), pool)
    with pytest.raises(AudioSourceError) as caught:
        await looked_at(reading, whole)
    assert (caught.value.message, caught.value.__cause__) == (
        "audio stream failed: LookupError('lost')",
        cause,
    )


@pytest.mark.parametrize("chunks", [[], [bytes(MOST_HEAD)]])
async def test_a_stream_that_gives_no_bytes_is_refused(
    pool: ReadPool, whole: Whole, chunks: list[Any]
) -> None:
    reading = reading_of(Unclosable(*chunks, "words"), pool)  # type: ignore[arg-type] # on purpose
    with pytest.raises(InvalidUploadError, match="audio stream gave str, not bytes"):
        await looked_at(reading, whole)


class Unwilling:
    def __aiter__(self) -> AsyncIterator[bytes]:
        raise LookupError("lost")


def test_a_stream_that_does_not_begin_is_an_error_of_the_source(pool: ReadPool) -> None:
    with pytest.raises(AudioSourceError, match=r"audio stream failed: LookupError\('lost'\)"):
        reading_of(Unwilling(), pool)
