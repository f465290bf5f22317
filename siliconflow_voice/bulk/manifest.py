"""Manifests: the uploads of a run from a CSV or JSON Lines file, of which a wrong row stops no other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Generic, TypeVar, cast

from attrs import field, frozen

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.files import PathReading
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import Audio, AudioSource, PathSource
from siliconflow_voice.bulk.rows import NEEDED, OPTIONAL, Row, check_encoding, check_format, read_rows
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.uploads.values import DEFAULT_MODEL, VoiceUpload
from siliconflow_voice.validation import check_choice

__all__ = ["Manifest", "ManifestUpload", "Refused"]

T = TypeVar("T")

_ROWS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 1 << 20

_URL = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")


@frozen
class ManifestUpload(VoiceUpload):
    """An upload as a manifest has it, right or wrong."""

    line: int = field(kw_only=True)
    """On which its row begins, counted from 1."""
    cells: Mapping[str, str] = field(kw_only=True, eq=False, repr=False)
    """The row as it was written, by column, other columns included: written to another manifest, it is the
    same row. Of a row whose cells can't be told apart, all stands under ``audio``, where it is never taken
    for a good one. A value that no text could stand for is left out."""


class Manifest:
    """The uploads that a CSV or JSON Lines file lists, for :func:`upload_many`.

    ::

        async with aclosing(upload_many(client, Manifest("voices.csv"))) as outcomes:
            async for outcome in outcomes:
                print(outcome.upload.line, outcome.voice or outcome.error)

    Its columns are ``audio`` (a path), ``custom_name``, ``text``, and, if they are there, ``model`` and
    ``encoding``, where an empty cell means the default; others are ignored. A CSV file names them in its
    first line; in a JSON Lines file, each line is an object. Empty lines are skipped. The file is read as
    the uploads are taken, in threads, and never held as a whole.

    A row that is wrong is given all the same, and fails as an upload, with an :class:`InvalidUploadError`
    that names the column, or ``manifest`` if it is wrong as a whole. A file that can't be read, or whose
    header is wrong, raises one of ``manifest`` to who iterates. :meth:`scan` finds that out before the
    first upload.

    Args:
        path: The file; its format is told by ``.csv``, ``.jsonl`` or ``.ndjson``.
        encoding: Of the file. A mark at its front (a BOM) is skipped.
        root: The folder that ``audio`` is relative to, in place of the file's own.
        allow_outside: Whether audio may be anywhere. Otherwise, a path that leads out of the folder, from
            the top, by ``..`` or through a link, fails: who wrote the file is to have no other files sent.
        model: For rows without one.
        upload_encoding: For rows without an ``encoding``.

    Raises:
        InvalidUploadError: The name is of no known format, or *upload_encoding* is none.
        ConfigurationError: *path* is no path, or *encoding* none of texts.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        root: str | os.PathLike[str] | None = None,
        allow_outside: bool = False,
        model: str = DEFAULT_MODEL,
        upload_encoding: Encoding = "multipart",
    ) -> None:
        check_encoding(encoding)
        check_choice("upload_encoding", upload_encoding, Encoding)
        self.path = _path("path", path)
        """The file, as it was given."""
        check_format(self.path)
        self._encoding = encoding
        self._root = Path(self.path).parent if root is None else Path(_path("root", root))
        self._allow_outside = allow_outside
        self._defaults = {"model": model, "encoding": upload_encoding}

    def __repr__(self) -> str:
        return f"Manifest({self.path!r})"

    async def scan(self) -> int:
        """Read all of the file once, and count its rows, the wrong ones included.

        Raises:
            InvalidUploadError: Of ``manifest``: the file can't be read, it has bytes that are not of its
                encoding, or its header is wrong.
        """
        async with aclosing(self._read(self._check_decoded)) as chunks:
            rows = 0
            async for chunk in chunks:
                rows += len(chunk)
            return rows

    async def __aiter__(self) -> AsyncGenerator[ManifestUpload, None]:
        async with aclosing(self._read(self._upload)) as chunks:
            async for chunk in chunks:
                for upload in chunk:
                    yield upload

    async def _read(self, make: Callable[[Row], T]) -> AsyncGenerator[list[T], None]:
        reader = _Reader(self._chunks(make))
        try:
            while chunk := await asyncio.to_thread(reader.take):
                yield chunk
        finally:
            reader.close()

    def _chunks(self, make: Callable[[Row], T]) -> Generator[list[T], None, None]:
        chunk: list[T] = []
        characters = 0
        with closing(read_rows(self.path, self._encoding)) as rows:
            for row in rows:
                chunk.append(make(row))
                characters += len(row.raw)
                if len(chunk) == _ROWS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
                    yield chunk
                    chunk, characters = [], 0
        yield chunk

    def _where(self, row: Row) -> str:
        return f"{self.path} line {row.line}"

    def _check_decoded(self, row: Row) -> None:
        if not row.decoded:
            raise InvalidUploadError("manifest", f"{self._where(row)} {row.problem}")

    def _upload(self, row: Row) -> ManifestUpload:
        texts: dict[str, str] = {}
        problems = [("", row.problem)] if row.problem else []
        for column in () if row.problem else (*NEEDED, *OPTIONAL):
            value = row.values.get(column)
            if column in OPTIONAL and value is None:
                continue
            if problem := _problem(value):
                problems.append((column, problem))
            else:
                text = cast("str", value)
                texts[column] = text if column == "text" else text.strip()
        if "audio" in texts and (problem := _no_path(texts["audio"])):
            problems.insert(0, ("audio", problem))
        audio = Refused(self._where(row), problems) if problems else self._audio(texts["audio"])
        return ManifestUpload(
            audio,
            texts.get("custom_name", ""),
            texts.get("text", ""),
            texts.get("model") or self._defaults["model"],
            cast("Encoding", texts.get("encoding") or self._defaults["encoding"]),
            line=row.line,
            cells={"audio": _SURROGATE.sub("\ufffd", row.raw)} if row.problem else _cells(row.values),
        )

    def _audio(self, name: str) -> Audio:
        path = self._root / name
        return path if self._allow_outside else _ConfinedSource(str(path), self._root)


class Refused(AudioSource):
    """What stands for the audio of a row that is wrong: it can't be read, and says why."""

    def __init__(self, where: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(filename=where, content_type=None)
        self.problems = problems
        """Columns and their problems; the column is empty where the row is wrong as a whole."""

    def reading(self, pool: ReadPool) -> Reading:  # noqa: ARG002 - there is nothing to read
        column, problem = self.problems[0]
        raise InvalidUploadError(column or "manifest", problem if column else f"{self.filename} {problem}")


class _ConfinedSource(PathSource):
    """A file within a folder."""

    def __init__(self, path: str, root: Path) -> None:
        super().__init__(path, filename=path, content_type=None)
        self._within = path, root

    def reading(self, pool: ReadPool) -> Reading:
        return _ConfinedReading(*self._within, pool)


class _ConfinedReading(PathReading):
    """Looks where a path leads each time that it is opened, and opens no other place than that."""

    def __init__(self, path: str, root: Path, pool: ReadPool) -> None:
        super().__init__(path, path, None, pool)
        self._root = root

    def _open(self) -> int:
        resolved = os.path.realpath(self._name)
        # Whether there is a file is not said: that would be news to some.
        if not Path(resolved).is_relative_to(os.path.realpath(self._root)):
            raise InvalidUploadError(
                "audio", f"{self._name} leads out of the folder {self._root}; allow_outside permits that"
            )
        self._path = resolved
        return super()._open()


class _Reader(Generic[T]):
    """Reads chunks in threads, one after the other; closes after the last, an abandoned one included."""

    def __init__(self, chunks: Generator[list[T], None, None]) -> None:
        self._chunks = chunks
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> list[T]:
        """Read the next one, in a thread; an empty one is the last."""
        with self._lock:
            chunk = list[T]() if self._closed else next(self._chunks, list[T]())
        if self._closed:
            self.close()
        return chunk

    def close(self) -> None:
        """Close the file: here, unless it is being read, and then there."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._chunks.close()
            finally:
                self._lock.release()


def _path(name: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"{name} takes a path, not {type(path).__name__}")
    return os.fsdecode(cast("os.PathLike[str]", path))


def _problem(value: object) -> str:
    """Say what keeps a value from being a text."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"expected a string, not {type(value).__name__}"
    if "\0" in value:
        return "has a NUL character"
    return "has a lone surrogate, which UTF-8 can't carry" if _SURROGATE.search(value) else ""


def _no_path(audio: str) -> str:
    """Say what keeps a text from being a path."""
    if not audio:
        return "is empty; it must be the path of a recording"
    return "is a url; download it first, and give the path of the file" if _URL.match(audio) else ""


def _cells(values: Mapping[str, object]) -> dict[str, str]:
    """Put what a row has into texts that can be written; a transcript is never made of what is none."""
    cells: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            text = value
        elif isinstance(value, bool | int | float) and name not in {*NEEDED, *OPTIONAL}:
            text = json.dumps(value)
        else:
            continue
        if not _SURROGATE.search(name + text):
            cells[name] = text
    return cells
