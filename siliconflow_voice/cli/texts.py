"""Texts that a command is passed: as an argument, in a file, or on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from siliconflow_voice.cli.language import translated
from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.signals import default_interrupt

__all__ = ["STANDARD_STREAM", "read_stdin", "text_of"]

STANDARD_STREAM = "-"
"""The argument that stands for standard input or output."""

# More than the longest text that can be spoken, of 128,000 characters.
_MOST_BYTES = 1_000_000


def text_of(text: str | None, file: Path | None) -> str:
    """Return the text of the options ``--text`` and ``--text-file``.

    Raises:
        ConfigurationError: Neither or both are passed, or the file can't be read.
    """
    if (text is None) is (file is None):
        raise ConfigurationError(
            translated("Pass the words that are spoken, with either --text or --text-file")
        )
    if file is None:
        return str(text)
    return read_stdin() if str(file) == STANDARD_STREAM else _read(file)


def read_stdin() -> str:
    """Return all of standard input, without the line break at its end.

    Raises:
        ConfigurationError: It can't be read.
    """
    with default_interrupt():
        try:
            return sys.stdin.read().removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                translated("Standard input can't be read: {reason}", reason=error)
            ) from error


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(
            translated("--text-file {file} can't be read: {reason}", file=file, reason=reason)
        ) from error
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(
            translated("--text-file {file} is larger than 1 MB; pass a file of text", file=file)
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            translated("--text-file {file} is not UTF-8 text; save it as UTF-8", file=file)
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
