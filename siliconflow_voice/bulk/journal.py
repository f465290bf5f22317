"""The journal of bulk runs, as users have it: what was begun and what came of it, counted and exported."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Record
from siliconflow_voice.bulk.tables import TableFormat, TableWriter, part_of, table_format
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, JournalError
from siliconflow_voice.threads import OwnThread

__all__ = ["Journal"]


_PAGE = 1000


class Journal:
    """A file in which bulk runs keep what they have sent, so that the next run goes on where this one ended.

    ::

        async with Journal("voices.journal") as journal:
            async for outcome in upload_many(client, uploads, journal=journal):
                ...
            await journal.export("voices.csv")

    It is an SQLite database, readable by its owner alone, that holds texts, digests and uris but no key and
    no audio. One run at a time has it; when that ends, however it ends, another can. It must be on a local
    disk. While it is open, leave it and the file beside it that ends in ``-wal`` alone.

    Args:
        path: The file; created if there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolving would follow a link
        self._opened: SQLiteJournal | None = None
        self._claimed = False

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

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
            raise JournalError(f"The journal {self.path} is open already")
        opened = self._opened = SQLiteJournal(self.path)
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
        return await self._open_file().counts()

    async def records(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield its uploads in the order in which they were begun, each with the fields of :meth:`export`.

        Raises:
            JournalError: It can't be read.
        """
        opened, last = self._open_file(), 0
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
        opened, last = self._open_file(), 0
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
        return await self._open_file().decide(sha256, custom_name, uri)

    async def forget(self, uri: str) -> bool:
        """Forget an upload's voice, since it was deleted: the next run sends the upload again.

        Returns:
            Whether there was such an upload.

        Raises:
            JournalError: It can't be written.
        """
        return await self._open_file().forget(uri)

    @asynccontextmanager
    async def claim(self) -> AsyncGenerator[SQLiteJournal, None]:
        """Reserve it for one run, which uses what this returns; for :func:`upload_many`.

        Raises:
            JournalError: Another run has it, or it is not open.
        """
        if self._claimed:
            raise JournalError(f"The journal {self.path} is in use by another run")
        opened = self._open_file()
        self._claimed = True
        try:
            yield opened
        finally:
            self._claimed = False
            # Where it can't be recorded, the run counts as one that was killed.
            with suppress(JournalError):
                await opened.end_run()

    def _open_file(self) -> SQLiteJournal:
        if self._opened is None:
            raise JournalError(f"The journal {self.path} is not open")
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
        opened = self._open_file()
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
        if os.path.realpath(self.path) in {os.path.realpath(path), os.path.realpath(part_of(path))}:
            raise ConfigurationError(f"{path} would overwrite the journal; export to another file")
        return path, _FIELDS, chosen


_FIELDS = [
    "audio", "sha256", "model", "custom_name", "text", "state", "uri", "error", "trace_id", "attempts", "at",
]  # fmt: skip


def _row(record: Record) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _FIELDS}
    row["at"] = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds")
    return row
