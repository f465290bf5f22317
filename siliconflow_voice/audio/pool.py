"""Threads and buffers of the client's own, so that neither the loop nor a user's threads wait for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["BLOCK", "MOST_HELD", "STEP", "ReadPool"]

T = TypeVar("T")

BLOCK = 3 << 18
"""Bytes read at a time: a smaller file takes one trip to a thread. Divisible by 3, as base64 likes it."""

STEP = 3 << 16
"""Bytes of a larger file that are read and sent at a time: more would hold up the loop."""

MOST_HELD = 32
"""Recordings that are held in memory while they wait for their turn; further ones are read again."""

_THREADS = 4
_BUFFERS_KEPT = MOST_HELD


class ReadPool:
    """A few reading threads, and the buffers that they read into.

    To read into fresh memory takes three times as long as to read into memory that was used before.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="siliconflow-voice-read")
        self.held = 0
        """Recordings that were read and not sent yet."""
        self._used = False
        self._buffers: list[bytearray] = []

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run *function* in one of the threads. Cancelling what this returns abandons it."""
        self._used = True
        return asyncio.get_running_loop().run_in_executor(self._executor, function)

    def later(self, function: Callable[[], object]) -> None:
        """Run *function* in one of the threads, with nobody waiting for it."""
        self._used = True
        try:
            self._executor.submit(function)
        except RuntimeError:  # the pool is closed: better on the loop than never
            function()

    def borrow(self) -> bytearray:
        """Give a buffer of :data:`BLOCK` bytes."""
        try:
            return self._buffers.pop()
        except IndexError:
            return bytearray(BLOCK)

    def give_back(self, buffer: bytearray) -> None:
        """Take a buffer that nobody looks at any more; one that somebody might is left to the collector."""
        if len(self._buffers) < _BUFFERS_KEPT:
            self._buffers.append(buffer)

    async def close(self) -> None:
        """Wait for what still runs, and end the threads."""
        self._buffers.clear()
        if self._used:
            await asyncio.to_thread(self._executor.shutdown)
        else:
            self._executor.shutdown()
