"""Limits as accounts without identity verification are told of them: with a 403, and a text."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing

import pytest
from support.made import hum, wav
from support.raw_server import Exchange, raw_server
from support.virtual_time import virtual_time

from siliconflow_voice import (
    InsufficientBalanceError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RetryPolicy,
    SiliconFlowError,
    VoiceClient,
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota

SPEECH = wav(hum(1))


def of(count: int) -> list[VoiceUpload]:
    return [VoiceUpload(SPEECH, f"v{number}", f"text {number}") for number in range(count)]


@virtual_time
async def test_a_limit_told_with_403_is_waited_out_and_no_upload_fails() -> None:
    quota = Quota(requests=10, told_as=403)
    async with (
        Emulator(quota=quota, latency=0.5) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url) as client,
        aclosing(upload_many(client, of(60))) as outcomes,
    ):
        statuses = Counter([outcome.status async for outcome in outcomes])
        answers = Counter(record.status for record in emulator.requests if record.endpoint == "upload")
    assert statuses == {"uploaded": 60}
    assert answers[200] == 60
    # A herd would be refused some fifty times a minute.
    assert 0 < answers[403] <= 60


@virtual_time
async def test_a_limit_that_does_not_pass_ends_the_run_after_few_requests() -> None:
    statuses: Counter[str] = Counter()
    async with (
        Emulator(quota=Quota(requests=10, window=1e9, told_as=403)) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, retry=RetryPolicy(deadline=2)) as client,
        aclosing(upload_many(client, of(60))) as outcomes,
    ):

        async def count() -> None:
            async for outcome in outcomes:
                statuses[outcome.status] += 1

        with pytest.raises(RateLimitError, match="RPM limit exceeded"):
            await count()
        sent = [record for record in emulator.requests if record.endpoint == "upload"]
    assert statuses["uploaded"] == 10
    # Those under way at the first refusal, and then one at a time.
    assert len(sent) <= 30


async def test_it_reads_as_the_limit_that_it_is() -> None:
    async with (
        Emulator(quota=Quota(requests=1, told_as=403)) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, retry=RetryPolicy(deadline=0.2)) as client,
    ):
        await client.upload_voice(SPEECH, custom_name="a", text="a")
        with pytest.raises(RateLimitError) as caught:
            await client.upload_voice(SPEECH, custom_name="b", text="b")
    assert (caught.value.status, caught.value.kind) == (403, "rpm")


@pytest.mark.parametrize(
    ("said", "class_"),
    [
        ("RPD limit exceeded. Please complete identity verification.", QuotaExhaustedError),
        ("Forbidden", PermissionDeniedError),
    ],
)
async def test_a_403_of_another_kind_is_final(said: str, class_: type[SiliconFlowError]) -> None:
    async with (
        Emulator(faults=[Fault.return_status(403, message=said)]) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url) as client,
    ):
        with pytest.raises(class_) as caught:
            await client.upload_voice(SPEECH, custom_name="a", text="a")
    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize(
    ("status", "body", "class_", "code"),
    [
        ("403 Forbidden", b'{"error":{"code":30001,"message":"no"}}', InsufficientBalanceError, 30001),
        ("429 X", b'{"error":{"code":50606,"message":"no","type":"x"}}', QuotaExhaustedError, 50606),
        ("200 OK", b'{"code":30001,"message":"no","data":null}', InsufficientBalanceError, 30001),
    ],
)
async def test_a_code_is_found_where_a_gateway_puts_it(
    status: str, body: bytes, class_: type[SiliconFlowError], code: int
) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(body, status)

    async with (
        raw_server(refuse) as server,
        VoiceClient("sk-test", base_url=server.base_url, retry=RetryPolicy.none()) as client,
    ):
        for call in (client.list_voices, lambda: client.upload_voice(SPEECH, custom_name="a", text="a")):
            with pytest.raises(class_) as caught:
                await call()
            assert getattr(caught.value, "code", None) == code


@pytest.mark.parametrize("body", [b'{"results":null}', b'{"result":null}'])
async def test_a_list_of_null_is_empty(body: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(body)

    async with raw_server(answer) as server, VoiceClient("sk-test", base_url=server.base_url) as client:
        assert await client.list_voices() == []
