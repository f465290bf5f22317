from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import Executor
from typing import Any

import pytest
from attrs import define, field

from siliconflow_voice.audio import pool as pools
from siliconflow_voice.audio.pool import BLOCK, ReadPool, followed_by
from siliconflow_voice.errors import ConfigurationError


@define
class Hanging:
    """Work that hangs until it is let go on."""

    reached: threading.Event = field(factory=threading.Event)
    go_on: threading.Event = field(factory=threading.Event)

    def __call__(self) -> threading.Thread:
        self.reached.set()
        assert self.go_on.wait(30)
        return threading.current_thread()


async def test_work_is_done_in_a_thread_of_the_pool() -> None:
    pool = ReadPool()
    name = await pool.begin(lambda: threading.current_thread().name)
    await pool.close()
    assert name == "siliconflow-voice-read"


async def test_what_fails_in_a_thread_is_raised_where_it_is_awaited() -> None:
    pool = ReadPool()
    with pytest.raises(ZeroDivisionError):
        await pool.begin(lambda: 1 // 0)
    assert await pool.begin(int) == 0
    await pool.close()


async def test_one_thread_does_the_work_and_wakes_the_loop_once_for_all_that_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, loop, done, woken = ReadPool(), asyncio.get_running_loop(), threading.Event(), list[object]()
    waking = loop.call_soon_threadsafe

    def woken_by(*arguments: Any) -> asyncio.Handle:
        woken.append(arguments)
        return waking(*arguments)

    monkeypatch.setattr(loop, "call_soon_threadsafe", woken_by)
    jobs = [pool.begin(threading.current_thread) for _ in range(10)]
    ended = pool.begin(done.set)
    assert done.wait(30)
    threads = await asyncio.gather(*jobs)
    await ended
    assert (len(set(threads)), len(woken)) == (1, 1)
    await pool.close()


async def test_where_one_thread_hangs_another_does_what_waits_and_ends() -> None:
    pool, hanging = ReadPool(), Hanging()
    hung = pool.begin(hanging)
    other = await pool.begin(threading.current_thread)
    await asyncio.to_thread(other.join, 30)
    hanging.go_on.set()
    assert (other is await hung, other.is_alive(), (await hung).is_alive()) == (False, False, True)
    await pool.close()
    assert not hung.result().is_alive()


async def test_a_result_does_not_wait_for_work_that_hangs() -> None:
    pool, hanging = ReadPool(), Hanging()
    done, hung = pool.begin(threading.current_thread), pool.begin(hanging)
    assert hanging.reached.wait(30)
    thread = await done
    hanging.go_on.set()
    assert await hung is thread
    await pool.close()


async def test_a_few_threads_are_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_PATIENCE", 0.0)
    pool, work = ReadPool(), [Hanging() for _ in range(8)]
    jobs = [pool.begin(hanging) for hanging in work]
    while not all(hanging.reached.is_set() for hanging in work[:4]):  # noqa: ASYNC110 - a thread sets them
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert [hanging.reached.is_set() for hanging in work] == [True] * 4 + [False] * 4
    for hanging in work:
        hanging.go_on.set()
    assert len(set(await asyncio.gather(*jobs))) == 4
    await pool.close()


async def test_what_is_cancelled_before_its_turn_is_not_done() -> None:
    pool, hanging, done = ReadPool(), Hanging(), list[str]()
    hung = pool.begin(hanging)
    assert hanging.reached.wait(30)
    pool.begin(lambda: done.append("cancelled")).cancel()
    kept = pool.begin(lambda: done.append("kept"))
    hanging.go_on.set()
    await asyncio.gather(hung, kept)
    await pool.close()
    assert done == ["kept"]


async def test_the_result_of_what_was_abandoned_is_dropped() -> None:
    pool, hanging = ReadPool(), Hanging()
    hung = pool.begin(hanging)
    assert hanging.reached.wait(30)
    hung.cancel()
    hanging.go_on.set()
    assert await pool.begin(int) == 0
    await pool.close()
    assert hung.cancelled()


def test_a_pool_outlives_a_loop() -> None:
    pool, hanging = ReadPool(), Hanging()

    async def begin() -> None:
        pool.begin(hanging)
        assert hanging.reached.wait(30)

    async def begin_again() -> int:
        hanging.go_on.set()
        return await pool.begin(int)

    asyncio.run(begin())
    assert asyncio.run(begin_again()) == 0
    asyncio.run(pool.close())


def test_the_thread_of_a_pool_that_is_not_closed_ends_with_it() -> None:
    async def work() -> threading.Thread:
        return await ReadPool().begin(threading.current_thread)

    thread = asyncio.run(work())
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


async def test_no_work_is_begun_after_closing() -> None:
    pool = ReadPool()
    await pool.close()
    with pytest.raises(ConfigurationError, match="The client is closed"):
        pool.begin(int)


def test_what_lies_behind_a_block_in_its_buffer_is_sent_along_with_it() -> None:
    block = memoryview(ReadPool().borrow())[:5]
    block[:] = b"audio"
    whole = followed_by(block, b":after")
    assert whole is not None
    assert (bytes(whole), whole.obj) == (b"audio:after", block.obj)


@pytest.mark.parametrize(
    "block",
    [b"audio", memoryview(b"audio"), memoryview(bytearray(b"audio----"))[:5]],
    ids=["bytes", "a view of bytes", "a view of a bytearray"],
)
def test_a_callers_memory_is_not_written_to(block: bytes | memoryview) -> None:
    assert followed_by(block, b"tail") is None
    assert bytes(block) == b"audio"


@pytest.mark.parametrize(("free", "fits"), [(4, True), (3, False)])
def test_a_buffer_is_not_written_past_its_end(*, free: int, fits: bool) -> None:
    block = memoryview(ReadPool().borrow())[: BLOCK - free]
    assert (followed_by(block, b"tail") is not None) == fits


def test_a_buffer_has_the_size_of_a_block() -> None:
    assert len(ReadPool().borrow()) == BLOCK


def test_a_block_is_a_whole_number_of_base64_groups() -> None:
    assert BLOCK % 3 == 0


def test_a_buffer_that_was_given_back_is_lent_again() -> None:
    pool = ReadPool()
    buffer = pool.borrow()
    pool.give_back(buffer)
    assert pool.borrow() is buffer


def test_a_buffer_is_lent_to_one_at_a_time() -> None:
    pool = ReadPool()
    pool.give_back(pool.borrow())
    assert pool.borrow() is not pool.borrow()


def test_no_more_buffers_are_kept_than_a_few() -> None:
    pool = ReadPool()
    buffers = [bytearray() for _ in range(100)]
    for buffer in buffers:
        pool.give_back(buffer)
    lent_again = [pool.borrow() for _ in buffers]
    assert sum(any(lent is buffer for buffer in buffers) for lent in lent_again) == 32


async def test_closing_lets_go_of_the_buffers() -> None:
    pool = ReadPool()
    buffer = pool.borrow()
    pool.give_back(buffer)
    await pool.close()
    assert pool.borrow() is not buffer


async def test_closing_waits_for_what_was_left_for_later() -> None:
    pool, hanging = ReadPool(), Hanging()
    pool.later(hanging)
    closing = asyncio.ensure_future(pool.close())
    await asyncio.to_thread(hanging.reached.wait, 30)
    too_early = closing.done()
    hanging.go_on.set()
    await closing
    assert not too_early


async def test_closing_keeps_out_of_the_loops_own_executor() -> None:
    class Untouched(Executor):
        def submit(self, *_arguments: object, **_options: object) -> Any:
            raise AssertionError

    loop, pool = asyncio.get_running_loop(), ReadPool()
    loop._default_executor = Untouched()  # type: ignore[attr-defined] # the setter takes a real one alone
    await pool.begin(int)
    await pool.close()
    loop._default_executor = None  # type: ignore[attr-defined] # private


async def test_closing_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pools, "_LAST_READS", 0.0)
    pool, hanging, done = ReadPool(), Hanging(), asyncio.Event()
    hung = pool.begin(hanging)
    pool.begin(int)
    await pool.close()
    assert caplog.messages == ["A read has not ended 0 s after the client was closed: it is left"]
    hung.add_done_callback(lambda _: done.set())
    hanging.go_on.set()
    await done.wait()
    assert hung.result().daemon
    await asyncio.to_thread(hung.result().join, 30)
    assert not hung.result().is_alive()


async def test_what_waits_behind_a_read_that_hangs_is_done_though_the_pool_is_closed() -> None:
    pool, hanging, done = ReadPool(), Hanging(), asyncio.Event()
    hung = pool.begin(hanging)
    pool.begin(int).add_done_callback(lambda _: done.set())
    closing = asyncio.ensure_future(pool.close())
    await done.wait()
    hanging.go_on.set()
    await closing
    assert not (await hung).is_alive()


async def test_what_is_left_for_later_runs_even_after_closing() -> None:
    pool = ReadPool()
    await pool.close()
    threads: list[threading.Thread] = []
    pool.later(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


async def test_what_is_left_for_later_and_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    pool = ReadPool()
    pool.later(lambda: 1 // 0)
    assert await pool.begin(int) == 0
    await pool.close()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_it_can_be_closed_twice() -> None:
    pool = ReadPool()
    await pool.begin(int)
    await pool.close()
    await pool.close()
    assert pool.borrow() == bytes(BLOCK)


class Shared:
    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_what_readings_share_is_made_once_and_closed_with_it() -> None:
    pool = ReadPool()
    one, other = pool.kept("one", Shared), pool.kept("other", Shared)
    assert (pool.kept("one", Shared) is one, other is one) == (True, False)
    await pool.close()
    await pool.close()
    assert (one.closed, other.closed) == (1, 1)
    with pytest.raises(ConfigurationError, match="The client is closed"):
        pool.kept("one", Shared)
