"""The command's language: English, or Chinese where the locale or SILICONFLOW_VOICE_LANG says so."""

from __future__ import annotations

import os
import sys

from siliconflow_voice.cli.chinese import MESSAGES

__all__ = ["speaks_chinese", "translated"]

# The first that is set decides, as POSIX has it for messages.
_VARIABLES = ("SILICONFLOW_VOICE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def speaks_chinese() -> bool:
    """Return whether to speak Chinese: it is the locale's language, and standard output can show it."""
    locale = next(filter(None, map(os.environ.get, _VARIABLES)), "")
    if not locale.lower().startswith("zh"):
        return False
    try:
        "中".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def translated(message: str, **values: object) -> str:
    """Return a message in the command's language, with values in its fields.

    Args:
        message: The message in English, as a template for :meth:`str.format`.
        values: The values. What is in them is never taken for a field.
    """
    return (MESSAGES.get(message, message) if speaks_chinese() else message).format(**values)
