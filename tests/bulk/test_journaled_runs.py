from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from support.bulk import item, items, once, outcomes_of, statuses_of, stored, taken, until
from support.hurried_time import hurried_time
from support.journals import file_of
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
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.audio.pool import MOST_HELD
from siliconflow_voice.bulk.journaling import Journaling
from siliconflow_voice.bulk.store import Entry, Store
from siliconflow_voice.emulator import Emulator, Fault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voices.journal"


async def counts(path: Path) -> dict[str, int]:
    async with Journal(path) as journal:
        return await journal.counts()


async def left_open(client: VoiceClient, emulator: Emulator, path: Path, *uploads: VoiceUpload) -> None:
    """Have uploads stored whose answers nobody hears any more, since their run is ended."""
    before = len(emulator.voices)
    emulator.add_fault(Fault.delay(3600, times=None))

    async def run() -> None:
        async for _ in upload_many(client, uploads, journal=path, settle=0):
            raise AssertionError

    task = asyncio.create_task(run())
    await until(lambda: len(emulator.voices) == before + len(uploads))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    emulator.clear_faults()


async def test_what_was_uploaded_is_skipped_by_the_next_run(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    first = await outcomes_of(client, items(30), journal=path)
    second = await outcomes_of(client, items(30), journal=path)
    assert ([o.status for o in first], [o.status for o in second]) == (["uploaded"] * 30, ["skipped"] * 30)
    assert [o.voice for o in first] == [o.voice for o in second]
    assert (stored(emulator), await counts(path)) == (once(30), {"uploaded": 30})


async def test_the_next_run_sends_what_is_new(client: VoiceClient, emulator: Emulator, path: Path) -> None:
    await outcomes_of(client, items(3), journal=path)
    assert await statuses_of(client, items(5), journal=path) == ["skipped"] * 3 + ["uploaded"] * 2
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
    client: VoiceClient, emulator: Emulator, path: Path, changes: dict[str, Any]
) -> None:
    await outcomes_of(client, [item()], journal=path)
    assert await statuses_of(client, [item(**changes)], journal=path) == ["uploaded"]
    assert len(emulator.voices) == 2


async def test_a_recording_is_known_wherever_it_is(client: VoiceClient, path: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.mp3"
    moved.write_bytes(SPEECH)
    await outcomes_of(client, [item(audio=MP3)], journal=path)
    with moved.open("rb") as file:
        uploads = [item(audio=audio) for audio in (moved, SPEECH, file)]
        assert await statuses_of(client, uploads, journal=path) == ["skipped"] * 3


async def test_an_encoding_makes_no_other_upload(client: VoiceClient, path: Path) -> None:
    await outcomes_of(client, [item()], journal=path)
    assert await statuses_of(client, [item(encoding="base64")], journal=path) == ["skipped"]


async def test_the_same_upload_twice_in_one_run_is_made_once(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    statuses = await statuses_of(client, [item()] * 10, journal=path)
    assert (sorted(statuses), stored(emulator)) == (["skipped"] * 9 + ["uploaded"], once(1))


async def test_one_that_failed_is_tried_again_by_its_double_and_by_the_next_run(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    emulator.add_fault(Fault.return_status(400, times=3))
    assert await statuses_of(client, [item()] * 2, journal=path) == ["failed"] * 2
    assert await counts(path) == {"failed": 1}
    assert await statuses_of(client, [item()] * 2, journal=path) == ["failed", "uploaded"]
    assert (stored(emulator), await counts(path)) == (once(1), {"uploaded": 1})


async def test_a_stream_is_refused_for_a_journal(client: VoiceClient, emulator: Emulator, path: Path) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    (outcome,) = await outcomes_of(client, [item(audio=stream())], journal=path)
    assert isinstance(outcome.error, InvalidUploadError)
    assert (outcome.error.field, emulator.voices) == ("audio", [])


@hurried_time
async def test_one_whose_answer_was_lost_is_recovered_and_recorded(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    emulator.add_fault(Fault.drop_answer())
    first = await outcomes_of(client, items(1), journal=path)
    second = await outcomes_of(client, items(1), journal=path)
    assert ([o.status for o in first], [o.status for o in second]) == (["recovered"], ["skipped"])
    assert (second[0].voice and second[0].voice.recovered, await counts(path)) == (True, {"recovered": 1})


async def test_what_was_stored_when_a_run_was_ended_is_found_by_the_next(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    await left_open(client, emulator, path, *items(3))
    assert await counts(path) == {"unknown": 3}
    assert await statuses_of(client, items(5), journal=path, settle=0) == ["recovered"] * 3 + ["uploaded"] * 2
    assert (stored(emulator), await counts(path)) == (once(5), {"recovered": 3, "uploaded": 2})
    assert await statuses_of(client, items(5), journal=path, settle=0) == ["skipped"] * 5


async def test_what_was_recovered_is_news_only_once(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    await left_open(client, emulator, path, item())
    statuses = await statuses_of(client, [item()] * 3, journal=path, settle=0)
    assert sorted(statuses) == ["recovered", "skipped", "skipped"]


async def test_what_was_not_stored_when_a_run_was_ended_is_sent_again(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    async with Journal(path) as journal:
        # As a run leaves it that is killed before the first byte.
        await outcomes_of(client, [item(9)], journal=journal)
        await file_of(journal).transact(
            lambda store: store._connection.execute("UPDATE uploads SET state = 'unknown', uri = NULL")
        )
    emulator_before = stored(emulator)
    await client.delete_voice(emulator.voices[0].uri)
    assert await statuses_of(client, [item(9)], journal=path, settle=0) == ["uploaded"]
    assert stored(emulator) == emulator_before


@pytest.mark.parametrize("journaled", [False, True], ids=["of a single upload", "of another row"])
async def test_voices_that_were_there_before_are_not_taken_for_what_was_left_open(
    client: VoiceClient, emulator: Emulator, path: Path, *, journaled: bool
) -> None:
    if journaled:
        await outcomes_of(client, [item(audio=WAV)], journal=path)
    else:
        await client.upload_voice(WAV, custom_name="narrator-0", text=item().text)
    await left_open(client, emulator, path, item())
    (outcome,) = await outcomes_of(client, [item()], journal=path, settle=0)
    assert outcome.voice is not None
    assert (outcome.status, outcome.voice.uri) == ("recovered", emulator.voices[1].uri)


async def test_two_that_are_alike_and_were_left_open_can_not_be_told_apart(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    twins = [item(), item(audio=WAV)]
    await left_open(client, emulator, path, *twins)
    for _ in range(2):  # nor by any later run
        outcomes = await outcomes_of(client, [*twins, item(1)], journal=path, settle=0)
        assert [outcome.status for outcome in outcomes[:2]] == ["failed", "failed"]
        for outcome in outcomes[:2]:
            assert isinstance(outcome.error, AmbiguousUploadError)
            assert {voice.uri for voice in outcome.error.candidates} == {
                voice.uri for voice in emulator.voices if voice.custom_name == "narrator-0"
            }
    assert await counts(path) == {"unknown": 2, "uploaded": 1}


async def test_two_that_are_alike_can_be_told_apart_by_hand(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    twins = [item(), item(audio=WAV)]
    await left_open(client, emulator, path, *twins)
    async with Journal(path) as journal:
        for voice in emulator.voices:
            uri = voice.uri if voice.size == len(SPEECH) else None
            assert await journal.decide(sha256=voice.sha256, custom_name="narrator-0", uri=uri)
        assert not await journal.decide(sha256=emulator.voices[0].sha256, custom_name="narrator-0", uri=None)
        with pytest.raises(InvalidUploadError, match="begin with speech:"):
            await journal.decide(sha256="00", custom_name="narrator-0", uri="narrator-0")
        assert await journal.counts() == {"recovered": 1, "pending": 1}
    statuses = await statuses_of(client, twins, journal=path, settle=0)
    assert statuses == ["skipped", "uploaded"]


@hurried_time
async def test_one_that_may_be_stored_is_looked_for_by_the_next_run(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    async with Journal(path) as journal:
        outcomes = upload_many(client, items(2), journal=journal, concurrency=1)
        assert (await anext(outcomes)).status == "uploaded"
        emulator.add_fault(Fault.drop_answer())
        emulator.add_fault(Fault.return_status(500, endpoint="list", times=None))
        assert isinstance((await anext(outcomes)).error, AmbiguousUploadError)
        await outcomes.aclose()
        assert await journal.counts() == {"uploaded": 1, "unknown": 1}
    emulator.clear_faults()
    assert await statuses_of(client, items(2), journal=path, settle=0) == ["skipped", "recovered"]


async def test_a_voice_that_was_deleted_is_uploaded_again_once_it_is_forgotten(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    async with Journal(path) as journal:
        await outcomes_of(client, items(2), journal=journal)
        gone = emulator.voices[0]
        await client.delete_voice(gone.uri)
        assert await statuses_of(client, items(2), journal=journal) == ["skipped", "skipped"]
        assert (await journal.forget(gone.uri), await journal.forget(gone.uri)) == (True, False)
        statuses = await statuses_of(client, items(2), journal=journal)
    assert (sorted(statuses), stored(emulator)) == (["skipped", "uploaded"], once(2))


async def test_a_run_with_a_journal_begins_with_a_list_or_not_at_all(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    emulator.add_fault(Fault.return_status(500, endpoint="list", times=None))
    with pytest.raises(ServerError):
        await outcomes_of(client, items(3), journal=path)
    assert (emulator.voices, await counts(path)) == ([], {})


async def test_a_key_that_is_refused_leaves_the_journal_as_it_was(emulator: Emulator, path: Path) -> None:
    async with VoiceClient("sk-other", base_url=emulator.base_url, retry=RetryPolicy.none()) as client:
        with pytest.raises(AuthenticationError):
            await outcomes_of(client, items(3), journal=path)
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        assert await statuses_of(client, items(3), journal=path) == ["uploaded"] * 3


async def test_a_journal_of_another_account_is_refused(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    await outcomes_of(client, items(2), journal=path)
    async with Emulator(api_key="sk-other", account="another") as elsewhere:
        async with VoiceClient("sk-other", base_url=elsewhere.base_url) as other:
            with pytest.raises(JournalError, match=r"records uploads to http://127.*, not to http://127"):
                await outcomes_of(other, items(2), journal=path)
        assert elsewhere.voices == []


async def test_two_runs_can_not_share_a_journal(client: VoiceClient, path: Path) -> None:
    async with Journal(path) as journal:
        outcomes = upload_many(client, items(20), journal=journal)
        await anext(outcomes)
        with pytest.raises(JournalError, match="in use by another run"):
            await outcomes_of(client, items(1), journal=journal)
        with pytest.raises(JournalError, match="in use by another run"):
            await outcomes_of(client, items(1), journal=path)
        await outcomes.aclose()
        assert await statuses_of(client, items(1), journal=journal, settle=0) == ["skipped"]


async def test_a_journal_that_is_lost_ends_the_run_and_names_what_it_could_not_take_down(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    outcomes = upload_many(client, items(100), journal=path, concurrency=1)
    given = [await anext(outcomes)]
    path.unlink()  # noqa: ASYNC240 - a moment
    with pytest.raises(JournalError, match="was deleted during the run"):
        await taken(outcomes, given)
    # What was given is on record somewhere: before the file was gone.
    assert len(emulator.voices) - len(given) <= 1


@pytest.mark.parametrize("count", [1, 3])
async def test_uris_that_could_not_be_recorded_are_in_the_error(
    client: VoiceClient, emulator: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "done", full)
    # So that all are under way when the first can't be recorded.
    emulator.add_fault(Fault.delay(0.05, times=None))
    with pytest.raises(JournalError) as caught:
        await outcomes_of(client, items(count), journal=path)
    assert sorted(caught.value.__notes__) == sorted(
        f"{voice.custom_name} was uploaded, but could not be recorded: {voice.uri}"
        for voice in emulator.voices
    )
    monkeypatch.undo()
    assert await statuses_of(client, items(count), journal=path, settle=0) == ["recovered"] * count


async def test_nothing_is_sent_that_could_not_be_written_down(
    client: VoiceClient, emulator: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "intend", full)
    with pytest.raises(JournalError):
        await outcomes_of(client, items(5), journal=path)
    assert [record.endpoint for record in emulator.requests] == ["list"]


async def test_a_name_that_is_no_text_is_written_down_all_the_same(
    client: VoiceClient, path: Path, tmp_path: Path
) -> None:
    strange = os.fsencode(tmp_path) + b"/\xff\xfe.mp3"
    Path(os.fsdecode(strange)).write_bytes(SPEECH)  # noqa: ASYNC240 - likewise
    assert await statuses_of(client, [item(audio=os.fsdecode(strange))], journal=path) == ["uploaded"]


async def test_neither_key_nor_audio_is_in_the_journal(client: VoiceClient, path: Path) -> None:
    async with Journal(path) as journal:
        await outcomes_of(client, items(3), journal=journal)
        kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert (b"sk-test" in kept, SPEECH[100:200] in kept, b"narrator-2" in kept) == (False, False, True)


@hurried_time
async def test_one_that_may_be_stored_is_not_sent_again_by_its_double(
    client: VoiceClient, emulator: Emulator, path: Path
) -> None:
    uploads = [item(1), item(), item(), item()]
    outcomes = upload_many(client, uploads, journal=path, concurrency=1, settle=0)
    got = [await anext(outcomes)]
    emulator.add_fault(Fault.drop_answer())
    emulator.add_fault(Fault.return_status(400, endpoint="list"))
    await taken(outcomes, got)
    assert [type(outcome.error) for outcome in got] == [type(None), *[AmbiguousUploadError] * 3]
    assert "the next run will look for it" in str(got[-1].error)
    statuses = await statuses_of(client, uploads, journal=path, settle=0)
    assert (sorted(statuses[1:]), stored(emulator)) == (["recovered", "skipped", "skipped"], once(2))


async def test_doubles_that_wait_are_not_held_in_memory(
    client: VoiceClient, emulator: Emulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = 0
    alone = Journaling.alone

    def counted(self: Journaling, entry: Entry) -> AbstractAsyncContextManager[None]:
        nonlocal entered
        entered += 1
        return alone(self, entry)

    monkeypatch.setattr(Journaling, "alone", counted)
    emulator.add_fault(Fault.delay(3600))
    outcomes = upload_many(client, [item(audio=MP3)] * 100, journal=path, concurrency=100)
    waiting = asyncio.create_task(taken(outcomes, []))
    await until(lambda: entered == 100)
    assert client._uploader.pool.held <= MOST_HELD
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
