"""An HTTP answer: decompressed, decoded, and without the API key that it may echo."""

from __future__ import annotations

import re
import zlib
from collections.abc import Generator, Mapping

from attrs import field, frozen

__all__ = ["BODY_KEPT", "TRACE_ID", "Answer", "Inflater", "Redactor", "shown"]

TRACE_ID = "x-siliconcloud-trace-id"

BODY_KEPT = 4096
"""Characters of an answer that an error keeps."""
_MESSAGE_KEPT = 300
_TRACE_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})


class Redactor:
    """Blots a key out of a server's texts, however it is escaped there.

    Each character of the key is also found as JSON, URLs and HTML escape it, and between the zero bytes of
    UTF-16.
    """

    def __init__(self, key: str) -> None:
        self._pattern = None
        self.longest = _LONGEST_ESCAPE * len(key)
        """Characters that an echo of the key may have."""
        if key:
            # What can't begin an echo is passed over without a try: most of a text.
            begins = rf"(?=[\0\\%&{re.escape(key[0])}])"
            self._pattern = re.compile(begins + "".join(f"\0?{_escaped(letter)}" for letter in key))

    def __repr__(self) -> str:
        return "Redactor('***')"

    def __call__(self, text: str) -> str:
        """Return *text* with ``***`` in place of each key."""
        return text if self._pattern is None else self._pattern.sub("***", text)

    def beginning(self, text: str, most: int) -> str:
        """Return the beginning of what *text* is without the key: at most *most* characters."""
        looked_at = text[: most + self.longest]
        found = self(looked_at)
        if len(looked_at) < len(text):
            # A key that is cut off at the end is not found.
            found = found[: max(len(found) - self.longest, 0)]
        return found[:most]


_LONGEST_ESCAPE = 11
"""Of a letter: ``&#x000073;``, behind a zero byte."""


def _escaped(letter: str) -> str:
    number = ord(letter)
    # Bounded, or a body of nothing but backslashes would be searched for as long as its square.
    return (
        rf"(?:\\{{0,4}}{re.escape(letter)}|\\{{1,4}}u(?i:{number:04x})|\\{{1,4}}x(?i:{number:02x})"
        rf"|%(?i:{number:02x})|&#0{{0,4}}{number};|&#[xX]0{{0,4}}(?i:{number:x});)"
    )


class Inflater:
    """Decompresses an answer in pieces of bounded size: proxies compress even if they are not asked to."""

    def __init__(self, encoding: str) -> None:
        known = encoding.lower() in _COMPRESSED
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32) if known else None

    def feed(self, data: bytes, piece: int) -> Generator[bytes, None, None]:
        """Yield the decompressed *data*, in pieces of at most *piece* bytes.

        Raises:
            ValueError: It can't be decompressed.
        """
        if self._inflate is None:
            for start in range(0, len(data), piece):
                yield data[start : start + piece]
            return
        try:
            inflated = b""
            # All of the input may be taken, and some of what it stands for still to come.
            while data or len(inflated) == piece:
                inflated = self._inflate.decompress(data, piece)
                data = self._inflate.unconsumed_tail
                yield inflated
        except zlib.error:
            raise ValueError("the answer can't be decompressed") from None


@frozen
class Answer:
    """An HTTP answer, decompressed, with its headers' names in lower case."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    raw: bytes = field(default=b"", repr=False)
    overlong: bool = False
    """Whether it is longer than *raw*, and was not read further."""
    streamed: bool = False
    """Whether *raw* is only its beginning, since the rest was parsed while it arrived."""
    limit: int = 1 << 20
    """Bytes that the body may have."""
    redact: Redactor = field(factory=lambda: Redactor(""), repr=False)
    """Blots the API key out of everything read from the answer: servers do echo keys."""

    @property
    def trace_id(self) -> str | None:
        """``x-siliconcloud-trace-id``, for SiliconFlow's support; None if the header is not a trace id."""
        value = self.header(TRACE_ID)
        return value if _TRACE_ID.fullmatch(value) and "***" not in value else None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string."""
        return self.redact(self.headers.get(name, ""))

    def text(self) -> str:
        """Return the beginning of the body, up to the length that an error keeps, without the key."""
        characters = BODY_KEPT + self.redact.longest + 1
        # A character has at most four bytes.
        return self.redact.beginning(self.raw[: 4 * characters].decode("utf-8", "replace"), BODY_KEPT)


def shown(text: str) -> str:
    """Return a server's text as one line of bounded length."""
    line = " ".join(text[:BODY_KEPT].split())
    kept = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[:_MESSAGE_KEPT]
    )
    return kept if len(line) <= _MESSAGE_KEPT else f"{kept}…"
