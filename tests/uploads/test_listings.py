"""When the account is listed, before the first upload and after a lost answer, and how long that may take."""

from __future__ import annotations

import asyncio

import pytest
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import RetryPolicy, Timeouts, Voice, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.uploads.recovery import KnownVoices


def now() -> float:
    return asyncio.get_running_loop().time()


def listings(emulator: Emulator) -> int:
    return [request.endpoint for request in emulator.requests].count("list")


@pytest.mark.parametrize(("deadline", "seconds"), [(20, 5), (600, 30), (None, 30)])
def test_a_list_that_hangs_holds_up_the_first_upload_for_so_long(
    deadline: float | None, seconds: float
) -> None:
    @virtual_time
    async def run() -> None:
        async with Emulator(faults=[Fault.delay(3600, endpoint="list")]) as emulator:
            retry = RetryPolicy(deadline=deadline)
            async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
                assert now() == pytest.approx(seconds, abs=0.1)

    run()


@pytest.mark.parametrize(("deadline", "seconds"), [(20, 16), (600, 591)])
def test_so_much_of_the_deadline_is_kept_for_the_search(deadline: float, seconds: float) -> None:
    @virtual_time
    async def run() -> None:
        async with Emulator(faults=[Fault.delay(3600)]) as emulator:
            options = {"retry": RetryPolicy(deadline=deadline), "timeouts": Timeouts(attempt=None)}
            async with VoiceClient("sk-test", base_url=emulator.base_url, **options) as client:  # type: ignore[arg-type] # which mypy can't tell
                voice = await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
                assert voice.recovered
                assert now() == pytest.approx(seconds, abs=0.1)

    run()


@virtual_time
async def test_a_listing_that_failed_is_not_tried_again_at_once() -> None:
    async with Emulator(faults=[Fault.return_status(404, endpoint="list")]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            counts = list[int]()
            for name, seconds in (("a", 0), ("b", 59), ("c", 2)):
                await asyncio.sleep(seconds)
                await client.upload_voice(SPEECH, custom_name=name, text=TEXT)
                counts.append(listings(emulator))
            assert counts == [1, 1, 2]


@virtual_time
async def test_what_the_client_has_uploaded_is_not_taken_for_what_it_lost() -> None:
    async with Emulator() as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
            emulator.add_fault(Fault.drop_answer())
            voice = await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
        assert (voice.recovered, voice.uri) == (True, emulator.voices[1].uri)


@virtual_time
async def test_a_search_shares_no_listing_that_began_before_it() -> None:
    began: list[float] = []

    async def list_voices(_keep: object) -> list[Voice]:
        began.append(now())
        await asyncio.sleep(1)
        return []

    async def search(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await known.find(Voice("", "model", "narrator", TEXT), list_voices)

    known = KnownVoices(complete=True)
    async with asyncio.TaskGroup() as group:
        for seconds in (0, 0.5, 0.7):
            group.create_task(search(seconds))
    assert (began, known._latest) == ([0, 1], None)
