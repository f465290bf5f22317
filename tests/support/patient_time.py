"""Virtual time that waits for threads too: for audio from paths and files.

The clock stands still while a job is under way in an executor, and jumps only after nothing has come for a
moment: under load, a kernel may deliver even loopback's bytes a little late.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from siliconflow_voice.audio.pool import ReadPool
from support.virtual_time import VirtualTimeLoop, _JumpingSelector

T = TypeVar("T")

_PATIENCE = 0.002
_DEADLOCK = 30


class _PatientSelector(_JumpingSelector):
    def __init__(self) -> None:
        super().__init__()
        self.jobs = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        real = selectors.DefaultSelector.select
        ready = real(self, 0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self.jobs:
            ready = real(self, _DEADLOCK)
            assert ready, "nothing left to happen: a deadlock"
            return ready
        ready = real(self, _PATIENCE)
        if not ready:
            self.now += timeout
        return ready


class PatientLoop(VirtualTimeLoop):
    """An event loop in virtual time, from 0, that sees what runs in executors."""

    _jumping: _PatientSelector

    def __init__(self) -> None:
        self._jumping = _PatientSelector()
        asyncio.SelectorEventLoop.__init__(self, self._jumping)

    def jump(self, seconds: float) -> None:
        """Move the clock, as a machine's does that slept."""
        self._jumping.now += seconds

    def run_in_executor(  # type: ignore[override] # the base's is typed by TypeVarTuple
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        return self.wait_for(super().run_in_executor(executor, func, *args))

    def wait_for(self, job: asyncio.Future[T]) -> asyncio.Future[T]:
        """Let the clock stand still until *job* is done."""
        self._jumping.jobs += 1
        job.add_done_callback(self._over)
        return job

    def _over(self, _job: asyncio.Future[Any]) -> None:
        self._jumping.jobs -= 1


_begin = ReadPool.begin


def _begin_and_wait(pool: ReadPool, function: Callable[[], T]) -> asyncio.Future[T]:
    job = _begin(pool, function)
    loop = job.get_loop()
    return loop.wait_for(job) if isinstance(loop, PatientLoop) else job


_close = ReadPool.close


async def _close_and_wait(pool: ReadPool) -> None:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, PatientLoop):
        return await _close(pool)
    closed = loop.wait_for(loop.create_future())
    try:
        await _close(pool)
    finally:
        closed.set_result(None)


# Its threads are its own, and no executor's.
ReadPool.close = _close_and_wait  # type: ignore[method-assign,assignment] # to see it
ReadPool.begin = _begin_and_wait  # type: ignore[method-assign,assignment] # to see them
