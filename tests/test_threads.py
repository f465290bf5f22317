from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.bulk import items, statuses_of
from support.manifests import csv_file, uploads

from siliconflow_voice import Journal, Manifest, VoiceClient
from siliconflow_voice.threads import OwnThread


class Untouched(ThreadPoolExecutor):
    """The loop's default executor, as users' own work should find it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise AssertionError(f"{fn} with {args} and {kwargs} went to the loop's default executor")


async def test_functions_run_one_after_the_other_in_one_thread_that_is_named() -> None:
    order: list[int] = []

    def note(number: int) -> str:
        order.append(number)
        return threading.current_thread().name

    with OwnThread("test") as thread:
        names = await asyncio.gather(*[thread.run(note, number) for number in range(9)])
    assert (order, set(names)) == (list(range(9)), {"siliconflow-voice-test_0"})


async def test_an_error_is_raised_to_the_caller_and_stops_no_other() -> None:
    with OwnThread("test") as thread:
        with pytest.raises(ZeroDivisionError):
            await thread.run(divmod, 1, 0)
        assert await thread.run(divmod, 7, 2) == (3, 1)


class Blocked:
    """A call that lasts until it is let go on, and a list of what was called."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.order: list[str] = []
        self.thread: threading.Thread | None = None

    def block(self) -> None:
        self.thread = threading.current_thread()
        self.reached.set()
        assert self.go_on.wait(30)
        self.order.append("blocked")


async def test_closing_waits_for_nothing_and_the_last_call_comes_behind_the_others() -> None:
    blocked, thread = Blocked(), OwnThread("test")
    thread.run(blocked.block)
    thread.run(blocked.order.append, "second")
    thread.close(partial(blocked.order.append, "last"))
    await asyncio.to_thread(blocked.reached.wait, 30)
    assert (blocked.order, blocked.thread is not None) == ([], True)
    blocked.go_on.set()
    if blocked.thread is not None:
        await asyncio.to_thread(blocked.thread.join, 30)
    assert blocked.order == ["blocked", "second", "last"]


async def test_a_call_that_is_abandoned_is_finished_all_the_same() -> None:
    blocked = Blocked()
    with OwnThread("test") as thread:
        abandoned = thread.run(blocked.block)
        await asyncio.to_thread(blocked.reached.wait, 30)
        abandoned.cancel()
        blocked.go_on.set()
        await thread.run(blocked.order.append, "next")
    assert blocked.order == ["blocked", "next"]


async def test_no_manifest_check_journal_or_export_goes_to_the_loops_default_executor(
    tmp_path: Path, client: VoiceClient
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Untouched())
    manifest = Manifest(csv_file(tmp_path, "a.mp3,a,text"))
    assert (await manifest.scan(), len(await uploads(manifest))) == (1, 1)
    assert len([problem async for problem in manifest.check()]) == 1  # there is no a.mp3
    async with Journal(tmp_path / "voices.journal") as journal:
        assert await statuses_of(client, items(2), journal=journal) == ["uploaded"] * 2
        assert await journal.export(tmp_path / "voices.csv") == 2
    loop.set_default_executor(ThreadPoolExecutor())
