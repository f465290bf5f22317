"""Tells what a recording is by what it holds, and not by what it is called."""

from __future__ import annotations

import re

from attrs import frozen

from siliconflow_voice.audio import mpeg, ogg
from siliconflow_voice.audio.tags import skip_tags
from siliconflow_voice.audio.window import Window

__all__ = ["Found", "detect"]

_LOOKED_AT = 4_096

# What stands at the very beginning.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"fLaC", "flac"),
    (b"RF64", "rf64"),
    (b"BW64", "rf64"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
    (b"caff", "caf"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"),
    (b"#!AMR", "amr"),
    (b"#!SILK", "silk"),
    (b"\x02#!SILK", "silk"),  # WeChat and QQ put a byte in front
    (b"MAC ", "ape"),
    (b"wvpk", "wavpack"),
    (b".snd", "au"),
    (b"MThd", "midi"),
    (b"FLV\x01", "flv"),
    (b"\0\0\1\xba", "mpeg-ps"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"%PDF-", "pdf"),
    (b"PK\3\4", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
)
_RIFF = {b"WAVE": "wav", b"AVI ": "avi", b"RMP3": "mp3"}
_LAYERS = {1: "mp3", 2: "mp2", 3: "mp1"}

# A declared type helps where the content doesn't tell: mp3 alone has neither magic bytes nor an end.
_DECLARED_MP3 = re.compile(r"audio/(?:x-)?(?:mpeg|mp3|mpeg3)\b", re.IGNORECASE)

_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"data:[\w.+-]*/?[\w.+-]*[;,]", re.ASCII), "data-uri"),
    (re.compile(r"version https://git-lfs"), "git-lfs"),
    (re.compile(r"<!doctype html|<(?:html|head|body|script|title|!--)", re.IGNORECASE), "html"),
    (re.compile(r"<\?xml|<[a-z]", re.IGNORECASE), "xml"),
    (re.compile(r"[a-z][a-z0-9+.-]{1,20}://\S+\s*\Z", re.IGNORECASE), "url"),
    (re.compile(r'[\[{]\s*["\[{\]}\d]|"[^"\n]*"\s*\Z'), "json"),
    (re.compile(r"[A-Za-z0-9+/_-]{64}[A-Za-z0-9+/_=\s-]*\Z"), "base64"),
)
_NEVER_IN_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


@frozen
class Found:
    """What a recording is."""

    format: str | None
    """A word of the catalogue, or None."""
    start: int = 0
    """Where it begins, behind tags, zeros and junk."""


def detect(window: Window, content_type: str | None = None) -> Found:
    """Return what a recording is, behind tags, zeros and at most 64 KiB of junk.

    Args:
        window: The recording, or the beginning of a stream.
        content_type: The declared media type, for an mp3 whose frames don't tell.
    """
    start = skip_tags(window, 0)
    if start >= window.size > 0 and not window.whole:
        # A tag that is longer than what was read of a stream: mp3 is what most tags stand before.
        return Found("mp3", start)
    head = window.at(start, _LOOKED_AT)
    word = _magic(head) or _ogg(window, start, head) or _adts(window, start)
    if word is not None:
        return Found(word, start)
    kind = mpeg.agreed(window, start, window.size)
    if kind is not None:
        return Found(_LAYERS[kind.layer], start)
    # A tag whose size leads beyond the end has the frames behind its first bytes.
    behind = start if start < window.size else 0
    found = mpeg.Search(window, window.size).find(behind)
    if found is not None:
        return Found(_LAYERS[found[1].layer], found[0])
    head = head or window.at(0, _LOOKED_AT)
    if (word := _text(head)) is not None:
        return Found(word, start)
    declared = content_type is not None and _DECLARED_MP3.match(content_type)
    return Found("mp3" if declared and head.strip(b"\0") else None, start)


def _magic(head: bytes) -> str | None:
    for magic, word in _MAGIC:
        if head.startswith(magic):
            return word
    match head[:4]:
        case b"RIFF":
            return _RIFF.get(head[8:12])
        case b"RIFX" if head[8:12] == b"WAVE":
            return "rifx"
        case b"FORM" if head[8:12] in {b"AIFF", b"AIFC"}:
            return "aiff"
        case b"\x1aE\xdf\xa3":
            return "webm" if b"webm" in head[:64] else "mkv"
        case _ if head[4:8] == b"ftyp":
            return "3gp" if head[8:11] == b"3gp" else "m4a"
        case _:
            return None


def _ogg(window: Window, start: int, head: bytes) -> str | None:
    if not head.startswith(b"OggS"):
        return None
    return "opus" if ogg.holds_opus(window, start) else "ogg"


def _adts(window: Window, position: int) -> str | None:
    """Recognise AAC by three frames: they have the sync word of MPEG audio, and a layer that it hasn't."""
    for count in range(3):
        head = window.at(position, 7)
        if len(head) < 7:
            return "aac" if count else None
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return None
        position += max((head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5, 7)
    return "aac"


def _text(head: bytes) -> str | None:
    """Name what is no audio but text."""
    text = _decoded(head).lstrip("\ufeff \t\r\n")
    if not text or _NEVER_IN_TEXT.search(text):
        return None
    return next((word for pattern, word in _TEXTS if pattern.match(text)), "text")


def _decoded(head: bytes) -> str:
    utf_16 = head[:2] in {b"\xff\xfe", b"\xfe\xff"}
    for encoding in ["utf-16"] if utf_16 else ["utf-8", "gb18030"]:
        try:
            return head.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4 and error.start:  # a letter that is cut off at the end
                return head[: error.start].decode(encoding)
    return ""
