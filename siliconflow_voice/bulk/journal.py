"""The journal of bulk runs: what was begun and what came of it, on disk before anybody is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from siliconflow_voice.bulk.store import Record, State, Store
from siliconflow_voice.bulk.tables import TableFormat, TableWriter, part_of, table_format
from siliconflow_voice.bulk.writer import Writer
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, JournalError

__all__ = ["Journal"]

T = TypeVar("T")

_PAGE = 1000
_STATES: dict[State, str] = {"sent": "unknown"}


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
        self._writer: Writer | None = None
        self._taken = False

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
        """Open the file, and keep others from it.

        Raises:
            JournalError: It is in use, damaged, no journal, of a newer version, or can't be written here.
        """
        if self._writer is not None:
            raise JournalError(f"The journal {self.path} is open already")
        writer = self._writer = Writer(self.path)
        try:
            await writer.open()
        except BaseException:
            # Who is cancelled here does not get to close it.
            self._writer = None
            writer.leave()
            raise

    async def close(self) -> None:
        """Close it; closing twice does nothing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    async def counts(self) -> dict[str, int]:
        """Count its uploads by state: ``uploaded``, ``recovered``, ``failed``, ``pending`` (begun, and known
        not to have been stored), and ``unknown`` (begun, and not heard of since).

        Raises:
            JournalError: It can't be read.
        """  # noqa: D205 - one sentence
        counts = await self.transact(Store.counts)
        return {_STATES.get(state, state): count for state, count in counts.items()}

    async def decide(self, *, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Say what became of an upload that is ``unknown``, where no listing can tell.

        Args:
            sha256: Of its audio, in hexadecimal, as :meth:`export` writes it.
            custom_name: Its name.
            uri: Its voice; or None if it has none, and is to be sent again.

        Returns:
            Whether there was such an upload.

        Raises:
            InvalidUploadError: *uri* is none of a voice.
            JournalError: It can't be written.
        """
        if uri is not None and not uri.startswith("speech:"):
            raise InvalidUploadError("uri", f"{uri!r:.80} is no uri of a voice: those begin with speech:")
        return await self.transact(partial(Store.decide, sha256=sha256, custom_name=custom_name, uri=uri))

    async def forget(self, uri: str) -> bool:
        """Forget that an upload has its voice, since that was deleted: the next run sends it again.

        Returns:
            Whether there was such an upload.

        Raises:
            JournalError: It can't be written.
        """
        return await self.transact(partial(Store.forget, uri=uri))

    async def export(
        self,
        target: str | os.PathLike[str],
        *,
        format: TableFormat | None = None,  # noqa: A002 - the field's word
    ) -> int:
        """Write all its records to a file, which is replaced when they are complete; return their number.

        Each has ``audio`` (what it was called last), ``sha256``, ``model``, ``custom_name``, ``text``,
        ``state``, ``uri``, ``error``, ``trace_id``, ``attempts`` and ``at`` (UTC, of its latest change).

        Args:
            target: The file; one that exists is replaced.
            format: ``csv`` (with a byte order mark, as Excel wants it) or ``jsonl``; by default what the
                file's name ends with.

        Raises:
            ConfigurationError: The format is neither, or the file is the journal.
            JournalError: The journal can't be read.
            OSError: The file can't be written.
        """
        table = TableWriter(*self._check_export(Path(target), format))
        count, last = 0, 0
        try:
            await asyncio.to_thread(table.begin)
            while page := await self.transact(partial(_page, last)):
                await asyncio.to_thread(table.write, [_row(record) for _, record in page])
                count, last = count + len(page), page[-1][0]
            await asyncio.to_thread(table.commit)
        except BaseException:
            table.discard()
            raise
        return count

    async def transact(self, operation: Callable[[Store], T]) -> T:
        """Have one of the store's operations done and made durable; for :func:`upload_many`.

        Raises:
            JournalError: The journal is not open, or it could not be.
        """
        if self._writer is None:
            raise JournalError(f"The journal {self.path} is not open")
        return await self._writer.run(operation)

    def take(self) -> None:
        """Give it to a run; for :func:`upload_many`.

        Raises:
            JournalError: Another run has it.
        """
        if self._taken:
            raise JournalError(f"The journal {self.path} is in use by another run")
        self._taken = True

    def give_back(self) -> None:
        """End a run; for :func:`upload_many`."""
        self._taken = False

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


def _page(last: int, store: Store) -> list[tuple[int, Record]]:
    return store.page(last, _PAGE)


def _row(record: Record) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in _FIELDS}
    row["state"] = _STATES.get(record.state, record.state)
    row["at"] = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds")
    return row
