"""The sheets of an Excel workbook, read by python-calamine."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, BinaryIO

from attrs import frozen

from siliconflow_voice.errors import InvalidUploadError

__all__ = ["Sheet", "is_workbook", "sheets_of"]

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_MOST_UNPACKED = 1 << 30
"""Bytes of all that is in the file."""
_MOST_CELLS = 1 << 24
"""Of a sheet, empty ones included: each takes memory. All rows that Excel has, sixteen columns wide."""
_REFERENCE = re.compile(rb"""\sr\s*=\s*["']([A-Z]{0,3})([0-9]{1,9})["']""", re.IGNORECASE)
_OVERLAP = 64
# Compression or encryption that is not known, an end too early, sizes that make no sense.
_OF_ARCHIVES = (NotImplementedError, RuntimeError, EOFError, ValueError)


@frozen
class Sheet:
    """One that is not hidden."""

    name: str
    rows: Iterator[tuple[int, Sequence[object]]]
    """Each with its number, counted from 1. A cell is text, a number, a truth value, a date or a time."""


def is_workbook(path: str, head: bytes) -> bool:
    """Return whether a file is an .xlsx workbook, by its first bytes.

    Raises:
        InvalidUploadError: Of ``manifest``: it is one of another kind.
    """
    if head.startswith(_OLE):
        raise InvalidUploadError(
            "manifest",
            f"{path} has a password or is of the old .xls kind: save it as .xlsx, without a password",
        )
    return head.startswith(_ZIP)


def sheets_of(path: str, file: BinaryIO) -> Generator[Sheet, None, None]:
    """Yield the sheets that are not hidden, in their order.

    Raises:
        InvalidUploadError: Of ``manifest``: python-calamine is not installed, or can't read the file.
    """
    try:
        import python_calamine  # noqa: PLC0415 - of an extra
    except ImportError:
        raise InvalidUploadError(
            "manifest",
            f"{path} is a workbook, and python-calamine, which reads those, is not installed: "
            f"pip install 'siliconflow-voice[cli]', or save it as CSV",
        ) from None
    with _workbook_errors(path, python_calamine.CalamineError):
        _check_size(path, file)
        file.seek(0)
        with python_calamine.CalamineWorkbook.from_filelike(file) as workbook:
            for metadata in workbook.sheets_metadata:
                visible = metadata.visible == python_calamine.SheetVisibleEnum.Visible
                if visible and metadata.typ == python_calamine.SheetTypeEnum.WorkSheet:
                    rows = workbook.get_sheet_by_name(metadata.name).iter_rows()
                    yield Sheet(metadata.name, enumerate(rows, 1))


@contextmanager
def _workbook_errors(path: str, error_of_reader: type[Exception]) -> Generator[None, None, None]:
    """Turn what a damaged file, or another archive than a workbook, raises into an error of the manifest."""
    try:
        yield
    except InvalidUploadError:  # a ValueError too
        raise
    except (error_of_reader, zipfile.BadZipFile, zlib.error, *_OF_ARCHIVES) as error:
        raise InvalidUploadError("manifest", f"{path} is not a workbook that can be read: {error}") from error


def _check_size(path: str, file: BinaryIO) -> None:
    """Refuse what would take too much memory: the reader keeps a place for each cell up to the last one."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _MOST_UNPACKED:
            raise InvalidUploadError("manifest", f"{path} unpacks to more than {_MOST_UNPACKED:,} bytes")
        for entry in entries:
            if entry.filename.lower().startswith("xl/worksheets/"):
                with archive.open(entry) as sheet:
                    row, column = _last_cell(sheet)
                if row * column > _MOST_CELLS:
                    raise InvalidUploadError(
                        "manifest",
                        f"{path} has a sheet of {row:,} rows and {column:,} columns, which is too large: "
                        f"delete the cells far off, or save it as CSV",
                    )


def _last_cell(sheet: IO[bytes]) -> tuple[int, int]:
    row = column = 1
    rest = b""
    while data := sheet.read(1 << 20):
        data = rest + data
        for letters, digits in _REFERENCE.findall(data):
            row = max(row, int(digits))
            if letters:
                column = max(column, _number_of(letters))
        rest = data[-_OVERLAP:]
    return row, column


def _number_of(letters: bytes) -> int:
    """Return a column's number: A is 1, AA is 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
