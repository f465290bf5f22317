"""Threads and buffers of the client's own, so that neither the loop nor a user's threads wait for a disk."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from siliconflow_voice.errors import ConfigurationError

__all__ = ["BLOCK", "MOST_HELD", "STEP", "ReadPool", "followed_by"]

logger = logging.getLogger("siliconflow_voice")

T = TypeVar("T")
K = TypeVar("K", bound="_Closes")

BLOCK = 3 << 18
"""Bytes of a buffer: a smaller file takes one trip to a thread. Divisible by 3, as base64 likes it."""

STEP = 3 << 16
"""Bytes of a larger file that are read and sent at a time: more would hold up the loop."""

MOST_HELD = 32
"""Recordings that are held in memory while they wait for their turn; further ones are read again."""

_LITTLE = 1 << 16
_LEAST = 1 << 15
_LITTLE_A_TURN = 3 << 19
"""Bytes that are looked at on the loop: of one recording, that of which each counts as having, and of all in
one turn. At worst, they take 1 ms, 0.4 ms, and 20 ms."""

_THREADS = 4
_BUFFERS_KEPT = MOST_HELD

# Seconds that results and work may wait: then the disk is slow, or a thread hangs on it.
_PATIENCE = 0.01
# Seconds that closing waits for a read: one on a network file system that is gone may never end.
_LAST_READS = 5.0


class _Buffer(bytearray):
    """Memory of the pool's: unlike a caller's, it may be written to behind what was read."""


def followed_by(block: bytes | memoryview, tail: bytes) -> memoryview | None:
    """Put *tail* right behind a block that begins a buffer of a pool's, if there is room; None if not.

    Two parts that lie together are sent with one call.
    """
    buffer = block.obj if isinstance(block, memoryview) else None
    if not isinstance(buffer, _Buffer):
        return None
    end = len(block) + len(tail)
    if end > len(buffer):
        return None
    buffer[len(block) : end] = tail
    return memoryview(buffer)[:end]


class _Results:
    """Results on their way from threads to a loop, which is woken once for all that have come."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._arrived = deque[tuple[asyncio.Future[Any], Any, BaseException | None]]()
        self._told = False

    def add(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Put down a result, in a thread."""
        self._arrived.append((future, result, error))

    def wake(self) -> None:
        """Wake the loop, in a thread, if there is anything that it wasn't woken for."""
        if self._arrived and not self._told:
            self._told = True
            _call_in(self.loop, self.deliver)

    def deliver(self) -> None:
        """Hand out what has come, in the loop."""
        # First: what arrives from now on wakes the loop again, or is found below.
        self._told = False
        while self._arrived:
            future, result, error = self._arrived.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


_Job: TypeAlias = "tuple[Callable[[], Any], asyncio.Future[Any] | None, _Results | None]"


class _Closes(Protocol):
    async def aclose(self) -> None: ...


class ReadPool:
    """A few reading threads, and the buffers that they read into.

    Threads that compete for the interpreter with the loop, and with each other, spend more on that than on
    reading what the system has in its cache. So one thread does all the work as long as that doesn't wait,
    and wakes the loop when there is nothing left to do: the loop, which has nothing to send meanwhile, does
    not compete. What takes longer is handed out, and shared with further threads, as a timer says.

    To read into fresh memory takes three times as long as to read into memory that was used before.
    """

    def __init__(self) -> None:
        self.held = 0
        """Recordings that were read and not sent yet."""
        self._buffers: list[bytearray] = []
        self._jobs = SimpleQueue["_Job | None"]()
        self._added = 0
        self._threads: list[threading.Thread] = []
        self._results: _Results | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept: dict[object, _Closes] = {}
        self._looked_at = 0
        self._closed = False
        # If it is never closed, its thread ends with it.
        weakref.finalize(self, self._jobs.put, None)

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Run *function* in one of the threads. Cancelling what this returns abandons it.

        Raises:
            ConfigurationError: The pool is closed.
        """
        if self._closed:
            raise ConfigurationError("The client is closed")
        loop = asyncio.get_running_loop()
        if self._results is None or self._results.loop is not loop:
            self._results, self._timer = _Results(loop), None
        future: asyncio.Future[T] = loop.create_future()
        self._add((function, future, self._results))
        if self._timer is None:
            self._timer = loop.call_later(_PATIENCE, self._look, self._results, self._added)
        return future

    async def look(self, audio: bytes | memoryview, function: Callable[[], T]) -> T:
        """Run *function*, which looks at *audio*: on the loop if that is little, and in a thread otherwise.

        Ogg is not little: a few kilobytes of it can be made to take long.
        """
        counted = max(len(audio), _LEAST)
        little = counted <= _LITTLE and self._looked_at + counted <= _LITTLE_A_TURN
        if not little or b"OggS" in bytes(audio):
            return await self.begin(function)
        if not self._looked_at:
            asyncio.get_running_loop().call_soon(self._turn)
        self._looked_at += counted
        return function()

    def later(self, function: Callable[[], object]) -> None:
        """Run *function* in one of the threads, without waiting for it; what it raises is logged."""
        if self._closed:  # better on the loop than never
            function()
        else:
            self._add((function, None, self._results))

    def borrow(self) -> bytearray:
        """Return a buffer of :data:`BLOCK` bytes."""
        try:
            return self._buffers.pop()
        except IndexError:
            return _Buffer(BLOCK)

    def give_back(self, buffer: bytearray) -> None:
        """Accept a buffer that is not looked at any more; one that might be is left to the collector."""
        if len(self._buffers) < _BUFFERS_KEPT:
            self._buffers.append(buffer)

    def kept(self, key: object, make: Callable[[], K]) -> K:
        """Return what readings also share, such as connections: made at its first use, closed with the pool.

        Raises:
            ConfigurationError: The pool is closed.
        """
        if self._closed:
            raise ConfigurationError("The client is closed")
        if key not in self._kept:
            self._kept[key] = make()
        return cast("K", self._kept[key])

    async def close(self) -> None:
        """Wait for what still runs, but not for ever, and end the threads."""
        self._buffers.clear()
        began, self._closed = bool(self._threads) and not self._closed, True
        kept, self._kept = self._kept, {}
        for one in kept.values():
            await one.aclose()
        if not began:
            return
        self._jobs.put(None)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        # Not in the loop's own executor: that is the user's, and its threads hold up the interpreter's end.
        joining = threading.Thread(target=self._join, args=(loop, ended), daemon=True)
        joining.start()
        try:
            async with asyncio.timeout(_LAST_READS):
                await ended
            joining.join()  # it has nothing left to do
        except TimeoutError:
            logger.warning("A read has not ended %g s after the client was closed: it is left", _LAST_READS)

    def _add(self, job: _Job) -> None:
        self._added += 1
        self._jobs.put(job)
        if not self._threads:
            self._start(lasting=True)

    def _turn(self) -> None:
        self._looked_at = 0

    def _join(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
        while alive := self._alive():
            alive[0].join()
        _call_in(loop, _end, ended)

    def _alive(self) -> list[threading.Thread]:
        return [thread for thread in self._threads if thread.is_alive()]

    def _look(self, results: _Results, added: int) -> None:
        """Hand out what is done; let another thread take part if what was there at the last look waits."""
        waiting = self._jobs.qsize()
        results.deliver()
        if self._added - waiting < added:
            self._threads = self._alive()
            if len(self._threads) < _THREADS:
                self._start(lasting=False)
        self._timer = None
        if waiting:
            self._timer = results.loop.call_later(_PATIENCE, self._look, results, self._added)

    def _start(self, *, lasting: bool) -> None:
        # Daemons: at its end, the interpreter must not wait for a file system that is gone.
        thread = threading.Thread(
            target=_work,
            args=(self._jobs,),
            kwargs={"lasting": lasting},
            name="siliconflow-voice-read",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()


def _work(jobs: SimpleQueue[_Job | None], *, lasting: bool) -> None:
    """Do what there is to do; unless *lasting*, only until there is nothing."""
    while True:
        try:
            job = jobs.get(block=lasting)
        except Empty:
            return
        if job is None:
            if not lasting:
                jobs.put(None)
            return
        function, future, results = job
        _carry_out(function, future, results)
        if results is not None and jobs.empty():
            results.wake()
        del job, function, future, results  # they would hold a result while there is nothing to do


def _carry_out(
    function: Callable[[], Any], future: asyncio.Future[Any] | None, results: _Results | None
) -> None:
    if future is not None and future.cancelled():
        return
    result, problem = None, None
    try:
        result = function()
    except BaseException as error:
        if future is None:
            logger.exception("%r failed", function)
        problem = error
    if future is not None and results is not None:
        results.add(future, result, problem)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is closed, and nothing waits there any more
        loop.call_soon_threadsafe(function, *arguments)
