from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from support.gates import now, turns_of_the_loop
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AmbiguousUploadError,
    ClientClosedError,
    Drained,
    Failure,
    RetryPolicy,
    ServerError,
    Throttle,
    Voice,
    VoiceClient,
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota


def client_of(emulator: Emulator, **options: RetryPolicy | Throttle) -> VoiceClient:
    return VoiceClient("sk-test", base_url=emulator.base_url, **options)  # type: ignore[arg-type] # by name


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - of the emulator's, which sets no events
        await asyncio.sleep(0.01)


def uploads(client: VoiceClient, count: int) -> list[asyncio.Task[Voice]]:
    return [
        asyncio.create_task(client.upload_voice(SPEECH, custom_name=f"v{number}", text=TEXT))
        for number in range(count)
    ]


@virtual_time
async def test_what_is_under_way_ends_and_what_waits_is_let_go() -> None:
    async with (
        Emulator(latency=2.0) as emulator,
        client_of(emulator, throttle=Throttle(max_concurrency=3)) as client,
    ):
        await client.list_voices()
        tasks = uploads(client, 10)
        await until(lambda: len(emulator.requests) == 5)  # two listings, three uploads
        began = now()
        assert await client.drain() == Drained(finished=3, released=7, unfinished=0)
        assert now() - began <= 2.5
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(voice.uri for voice in results if isinstance(voice, Voice)) == sorted(
            voice.uri for voice in emulator.voices
        )
        errors = [error for error in results if isinstance(error, ClientClosedError)]
        assert [(error.failure, error.attempts) for error in errors] == [(Failure.NOT_SENT, ())] * 7


@virtual_time
async def test_a_call_that_waits_for_another_attempt_is_let_go_with_its_history() -> None:
    faults = [Fault.return_status(500, endpoint="upload")]
    retry = RetryPolicy(wait_initial=1e6, wait_max=1e6, deadline=None)
    async with Emulator(faults=faults) as emulator, client_of(emulator, retry=retry) as client:
        (task,) = uploads(client, 1)
        await until(lambda: [request for request in emulator.requests if request.endpoint == "upload"])
        await asyncio.sleep(5)
        assert await client.drain() == Drained(finished=0, released=1, unfinished=0)
        with pytest.raises(ClientClosedError, match="before it was sent; nothing is stored") as caught:
            await task
        assert isinstance(caught.value.__cause__, ServerError)
        assert len(caught.value.attempts) == 1


@virtual_time
async def test_an_upload_whose_answer_was_lost_is_looked_up_first() -> None:
    faults = [Fault.drop_answer(endpoint="upload")]
    async with Emulator(faults=faults) as emulator, client_of(emulator) as client:
        (task,) = uploads(client, 1)
        await until(lambda: emulator.voices)
        assert await client.drain() == Drained(finished=1, released=0, unfinished=0)
        assert (await task).recovered


@virtual_time
async def test_an_upload_that_may_be_stored_says_so_though_it_would_be_sent_again() -> None:
    faults = [Fault.drop_answer(endpoint="upload")]
    retry = RetryPolicy(wait_initial=1e6, wait_max=1e6, deadline=None)
    async with Emulator(faults=faults) as emulator, client_of(emulator, retry=retry) as client:
        upload = client.upload_voice(SPEECH, custom_name="v", text=TEXT, on_ambiguous="retry")
        task = asyncio.create_task(upload)
        await until(lambda: emulator.voices)
        await asyncio.sleep(5)
        assert await client.drain() == Drained(finished=1, released=0, unfinished=0)
        error = await asyncio.gather(task, return_exceptions=True)
        assert [getattr(one, "failure", None) for one in error] == [Failure.UNKNOWN]


@virtual_time
async def test_what_takes_longer_than_it_waits_is_unfinished() -> None:
    async with Emulator(latency=30.0) as emulator, client_of(emulator) as client:
        tasks = [asyncio.create_task(client.list_voices()) for _ in range(2)]
        await asyncio.sleep(1)
        assert await client.drain(5) == Drained(finished=0, released=0, unfinished=2)
        assert await client.drain(60) == Drained(finished=2, released=0, unfinished=0)
        await asyncio.gather(*tasks)


@virtual_time
async def test_a_drained_client_and_its_siblings_accept_no_further_call() -> None:
    async with Emulator() as emulator, client_of(emulator) as client:
        sibling = client.with_options(retry=RetryPolicy.none())
        assert await client.drain(0) == Drained(finished=0, released=0, unfinished=0)
        for one in (client, sibling):
            with pytest.raises(ClientClosedError, match="accepts no further calls: create a new one"):
                await one.list_voices()
        assert emulator.requests == []


@virtual_time
async def test_a_call_whose_upload_has_not_begun_is_let_go_after_its_listing() -> None:
    async with Emulator(latency=3.0) as emulator, client_of(emulator) as client:
        tasks = [
            *uploads(client, 1),
            asyncio.create_task(client.ensure_voice(SPEECH, custom_name="narrator", text=TEXT)),
        ]
        await asyncio.sleep(1)
        assert await client.drain() == Drained(finished=0, released=2, unfinished=0)
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in errors] == [ClientClosedError] * 2
        assert emulator.voices == []


@virtual_time
async def test_a_bulk_run_ends_and_loses_no_voice() -> None:
    async with (
        Emulator(latency=1.0, quota=Quota(requests=30)) as emulator,
        client_of(emulator, throttle=Throttle(max_concurrency=4)) as client,
    ):
        made: list[str] = []

        async def run() -> None:
            items = (VoiceUpload(SPEECH, f"v{number}", TEXT) for number in range(200))
            async with aclosing(upload_many(client, items)) as outcomes:
                async for outcome in outcomes:
                    made.extend(voice.uri for voice in [outcome.voice] if voice)

        task = asyncio.create_task(run())
        await until(lambda: len(emulator.voices) >= 6)
        drained = await client.drain()
        with pytest.raises(ClientClosedError):
            await task
        assert drained.unfinished == 0
        assert sorted(made) == sorted(voice.uri for voice in emulator.voices)


@virtual_time
async def test_a_drain_that_is_cancelled_keeps_the_client_drained() -> None:
    async with Emulator(latency=30.0) as emulator, client_of(emulator) as client:
        listing = asyncio.create_task(client.list_voices())
        await asyncio.sleep(1)
        drain = asyncio.create_task(client.drain())
        await turns_of_the_loop()
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)
        with pytest.raises(ClientClosedError):
            await client.list_voices()
        assert await listing == []


async def test_a_closed_client_has_nothing_to_drain(client: VoiceClient) -> None:
    await client.aclose()
    with pytest.raises(ClientClosedError, match="The client is closed"):
        await client.drain()


@virtual_time
async def test_a_lost_answer_that_cannot_be_looked_up_is_ambiguous_as_ever() -> None:
    async with Emulator(faults=[Fault.drop_answer()]) as emulator, client_of(emulator) as client:
        (task,) = uploads(client, 1)
        await until(lambda: emulator.voices)
        emulator.add_fault(Fault.return_status(400, endpoint="list"))
        assert await client.drain() == Drained(finished=1, released=0, unfinished=0)
        with pytest.raises(AmbiguousUploadError):
            await task
