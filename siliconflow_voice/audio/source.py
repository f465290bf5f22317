"""What can be uploaded: paths, bytes, binary files and streams, each read the way that suits it."""

from __future__ import annotations

import io
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable
from inspect import iscoroutinefunction
from typing import IO, Any, BinaryIO, TypeAlias, cast

from siliconflow_voice.audio.blocks import reading_errors
from siliconflow_voice.audio.files import FileReading, PathReading
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import BytesReading, Reading, StreamReading
from siliconflow_voice.errors import InvalidUploadError, SourceConsumedError

__all__ = ["Audio", "AudioSource"]

_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:;\s*[\w.+-]+=[\w.+-]+)*", re.ASCII)


class AudioSource(ABC):
    """Audio to be uploaded, wherever it comes from.

    ``AudioSource.of(audio)`` makes one; every method that takes audio does so by itself. Making one yourself
    lets you say what the content can't: ``AudioSource.of(samples, content_type="audio/pcm")``.
    """

    replayable: bool = True
    """Whether it can be read again, and so be sent again after a failure."""

    def __init__(self, *, filename: str, content_type: str | None) -> None:
        if content_type is not None and not _CONTENT_TYPE.fullmatch(str(content_type)):
            raise InvalidUploadError("content_type", f"{content_type!r} is no media type such as audio/mpeg")
        self.filename = filename
        """What messages call it. It is never sent: the server is given a generated ASCII name."""
        self.content_type = content_type
        """The declared media type, or None to go by the content."""

    @staticmethod
    def of(audio: Audio, *, filename: str | None = None, content_type: str | None = None) -> AudioSource:
        """Make a source of a path, bytes, a binary file object or an async iterable of bytes.

        A path is opened for each attempt, in a thread, and closed. A file object is read from its current
        position, rewound to there for a retry or another call, and never closed. An async iterable is read
        once.

        Args:
            audio: What to upload. An ``AudioSource`` is returned as it is.
            filename: A name for messages.
            content_type: The media type, where the content doesn't tell it: raw samples are ``audio/pcm``
                or, with the rate that lets their duration be checked, ``audio/pcm;rate=16000``.

        Raises:
            InvalidUploadError: It is none of these, or *content_type* is no media type.
            AudioSourceError: It is a file that is closed, or does not tell where it stands.
        """
        match audio:
            case AudioSource():
                return audio
            case str() | os.PathLike():
                path = os.fspath(audio)
                return PathSource(path, filename=filename or os.fsdecode(path), content_type=content_type)
            case bytes() | bytearray() | memoryview():
                return BytesSource(audio, filename=filename or "audio in memory", content_type=content_type)
            case io.TextIOBase():  # pyright: ignore[reportUnnecessaryComparison] - callers do
                raise InvalidUploadError("audio", "a file opened as text; open it with mode 'rb'")
            case AsyncIterable():
                return StreamSource(audio, filename=filename or "audio stream", content_type=content_type)
            case _ if iscoroutinefunction(getattr(audio, "read", None)):
                raise InvalidUploadError(
                    "audio", "its read() is a coroutine: pass the file inside, such as UploadFile.file"
                )
            case _ if callable(getattr(audio, "read", None)):
                name = getattr(audio, "name", None)
                filename = filename or (name if name and isinstance(name, str) else "audio file")
                return FileSource(cast("BinaryIO", audio), filename=filename, content_type=content_type)
            case _:
                raise InvalidUploadError(
                    "audio",
                    f"expected a path, bytes, a binary file or an async iterable, not {type(audio).__name__}",
                )

    def __repr__(self) -> str:
        declared = f", content_type={self.content_type!r}" if self.content_type else ""
        return f"{type(self).__name__}({self.filename!r}{declared})"

    @abstractmethod
    def reading(self, pool: ReadPool) -> Reading:
        """Begin a call: what reads this source for all of the call's attempts."""


class PathSource(AudioSource):
    """A regular file, by its path."""

    def __init__(self, path: str | bytes, **names: Any) -> None:
        super().__init__(**names)
        self._path = path
        if not path:
            raise InvalidUploadError("audio", "an empty path")
        if (b"\0" if isinstance(path, bytes) else "\0") in path:  # type: ignore[operator] # of one kind
            raise InvalidUploadError("audio", "a path with a NUL character in it")

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
        self._stream: AsyncIterable[bytes] | None = stream
        # A generator that ran to its end has no frame any more, and would be taken for empty audio.
        if getattr(stream, "ag_frame", stream) is None:
            self._stream = None

    def reading(self, pool: ReadPool) -> Reading:  # noqa: ARG002 - whatever it waits for is its own business
        stream, self._stream = self._stream, None
        if stream is None:
            raise SourceConsumedError(f"{self.filename} was read already")
        return StreamReading(stream, self.filename, self.content_type)


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
    | AudioSource
)
"""What every method that takes audio accepts."""
