from __future__ import annotations

import io
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.audio.pool import BLOCK, ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.errors import AudioSourceError, SourceChangedError

Whole = Callable[[Reading], Awaitable[bytes]]
Content = Callable[[int], bytes]
MakeFile = Callable[[bytes], Path]
Change = Callable[[Path], None]

SMALL, LARGE, VERY_LARGE = 1000, BLOCK + 1, 5 * BLOCK


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def rewrite(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replace(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(before.st_size))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    other.replace(path)


async def measure(blocks: AsyncIterator[Block], sizes: list[int]) -> None:
    """Take down the blocks' sizes for as long as there are any."""
    async for block in blocks:
        sizes.append(len(block))  # noqa: PERF401 - one by one, for it ends in an error


ALL = pytest.mark.parametrize("change", [grow, shrink, empty, rewrite, replace])


@ALL
async def test_a_large_file_that_changes_before_it_is_sent_is_not_sent(
    pool: ReadPool, make_file: MakeFile, content: Content, change: Change
) -> None:
    path = make_file(content(LARGE))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    change(path)
    with pytest.raises(SourceChangedError, match=r"recording\.bin changed while it was being uploaded"):
        await anext(reading.blocks())


@ALL
async def test_a_small_file_that_changes_before_it_is_sent_is_sent_as_it_was(
    pool: ReadPool, make_file: MakeFile, content: Content, whole: Whole, change: Change
) -> None:
    path = make_file(content(SMALL))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    change(path)
    assert await whole(reading) == content(SMALL)


@pytest.mark.parametrize("change", [grow, shrink, empty, rewrite])
async def test_a_small_file_that_changes_while_it_is_read_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, make_file: MakeFile, content: Content, change: Change
) -> None:
    path, reading_in = make_file(content(SMALL)), os.readv

    def changed(descriptor: int, buffers: Sequence[memoryview]) -> int:
        if path.stat().st_mtime_ns == before:
            change(path)
        return reading_in(descriptor, buffers)

    before = path.stat().st_mtime_ns
    monkeypatch.setattr(os, "readv", changed)
    with pytest.raises(SourceChangedError, match=r"recording\.bin changed while it was being uploaded"):
        await AudioSource.of(path).reading(pool).facts()


async def test_a_small_file_that_ends_before_its_size_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, pool: ReadPool, make_file: MakeFile, content: Content
) -> None:
    monkeypatch.setattr(os, "readv", lambda *_: 0)
    with pytest.raises(SourceChangedError, match=r"recording\.bin changed while it was being uploaded"):
        await AudioSource.of(make_file(content(SMALL))).reading(pool).facts()


@ALL
async def test_a_small_file_that_changes_is_not_sent_again(
    pool: ReadPool, make_file: MakeFile, content: Content, whole: Whole, change: Change
) -> None:
    path = make_file(content(SMALL))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    await whole(reading)
    change(path)
    with pytest.raises(SourceChangedError, match=r"recording\.bin changed while it was being uploaded"):
        await whole(reading)


@pytest.mark.parametrize("change", [grow, shrink, empty, rewrite])
async def test_a_file_that_changes_while_it_is_read_is_not_sent_to_its_end(
    pool: ReadPool, make_file: MakeFile, content: Content, change: Change
) -> None:
    path = make_file(content(VERY_LARGE))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    blocks = reading.blocks()
    sizes = [len(await anext(blocks))]
    change(path)
    with pytest.raises(SourceChangedError, match=r"recording\.bin (changed|shrank) while it was"):
        await measure(blocks, sizes)
    assert sum(sizes) < VERY_LARGE


async def test_a_file_that_is_replaced_while_it_is_read_is_sent_as_it_was(
    pool: ReadPool, make_file: MakeFile, content: Content
) -> None:
    path = make_file(content(VERY_LARGE))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    blocks = reading.blocks()
    received = bytes(await anext(blocks))
    replace(path)
    assert received + b"".join([bytes(block) async for block in blocks]) == content(VERY_LARGE)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_file_that_goes_missing_is_not_sent_again(
    pool: ReadPool, make_file: MakeFile, content: Content, whole: Whole, size: int
) -> None:
    path = make_file(content(size))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    await whole(reading)
    path.unlink()
    with pytest.raises(AudioSourceError, match=r"recording\.bin can't be read: no such file") as caught:
        await whole(reading)
    assert type(caught.value) is AudioSourceError


@pytest.mark.parametrize(
    ("size", "message"), [(SMALL + 1, "audio file grew while"), (SMALL - 1, "audio file shrank while")]
)
@pytest.mark.parametrize("attempts_before", [0, 1])
async def test_a_file_object_that_changes_is_noticed(
    pool: ReadPool, content: Content, whole: Whole, *, attempts_before: int, size: int, message: str
) -> None:
    file = io.BytesIO(content(SMALL))
    reading = AudioSource.of(file).reading(pool)
    await reading.facts()
    for _ in range(attempts_before):
        await whole(reading)
    file.seek(0)
    file.write(content(size))
    file.truncate(size)
    with pytest.raises(SourceChangedError, match=message):
        await whole(reading)


@pytest.mark.parametrize(
    ("size", "message"), [(VERY_LARGE + 1, "audio file grew while"), (3 * BLOCK, "audio file shrank while")]
)
async def test_a_file_object_that_changes_while_it_is_read_is_noticed(
    pool: ReadPool, content: Content, make_file: MakeFile, size: int, message: str
) -> None:
    path = make_file(content(VERY_LARGE))
    with path.open("rb") as file:
        reading = AudioSource.of(file, filename="audio file").reading(pool)
        await reading.facts()
        blocks = reading.blocks()
        await anext(blocks)
        os.truncate(path, size)
        with pytest.raises(SourceChangedError, match=message):
            await measure(blocks, [])


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_file_that_has_another_number_each_time_is_the_same_file(
    pool: ReadPool, make_file: MakeFile, content: Content, whole: Whole, size: int
) -> None:
    # As on some mounts in user space: a copy has the content, the size, the time, and an inode of its own.
    path = make_file(content(size))
    reading = AudioSource.of(path).reading(pool)
    await reading.facts()
    for _ in range(2):
        assert await whole(reading) == content(size)
        other = path.with_name("other")
        shutil.copy2(path, other)
        assert other.stat().st_ino != path.stat().st_ino
        other.replace(path)
