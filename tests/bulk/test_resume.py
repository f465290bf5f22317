from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from support.journals import entry, opened, records, uri_of, writing

from siliconflow_voice import Event, SettleEvent, VoiceClient
from siliconflow_voice.bulk.resume import Resumption, resume
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry, Store
from siliconflow_voice.emulator import Emulator, Fault, StoredVoice
from siliconflow_voice.errors import APIStatusError, JournalError


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    async with writing(tmp_path / "voices.journal") as journal:
        yield journal


def listed(upload: Entry, uri: str | None = None) -> StoredVoice:
    """Make a voice of an upload, as the account's list shows it."""
    return StoredVoice(
        uri or uri_of(upload), upload.model, upload.custom_name, upload.text, upload.sha256, size=1
    )


async def begin(journal: SQLiteJournal, *entries: Entry) -> None:
    for upload in entries:
        await journal.intend(upload)


async def finish(journal: SQLiteJournal, *entries: Entry, account: str = "emulated") -> None:
    for upload in entries:
        await journal.transact(
            partial(Store.done, key=upload.key, state="uploaded", uri=uri_of(upload, account))
        )


async def resumed(journal: SQLiteJournal, client: VoiceClient, settle: float = 0.0) -> Resumption:
    return await resume(journal, client._uploader, settle=settle)


async def states(journal: SQLiteJournal) -> dict[str, str]:
    held = await journal.page(0, 1000)
    return {record.custom_name: record.state for _, record in held}


async def test_a_new_journal_has_nothing_to_resume(journal: SQLiteJournal, client: VoiceClient) -> None:
    resumption = await resumed(journal, client)
    assert resumption == Resumption({}, frozenset(), {})


async def test_it_is_found_out_what_became_of_each_upload(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    done, stored, lost, twin, other = [entry(number, custom_name=name) for number, name in enumerate("abcdd")]
    emulator.voices.append(listed(lost, "speech:c:emulated:old"))
    await resumed(journal, client)
    await begin(journal, done, stored, lost, twin, other)
    await finish(journal, done)
    emulator.voices.extend(map(listed, (done, stored, twin)))

    resumption = await resumed(journal, client)
    assert {key: voice.uri for key, voice in resumption.found.items()} == {stored.key: uri_of(stored)}
    assert resumption.absent == {lost.key}
    assert {key: [voice.uri for voice in voices] for key, voices in resumption.ambiguous.items()} == {
        twin.key: [uri_of(twin)],
        other.key: [uri_of(twin)],
    }
    assert await journal.counts() == {"uploaded": 1, "recovered": 1, "pending": 1, "unknown": 2}
    found = await journal.find(stored)
    assert found is not None
    assert (found.state, found.uri) == ("recovered", uri_of(stored))


async def test_a_voice_of_the_name_that_was_there_before_is_not_taken(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    emulator.voices.append(listed(entry()))
    await resumed(journal, client)
    await begin(journal, entry())
    assert (await resumed(journal, client)).absent == {entry().key}


async def test_nor_is_one_that_another_upload_made(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    ours, others = entry(0, custom_name="narrator"), entry(1, custom_name="narrator")
    await resumed(journal, client)
    await begin(journal, ours, others)
    await finish(journal, others)
    emulator.voices.append(listed(others))
    assert (await resumed(journal, client)).absent == {ours.key}


async def test_what_could_be_an_open_uploads_voice_stays_new(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    await resumed(journal, client)
    await begin(journal, entry())
    emulator.voices.extend(listed(entry(), f"speech:narrator-0:emulated:{name}") for name in "ab")
    for _ in range(3):
        assert set((await resumed(journal, client)).ambiguous) == {entry().key}
    del emulator.voices[0]
    [voice] = (await resumed(journal, client)).found.values()
    assert voice.uri == "speech:narrator-0:emulated:b"


async def test_what_was_found_is_known_from_then_on(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    await resumed(journal, client)
    await begin(journal, entry())
    emulator.voices.append(listed(entry()))
    assert list((await resumed(journal, client)).found) == [entry().key]
    assert await resumed(journal, client) == Resumption({}, frozenset(), {})
    assert await states(journal) == {"narrator-0": "recovered"}


async def test_one_listing_serves_all_and_the_client_too(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    emulator.voices.append(listed(entry(7)))
    await begin(journal, *[entry(number) for number in range(5)])
    await resumed(journal, client)
    assert [request.endpoint for request in emulator.requests] == ["list"]
    known = client._uploader.known
    assert (known.complete, uri_of(entry(7)) in known) == (True, True)


async def test_the_client_learns_nothing_from_it_while_it_uploads(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    known = client._uploader.known
    await begin(journal, entry())
    emulator.voices.append(listed(entry()))
    [voice] = await client.list_voices()
    with known.uploading(voice):
        await resumed(journal, client)
        emulator.voices.append(listed(entry(1)))
    # But for what it found itself.
    assert (known.complete, voice.uri in known, emulator.voices[1].uri in known) == (False, True, False)


async def test_an_account_that_can_not_be_listed_changes_nothing(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    await resumed(journal, client)
    await begin(journal, entry())
    emulator.add_fault(Fault.return_status(404, endpoint="list"))
    with pytest.raises(APIStatusError):
        await resumed(journal, client)
    assert await states(journal) == {"narrator-0": "unknown"}
    emulator.voices.append(listed(entry()))
    assert list((await resumed(journal, client)).found) == [entry().key]


NOW = 1_700_000_000.0
Wait = tuple[list[float], float, float, list[float]]


@pytest.mark.parametrize(
    "wait",
    [
        ([], 0.0, 10.0, []),  # nothing was under way
        ([60.0], 0.0, 10.0, [10.0]),
        ([60.0], 1.0, 10.0, [9.0]),
        ([60.0, 600.0], 5.0, 10.0, [5.0]),
        ([60.0], 10.0, 10.0, []),
        ([60.0], 30.0, 10.0, []),
        ([60.0], 30.0, 45.0, [15.0]),
        ([60.0, 4.0], 5.0, 10.0, [6.0]),  # the last second of that run was not recorded
        ([0.0], 0.0, 0.0, []),
        ([60.0], -1e6, 10.0, [10.0]),  # the clock was set back
    ],
)
async def test_the_service_is_given_time_since_the_last_run_ended(
    journal: SQLiteJournal, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, wait: Wait
) -> None:
    ages, ended, settle, expected = wait
    sleep, slept = asyncio.sleep, []
    events: list[Event] = []

    async def sleep_not(seconds: float) -> None:
        if len(emulator.requests) == 1:  # before the account is listed again
            slept.append(seconds)
        await sleep(0)

    def age_all(store: Store) -> None:
        for number, age in enumerate(ages):
            store.intend(entry(number))
            store._connection.execute("UPDATE uploads SET at = ? WHERE id = ?", (NOW - age, number + 1))
        store._connection.execute("UPDATE facts SET value = ? WHERE name = 'alive_at'", (NOW - ended,))

    async with VoiceClient("sk-test", base_url=emulator.base_url, on_event=events.append) as client:
        await resumed(journal, client)
        await journal.transact(age_all)
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: NOW)
            patched.setattr(asyncio, "sleep", sleep_not)
            await resumed(journal, client, settle)
    assert slept == expected
    settling = [event for event in events if isinstance(event, SettleEvent)]
    assert settling == [
        SettleEvent(2, "upload_many", str(journal.path), seconds, len(ages)) for seconds in expected
    ]


async def test_a_journal_without_a_run_has_its_uploads_alone_to_count_from(
    journal: SQLiteJournal, client: VoiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    await begin(journal, entry())
    monkeypatch.setattr(time, "time", lambda: NOW + 10)
    await asyncio.wait_for(resumed(journal, client, 10.0), 5)


async def test_a_wait_needs_nothing_that_listens(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    await begin(journal, entry())
    assert (await resumed(journal, client, 0.001)).absent == {entry().key}


async def test_what_is_known_is_not_waited_for(
    journal: SQLiteJournal, client: VoiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(journal, entry(0), entry(1))
    await finish(journal, entry(0))
    await journal.transact(lambda store: store.failed(entry(1), "failed", "No."))
    await asyncio.wait_for(resumed(journal, client, 1e6), 30)


def test_its_files_keep_what_was_there_before_in_eight_bytes_a_voice(tmp_path: Path) -> None:
    async def run() -> None:
        async with Emulator() as emulator:
            emulator.voices.extend(listed(entry(number)) for number in range(10))
            async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
                async with writing(tmp_path / "voices.journal") as journal:
                    await resumed(journal, client)

    asyncio.run(run())
    with opened(tmp_path / "voices.journal") as store:
        assert records(store) == []
        with store.transaction():
            last = store.last_run()
            assert last is not None
            assert len(last.before) == 80


async def test_a_refusal_is_no_failure_of_the_journals(journal: SQLiteJournal, client: VoiceClient) -> None:
    await resumed(journal, client)
    elsewhere = client.with_options(base_url=f"{client.base_url}/other")
    with pytest.raises(JournalError, match="records uploads to"):
        await resumed(journal, elsewhere)
    assert await journal.counts() == {}
    await resumed(journal, client)
