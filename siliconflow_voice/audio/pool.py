"""Threads of the client's own that read files, so that neither the loop nor a user's ``to_thread`` waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ReadPool"]

T = TypeVar("T")

_THREADS = 4


class ReadPool:
    """A few reading threads. A cancelled wait abandons its read; :meth:`close` waits for all of them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="siliconflow-voice-read")

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run *function* in one of the threads. Cancelling what this returns abandons it."""
        return asyncio.get_running_loop().run_in_executor(self._executor, function)

    def later(self, function: Callable[[], object]) -> None:
        """Run *function* in one of the threads, with nobody waiting for it."""
        try:
            self._executor.submit(function)
        except RuntimeError:  # the pool is closed: better on the loop than never
            function()

    async def close(self) -> None:
        """Wait for what still runs, and end the threads."""
        await asyncio.to_thread(self._executor.shutdown)
