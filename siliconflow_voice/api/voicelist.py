"""Reads the account's voices while they arrive: the list has no pages, and may be hundreds of megabytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from siliconflow_voice.api.nesting import Nesting
from siliconflow_voice.models import Voice

__all__ = ["LISTS", "VoiceList", "voice_of"]

MOST_VOICES = 2_000_000
"""The most voices of a list that are read; more would need gigabytes of memory."""

LISTS = ("results", "result", "data")
"""Keys that the list is documented or was seen under, the documented key first."""

_LIST_PLACES = frozenset({"", *LISTS, "data.results", "data.result"})
# The list begins within this many bytes; a document without one by then is not a list.
_HEAD = 1 << 16
_STEP = 1 << 10

# ijson keeps the path of each level, so that a few hundred KiB of brackets would take all memory there is.
_DEEPEST = 16
_MOST_ENTRY = 1 << 18
"""Bytes without an entry that ends; lists within an entry take twenty times theirs in memory."""

# Without this, ijson 3.6 makes Python integers of any length, and its C backend ends the process at one of
# more digits than Python accepts.
_NUMBERS = {"use_float": True}


class VoiceList:
    """The voices of one answer.

    Args:
        keep: Called with each voice; returns whether to keep it in :attr:`voices`.
    """

    def __init__(self, keep: Callable[[Voice], bool]) -> None:
        self.voices: list[Voice] = []
        self.wrong: str | None = None
        """The first thing that is wrong with the list, or None."""
        self._keep = keep
        self._count = 0
        self._nesting = Nesting()
        self._since_entry = 0
        self._head: bytearray | None = bytearray()
        self._entries: Any = ()
        self._parser: Any = None

    def take(self, entry: Any) -> None:
        """Accept an entry as parsed from JSON."""
        voice = voice_of(entry)
        if voice is None:
            self.wrong = "the list of voices has an entry that is not a voice"
            return
        self._count += 1
        if self._count > MOST_VOICES:
            self.wrong = f"the list has more than {MOST_VOICES:,} voices"
        elif self._keep(voice):
            self.voices.append(voice)

    def feed(self, piece: bytes) -> None:
        """Accept the next piece of the document: some tens of kilobytes, since it is parsed at once."""
        if self.wrong is not None or not piece:
            return
        if self._nesting.exceeds(_DEEPEST, piece):
            self.wrong = f"the list of voices is nested deeper than {_DEEPEST} levels"
            return
        if self._head is None:
            self._send(piece)
            return
        self._head += piece
        prefix = _place_of_list(bytes(self._head[:_HEAD]))
        if prefix is not None:
            self._begin(prefix)
            head, self._head = bytes(self._head), None
            self._send(head)
        elif len(self._head) > _HEAD:
            self.wrong = "the list of voices has an unknown shape"

    def end(self) -> None:
        """Accept the end of the document."""
        if self._head is not None:
            self.wrong = self.wrong or "the list of voices has an unknown shape"
        elif self.wrong is None:
            self._finish()

    def _begin(self, prefix: str) -> None:
        ijson = _ijson()
        self._entries = ijson.sendable_list()
        self._parser = ijson.items_coro(self._entries, f"{prefix}.item" if prefix else "item", **_NUMBERS)

    def _send(self, piece: bytes) -> None:
        self._parse(self._parser.send, piece)

    def _finish(self) -> None:
        self._parse(self._parser.close)

    def _parse(self, step: Callable[..., object], *piece: bytes) -> None:
        try:
            step(*piece)
            self._since_entry = 0 if self._entries else self._since_entry + sum(map(len, piece))
            if self._since_entry > _MOST_ENTRY:
                self.wrong = f"the list of voices has an entry of more than {_MOST_ENTRY:,} bytes"
        except (_ijson().JSONError, UnicodeDecodeError):
            self.wrong = "the answer is not JSON"
        for entry in self._entries:
            if self.wrong is not None:
                break
            self.take(entry)
        self._entries.clear()


def voice_of(entry: Any) -> Voice | None:
    """Return the voice that an entry of the list describes, or None if it is not one."""
    match entry:
        case {"uri": str(uri)}:
            texts = [entry.get(key) for key in ("model", "customName", "text")]
            if all(isinstance(text, str | None) for text in texts):
                model, custom_name, text = (text or "" for text in texts)
                return Voice(uri, model, custom_name, text)
        case _:
            pass
    return None


def _place_of_list(head: bytes) -> str | None:
    """Return the place of the list in a document that begins with *head*, such as ``data.result``."""
    ijson = _ijson()
    events: Any = ijson.sendable_list()
    parser = ijson.parse_coro(events, **_NUMBERS)
    # Little of it, mostly: all of it is parsed once more. Events before an error still count.
    for start in range(0, len(head), _STEP):
        with suppress(ijson.JSONError, UnicodeDecodeError, StopIteration):
            parser.send(head[start : start + _STEP])
        for prefix, event, _ in events:
            if event == "start_array" and prefix in _LIST_PLACES:
                return str(prefix)
        events.clear()
    return None


def _ijson() -> Any:
    # It has no types, and short lists don't need it.
    return import_module("ijson")
