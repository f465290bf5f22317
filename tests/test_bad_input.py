"""What is wrong before a byte is sent gets an error of its own, and sends nothing."""

from __future__ import annotations

import io
import os
import tempfile
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.recordings import MP3, SPEECH

from siliconflow_voice import (
    AudioSource,
    AudioSourceError,
    ConfigurationError,
    Encoding,
    InvalidUploadError,
    SiliconFlowError,
    SourceChangedError,
    SourceConsumedError,
    VoiceClient,
)
from siliconflow_voice.emulator import Emulator

Make = Callable[[Path], Any]


async def upload(client: VoiceClient, **changes: Any) -> SiliconFlowError | None:
    """Upload a good recording but for what is changed; give the error."""
    arguments: dict[str, Any] = {"audio": MP3, "custom_name": "narrator", "text": "慢工出细活"}
    try:
        await client.upload_voice(**arguments | changes)
    except SiliconFlowError as error:
        return error
    return None


def uploads(emulator: Emulator) -> int:
    return sum(request.endpoint == "upload" for request in emulator.requests)


async def test_what_is_good_passes(client: VoiceClient, emulator: Emulator) -> None:
    assert (await upload(client), uploads(emulator)) == (None, 1)


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_is_refused(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match="No API key: pass api_key, or set SILICONFLOW_API_KEY"):
        VoiceClient(key)


@pytest.mark.parametrize("key", ["sk test", "sk-\ntest", "钥匙", "sk-\ud800"])
def test_a_key_that_can_be_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="The API key has a space, a line break") as caught:
        VoiceClient(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("gateway.example/v1", "address: pass one such as https://"),
        ("/v1", "address: pass one such as https://"),
        ("ftp://api.siliconflow.cn/v1", "address: pass one such as https://"),
        ("https://", "address: pass one such as https://"),
        ("https://api.siliconflow.cn:port/v1", "address: pass one such as https://"),
        ("https://user:word@api.siliconflow.cn/v1", "has a user or a password in it"),
        ("https://api.siliconflow.cn/v1?key=1", "has a query or a fragment"),
        ("https://api.siliconflow.cn/v1#top", "has a query or a fragment"),
        ("http://api.siliconflow.cn/v1", "unencrypted: use https"),
        ("http://8.8.8.8/v1", "unencrypted: use https"),
        ("http://localhost.example.com/v1", "unencrypted: use https"),
    ],
)
def test_an_address_of_no_use_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"base_url.* {message}"):
        VoiceClient("sk-test", base_url=address)


def test_an_address_in_the_environment_is_checked_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", "http://api.siliconflow.cn/v1")
    with pytest.raises(ConfigurationError, match="unencrypted: use https"):
        VoiceClient("sk-test")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("text", "", "is empty; it must be what is spoken"),
        ("text", " \n　", "is empty; it must be what is spoken"),
        ("text", "a\0b", "has a NUL character"),
        ("text", "a\ud800b", "has a lone surrogate"),
        ("text", 5, "expected str, not int"),
        ("text", None, "expected str, not NoneType"),
        ("custom_name", "", "is empty"),
        ("custom_name", "two words", "it has ' '"),
        ("custom_name", "a/b", "it has '/'"),
        ("custom_name", "旁白", "it has '旁'"),
        ("custom_name", "x" * 65, "it has 65 characters"),
        ("custom_name", "a\r\nX-Injected: yes", r"has the control character '\r'"),
        ("custom_name", "narrator\n", r"has the control character '\n'"),
        ("custom_name", b"narrator", "expected str, not bytes"),
        ("custom_name", "\udfff", "has a lone surrogate"),
        ("model", "", "is empty"),
        ("model", "a\r\nb", r"has the control character '\r'"),
        ("model", None, "expected str, not NoneType"),
        ("encoding", "chunked", "'chunked' is not one of multipart, base64"),
        ("encoding", None, "None is not one of multipart, base64"),
        ("encoding", ["base64"], "['base64'] is not one of multipart, base64"),
        ("on_ambiguous", "ignore", "'ignore' is not one of reconcile, raise, retry"),
        ("audio", None, "an async reader or an async iterable of bytes, not NoneType"),
        ("audio", 5, "an async reader or an async iterable of bytes, not int"),
        ("audio", [SPEECH], "an async reader or an async iterable of bytes, not list"),
        ("audio", "", "an empty path"),
        ("audio", "nar\0rator.mp3", "a path with a NUL character in it"),
        ("audio", b"", "audio in memory is empty"),
        ("audio", io.StringIO("words"), "a file opened as text; open it with mode 'rb'"),
        ("audio", memoryview(SPEECH)[::2], "a memoryview that is not contiguous"),
        ("audio", bytes(5_000_001), "audio in memory is 5,000,001 bytes; the limit is 5,000,000"),
        ("audio", b"words", "audio in memory is text, not audio; supported: mp3, opus, pcm, wav; check that"),
        (
            "audio",
            b"fLaC" + bytes(60),
            "audio in memory is flac; supported: mp3, opus, pcm, wav; convert it first",
        ),
    ],
)
async def test_an_argument_that_breaks_a_rule_is_refused_by_it(
    client: VoiceClient, emulator: Emulator, *, field: str, value: Any, message: str
) -> None:
    error = await upload(client, **{field: value})
    assert isinstance(error, InvalidUploadError)
    assert (error.field, message in error.reason, uploads(emulator)) == (field, True, 0)


@pytest.mark.parametrize("content_type", ["", "mp3", "audio/mp 3", "audio/mpeg\r\nX-Injected: yes", 'a/b"'])
def test_a_content_type_that_is_none_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidUploadError, match="is not a media type such as audio/mpeg") as caught:
        AudioSource.of(MP3, content_type=content_type)
    assert caught.value.field == "content_type"


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def too_large(path: Path) -> Path:
    path.write_bytes(SPEECH + bytes(6_000_000))
    return path


def text(path: Path) -> Path:
    path.write_text("Once upon a time, there was no audio.")
    return path


def too_long(path: Path) -> Path:
    """Make a wav of 40 s, which is smaller than a block of reading."""
    return wav(path, rate=8000)


def too_long_and_large(path: Path) -> Path:
    """Make a wav of 40 s, which is larger than one."""
    return wav(path, rate=24_000)


def wav(path: Path, *, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * rate * 40))
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, "it.mp3 is empty"),
        (too_large, "it.mp3 is 6,044,992 bytes; the limit is 5,000,000"),
        (too_long, "it.mp3 lasts 40.0 s; the limit is 30 s"),
        (too_long_and_large, "it.mp3 lasts 40.0 s; the limit is 30 s"),
        (text, "it.mp3 is text, not audio; supported: mp3, opus, pcm, wav"),
    ],
)
@pytest.mark.parametrize("as_file", [True, False])
async def test_a_file_that_breaks_a_rule_is_refused_by_it(
    client: VoiceClient, emulator: Emulator, tmp_path: Path, *, make: Make, message: str, as_file: bool
) -> None:
    path = make(tmp_path / "it.mp3")
    if as_file:
        with path.open("rb") as file:
            error = await upload(client, audio=file)
    else:
        error = await upload(client, audio=path)
    assert isinstance(error, InvalidUploadError)
    assert (error.field, message in error.reason, uploads(emulator)) == ("audio", True, 0)


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def directory(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path, "it.mp3 can't be read: no such file or directory"),
        (lambda path: path / "in-none", "in-none can't be read: no such file or directory"),
        (lambda path: empty(path) / "in-a-file", "in-a-file can't be read: not a directory"),
        (lambda path: path.with_name("x" * 300), "can't be read: file name too long"),
        (directory, "it.mp3 is a directory, not a regular file"),
        (fifo, "it.mp3 is a FIFO, not a regular file"),
        (lambda _: "/dev/null", "/dev/null is a device, not a regular file"),
    ],
)
async def test_what_is_no_file_is_an_error_of_the_source(
    client: VoiceClient, emulator: Emulator, tmp_path: Path, make: Make, message: str
) -> None:
    error = await upload(client, audio=make(tmp_path / "it.mp3"))
    assert (type(error), message in str(error), uploads(emulator)) == (AudioSourceError, True, 0)


async def test_a_file_that_may_not_be_read_is_an_error_of_the_source(
    monkeypatch: pytest.MonkeyPatch, client: VoiceClient, emulator: Emulator
) -> None:
    def refuse(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    error = await upload(client)
    assert (type(error), uploads(emulator)) == (AudioSourceError, 0)
    assert "patience-zh.mp3 can't be read: permission denied" in str(error)


async def test_a_closed_file_is_an_error_of_the_source(client: VoiceClient, emulator: Emulator) -> None:
    file = io.BytesIO(SPEECH)
    file.close()
    error = await upload(client, audio=file)
    assert (type(error), uploads(emulator)) == (AudioSourceError, 0)
    assert "audio file can't be read: I/O operation on closed file" in str(error)


async def test_a_file_at_its_end_is_refused(client: VoiceClient, emulator: Emulator) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(SPEECH)
        error = await upload(client, audio=file)
    assert isinstance(error, InvalidUploadError)
    assert (error.field, uploads(emulator)) == ("audio", 0)
    assert "is at its end: seek it to where the audio begins" in error.reason


async def speech() -> AsyncIterator[bytes]:
    yield SPEECH


async def words() -> AsyncIterator[str]:
    yield "Once upon a time"


async def failing() -> AsyncIterator[bytes]:
    yield SPEECH[:100]
    raise LookupError("lost")


async def nothing() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (words, InvalidUploadError, "audio stream gave str, not bytes"),
        (nothing, InvalidUploadError, "audio stream is empty"),
        (failing, AudioSourceError, "audio stream failed: LookupError('lost')"),
    ],
)
async def test_a_stream_that_gives_no_audio_is_refused(
    client: VoiceClient, emulator: Emulator, *, make: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    error = await upload(client, audio=make())
    assert (type(error), message in str(error), uploads(emulator)) == (kind, True, 0)


@pytest.mark.parametrize("wrap", [AudioSource.of, lambda stream: stream])
async def test_a_stream_that_was_consumed_is_an_error_of_the_source(
    client: VoiceClient, emulator: Emulator, wrap: Callable[[Any], Any]
) -> None:
    stream = wrap(speech())
    assert await upload(client, audio=stream) is None
    error = await upload(client, audio=stream)
    assert (type(error), uploads(emulator)) == (SourceConsumedError, 1)
    assert "audio stream was read already" in str(error)
    assert "Pass a path, bytes or a seekable file" in str(error)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 1_000_000)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("encoding", ["multipart", "base64"])
@pytest.mark.parametrize("change", [grow, shrink, touch])
async def test_a_file_that_changes_while_it_is_sent_makes_no_voice(
    client: VoiceClient, emulator: Emulator, tmp_path: Path, *, encoding: str, change: Callable[[Path], None]
) -> None:
    path = too_large(tmp_path / "it.mp3")
    told: list[tuple[int, int | None]] = []

    def progress(sent: int, total: int | None) -> None:
        if not told:
            change(path)
        told.append((sent, total))

    unlimited = client.with_options(limits=None)
    error = await upload(unlimited, audio=path, encoding=encoding, progress=progress)
    assert (type(error), emulator.voices, told[0][1]) == (SourceChangedError, [], 6_044_992)
    assert "while it was being uploaded" in str(error)


@pytest.mark.parametrize("encoding", ["multipart", "base64"])
async def test_a_stream_that_turns_out_too_long_is_broken_off(
    client: VoiceClient, emulator: Emulator, encoding: Encoding
) -> None:
    read = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            yield b"RIFF\0\0\0\0WAVE" + bytes(99_988)
            read += 100_000

    with pytest.raises(InvalidUploadError, match="more than 5,000,000 bytes") as caught:
        await client.upload_voice(stream(), custom_name="narrator", text="慢工", encoding=encoding)
    assert (caught.value.field, read, emulator.voices) == ("audio", 5_000_000, [])
