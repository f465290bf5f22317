"""Checks all rows of a manifest, and reports everything that is wrong with them, before anything is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from attrs import define, field, frozen

from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.bulk.listed import ManifestUpload, Refused
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.checking import Inspector, Problems, UploadProblem

__all__ = ["CheckReport", "ManifestCheck"]

T = TypeVar("T")
Rows: TypeAlias = "Callable[[], AsyncGenerator[ManifestUpload, None]]"

_ROWS_AT_ONCE = 64

_CREATE = """
PRAGMA journal_mode = OFF;
CREATE TABLE rows (line INTEGER PRIMARY KEY, named BLOB, same BLOB);
BEGIN;
"""
# Made of all at once: to keep them while rows come would write all over the disk.
_INDEX = "CREATE INDEX by_named ON rows (named, line); CREATE INDEX by_same ON rows (same, line);"
_REPEATED = """
SELECT line, first_named, first_same FROM (
    SELECT
        line,
        (SELECT min(line) FROM rows AS other WHERE other.named = rows.named) AS first_named,
        (SELECT min(line) FROM rows AS other WHERE other.same = rows.same) AS first_same
    FROM rows
) WHERE first_named < line OR first_same < line ORDER BY line
"""


@frozen
class CheckReport:
    """A manifest's totals."""

    rows: int = 0
    """The wrong ones included."""
    wrong: int = 0
    """How many rows would fail."""
    problems: int = 0
    """All of these rows, and those of rows that would make the same voice, or another of the same name."""
    audio_bytes: int = 0
    """Of all recordings that could be read."""
    body_bytes: int = 0
    """The same as they are sent: base64 makes four bytes of three."""
    audio_seconds: float = 0.0
    """Of all recordings whose duration is known."""
    unmeasured: int = 0
    """How many recordings could be read, but their duration is not known."""

    def upload_seconds(self, requests_per_minute: float) -> float:
        """Estimate how long the upload of the rows that aren't wrong takes, at a limit of the account's."""
        return (self.rows - self.wrong) / requests_per_minute * 60


class ManifestCheck:
    """A check of all rows of a manifest and of their recordings: iterating it checks them, and sends nothing.

    ::

        check = Manifest("voices.csv").check()
        async for problem in check:
            print(problem.line, problem.field, problem.rule, problem.reason)
        print(check.report)

    It yields each :class:`UploadProblem`: in the order of the rows, and then, in their order again, those of
    rows that would make the same voice twice, or give one model two voices of the same name, which are hard
    to tell apart afterwards. Memory does not grow with the rows. Iterating again checks again.

    Iterating raises an :class:`InvalidUploadError` of ``manifest`` if that can't be read or its header is
    wrong, and a :class:`SiliconFlowError` if there is no room for temporary files.
    """

    def __init__(self, rows: Rows, limits: AudioLimits | None) -> None:
        self._rows = rows
        self._limits = limits
        self._totals = _Totals()

    @property
    def report(self) -> CheckReport:
        """The totals so far: once it was iterated to its end, those of all rows."""
        return self._totals.report()

    async def __aiter__(self) -> AsyncGenerator[UploadProblem, None]:
        totals = self._totals = _Totals()
        inspector = Inspector(self._limits)
        seen = _Seen()
        try:
            async with aclosing(_batches(self._rows)) as batches:
                async for batch in batches:
                    async with asyncio.TaskGroup() as group:
                        tasks = [group.create_task(_find(inspector, upload)) for upload in batch]
                    findings = [task.result() for task in tasks]
                    for finding in findings:
                        totals.add(finding)
                        for problem in finding.problems:
                            yield problem
                    await seen.add([finding.keys() for finding in findings])
            async with aclosing(seen.repeated()) as repeated:
                async for problem in repeated:
                    totals.problems += 1
                    yield problem
        finally:
            seen.close()
            await inspector.close()


async def _batches(rows: Rows) -> AsyncGenerator[list[ManifestUpload], None]:
    batch: list[ManifestUpload] = []
    async with aclosing(rows()) as uploads:
        async for upload in uploads:
            batch.append(upload)
            if len(batch) == _ROWS_AT_ONCE:
                yield batch
                batch = []
    yield batch


async def _find(inspector: Inspector, upload: ManifestUpload) -> _Finding:
    problems = Problems(upload.line)
    facts = None
    if isinstance(upload.audio, Refused):
        problems.found.extend(upload.audio.problems)
        known = {problem.field for problem in problems.found}
        if "" not in known:
            inspector.check_texts(upload, problems, but=known)
    else:
        facts = await inspector.inspect(upload, problems, digest=True)
    return _Finding(upload, problems.found, facts)


@frozen
class _Finding:
    """A row, and what is wrong with it."""

    upload: ManifestUpload
    problems: list[UploadProblem]
    facts: AudioFacts | None
    """Of its audio, if it could be read."""

    def keys(self) -> tuple[int, bytes | None, bytes | None]:
        """Return its line, and two digests: equal ones have the same name, or are the same upload."""
        upload, facts = self.upload, self.facts
        named = same = None
        if upload.custom_name:
            parts = json.dumps([upload.model, upload.custom_name])
            named = hashlib.blake2b(parts.encode(), digest_size=16).digest()
        if facts is not None and facts.sha256 is not None:
            same = Entry("", facts.sha256, upload.model, upload.custom_name, upload.text).key
        return upload.line, named, same


@define(eq=False)
class _Totals:
    """Counts rows, problems, bytes and seconds."""

    problems: int = 0
    _counts: Counter[str] = field(factory=Counter[str], init=False)
    _seconds: float = field(default=0.0, init=False)

    def add(self, finding: _Finding) -> None:
        counts = self._counts
        self.problems += len(finding.problems)
        counts["rows"] += 1
        counts["wrong"] += bool(finding.problems)
        if finding.facts is not None:
            size = finding.facts.size or 0
            counts["audio_bytes"] += size
            counts["body_bytes"] += -(-size // 3) * 4 if finding.upload.encoding == "base64" else size
            counts["unmeasured"] += finding.facts.duration is None
            self._seconds += finding.facts.duration or 0.0

    def report(self) -> CheckReport:
        return CheckReport(**self._counts, problems=self.problems, audio_seconds=self._seconds)


class _Seen:
    """All rows so far, in a temporary file that one thread has open."""

    def __init__(self) -> None:
        self._thread = OwnThread("check")
        self._opened: sqlite3.Connection | None = None

    async def add(self, rows: list[tuple[int, bytes | None, bytes | None]]) -> None:
        """Note some rows: their lines, and the digests of :meth:`_Finding.keys`."""
        await self._run(lambda database: database.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows))

    async def repeated(self) -> AsyncGenerator[UploadProblem, None]:
        """Yield the duplicates, in the order of the lines."""
        cursor = await self._run(lambda database: database.executescript(_INDEX).execute(_REPEATED))
        while page := await self._run(lambda _: cursor.fetchmany(_ROWS_AT_ONCE)):
            for line, named, same in page:
                if same is not None and same < line:
                    yield UploadProblem("audio", "duplicate", f"the same upload as line {same}", line)
                else:
                    yield UploadProblem("custom_name", "name_taken", f"also on line {named}", line)

    def close(self) -> None:
        """Free the disk, once the thread is done with what it does."""
        self._thread.close(self._close)

    async def _run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        return await self._thread.run(self._carry_out, operation)

    def _carry_out(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._opened is None:
                # A file without a name, that is gone with the connection. Nothing in it needs to last.
                self._opened = sqlite3.connect("", isolation_level=None)
                self._opened.executescript(_CREATE)
            return operation(self._opened)
        except sqlite3.Error as error:
            raise SiliconFlowError(f"The rows can't be compared in a temporary file: {error}") from error

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
