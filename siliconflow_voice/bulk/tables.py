"""Writes tables, CSV or JSON Lines; each replaces an earlier file only once it is whole and on the disk."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from siliconflow_voice.audio.files import kind_of

__all__ = ["TableFormat", "TableWriter", "is_table_of", "part_of", "table_format", "write_anew"]

TableFormat: TypeAlias = Literal["csv", "jsonl"]
_FORMATS: dict[str, TableFormat] = {"csv": "csv", "jsonl": "jsonl"}

_LONGEST_HEADER = 100_000

# Excel reads a CSV file as UTF-8 only if it begins with this.
_MARK = "\ufeff"
# Full-width ones too, which an input method makes, and some spreadsheets take for the others.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def table_format(name: str) -> TableFormat | None:
    """Return the format of a name, such as a file's suffix without its dot, or None."""
    return _FORMATS.get(name)


def part_of(path: Path) -> Path:
    """Return the file that a table is written to until it is complete; one that exists is replaced."""
    return path.with_name(f"{path.name}.part")


def is_table_of(path: Path, *, first: Sequence[str], last: Sequence[str]) -> bool:
    """Return whether a file is a CSV table with these columns first and last; a link or a FIFO never is.

    Raises:
        OSError: It is there, and can't be read.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        # O_NONBLOCK, or a FIFO that took its place meanwhile would hold this up.
        with open(path, encoding="utf-8-sig", errors="replace", opener=_open_unlinked) as file:
            header = next(csv.reader([file.readline(_LONGEST_HEADER)]), list[str]())
            return header[: len(first)] == list(first) and header[-len(last) :] == list(last)
    except FileNotFoundError:
        return False


def _open_unlinked(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def write_anew(path: Path, text: str) -> None:
    """Write a file whole, beside it first: a link in its place is replaced and not followed.

    Raises:
        OSError: It can't be written.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    with part.open("x", encoding="utf-8", newline="") as file:
        file.write(text)
    part.replace(path)


def _check_replaceable(path: Path) -> None:
    """Refuse what is there and not a file; a link is replaced, but not where it leads to such a thing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a directory is never replaced by a file
        reason = f"it is {kind_of(mode)}, not a regular file; write to another path"
        raise FileExistsError(errno.EEXIST, reason, str(path))


def _as_is(cell: object) -> object:
    return cell


def _no_formula(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula, as OWASP advises: names are others' texts."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


class TableWriter:
    """Writes the rows of a table to ``NAME.part``, which takes its name with :meth:`commit`.

    Each row is in that file as soon as it is written, so it can be followed; a process that is killed leaves
    it, and the next writer of the same table replaces it. All methods block, and raise OSError.

    Args:
        path: The table's file; one that exists is replaced.
        columns: Its columns. A JSON Lines table has those that a row has.
        format: ``csv`` (with a byte order mark, for Excel) or ``jsonl``.
        faithful: Whether cells are written as they are. Otherwise an apostrophe goes before a CSV cell that a
            spreadsheet would run as a formula.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        format: TableFormat,  # noqa: A002 - the field's word
        *,
        faithful: bool = False,
    ) -> None:
        self.path = path
        self._cell = _as_is if faithful else _no_formula
        self._part = part_of(path)
        self._columns = columns
        self._format = format
        self._file: IO[str] | None = None
        # A call whose caller was cancelled may still be running when the table is discarded.
        self._lock = threading.RLock()
        self._discarded = False
        self.committed = False
        """Whether the file is the table."""

    @property
    def begun(self) -> bool:
        """Whether it has been begun, and neither committed nor discarded."""
        return self._file is not None

    def begin(self) -> IO[str]:
        """Create the part file, with the header of a CSV table, unless that is done.

        Raises:
            OSError: It can't be created, the table was discarded, or what is in its place is not a file, such
                as a FIFO or a device, at which a reader may wait: that is not replaced.
        """
        with self._lock:
            if self._discarded:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED), str(self.path))
            if self._file is None:
                _check_replaceable(self.path)
                # Not opened as it is: it may be a link to elsewhere, or another writer's that is still there.
                self._part.unlink(missing_ok=True)
                # What UTF-8 can't carry, such as parts of a path that is not text, is escaped.
                self._file = self._part.open("x", encoding="utf-8", errors="backslashreplace", newline="")
                if self._format == "csv":
                    self._file.write(_MARK)
                    csv.writer(self._file).writerow(self._columns)
                self._file.flush()
            return self._file

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows, and begin the table with the first. A CSV cell that a row lacks is empty."""
        with self._lock:
            file = self.begin()
            if self._format == "csv":
                csv.writer(file).writerows(
                    [self._cell(row.get(name)) for name in self._columns] for row in rows
                )
            else:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            file.flush()

    def commit(self) -> None:
        """Put the table in place, durably; also one without rows."""
        with self._lock:
            file = self.begin()
            os.fsync(file.fileno())
            ours = os.fstat(file.fileno())
            file.close()
            if not os.path.samestat(ours, self._part.lstat()):
                raise FileExistsError(errno.EEXIST, "another program writes it too", str(self.path))
            os.replace(self._part, self.path)  # noqa: PTH105 - beside os.fsync, which pathlib lacks
            self._file, self.committed = None, True

    def discard(self) -> None:
        """Remove the part after a failure, and leave the file as it was."""
        with self._lock:
            file, self._file, self._discarded = self._file, None, True
            if file is not None:
                with suppress(OSError):
                    file.close()  # writes what is left, and fails where that has failed before
                with suppress(OSError):
                    self._part.unlink()
