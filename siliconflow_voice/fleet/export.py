"""Writes what became of the rows that were submitted, and those that failed, as a bulk run writes them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeAlias

from siliconflow_voice.bulk.outcomes import RESULT_COLUMNS, as_failure, failure_columns
from siliconflow_voice.bulk.tables import TableWriter, table_format
from siliconflow_voice.database import Address
from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.stored import Results, table_row
from siliconflow_voice.fleet.tables import Tables
from siliconflow_voice.threads import OwnThread

__all__ = ["failures", "results"]

# Chunks that are read at once.
_CHUNKS = 20

_Chunk: TypeAlias = "tuple[list[dict[str, Any]], Results]"


async def results(database_url: str, target: str | os.PathLike[str], *, submission: int | None = None) -> int:
    """Write the results that there are, in the order of the rows, with the columns of a bulk run's results.

    Args:
        database_url: ``postgresql://user@host/database``, where manifests were submitted.
        target: The .csv or .jsonl file; one that exists is replaced once all is written.
        submission: Only those of this one.

    Returns:
        The number of rows.

    Raises:
        ConfigurationError: The URL or the file's name is invalid, or there is no such submission.
        FleetError: The database can't be used.
        OSError: The file can't be written.
    """
    path = Path(target)
    chosen = table_format(path.suffix.removeprefix(".").lower())
    if chosen is None:
        raise ConfigurationError(f"Results go into a .csv or .jsonl file, not {path.name}")
    async with Tables(Address.parse(database_url)) as tables:
        await _submissions(tables, submission)
        return await _write(TableWriter(path, RESULT_COLUMNS, chosen), tables, submission, _all, failed=0)


async def failures(
    database_url: str, target: str | os.PathLike[str], *, submission: int | None = None
) -> int:
    """Write the rows that failed as a manifest, with their errors: corrected, it can be submitted.

    Args:
        database_url: ``postgresql://user@host/database``, where manifests were submitted.
        target: The .csv file; one that exists is replaced once all is written.
        submission: Only those of this one.

    Returns:
        The number of rows.

    Raises:
        ConfigurationError: The URL or the file's name is invalid, there is no such submission, or several
            have their recordings in different folders.
        FleetError: The database can't be used.
        OSError: The file can't be written.
    """
    path = Path(target)
    if path.suffix.lower() != ".csv":
        raise ConfigurationError(f"Failures go into a .csv file, not {path.name}")
    async with Tables(Address.parse(database_url)) as tables:
        found = await _submissions(tables, submission)
        if len({root for root, _ in found}) > 1:
            raise ConfigurationError(
                "The recordings of the submissions are in different folders: pass the number of one, as "
                "fleet status shows it"
            )
        columns = failure_columns(list(dict.fromkeys(name for _, columns in found for name in columns)))
        table = TableWriter(path, columns, "csv", faithful=True)
        return await _write(table, tables, submission, _failed, failed=1)


async def _submissions(tables: Tables, submission: int | None) -> list[tuple[bytes, list[str]]]:
    found = await tables.ask(sql.SUBMISSION, submission=submission)
    if submission is not None and not found:
        raise ConfigurationError(f"There is no submission {submission}: see fleet status for their numbers")
    return [(bytes(root), columns) for root, columns in found]


async def _write(
    table: TableWriter,
    tables: Tables,
    submission: int | None,
    rows_of: Callable[[_Chunk], list[dict[str, Any]]],
    *,
    failed: int,
) -> int:
    count = 0
    with OwnThread("results") as thread:
        try:
            await thread.run(table.begin)
            async with aclosing(_chunks(tables, submission, failed)) as pages:
                async for chunks in pages:
                    rows = [row for chunk in chunks for row in rows_of(chunk)]
                    await thread.run(table.write, rows)
                    count += len(rows)
            await thread.run(table.commit)
        except BaseException:
            table.discard()
            raise
    return count


async def _chunks(
    tables: Tables, submission: int | None, failed: int
) -> AsyncGenerator[Iterable[_Chunk], None]:
    """Yield chunks with so many failures at least, some at a time."""
    key = (0 if submission is None else submission, -1)
    while page := await tables.ask(
        sql.PAGE, submission=key[0], number=key[1], only=submission, failed=failed, chunks=_CHUNKS
    ):
        yield [(rows, results) for _, _, rows, results in page]
        key = page[-1][:2]


def _all(chunk: _Chunk) -> list[dict[str, Any]]:
    rows, results = chunk
    return [table_row(row, results[str(place)]) for place, row in enumerate(rows) if str(place) in results]


def _failed(chunk: _Chunk) -> list[dict[str, Any]]:
    rows, results = chunk
    return [
        as_failure(row["cells"], table_row(row, results[str(place)]))
        for place, row in enumerate(rows)
        if results.get(str(place), {}).get("status") == "failed"
    ]
