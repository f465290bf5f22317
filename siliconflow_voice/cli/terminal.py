"""Standard output and error: text made safe to show, JSON events, and streams that are closed or full."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, TextIO, cast

from rich.console import Console

from siliconflow_voice.errors import SiliconFlowError

__all__ = [
    "UNPRINTABLE",
    "Stdout",
    "escaped",
    "format_bytes",
    "format_duration",
    "is_watched",
    "open_closed_streams",
    "print_error",
    "print_traceback",
    "shortened",
]

UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]"
)
"""Control characters, marks that reorder the text around them, lone surrogates, and what is not seen at all:
tags and such can carry words to a program, or a model, that the reader of a report doesn't see."""


class Stdout:
    """Standard output. What can't be written any more is dropped, and :attr:`error` has the reason.

    A reader that has gone or a full disk must not end an upload in the middle: a run looks at :attr:`error`,
    and ends in good order.
    """

    def __init__(self) -> None:
        self._file: TextIO = sys.stdout
        self.error: OSError | None = None
        """What went wrong first."""
        reconfigure = getattr(self._file, "reconfigure", None)
        if reconfigure is not None:
            # A name that the terminal's encoding lacks characters for is not a reason to fail.
            reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        """Its encoding, by Python's own name for it."""
        return codecs.lookup(self._file.encoding or "ascii").name

    def write(self, text: str) -> int:
        """Write a text."""
        self._attempt(lambda: self._file.write(text))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes, and flush them: for a program that reads them as they come."""

        def write() -> None:
            self._file.buffer.write(data)
            self._file.buffer.flush()

        self._attempt(write)

    def flush(self) -> None:
        """Flush what was written."""
        self._attempt(self._file.flush)

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._file.fileno()

    def failure(self) -> SiliconFlowError | None:
        """Return :attr:`error` as an error of the command."""
        if self.error is None:
            return None
        return SiliconFlowError(f"Standard output can't be written: {self.error.strerror or self.error}")

    def finish(self) -> None:
        """Flush what was written.

        Raises:
            SiliconFlowError: It, or what was written before, can't be written.
        """
        self.flush()
        if failure := self.failure():
            raise failure

    def event(self, name: str, **fields: Any) -> None:
        """Write an event as a line of JSON, and flush it."""
        line = json.dumps({"event": name, **fields}, ensure_ascii=self.encoding != "utf-8")
        # Within strings alone, where JSON can escape them.
        self.write(UNPRINTABLE.sub(lambda found: _in_json(found[0]), line) + "\n")
        self.flush()

    def console(self) -> Console:
        """Return a console on it that interprets no text as markup."""
        return Console(file=cast("IO[str]", self), markup=False, emoji=False, highlight=False)

    def _attempt(self, operation: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            operation()
        except OSError as error:
            self.error = error
            # Or Python would try once more to write what is left, as it ends, and complain.
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._file.fileno())
                os.close(null)


def open_closed_streams() -> None:
    """Open standard streams that the parent closed: a journal must not get one of their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8", closefd=False))


def is_watched(console: Console) -> bool:
    """Return whether a console is a terminal, where what is drawn can be drawn anew.

    FORCE_COLOR makes rich treat a log as a terminal: it shows colours there, and can't be drawn anew.
    """
    return console.is_interactive and console.file.isatty()


def print_error(text: str) -> None:
    """Write a message to standard error."""
    with suppress(OSError):
        sys.stderr.write(f"siliconflow-voice: {escaped(text)}\n")
        sys.stderr.flush()


def print_traceback(error: BaseException) -> None:
    """Write where an error was raised, and from what, to standard error."""
    with suppress(OSError):
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(f"{escaped(line)}\n")


def escaped(text: str) -> str:
    r"""Return a text with its control characters written as ``\x1b``, ``\n`` and so on."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int = 400) -> str:
    """Return a text cut to so many characters, and :func:`escaped`."""
    return escaped(text if len(text) <= most else f"{text[: most - 1]}…")


def _in_json(letter: str) -> str:
    """Return a character as JSON escapes it: beyond four digits, as two."""
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def format_bytes(count: float) -> str:
    """Return an amount of bytes with its unit, such as ``65.7 kB``."""
    for unit in ("B", "kB", "MB"):
        # What would be rounded to 1000.0 is 1.0 of the next.
        if count < 999.95:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def format_duration(seconds: float) -> str:
    """Return a duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
