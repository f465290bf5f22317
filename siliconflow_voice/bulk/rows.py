"""Reads a CSV or JSON Lines file row by row: where each begins, what is in it, and what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import stat
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from attrs import define, field, frozen

from siliconflow_voice.audio.blocks import reading_errors
from siliconflow_voice.audio.files import kind_of
from siliconflow_voice.errors import AudioSourceError, ConfigurationError, InvalidUploadError

__all__ = ["NEEDED", "OPTIONAL", "Row", "check_encoding", "check_format", "read_rows"]

NEEDED = ("audio", "custom_name", "text")
OPTIONAL = ("model", "encoding")

_MOST = 1 << 20
"""Characters of a line, and of a row: a file that is no table at all may be one line of any length."""
_MOST_AGAIN = 1 << 24
"""Characters that are read again: in a file where every quote is wrong, that would never end."""

# Lone surrogates, which no sane text has: they stand where something could not be read.
_UNDECODABLE = "\udcff"
_CUT = "\udcfe"
_MARK = "siliconflow_voice.mark"
codecs.register_error(_MARK, lambda error: (_UNDECODABLE, cast("UnicodeDecodeError", error).end))


@frozen
class Row:
    """A row, right or wrong."""

    line: int
    """On which it begins, counted from 1."""
    raw: str
    """As it stands in the file; only its first line, where it is not known how many are its."""
    values: Mapping[str, object] = field(factory=dict[str, object])
    """By column; none, where they can't be told apart."""
    problem: str = ""
    """What is wrong with it as a whole: ``has …``, ``is …``."""
    decoded: bool = True
    """Whether all of its bytes are of the encoding."""


def check_format(path: str) -> None:
    """Refuse a file of another format, by its name.

    Raises:
        InvalidUploadError: Of ``manifest``.
    """
    if _suffix(path) not in _FORMATS:
        raise InvalidUploadError("manifest", f"{path} is none of {', '.join(_FORMATS)} by its name")


def check_encoding(encoding: object) -> None:
    """Refuse what is no encoding of texts.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        codecs.lookup(cast("str", encoding))
        io.TextIOWrapper(io.BytesIO(), encoding=cast("str", encoding))
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(
            f"encoding takes the name of one, such as utf-8 or gb18030, not {encoding!r:.80}"
        ) from None


def read_rows(path: str, encoding: str) -> Generator[Row, None, None]:
    """Read the rows of a file, in the thread that asks for them.

    Raises:
        InvalidUploadError: Of ``manifest``: the file can't be read, is empty, or its header is wrong.
    """
    with _opened(path, encoding) as file:
        table = _Table(path, encoding, _Lines(file))
        if not (yield from _FORMATS[_suffix(path)](table)):
            raise InvalidUploadError("manifest", f"{path} is empty")


@contextmanager
def _opened(path: str, encoding: str) -> Generator[TextIO, None, None]:
    """Open a file, and turn what goes wrong with it into an error of the manifest."""
    try:
        # A FIFO is opened without waiting for a writer, to be refused.
        with reading_errors(path), open(path, "rb", opener=_open) as file:
            _check_kind(path, os.fstat(file.fileno()).st_mode)
            _check_mark(path, file.peek(4), encoding)
            # Line ends within a cell are its own.
            yield io.TextIOWrapper(file, encoding, errors=_MARK, newline="")
    except AudioSourceError as error:
        raise InvalidUploadError("manifest", error.message) from error.__cause__


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise InvalidUploadError("manifest", f"{path} is {kind_of(mode)}, not a regular file")


def _check_mark(path: str, head: bytes, encoding: str) -> None:
    """Refuse a file that says to be of an encoding which it would not be read as."""
    chosen = codecs.lookup(encoding).name
    if head.startswith(codecs.BOM_UTF8) and chosen not in {"utf-8", "utf-8-sig"}:
        raise InvalidUploadError(
            "manifest",
            f"{path} is utf-8, as the mark at its front says: leave out encoding (--manifest-encoding)",
        )
    for name, marks in (
        ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
        ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
    ):
        if head.startswith(marks) and not chosen.startswith(("utf-16", "utf-32")):
            raise InvalidUploadError(
                "manifest",
                f"{path} is {name}: save it as UTF-8, or pass encoding='{name}' (--manifest-encoding {name})",
            )


def _undecodable(path: str, encoding: str) -> str:
    """Say that something is not of the encoding, and of which other one all of the file is, if it is."""
    for other in ("utf-8", "gb18030"):
        if _is_of(path, other):
            advice = f"pass encoding='{other}' (--manifest-encoding {other})"
            return f"is not {encoding}; it would be read as {other}: {advice}"
    return f"is not {encoding}"


def _is_of(path: str, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with Path(path).open("rb") as file:
            while data := file.read(1 << 16):
                decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class _Lines(Iterator[str]):
    """The lines of a file. Those of a row can be given back, to be read again as rows of their own."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._again: deque[str] = deque()
        self._again_in_all = 0
        self._number = 0
        self._taken: list[str] = []
        self._size = 0
        self.ended = False
        """Whether the row has asked for more than there is."""

    def begin(self) -> None:
        """Begin another row."""
        self._taken.clear()
        self._size = 0
        self.ended = False

    @property
    def line(self) -> int:
        """The row's first line, counted from 1."""
        return self._number - len(self._taken) + 1

    @property
    def raw(self) -> str:
        """The row's lines."""
        return "".join(self._taken)

    def __next__(self) -> str:
        if self._size > _MOST:
            raise csv.Error(f"a row of more than {_MOST:,} characters")
        line = self._again.popleft() if self._again else self._read()
        if not line:
            self.ended = True
            raise StopIteration
        self._number += 1
        self._taken.append(line)
        self._size += len(line)
        return line

    def give_back(self) -> None:
        """Give back all lines of the row but its first."""
        again = self._taken[1:]
        if again and self._again_in_all < _MOST_AGAIN:
            self._again_in_all += self._size
            self._number -= len(again)
            self._again.extendleft(reversed(again))
            del self._taken[1:]

    def _read(self) -> str:
        line = self._file.readline(_MOST)
        if not self._number:
            line = line.removeprefix("\ufeff")
        if len(line) >= _MOST and line[-1] not in "\r\n":
            line += _CUT
            while (rest := self._file.readline(_MOST)) and rest[-1] not in "\r\n":
                pass
        return line


@define(eq=False)
class _Table:
    """Makes rows of lines."""

    path: str
    encoding: str
    lines: _Lines
    _undecodable: str = field(default="", init=False)

    def csv(self) -> Generator[Row, None, bool]:
        """Give the rows of a CSV file; tell whether there was a header."""
        reader = csv.reader(self.lines, strict=True)
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
                    else f"is no CSV: {error}; within quotes, a quote is written twice"
                )
                self.lines.give_back()
            if not self.lines.raw.strip():
                continue
            if names and not problem and len(cells) != len(names):
                cell = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
                problem = f"has {cell}, and the header has {len(names)}"
            row = self._row(problem, dict(zip(names, cells, strict=False)))
            if names:
                yield row
            else:
                names = self._names(row, cells)

    def json(self) -> Generator[Row, None, bool]:
        """Give the rows of a JSON Lines file; tell whether there was one."""
        empty = True
        while True:
            self.lines.begin()
            raw = next(self.lines, "")
            if raw.strip():
                empty = False
                yield self._row(*_parsed(raw.rstrip()))
            elif not raw:
                return not empty

    def _row(self, problem: str, values: Mapping[str, object]) -> Row:
        line, raw = self.lines.line, self.lines.raw
        decoded = _UNDECODABLE not in raw
        if not decoded:
            self._undecodable = self._undecodable or _undecodable(self.path, self.encoding)
            raw, problem = raw.replace(_UNDECODABLE, "\ufffd"), self._undecodable
        if _CUT in raw:
            raw, problem = raw.replace(_CUT, ""), f"has more than {_MOST:,} characters"
        return Row(line, raw.rstrip("\r\n"), {} if problem else values, problem, decoded)

    def _names(self, row: Row, cells: list[str]) -> list[str]:
        """Take a row for the header.

        Raises:
            InvalidUploadError: It is none.
        """
        names = [cell.strip() for cell in cells]
        problem = row.problem
        if missing := [name for name in NEEDED if name not in names]:
            separators = {sign: row.raw.count(sign) for sign in (",", ";", "\t")}
            most = max(separators, key=lambda sign: separators[sign])
            problem = problem or (
                f"lacks {_columns(missing)}; it has: {', '.join(names):.200}{_SEPARATED.get(most, '')}"
            )
        if double := [name for name in (*NEEDED, *OPTIONAL) if names.count(name) > 1]:
            problem = problem or f"has {_columns(double)} more than once"
        if problem:
            raise InvalidUploadError("manifest", f"{self.path} line {row.line} {problem}")
        return names


_FORMATS = {".csv": _Table.csv, ".jsonl": _Table.json, ".ndjson": _Table.json}
_SEPARATED = {
    ";": ". It looks separated by semicolons: save it with commas",
    "\t": ". It looks separated by tabs: save it with commas",
}


def _suffix(path: str) -> str:
    return Path(path).suffix.lower()


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _parsed(raw: str) -> tuple[str, dict[str, object]]:
    """Parse a line of JSON, or say what is wrong with it."""
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        return f"is no JSON at column {error.colno}: {error.msg}", {}
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        return f"is no JSON that could be read: {error}", {}
    if isinstance(value, dict):
        return "", cast("dict[str, object]", value)
    return "is JSON, but no object", {}
