"""Standard output, which somebody may close at any time, and for texts that anybody may have written."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, TextIO, cast

from rich.console import Console

from siliconflow_voice.cli.words import UNSHOWABLE, harmless
from siliconflow_voice.errors import SiliconFlowError

__all__ = ["Stdout", "complain", "console_on", "is_watched", "open_closed_ones"]


class Stdout:
    """Standard output. What can't be written any more is lost, and :attr:`error` says why.

    That a reader has gone or a disk is full must not end an upload in the middle: the run looks at
    :attr:`error`, and ends in good order.
    """

    def __init__(self) -> None:
        self._file: TextIO = sys.stdout
        self.error: OSError | None = None
        """What was wrong first."""
        reconfigure = getattr(self._file, "reconfigure", None)
        if reconfigure is not None:
            # A name that the terminal has no characters for is no reason to fail.
            reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        """Its encoding, by Python's own name for it."""
        return codecs.lookup(self._file.encoding or "ascii").name

    def write(self, text: str) -> int:
        """Write a text."""
        self._attempt(lambda: self._file.write(text))
        return len(text)

    def flush(self) -> None:
        """Hand over what was written."""
        self._attempt(self._file.flush)

    def isatty(self) -> bool:
        """Tell whether somebody looks at it."""
        return self._file.isatty()

    def fileno(self) -> int:
        """Give the file descriptor."""
        return self._file.fileno()

    def lost(self) -> SiliconFlowError | None:
        """Give :attr:`error` as a sentence."""
        if self.error is None:
            return None
        return SiliconFlowError(f"Standard output can't be written: {self.error.strerror or self.error}")

    def write_json(self, document: dict[str, Any]) -> None:
        """Write a line of JSON, for whoever reads it at once."""
        line = json.dumps(document, ensure_ascii=self.encoding != "utf-8")
        # Within strings alone, where JSON has a way to write them.
        self.write(UNSHOWABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")
        self.flush()

    def _attempt(self, operation: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            operation()
        except OSError as error:
            self.error = error
            # Or Python would try once more to write what is left, as it ends, and complain.
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._file.fileno())
                os.close(nowhere)


def open_closed_ones() -> None:
    """Open what was closed by whoever started this: a journal must not get the number of one of them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8", closefd=False))


def console_on(stdout: Stdout) -> Console:
    """Give a console that takes no text for anything but text."""
    return Console(file=cast("IO[str]", stdout), markup=False, emoji=False, highlight=False)


def is_watched(console: Console) -> bool:
    """Tell whether somebody looks at a console, who would see what changes.

    Of a log, rich can be told by FORCE_COLOR that it is a terminal: it takes colours, and is none.
    """
    return console.is_interactive and console.file.isatty()


def complain(text: str) -> None:
    """Say on standard error what is wrong."""
    with suppress(OSError):
        sys.stderr.write(f"siliconflow-voice: {harmless(text)}\n")
        sys.stderr.flush()
