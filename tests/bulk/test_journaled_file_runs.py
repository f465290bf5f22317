from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from support.bulk import counts, item, items, left_open, once, outcomes_of, statuses_of, stored, taken, until
from support.hurried_time import hurried_time
from support.journals import file_of
from support.recordings import MP3, SPEECH, WAV

from siliconflow_voice import (
    AmbiguousUploadError,
    Journal,
    JournalError,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.audio.pool import MOST_HELD
from siliconflow_voice.bulk.journaling import Journaling
from siliconflow_voice.bulk.store import Entry, Store
from siliconflow_voice.emulator import Emulator, Fault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voices.journal"


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


async def test_neither_key_nor_audio_is_in_the_journal(client: VoiceClient, path: Path) -> None:
    async with Journal(path) as journal:
        await outcomes_of(client, items(3), journal=journal)
        kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert (b"sk-test" in kept, SPEECH[100:200] in kept, b"narrator-2" in kept) == (False, False, True)


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
