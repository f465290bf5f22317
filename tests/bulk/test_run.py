from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.bulk import item, items, once, outcomes_of, statuses_of, stored, taken
from support.hurried_time import hurried_time
from support.recordings import MP3, SPEECH, TEXT, WAV
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AmbiguousUploadError,
    AudioSource,
    AudioSourceError,
    BadRequestError,
    ConfigurationError,
    InvalidUploadError,
    Manifest,
    RetryPolicy,
    Throttle,
    UploadOutcome,
    VoiceClient,
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota


async def test_each_upload_has_an_outcome_with_its_index(client: VoiceClient, emulator: Emulator) -> None:
    uploads = list(items(40))
    outcomes = await outcomes_of(client, uploads)
    assert [(outcome.index, outcome.upload) for outcome in outcomes] == list(enumerate(uploads))
    assert {(outcome.status, outcome.error, outcome.size) for outcome in outcomes} == {
        ("uploaded", None, len(SPEECH))
    }
    assert {outcome.voice.uri for outcome in outcomes if outcome.voice} == {
        voice.uri for voice in emulator.voices
    }
    assert stored(emulator) == once(40)


async def test_no_uploads_have_no_outcomes(client: VoiceClient) -> None:
    assert await outcomes_of(client, []) == []


async def test_uploads_may_come_asynchronously(client: VoiceClient, emulator: Emulator) -> None:
    async def come() -> AsyncIterator[VoiceUpload]:
        for upload in items(5):
            await asyncio.sleep(0)
            yield upload

    assert [outcome.status async for outcome in upload_many(client, come())] == ["uploaded"] * 5
    assert stored(emulator) == once(5)


async def test_each_upload_is_made_as_it_says(client: VoiceClient, emulator: Emulator) -> None:
    uploads = [
        VoiceUpload(MP3, "path", "一", encoding="base64"),
        VoiceUpload(WAV.read_bytes(), "bytes", "二", model="fnlp/MOSS-TTSD-v0.5"),
    ]
    outcomes = await outcomes_of(client, uploads)
    assert {(voice.custom_name, voice.text, voice.model, voice.size) for voice in emulator.voices} == {
        ("path", "一", "FunAudioLLM/CosyVoice2-0.5B", MP3.stat().st_size),
        ("bytes", "二", "fnlp/MOSS-TTSD-v0.5", WAV.stat().st_size),
    }
    assert [outcome.voice.model for outcome in outcomes if outcome.voice] == [
        upload.model for upload in uploads
    ]


async def test_one_that_fails_stops_no_other(client: VoiceClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(400, code=20015))
    uploads = [item(0), item(1, custom_name="旁白"), item(2, audio="no/such.mp3"), item(3), item(4)]
    outcomes = await outcomes_of(client, uploads, concurrency=1)
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "failed", "uploaded", "uploaded"]
    assert [type(outcome.error) for outcome in outcomes[:3]] == [
        BadRequestError,
        InvalidUploadError,
        AudioSourceError,
    ]
    assert [outcome.voice for outcome in outcomes[:3]] == [None] * 3


async def test_what_was_not_looked_at_has_no_size(client: VoiceClient) -> None:
    (outcome,) = await outcomes_of(client, [item(custom_name="旁白")])
    assert outcome.size is None


@hurried_time
async def test_a_voice_whose_answer_was_lost_is_recovered(client: VoiceClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault.drop_answer())
    (outcome,) = await outcomes_of(client, items(1))
    assert outcome.voice is not None
    assert (outcome.status, outcome.voice.recovered, stored(emulator)) == ("recovered", True, once(1))


async def test_an_upload_that_may_be_stored_fails_as_such(client: VoiceClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault.drop_answer())
    emulator.add_fault(Fault.return_status(500, endpoint="list", times=None))
    (outcome,) = await outcomes_of(client, items(1))
    assert isinstance(outcome.error, AmbiguousUploadError)


@pytest.mark.parametrize("count", [1, 3, 16])
async def test_no_more_are_taken_than_are_worked_on(
    client: VoiceClient, emulator: Emulator, count: int
) -> None:
    taken = 0

    def take() -> Iterator[VoiceUpload]:
        nonlocal taken
        for taken, upload in enumerate(items(400), 1):  # noqa: B007 - for whoever looks
            yield upload

    async with aclosing(upload_many(client, take(), concurrency=count)) as outcomes:
        await anext(outcomes)
        # Whoever took one outcome has made room for one more.
        for _ in range(50):
            await asyncio.sleep(0)
        assert taken <= count + 1


async def test_no_more_tasks_are_begun_than_there_is_work_for(client: VoiceClient) -> None:
    async with aclosing(upload_many(client, items(3), concurrency=10_000)) as outcomes:
        await anext(outcomes)
        assert len(asyncio.all_tasks()) < 20


@virtual_time
async def test_the_throttle_decides_what_is_sent() -> None:
    async with Emulator(latency=1) as emulator:
        throttle = Throttle(max_concurrency=5)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            assert await statuses_of(client, items(60), concurrency=60) == ["uploaded"] * 60
        assert emulator.peak_in_flight <= 5


@virtual_time
async def test_a_deadline_begins_with_an_uploads_turn() -> None:
    quota = Quota(requests=2, window=10)
    async with Emulator(quota=quota) as emulator:
        client = VoiceClient(
            "sk-test",
            base_url=emulator.base_url,
            throttle=Throttle(window=10),
            retry=RetryPolicy(deadline=100),
        )
        async with client:
            # The last has its turn after three minutes at least.
            assert await statuses_of(client, items(40), concurrency=40) == ["uploaded"] * 40
        assert stored(emulator) == once(40)


@virtual_time
async def test_a_deadline_bounds_an_upload_once_it_has_begun() -> None:
    async with Emulator(faults=[Fault.return_status(503, times=None)]) as emulator:
        retry = RetryPolicy(deadline=30)
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            began = asyncio.get_running_loop().time()
            assert await statuses_of(client, items(1)) == ["failed"]
            assert asyncio.get_running_loop().time() - began <= 30


async def test_whoever_takes_the_outcomes_may_change_tasks(client: VoiceClient) -> None:
    outcomes = upload_many(client, items(3))
    taken = [await asyncio.create_task(anext(outcomes)) for _ in range(3)]
    await asyncio.create_task(outcomes.aclose())
    assert {outcome.status for outcome in taken} == {"uploaded"}


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "3", None])
async def test_a_concurrency_of_no_use_is_refused_at_once(client: VoiceClient, concurrency: Any) -> None:
    with pytest.raises(ConfigurationError, match="concurrency must be a whole number, at least 1, got"):
        upload_many(client, [], concurrency=concurrency)


@pytest.mark.parametrize("settle", [-1, "3", None, True, float("nan")])
async def test_seconds_of_no_use_are_refused_at_once(client: VoiceClient, settle: Any) -> None:
    with pytest.raises(ConfigurationError, match="settle must be seconds, at least 0, got"):
        upload_many(client, [], settle=settle)


async def test_what_is_no_iterable_is_refused_at_once(client: VoiceClient) -> None:
    with pytest.raises(ConfigurationError, match="uploads must be an iterable of VoiceUpload, not int"):
        upload_many(client, 3)  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("strange", [None, ("a.mp3", "a", "b"), {"audio": "a.mp3"}])
async def test_what_is_no_upload_ends_the_run(client: VoiceClient, emulator: Emulator, strange: Any) -> None:
    uploads: list[Any] = [item(0), item(1), strange, item(3)]
    outcomes = upload_many(client, uploads, concurrency=1)
    assert [(await anext(outcomes)).index, (await anext(outcomes)).index] == [0, 1]
    with pytest.raises(
        ConfigurationError, match=rf"VoiceUpload items only; item 2 is a {type(strange).__name__}"
    ):
        await anext(outcomes)
    assert stored(emulator) == once(2)


async def test_an_error_of_the_iterable_is_raised_when_the_others_have_ended(
    client: VoiceClient, emulator: Emulator
) -> None:
    def broken() -> Iterator[VoiceUpload]:
        yield from items(2)
        raise OSError("the list is gone")

    got: list[UploadOutcome] = []
    with pytest.raises(OSError, match="the list is gone"):
        await taken(upload_many(client, broken(), concurrency=1), got)
    assert ([outcome.index for outcome in got], stored(emulator)) == ([0, 1], once(2))


async def test_a_client_that_is_closed_can_upload_nothing(emulator: Emulator) -> None:
    client = VoiceClient("sk-test", base_url=emulator.base_url)
    await client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        await anext(upload_many(client, items(1)))


async def test_a_client_that_is_closed_in_between_ends_the_run(client: VoiceClient) -> None:
    outcomes = upload_many(client, items(100), concurrency=1)
    await anext(outcomes)
    await client.close()
    with pytest.raises(ConfigurationError):
        await taken(outcomes, [])


async def test_an_item_shows_what_its_audio_is_and_not_all_of_it() -> None:
    assert repr(item(audio=b"\x00" * 1000)).startswith("VoiceUpload(audio=<bytes>, custom_name='narrator-0'")
    assert repr(item(audio=Path("a.mp3"))).startswith("VoiceUpload(audio='a.mp3'")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux does")
async def test_a_manifest_is_closed_when_a_run_ends_early(client: VoiceClient, tmp_path: Path) -> None:
    rows = "".join(f"{MP3},narrator-{number},{TEXT}\n" for number in range(5_000))
    (tmp_path / "voices.csv").write_text(f"audio,custom_name,text\n{rows}", encoding="utf-8")

    def opened() -> bool:
        return any("voices.csv" in os.path.realpath(file) for file in Path("/proc/self/fd").iterdir())

    manifest = Manifest(tmp_path / "voices.csv", allow_outside=True)
    async with aclosing(upload_many(client, manifest)) as outcomes:
        await anext(outcomes)
        assert opened()
    assert not opened()


async def test_an_iterator_of_the_callers_own_is_left_to_them(client: VoiceClient) -> None:
    async def come() -> AsyncIterator[VoiceUpload]:
        for upload in items(50):
            yield upload

    for left in (come(), items(50)):
        async with aclosing(upload_many(client, left, concurrency=1)) as outcomes:
            await anext(outcomes)
        rest = [upload async for upload in left] if isinstance(left, AsyncIterator) else list(left)
        assert len(rest) > 40


async def test_an_iterator_of_the_runs_own_is_closed(client: VoiceClient) -> None:
    closed = []

    class Uploads:
        def __iter__(self) -> Iterator[VoiceUpload]:
            try:
                yield from items(50)
            finally:
                closed.append(True)

    async with aclosing(upload_many(client, Uploads(), concurrency=1)) as outcomes:
        await anext(outcomes)
    assert closed == [True]


def test_a_source_shows_itself() -> None:
    source = AudioSource.of(b"RIFF", filename="a.wav")
    assert repr(item(audio=source)).startswith("VoiceUpload(audio=BytesSource('a.wav')")
