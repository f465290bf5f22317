"""Follows how deep a JSON document is nested, piece by piece, and without parsing it."""

from __future__ import annotations

import re
from itertools import accumulate

__all__ = ["Nesting"]

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_OPENING, _CLOSING, _QUOTE = b"[{", b"]}", b'"'
_OTHERS = bytes(set(range(256)) - {*_OPENING, *_CLOSING, *_QUOTE})


class Nesting:
    """How deep a document is where what was fed of it ends."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = 0
        self._left = b""

    def exceeds(self, most: int, piece: bytes) -> bool:
        """Accept the next piece; return whether the document is nested deeper than *most* anywhere in it."""
        # Without escapes, each quote begins or ends a text. A backslash at the end waits for what it escapes.
        data = _ESCAPED.sub(b"", self._left + piece)
        self._left = b"\\" if data.endswith(b"\\") else b""
        parts = data.translate(None, _OTHERS).split(_QUOTE)
        signs = b"".join(parts[self._in_text :: 2])
        self._in_text ^= len(parts) + 1 & 1
        depths = [*accumulate((1 if sign in _OPENING else -1 for sign in signs), initial=self._depth)]
        self._depth = depths[-1]
        return max(depths) > most
