"""Manifests: the uploads of a run from the rows of a table, of which a wrong one stops no other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, closing
from datetime import date, time, timedelta
from pathlib import Path
from typing import TypeVar, cast

from attrs import field, frozen

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.bulk.lines import check_encoding, trim
from siliconflow_voice.bulk.paths import ListedSource
from siliconflow_voice.bulk.rows import NEEDED, OPTIONAL, Row, check_format, read_rows
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.values import DEFAULT_MODEL, VoiceUpload
from siliconflow_voice.validation import check_choice

__all__ = ["Manifest", "ManifestUpload", "Refused"]

T = TypeVar("T")

_ROWS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 1 << 20
_MOST_NAMES = 1000

_URL = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")


@frozen
class ManifestUpload(VoiceUpload):
    """An upload as a row of a manifest has it, right or wrong."""

    line: int = field(kw_only=True)
    """On which its row begins, counted from 1."""
    cells: Mapping[str, str] = field(kw_only=True, eq=False, repr=False)
    """The row as it was written, by column, other columns included: written to another manifest, it is the
    same row. Where the cells can't be told apart, the whole row is under ``audio``, where it never becomes a
    good one. A value that can't be written as text is left out."""


class Manifest:
    """The uploads that a table lists (CSV, Excel's .xlsx, or JSON Lines), for :func:`upload_many`.

    ::

        async with aclosing(upload_many(client, Manifest("voices.csv"))) as outcomes:
            async for outcome in outcomes:
                print(outcome.upload.line, outcome.voice or outcome.error)

    Its columns are ``audio`` (a path), ``custom_name``, ``text``, and, if they are there, ``model`` and
    ``encoding``, where an empty cell means the default; others are ignored. The first row of a CSV file or of
    a sheet names them; in a JSON Lines file, each line is an object. Rows without any value are skipped. The
    file is read as the uploads are consumed, in a thread of its own, and never held as a whole; but for a
    workbook, which is read by python-calamine (in the extra ``cli``) and held as long as it is read.

    A row that is wrong is yielded all the same, and fails as an upload, with an :class:`InvalidUploadError`
    that names the column, or ``manifest`` if it is wrong as a whole. A file that can't be read, or whose
    header is wrong, raises one of ``manifest`` to the consumer. :meth:`scan` finds that out before the first
    upload.

    Args:
        path: The file; its name must end in ``.csv``, ``.tsv``, ``.txt``, ``.xlsx``, ``.xlsm``, ``.jsonl`` or
            ``.ndjson``.
        encoding: Of the text in it. A mark at its front (a BOM) overrules this.
        root: The folder that ``audio`` is relative to, in place of the file's own.
        allow_outside: Whether audio may be anywhere. Otherwise, a path that leads out of the folder, from
            the top, by ``..`` or through a link, fails: whoever writes a manifest must not get other files
            of this machine sent.
        model: For rows without one.
        upload_encoding: For rows without an ``encoding``.

    Raises:
        InvalidUploadError: The kind of file is not supported, or *upload_encoding* is invalid.
        ConfigurationError: *path* is not a path, or *encoding* not a text encoding.
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
        self.root = Path(self.path).parent if root is None else Path(_path("root", root))
        """The folder that audio is relative to."""
        self.allow_outside = allow_outside
        """Whether audio may be outside of it."""
        self._defaults = {"model": model, "encoding": upload_encoding}
        self._names = dict[str, None]()

    def __repr__(self) -> str:
        return f"Manifest({self.path!r})"

    @property
    def settings(self) -> tuple[object, ...]:
        """All that decides how the file is read, but for :attr:`root`."""
        return self._encoding, self.allow_outside, tuple(self._defaults.items())

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the last :meth:`scan` found: all of them, at most 1,000."""
        return tuple(self._names)

    async def scan(self) -> int:
        """Read all of the file once, and count its rows, the wrong ones included.

        Raises:
            InvalidUploadError: Of ``manifest``: the file can't be read, it has bytes that are not of its
                encoding, or its header is wrong.
        """
        self._names.clear()
        async with aclosing(self._read(self._scanned)) as chunks:
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
        chunks = self._chunks(make)
        thread = OwnThread("manifest")
        try:
            while chunk := await thread.run(lambda: next(chunks, list[T]())):
                yield chunk
        except GeneratorExit:
            chunks.close()  # the thread is not in it: it has just given a chunk
            raise
        finally:
            # Behind a read that was abandoned, which may take long.
            thread.close(chunks.close)

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

    def _scanned(self, row: Row) -> None:
        if not row.decoded:
            raise InvalidUploadError("manifest", f"{self._where(row)} {row.problem}")
        for name in row.values:
            if name not in self._names and len(self._names) < _MOST_NAMES and not _SURROGATE.search(name):
                self._names[name] = None

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
                texts[column] = text if column == "text" else trim(text)
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

    def _audio(self, name: str) -> AudioSource:
        return ListedSource(name, self.root, confined=not self.allow_outside)


class Refused(AudioSource):
    """The audio of a row that is wrong: it can't be read, and its error is the row's."""

    def __init__(self, where: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(filename=where, content_type=None)
        self.problems = problems
        """Columns and their problems; the column is empty where the row is wrong as a whole."""

    def error(self) -> InvalidUploadError:
        """Return the row's error."""
        column, problem = self.problems[0]
        return InvalidUploadError(column or "manifest", problem if column else f"{self.filename} {problem}")

    def reading(self, pool: ReadPool) -> Reading:  # noqa: ARG002 - there is nothing to read
        raise self.error()


def _path(name: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"{name} must be a path, got {type(path).__name__}")
    return os.fsdecode(cast("os.PathLike[str]", path))


def _problem(value: object) -> str:
    """Return what keeps a value from being text, or an empty string."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"must be text, not {_kind_of(value)}"
    if "\0" in value:
        return "has a NUL character"
    return "has a lone surrogate, which UTF-8 can't carry" if _SURROGATE.search(value) else ""


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return f"a truth value ({value})"
        case int() | float():
            return f"a number ({value:.15g})"
        case date() | time() | timedelta():
            return f"a date or a time ({value})"
        case _:
            return f"a {type(value).__name__} ({value!s:.40})"


def _no_path(audio: str) -> str:
    """Return what keeps a text from being a path, or an empty string."""
    if not audio:
        return "is empty; it must be the path of a recording"
    return "is a URL: download it first, and put the path of the file here" if _URL.match(audio) else ""


def _cells(values: Mapping[str, object]) -> dict[str, str]:
    """Return what a row has as text that can be written; a transcript is never made of anything else."""
    cells: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            text = value
        elif name not in {*NEEDED, *OPTIONAL} and isinstance(value, bool | int | float | list | dict):
            text = json.dumps(value, ensure_ascii=False)
        else:
            continue
        if not _SURROGATE.search(name + text):
            cells[name] = text
    return cells
