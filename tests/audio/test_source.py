from __future__ import annotations

import io
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.recordings import MP3

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import (
    Audio,
    AudioSource,
    BytesSource,
    FileSource,
    PathSource,
    StreamSource,
)
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError, SourceConsumedError

Whole = Callable[[Reading], Awaitable[bytes]]


async def stream() -> AsyncIterator[bytes]:
    yield b"abc"


class Stream:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return stream()


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"narrator.mp3"


class Readable:
    """Reads, but knows neither its name nor whether it can seek."""

    def read(self, count: int) -> bytes:
        return bytes(count)


class Seekable(Readable):
    def seek(self, position: int) -> int:
        return position

    def tell(self) -> int:
        return 0


class Unseekable(Seekable):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("make", "kind", "name", "replayable"),
    [
        (lambda: "narrator.mp3", PathSource, "narrator.mp3", True),
        (lambda: Path("narrator.mp3"), PathSource, "narrator.mp3", True),
        (BytesPath, PathSource, "narrator.mp3", True),
        (lambda: b"abc", BytesSource, "audio in memory", True),
        (lambda: bytearray(b"abc"), BytesSource, "audio in memory", True),
        (lambda: memoryview(b"abc"), BytesSource, "audio in memory", True),
        (io.BytesIO, FileSource, "audio file", True),
        (Readable, FileSource, "audio file", False),
        (Seekable, FileSource, "audio file", True),
        (Unseekable, FileSource, "audio file", False),
        (stream, StreamSource, "audio stream", False),
        (Stream, StreamSource, "audio stream", False),
    ],
)
def test_anything_that_holds_audio_makes_a_source(
    make: Callable[[], Any], kind: type[AudioSource], name: str, replayable: bool
) -> None:
    source = AudioSource.of(make())
    assert (type(source), source.filename, source.content_type, source.replayable) == (
        kind,
        name,
        None,
        replayable,
    )


def test_a_source_stays_what_it_is() -> None:
    source = AudioSource.of(b"abc")
    assert AudioSource.of(source) is source


@pytest.mark.parametrize("audio", ["narrator.mp3", b"abc", io.BytesIO(b"abc"), Stream()])
def test_a_source_of_another_name_or_type_is_a_copy_with_it(audio: Audio) -> None:
    source = AudioSource.of(audio, filename="a", content_type="audio/mpeg")
    named = AudioSource.of(source, filename="b\n")
    typed = AudioSource.of(source, content_type="audio/pcm;rate=16000")
    assert [(each.filename, each.content_type) for each in (source, named, typed)] == [
        ("a", "audio/mpeg"),
        ("b\\n", "audio/mpeg"),
        ("a", "audio/pcm;rate=16000"),
    ]
    with pytest.raises(InvalidUploadError, match="is not a media type"):
        AudioSource.of(source, content_type="nonsense")


async def test_a_stream_and_its_copies_are_read_once_between_them(whole: Whole) -> None:
    source = AudioSource.of(Stream())
    copied = AudioSource.of(source, content_type="audio/mpeg")
    pool = ReadPool()
    assert await whole(copied.reading(pool)) == b"abc"
    with pytest.raises(SourceConsumedError):
        source.reading(pool)
    await pool.close()


def test_an_open_file_has_the_name_of_its_path(tmp_path: Path) -> None:
    path = tmp_path / "narrator.mp3"
    with path.open("wb") as file:
        assert AudioSource.of(file).filename == str(path)


@pytest.mark.parametrize("name", [3, "", None])
def test_a_name_that_is_none_is_not_used(name: object) -> None:
    file = io.BytesIO()
    file.name = name
    assert AudioSource.of(file).filename == "audio file"


@pytest.mark.parametrize("audio", ["narrator.mp3", b"abc", io.BytesIO(), Stream()])
def test_a_name_can_be_given(audio: Any) -> None:
    assert AudioSource.of(audio, filename="row 7").filename == "row 7"


def test_a_representation_has_the_name_and_not_the_audio() -> None:
    assert repr(AudioSource.of(b"abc")) == "BytesSource('audio in memory')"


def test_a_representation_has_the_declared_media_type() -> None:
    source = AudioSource.of("samples", content_type="audio/pcm")
    assert repr(source) == "PathSource('samples', content_type='audio/pcm')"


@pytest.mark.parametrize(
    "content_type", ["audio/mpeg", "audio/x-wav", "audio/L16; rate=16000; channels=2", "audio/pcm;rate=8000"]
)
def test_a_media_type_can_be_declared(content_type: str) -> None:
    assert AudioSource.of(b"abc", content_type=content_type).content_type == content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "mp3",
        "audio/",
        "audio/mp 3",
        " audio/mpeg",
        "audio/mpeg\r\nX-Injected: yes",
        "audio/mpeg\n",
        "audio/mpeg;",
        'audio/mpeg; name="x"',
        "audio/声音",
        b"audio/mpeg",
        3,
    ],
)
def test_what_is_no_media_type_is_refused(content_type: Any) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        AudioSource.of(b"abc", content_type=content_type)
    assert (caught.value.field, caught.value.reason) == (
        "content_type",
        f"{content_type!r} is not a media type such as audio/mpeg",
    )


@pytest.mark.parametrize(
    ("audio", "kind"),
    [
        (None, "NoneType"),
        (5, "int"),
        (["abc"], "list"),
        ({}, "dict"),
        (object(), "object"),
        (AudioSource, "the class AudioSource"),
        (type("A\n" * 500, (), {})(), r"A\n" * 50 + "…" + r"\n" + r"A\n" * 49),
    ],
)
def test_what_holds_no_audio_is_refused_by_its_type(audio: Any, kind: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        AudioSource.of(audio)
    assert (caught.value.field, caught.value.reason) == (
        "audio",
        f"expected a path, bytes, a binary file, an async reader or an async iterable of bytes, not {kind}",
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "an empty path"),
        (
            Path("https://a.mp3"),
            "the address https:/a.mp3, not a path: pass AudioSource.url(…), which fetches it, or download it",
        ),
        ("nar\0rator.mp3", "a path with a NUL character in it"),
        (
            type("P", (BytesPath,), {"__fspath__": lambda _: b"nar\0rator.mp3"})(),
            "a path with a NUL character in it",
        ),
    ],
)
def test_what_is_no_path_is_refused(path: Any, reason: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        AudioSource.of(path)
    assert (caught.value.field, caught.value.reason) == ("audio", reason)


def test_a_name_is_shown_on_one_line() -> None:
    assert (
        AudioSource.of(b"abc", filename="a\r\n" + "b" * 1_000).filename
        == r"a\r\n" + "b" * 97 + "…" + "b" * 99
    )


def test_a_file_opened_as_text_is_refused() -> None:
    with pytest.raises(InvalidUploadError, match="audio: a file opened as text; open it with mode 'rb'"):
        AudioSource.of(io.StringIO("words"))  # type: ignore[arg-type] # on purpose


def test_a_closed_file_is_refused() -> None:
    file = io.BytesIO(b"abc")
    file.close()
    with pytest.raises(AudioSourceError, match="audio file can't be read: I/O operation on closed file"):
        AudioSource.of(file)


async def test_a_file_that_is_text_in_disguise_is_an_error_of_the_source(pool: ReadPool) -> None:
    with tempfile.SpooledTemporaryFile(mode="w+") as file:
        file.write("words")
        file.seek(0)
        with pytest.raises(AudioSourceError, match="audio file can't be read"):
            await AudioSource.of(file).reading(pool).facts()  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a FIFO"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
    ],
)
async def test_a_path_to_what_is_no_file_is_refused(
    pool: ReadPool, tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / "it")
    with pytest.raises(AudioSourceError, match=rf"it is {kind}, not a regular file"):
        await AudioSource.of(tmp_path / "it").reading(pool).facts()


async def test_a_path_to_a_socket_is_refused(pool: ReadPool, tmp_path: Path) -> None:
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        with pytest.raises(AudioSourceError, match="it can't be read: no such device or address"):
            await AudioSource.of(path).reading(pool).facts()


@pytest.mark.parametrize("make", [Path, Path.read_bytes])
async def test_paths_and_memory_can_be_used_by_many_calls_at_once(
    pool: ReadPool, whole: Whole, make: Callable[[Path], Audio]
) -> None:
    source = AudioSource.of(make(MP3))
    both = source.reading(pool), source.reading(pool)
    for reading in both:
        await reading.facts()
    assert [await whole(reading) for reading in both] == [MP3.read_bytes()] * 2


async def test_a_file_begins_where_it_stood_for_every_call(pool: ReadPool, whole: Whole) -> None:
    file = io.BytesIO(b"abcdef")
    file.seek(2)
    source = AudioSource.of(file)
    file.seek(4)
    reading = source.reading(pool)
    await reading.facts()
    assert await whole(reading) == b"cdef"


def test_a_stream_can_be_used_once(pool: ReadPool) -> None:
    source = AudioSource.of(Stream(), filename="row 7")
    source.reading(pool)
    with pytest.raises(SourceConsumedError, match="row 7 was read already"):
        source.reading(pool)


async def test_a_generator_that_ran_to_its_end_is_not_taken_for_empty_audio(pool: ReadPool) -> None:
    generator = stream()
    assert [chunk async for chunk in generator] == [b"abc"]
    with pytest.raises(SourceConsumedError, match="audio stream was read already"):
        AudioSource.of(generator).reading(pool)
