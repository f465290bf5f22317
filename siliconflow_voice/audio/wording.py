"""Shows in a message what a caller passed: on one line, escaped, and no longer than a line should be."""

from __future__ import annotations

import re

__all__ = ["not_a_path", "one_line", "without_secrets"]

_MOST = 200
# pathlib makes one slash of two.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]{1,20}://|(?:https?|ftp|file|s3|gs|oss):/)", re.IGNORECASE)
_CREDENTIALS = re.compile(r"/[^/@]*@")
_LONGEST_PATH = 4_096


def one_line(text: str, most: int = _MOST) -> str:
    """Return *text* with all escaped that is not printable, and without its middle if it is long."""
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def without_secrets(text: str) -> str:
    """Return an address without what stands behind a ? or before an @; any other text as it is."""
    if not _ADDRESS.match(text):
        return text
    return _CREDENTIALS.sub("/", text.partition("?")[0].partition("#")[0], count=1)


def not_a_path(text: str) -> str | None:
    """Return what stands where a path should, and what to pass instead; None if it may be a path."""
    if text[:5].lower() == "data:" and "," in text[:200]:
        return (
            f"a data URI of {len(text):,} characters, not a path: "
            f"decode the base64 behind its comma, and pass the bytes"
        )
    if _ADDRESS.match(text):
        shown = one_line(without_secrets(text), 100)
        if text[:5].lower() == "file:":
            return f"the address {shown}, not a path: pass the path in it"
        return f"the address {shown}, not a path: pass AudioSource.url(…), which fetches it, or download it"
    if len(text) > _LONGEST_PATH:
        return (
            f"a text of {len(text):,} characters, not a path: '{one_line(text, 60)}'; "
            f"pass the path of a file, or bytes (base64 must be decoded first)"
        )
    return None
