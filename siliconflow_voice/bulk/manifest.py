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

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.checks import AudioLimits
from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.audio.source import AudioSource
from siliconflow_voice.bulk.checking import ManifestCheck
from siliconflow_voice.bulk.lines import check_encoding, trim
from siliconflow_voice.bulk.listed import ManifestUpload, Refused
from siliconflow_voice.bulk.recordings import Recordings
from siliconflow_voice.bulk.rows import NEEDED, OPTIONAL, Row, check_format, read_rows
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.checking import UploadProblem
from siliconflow_voice.uploads.values import DEFAULT_MODEL
from siliconflow_voice.validation import check_choice, check_kind

__all__ = ["Manifest"]

T = TypeVar("T")

_ROWS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 1 << 20
_MOST_NAMES = 1000
_KNOWN = frozenset({*NEEDED, *OPTIONAL})

_SURROGATE = re.compile("[\ud800-\udfff]")


class Manifest:
    """The uploads that a table lists (CSV, Excel's .xlsx, or JSON Lines), for :func:`upload_many`.

    ::

        async with aclosing(upload_many(client, Manifest("voices.csv"))) as outcomes:
            async for outcome in outcomes:
                print(outcome.upload.line, outcome.voice or outcome.error)

    Its columns are ``audio`` (a path, or an address that *remote* allows), ``custom_name``, ``text``, and, if
    they are there, ``model`` and ``encoding``, where an empty cell means the default; others are ignored. The
    first row of a CSV file or of a sheet names them; in a JSON Lines file, each line is an object. Rows
    without any value are skipped. The file is read as the uploads are consumed, in a thread of its own, and
    never held as a whole; but for a workbook, which is read by python-calamine (in the extra ``cli``) and
    held as long as it is read.

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
        remote: The hosts that ``audio`` may be fetched from, where it is an address. Otherwise, a row with
            an address fails.
        model: For rows without one.
        upload_encoding: For rows without an ``encoding``.

    Raises:
        InvalidUploadError: The kind of file is not supported, or *upload_encoding* is invalid.
        ConfigurationError: *path* is not a path, *encoding* not a text encoding, or *remote* not a
            RemoteAudio.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        root: str | os.PathLike[str] | None = None,
        allow_outside: bool = False,
        remote: RemoteAudio | None = None,
        model: str = DEFAULT_MODEL,
        upload_encoding: Encoding = "multipart",
    ) -> None:
        check_encoding(encoding)
        check_choice("upload_encoding", upload_encoding, Encoding)
        check_kind("remote", remote, RemoteAudio, or_none=True)
        self.path = _path("path", path)
        """The file, as it was given."""
        check_format(self.path)
        self._encoding = encoding
        folder = Path(self.path).parent if root is None else Path(_path("root", root))
        self.recordings = Recordings(folder, allow_outside, remote)
        """Where its recordings may be."""
        self._defaults = {"model": model, "encoding": upload_encoding}
        self._names = dict[str, None]()

    def __repr__(self) -> str:
        return f"Manifest({self.path!r})"

    @property
    def settings(self) -> tuple[object, ...]:
        """All that decides how its rows are read, but for :attr:`recordings`."""
        return self._encoding, tuple(self._defaults.items())

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the last :meth:`scan` found: all of them, at most 1,000.

        One is empty if there are cells without a column: see :attr:`ManifestUpload.cells`.
        """
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

    def check(self, *, limits: AudioLimits | None = AudioLimits()) -> ManifestCheck:
        """Return a check of every row and every recording, which begins as it is iterated, and sends nothing.

        Args:
            limits: As those of :class:`VoiceClient`.

        Raises:
            ConfigurationError: *limits* is not an AudioLimits.
        """
        check_kind("limits", limits, AudioLimits, or_none=True)
        return ManifestCheck(self.__aiter__, limits)

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
        for name in _cells(row.values):
            if name not in self._names and len(self._names) < _MOST_NAMES:
                self._names[name] = None

    def _upload(self, row: Row) -> ManifestUpload:
        texts: dict[str, str] = {}
        problems = [UploadProblem("", "row", row.problem, row.line)] if row.problem else []
        for column in () if row.problem else (*NEEDED, *OPTIONAL):
            value = row.values.get(column)
            if column in OPTIONAL and value is None:
                continue
            if problem := _problem(value):
                problems.append(UploadProblem(column, *problem, row.line))
            else:
                text = cast("str", value)
                texts[column] = text if column == "text" else trim(text)
        return ManifestUpload(
            self._audio(row, texts.get("audio"), problems),
            texts.get("custom_name", ""),
            texts.get("text", ""),
            texts.get("model") or self._defaults["model"],
            cast("Encoding", texts.get("encoding") or self._defaults["encoding"]),
            line=row.line,
            cells=_cells(row.values) if row.values else {"audio": _SURROGATE.sub("\ufffd", row.raw)},
        )

    def _audio(self, row: Row, name: str | None, problems: list[UploadProblem]) -> AudioSource:
        """Return the audio of a row, in which there may be problems already."""
        audio = None
        if name is not None:
            try:
                audio = self.recordings.named(name)
            except InvalidUploadError as error:
                problems.insert(0, UploadProblem("audio", error.rule, error.reason, row.line))
        return Refused(self._where(row), problems) if audio is None or problems else audio


def _path(name: str, path: object) -> str:
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"{name} must be a path, got {type(path).__name__}")
    return os.fsdecode(cast("os.PathLike[str]", path))


def _problem(value: object) -> tuple[str, str] | None:
    """Return what keeps a value from being text: the rule, and why; or None."""
    if value is None:
        return "missing", "is missing"
    if not isinstance(value, str):
        return "type", f"must be text, not {_kind_of(value)}"
    if "\0" in value:
        return "text", "has a NUL character"
    return ("text", "has a lone surrogate, which UTF-8 can't carry") if _SURROGATE.search(value) else None


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


def _cells(values: Mapping[str, object]) -> dict[str, str]:
    """Return what a row has as text that can be written; a transcript is never made of anything else."""
    cells: dict[str, str] = {}
    odd: list[str] = []
    for name, value in values.items():
        if isinstance(value, str) and name and not _SURROGATE.search(name + value):
            cells[name] = value
        elif name not in _KNOWN:
            text = _SURROGATE.sub("\ufffd", _as_text(value))
            if name:
                cells[_SURROGATE.sub("\ufffd", name)] = text
            else:
                odd.append(text)
        elif value is not None:
            odd.append(f"{name}: {json.dumps(value, default=str)}")
    if odd:
        cells[""] = "; ".join(odd)
    return cells


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
