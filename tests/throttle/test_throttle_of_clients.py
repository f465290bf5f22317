from __future__ import annotations

import asyncio

import pytest
from support.gates import now
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import Failure, InvalidUploadError, RateLimitError, RetryPolicy, Throttle, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault, Quota


@virtual_time
async def test_clients_of_one_throttle_share_what_one_of_them_learns() -> None:
    throttle = Throttle()
    async with Emulator(quota=Quota(requests=5)) as emulator:
        async with (
            VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as one,
            VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as other,
        ):
            for number in range(5):
                await one.upload_voice(SPEECH, custom_name=f"v{number}", text=TEXT)
            hurried = one.with_options(retry=RetryPolicy(attempts=1))
            with pytest.raises(RateLimitError):
                await hurried.upload_voice(SPEECH, custom_name="refused", text=TEXT)
            refused = len(emulator.requests)
            waiting = asyncio.create_task(other.upload_voice(SPEECH, custom_name="other", text=TEXT))
            await asyncio.sleep(0.4)
            uploads = [request for request in emulator.requests[refused:] if request.endpoint == "upload"]
            assert uploads == []
            await waiting


@virtual_time
async def test_a_refusal_in_the_answers_words_closes_the_right_gate() -> None:
    throttle = Throttle()
    faults = [Fault.return_status(429, message="TPM limit reached", headers={"Retry-After": "0"})]
    async with Emulator(faults=faults) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous="raise")
    told = throttle.snapshot()[0]
    assert told.requests_per_window is None
    assert (told.requests_basis, told.tokens_basis) == (None, "believed")


async def upload_too_long(emulator: Emulator, **options: str) -> InvalidUploadError:
    throttle = Throttle(tokens_per_minute=len(TEXT) - 1)
    async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
        with pytest.raises(InvalidUploadError, match="text: has an estimated 12 tokens") as caught:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, **options)  # type: ignore[arg-type] # on purpose
    return caught.value


async def test_an_upload_that_alone_exceeds_the_declared_tokens_is_refused_before_it_is_sent(
    emulator: Emulator,
) -> None:
    error = await upload_too_long(emulator, on_ambiguous="raise")
    assert (error.field, error.attempts, error.failure) == ("text", (), Failure.FINAL)
    assert emulator.requests == []


async def test_such_an_upload_is_no_reason_to_send_another(emulator: Emulator) -> None:
    await upload_too_long(emulator)
    assert [request.endpoint for request in emulator.requests if request.endpoint == "upload"] == []


@virtual_time
async def test_declared_tokens_are_waited_for() -> None:
    throttle = Throttle(tokens_per_minute=2 * len(TEXT))
    async with Emulator(quota=Quota(tokens=2 * len(TEXT), kind="sliding")) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            async with asyncio.TaskGroup() as group:
                for name in ("first", "second", "third"):
                    group.create_task(client.upload_voice(SPEECH, custom_name=name, text=TEXT))
        assert now() == pytest.approx(60, abs=0.51)
    assert [request.status for request in emulator.requests if request.endpoint == "upload"] == [200] * 3
