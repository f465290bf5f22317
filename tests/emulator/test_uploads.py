from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from siliconflow_voice.emulator import Emulator

AUDIO = b"\xff\xfb\x90\x64" + bytes(range(256)) * 40
SHA256 = hashlib.sha256(AUDIO).hexdigest()
UPLOADS = "/uploads/audio/voice"


def data_uri(audio: bytes) -> str:
    return "data:audio/mpeg;base64," + base64.b64encode(audio).decode()


def form(fields: dict[str, str], audio: bytes = AUDIO) -> aiohttp.FormData:
    made = aiohttp.FormData(fields)
    made.add_field("file", audio, filename="test.mp3", content_type="audio/mpeg")
    return made


async def answer(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    return response.status, (await response.json())["code"]


async def test_a_file_is_stored_with_its_fields_hash_and_size(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with (
        Emulator() as emulator,
        session.post(emulator.base_url + UPLOADS, data=form(fields)) as response,
    ):
        (voice,) = emulator.voices
        assert (response.status, await response.json()) == (200, {"uri": voice.uri})
        assert (voice.model, voice.custom_name, voice.text) == tuple(fields.values())
        assert (voice.sha256, voice.size) == (SHA256, len(AUDIO))


async def test_a_data_uri_in_json_is_stored(session: aiohttp.ClientSession, fields: dict[str, str]) -> None:
    body = fields | {"audio": data_uri(AUDIO)}
    async with Emulator() as emulator, session.post(emulator.base_url + UPLOADS, json=body) as response:
        assert (response.status, emulator.voices[0].sha256) == (200, SHA256)


async def test_a_data_uri_in_a_multipart_field_is_stored(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    parts = aiohttp.FormData(fields, default_to_multipart=True)
    parts.add_field("audio", data_uri(AUDIO))
    async with Emulator() as emulator, session.post(emulator.base_url + UPLOADS, data=parts) as response:
        assert (response.status, emulator.voices[0].sha256) == (200, SHA256)


async def test_the_file_may_come_before_the_fields_and_unknown_fields_are_ignored(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    parts = aiohttp.FormData()
    parts.add_field("file", AUDIO, filename="a.mp3")
    parts.add_field("note", "?")
    for name, value in fields.items():
        parts.add_field(name, value)
    async with Emulator() as emulator, session.post(emulator.base_url + UPLOADS, data=parts) as response:
        assert (response.status, emulator.voices[0].sha256) == (200, SHA256)


async def test_one_name_uploaded_twice_makes_two_voices(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(account="me") as emulator:
        for _ in range(2):
            async with session.post(emulator.base_url + UPLOADS, data=form(fields)):
                pass
        first, second = (voice.uri.split(":") for voice in emulator.voices)
        assert first[:3] == second[:3] == ["speech", "narrator", "me"]
        assert first[3] != second[3]
        assert (len(first[3]), first[3].isalpha(), first[3].islower()) == (20, True, True)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": None}, (400, 20012)),
        ({"model": ""}, (400, 20012)),
        ({"model": 7}, (400, 20012)),
        ({"model": "no/such-model"}, (400, 20012)),
        ({"customName": None}, (400, 20048)),
        ({"customName": "my voice"}, (400, 20048)),
        ({"customName": "旁白"}, (400, 20048)),
        ({"customName": "a\n"}, (400, 20048)),
        ({"customName": "x" * 65}, (400, 20048)),
        ({"text": None}, (400, 20015)),
        ({"text": ""}, (400, 20015)),
        ({"audio": None}, (400, 20046)),
        ({"audio": ["data:"]}, (400, 20049)),
        ({"audio": "aGVsbG93b3JsZA=="}, (400, 20049)),
        ({"audio": "data:audio/mpeg,hello"}, (400, 20049)),
        ({"audio": "data:audio/mpeg;base64,!!!!"}, (400, 20049)),
        ({"audio": "data:audio/mpeg;base64,aGVsbG8"}, (400, 20049)),
        ({"audio": "data:audio/mpeg;base64,é"}, (400, 20049)),
        ({"audio": "data:audio/mpeg;base64,"}, (400, 20044)),
        ({"audio": data_uri(bytes(20_001))}, (413, 20045)),
    ],
)
async def test_a_bad_field_is_refused_with_the_vendors_code(
    session: aiohttp.ClientSession, fields: dict[str, str], change: dict[str, Any], expected: tuple[int, int]
) -> None:
    body = {
        name: value
        for name, value in (fields | {"audio": data_uri(AUDIO)} | change).items()
        if value is not None
    }
    async with (
        Emulator(max_audio_bytes=20_000) as emulator,
        session.post(emulator.base_url + UPLOADS, json=body) as response,
    ):
        assert await answer(response) == expected
        assert (emulator.voices, emulator.requests[0].code) == ([], expected[1])


async def test_the_longest_name_and_the_largest_audio_are_accepted(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    body = form(fields | {"customName": "x" * 64})
    async with (
        Emulator(max_audio_bytes=len(AUDIO)) as emulator,
        session.post(emulator.base_url + UPLOADS, data=body) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("file", bytes(300_001), (413, 20045)),
        ("file", b"", (400, 20044)),
        ("audio", data_uri(bytes(300_001)).encode(), (413, 20045)),
        ("audio", data_uri(bytes(900_000)).encode(), (413, 20045)),
        ("audio", b"\xff\xfe", (400, 20015)),
        ("text", b"x" * 1_048_577, (400, 20015)),
        ("text", b"\xff\xfe", (400, 20015)),
    ],
)
async def test_a_bad_part_is_refused_with_the_vendors_code(
    session: aiohttp.ClientSession, fields: dict[str, str], name: str, value: bytes, expected: tuple[int, int]
) -> None:
    parts = aiohttp.FormData({key: text for key, text in fields.items() if key != name})
    parts.add_field(name, io.BytesIO(value), filename="a")
    async with (
        Emulator(max_audio_bytes=300_000) as emulator,
        session.post(emulator.base_url + UPLOADS, data=parts) as response,
    ):
        assert await answer(response) == expected


async def test_a_file_and_a_data_uri_at_once_are_refused(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with (
        Emulator() as emulator,
        session.post(emulator.base_url + UPLOADS, data=form(fields | {"audio": data_uri(AUDIO)})) as response,
    ):
        assert await answer(response) == (400, 20053)


MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"hello"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 200_000),
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 71, b"--x--\r\n"),
        (MULTIPART, b""),
        (MULTIPART, b"--x\r\n"),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--y\r\n'),
        (MULTIPART, b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n"),
        (MULTIPART, b"--x\r\nnonsense\r\n\r\n--x--\r\n"),
        (MULTIPART, b"--x\r\n" + b"a" * 10_000),
        (
            MULTIPART,
            (
                b'--x\r\nContent-Disposition: form-data; name="text"\r\n'
                b"Content-Type: text/plain; charset=klingon\r\n\r\nabc\r\n--x--\r\n"
            ),
        ),
        (
            MULTIPART,
            b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"a" * 40 + b"\r\n--x--\r\n",
        ),
        (MULTIPART, b"--x\r\nContent-Disposition: ;;;\r\n\r\nabc\r\n--x--\r\n"),
    ],
)
async def test_a_body_that_can_not_be_understood_is_the_clients_mistake(
    session: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    async with (
        Emulator() as emulator,
        session.post(
            emulator.base_url + UPLOADS, data=body, headers={"Content-Type": content_type}
        ) as response,
    ):
        assert await answer(response) == (400, 20015)


async def test_a_body_that_is_compressed_badly_is_the_clients_mistake(session: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with (
        Emulator() as emulator,
        session.post(emulator.base_url + UPLOADS, data=b"no gzip", headers=headers) as response,
    ):
        assert response.status == 400


async def test_a_large_file_is_read_in_constant_memory(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    import tracemalloc  # noqa: PLC0415 - slows down what follows, so that it is started as late as can be

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield bytes(65_536)

    parts = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        parts.append(value).set_content_disposition("form-data", name=name)
    parts.append(chunks()).set_content_disposition("form-data", name="file", filename="big.wav")
    async with Emulator(max_audio_bytes=2**30) as emulator:
        tracemalloc.start()
        async with session.post(emulator.base_url + UPLOADS, data=parts) as response:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert (response.status, emulator.voices[0].size) == (200, 32 * 2**20)
        assert peak < 8 * 2**20
