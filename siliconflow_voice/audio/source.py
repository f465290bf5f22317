"""What can be uploaded: paths, bytes, binary files and streams, each read the way that suits it."""

from __future__ import annotations

import copy
import io
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable
from typing import IO, Any, BinaryIO, TypeAlias, cast

from siliconflow_voice.audio.blocks import reading_errors
from siliconflow_voice.audio.files import FileReading, PathReading
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readers import AsyncReader, file_inside, stream_of
from siliconflow_voice.audio.readings import BytesReading, Reading, StreamReading
from siliconflow_voice.audio.remote.address import Address
from siliconflow_voice.audio.remote.policy import RemoteAudio, check_address
from siliconflow_voice.audio.remote.reading import RemoteReading
from siliconflow_voice.audio.wording import not_a_path, one_line
from siliconflow_voice.errors import InvalidUploadError, SourceConsumedError
from siliconflow_voice.validation import check_kind

__all__ = ["Audio", "AudioSource"]

_EXPECTED = "expected a path, bytes, a binary file, an async reader or an async iterable of bytes"
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:;\s*[\w.+-]+=[\w.+-]+)*", re.ASCII)


class AudioSource(ABC):
    """Audio to be uploaded, wherever it comes from.

    ``AudioSource.of(audio)`` makes one; every method that takes audio does so by itself. Making one yourself
    lets you say what the content can't: ``AudioSource.of(samples, content_type="audio/pcm")``.
    """

    replayable: bool = True
    """Whether it can be read again, and so be sent again after a failure."""

    def __init__(self, *, filename: str, content_type: str | None) -> None:
        self.filename = one_line(filename)
        """What messages call it. It is never sent: the server is given a generated ASCII name."""
        self.content_type = _checked_type(content_type)
        """The declared media type, or None to go by the content."""

    @staticmethod
    def of(audio: Audio, *, filename: str | None = None, content_type: str | None = None) -> AudioSource:
        """Make a source of a path, bytes, a binary file, an async reader or an async iterable of bytes.

        A path is opened for each attempt, in a thread, and closed. A file object is read from its current
        position, rewound to there for a retry or another call, and never closed. One of up to 768 KiB is held
        until the upload has ended, and may be closed before; a larger one must stay open. An ``UploadFile``
        of Starlette or FastAPI is such a file object. An async reader (``await read(n)``: asyncio's,
        aiohttp's, aiofiles'), an async iterable, and a response of aiohttp or httpx are read once.

        Args:
            audio: What to upload. An ``AudioSource`` is returned as it is, or, where a name or a type is
                passed, a copy with these; a stream and its copies can be read once between them.
            filename: A name for messages.
            content_type: The media type, where the content doesn't tell it: raw samples are ``audio/pcm``
                or, with the rate that lets their duration be checked, ``audio/pcm;rate=16000``.

        Raises:
            InvalidUploadError: It is none of these, or *content_type* is not a media type.
            AudioSourceError: It is a file that is closed, or does not tell where it stands.
        """
        match audio:
            case AudioSource():
                return _renamed(audio, filename, content_type)
            case str() | os.PathLike():
                path = os.fspath(audio)
                return PathSource(path, filename=filename or os.fsdecode(path), content_type=content_type)
            case bytes() | bytearray() | memoryview():
                return BytesSource(audio, filename=filename or "audio in memory", content_type=content_type)
            case io.TextIOBase():  # pyright: ignore[reportUnnecessaryComparison] - callers do
                raise InvalidUploadError(
                    "audio", "a file opened as text; open it with mode 'rb'", rule="source"
                )
            case _ if (file := file_inside(audio)) is not None:
                filename = filename or _name(audio, "filename")
                return FileSource(file, filename=filename, content_type=content_type)
            case _ if (stream := stream_of(audio)) is not None:
                if isinstance(stream, bytes):
                    return BytesSource(stream, filename=filename or "response", content_type=content_type)
                return StreamSource(stream, filename=filename or "audio stream", content_type=content_type)
            case _ if callable(getattr(audio, "read", None)):
                filename = filename or _name(audio, "name")
                return FileSource(cast("BinaryIO", audio), filename=filename, content_type=content_type)
            case _:
                raise InvalidUploadError("audio", f"{_EXPECTED}, not {_described(audio)}", rule="source")

    @staticmethod
    def url(
        address: str,
        *,
        remote: RemoteAudio | None = None,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> AudioSource:
        """Make a source of an ``https`` address, or of an object in a storage (``s3://bucket/key``).

        The recording is fetched as a whole before anything is sent, and kept until the upload has ended: in
        memory up to 768 KiB, in a temporary file beyond that. So it is checked as a file is, and a retry
        sends the same bytes. The request has no API key; it is not made to this machine or a private network
        unless *remote* allows that, and redirected only to the hosts that *remote* names.

        Args:
            address: Where it is. What stands behind its question mark is shown in no message.
            remote: The hosts and schemes that are allowed, and the bounds of the download. By default, the
                address's own host, by https.
            filename: A name for messages, in place of the address without its query.
            content_type: The media type, as of :meth:`of`. What the server says does not count.

        Raises:
            InvalidUploadError: It is not an address (the rule ``address``), or not an allowed one (``host``).
            ConfigurationError: *remote* is not a RemoteAudio.
        """
        check_kind("remote", remote, RemoteAudio, or_none=True)
        parsed = Address.of(address)
        allowed = RemoteAudio(hosts=(parsed.authority,)) if remote is None else remote
        check_address(parsed, allowed)
        return UrlSource(parsed, allowed, filename=filename or parsed.shown, content_type=content_type)

    def __repr__(self) -> str:
        declared = f", content_type={self.content_type!r}" if self.content_type else ""
        return f"{type(self).__name__}({self.filename!r}{declared})"

    def check_text(self, text: str) -> None:  # noqa: B027 - most know nothing of what is spoken in them
        """Refuse a text that is known not to be what is spoken.

        Raises:
            InvalidUploadError: Of ``text``.
        """

    @abstractmethod
    def reading(self, pool: ReadPool) -> Reading:
        """Begin a call: what reads this source for all of the call's attempts."""


class PathSource(AudioSource):
    """A regular file, by its path."""

    def __init__(self, path: str | bytes, **names: Any) -> None:
        super().__init__(**names)
        self._path = path
        text = os.fsdecode(path)
        reason = "an empty path" if not text else not_a_path(text)
        if reason is None and "\0" in text:
            reason = "a path with a NUL character in it"
        if reason is not None:
            raise InvalidUploadError("audio", reason, rule="source")

    def reading(self, pool: ReadPool) -> Reading:
        return PathReading(self._path, self.filename, self.content_type, pool)


class BytesSource(AudioSource):
    """Audio in memory, never copied."""

    def __init__(self, data: bytes | bytearray | memoryview, **names: Any) -> None:
        super().__init__(**names)
        self._data = data

    def reading(self, pool: ReadPool) -> Reading:
        return BytesReading(self._data, self.content_type, pool)


class FileSource(AudioSource):
    """The caller's binary file object."""

    def __init__(self, file: BinaryIO, **names: Any) -> None:
        super().__init__(**names)
        self._file = file
        self._lock = threading.Lock()
        with reading_errors(self.filename):
            self.replayable = _seekable(file)
            # Once and for all: a call that fails leaves the file in the middle.
            self._start = file.tell() if self.replayable else None

    def reading(self, pool: ReadPool) -> Reading:
        return FileReading(
            self._file, self.filename, self.content_type, pool, start=self._start, lock=self._lock
        )


class StreamSource(AudioSource):
    """An async iterable of bytes, which can be read once."""

    replayable = False

    def __init__(self, stream: AsyncIterable[bytes], **names: Any) -> None:
        super().__init__(**names)
        # A generator that ran to its end has no frame any more, and would be taken for empty audio.
        ended = getattr(stream, "ag_frame", stream) is None
        self._unread = [] if ended else [stream]
        """The stream until it is read, here or by a copy of another name or type."""

    def reading(self, pool: ReadPool) -> Reading:
        if not self._unread:
            raise SourceConsumedError(f"{self.filename} was read already")
        return StreamReading(self._unread.pop(), self.filename, self.content_type, pool)


def _renamed(source: AudioSource, filename: str | None, content_type: str | None) -> AudioSource:
    if filename is None and content_type is None:
        return source
    copied = copy.copy(source)
    if filename is not None:
        copied.filename = one_line(filename)
    if content_type is not None:
        copied.content_type = _checked_type(content_type)
    return copied


def _checked_type(content_type: str | None) -> str | None:
    if content_type is not None and not _CONTENT_TYPE.fullmatch(str(content_type)):
        raise InvalidUploadError(
            "content_type",
            f"{one_line(repr(content_type), 80)} is not a media type such as audio/mpeg",
            rule="media_type",
        )
    return content_type


class UrlSource(AudioSource):
    """A recording at an address that was found to be allowed."""

    def __init__(self, address: Address, remote: RemoteAudio, **names: Any) -> None:
        super().__init__(**names)
        self._address = address
        self._remote = remote

    def reading(self, pool: ReadPool) -> Reading:
        return RemoteReading(self._address, self._remote, self.filename, self.content_type, pool)


def _name(audio: object, attribute: str) -> str:
    name = getattr(audio, attribute, None)
    return name if name and isinstance(name, str) else "audio file"


def _described(audio: object) -> str:
    kind = type(audio)
    if callable(getattr(audio, "iter_content", None)):  # requests would hold up the event loop
        return f"a {kind.__name__}: pass its .content"
    if isinstance(audio, type):
        return f"the class {one_line(audio.__name__)}"
    return one_line(kind.__name__)


def _seekable(file: BinaryIO) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else hasattr(file, "seek")


Audio: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | IO[bytes]
    | AsyncIterable[bytes]
    | AsyncReader
    | AudioSource
)
"""What every method that takes audio accepts."""
