"""The rows of a table, as CSV, JSON Lines or a workbook: where each begins, what is in it, what is wrong."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias, cast

from attrs import define, field, frozen

from siliconflow_voice.bulk.lines import CUT, MOST, UNDECODABLE, Lines, opened, trim
from siliconflow_voice.bulk.workbook import Sheet, is_workbook, sheets_of
from siliconflow_voice.errors import InvalidUploadError

__all__ = ["NEEDED", "OPTIONAL", "Row", "check_format", "read_rows"]

NEEDED = ("audio", "custom_name", "text")
OPTIONAL = ("model", "encoding")

_JSON = (".jsonl", ".ndjson")
_FORMATS = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", *_JSON)
_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_SAYS_SEPARATOR = re.compile(r'"?sep=(\t|[^\w\s"])\1*"?', re.IGNORECASE)
_BETWEEN_CELLS = re.compile('[,;\t"]')
_NOT_A_LETTER = re.compile(r"[^\w\0]|_")
_Cells: TypeAlias = "tuple[int, Sequence[object]]"
"""A sheet's row: its number, and its cells."""
_PLAIN = {name.replace("_", ""): name for name in (*NEEDED, *OPTIONAL)}


@frozen
class Row:
    """A row, right or wrong."""

    line: int
    """On which it begins, counted from 1."""
    raw: str
    """As it is in the file; only its first line, where the row's end is not known."""
    values: Mapping[str, object] = field(factory=dict[str, object])
    """By column, and under an empty name what has no column; none, where they can't be told apart."""
    problem: str = ""
    """What is wrong with it as a whole: ``has …``, ``is …``."""
    decoded: bool = True
    """Whether all of its bytes are valid in the file's encoding."""


def check_format(path: str) -> None:
    """Refuse a file of another format, by its name.

    Raises:
        InvalidUploadError: Of ``manifest``.
    """
    suffix = _suffix(path)
    if suffix not in _FORMATS:
        what = (
            "save it as .xlsx" if suffix in {".xls", ".xlsb", ".ods"} else f"supported: {', '.join(_FORMATS)}"
        )
        raise InvalidUploadError("manifest", f"{path} is not a supported kind of table, by its name; {what}")


def read_rows(path: str, encoding: str) -> Generator[Row, None, None]:
    """Read the rows of a file, in the thread that iterates.

    Raises:
        InvalidUploadError: Of ``manifest``: the file can't be read, is empty, or its header is wrong.
    """
    with opened(path) as file:
        if is_workbook(path, file.peek(8)):
            found = yield from _rows_of_sheet(path, sheets_of(path, file))
        else:
            table = _Table(path, Lines(file, encoding))
            found = yield from table.json() if _suffix(path) in _JSON else table.csv()
        if not found:
            raise InvalidUploadError("manifest", f"{path} is empty")


@define(eq=False)
class _Table:
    """Makes rows of lines."""

    path: str
    lines: Lines
    _undecodable: str = field(default="", init=False)

    def csv(self) -> Generator[Row, None, bool]:
        """Yield the rows of a CSV file; return whether there was a header."""
        separator = self._separator()
        reader = csv.reader(self.lines, strict=True, delimiter=separator)
        names: list[str] = []
        while True:
            self.lines.begin()
            cells: list[str] = []
            problem = ""
            try:
                cells = next(reader)
            except StopIteration:
                return bool(names)
            except csv.Error as error:
                problem = (
                    "has a quote that is never closed"
                    if self.lines.ended
                    else f"is not CSV: {error}; within quotes, a quote is written twice"
                )
                self.lines.give_back()
            if not problem and not any(map(trim, cells)):
                continue
            if not names:
                names = _header(self.path, self._row(problem, {}), cells)
            elif problem:
                yield self._row(problem, {})
            else:
                values = _by_column(names, cells)
                if surplus := _surplus(names, cells):
                    values[""] = separator.join(surplus)
                yield self._row(_problem_of(names, cells, surplus, separator), values)

    def json(self) -> Generator[Row, None, bool]:
        """Yield the rows of a JSON Lines file; return whether there was one."""
        empty = True
        while True:
            self.lines.begin()
            raw = next(self.lines, "")
            if trim(raw):
                empty = False
                yield self._row(*_parsed(trim(raw)))
            elif not raw:
                return not empty

    def _separator(self) -> str:
        """Find out what separates the cells: what the first line says, or what makes a header of it."""
        while line := self.lines.peek():
            if says := _SAYS_SEPARATOR.fullmatch(line.strip("\r\n")):
                next(self.lines)
                return says[1]
            if any(map(trim, _BETWEEN_CELLS.split(line))):
                return next((sign for sign in _SEPARATORS if _has_columns(_split(line, sign))), ",")
            next(self.lines)
        return ","

    def _row(self, problem: str, values: Mapping[str, object]) -> Row:
        line, raw = self.lines.line, self.lines.raw
        decoded = UNDECODABLE not in raw
        if not decoded:
            self._undecodable = self._undecodable or _undecodable(self.lines)
            raw, problem, values = raw.replace(UNDECODABLE, "\ufffd"), self._undecodable, dict[str, object]()
        if CUT in raw:
            raw, problem, values = (
                raw.replace(CUT, ""),
                f"has more than {MOST:,} characters",
                dict[str, object](),
            )
        return Row(line, raw.rstrip("\r\n"), values, problem, decoded)


def _rows_of_sheet(path: str, sheets: Iterable[Sheet]) -> Generator[Row, None, bool]:
    """Yield the rows of the one sheet that has the columns; return whether there was a sheet with anything.

    Raises:
        InvalidUploadError: No sheet has them, or more than one.
    """
    first: _Cells | None = None
    usable: list[tuple[str, _Cells, Iterator[_Cells]]] = []
    for sheet in sheets:
        rows = (row for row in sheet.rows if any(trim(str(cell)) for cell in row[1]))
        if (begun := next(rows, None)) is not None:
            first = first or begun
            if _has_columns(begun[1]):
                usable.append((sheet.name, begun, rows))
    if len(usable) > 1:
        titles = ", ".join(title for title, *_ in usable)
        raise InvalidUploadError(
            "manifest", f"{path} has the columns in {len(usable)} sheets ({titles:.200}): leave them in one"
        )
    if not usable and first is not None:
        _header(path, _sheet_row(first), first[1])
    for _, header, rest in usable:
        names = _header(path, _sheet_row(header), header[1])
        for row in rest:
            yield _sheet_row(row, names)
    return first is not None


def _sheet_row(row: _Cells, names: Sequence[str] = ()) -> Row:
    line, cells = row
    values = {name: _cell(name, cell) for name, cell in _by_column(names, cells).items()}
    for column, (cell, name) in enumerate(zip_longest(cells, names, fillvalue=""), 1):
        # Beside a table, Excel's users take notes.
        if not name and trim(str(cell)):
            values[f"column {column}"] = str(cell)
    return Row(line, "\t".join(map(str, cells)), values)


def _cell(column: str, value: object) -> object:
    """Return the text of a sheet's cell, or for a known column its value, if what is shown is not certain.

    A number's format is not known: 1 may be shown as 001, as 100 % or as a day. Whole numbers are names all
    the same; a transcript is never made of one.
    """
    known = column in {*NEEDED, *OPTIONAL}
    if isinstance(value, int | float) and not isinstance(value, bool) and column != "text" and value % 1 == 0:
        return str(int(value))
    return value if known else str(value)


def _header(path: str, row: Row, cells: Sequence[object]) -> list[str]:
    """Return the names of the columns.

    Raises:
        InvalidUploadError: It is not a header.
    """
    names, problem = _names(cells), row.problem
    if missing := [name for name in NEEDED if name not in names]:
        there = ", ".join(filter(None, names))
        shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in there[:200])
        hint = ". It looks like UTF-16 without a mark: save it as UTF-8" if "\0" in row.raw else ""
        problem = problem or f"lacks {_columns(missing)}; it has: {shown}{hint}"
    if double := [name for name in (*NEEDED, *OPTIONAL) if names.count(name) > 1]:
        problem = problem or f"has {_columns(double)} more than once"
    if problem:
        raise InvalidUploadError("manifest", f"{path} line {row.line} {problem}")
    return _apart(names)


def _apart(names: Iterable[str]) -> list[str]:
    """Return names that differ, but for empty ones: a column of a manifest's own may be there twice."""
    apart: dict[str, None] = {}
    result: list[str] = []
    for name in names:
        number, other = 1, name
        while other and other in apart:
            number += 1
            other = f"{name} ({number})"
        apart[other] = None
        result.append(other)
    return result


def _names(cells: Sequence[object]) -> list[str]:
    """Return what a header's cells name: known columns in their own spelling, however they are written."""
    names = [trim(str(cell)) for cell in cells]
    plain = [_PLAIN.get(_NOT_A_LETTER.sub("", name).casefold(), name) for name in names]
    return [known if known not in names else name for name, known in zip(names, plain, strict=True)]


def _has_columns(cells: Sequence[object]) -> bool:
    return set(NEEDED) <= set(_names(cells))


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=separator), list[str]())
    except csv.Error:
        return []


def _surplus(names: list[str], cells: list[str]) -> list[str]:
    """Return the cells that have something in them, and no column."""
    if len(cells) == len(names) and all(names):
        return []
    return [cell for cell, name in zip_longest(cells, names, fillvalue="") if not name and trim(cell)]


def _problem_of(names: list[str], cells: list[str], surplus: list[str], separator: str) -> str:
    """Return what keeps a row's cells from being told apart, or an empty string.

    Missing cells at the end are empty, if those that are needed are there; surplus ones must be.
    """
    if len(cells) >= len(names) and not surplus:
        return ""
    missing = [name for name in NEEDED if names.index(name) >= len(cells)]
    counts = f"has {len(cells)} cell{'s' * (len(cells) != 1)}, and the header has {len(names)}"
    if missing:
        return f"{counts}: {_columns(missing)} {'are' if len(missing) > 1 else 'is'} missing"
    if not surplus:
        return ""
    quoted = f"a text with {_SEPARATORS.get(separator, repr(separator))} in it must be in quotes"
    if len(cells) > len(names):
        return f"{counts}: {quoted}"
    return f"has a cell in a column without a name ({surplus[0]!r:.40}): {quoted}"


def _by_column(names: Sequence[str], cells: Sequence[object]) -> dict[str, object]:
    values = dict(zip(names, cells, strict=False)) | dict.fromkeys(names[len(cells) :], "")
    values.pop("", None)
    return values


def _undecodable(lines: Lines) -> str:
    """Return what is wrong with a row that is not of the encoding, and what to do; no other is guessed."""
    if lines.is_utf8():
        return f"is not {lines.encoding}, but all of the file is utf-8: pass that (--manifest-encoding utf-8)"
    return (
        f"is not {lines.encoding}: save the table as UTF-8, or pass the encoding that it was saved in "
        f"(--manifest-encoding), such as gb18030, big5 or shift_jis"
    )


def _suffix(path: str) -> str:
    return Path(path).suffix.lower()


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _parsed(raw: str) -> tuple[str, dict[str, object]]:
    """Parse a line of JSON, or return what is wrong with it."""
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        return f"is not JSON at column {error.colno}: {error.msg}", {}
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        return f"is not JSON that can be read: {error}", {}
    if isinstance(value, dict):
        return "", cast("dict[str, object]", value)
    return "is JSON, but not an object", {}
