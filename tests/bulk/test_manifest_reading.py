"""Reading a manifest in threads: what is abandoned is closed, and nothing is held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import aclosing
from pathlib import Path

import pytest
from support.manifests import csv_file

from siliconflow_voice.bulk.manifest import Manifest, _Reader


class Chunks:
    """Chunks that are read when they are let, and that know in which thread, and that they were closed."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.closed_in: threading.Thread | None = None

    def chunks(self) -> Generator[list[int], None, None]:
        try:
            while True:
                self.threads.add(threading.current_thread())
                self.reached.set()
                assert self.go_on.wait(30)
                yield [1]
        finally:
            self.closed_in = threading.current_thread()


def test_a_reader_that_is_not_reading_is_closed_at_once() -> None:
    chunks = Chunks()
    chunks.go_on.set()
    reader = _Reader(chunks.chunks())
    assert reader.take() == [1]
    reader.close()
    assert (chunks.closed_in, reader.take()) == (threading.current_thread(), [])


async def test_a_reader_that_is_reading_is_closed_where_it_reads() -> None:
    chunks = Chunks()
    reader = _Reader(chunks.chunks())
    taking = asyncio.create_task(asyncio.to_thread(reader.take))
    await asyncio.to_thread(chunks.reached.wait)
    reader.close()
    assert chunks.closed_in is None
    chunks.go_on.set()
    assert await taking == [1]
    assert {chunks.closed_in} == chunks.threads != {threading.current_thread()}


def open_files(path: Path) -> int:
    return sum(link.exists() and link.samefile(path) for link in Path("/proc/self/fd").iterdir())


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs to see which files are open")


@linux
async def test_a_reading_that_is_left_closes_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000)
    async with aclosing(aiter(Manifest(path))) as rows:
        assert (await anext(rows)).line == 2
        assert open_files(path) == 1
    assert open_files(path) == 0


@linux
async def test_a_scan_that_is_cancelled_closes_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000)
    scan = asyncio.create_task(Manifest(path).scan())
    await asyncio.sleep(0)
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    # What still reads in a thread closes it there.
    await asyncio.get_running_loop().shutdown_default_executor()
    assert open_files(path) == 0
