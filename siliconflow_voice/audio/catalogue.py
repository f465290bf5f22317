"""What each format is called, how it goes over the wire, and what to do about one that is not taken."""

from __future__ import annotations

from attrs import frozen

__all__ = ["FORMATS", "UNKNOWN", "Format", "advice"]


@frozen
class Format:
    """A kind of file that can be recognised."""

    title: str
    """As a message calls it: ``is …``."""
    media_type: str
    extension: str
    """As servers and proxies expect it with the media type, without the dot."""
    advice: str = ""
    """What to do if it is not accepted; ``{}`` stands for the extension of a format that is."""


_CONVERT = "convert it first, for example with `ffmpeg -i FILE out.{}`"
_WRAP = "put a {} header in front of the samples"
_SILK = "decode it first, for example with `pilk` or silk-v3-decoder, which ffmpeg can't do"
_DOWNLOAD = "it is probably the answer to a failed download: look into it, and fetch the recording again"
_OTHER_FILE = "check that it is the file you meant"
_BYTES = "text/plain"

UNKNOWN = Format("not a recognised audio format", "application/octet-stream", "bin")

FORMATS: dict[str, Format] = {
    "mp3": Format("mp3", "audio/mpeg", "mp3", _CONVERT),
    "wav": Format("wav", "audio/wav", "wav", _CONVERT),
    # RFC 7845 names audio/ogg for Opus in Ogg; `audio/opus` is for RTP.
    "opus": Format("opus", "audio/ogg", "opus", _CONVERT),
    "pcm": Format("pcm", "audio/pcm", "pcm", _WRAP),
    "aac": Format("aac", "audio/aac", "aac", _CONVERT),
    "aiff": Format("aiff", "audio/aiff", "aiff", _CONVERT),
    "amr": Format("amr, as phones record", "audio/amr", "amr", _CONVERT),
    "ape": Format("Monkey's Audio (ape)", "audio/x-ape", "ape", _CONVERT),
    "au": Format("au", "audio/basic", "au", _CONVERT),
    "avi": Format("an AVI video", "video/x-msvideo", "avi", _CONVERT),
    "caf": Format("Apple's Core Audio Format (caf)", "audio/x-caf", "caf", _CONVERT),
    "flac": Format("flac", "audio/flac", "flac", _CONVERT),
    "flv": Format("a Flash video (flv)", "video/x-flv", "flv", _CONVERT),
    "m4a": Format("m4a or mp4", "audio/mp4", "m4a", _CONVERT),
    "3gp": Format("3gp, as phones record", "audio/3gpp", "3gp", _CONVERT),
    "midi": Format("MIDI, which are notes and not sound", "audio/midi", "mid", _OTHER_FILE),
    "mkv": Format("Matroska (mkv or mka)", "audio/x-matroska", "mka", _CONVERT),
    "mp1": Format("MPEG audio layer I, not mp3", "audio/mpeg", "mp1", _CONVERT),
    "mp2": Format("MPEG audio layer II (mp2), not mp3", "audio/mpeg", "mp2", _CONVERT),
    "mpeg-ps": Format("an MPEG video", "video/mpeg", "mpg", _CONVERT),
    "ogg": Format("ogg without Opus in it", "audio/ogg", "ogg", _CONVERT),
    "rf64": Format("RF64, the wav of files over 4 GB", "audio/wav", "wav", _CONVERT),
    "rifx": Format("RIFX, a big-endian wav", "audio/wav", "wav", _CONVERT),
    "silk": Format("SILK, a voice message of WeChat or QQ", "audio/silk", "silk", _SILK),
    "w64": Format("Sony Wave64 (w64)", "audio/x-w64", "w64", _CONVERT),
    "webm": Format("WebM, as browsers record", "audio/webm", "webm", _CONVERT),
    "wma": Format("wma or another Windows Media file", "audio/x-ms-wma", "wma", _CONVERT),
    "wavpack": Format("WavPack (wv)", "audio/x-wavpack", "wv", _CONVERT),
    "base64": Format("base64 text, not audio", _BYTES, "txt", "decode it, and pass the bytes"),
    "data-uri": Format(
        "a data URI as text, not audio",
        _BYTES,
        "txt",
        "decode the base64 behind its comma, and pass the bytes",
    ),
    "git-lfs": Format("a Git LFS pointer, not the recording", _BYTES, "txt", "get it with `git lfs pull`"),
    "gif": Format("a picture (gif)", "image/gif", "gif", _OTHER_FILE),
    "gzip": Format("compressed with gzip", "application/gzip", "gz", "decompress it first"),
    "html": Format("a page of HTML, not audio", "text/html", "html", _DOWNLOAD),
    "jpeg": Format("a picture (jpeg)", "image/jpeg", "jpg", _OTHER_FILE),
    "json": Format("JSON, not audio", "application/json", "json", _DOWNLOAD),
    "pdf": Format("a PDF", "application/pdf", "pdf", _OTHER_FILE),
    "png": Format("a picture (png)", "image/png", "png", _OTHER_FILE),
    "text": Format("text, not audio", _BYTES, "txt", _OTHER_FILE),
    "url": Format("an address as text, not audio", _BYTES, "txt", "download what it points to"),
    "xml": Format("XML, not audio", "application/xml", "xml", _DOWNLOAD),
    "zip": Format("a zip archive", "application/zip", "zip", "unpack it first"),
}
"""Every format that can be told, by the word that :attr:`AudioFacts.format` has for it."""

# What to convert to, the best first: pcm would lose its rate, and ffmpeg makes none of the others by a name.
_TARGETS = ("wav", "mp3", "opus", "flac", "aac", "m4a", "aiff")


def advice(found: Format, accepted: frozenset[str]) -> str:
    """Return what to do about a recording, for one of the *accepted* formats; an empty string if nothing."""
    targets = _TARGETS[:1] if found.advice == _WRAP else _TARGETS
    target = next((word for word in targets if word in accepted), None)
    if target is None and "{}" in found.advice:
        return ""
    return found.advice.format(target)
