from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from support.journals import Blocker, begin, entry, fail, found, intend, opened, records, writing

from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    blocker = Blocker()
    journal = SQLiteJournal(tmp_path / "journal")
    await journal.open()
    orders = [
        asyncio.create_task(journal.transact(operation)) for operation in (blocker, intend(0), intend(1))
    ]
    await blocker.reached.wait()
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    assert not closing.done()
    blocker.go_on.set()
    await closing
    assert [order.done() for order in orders] == [True] * 3
    assert found(tmp_path / "journal") == ["narrator-0", "narrator-1"]


async def test_what_fails_last_of_all_does_not_hold_up_the_end(tmp_path: Path) -> None:
    blocker = Blocker()
    journal = SQLiteJournal(tmp_path / "journal")
    await journal.open()
    blocked = asyncio.create_task(journal.transact(blocker))
    await blocker.reached.wait()
    last = asyncio.create_task(journal.transact(fail))
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    blocker.go_on.set()
    await asyncio.gather(blocked, closing)
    with pytest.raises(JournalError, match="no such thing"):
        await last


async def test_a_file_that_can_not_be_closed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Store.close

    def close_and_fail(store: Store) -> None:
        close(store)
        raise OSError("no more")

    monkeypatch.setattr(Store, "close", close_and_fail)
    journal = SQLiteJournal(tmp_path / "journal")
    await journal.open()
    with pytest.raises(JournalError, match=r"can't be used: OSError\('no more'\)"):
        await journal.close()


async def test_after_a_failure_it_is_none_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = Store.close

    def close_and_fail(store: Store) -> None:
        close(store)
        raise OSError("no more")

    monkeypatch.setattr(Store, "close", close_and_fail)
    async with writing(tmp_path / "journal") as journal:
        with pytest.raises(JournalError, match="no such thing"):
            await journal.transact(fail)


async def test_what_is_asked_of_a_journal_that_can_not_be_opened_fails(tmp_path: Path) -> None:
    with opened(tmp_path / "journal"):
        journal = SQLiteJournal(tmp_path / "journal")
        early = journal.transact(intend(0))
        with pytest.raises(JournalError, match="in use"):
            await journal.open()
        answers = await asyncio.gather(early, journal.transact(intend(1)), return_exceptions=True)
        await journal.close()
    assert [str(answer) for answer in answers] == [
        f"The journal {tmp_path}/journal is in use by another run."
    ] * 2


async def test_whatever_goes_wrong_in_opening_is_told(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "jour\0nal")
    with pytest.raises(JournalError, match=r"can't be used: ValueError\('.*embedded null"):
        await journal.open()
    await journal.close()


def test_a_loop_that_has_ended_is_nothing_to_the_thread(tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def block(store: Store) -> None:
        reached.set()
        assert go_on.wait(30)
        store.intend(entry())

    async def run() -> SQLiteJournal:
        journal = SQLiteJournal(tmp_path / "journal")
        await journal.open()
        order = asyncio.create_task(journal.transact(block))
        await asyncio.to_thread(reached.wait, 30)
        order.cancel()
        return journal

    journal = asyncio.run(run())
    go_on.set()
    journal.leave()
    journal._thread.join(30)
    assert not journal._thread.is_alive()
    with opened(tmp_path / "journal") as store:
        assert [record.custom_name for record in records(store)] == ["narrator-0"]
        begin(store, entry(1))


async def test_its_thread_ends_with_it_and_keeps_no_process_alive(tmp_path: Path) -> None:
    async with writing(tmp_path / "journal") as journal:
        thread = journal._thread
    assert (thread.name, thread.daemon, thread.is_alive()) == ("siliconflow-voice-journal", True, False)
