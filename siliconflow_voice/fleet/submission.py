"""Submits manifests to the queue, streamed in chunks of rows, and cancels them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.database import Address, Connection
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.queue import put
from siliconflow_voice.fleet.stored import Results, as_json, counted, refused, row_of
from siliconflow_voice.fleet.tables import Tables, rows_of
from siliconflow_voice.threads import OwnThread

__all__ = ["Submission", "cancel", "submit"]

# Rows of a chunk: work of some seconds to minutes, and a few kilobytes.
_ROWS = 100
# Chunks of a transaction.
_CHUNKS = 50


@frozen
class Submission:
    """What came of submitting a manifest."""

    id: int
    """Its number."""
    rows: int
    """Rows of the manifest, the wrong ones included."""
    queued: int
    """Rows that were put into the queue: not those of an earlier submission of the same."""
    wrong: int
    """Rows that are wrong, and failed at once."""


@frozen
class _Chunk:
    number: int
    rows: list[dict[str, Any]]
    results: Results
    """Of the rows that are wrong."""


async def submit(database_url: str, manifest: Manifest) -> Submission:
    """Put the rows of a manifest into the queue; submitting the same twice is the same as once.

    What is submitted again is what was cancelled, or has failed. The manifest is streamed: its size is
    limited by the database alone. Rows that are wrong fail at once.

    Args:
        database_url: ``postgresql://user@host/database``; its tables are created if there are none.
        manifest: The rows. Their paths are relative to its folder, or its *root*: workers must have that too.

    Raises:
        InvalidUploadError: Of ``manifest``: the file can't be read, or its header is wrong.
        ConfigurationError: The URL is invalid.
        FleetError: The database can't be used.
    """
    address = Address.parse(database_url)
    rows = await manifest.scan()
    with OwnThread("digest") as thread:
        digest = await thread.run(_digest, manifest)
        async with Tables(address) as tables:
            number = await _begin(tables, manifest, digest, rows)
            queued = wrong = 0
            async with aclosing(_chunks(manifest)) as chunks:
                async for some in chunks:
                    queued += await tables.transact(partial(_put, submission=number, chunks=some))
                    wrong += sum(len(chunk.results) for chunk in some)
            if await thread.run(_digest, manifest) != digest:
                raise InvalidUploadError(
                    "manifest", f"{manifest.path} changed while it was submitted; submit it again"
                )
    return Submission(number, rows, queued, wrong)


async def cancel(database_url: str, submission: int | None = None) -> int:
    """Cancel what was submitted: what is under way is finished, the rest is not begun.

    Args:
        database_url: Where it was submitted.
        submission: Its number; None for all.

    Returns:
        How many rows were not carried out yet.

    Raises:
        ConfigurationError: There is no such submission.
        FleetError: The database can't be used.
    """
    async with Tables(Address.parse(database_url)) as tables:
        if submission is not None and not await tables.ask(sql.SUBMISSION, submission=submission):
            raise ConfigurationError(
                f"There is no submission {submission}: see fleet status for their numbers"
            )
        [(rows,)] = await tables.ask(sql.CANCEL, submission=submission)
        return int(rows)


async def _begin(tables: Tables, manifest: Manifest, digest: bytes, rows: int) -> int:
    [(number,)] = await tables.ask(
        sql.SUBMIT,
        digest=digest,
        manifest=str(_absolute(manifest.path)).encode("utf-8", "replace").decode(),
        columns=as_json(manifest.columns),
        root=os.fsencode(_absolute(manifest.recordings.root)),
        allow_outside=manifest.recordings.allow_outside,
        rows=rows,
    )
    return int(number)


async def _chunks(manifest: Manifest) -> AsyncGenerator[list[_Chunk], None]:
    """Yield the chunks of a manifest, some at a time."""
    some: list[_Chunk] = []
    rows: list[dict[str, Any]] = []
    results: Results = {}
    number = 0
    async with aclosing(aiter(manifest)) as uploads:
        async for upload in uploads:
            wrong = refused(upload)
            if wrong is not None:
                results[str(len(rows))] = wrong
            rows.append(row_of(upload))
            if len(rows) == _ROWS:
                some.append(_Chunk(number, rows, results))
                number, rows, results = number + 1, [], {}
                if len(some) == _CHUNKS:
                    yield some
                    some = []
    if rows:
        some.append(_Chunk(number, rows, results))
    if some:
        yield some


async def _put(connection: Connection, submission: int, chunks: Sequence[_Chunk]) -> int:
    """Write chunks, and their jobs; return how many rows were put into the queue."""
    await rows_of(connection, sql.LOCK, submission=submission)
    numbers = [chunk.number for chunk in chunks]
    present = {
        number: (state, failed, results)
        for number, state, failed, results in await rows_of(
            connection, sql.PRESENT, submission=submission, numbers=numbers
        )
    }
    wanted: list[tuple[_Chunk, Results]] = []
    for chunk in chunks:
        if chunk.number not in present:
            wanted.append((chunk, chunk.results))
            continue
        state, failed, results = present[chunk.number]
        if state == "cancelled" or (state == "done" and failed > len(chunk.results)):
            kept = {place: result for place, result in results.items() if result["status"] != "failed"}
            wanted.append((chunk, kept | chunk.results))
    unfinished = [chunk for chunk, results in wanted if len(results) < len(chunk.rows)]
    jobs = dict(
        zip(
            (chunk.number for chunk in unfinished),
            await put(connection, [(submission, chunk.number) for chunk in unfinished]),
            strict=True,
        )
    )
    async with connection.pipeline():
        for chunk, results in wanted:
            done, failed = counted(results)
            await connection.execute(
                sql.PUT.encode(),
                {
                    "submission": submission,
                    "number": chunk.number,
                    "size": len(chunk.rows),
                    "rows": as_json(chunk.rows),
                    "results": as_json(results),
                    "done": done,
                    "failed": failed,
                    "state": "waiting" if chunk.number in jobs else "done",
                    "job": jobs.get(chunk.number),
                },
            )
    return sum(len(chunk.rows) - len(results) for chunk, results in wanted)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolving would follow a link


def _digest(manifest: Manifest) -> bytes:
    """Return what a submission is known by: the manifest's bytes, and how they are read."""
    digest = hashlib.sha256(
        repr(
            (
                _ROWS,
                os.fspath(_absolute(manifest.recordings.root)),
                manifest.recordings.allow_outside,
                manifest.settings,
            )
        ).encode("utf-8", "replace")
    )
    try:
        with Path(manifest.path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InvalidUploadError(
            "manifest", f"{manifest.path} can't be read: {error.strerror or error}"
        ) from error
    return digest.digest()
