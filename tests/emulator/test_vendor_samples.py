from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import aiohttp
import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from siliconflow_voice.emulator import Emulator

AUDIO = b"\xff\xfb\x90\x64" + bytes(range(256)) * 40
SHA256 = hashlib.sha256(AUDIO).hexdigest()
UPLOADS = "/uploads/audio/voice"


def data_uri(audio: bytes) -> str:
    return "data:audio/mpeg;base64," + base64.b64encode(audio).decode()


async def test_the_vendors_python_sample_with_a_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "test.mp3"
    path.write_bytes(AUDIO)

    def sample(url: str) -> requests.Response:
        with path.open("rb") as audio:
            return requests.post(
                url,
                headers={"Authorization": "Bearer sk-test"},
                files={"file": audio},
                data={"model": "IndexTeam/IndexTTS-2", "customName": "your-voice-name", "text": "慢工出细活"},
                timeout=10,
            )

    async with Emulator() as emulator:
        response = await asyncio.to_thread(sample, emulator.base_url + UPLOADS)
        (voice,) = emulator.voices
        assert response.json() == {"uri": voice.uri}
        assert (voice.sha256, voice.text) == (SHA256, "慢工出细活")


async def test_the_vendors_python_sample_with_base64_is_accepted() -> None:
    def sample(url: str) -> requests.Response:
        data = {
            "model": "IndexTeam/IndexTTS-2",
            "customName": "your-voice-name",
            "audio": data_uri(AUDIO),
            "text": "慢工出细活",
        }
        headers = {"Authorization": "Bearer sk-test", "Content-Type": "application/json"}
        return requests.post(url, headers=headers, data=json.dumps(data), timeout=10)

    async with Emulator() as emulator:
        response = await asyncio.to_thread(sample, emulator.base_url + UPLOADS)
        assert response.json() == {"uri": emulator.voices[0].uri}


CURL_BODY = (
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="file"; filename="test.mp3"\r\n'
    b"Content-Type: audio/mpeg\r\n\r\n" + AUDIO + b"\r\n"
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="model"\r\n\r\nIndexTeam/IndexTTS-2\r\n'
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="customName"\r\n\r\nyour-voice-name\r\n'
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="text"\r\n\r\n' + "慢工出细活".encode() + b"\r\n"
    b"--------------------------d74496d66958873e--\r\n"
)
CURL_TYPE = "multipart/form-data; boundary=------------------------d74496d66958873e"


async def test_the_vendors_curl_sample_is_accepted(session: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": CURL_TYPE, "Expect": "100-continue"}
    async with (
        Emulator() as emulator,
        session.post(emulator.base_url + UPLOADS, data=CURL_BODY, headers=headers) as response,
    ):
        assert (response.status, emulator.voices[0].sha256) == (200, SHA256)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(CURL_BODY)), size=st.integers(0, 40), junk=st.binary(max_size=60))
@example(start=0, size=len(CURL_BODY), junk=b"")
def test_no_damage_to_a_body_is_an_error_of_the_emulators(
    caplog: pytest.LogCaptureFixture, start: int, size: int, junk: bytes
) -> None:
    damaged = CURL_BODY[:start] + junk + CURL_BODY[start + size :]

    async def upload() -> int:
        headers = {"Content-Type": CURL_TYPE, "Authorization": "Bearer sk-test"}
        async with (
            Emulator() as emulator,
            aiohttp.ClientSession(headers=headers) as session,
            session.post(emulator.base_url + UPLOADS, data=damaged) as response,
        ):
            return response.status

    assert asyncio.run(upload()) in {200, 400}
    assert caplog.records == []
