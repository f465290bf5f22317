"""Files of rows, CSV or JSON Lines, that are on the disk row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from siliconflow_voice.errors import SiliconFlowError

__all__ = ["Sheet", "Table"]


class Sheet:
    """A JSON Lines file. It is begun with the first row: until then, what was there stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a row, or the head of one to come."""
        return self._file is not None

    def begin(self) -> IO[str]:
        """Begin it, unless that is done.

        Raises:
            SiliconFlowError: It can't be written.
        """
        if self._file is None:
            with _writing(self.path):
                # What no text can have, such as parts of a path that is none, is escaped.
                self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
                self._write_head(self._file)
                self._file.flush()
        return self._file

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, and have it on the disk.

        Raises:
            SiliconFlowError: It can't be written.
        """
        file = self.begin()
        with _writing(self.path):
            self._write_row(file, row)
            file.flush()

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._file is not None:
            with suppress(OSError):  # it has been told of: after each row, nothing is left to be written
                self._file.close()

    def _write_head(self, file: IO[str]) -> None:
        pass

    def _write_row(self, file: IO[str], row: Mapping[str, Any]) -> None:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


class Table(Sheet):
    """A CSV file."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self._columns = columns

    def remove(self) -> None:
        """Remove the file, if it has these columns: an earlier run's.

        Raises:
            SiliconFlowError: It can't be removed.
        """
        with _writing(self.path), suppress(FileNotFoundError):
            with self.path.open(encoding="utf-8-sig", errors="replace") as file:
                ours = file.readline(1000).rstrip("\n") == ",".join(self._columns)
            if ours:
                self.path.unlink()

    def _write_head(self, file: IO[str]) -> None:
        # Excel takes a CSV for UTF-8 only if it begins with a byte order mark.
        file.write("\ufeff")
        csv.writer(file).writerow(self._columns)

    def _write_row(self, file: IO[str], row: Mapping[str, Any]) -> None:
        csv.writer(file).writerow([row.get(name) for name in self._columns])


@contextmanager
def _writing(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise SiliconFlowError(f"{path} can't be written: {error.strerror or error}") from error
