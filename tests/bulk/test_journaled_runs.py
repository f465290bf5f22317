from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.bulk import counts, item, items, left_open, once, outcomes_of, statuses_of, stored
from support.hurried_time import hurried_time
from support.recordings import MP3, SPEECH, WAV

from siliconflow_voice import (
    AmbiguousUploadError,
    AuthenticationError,
    InvalidUploadError,
    Journal,
    JournalError,
    RetryPolicy,
    ServerError,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault


async def test_what_was_uploaded_is_skipped_by_the_next_run(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    first = await outcomes_of(client, items(30), journal=place)
    second = await outcomes_of(client, items(30), journal=place)
    assert ([o.status for o in first], [o.status for o in second]) == (["uploaded"] * 30, ["skipped"] * 30)
    assert [o.voice for o in first] == [o.voice for o in second]
    assert (stored(emulator), await counts(place)) == (once(30), {"uploaded": 30})


async def test_the_next_run_sends_what_is_new(client: VoiceClient, emulator: Emulator, place: str) -> None:
    await outcomes_of(client, items(3), journal=place)
    assert await statuses_of(client, items(5), journal=place) == ["skipped"] * 3 + ["uploaded"] * 2
    assert stored(emulator) == once(5)


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": WAV.read_bytes()},
        {"custom_name": "another"},
        {"text": "别的话"},
        {"model": "fnlp/MOSS-TTSD-v0.5"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_an_upload_that_was_edited_is_another(
    client: VoiceClient, emulator: Emulator, place: str, changes: dict[str, Any]
) -> None:
    await outcomes_of(client, [item()], journal=place)
    assert await statuses_of(client, [item(**changes)], journal=place) == ["uploaded"]
    assert len(emulator.voices) == 2


async def test_a_recording_is_known_wherever_it_is(client: VoiceClient, place: str, tmp_path: Path) -> None:
    moved = tmp_path / "moved.mp3"
    moved.write_bytes(SPEECH)
    await outcomes_of(client, [item(audio=MP3)], journal=place)
    with moved.open("rb") as file:
        uploads = [item(audio=audio) for audio in (moved, SPEECH, file)]
        assert await statuses_of(client, uploads, journal=place) == ["skipped"] * 3


async def test_an_encoding_makes_no_other_upload(client: VoiceClient, place: str) -> None:
    await outcomes_of(client, [item()], journal=place)
    assert await statuses_of(client, [item(encoding="base64")], journal=place) == ["skipped"]


async def test_the_same_upload_twice_in_one_run_is_made_once(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    statuses = await statuses_of(client, [item()] * 10, journal=place)
    assert (sorted(statuses), stored(emulator)) == (["skipped"] * 9 + ["uploaded"], once(1))


async def test_one_that_failed_is_tried_again_by_its_double_and_by_the_next_run(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    emulator.add_fault(Fault.return_status(400, times=3))
    assert await statuses_of(client, [item()] * 2, journal=place) == ["failed"] * 2
    assert await counts(place) == {"failed": 1}
    assert await statuses_of(client, [item()] * 2, journal=place) == ["failed", "uploaded"]
    assert (stored(emulator), await counts(place)) == (once(1), {"uploaded": 1})


async def test_a_stream_is_refused_for_a_journal(client: VoiceClient, emulator: Emulator, place: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    (outcome,) = await outcomes_of(client, [item(audio=stream())], journal=place)
    assert isinstance(outcome.error, InvalidUploadError)
    assert (outcome.error.field, emulator.voices) == ("audio", [])


@hurried_time
async def test_one_whose_answer_was_lost_is_recovered_and_recorded(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    emulator.add_fault(Fault.drop_answer())
    first = await outcomes_of(client, items(1), journal=place)
    second = await outcomes_of(client, items(1), journal=place)
    assert ([o.status for o in first], [o.status for o in second]) == (["recovered"], ["skipped"])
    assert (second[0].voice and second[0].voice.recovered, await counts(place)) == (True, {"recovered": 1})


async def test_what_was_stored_when_a_run_was_ended_is_found_by_the_next(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    await left_open(client, emulator, place, *items(3))
    assert await counts(place) == {"unknown": 3}
    assert (
        await statuses_of(client, items(5), journal=place, settle=0) == ["recovered"] * 3 + ["uploaded"] * 2
    )
    assert (stored(emulator), await counts(place)) == (once(5), {"recovered": 3, "uploaded": 2})
    assert await statuses_of(client, items(5), journal=place, settle=0) == ["skipped"] * 5


async def test_what_was_recovered_is_news_only_once(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    await left_open(client, emulator, place, item())
    statuses = await statuses_of(client, [item()] * 3, journal=place, settle=0)
    assert sorted(statuses) == ["recovered", "skipped", "skipped"]


@pytest.mark.parametrize("journaled", [False, True], ids=["of a single upload", "of another row"])
async def test_voices_that_were_there_before_are_not_taken_for_what_was_left_open(
    client: VoiceClient, emulator: Emulator, place: str, *, journaled: bool
) -> None:
    if journaled:
        await outcomes_of(client, [item(audio=WAV)], journal=place)
    else:
        await client.upload_voice(WAV, custom_name="narrator-0", text=item().text)
    await left_open(client, emulator, place, item())
    (outcome,) = await outcomes_of(client, [item()], journal=place, settle=0)
    assert outcome.voice is not None
    assert (outcome.status, outcome.voice.uri) == ("recovered", emulator.voices[1].uri)


async def test_two_that_are_alike_can_be_told_apart_by_hand(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    twins = [item(), item(audio=WAV)]
    await left_open(client, emulator, place, *twins)
    async with Journal(place) as journal:
        for voice in emulator.voices:
            uri = voice.uri if voice.size == len(SPEECH) else None
            assert await journal.decide(sha256=voice.sha256, custom_name="narrator-0", uri=uri)
        assert not await journal.decide(sha256=emulator.voices[0].sha256, custom_name="narrator-0", uri=None)
        with pytest.raises(InvalidUploadError, match="begin with speech:"):
            await journal.decide(sha256="00", custom_name="narrator-0", uri="narrator-0")
        assert await journal.counts() == {"recovered": 1, "pending": 1}
    statuses = await statuses_of(client, twins, journal=place, settle=0)
    assert statuses == ["skipped", "uploaded"]


@hurried_time
async def test_one_that_may_be_stored_is_looked_for_by_the_next_run(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    async with Journal(place) as journal:
        outcomes = upload_many(client, items(2), journal=journal, concurrency=1)
        assert (await anext(outcomes)).status == "uploaded"
        emulator.add_fault(Fault.drop_answer())
        emulator.add_fault(Fault.return_status(500, endpoint="list", times=None))
        assert isinstance((await anext(outcomes)).error, AmbiguousUploadError)
        await outcomes.aclose()
        assert await journal.counts() == {"uploaded": 1, "unknown": 1}
    emulator.clear_faults()
    assert await statuses_of(client, items(2), journal=place, settle=0) == ["skipped", "recovered"]


async def test_a_voice_that_was_deleted_is_uploaded_again_once_it_is_forgotten(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    async with Journal(place) as journal:
        await outcomes_of(client, items(2), journal=journal)
        gone = emulator.voices[0]
        await client.delete_voice(gone.uri)
        assert await statuses_of(client, items(2), journal=journal) == ["skipped", "skipped"]
        assert (await journal.forget(gone.uri), await journal.forget(gone.uri)) == (True, False)
        statuses = await statuses_of(client, items(2), journal=journal)
    assert (sorted(statuses), stored(emulator)) == (["skipped", "uploaded"], once(2))


async def test_a_run_with_a_journal_begins_with_a_list_or_not_at_all(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    emulator.add_fault(Fault.return_status(500, endpoint="list", times=None))
    with pytest.raises(ServerError):
        await outcomes_of(client, items(3), journal=place)
    assert (emulator.voices, await counts(place)) == ([], {})


async def test_a_key_that_is_refused_leaves_the_journal_as_it_was(emulator: Emulator, place: str) -> None:
    async with VoiceClient("sk-other", base_url=emulator.base_url, retry=RetryPolicy.none()) as client:
        with pytest.raises(AuthenticationError):
            await outcomes_of(client, items(3), journal=place)
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        assert await statuses_of(client, items(3), journal=place) == ["uploaded"] * 3


async def test_a_journal_of_another_account_is_refused(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    await outcomes_of(client, items(2), journal=place)
    async with Emulator(api_key="sk-other", account="another") as elsewhere:
        async with VoiceClient("sk-other", base_url=elsewhere.base_url) as other:
            with pytest.raises(JournalError, match=r"records uploads to http://127.*, not to http://127"):
                await outcomes_of(other, items(2), journal=place)
        assert elsewhere.voices == []


async def test_a_name_that_is_no_text_is_written_down_all_the_same(
    client: VoiceClient, place: str, tmp_path: Path
) -> None:
    strange = os.fsencode(tmp_path) + b"/\xff\xfe.mp3"
    Path(os.fsdecode(strange)).write_bytes(SPEECH)  # noqa: ASYNC240 - likewise
    assert await statuses_of(client, [item(audio=os.fsdecode(strange))], journal=place) == ["uploaded"]


async def test_a_second_attempt_is_the_same_upload(
    client: VoiceClient, emulator: Emulator, place: str
) -> None:
    emulator.add_fault(Fault.return_status(503))
    assert await statuses_of(client, items(2), journal=place) == ["uploaded"] * 2
    assert (stored(emulator), await counts(place)) == (once(2), {"uploaded": 2})
