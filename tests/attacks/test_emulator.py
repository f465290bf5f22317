"""The emulator, as a web page or a stranger on this machine would reach it.

Then: it answered to any ``Host``, a request without the key used up a fault, and a text of 1 MB that called
itself punycode held it up for minutes.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from siliconflow_voice.emulator import Emulator, Fault

KEY = {"Authorization": "Bearer sk-test"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost:1", 200),
        ("voice.localhost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("192.0.2.1", 421),
        ("", 421),
        ("a b", 421),
        ("[", 421),
        ("localhost:x", 421),
    ],
)
async def test_it_answers_to_loopback_names_alone(
    emulator: Emulator, session: aiohttp.ClientSession, host: str, status: int
) -> None:
    headers = {**KEY, "Host": host}
    async with session.get(f"{emulator.base_url}/audio/voice/list", headers=headers) as response:
        assert response.status == status
    assert len(emulator.requests) == (status == 200)


async def test_one_that_listens_on_other_addresses_answers_to_any_name(
    session: aiohttp.ClientSession,
) -> None:
    async with Emulator(host="0.0.0.0") as emulator:  # noqa: S104 - for a container, say
        url = emulator.base_url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - likewise
        headers = {**KEY, "Host": "emulator:8080"}
        async with session.get(f"{url}/audio/voice/list", headers=headers) as response:
            assert response.status == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-other"}])
async def test_a_request_without_the_key_uses_up_no_fault(
    emulator: Emulator, session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    emulator.add_fault(Fault.return_status(503, endpoint="list"))
    url = f"{emulator.base_url}/audio/voice/list"
    statuses: list[int] = []
    for sent in (headers, KEY, KEY):
        async with session.get(url, headers=sent) as response:
            statuses.append(response.status)
    assert statuses == [401, 503, 200]


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape", "no-such"])
async def test_no_charset_holds_it_up(
    emulator: Emulator, session: aiohttp.ClientSession, charset: str
) -> None:
    form = aiohttp.MultipartWriter("form-data")
    part = form.append(b"a-b" * 300_000, {"Content-Type": f"text/plain; charset={charset}"})
    part.set_content_disposition("form-data", name="text")
    began = time.perf_counter()
    async with session.post(f"{emulator.base_url}/uploads/audio/voice", data=form, headers=KEY) as response:
        assert response.status == 400
    url = f"{emulator.base_url}/audio/voice/deletions"
    headers = {**KEY, "Content-Type": f"application/json; charset={charset}"}
    async with session.post(url, data=b"-" * 900_000, headers=headers) as response:
        assert response.status == 400
    assert time.perf_counter() - began < 2


async def test_no_number_of_parts_holds_it_up(emulator: Emulator, session: aiohttp.ClientSession) -> None:
    body = io.BytesIO(b"--b\r\n\r\n\r\n" * 200_000 + b"--b--\r\n")
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
    began = time.perf_counter()
    async with session.post(
        f"{emulator.base_url}/uploads/audio/voice", data=body, headers=headers
    ) as response:
        assert response.status == 400
    assert time.perf_counter() - began < 2
