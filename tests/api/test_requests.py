from __future__ import annotations

import asyncio
import base64
import json
from email import message_from_bytes

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.api.requests import (
    Encoding,
    Envelope,
    Request,
    delete_voice,
    list_voices,
    upload_voice,
)

AUDIO = b"ID3\x04\x00\r\n--\r\n\xff\xfb\x00"
ENCODINGS: list[Encoding] = ["multipart", "base64"]


def upload(
    encoding: Encoding = "multipart",
    *,
    model: str = "FunAudioLLM/CosyVoice2-0.5B",
    custom_name: str = "narrator",
    text: str = "慢工出细活",
    extension: str = "mp3",
) -> Request:
    return upload_voice(
        model=model,
        custom_name=custom_name,
        text=text,
        encoding=encoding,
        media_type="audio/mpeg",
        extension=extension,
    )


def envelope_of(request: Request) -> Envelope:
    assert request.envelope is not None
    return request.envelope


def body_of(envelope: Envelope, audio: bytes) -> bytes:
    return envelope.prologue + (base64.b64encode(audio) if envelope.base64 else audio) + envelope.epilogue


def boundary_of(envelope: Envelope) -> str:
    return envelope.content_type.removeprefix("multipart/form-data; boundary=")


def parts_of(envelope: Envelope, audio: bytes) -> dict[str, bytes]:
    """Read a form as the standard library does."""
    head = f"Content-Type: {envelope.content_type}\r\n\r\n".encode()
    message = message_from_bytes(head + body_of(envelope, audio))
    parts = {}
    for part in message.walk():
        name = part.get_param("name", header="Content-Disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            parts[name] = content
    return parts


async def parts_as_aiohttp_reads_them(envelope: Envelope, audio: bytes) -> dict[str, bytes]:
    loop = asyncio.get_running_loop()
    stream = aiohttp.StreamReader(BaseProtocol(loop), 1 << 16, loop=loop)
    stream.feed_data(body_of(envelope, audio))
    stream.feed_eof()
    reader = aiohttp.MultipartReader({"Content-Type": envelope.content_type}, stream)
    parts = {}
    while isinstance(part := await reader.next(), aiohttp.BodyPartReader):
        assert part.name is not None
        parts[part.name] = bytes(await part.read())
    return parts


def test_a_multipart_envelope_is_these_very_bytes() -> None:
    envelope = envelope_of(upload())
    boundary = boundary_of(envelope)
    prologue = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nFunAudioLLM/CosyVoice2-0.5B\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="customName"\r\n\r\nnarrator\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\n慢工出细活\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="audio.mp3"\r\n'
        "Content-Type: audio/mpeg\r\n\r\n"
    )
    assert prologue.encode() == envelope.prologue
    assert f"\r\n--{boundary}--\r\n".encode() == envelope.epilogue


def test_a_base64_envelope_is_these_very_bytes() -> None:
    prologue = (
        '{"model":"FunAudioLLM/CosyVoice2-0.5B","customName":"narrator","text":"慢工出细活",'
        '"audio":"data:audio/mpeg;base64,'
    )
    expected = Envelope("application/json", prologue.encode(), b'"}', base64=True)
    assert expected == envelope_of(upload("base64"))


def test_a_boundary_is_never_used_twice() -> None:
    assert len({boundary_of(envelope_of(upload())) for _ in range(100)}) == 100


@given(st.binary(max_size=2000))
def test_a_base64_body_is_json_with_the_fields_and_the_audio(audio: bytes) -> None:
    document = json.loads(body_of(envelope_of(upload("base64")), audio))
    expected = {
        "model": "FunAudioLLM/CosyVoice2-0.5B",
        "customName": "narrator",
        "text": "慢工出细活",
        "audio": "data:audio/mpeg;base64," + base64.b64encode(audio).decode(),
    }
    assert expected == document


@given(st.text())
def test_any_text_survives_json(text: str) -> None:
    document = json.loads(
        body_of(envelope_of(upload("base64", model=text, custom_name=text, text=text)), AUDIO)
    )
    assert [text, text, text] == [document["model"], document["customName"], document["text"]]


@given(st.text())
def test_any_text_survives_multipart(text: str) -> None:
    parts = parts_of(envelope_of(upload(text=text)), AUDIO)
    assert {
        "model": b"FunAudioLLM/CosyVoice2-0.5B",
        "customName": b"narrator",
        "text": text.encode(),
        "file": AUDIO,
    } == parts


@pytest.mark.parametrize(
    "text", ['"quoted"', "two\nlines", "two\r\nlines", "back\\slash", "慢工出细活", "--", "\r\n--\r\n", " a "]
)
async def test_a_text_that_looks_like_syntax_survives_aiohttps_reader(text: str) -> None:
    parts = await parts_as_aiohttp_reads_them(envelope_of(upload(text=text, custom_name=text)), AUDIO)
    assert (text.encode(), text.encode(), AUDIO) == (parts["text"], parts["customName"], parts["file"])


@given(st.binary(max_size=300))
def test_any_audio_survives_multipart(audio: bytes) -> None:
    assert audio == parts_of(envelope_of(upload()), audio)["file"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(size=st.integers(0, 5000))
def test_the_size_is_that_of_the_body(encoding: Encoding, size: int) -> None:
    envelope = envelope_of(upload(encoding))
    assert len(body_of(envelope, bytes(size))) == envelope.size(size)


@given(st.integers(0, 1 << 50))
def test_the_size_is_exact_for_audio_that_fits_in_no_memory(size: int) -> None:
    multipart, encoded = envelope_of(upload()), envelope_of(upload("base64"))
    assert len(multipart.prologue) + len(multipart.epilogue) + size == multipart.size(size)
    assert len(encoded.prologue) + 2 + (size + 2) // 3 * 4 == encoded.size(size)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_size_is_unknown_if_the_audios_is(encoding: Encoding) -> None:
    assert envelope_of(upload(encoding)).size(None) is None


@pytest.mark.parametrize("extension", ["mp3", "wav", "opus", "flac", "m4a", "bin"])
def test_the_filename_is_ascii_and_never_the_users(extension: str) -> None:
    prologue = envelope_of(upload(extension=extension)).prologue
    assert b'name="file"; filename="audio.%s"\r\n' % extension.encode() in prologue


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_upload_is_not_repeatable_and_draws_on_its_models_quota(encoding: Encoding) -> None:
    request = upload(encoding, model="fnlp/MOSS-TTSD-v0.5")
    assert (
        request.operation,
        request.method,
        request.path,
    ) == ("upload_voice", "POST", "uploads/audio/voice")
    assert (request.model, request.repeatable, request.max_answer) == ("fnlp/MOSS-TTSD-v0.5", False, 1 << 20)


def test_listing_has_no_body_and_takes_a_long_answer() -> None:
    assert Request("list_voices", "GET", "audio/voice/list", max_answer=1000) == list_voices(1000)


@given(st.text())
def test_a_deletion_names_the_uri_in_json(uri: str) -> None:
    request = delete_voice(uri)
    assert (
        request.operation,
        request.method,
        request.path,
    ) == ("delete_voice", "POST", "audio/voice/deletions")
    envelope = envelope_of(request)
    assert ({"uri": uri}, len(envelope.prologue)) == (json.loads(envelope.prologue), envelope.size(0))


def test_listing_and_deleting_are_repeatable() -> None:
    assert (list_voices(1000).repeatable, delete_voice("speech:a:b:c").repeatable) == (True, True)
