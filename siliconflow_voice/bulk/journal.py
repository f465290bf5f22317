"""The journal of bulk runs, as users have it: what was begun and what came of it, counted and exported."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, cast

from attrs import frozen

from siliconflow_voice.bulk.journaling import Journaling, RunJournal
from siliconflow_voice.bulk.resume import resume
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Record
from siliconflow_voice.bulk.tables import TableFormat, TableWriter, part_of, table_format
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, JournalError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.uploader import Uploader

__all__ = ["Journal"]


_PAGE = 1000


class OpenJournal(Protocol):
    """A journal, open. Each method raises a :class:`JournalError` where it fails."""

    async def open(self) -> None: ...
    def leave(self) -> None: ...
    async def close(self) -> None: ...
    async def begin(self, uploader: Uploader, settle: float) -> RunJournal: ...
    async def end_run(self) -> None: ...
    async def counts(self) -> dict[str, int]: ...
    async def page(self, after: int, size: int) -> list[tuple[int, Record]]: ...
    async def superseded(self, after: int, size: int) -> list[tuple[int, Record, str]]: ...
    async def decide(self, sha256: str, custom_name: str, uri: str | None) -> bool: ...
    async def forget(self, uri: str) -> bool: ...


class Place(Protocol):
    """Where a journal is."""

    @property
    def shown(self) -> str: ...
    @property
    def path(self) -> Path | None: ...
    def journal(self) -> OpenJournal: ...


@frozen
class _File:
    path: Path

    @property
    def shown(self) -> str:
        return str(self.path)

    def journal(self) -> OpenJournal:
        return _FileJournal(self.path)


class _FileJournal(SQLiteJournal):
    """One that begins a run by looking up what the last one left unknown."""

    async def begin(self, uploader: Uploader, settle: float) -> RunJournal:
        return Journaling(self, await resume(self, uploader, settle=settle))


class Journal:
    """Where bulk runs keep what they have sent, so that the next run goes on where this one ended.

    ::

        async with Journal("voices.journal") as journal:
            async for outcome in upload_many(client, uploads, journal=journal):
                ...
            await journal.export("voices.csv")

    It holds texts, digests and uris, but no key and no audio.

    With a path it is an SQLite file, readable by its owner alone. One run at a time has it; when that ends,
    however it ends, another can. It must be on a local disk. While it is open, leave it and the file beside
    it that ends in ``-wal`` alone.

    With the URL of a PostgreSQL database (extra ``fleet``), any number of runs on any machines share it. An
    upload is claimed by one of them before its first byte; what a run that died had claimed is taken over by
    the next that comes to it, which looks up what became of it before it sends it again. A database is one
    account's.

    Args:
        place: The file, which is created if there is none; or ``postgresql://user@host/database``.
        lease: Seconds without a heartbeat after which a process is taken to be dead; for PostgreSQL.
        patience: Seconds for which a database that is away is waited for, with nothing sent meanwhile,
            before a run fails; for PostgreSQL.

    Raises:
        ConfigurationError: The URL is invalid, the extra is not installed, or a number is not positive.
    """

    def __init__(self, place: str | os.PathLike[str], *, lease: float = 30.0, patience: float = 60.0) -> None:
        self._place = _place(place, lease, patience)
        self._opened: OpenJournal | None = None
        self._claimed = False

    @property
    def path(self) -> Path | None:
        """The file; None if it is in a database."""
        return self._place.path

    def __repr__(self) -> str:
        return f"Journal({self._place.shown!r})"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the file, and lock it against other runs.

        Raises:
            JournalError: It is in use, damaged, not a journal, a newer version's, or can't be written here.
        """
        if self._opened is not None:
            raise JournalError(f"The journal {self._place.shown} is open already")
        opened = self._opened = self._place.journal()
        try:
            await opened.open()
        except BaseException:
            # A caller that is cancelled here never gets to close it.
            self._opened = None
            opened.leave()
            raise

    async def close(self) -> None:
        """Close it; closing twice does nothing."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def counts(self) -> dict[str, int]:
        """Count its uploads by state: ``uploaded``, ``recovered``, ``failed``, ``pending`` (begun, and known
        not to have been stored), and ``unknown`` (begun, and their end was not recorded).

        Raises:
            JournalError: It can't be read.
        """  # noqa: D205 - one sentence
        return await self._open_journal().counts()

    async def records(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield its uploads in the order in which they were begun, each with the fields of :meth:`export`.

        Raises:
            JournalError: It can't be read.
        """
        opened, last = self._open_journal(), 0
        while page := await opened.page(last, _PAGE):
            for last, record in page:  # noqa: B007 - the next page begins behind it
                yield _row(record)

    async def superseded(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the uploads whose voices a later upload replaced: such as of a row whose text was corrected.

        The later one has the same model and ``custom_name``, or the same model, audio and content, and
        another text. Each has the fields of :meth:`export`, and ``superseded_by``: the later one's uri. The
        journal does not know which of two voices is still wanted: if a name stands for two on purpose, or a
        text was changed back, the older one is.

        Raises:
            JournalError: It can't be read.
        """
        opened, last = self._open_journal(), 0
        while page := await opened.superseded(last, _PAGE):
            for last, record, uri in page:  # noqa: B007 - the next page begins behind it
                yield {**_row(record), "superseded_by": uri}

    async def decide(self, *, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Record what became of an upload that is ``unknown``, where no listing can show it.

        Args:
            sha256: Of its audio, in hexadecimal, as :meth:`export` writes it.
            custom_name: Its name.
            uri: Its voice; or None if it has none, and is to be sent again.

        Returns:
            Whether there was such an upload.

        Raises:
            InvalidUploadError: *uri* is not a voice's.
            JournalError: It can't be written.
        """
        if uri is not None and not uri.startswith("speech:"):
            raise InvalidUploadError("uri", f"{uri!r:.80} is not a voice's uri: those begin with speech:")
        return await self._open_journal().decide(sha256, custom_name, uri)

    async def forget(self, uri: str) -> bool:
        """Forget an upload's voice, since it was deleted: the next run sends the upload again.

        Returns:
            Whether there was such an upload.

        Raises:
            JournalError: It can't be written.
        """
        return await self._open_journal().forget(uri)

    @asynccontextmanager
    async def run(self, uploader: Uploader, *, settle: float) -> AsyncGenerator[RunJournal, None]:
        """Return a scope in which a run uses it; for :func:`upload_many`.

        Raises:
            JournalError: It is not open; or it is a file, and another run has it.
            SiliconFlowError: The account can't be listed.
        """
        opened = self._open_journal()
        if self._claimed and self.path is not None:
            raise JournalError(f"The journal {self._place.shown} is in use by another run")
        self._claimed = True
        try:
            yield await opened.begin(uploader, settle)
        finally:
            self._claimed = False
            # Where it can't be recorded, the run counts as one that was killed.
            with suppress(JournalError):
                await opened.end_run()

    def _open_journal(self) -> OpenJournal:
        if self._opened is None:
            raise JournalError(f"The journal {self._place.shown} is not open")
        return self._opened

    async def export(
        self,
        target: str | os.PathLike[str],
        *,
        format: TableFormat | None = None,  # noqa: A002 - the field's word
    ) -> int:
        """Write all its records to a file, which is replaced when they are complete; return their number.

        Each has ``audio`` (its latest name), ``sha256``, ``model``, ``custom_name``, ``text``,
        ``state``, ``uri``, ``error``, ``trace_id``, ``attempts`` and ``at`` (UTC, of its latest change).

        Args:
            target: The file; one that exists is replaced.
            format: ``csv`` (with a byte order mark, as Excel wants it) or ``jsonl``; by default what the
                file's name ends with.

        Raises:
            ConfigurationError: The format is neither, or the file is the journal.
            JournalError: The journal can't be read.
            OSError: The file can't be written, or is a FIFO, a device or a directory.
        """
        table = TableWriter(*self._check_export(Path(target), format))
        opened = self._open_journal()
        count, last = 0, 0
        with OwnThread("export") as thread:
            try:
                await thread.run(table.begin)
                while page := await opened.page(last, _PAGE):
                    await thread.run(table.write, [_row(record) for _, record in page])
                    count, last = count + len(page), page[-1][0]
                await thread.run(table.commit)
            except BaseException:
                table.discard()
                raise
        return count

    def _check_export(self, path: Path, asked: str | None) -> tuple[Path, list[str], TableFormat]:
        name = path.suffix.removeprefix(".").lower() if asked is None else asked
        chosen = table_format(name)
        if chosen is None:
            got = repr(name) if name else "a file without a suffix"
            raise ConfigurationError(f"An export must be csv or jsonl, got {got}")
        if self.path is not None and os.path.realpath(self.path) in {
            os.path.realpath(path),
            os.path.realpath(part_of(path)),
        }:
            raise ConfigurationError(f"{path} would overwrite the journal; export to another file")
        return path, _FIELDS, chosen


_FIELDS = [
    "audio", "sha256", "model", "custom_name", "text", "state", "uri", "error", "trace_id", "attempts", "at",
]  # fmt: skip


def _row(record: Record) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _FIELDS}
    row["at"] = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds")
    return row


def _place(place: str | os.PathLike[str], lease: float, patience: float) -> Place:
    if not (isinstance(place, str) and place.lower().startswith(("postgresql://", "postgres://"))):
        return _File(Path(os.path.abspath(place)))  # noqa: PTH100 - resolving would follow a link
    try:
        # With the first of its kind: what it needs is an extra.
        module = import_module("siliconflow_voice.bulk.claiming")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"A journal in PostgreSQL needs {error.name}: install siliconflow-voice[fleet]"
        ) from None
    return cast("Place", module.InDatabase(place, lease, patience))
