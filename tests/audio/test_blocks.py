from __future__ import annotations

import asyncio
import gc
import io
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import pytest
from attrs import define, field

from siliconflow_voice.audio.blocks import BlockReader, checked, fill, read_ahead, reading_errors
from siliconflow_voice.audio.pool import BLOCK, ReadPool
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError, SourceChangedError


class HeldFile(io.BytesIO):
    """A file whose reads wait until they are let go."""

    def __init__(self, data: bytes, *, free_reads: int = 0) -> None:
        super().__init__(data)
        self._entered = threading.Semaphore(0)
        self._let_go = threading.Semaphore(free_reads)

    def readinto(self, buffer: Any) -> int:
        self._entered.release()
        assert self._let_go.acquire(timeout=10)
        return super().readinto(buffer)

    async def entered(self) -> bool:
        """Wait for one more read to have begun."""
        return await asyncio.to_thread(self._entered.acquire, timeout=10)

    def let_go(self) -> None:
        self._let_go.release()


@define
class FailingFile:
    """A file whose second read fails, and whose third never comes."""

    failed: threading.Event = field(factory=threading.Event)
    reads: int = 0

    def readinto(self, buffer: memoryview) -> int:
        self.reads += 1
        if self.reads == 2:
            self.failed.set()
            raise OSError(5, "Input/output error")
        return len(buffer)

    def close(self) -> None:
        pass


@define
class Pieces:
    """A file that gives what it is told to, whatever was asked for."""

    answers: list[Any]
    asked: list[int] = field(factory=list)

    def read(self, count: int) -> Any:
        self.asked.append(count)
        return self.answers.pop(0)


def reader_of(
    file: object, pool: ReadPool, *, owned: bool = True, check: Callable[[BinaryIO], None] = lambda _: None
) -> BlockReader:
    return BlockReader(pool, "it", begin=lambda: cast("BinaryIO", file), check=check, owned=owned)


@pytest.mark.parametrize(
    "answers",
    [
        [b"abc", b"de"],
        [b"a", b"bcde"],
        [bytearray(b"abcde")],
        [b"abc", b""],
        [memoryview(b"abcd").cast("H"), b"e"],
    ],
)
def test_a_buffer_is_filled_until_it_is_full_or_the_file_ends(answers: list[bytes]) -> None:
    expected = b"".join(answers)
    buffer = bytearray(5)
    count = fill(Pieces(answers), memoryview(buffer))
    assert buffer[:count] == expected


def test_no_more_is_asked_for_than_fits() -> None:
    file = Pieces([b"abc", b"de"])
    fill(file, memoryview(bytearray(5)))
    assert file.asked == [5, 2]


def test_a_file_is_read_into_the_buffer_where_it_can_be() -> None:
    buffer = bytearray(5)
    count = fill(io.BytesIO(b"abc"), memoryview(buffer))
    assert (count, bytes(buffer)) == (3, b"abc\0\0")


def test_a_file_that_comes_in_drops_is_read_until_the_buffer_is_full() -> None:
    class Drops(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            return super().readinto(buffer[:2])

    buffer = bytearray(5)
    count = fill(Drops(b"abcdefgh"), memoryview(buffer))
    assert (count, bytes(buffer)) == (5, b"abcde")


def test_a_file_with_nothing_at_the_moment_is_not_taken_to_have_ended() -> None:
    with pytest.raises(AudioSourceError, match="non-blocking"):
        fill(Pieces([None]), memoryview(bytearray(5)))


def test_a_file_that_gives_text_is_refused() -> None:
    with pytest.raises(InvalidUploadError, match=r"its read\(\) gave str, not bytes"):
        fill(Pieces(["words"]), memoryview(bytearray(5)))


def test_bytes_are_not_copied() -> None:
    data = b"abc"
    assert checked(data, "it") is data


@pytest.mark.parametrize(
    "data",
    [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcd").cast("H"), memoryview(b"a.b.c.d")[::2]],
)
def test_whatever_holds_bytes_is_counted_in_bytes(data: object) -> None:
    assert checked(data, "it") == b"abcd"


@pytest.mark.parametrize("data", ["text", 5, None, [1, 2]])
def test_what_holds_none_is_refused_by_its_type(data: object) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        checked(data, "it")
    assert (caught.value.field, caught.value.reason) == ("audio", f"it gave {type(data).__name__}, not bytes")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory"), "it can't be read: no such file or directory"),
        (OSError("Broken"), "it can't be read: broken"),
        (ValueError("Closed"), "it can't be read: closed"),
        (EOFError("Compressed file ended"), "it can't be read: compressed file ended"),
        (EOFError(), "it can't be read: EOFError()"),
        (ValueError("I/O operation on closed file"), "it can't be read: I/O operation on closed file"),
    ],
)
def test_whatever_a_file_raises_is_an_error_of_the_source(error: Exception, message: str) -> None:
    with pytest.raises(AudioSourceError) as caught, reading_errors("it"):
        raise error
    assert (caught.value.message, caught.value.__cause__) == (message, error)


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = SourceChangedError("it changed")
    with pytest.raises(SourceChangedError) as caught, reading_errors("it"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
async def test_the_blocks_are_the_file(
    pool: ReadPool, content: Callable[[int], bytes], size: int, known: bool
) -> None:
    data = content(size)
    blocks = read_ahead(reader_of(io.BytesIO(data), pool), size if known else None, pool)
    assert b"".join([bytes(block) async for block in blocks]) == data


async def test_the_next_block_is_read_while_the_last_is_used(pool: ReadPool) -> None:
    file = HeldFile(bytes(2 * BLOCK), free_reads=1)
    blocks = read_ahead(reader_of(file, pool), 2 * BLOCK, pool)
    await anext(blocks)
    assert [await file.entered(), await file.entered()] == [True, True]
    file.let_go()
    await blocks.aclose()


async def test_nothing_is_read_beyond_a_known_end(pool: ReadPool) -> None:
    file = Pieces([b"abc"])
    async for _ in read_ahead(reader_of(file, pool, owned=False), 3, pool):
        pass
    assert file.asked == [3]


async def test_a_buffer_is_used_again_once_the_next_block_is_asked_for() -> None:
    pool = ReadPool()
    blocks = read_ahead(reader_of(io.BytesIO(bytes(5 * BLOCK)), pool), 5 * BLOCK, pool)
    buffers = [cast("memoryview", block).obj async for block in blocks]
    await pool.close()
    assert len({id(buffer) for buffer in buffers}) <= 3


async def test_the_file_is_checked_once_with_its_last_block() -> None:
    pool = ReadPool()
    positions: list[int] = []
    reader = reader_of(io.BytesIO(bytes(2 * BLOCK)), pool, check=lambda file: positions.append(file.tell()))
    async for _ in read_ahead(reader, 2 * BLOCK, pool):
        pass
    await pool.close()
    assert positions == [2 * BLOCK]


async def test_a_file_that_ends_too_soon_has_shrunk(pool: ReadPool) -> None:
    blocks = read_ahead(reader_of(io.BytesIO(b"ab"), pool), 3, pool)
    with pytest.raises(SourceChangedError, match="it shrank while it was being uploaded"):
        await anext(blocks)


async def test_the_file_is_closed_at_the_end() -> None:
    pool, file = ReadPool(), io.BytesIO(b"abc")
    async for _ in read_ahead(reader_of(file, pool), 3, pool):
        pass
    await pool.close()
    assert file.closed


async def test_the_file_is_closed_when_the_blocks_are_not_wanted_any_more() -> None:
    pool, file = ReadPool(), io.BytesIO(bytes(3 * BLOCK))
    blocks = read_ahead(reader_of(file, pool), 3 * BLOCK, pool)
    await anext(blocks)
    await blocks.aclose()
    await pool.close()
    assert file.closed


async def test_the_file_is_closed_after_the_read_that_was_under_way_when_cancelled() -> None:
    pool, file = ReadPool(), HeldFile(b"abc")
    reading = asyncio.ensure_future(anext(read_ahead(reader_of(file, pool), 3, pool)))
    await file.entered()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    closed_too_early = file.closed
    file.let_go()
    await pool.close()
    assert (closed_too_early, file.closed) == (False, True)


async def test_the_callers_file_stays_open() -> None:
    pool, file = ReadPool(), io.BytesIO(b"abc")
    async for _ in read_ahead(reader_of(file, pool, owned=False), 3, pool):
        pass
    await pool.close()
    assert not file.closed


def test_a_file_that_was_never_begun_is_not_begun_to_be_closed(pool: ReadPool) -> None:
    file = io.BytesIO(b"abc")
    reader_of(file, pool).close()
    assert not file.closed


def test_nothing_is_read_after_closing(pool: ReadPool) -> None:
    reader = reader_of(io.BytesIO(b"abc"), pool)
    reader.close()
    assert bytes(reader.read(3)) == b""


async def test_a_failed_read_is_told_when_its_block_is_asked_for(pool: ReadPool) -> None:
    blocks = read_ahead(reader_of(FailingFile(), pool), 3 * BLOCK, pool)
    await anext(blocks)
    with pytest.raises(AudioSourceError, match="it can't be read: input/output error"):
        await anext(blocks)


async def test_a_failed_read_ahead_that_nobody_asks_for_is_not_reported() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    pool, file = ReadPool(), FailingFile()
    blocks = read_ahead(reader_of(file, pool), 3 * BLOCK, pool)
    await anext(blocks)
    await asyncio.to_thread(file.failed.wait, 10)
    await blocks.aclose()
    await pool.close()
    del blocks
    gc.collect()
    assert (file.reads, reports) == (2, [])
