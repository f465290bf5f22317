from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from support.journals import another_process, begin, entry, file_of, files_of, found, opened, recorded
from support.recordings import SPEECH, TEXT

from siliconflow_voice import VoiceClient
from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.run import upload_many
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.errors import JournalError
from siliconflow_voice.uploads.values import VoiceUpload


def uploads(count: int) -> list[VoiceUpload]:
    return [VoiceUpload(SPEECH + bytes(number), f"narrator-{number}", TEXT) for number in range(count)]


def test_it_shows_where_it_is() -> None:
    assert repr(Journal("/home/me/voices.journal")) == "Journal('/home/me/voices.journal')"


def test_where_it_is_does_not_depend_on_where_the_program_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal("voices/../voices.journal")
    monkeypatch.chdir("/")
    assert journal.path == tmp_path / "voices.journal"


@pytest.mark.parametrize(
    "use",
    [
        Journal.counts,
        lambda journal: journal.forget("speech:a:b:c"),
        lambda journal: journal.export(f"{journal.path}.csv"),
    ],
)
async def test_one_that_is_not_open_is_of_no_use(
    tmp_path: Path, use: Callable[[Journal], Awaitable[object]]
) -> None:
    journal = Journal(tmp_path / "voices.journal")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"voices\.journal is not open\.$"):
            await use(journal)
        async with journal:
            pass
    assert files_of(tmp_path / "voices.journal") == [journal.path]


async def test_opening_it_twice_is_an_error_and_leaves_it_open(place: str) -> None:
    async with Journal(place) as journal:
        with pytest.raises(JournalError, match="is open already"):
            await journal.open()
        assert await journal.counts() == {}


async def test_so_it_is_while_it_is_being_opened(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "voices.journal")
    answers = await asyncio.gather(journal.open(), journal.open(), journal.counts(), return_exceptions=True)
    await journal.close()
    assert list(map(str, answers)) == ["None", f"The journal {journal.path} is open already.", "{}"]


async def test_closing_it_twice_does_nothing(place: str) -> None:
    journal = Journal(place)
    await journal.close()
    await journal.open()
    await journal.close()
    await journal.close()


async def test_it_can_be_opened_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "voices.journal")
    for number in range(3):
        async with journal:
            await file_of(journal).transact(partial(Store.intend, entry=entry(number)))
            assert await journal.counts() == {"unknown": number + 1}


async def test_it_is_closed_whatever_goes_wrong_while_it_is_open(tmp_path: Path) -> None:
    async def fail() -> None:
        async with Journal(tmp_path / "voices.journal"):
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert found(tmp_path / "voices.journal") == []


async def test_another_journal_of_the_same_file_is_refused_until_it_is_closed(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "voices.journal"), Journal(tmp_path / "voices.journal")
    async with first:
        for _ in range(2):
            with pytest.raises(JournalError, match="is in use by another run"):
                await second.open()
    async with second:
        assert await second.counts() == {}


async def test_one_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "voices.journal")
    with another_process(tmp_path / "voices.journal") as process:
        with pytest.raises(JournalError, match="is in use by another run"):
            await journal.open()
        process.kill()
        process.wait()
        async with journal:
            assert await journal.counts() == {"unknown": 1}


async def test_who_is_cancelled_while_it_is_opened_leaves_it_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    open_it = Store.open

    def open_slowly(path: Path) -> Store:
        reached.set()
        assert go_on.wait(30)
        return open_it(path)

    monkeypatch.setattr(Store, "open", open_slowly)
    journal = Journal(tmp_path / "voices.journal")
    opening = asyncio.create_task(journal.open())
    await asyncio.to_thread(reached.wait, 30)
    thread = file_of(journal)._thread
    opening.cancel()
    await asyncio.wait([opening])
    go_on.set()
    await asyncio.to_thread(thread.join, 30)
    assert opening.cancelled()
    async with journal:
        assert await journal.counts() == {}


async def test_a_failure_to_open_it_that_nobody_waits_for_is_no_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    journal = Journal(tmp_path / "missing" / "voices.journal")
    opening = asyncio.create_task(journal.open())
    await asyncio.sleep(0)
    thread = file_of(journal)._thread
    opening.cancel()
    await asyncio.to_thread(thread.join, 30)
    await asyncio.gather(opening, return_exceptions=True)
    assert (opening.cancelled(), noise) == (True, [])


async def test_its_uploads_are_counted_by_what_came_of_them(place: str) -> None:
    states = ["uploaded", "uploaded", "recovered", "failed", "pending", "unknown"]
    async with Journal(place) as journal:
        for number, state in enumerate(states):
            await recorded(journal, entry(number), state)
        assert await journal.counts() == {
            "uploaded": 2,
            "recovered": 1,
            "failed": 1,
            "pending": 1,
            "unknown": 1,
        }


async def test_one_run_at_a_time_has_it(client: VoiceClient, tmp_path: Path) -> None:
    uploader = client.uploader()
    async with Journal(tmp_path / "voices.journal") as journal:
        for _ in range(2):
            async with journal.run(uploader, settle=0):
                with pytest.raises(JournalError, match=r"voices\.journal is in use by another run"):
                    async with journal.run(uploader, settle=0):
                        pass


async def test_when_a_run_ended_is_recorded_however_it_ended(client: VoiceClient, tmp_path: Path) -> None:
    async with Journal(tmp_path / "voices.journal") as journal:
        for wanted in (1, 2):
            async with aclosing(upload_many(client, uploads(wanted), journal=journal, settle=0)) as outcomes:
                await anext(outcomes)
                before = time.time()
            last = await file_of(journal).last_run()
            assert last is not None
            assert before <= last.alive_at <= time.time()


async def test_one_that_is_closed_during_a_run_ends_it(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "voices.journal")
    await journal.open()
    outcomes = upload_many(client, uploads(50), concurrency=1, journal=journal)
    await anext(outcomes)
    await journal.close()
    with pytest.raises(JournalError, match=r"voices\.journal was closed during the run"):
        async for _ in outcomes:
            pass
    assert len(emulator.voices) < 5


async def test_two_runs_at_once_with_one_journal_are_refused(client: VoiceClient, tmp_path: Path) -> None:
    async with Journal(tmp_path / "voices.journal") as journal:
        async with aclosing(upload_many(client, uploads(2), journal=journal)) as outcomes:
            await anext(outcomes)
            with pytest.raises(JournalError, match="is in use by another run"):
                await anext(upload_many(client, uploads(2), journal=journal))
        done = [
            outcome.status async for outcome in upload_many(client, uploads(2), journal=journal, settle=0)
        ]
    assert len(done) == 2


async def test_no_byte_of_its_files_tells_the_key(client: VoiceClient, tmp_path: Path) -> None:
    path = tmp_path / "voices.journal"
    async with Journal(path) as journal:
        [outcome async for outcome in upload_many(client, uploads(3), journal=journal)]
        written = b"".join(file.read_bytes() for file in files_of(path))
        await journal.export(tmp_path / "voices.csv")
    written += path.read_bytes() + (tmp_path / "voices.csv").read_bytes()
    assert (b"sk-test" in written, TEXT.encode() in written, SPEECH[:64] in written) == (False, True, False)


@pytest.mark.parametrize("name", ["voices.journal", "voices.journal-wal"])
async def test_a_run_whose_journal_is_deleted_ends_and_sends_nothing_more(
    client: VoiceClient, emulator: Emulator, tmp_path: Path, name: str
) -> None:
    emulator.add_fault(Fault.delay(0.01, times=100))
    statuses = []

    async def run() -> None:
        async with Journal(tmp_path / "voices.journal") as journal:
            many = upload_many(client, uploads(50), concurrency=2, journal=journal)
            async for outcome in many:
                statuses.append(outcome.status)
                (tmp_path / name).unlink(missing_ok=True)

    with pytest.raises(JournalError, match=f"/{name} was deleted during the run"):
        await run()
    assert set(statuses) == {"uploaded"}
    assert len(emulator.voices) < 10


async def test_a_run_on_a_full_disk_ends_and_the_next_one_goes_on_without_making_a_voice_twice(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    statuses: list[str] = []

    async def run() -> None:
        async with Journal(tmp_path / "voices.journal") as journal:
            await file_of(journal).transact(
                lambda store: store._connection.execute("PRAGMA max_page_count = 7")
            )
            async for outcome in upload_many(client, uploads(60), concurrency=3, journal=journal):
                statuses.append(outcome.status)  # noqa: PERF401 - up to where it fails

    with pytest.raises(JournalError, match="the disk is full"):
        await run()
    assert set(statuses) == {"uploaded"}
    assert 2 < len(statuses) < 50

    rest = upload_many(client, uploads(60), journal=tmp_path / "voices.journal", settle=0)
    again = [outcome.status async for outcome in rest]
    assert (again.count("skipped"), again.count("failed")) == (len(statuses), 0)
    assert len(emulator.voices) == 60


async def test_a_run_that_can_not_open_its_journal_sends_nothing(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    with opened(tmp_path / "voices.journal") as store:
        begin(store, entry())
        with pytest.raises(JournalError, match="is in use by another run"):
            await anext(upload_many(client, uploads(1), journal=store.path))
    assert emulator.requests == []
