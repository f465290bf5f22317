"""A journal in PostgreSQL, with several runs on it at once."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import psycopg
import pytest
from attrs import evolve
from support.bulk import item, items, once, outcomes_of, statuses_of, stored
from support.journals import entry, uri_of
from support.postgres import MISSING, REASON, Postgres
from support.recordings import SPEECH, TEXT

from siliconflow_voice import (
    AmbiguousUploadError,
    BadRequestError,
    ConfigurationError,
    Journal,
    JournalError,
    RetryPolicy,
    ServerError,
    Voice,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.bulk import claiming
from siliconflow_voice.bulk.member import Member
from siliconflow_voice.bulk.postgres import Account, Claim, PostgresJournal
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.database import Address
from siliconflow_voice.emulator import Emulator, Fault, StoredVoice


@asynccontextmanager
async def process(url: str, lease: float = 30.0) -> AsyncGenerator[PostgresJournal, None]:
    """Have a journal open as another process has it."""
    journal = PostgresJournal(Member(Address.parse(url), lease, 10.0))
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def die(journal: PostgresJournal) -> None:
    """End a process' part in a journal as its death does: without a word."""
    for task in journal.member.tasks:
        task.cancel()
    await asyncio.wait(journal.member.tasks)
    await journal.member.database.close()


async def expire(url: str, journal: PostgresJournal) -> None:
    """Let a lease run out."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "UPDATE siliconflow_voice.runs"
            " SET until = clock_timestamp(), alive_at = alive_at - interval '1 h' WHERE owner = %s",
            (journal.member.me,),
        )


async def states(url: str) -> dict[str, int]:
    async with Journal(url) as journal:
        return await journal.counts()


@pytest.fixture
async def another_client(emulator: Emulator) -> AsyncGenerator[VoiceClient, None]:
    async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
        yield client


async def test_two_runs_at_once_make_each_voice_once_and_both_have_it(
    client: VoiceClient, another_client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    emulator.add_fault(Fault.delay(0.02, times=None))
    first, second = await asyncio.gather(
        outcomes_of(client, items(40), journal=database_url),
        outcomes_of(another_client, list(items(40))[::-1], journal=database_url),
    )
    assert stored(emulator) == once(40)
    assert {o.status for o in [*first, *second]} == {"uploaded", "skipped"}
    assert [o.voice and o.voice.uri for o in first] == [o.voice and o.voice.uri for o in second[::-1]]


async def test_two_runs_at_once_in_one_process_share_a_journal(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    emulator.add_fault(Fault.delay(0.01, times=None))
    async with Journal(database_url) as journal:
        runs = [statuses_of(client, items(20), journal=journal) for _ in range(2)]
        both = await asyncio.gather(*runs)
    assert sorted([*both[0], *both[1]]) == ["skipped"] * 20 + ["uploaded"] * 20
    assert stored(emulator) == once(20)


async def test_the_account_is_listed_by_the_first_run_alone(
    client: VoiceClient, another_client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await asyncio.gather(
        outcomes_of(client, items(3), journal=database_url),
        outcomes_of(another_client, items(3), journal=database_url),
    )
    await outcomes_of(client, items(6), journal=database_url)
    assert [record.endpoint for record in emulator.requests].count("list") == 1


async def test_a_burst_of_lost_answers_of_two_runs_is_looked_up_together(
    client: VoiceClient, another_client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, [item(99)], journal=database_url)
    emulator.add_fault(Fault.drop_answer(times=20))
    emulator.add_fault(Fault.delay(0.3, endpoint="list", times=None))
    outcomes = await asyncio.gather(
        statuses_of(client, [item(n) for n in range(10)], journal=database_url),
        statuses_of(another_client, [item(n) for n in range(10, 20)], journal=database_url),
    )
    assert (list(outcomes), len(emulator.voices)) == ([["recovered"] * 10] * 2, 21)
    assert [record.endpoint for record in emulator.requests].count("list") <= 4


def entry_of_item() -> Entry:
    """What a journal knows ``item()`` by."""
    upload = item()
    return Entry("a.mp3", hashlib.sha256(SPEECH).hexdigest(), upload.model, upload.custom_name, upload.text)


@pytest.mark.parametrize("fails", [False, True], ids=["and has its voice", "and fails"])
async def test_what_a_living_process_has_claimed_is_waited_for(
    client: VoiceClient,
    emulator: Emulator,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fails: bool,
) -> None:
    asked = asyncio.Semaphore(0)
    claim = PostgresJournal.claim

    async def noted(self: PostgresJournal, *arguments: Any) -> Claim | None:
        claimed = await claim(self, *arguments)
        asked.release()
        return claimed

    monkeypatch.setattr(PostgresJournal, "claim", noted)
    monkeypatch.setattr(claiming, "_POLL", 0.01)
    upload = entry_of_item()
    voice = Voice(uri_of(upload), upload.model, upload.custom_name, upload.text)
    async with process(database_url) as other:
        assert await _claimed(other, upload)
        run = asyncio.create_task(outcomes_of(client, [item()], journal=database_url))
        for _ in range(4):  # the first by the other
            await asked.acquire()
        assert await other.intend(upload)
        if fails:
            await other.failed(upload, ServerError("no", status=500))
        else:
            await other.done(upload, voice)
        (outcome,) = await run
    if fails:
        assert (outcome.status, len(emulator.voices)) == ("uploaded", 1)
    else:
        assert (outcome.status, outcome.voice, emulator.voices) == ("skipped", voice, [])


@pytest.mark.parametrize("was_stored", [True, False])
async def test_what_a_dead_process_had_under_way_is_looked_up_by_the_next_that_comes_to_it(
    client: VoiceClient, emulator: Emulator, database_url: str, *, was_stored: bool
) -> None:
    await outcomes_of(client, [item(1)], journal=database_url)
    async with process(database_url) as dead:
        assert await _claimed(dead, entry_of_item())
        assert await dead.intend(entry_of_item())
        if was_stored:
            await client.upload_voice(SPEECH, custom_name="narrator-0", text=TEXT)
        await die(dead)
        await expire(database_url, dead)
        dead.member.tasks.clear()
    status = "recovered" if was_stored else "uploaded"
    assert await statuses_of(client, items(2), journal=database_url, settle=0.1) == [status, "skipped"]
    assert stored(emulator) == once(2)


async def test_twins_that_a_dead_process_had_under_way_can_not_be_told_apart(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, [item(1)], journal=database_url)
    async with process(database_url) as dead:
        for twin in (entry_of_item(), evolve(entry_of_item(), sha256="00")):
            assert await _claimed(dead, twin)
            assert await dead.intend(twin)
        await client.upload_voice(SPEECH, custom_name="narrator-0", text=TEXT)
    (outcome,) = await outcomes_of(client, [item()], journal=database_url, settle=0)
    assert isinstance(outcome.error, AmbiguousUploadError)
    assert [voice.uri for voice in outcome.error.candidates] == [emulator.voices[1].uri]


async def test_one_that_was_taken_over_is_not_sent_and_gets_the_voice_of_the_other(
    client: VoiceClient, emulator: Emulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = entry_of_item()
    voice = Voice(uri_of(upload), upload.model, upload.custom_name, upload.text)
    intend = PostgresJournal.intend
    async with process(database_url) as other:

        async def late(self: PostgresJournal, entry: Entry) -> bool:
            monkeypatch.undo()
            await expire(database_url, self)
            assert await _claimed(other, upload)
            assert await other.intend(upload)
            await other.done(upload, voice)
            return await intend(self, entry)

        monkeypatch.setattr(PostgresJournal, "intend", late)
        (outcome,) = await outcomes_of(client, [item()], journal=database_url)
    assert (outcome.status, outcome.voice, emulator.voices) == ("skipped", voice, [])


async def test_a_second_voice_of_one_that_was_taken_over_is_told_of(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    upload = entry()
    voice = Voice(uri_of(upload), upload.model, upload.custom_name, upload.text)
    async with process(database_url) as first, process(database_url) as second:
        assert await _claimed(first, upload)
        await expire(database_url, first)
        assert await _claimed(second, upload)
        await second.done(upload, voice)
        await second.done(upload, voice)  # as after a connection that was lost in the commit
        assert caplog.records == []
        await first.done(upload, evolve(voice, uri="speech:another:a:b"))
    (record,) = caplog.records
    assert record.getMessage() == (
        "narrator-0 has two voices: another run took it over, and has recorded its own besides "
        "speech:another:a:b"
    )


async def test_a_claim_is_a_living_process_own_until_it_closes_the_journal(database_url: str) -> None:
    async with process(database_url) as first, process(database_url) as second:
        assert (await _claimed(first), await _claimed(second)) == (True, False)
        assert (await first.intend(entry()), await second.intend(entry())) == (True, False)
        await first.close()
        claim = await second.claim(entry(), 10.0)
        assert claim is not None
        assert (claim.mine, claim.record.state) == (True, "unknown")
        _, seconds, _ = await second.looked_up(entry().key)
        assert seconds is not None
        assert 9 < seconds <= 10  # to settle, from the end of the process on


async def _claimed(journal: PostgresJournal, upload: Entry | None = None) -> bool:
    claim = await journal.claim(upload or entry(), 0.0)
    assert claim is not None
    return claim.mine


async def test_a_dead_process_keeps_its_claims_until_its_lease_runs_out(database_url: str) -> None:
    async with process(database_url) as first, process(database_url) as second:
        assert await _claimed(first)
        await die(first)
        assert not await _claimed(second)
        await expire(database_url, first)
        assert await _claimed(second)
        first.member.tasks.clear()


async def test_a_heartbeat_keeps_a_claim(database_url: str) -> None:
    async with process(database_url, lease=0.3) as first, process(database_url) as second:
        assert await _claimed(first)
        for _ in range(4):
            before = await _alive_at(database_url, first)
            while await _alive_at(database_url, first) == before:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)
            assert not await _claimed(second)


async def _alive_at(url: str, journal: PostgresJournal) -> object:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            "SELECT alive_at FROM siliconflow_voice.runs WHERE owner = %s", (journal.member.me,)
        )
        return await cursor.fetchone()


# --- the database


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that a test may stop."""
    if MISSING:
        pytest.skip(REASON)
    with Postgres() as server:
        yield server


async def test_a_database_that_restarts_is_waited_for_with_nothing_sent_and_nothing_lost(
    client: VoiceClient, emulator: Emulator, own_server: Postgres
) -> None:
    emulator.add_fault(Fault.delay(0.02, times=None))
    async with aclosing(upload_many(client, items(60), journal=own_server.url(), concurrency=4)) as run:
        got = [await anext(run) for _ in range(10)]
        own_server.stop()
        starting = asyncio.create_task(asyncio.to_thread(own_server.start))
        got += [outcome async for outcome in run]
        await starting
    assert ({outcome.status for outcome in got}, stored(emulator)) == ({"uploaded"}, once(60))


async def test_one_that_stays_away_ends_the_run_with_the_uris_that_could_not_be_recorded(
    client: VoiceClient, emulator: Emulator, own_server: Postgres
) -> None:
    emulator.add_fault(Fault.delay(0.05, times=None))
    got = []

    async def run() -> None:
        async with (
            Journal(own_server.url(), patience=0.3) as journal,
            aclosing(upload_many(client, items(60), journal=journal, concurrency=3)) as outcomes,
        ):
            async for outcome in outcomes:
                got.append(outcome)
                if len(got) == 3:
                    own_server.stop()

    with pytest.raises(JournalError, match=r"The journal postgresql:.* can't be used: ") as caught:
        await run()
    notes = getattr(caught.value, "__notes__", [])
    assert len(emulator.voices) == len(got) + len(notes)
    own_server.start()
    statuses = await statuses_of(client, items(60), journal=own_server.url(), settle=0)
    assert (stored(emulator), statuses.count("skipped")) == (once(60), len(got))
    assert statuses.count("recovered") == len(notes)


async def test_a_read_only_database_is_waited_for_and_then_refused(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    async with (
        Journal(database_url, patience=0.2) as journal,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection,
    ):
        await outcomes_of(client, [item(1)], journal=journal)
        await journal.close()
        name = database_url.rpartition("/")[2]
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        with pytest.raises(JournalError, match="read-only transaction"):
            await journal.open()
    assert len(emulator.voices) == 1


async def test_a_server_that_does_not_answer_is_given_up(database_url: str) -> None:
    async with process(database_url) as journal:
        journal.member.database.patience = 0.3
        async with await psycopg.AsyncConnection.connect(database_url) as locking:
            await locking.execute("LOCK siliconflow_voice.uploads")
            with pytest.raises(JournalError, match="does not answer"):
                await journal.counts()
            with pytest.raises(JournalError, match="does not answer"):
                await journal.counts()


async def test_commits_are_durable_whatever_the_database_has_as_its_default(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        name = database_url.rpartition("/")[2]
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    async with process(database_url) as journal:
        inner = journal.member.database._connection
        assert inner is not None
        cursor = await inner.execute("SHOW synchronous_commit")
        assert await cursor.fetchone() == ("on",)


async def test_a_connection_that_is_lost_as_it_is_made_is_closed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[psycopg.AsyncConnection[Any]] = []

    async def cancelled(self: psycopg.AsyncConnection[Any], *_: object) -> None:
        made.append(self)
        raise asyncio.CancelledError

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await Journal(database_url).open()
    assert [connection.closed for connection in made] == [True]


async def test_tables_of_a_newer_version_are_refused(database_url: str) -> None:
    async with process(database_url):
        pass
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE siliconflow_voice.versions SET version = 99")
    with pytest.raises(JournalError, match="of version 99, and this release knows 1: upgrade"):
        await Journal(database_url).open()


async def test_processes_that_come_at_once_make_the_tables_once(database_url: str) -> None:
    journals = [Journal(database_url) for _ in range(8)]
    await asyncio.gather(*(journal.open() for journal in journals))
    assert await asyncio.gather(*(journal.counts() for journal in journals)) == [{}] * 8
    await asyncio.gather(*(journal.close() for journal in journals))


async def test_processes_that_are_long_gone_are_forgotten(database_url: str) -> None:
    async with process(database_url) as first:
        pass
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE siliconflow_voice.runs SET until = until - interval '2 days'")
        async with process(database_url):
            cursor = await connection.execute("SELECT owner FROM siliconflow_voice.runs")
            assert (first.member.me,) not in await cursor.fetchall()


async def test_a_process_that_can_not_say_that_it_leaves_is_no_error(
    own_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    async with Journal(own_server.url(), patience=0.2):
        own_server.stop()
    assert "could not be left: its claims run out by themselves" in caplog.text
    own_server.start()


async def test_what_fails_once_fails_all_that_comes_later(database_url: str) -> None:
    voice = Voice("speech:a:b:\udc80", "model", "narrator-0", TEXT)
    async with process(database_url) as journal:
        assert await _claimed(journal)
        with pytest.raises(JournalError, match="can't be used: UnicodeEncodeError") as caught:
            await journal.done(entry(), voice)
        assert caught.value.__notes__ == [f"narrator-0 was uploaded, but could not be recorded: {voice.uri}"]
        with pytest.raises(JournalError, match="can't be used: UnicodeEncodeError"):
            await journal.begin_lookup()
        with pytest.raises(JournalError, match="can't be used: UnicodeEncodeError"):
            await journal.begin_lookup()


async def test_a_call_that_was_cancelled_holds_up_no_other(database_url: str) -> None:
    async with process(database_url) as journal:
        cancelled = [asyncio.create_task(journal.counts()) for _ in range(3)]
        asked = asyncio.create_task(journal.counts())
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        assert await asked == {}
        # Nor where it fails.
        failing = asyncio.create_task(journal.forget("\udc80"))
        late = asyncio.create_task(journal.counts())
        await asyncio.sleep(0)
        failing.cancel()
        with pytest.raises(JournalError):
            await late


async def test_a_question_about_all_uploads_holds_up_no_claim(database_url: str) -> None:
    async with (
        process(database_url) as journal,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection,
    ):
        await connection.execute("ALTER TABLE siliconflow_voice.uploads RENAME COLUMN candidates TO others")
        await connection.execute("ALTER TABLE siliconflow_voice.uploads RENAME COLUMN trace_id TO candidates")
        with pytest.raises(JournalError, match=r"column .*trace_id does not exist"):
            await journal.superseded(0, 10)
        assert await journal.counts() == {}  # it has not failed


async def test_nothing_is_asked_of_one_that_was_closed(database_url: str) -> None:
    async with process(database_url) as journal:
        await journal.close()
        journal.release(entry())
        with pytest.raises(JournalError, match="was closed during the run"):
            await journal.counts()


async def test_one_that_another_records_in_this_very_moment_is_asked_for_again(
    client: VoiceClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = PostgresJournal.claim, 0

    async def at_first_nothing(self: PostgresJournal, *arguments: Any) -> Claim | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else await claim(self, *arguments)

    monkeypatch.setattr(PostgresJournal, "claim", at_first_nothing)
    assert (await statuses_of(client, [item()], journal=database_url), asked) == (["uploaded"], 2)


# --- whose it is


def has_another_key(emulator: Emulator, *uris: str) -> None:
    """Let the service know no key but a new one, and voices of these uris."""
    emulator._account._api_key = "sk-other"
    emulator.voices[:] = [StoredVoice(uri, "model", "name", "text", "00", size=1) for uri in uris]


@pytest.fixture
async def client_with_another_key(emulator: Emulator) -> AsyncGenerator[VoiceClient, None]:
    async with VoiceClient("sk-other", base_url=emulator.base_url) as client:
        yield client


async def test_another_key_of_the_account_is_learned_once(
    client: VoiceClient, client_with_another_key: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, items(2), journal=database_url)
    has_another_key(emulator, "speech:name:emulated:x")
    for _ in range(2):
        assert await statuses_of(client_with_another_key, items(2), journal=database_url) == ["skipped"] * 2
    assert [record.endpoint for record in emulator.requests].count("list") == 2


async def test_another_account_is_refused(
    client: VoiceClient, client_with_another_key: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, items(2), journal=database_url)
    has_another_key(emulator, "speech:name:theirs:x")
    for _ in range(2):
        with pytest.raises(JournalError, match="belongs to account emulated, and this key to theirs"):
            await outcomes_of(client_with_another_key, items(3), journal=database_url)
    assert len(emulator.voices) == 1


async def test_an_account_that_another_has_recorded_meanwhile_is_not_listed_again(
    client: VoiceClient, emulator: Emulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outcomes_of(client, items(1), journal=database_url)
    account, asked = PostgresJournal.account, 0

    async def at_first_none(self: PostgresJournal) -> Account | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else await account(self)

    monkeypatch.setattr(PostgresJournal, "account", at_first_none)
    await outcomes_of(client, items(2), journal=database_url)
    assert [record.endpoint for record in emulator.requests].count("list") == 1


async def test_a_journal_that_fails_in_a_lookup_ends_the_run(
    client: VoiceClient, emulator: Emulator, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: PostgresJournal, *_: object) -> None:
        raise JournalError("no more")

    await outcomes_of(client, [item(1)], journal=database_url)
    emulator.add_fault(Fault.drop_answer())
    monkeypatch.setattr(PostgresJournal, "resolve", fails)
    with pytest.raises(JournalError, match="no more"):
        await outcomes_of(client, [item()], journal=database_url)


async def test_a_run_that_can_not_list_the_account_lets_another_do_it(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    emulator.add_fault(Fault.return_status(400, endpoint="list"))
    with pytest.raises(BadRequestError):
        await outcomes_of(client, items(2), journal=database_url)
    assert await statuses_of(client, items(2), journal=database_url) == ["uploaded"] * 2


async def test_a_lookup_that_fails_leaves_the_upload_for_the_next_that_comes_to_it(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, [item(1)], journal=database_url)
    emulator.add_fault(Fault.drop_answer())
    emulator.add_fault(Fault.return_status(400, endpoint="list"))
    (outcome,) = await outcomes_of(client, [item()], journal=database_url)
    assert isinstance(outcome.error, AmbiguousUploadError)
    assert "listing the account to find its voice failed" in str(outcome.error)
    assert await statuses_of(client, [item()], journal=database_url, settle=0) == ["recovered"]


async def test_a_lookup_that_is_not_in_time_says_so(
    emulator: Emulator, client: VoiceClient, database_url: str
) -> None:
    await outcomes_of(client, [item(1)], journal=database_url)
    emulator.add_fault(Fault.drop_answer())
    retry = RetryPolicy(deadline=0.5)
    async with (
        process(database_url) as other,
        VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as hurried,
    ):
        assert await other.begin_lookup()
        (outcome,) = await outcomes_of(hurried, [item()], journal=database_url)
    assert isinstance(outcome.error, AmbiguousUploadError)
    assert "the deadline passed before its voice was looked up" in str(outcome.error)


async def test_twins_of_two_runs_can_not_be_told_apart(
    client: VoiceClient, emulator: Emulator, database_url: str
) -> None:
    await outcomes_of(client, [item(1)], journal=database_url)
    twin = entry_of_item()
    async with process(database_url) as other:
        rival = evolve(twin, sha256="00")
        assert await _claimed(other, rival)
        assert await other.intend(rival)
        emulator.add_fault(Fault.drop_answer())
        (outcome,) = await outcomes_of(client, [item()], journal=database_url)
        assert isinstance(outcome.error, AmbiguousUploadError)
        assert [voice.uri for voice in outcome.error.candidates] == [emulator.voices[1].uri]
        await other.failed(rival, ServerError("no", status=500))
    assert await statuses_of(client, [item()], journal=database_url, settle=0) == ["recovered"]


# --- its address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@host/voices?nonsense=1",
        "postgres://%zz:s3cret@h/d",
    ],
)
def test_an_address_that_is_invalid_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="The database's URL is invalid") as caught:
        Journal(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_the_password_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    journal = Journal("postgresql://me:s3cret@127.0.0.1:1/voices")
    with pytest.raises(JournalError) as caught:
        await journal.open()
    assert repr(journal) == "Journal('postgresql://127.0.0.1:1/voices')"
    seen = [str(caught.value), caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        frames = error.__traceback__
        while frames is not None:
            if "/siliconflow_voice/" in frames.tb_frame.f_code.co_filename:
                seen.append(repr(frames.tb_frame.f_locals))
            frames = frames.tb_next
        error = error.__context__
    assert "s3cret" not in "".join(seen)


@pytest.mark.parametrize("changes", [{"lease": 0}, {"patience": -1.0}])
def test_a_lease_and_a_patience_are_positive(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be"):
        Journal("postgresql://127.0.0.1/voices", **changes)


def test_a_missing_driver_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("siliconflow_voice.bulk.claiming", "siliconflow_voice.database", "psycopg")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"needs psycopg: install siliconflow-voice\[fleet\]"):
        Journal("postgresql://127.0.0.1/voices")


async def test_a_name_that_the_database_can_not_hold_is_recorded_without_that(database_url: str) -> None:
    strange = Entry("a\0b\udcff.mp3", "00", "model", "narrator", "words")
    async with process(database_url) as journal, Journal(database_url) as shown:
        assert await _claimed(journal, strange)
        assert [record["audio"] async for record in shown.records()] == ["a\ufffdb?.mp3"]
