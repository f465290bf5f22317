"""Checks all rows of a manifest, and reports everything that is wrong with them, before anything is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from attrs import define, evolve, field, frozen

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.checks import AudioLimits, check_audio, check_texts
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.bulk.manifest import Manifest, ManifestUpload, Refused
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.errors import InvalidUploadError, SiliconFlowError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.validation import check_callback, check_choice, check_kind

__all__ = ["CheckReport", "Problem", "check_manifest"]

T = TypeVar("T")

_ROWS_AT_ONCE = 64
_RECORDINGS_AT_ONCE = 4

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
class Problem:
    """Something that is wrong with a row; its ``str()`` reads as a sentence."""

    line: int
    """On which the row begins, counted from 1."""
    column: str
    """Empty, where the row is wrong as a whole."""
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}{self.column and f', column {self.column}:'} {self.reason}"


@frozen
class CheckReport:
    """A manifest's totals."""

    rows: int
    """The wrong ones included."""
    problems: int
    audio_bytes: int
    """Of all recordings that could be read."""
    body_bytes: int
    """The same as they are sent: base64 makes four bytes of three."""
    audio_seconds: float
    """Of all recordings whose duration is known."""
    unmeasured: int
    """How many recordings could be read, but their duration is not known."""


async def check_manifest(
    manifest: Manifest,
    *,
    limits: AudioLimits | None = AudioLimits(),
    on_problem: Callable[[Problem], object],
) -> CheckReport:
    """Check every row and every recording, and send nothing.

    Rows that would make the same voice twice are reported as well, and those that give one model two voices
    of the same name, which are hard to tell apart afterwards. Memory does not grow with the rows.

    Args:
        manifest: What to check.
        limits: As those of :class:`VoiceClient`.
        on_problem: Called in the event loop with each problem: in the order of the rows, and then, in their
            order again, with the duplicates.

    Raises:
        InvalidUploadError: Of ``manifest``: it can't be read, or its header is wrong.
        SiliconFlowError: There is no room for temporary files.
        ConfigurationError: *limits* is not an AudioLimits, or *on_problem* is not a plain function.
    """
    check_kind("limits", limits, AudioLimits, or_none=True)
    check_callback("on_problem", on_problem)
    totals = _Totals(on_problem)
    inspector = _Inspector(limits)
    seen = _Seen()
    try:
        async with aclosing(_batches(manifest)) as batches:
            async for batch in batches:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(inspector.inspect(upload)) for upload in batch]
                findings = [task.result() for task in tasks]
                for finding in findings:
                    totals.add(finding)
                await seen.add([finding.keys() for finding in findings])
        async with aclosing(seen.repeated()) as repeated:
            async for problem in repeated:
                totals.report_problem(problem)
    finally:
        seen.close()
        await inspector.pool.close()
    return totals.report()


async def _batches(manifest: Manifest) -> AsyncGenerator[list[ManifestUpload], None]:
    batch: list[ManifestUpload] = []
    async with aclosing(aiter(manifest)) as uploads:
        async for upload in uploads:
            batch.append(upload)
            if len(batch) == _ROWS_AT_ONCE:
                yield batch
                batch = []
    yield batch


@frozen
class _Finding:
    """A row, and what is wrong with it."""

    upload: ManifestUpload
    problems: list[Problem]
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

    _on_problem: Callable[[Problem], object]
    _counts: Counter[str] = field(factory=Counter[str], init=False)
    _seconds: float = field(default=0.0, init=False)

    def add(self, finding: _Finding) -> None:
        self._counts["rows"] += 1
        for problem in finding.problems:
            self.report_problem(problem)
        if finding.facts is not None:
            size = finding.facts.size or 0
            self._counts["audio_bytes"] += size
            self._counts["body_bytes"] += -(-size // 3) * 4 if finding.upload.encoding == "base64" else size
            self._counts["unmeasured"] += finding.facts.duration is None
            self._seconds += finding.facts.duration or 0.0

    def report_problem(self, problem: Problem) -> None:
        self._counts["problems"] += 1
        self._on_problem(problem)

    def report(self) -> CheckReport:
        counts = self._counts
        return CheckReport(
            counts["rows"],
            counts["problems"],
            counts["audio_bytes"],
            counts["body_bytes"],
            self._seconds,
            counts["unmeasured"],
        )


@define(eq=False)
class _Problems:
    """The problems of one row."""

    line: int
    found: list[Problem] = field(factory=list[Problem], init=False)

    def add(self, column: str, reason: str) -> None:
        self.found.append(Problem(self.line, column, reason))

    @contextmanager
    def noting(self) -> Generator[None, None, None]:
        """Note what is refused within it, and go on."""
        try:
            yield
        except InvalidUploadError as error:
            self.add(error.field, error.reason)
        except SiliconFlowError as error:
            self.add("audio", error.message)


class _Inspector:
    """Finds all that is wrong with a row, rule by rule: the first to fail would hide the others."""

    def __init__(self, limits: AudioLimits | None) -> None:
        self.pool = ReadPool()
        # Each takes a buffer until it is closed.
        self._turn = asyncio.Semaphore(_RECORDINGS_AT_ONCE)
        self._of_names = self._of_texts = limits
        self._of_audio: list[AudioLimits] = []
        if limits is not None:
            # What stands in for the name while another text is checked may break its rule.
            self._of_texts = evolve(limits, name_pattern=None)
            none = AudioLimits(formats=None, max_seconds=None, max_bytes=None)
            self._of_audio = [
                evolve(none, max_bytes=limits.max_bytes),
                evolve(none, formats=limits.formats),
                evolve(none, max_seconds=limits.max_seconds),
            ]

    async def inspect(self, upload: ManifestUpload) -> _Finding:
        """Check a row and its recording."""
        problems = _Problems(upload.line)
        facts = None
        if isinstance(upload.audio, Refused):
            for column, reason in upload.audio.problems:
                problems.add(column, reason)
        else:
            with problems.noting():
                source = AudioSource.of(upload.audio)
                facts = await self._look_at(source)
                self._check_audio(facts, source.filename, problems)
        columns = {problem.column for problem in problems.found}
        if "" not in columns:
            self._check_texts(upload, columns, problems)
        return _Finding(upload, problems.found, facts)

    async def _look_at(self, source: AudioSource) -> AudioFacts:
        async with self._turn:
            reading = source.reading(self.pool)
            try:
                return await reading.facts(measure=True, digest=True)
            finally:
                await reading.close()

    def _check_audio(self, facts: AudioFacts, filename: str, problems: _Problems) -> None:
        # What is empty breaks other rules too, and only because it is empty.
        for limits in self._of_audio if facts.size else [None]:
            with problems.noting():
                check_audio(limits, facts, filename)

    def _check_texts(self, upload: ManifestUpload, but: set[str], problems: _Problems) -> None:
        if "custom_name" not in but:
            with problems.noting():
                check_texts(self._of_names, custom_name=upload.custom_name, text="-", model="-")
        if "text" not in but:
            with problems.noting():
                check_texts(self._of_texts, custom_name="-", text=upload.text, model="-")
        if "model" not in but:
            with problems.noting():
                check_texts(self._of_texts, custom_name="-", text="-", model=upload.model)
        with problems.noting():
            check_choice("encoding", upload.encoding, Encoding)


class _Seen:
    """All rows so far, in a temporary file that one thread has open."""

    def __init__(self) -> None:
        self._thread = OwnThread("check")
        self._opened: sqlite3.Connection | None = None

    async def add(self, rows: list[tuple[int, bytes | None, bytes | None]]) -> None:
        """Note some rows: their lines, and the digests of :meth:`_Finding.keys`."""
        await self._run(lambda database: database.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows))

    async def repeated(self) -> AsyncGenerator[Problem, None]:
        """Yield the duplicates, in the order of the lines."""
        cursor = await self._run(lambda database: database.executescript(_INDEX).execute(_REPEATED))
        while page := await self._run(lambda _: cursor.fetchmany(_ROWS_AT_ONCE)):
            for line, named, same in page:
                if same is not None and same < line:
                    yield Problem(line, "audio", f"the same upload as line {same}")
                else:
                    yield Problem(line, "custom_name", f"also on line {named}")

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
