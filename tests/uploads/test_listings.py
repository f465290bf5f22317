"""When the account is listed, before the first upload and after a lost answer, and how long that may take."""

from __future__ import annotations

import asyncio

import pytest
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AmbiguousUploadError,
    APITimeoutError,
    RetryPolicy,
    Timeouts,
    Voice,
    VoiceClient,
)
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


class SlowList:
    """A list that takes some seconds, or fails at the time by which it is to be there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began: list[float] = []
        self.until: list[float | None] = []
        self.cancelled = 0

    async def __call__(self, until: float | None, _keep: object) -> list[Voice]:
        self.began.append(now())
        self.until.append(until)
        try:
            async with asyncio.timeout_at(until):
                await asyncio.sleep(self.seconds)
        except TimeoutError:
            raise APITimeoutError("too late") from None
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return []

    async def searched(
        self, known: KnownVoices, *, at: float, until: float | None
    ) -> Voice | AmbiguousUploadError | None:
        await asyncio.sleep(at)
        return await known.find(Voice("", "model", "narrator", TEXT), self, until=until)


@virtual_time
async def test_a_search_shares_no_listing_that_began_before_it() -> None:
    known, voices = KnownVoices(complete=True), SlowList(1)
    async with asyncio.TaskGroup() as group:
        for seconds in (0, 0.5, 0.7):
            group.create_task(voices.searched(known, at=seconds, until=None))
    assert voices.began == [0, 1]
    await voices.searched(known, at=0, until=None)
    assert voices.began == [0, 1, 2]


@virtual_time
async def test_a_burst_near_the_deadline_shares_a_listing_that_begins_in_time_for_all() -> None:
    known, voices = KnownVoices(complete=True), SlowList(2.5)
    searches = [voices.searched(known, at=number / 1000, until=4 + number / 1000) for number in range(40)]
    assert await asyncio.gather(*searches) == [None] * 40
    assert voices.began == pytest.approx([0, 1], abs=0.01)
    assert voices.until == pytest.approx([4, 4.039])


@virtual_time
async def test_a_search_that_has_less_time_than_the_others_fails_alone() -> None:
    known, voices = KnownVoices(complete=True), SlowList(3)
    hurried, patient = await asyncio.gather(
        voices.searched(known, at=0, until=2), voices.searched(known, at=0, until=None)
    )
    assert isinstance(hurried, AmbiguousUploadError)
    assert "failed: The deadline passed while the account was listed" in str(hurried)
    assert (patient, voices.began, voices.until) == (None, [0], [None])


@virtual_time
async def test_a_listing_goes_on_when_the_search_that_began_it_is_cancelled() -> None:
    known, voices = KnownVoices(complete=True), SlowList(3)
    first, second = (
        asyncio.create_task(voices.searched(known, at=0, until=None)),
        asyncio.create_task(voices.searched(known, at=0, until=None)),
    )
    await asyncio.sleep(1)
    first.cancel()
    assert await second is None
    assert (now(), voices.cancelled) == (3, 0)


@virtual_time
async def test_a_listing_that_no_search_waits_for_is_cancelled() -> None:
    known, voices = KnownVoices(complete=True), SlowList(3)
    search = asyncio.create_task(voices.searched(known, at=0, until=None))
    await asyncio.sleep(1)
    search.cancel()
    await asyncio.gather(search, return_exceptions=True)
    await asyncio.sleep(0)
    assert voices.cancelled == 1
    assert await voices.searched(known, at=0, until=None) is None


@virtual_time
async def test_an_attempt_that_has_no_time_is_not_begun() -> None:
    async with Emulator() as emulator:
        retry = RetryPolicy(deadline=0.005)
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            with pytest.raises(
                APITimeoutError, match="deadline passed before anything could be sent"
            ) as caught:
                await client.list_voices()
        assert (caught.value.attempts, emulator.requests) == ((), [])
