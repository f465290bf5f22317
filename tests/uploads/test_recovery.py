from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from support.bulk import until
from support.hurried_time import hurried_time
from support.recordings import SPEECH, TEXT, WAV
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AmbiguousUploadError,
    APIConnectionError,
    Failure,
    InvalidResponseError,
    RetryPolicy,
    SourceConsumedError,
    Throttle,
    Voice,
    VoiceClient,
)
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.uploads.recovery import OnAmbiguous


async def upload(
    emulator: Emulator, *, on_ambiguous: OnAmbiguous = "reconcile", audio: object = SPEECH
) -> Voice:
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        return await client.upload_voice(
            audio,  # type: ignore[arg-type] # on purpose
            custom_name="narrator",
            text=TEXT,
            on_ambiguous=on_ambiguous,
        )


@pytest.mark.parametrize(
    "fault", [Fault.drop_answer(), Fault.truncate_answer(), Fault.trickle_answer(60)], ids=str
)
def test_a_voice_whose_answer_was_lost_is_found(fault: Fault) -> None:
    @virtual_time
    async def run() -> None:
        async with Emulator(faults=[fault]) as emulator:
            voice = await upload(emulator)
            [stored] = emulator.voices
        assert (voice.uri, voice.recovered, len(voice.attempts)) == (stored.uri, True, 1)
        assert voice.attempts[0].failure is Failure.UNKNOWN

    run()


@virtual_time
async def test_what_was_not_stored_is_sent_again() -> None:
    async with Emulator(faults=[Fault.return_status(500, times=2)]) as emulator:
        voice = await upload(emulator)
        assert len(emulator.voices) == 1
    assert (voice.recovered, [attempt.status for attempt in voice.attempts]) == (False, [500, 500, 200])


@virtual_time
async def test_an_older_voice_of_the_same_name_is_not_taken_for_the_new_one() -> None:
    async with Emulator() as emulator:
        await upload(emulator)
        emulator.add_fault(Fault.return_status(500))
        voice = await upload(emulator)
        assert [stored.uri for stored in emulator.voices][1] == voice.uri
    assert not voice.recovered


@virtual_time
async def test_with_two_that_could_be_it_neither_is_taken() -> None:
    async with Emulator(faults=[Fault.drop_answer()], latency=5) as emulator:
        async with asyncio.TaskGroup() as group:
            lost = group.create_task(failure_of(emulator))
            await asyncio.sleep(6)
            group.create_task(upload(emulator))  # another client's, in the same moment
        error = lost.result()
        assert {voice.uri for voice in error.candidates} == {voice.uri for voice in emulator.voices}
    assert (len(error.candidates), error.failure) == (2, Failure.UNKNOWN)


async def failure_of(emulator: Emulator) -> AmbiguousUploadError:
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        with pytest.raises(AmbiguousUploadError) as caught:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
    return caught.value


@virtual_time
async def test_one_voice_is_not_found_twice() -> None:
    async with Emulator(faults=[Fault.drop_answer(times=2)]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            first, second = [
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT) for _ in range(2)
            ]
        assert [first.uri, second.uri] == [voice.uri for voice in emulator.voices]


@virtual_time
async def test_an_account_that_can_not_be_listed_before_still_takes_uploads() -> None:
    listing = Fault.return_status(404, endpoint="list")
    async with Emulator(faults=[listing]) as emulator:
        assert (await upload(emulator)).uri == emulator.voices[0].uri


@virtual_time
async def test_but_then_an_unknown_outcome_is_raised() -> None:
    faults = [Fault.return_status(404, endpoint="list"), Fault.drop_answer()]
    async with Emulator(faults=faults) as emulator:
        with pytest.raises(
            AmbiguousUploadError, match="listing the account before the upload had failed"
        ) as caught:
            await upload(emulator)
    assert isinstance(caught.value.__cause__, APIConnectionError)


@virtual_time
async def test_a_listing_that_failed_is_tried_again_after_a_while() -> None:
    listing = Fault.return_status(404, endpoint="list", times=2)
    async with Emulator(faults=[listing]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            for _ in range(3):  # the second does not ask again so soon
                await client.upload_voice(SPEECH, custom_name="early", text=TEXT)
            await asyncio.sleep(61)
            await client.upload_voice(SPEECH, custom_name="later", text=TEXT)
            await asyncio.sleep(61)
            emulator.add_fault(Fault.drop_answer())
            assert (await client.upload_voice(SPEECH, custom_name="last", text=TEXT)).recovered
        assert [request.endpoint for request in emulator.requests].count("list") == 4


@virtual_time
async def test_the_deadline_bounds_the_search_too() -> None:
    faults = [Fault.drop_answer(), Fault.delay(3600, endpoint="list", times=None)]
    async with Emulator() as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, retry=RetryPolicy(deadline=40)
        ) as client:
            await client._uploader.known.prepare(partial(client._uploader.list_voices, None), until=None)
            for fault in faults:
                emulator.add_fault(fault)
            with pytest.raises(AmbiguousUploadError, match="listing the account to find its voice failed"):
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
            assert asyncio.get_running_loop().time() == pytest.approx(40, abs=0.1)


@virtual_time
async def test_a_slow_answer_leaves_time_to_look_for_the_voice() -> None:
    async with Emulator(faults=[Fault.delay(3600)]) as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, retry=RetryPolicy(deadline=20)
        ) as client:
            voice = await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
        assert voice.recovered
        assert asyncio.get_running_loop().time() == pytest.approx(16, abs=0.1)


@virtual_time
async def test_a_list_that_hangs_leaves_time_for_the_upload() -> None:
    async with Emulator(faults=[Fault.delay(3600, endpoint="list")]) as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, retry=RetryPolicy(deadline=20)
        ) as client:
            async with asyncio.TaskGroup() as group:
                for name in "ab":
                    group.create_task(client.upload_voice(SPEECH, custom_name=name, text=TEXT))
            assert len(emulator.voices) == 2
            assert asyncio.get_running_loop().time() == pytest.approx(5, abs=0.1)


@virtual_time
async def test_an_account_that_can_not_be_listed_afterwards_is_an_unknown_outcome() -> None:
    async with Emulator(faults=[Fault.drop_answer()]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.upload_voice(SPEECH, custom_name="other", text=TEXT, on_ambiguous="retry")
            await client._uploader.known.prepare(partial(client._uploader.list_voices, None), until=None)
            emulator.add_fault(Fault.drop_answer())
            emulator.add_fault(Fault.return_status(404, endpoint="list"))
            with pytest.raises(
                AmbiguousUploadError, match="listing the account to find its voice failed"
            ) as caught:
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
    assert len(caught.value.attempts) == 1


@virtual_time
async def test_a_voice_of_an_upload_under_way_is_not_taken_for_anothers() -> None:
    async with Emulator(faults=[Fault.return_status(500)]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.upload_voice(SPEECH, custom_name="other", text=TEXT)
            emulator.add_fault(Fault.return_status(500))
            emulator.add_fault(Fault.delay(50))
            lost, slow = [
                asyncio.create_task(client.upload_voice(SPEECH, custom_name="narrator", text=TEXT))
                for _ in range(2)
            ]
            with pytest.raises(AmbiguousUploadError, match="uploads of them with an unknown outcome: 2"):
                await lost
            assert (await slow).uri == emulator.voices[-1].uri


@virtual_time
async def test_many_who_search_share_the_listings() -> None:
    async with Emulator(latency=0.1) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.upload_voice(SPEECH, custom_name="first", text=TEXT)
            emulator.add_fault(Fault.drop_answer(times=16))
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(client.upload_voice(SPEECH, custom_name=f"v{number}", text=TEXT))
                    for number in range(16)
                ]
        assert all(task.result().recovered for task in tasks)
        assert [request.endpoint for request in emulator.requests].count("list") < 8


@virtual_time
async def test_the_account_is_listed_once_however_many_begin_together() -> None:
    async with Emulator(latency=1) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client, asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(client.upload_voice(SPEECH, custom_name=f"v{number}", text=TEXT))
        assert [request.endpoint for request in emulator.requests].count("list") == 1


@virtual_time
async def test_the_first_listing_is_taken_over_if_its_caller_gives_up() -> None:
    async with Emulator(latency=10) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            first, second = [
                asyncio.create_task(client.upload_voice(SPEECH, custom_name=name, text=TEXT)) for name in "ab"
            ]
            await asyncio.sleep(5)
            first.cancel()
            assert (await second).custom_name == "b"


@virtual_time
async def test_raise_leaves_the_search_to_the_caller() -> None:
    async with Emulator(faults=[Fault.return_status(200, body="<html>")]) as emulator:
        with pytest.raises(AmbiguousUploadError, match="answer was lost: HTTP 200, but") as caught:
            await upload(emulator, on_ambiguous="raise")
        assert [request.endpoint for request in emulator.requests] == ["upload"]
    assert isinstance(caught.value.__cause__, InvalidResponseError)
    assert caught.value.failure is Failure.UNKNOWN


@virtual_time
async def test_retry_sends_again_and_may_make_it_twice() -> None:
    async with Emulator(faults=[Fault.drop_answer()]) as emulator:
        voice = await upload(emulator, on_ambiguous="retry")
        assert len(emulator.voices) == 2
    assert not voice.recovered


@virtual_time
async def test_a_stream_that_was_stored_is_found_too() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    async with Emulator(faults=[Fault.drop_answer()]) as emulator:
        assert (await upload(emulator, audio=stream())).recovered


@virtual_time
async def test_a_stream_that_was_not_stored_can_not_be_sent_again() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    async with Emulator(faults=[Fault.return_status(500)]) as emulator:
        with pytest.raises(SourceConsumedError):
            await upload(emulator, audio=stream())


@virtual_time
async def test_without_retries_an_outcome_is_still_looked_up() -> None:
    async with Emulator(faults=[Fault.drop_answer()]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=RetryPolicy.none()) as client:
            assert (await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)).recovered


@virtual_time
async def test_a_voice_that_is_there_is_not_uploaded_again() -> None:
    async with Emulator() as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            first = await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
            assert await client.ensure_voice(SPEECH, custom_name="narrator", text=TEXT) == first
        assert len(emulator.voices) == 1


@virtual_time
async def test_a_voice_that_is_not_there_is_uploaded_once_however_many_ask() -> None:
    async with Emulator(latency=1) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(client.ensure_voice(SPEECH, custom_name="narrator", text=TEXT))
                for _ in range(5)
            ]
        assert {task.result().uri for task in tasks} == {voice.uri for voice in emulator.voices}
        assert (len(emulator.voices), dict(client._uploader.account.ensuring)) == (1, {})


@pytest.mark.parametrize(
    "change", [{"custom_name": "other"}, {"text": "another"}, {"model": "fnlp/MOSS-TTSD-v0.5"}]
)
async def test_another_name_text_or_model_is_another_voice(
    emulator: Emulator, change: dict[str, str]
) -> None:
    wanted = {"custom_name": "narrator", "text": TEXT, "model": "FunAudioLLM/CosyVoice2-0.5B"}
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        for fields in (wanted, {**wanted, **change}):
            await client.ensure_voice(SPEECH, **fields)  # type: ignore[arg-type] # on purpose
    assert len(emulator.voices) == 2


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
@hurried_time
async def test_a_voice_that_may_be_an_earlier_uploads_is_not_taken_for_a_later_ones(
    client: VoiceClient, emulator: Emulator, ended: str
) -> None:
    await client.upload_voice(SPEECH, custom_name="another", text=TEXT)
    if ended == "failed":
        emulator.add_fault(Fault.drop_answer())
        emulator.add_fault(Fault.return_status(400, endpoint="list"))
        with pytest.raises(AmbiguousUploadError):
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
    else:
        emulator.add_fault(Fault.delay(3600))
        task = asyncio.create_task(client.upload_voice(SPEECH, custom_name="narrator", text=TEXT))
        await until(lambda: len(emulator.voices) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    emulator.clear_faults()
    emulator.add_fault(Fault.return_status(500))
    with pytest.raises(AmbiguousUploadError, match="uploads of them with an unknown outcome: 2") as caught:
        await client.upload_voice(WAV, custom_name="narrator", text=TEXT)
    assert [voice.uri for voice in caught.value.candidates] == [emulator.voices[1].uri]


async def test_what_was_cancelled_before_it_was_sent_is_nobodys_rival(emulator: Emulator) -> None:
    throttle = Throttle(requests_per_minute=1)
    async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
        await client.upload_voice(SPEECH, custom_name="another", text=TEXT)
        task = asyncio.create_task(client.upload_voice(SPEECH, custom_name="narrator", text=TEXT))
        await until(lambda: bool(throttle.snapshot()[-1].waiting))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client._uploader.known._lost == {}
