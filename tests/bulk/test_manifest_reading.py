"""Reading a manifest in threads: what is abandoned is closed, and nothing is held."""

from __future__ import annotations

import asyncio
import csv
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.manifests import csv_file

from siliconflow_voice.bulk.manifest import Manifest


def open_files(path: Path) -> int:
    return sum(link.exists() and link.samefile(path) for link in Path("/proc/self/fd").iterdir())


def reading_threads() -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("siliconflow-voice-manifest")
    ]


linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs to see which files are open")


@linux
async def test_a_reading_that_is_left_closes_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000)
    async with aclosing(aiter(Manifest(path))) as rows:
        assert (await anext(rows)).line == 2
        assert open_files(path) == 1
    assert open_files(path) == 0


@linux
async def test_a_scan_that_is_cancelled_leaves_at_once_and_closes_the_file_where_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000)
    reached, go_on = threading.Event(), threading.Event()
    read = csv.reader

    def slow(*arguments: Any, **options: Any) -> Any:
        reached.set()
        assert go_on.wait(30)
        return read(*arguments, **options)

    monkeypatch.setattr(csv, "reader", slow)
    scan = asyncio.create_task(Manifest(path).scan())
    await asyncio.to_thread(reached.wait, 30)
    (thread,) = reading_threads()
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    assert (thread.is_alive(), open_files(path)) == (True, 1)
    go_on.set()
    await asyncio.to_thread(thread.join, 30)
    assert (thread.is_alive(), open_files(path)) == (False, 0)


async def test_it_is_read_in_one_thread_of_its_own(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text"] * 2000)
    async with aclosing(aiter(Manifest(path))) as rows:
        await anext(rows)
        (thread,) = reading_threads()
        [row async for row in rows]
    thread.join(30)
    assert reading_threads() == []
