from __future__ import annotations

import threading

from siliconflow_voice.audio.pool import BLOCK, ReadPool


async def test_work_is_done_in_a_thread_of_the_pool() -> None:
    pool = ReadPool()
    name = await pool.begin(lambda: threading.current_thread().name)
    await pool.close()
    assert name.rpartition("_")[0] == "siliconflow-voice-read"


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
    pool = ReadPool()
    release, done = threading.Event(), threading.Event()

    def work() -> None:
        assert release.wait(10)
        done.set()

    pool.later(work)
    release.set()
    await pool.close()
    assert done.is_set()


async def test_what_is_left_for_later_runs_even_after_closing() -> None:
    pool = ReadPool()
    await pool.close()
    threads: list[threading.Thread] = []
    pool.later(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()]


async def test_it_can_be_closed_twice() -> None:
    pool = ReadPool()
    await pool.close()
    await pool.close()
    assert pool.borrow() == bytes(BLOCK)
