from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from siliconflow_voice.emulator import Emulator, Fault, Quota

Connect = Callable[[Emulator], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

AUDIO = "data:audio/mpeg;base64,aGVsbG93b3JsZA=="
UPLOADS, LIST, DELETIONS = "/uploads/audio/voice", "/audio/voice/list", "/audio/voice/deletions"


async def upload(
    emulator: Emulator, session: aiohttp.ClientSession, fields: dict[str, str], **changes: str
) -> tuple[int, Any]:
    body = fields | {"audio": AUDIO} | changes
    async with session.post(emulator.base_url + UPLOADS, json=body) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (None, "Invalid token"),
        ("sk-test", "Invalid token"),
        ("Bearer ", "Invalid token"),
        ("Basic sk-test", "Invalid token"),
        ("Bearer sk-other", "Api key is invalid"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", UPLOADS), ("GET", LIST), ("POST", DELETIONS)])
async def test_whoever_has_not_the_key_is_not_let_in(
    header: str | None, complaint: str, method: str, path: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with (
        Emulator() as emulator,
        aiohttp.ClientSession() as session,
        session.request(method, emulator.base_url + path, headers=headers) as response,
    ):
        assert (response.status, await response.json()) == (401, complaint)


async def test_a_bad_key_is_refused_before_the_body_was_sent(connect: Connect) -> None:
    async with Emulator() as emulator:
        reader, writer = await connect(emulator)
        writer.write(
            b"POST /v1/uploads/audio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nonly some"
        )
        assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"


@pytest.mark.parametrize("path", ["/audio/voices", "/", ""])
async def test_an_unknown_path_is_not_found(session: aiohttp.ClientSession, path: str) -> None:
    async with Emulator() as emulator, session.get(emulator.base_url + path) as response:
        assert (response.status, await response.json()) == (404, "404 page not found")
        assert emulator.requests[0].endpoint == "unknown"


async def test_the_wrong_method_is_not_found(session: aiohttp.ClientSession) -> None:
    async with Emulator() as emulator, session.get(emulator.base_url + UPLOADS) as response:
        assert response.status == 404


async def test_every_answer_has_a_trace_id_of_its_own(session: aiohttp.ClientSession) -> None:
    async with Emulator() as emulator:
        ids = []
        for _ in range(2):
            async with session.get(emulator.base_url + LIST) as response:
                ids.append(response.headers["x-siliconcloud-trace-id"])
        assert all(re.fullmatch(r"ti_[a-z0-9]{20}", trace_id) for trace_id in ids)
        assert ids[0] != ids[1]


@pytest.mark.parametrize("key", ["result", "results", "data"])
async def test_the_list_stands_under_its_key(
    session: aiohttp.ClientSession, fields: dict[str, str], key: str
) -> None:
    async with Emulator(list_key=key) as emulator:
        await upload(emulator, session, fields)
        async with session.get(emulator.base_url + LIST) as response:
            assert await response.json() == {key: [fields | {"uri": emulator.voices[0].uri}]}


async def test_the_list_may_be_bare(session: aiohttp.ClientSession) -> None:
    async with Emulator(list_key="") as emulator, session.get(emulator.base_url + LIST) as response:
        assert await response.json() == []


async def test_a_deleted_voice_is_gone(session: aiohttp.ClientSession, fields: dict[str, str]) -> None:
    async with Emulator() as emulator:
        await upload(emulator, session, fields)
        await upload(emulator, session, fields)
        gone, kept = emulator.voices
        async with session.post(emulator.base_url + DELETIONS, json={"uri": gone.uri}) as response:
            assert (response.status, await response.json()) == (200, {})
        assert emulator.voices == [kept]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"uri": "speech:a:b:c"}', 20059),
        (b'{"uri": 7}', 20015),
        (b"[]", 20015),
        (b"", 20015),
        (b"{", 20015),
    ],
)
async def test_what_can_not_be_deleted_is_refused(
    session: aiohttp.ClientSession, body: bytes, code: int
) -> None:
    async with Emulator() as emulator, session.post(emulator.base_url + DELETIONS, data=body) as response:
        assert (response.status, (await response.json())["code"]) == (400, code)


async def test_an_upload_over_the_quota_of_requests_is_refused_as_documented(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(quota=Quota(requests=1)) as emulator:
        await upload(emulator, session, fields)
        message = (
            "Request was rejected due to rate limiting. If you want more, please contact "
            "contact@siliconflow.cn. Details:RPM limit reached."
        )
        assert await upload(emulator, session, fields) == (429, {"message": message, "data": None})
        assert [record.refused for record in emulator.requests] == [False, True]
        assert len(emulator.voices) == 1


async def test_a_limit_that_is_told_by_a_403_counts_as_refused_and_another_403_does_not(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(quota=Quota(requests=1, told_as=403), faults=[Fault.return_status(403)]) as emulator:
        answers = [await upload(emulator, session, fields) for _ in range(3)]
        assert [status for status, _ in answers] == [403, 200, 403]
        assert [record.refused for record in emulator.requests] == [False, False, True]


async def test_each_character_of_text_costs_a_token(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(quota=Quota(tokens=10)) as emulator:
        statuses = [
            (await upload(emulator, session, fields, text=text))[0] for text in ("慢工出细活", "123456")
        ]
        assert statuses == [200, 429]


async def test_each_model_has_a_quota_of_its_own(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(quota=Quota(requests=1)) as emulator:
        models = ["fnlp/MOSS-TTSD-v0.5", "IndexTeam/IndexTTS-2", "fnlp/MOSS-TTSD-v0.5"]
        statuses = [(await upload(emulator, session, fields, model=model))[0] for model in models]
        assert statuses == [200, 200, 429]


async def test_the_quota_comes_before_the_other_mistakes(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator(quota=Quota(requests=1)) as emulator:
        statuses = [(await upload(emulator, session, fields, customName="?"))[0] for _ in range(2)]
        assert statuses == [400, 429]


async def test_the_quota_can_be_changed_while_it_runs(
    session: aiohttp.ClientSession, fields: dict[str, str]
) -> None:
    async with Emulator() as emulator:
        statuses = [(await upload(emulator, session, fields))[0]]
        for quota in (Quota(requests=1), Quota(requests=3), None):
            emulator.quota = quota
            assert emulator.quota is quota
            statuses.append((await upload(emulator, session, fields))[0])
        assert statuses == [200, 429, 200, 200]
