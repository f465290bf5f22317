"""What a worker's process works with, one of each: client, throttle, journal; and how it does a chunk."""

from __future__ import annotations

import asyncio
import os
import platform
import uuid
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.recordings import Recordings
from siliconflow_voice.bulk.run import upload_many
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.database import Address, Connection
from siliconflow_voice.errors import ClientClosedError, SiliconFlowError
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.options import WorkerOptions
from siliconflow_voice.fleet.queue import NotFinishedError
from siliconflow_voice.fleet.stored import Results, Root, as_json, counted, result_of
from siliconflow_voice.fleet.tables import Tables, rows_of
from siliconflow_voice.fleet.throttle import SharedThrottle
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Tally", "Workplace"]

# Seconds between two records of what was done.
_RECORD = 1.0
_RATE_SECONDS = 60.0
# Seconds for which a worker that procrastinate runs, and which can't be ended, rests after such an error.
_PAUSE = 10.0


@frozen
class Tally:
    """What a worker has done."""

    done: int
    """Rows that have their voice."""
    failed: int
    """Rows that failed."""


@define(eq=False)
class _Chunk:
    """A chunk that this process carries out."""

    submission: int
    number: int
    uploads: list[ManifestUpload]
    results: Results
    task: asyncio.Task[Any]
    is_ours: bool = True
    """Whether it is to be carried out further: it was not cancelled, and no other worker has it."""
    changed: bool = False
    """Whether something of it is not recorded yet."""

    @property
    def left(self) -> list[int]:
        """The places of the rows that have no result yet."""
        return [place for place in range(len(self.uploads)) if str(place) not in self.results]


@define(eq=False)
class Workplace:
    """What one process works with; opened with its first chunk, or before."""

    address: Address
    options: WorkerOptions
    is_ending: bool = field(default=False, init=False)
    """Whether it begins no further row."""
    error: SiliconFlowError | None = field(default=None, init=False)
    """What would hit every upload."""
    stopped: asyncio.Event | None = field(default=None, init=False)
    """Set with that error, for the one that can end the worker."""
    tables: Tables = field(init=False)
    tally: Tally = field(default=Tally(0, 0), init=False)
    _me: uuid.UUID = field(factory=uuid.uuid4, init=False)
    _name: str = field(init=False)
    _client: VoiceClient = field(init=False)
    _throttle: SharedThrottle = field(init=False)
    _journal: Journal = field(init=False)
    _chunks: set[_Chunk] = field(factory=set[_Chunk], init=False)
    _recent: deque[tuple[float, int]] = field(factory=deque["tuple[float, int]"], init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _opened: AsyncExitStack | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.tables = Tables(self.address, self.options.patience)
        self._name = f"{platform.node()} {os.getpid()}"

    @property
    def lease(self) -> float:
        """Seconds without a heartbeat after which the worker is taken to be dead."""
        return self.options.lease

    @property
    def patience(self) -> float:
        """Seconds for which a database that is away is waited for."""
        return self.options.patience

    async def open(self) -> None:
        """Open the tables, the throttle, the client and the journal, unless that is done.

        Raises:
            SiliconFlowError: One of them can't be opened.
        """
        async with self._opening:
            if self._opened is not None:
                return
            options, url = self.options, self.address.conninfo
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self.tables)
                throttle = SharedThrottle(
                    url,
                    max_concurrency=options.concurrency,
                    requests_per_minute=options.requests_per_minute,
                    tokens_per_minute=options.tokens_per_minute,
                    window=options.window,
                    patience=options.patience,
                )
                self._throttle = await stack.enter_async_context(throttle)
                self._client = await stack.enter_async_context(options.client(self._throttle))
                journal = Journal(url, lease=options.lease, patience=options.patience)
                self._journal = await stack.enter_async_context(journal)
                await self._record()
                recording = asyncio.create_task(self._record_regularly())
                stack.push_async_callback(_ended, recording)
                self._opened = stack.pop_all()

    async def close(self) -> None:
        """Record what was done, leave, and close all; closing twice does nothing."""
        async with self._opening:
            opened, self._opened = self._opened, None
            if opened is not None:
                async with opened:
                    await self.tables.ask(sql.LEAVE, worker=self._me)

    async def drain(self, deadline: float) -> None:
        """End in good order: begin no row, finish what is under way within the deadline."""
        self.is_ending = True
        drained = await self._client.drain(deadline)
        if drained.unfinished:
            self.cancel()

    def cancel(self) -> None:
        """Cut off what is under way."""
        self.is_ending = True
        for chunk in self._chunks:
            chunk.task.cancel()

    async def carry_out(self, submission: int, number: int) -> None:
        """Upload the rows of a chunk that have no result yet.

        Raises:
            NotFinishedError: It is to be worked on again.
        """
        chunk = await self._take(submission, number)
        if chunk is None:
            return
        self._chunks.add(chunk)
        try:
            await self._upload(chunk)
        except ClientClosedError:
            pass  # the rows that were let go have no result
        except SiliconFlowError as error:
            await self._fail(error)
        finally:
            self._chunks.discard(chunk)
            await self._record(chunk)
        if chunk.left and chunk.is_ours:
            raise NotFinishedError

    async def _fail(self, error: SiliconFlowError) -> None:
        self.error = self.error or error
        if self.stopped is None:
            await asyncio.sleep(_PAUSE)
        else:
            self.is_ending = True
            self.stopped.set()

    async def _take(self, submission: int, number: int) -> _Chunk | None:
        found = await self.tables.ask(sql.TAKE, worker=self._me, submission=submission, number=number)
        if not found:
            return None  # it is finished, or was cancelled
        [(rows, results, folder, allow_outside)] = found
        submitted, own = Path(os.fsdecode(folder)), self.options.root
        here, outside = (submitted, allow_outside) if own is None else (Path(own), False)
        root = Root(Recordings(here, outside, self.options.remote), submitted)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        return _Chunk(submission, number, [root.upload(row) for row in rows], results, task)

    async def _upload(self, chunk: _Chunk) -> None:
        places = chunk.left
        outcomes = upload_many(
            self._client,
            self._rows(chunk, places),
            concurrency=self.options.concurrency,
            journal=self._journal,
            settle=self.options.settle,
        )
        async with aclosing(outcomes):
            async for outcome in outcomes:
                chunk.results[str(places[outcome.index])] = result_of(outcome, platform.node())
                chunk.changed = True
                self._count(outcome)

    async def _rows(self, chunk: _Chunk, places: list[int]) -> AsyncGenerator[ManifestUpload, None]:
        for place in places:
            if self.is_ending or not chunk.is_ours:
                return
            yield chunk.uploads[place]

    def _count(self, outcome: UploadOutcome) -> None:
        failed = outcome.status == "failed"
        self.tally = Tally(self.tally.done + (not failed), self.tally.failed + failed)
        if self.options.on_outcome is not None:
            self.options.on_outcome(outcome)

    async def _record_regularly(self) -> None:
        while True:
            await asyncio.sleep(_RECORD)
            try:
                await self._record(*(chunk for chunk in self._chunks if chunk.changed or chunk.is_ours))
            except SiliconFlowError as error:
                await self._fail(error)

    async def _record(self, *chunks: _Chunk) -> None:
        """Record that this process lives, what it has done, and the results of chunks."""
        beat = self._beat()
        records = {chunk: self._as_recorded(chunk) for chunk in chunks}

        async def write(connection: Connection) -> None:
            await rows_of(connection, sql.BEAT, **beat)
            for chunk, record in records.items():
                found = await rows_of(connection, sql.RECORD, **record)
                chunk.is_ours = bool(found) and found[0][0] != "cancelled"

        await self.tables.transact(write)

    def _as_recorded(self, chunk: _Chunk) -> dict[str, Any]:
        done, failed = counted(chunk.results)
        state = "running" if chunk in self._chunks else "waiting" if chunk.left else "done"
        chunk.changed = False
        return {
            "submission": chunk.submission,
            "number": chunk.number,
            "worker": self._me,
            "results": as_json(chunk.results),
            "done": done,
            "failed": failed,
            "state": state,
        }

    def _beat(self) -> dict[str, Any]:
        now, count = asyncio.get_running_loop().time(), self.tally.done + self.tally.failed
        self._recent.append((now, count))
        while now - self._recent[0][0] > _RATE_SECONDS:
            self._recent.popleft()
        (began, before) = self._recent[0]
        limits = [gate.requests_per_window for gate in self._throttle.snapshot() if gate.model]
        known = [limit for limit in limits if limit is not None]
        return {
            "worker": self._me,
            "name": self._name,
            "lease": self.lease,
            "done": self.tally.done,
            "failed": self.tally.failed,
            "per_second": (count - before) / (now - began) if now > began else 0.0,
            "requests_per_minute": sum(known) * 60 / self._throttle.window if known else None,
        }


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
