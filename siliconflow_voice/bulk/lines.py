"""The lines of a text file: decoded by its mark or as asked, bounded, and given back to be read again."""

from __future__ import annotations

import codecs
import csv
import io
import os
import stat
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from siliconflow_voice.audio.blocks import reading_errors
from siliconflow_voice.audio.files import kind_of
from siliconflow_voice.errors import AudioSourceError, ConfigurationError, InvalidUploadError

__all__ = ["CUT", "MOST", "UNDECODABLE", "Lines", "check_encoding", "opened", "trim"]

MOST = 1 << 20
"""Characters of a line, and of a row: a file that is not a table may be one line of any length."""
_MOST_AGAIN = 1 << 20
"""Characters that are read again, beside twice those that were read: where every quote is wrong, each row
would be read to the end of the file, and the next one too."""

# Lone surrogates, which no text has: they stand where something could not be read.
UNDECODABLE = "\udcff"
CUT = "\udcfe"
_MARK = "siliconflow_voice.mark"
codecs.register_error(_MARK, lambda error: (UNDECODABLE, cast("UnicodeDecodeError", error).end))

# UTF-32 first: its mark begins with that of UTF-16.
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    "\ufeff".encode("gb18030"): "gb18030",
}

_CONTROL_Z = "\x1a"
# Space, and what is not seen at all: soft hyphens, zero-width characters, marks of direction and of order.
_INVISIBLE = "\t\n\v\f\r\x1a\x1c\x1d\x1e\x1f \x85\xa0\xad\u061c\u1680\u180e\u3000\ufeff" + "".join(
    map(chr, (*range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070)))
)


def trim(text: str) -> str:
    """Strip space and invisible characters from both ends."""
    return text.strip(_INVISIBLE)


def check_encoding(encoding: object) -> None:
    """Refuse anything but the name of an encoding of texts.

    Raises:
        ConfigurationError: It is not one.
    """
    try:
        codecs.lookup(cast("str", encoding))
        io.TextIOWrapper(io.BytesIO(), encoding=cast("str", encoding))
    except (LookupError, TypeError, ValueError):
        raise ConfigurationError(
            f"encoding must be the name of a text encoding, such as utf-8 or gb18030, got {encoding!r:.80}"
        ) from None


@contextmanager
def opened(path: str) -> Generator[io.BufferedReader, None, None]:
    """Open a regular file, and turn what goes wrong with it into an error of the manifest."""
    try:
        # A FIFO is opened without waiting for a writer, to be refused.
        with reading_errors(path), open(path, "rb", opener=_open) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InvalidUploadError("manifest", f"{path} is {kind_of(mode)}, not a regular file")
            yield file
    except AudioSourceError as error:
        raise InvalidUploadError("manifest", error.message) from error.__cause__


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class Lines(Iterator[str]):
    """The lines of a file. Those of a row can be given back, to be read again as rows of their own."""

    def __init__(self, file: io.BufferedReader, encoding: str) -> None:
        head = file.peek(4)
        self.encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), encoding)
        """The file's own, if a mark at its front says so."""
        self._binary: BinaryIO = file
        # Line ends within a cell are its own.
        self._file = io.TextIOWrapper(file, self.encoding, errors=_MARK, newline="")
        self._again: deque[str] = deque()
        self._again_in_all = 0
        self._read_in_all = 0
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
        if self._size > MOST:
            raise csv.Error(f"a row of more than {MOST:,} characters")
        line = self._again.popleft() if self._again else self._read()
        if not line:
            self.ended = True
            raise StopIteration
        self._number += 1
        self._taken.append(line)
        self._size += len(line)
        return line

    def peek(self) -> str:
        """Return the next line, and leave it to be read; an empty string at the end."""
        self.begin()
        line = next(self, "")
        if line:
            self._number -= 1
            self._again.appendleft(line)
        self.begin()
        return line

    def give_back(self) -> None:
        """Put back all lines of the row but its first, to be read again."""
        again = self._taken[1:]
        if again and self._again_in_all < _MOST_AGAIN + 2 * self._read_in_all:
            self._again_in_all += self._size
            self._number -= len(again)
            self._again.extendleft(reversed(again))
            del self._taken[1:]

    def is_utf8(self) -> bool:
        """Read all of the file anew, and return whether it is valid UTF-8."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        position = self._binary.tell()
        self._binary.seek(0)
        try:
            while data := self._binary.read(1 << 16):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        finally:
            self._binary.seek(position)
        return True

    def _read(self) -> str:
        line = self._file.readline(MOST)
        self._read_in_all += len(line)
        if not self._number:
            line = line.lstrip("\ufeff")
        if line.endswith(_CONTROL_Z) and len(line) < MOST:
            # Only the last line has no end: here, the files of DOS end.
            line = line.rstrip(_CONTROL_Z) + "\n"
        if len(line) >= MOST and line[-1] not in "\r\n":
            line += CUT
            while (rest := self._file.readline(MOST)) and rest[-1] not in "\r\n":
                pass
        return line
