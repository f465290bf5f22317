from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from support.journals import entry, files_of, uri_of, writing

from siliconflow_voice import VoiceClient
from siliconflow_voice.bulk.resume import resume
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry, Store
from siliconflow_voice.emulator import Emulator, StoredVoice
from siliconflow_voice.errors import JournalError

CAN_NOT_TELL = "was written with another key, and nothing shows that the account is the same: use that key"


@pytest.fixture
async def journal(tmp_path: Path, client: VoiceClient) -> AsyncIterator[SQLiteJournal]:
    """One of a run with the key sk-test."""
    async with writing(tmp_path / "voices.journal") as journal:
        await resumed(journal, client)
        yield journal


@pytest.fixture
async def another_client(emulator: Emulator) -> AsyncIterator[VoiceClient]:
    """One with a new key of the service's."""
    async with VoiceClient("sk-other", base_url=emulator.base_url) as client:
        yield client


async def resumed(journal: SQLiteJournal, client: VoiceClient) -> None:
    await resume(journal, client._uploader, settle=0)


async def finish(journal: SQLiteJournal, upload: Entry, uri: str) -> None:
    await journal.intend(upload)
    await journal.transact(partial(Store.done, key=upload.key, state="uploaded", uri=uri))


def has_another_key(emulator: Emulator, *uris: str) -> None:
    """Let the service know no key but the new one, and voices of these uris."""
    emulator._account._api_key = "sk-other"
    emulator.voices[:] = [StoredVoice(uri, "model", "name", "text", "00", size=1) for uri in uris]


async def test_the_same_key_is_the_same_account_whatever_its_uris_say(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator
) -> None:
    await finish(journal, entry(), "speech:narrator-0:another:x")
    for uris in ([], ["speech:name:emulated:y"]):
        emulator.voices[:] = [StoredVoice(uri, "model", "name", "text", "00", size=1) for uri in uris]
        await resumed(journal, client)


async def test_another_address_is_refused_before_anything_is_asked_there(
    journal: SQLiteJournal, client: VoiceClient
) -> None:
    async with Emulator() as another:
        elsewhere = client.with_options(base_url=another.base_url)
        with pytest.raises(JournalError) as caught:
            await resumed(journal, elsewhere)
        assert another.requests == []
    assert caught.value.message == (
        f"The journal {journal.path} records uploads to {client.base_url}, not to {elsewhere.base_url}"
    )


async def test_a_new_key_of_the_same_account_is_taken_for_what_it_is(
    journal: SQLiteJournal, emulator: Emulator, another_client: VoiceClient
) -> None:
    await finish(journal, entry(), uri_of(entry()))
    has_another_key(emulator, "speech:name:emulated:x", "speech:shared:public:y")
    await resumed(journal, another_client)
    has_another_key(emulator)  # now it is this key's, and there is nothing to compare
    await resumed(journal, another_client)


async def test_a_name_with_colons_in_it_hides_no_account(
    journal: SQLiteJournal, emulator: Emulator, another_client: VoiceClient
) -> None:
    await finish(journal, entry(), "speech:a:b:emulated:x")
    has_another_key(emulator, "speech:c:d:e:emulated:y")
    await resumed(journal, another_client)


async def test_a_key_of_another_account_is_refused_and_changes_nothing(
    journal: SQLiteJournal, client: VoiceClient, emulator: Emulator, another_client: VoiceClient
) -> None:
    await finish(journal, entry(), uri_of(entry()))
    has_another_key(emulator, "speech:name:theirs:x", "speech:name:alien:y", "speech:name:theirs:z")
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            await resumed(journal, another_client)
        assert caught.value.message == (
            f"The journal {journal.path} belongs to account emulated, and this key to alien, theirs: "
            f"use that account's key, or another journal"
        )
    emulator._account._api_key = "sk-test"
    await resumed(journal, client)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, ["speech:name:emulated:x"]),  # begun, and not known what became of it
        ("speech:narrator-0:emulated:x", []),
        ("speech:narrator-0:emulated:x", ["narrator"]),
        ("narrator-0", ["speech:name:emulated:x"]),
        ("narrator-0", ["narrator-1"]),
        ("model:narrator-0", ["model:narrator-1"]),
        ("speech:narrator-0::x", ["speech:narrator-0::x"]),
    ],
)
async def test_where_it_can_not_be_told_it_is_refused(
    journal: SQLiteJournal,
    emulator: Emulator,
    another_client: VoiceClient,
    ours: str | None,
    theirs: list[str],
) -> None:
    if ours is None:
        await journal.intend(entry())
    else:
        await finish(journal, entry(), ours)
    has_another_key(emulator, *theirs)
    with pytest.raises(JournalError, match=CAN_NOT_TELL):
        await resumed(journal, another_client)


async def test_a_journal_without_voices_is_anybodys(
    journal: SQLiteJournal, emulator: Emulator, another_client: VoiceClient
) -> None:
    await journal.transact(lambda store: store.failed(entry(0), "failed", "No."))
    has_another_key(emulator, "speech:name:theirs:x")
    await resumed(journal, another_client)


async def test_no_byte_of_it_tells_either_key(
    journal: SQLiteJournal, emulator: Emulator, another_client: VoiceClient
) -> None:
    has_another_key(emulator)
    await resumed(journal, another_client)
    files = files_of(journal.path)
    await journal.close()
    written = b"".join(file.read_bytes() for file in files if file.exists())
    assert [key in written for key in (b"sk-test", b"sk-other")] == [False, False]


async def test_what_is_kept_of_a_key_is_another_thing_each_time(
    journal: SQLiteJournal, client: VoiceClient
) -> None:
    kept = set()
    for _ in range(3):
        await resumed(journal, client)
        last = await journal.last_run()
        assert last is not None
        kept.add(last.fingerprint)
    assert (len(kept), {len(fingerprint) for fingerprint in kept}) == (3, {4})
