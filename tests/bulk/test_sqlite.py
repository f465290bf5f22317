from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bulk import until
from support.journals import RUN, Blocker, copy_of, fail, found, intend, writing

from siliconflow_voice.bulk import sqlite, store
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError


async def commits_of(journal: SQLiteJournal) -> list[str]:
    """Give a list that grows with each commit from now on."""
    commits: list[str] = []

    def trace(statement: str) -> None:
        if statement == "COMMIT":
            commits.append(statement)

    await journal.transact(lambda store: store._connection.set_trace_callback(trace))
    commits.clear()  # that of the order itself
    return commits


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_what_is_answered_is_on_the_disk(sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("answered")

    async def run() -> None:
        names: list[str] = []

        async def order(number: int) -> None:
            await journal.transact(intend(number))
            names.append(f"narrator-{number}")
            copy = copy_of(folder / "journal", folder / f"after {number}")
            assert set(found(copy)) >= set(names)

        async with writing(folder / "journal") as journal:
            for size in sizes:
                async with asyncio.TaskGroup() as group:
                    for number in range(len(names), len(names) + size):
                        group.create_task(order(number))
        assert sorted(found(folder / "journal")) == sorted(names)

    asyncio.run(run())


async def test_nothing_is_answered_before_it_is_committed(tmp_path: Path) -> None:
    blocker = Blocker()
    async with writing(tmp_path / "journal") as journal:
        first = asyncio.create_task(journal.transact(intend(0)))
        blocked = asyncio.create_task(journal.transact(blocker))
        await blocker.reached.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        begun_together = not first.done()
        on_disk = found(copy_of(tmp_path / "journal", tmp_path / "copy"))
        blocker.go_on.set()
        await asyncio.gather(first, blocked)
    assert on_disk == ([] if begun_together else ["narrator-0"])


async def test_an_answer_is_what_the_operation_gave(tmp_path: Path) -> None:
    async with writing(tmp_path / "journal") as journal:
        _, counts = await asyncio.gather(journal.transact(intend(0)), journal.transact(Store.counts))
    assert counts == {"unknown": 1}


async def commits_of_a_pile(path: Path) -> int:
    """Have fifty orders pile up behind one, and count the commits of all."""
    blocker = Blocker()
    async with writing(path) as journal:
        commits = await commits_of(journal)
        blocked = asyncio.create_task(journal.transact(blocker))
        await blocker.reached.wait()
        piled = [asyncio.create_task(journal.transact(intend(number))) for number in range(50)]
        await asyncio.sleep(0)
        blocker.go_on.set()
        await asyncio.gather(blocked, *piled)
        return len(commits)


async def test_orders_that_pile_up_are_committed_together_in_their_order(tmp_path: Path) -> None:
    assert await commits_of_a_pile(tmp_path / "journal") == 2
    assert found(tmp_path / "journal") == [f"narrator-{number}" for number in range(50)]


async def test_but_not_more_than_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_MOST_AT_ONCE", 20)
    assert await commits_of_a_pile(tmp_path / "journal") == 1 + 3


async def test_who_gives_up_waiting_disturbs_nobody_and_what_they_asked_for_is_done(tmp_path: Path) -> None:
    blocker = Blocker()
    async with writing(tmp_path / "journal") as journal:
        blocked = asyncio.create_task(journal.transact(blocker))
        await blocker.reached.wait()
        piled = [asyncio.create_task(journal.transact(intend(number))) for number in range(3)]
        await asyncio.sleep(0)
        piled[1].cancel()
        blocked.cancel()
        blocker.go_on.set()
        answers = await asyncio.gather(blocked, *piled, return_exceptions=True)
    assert [type(answer) for answer in answers] == [
        asyncio.CancelledError,
        type(None),
        asyncio.CancelledError,
        type(None),
    ]
    assert found(tmp_path / "journal") == ["narrator-0", "narrator-1", "narrator-2"]


async def test_an_operation_that_fails_takes_what_was_with_it_and_comes_after_it_along(
    tmp_path: Path,
) -> None:
    blocker = Blocker()
    async with writing(tmp_path / "journal") as journal:
        await journal.transact(intend(0))
        blocked = asyncio.create_task(journal.transact(blocker))
        await blocker.reached.wait()
        piled = [
            asyncio.create_task(journal.transact(operation)) for operation in (intend(1), fail, intend(2))
        ]
        await asyncio.sleep(0)
        blocker.go_on.set()
        answers = await asyncio.gather(blocked, *piled, return_exceptions=True)
        with pytest.raises(JournalError) as later:
            await journal.transact(intend(3))
    failures = [*answers[1:], later.value]
    assert answers[0] == "blocked"
    assert {str(failure) for failure in failures} == {
        f"The journal {tmp_path}/journal can't be used: LookupError('no such thing')."
    }
    assert {type(failure.__cause__) for failure in failures if isinstance(failure, JournalError)} == {
        LookupError
    }
    assert len(set(map(id, failures))) == 4  # each has a traceback of its own
    assert found(tmp_path / "journal") == ["narrator-0"]


async def test_what_can_not_be_written_fails_all_that_comes_after_it(tmp_path: Path) -> None:
    async with writing(tmp_path / "journal") as journal:
        await journal.transact(intend(0))
        await journal.transact(lambda store: store._connection.execute("PRAGMA max_page_count = 1"))
        failures = await asyncio.gather(
            *[journal.transact(intend(number)) for number in range(1, 100)], return_exceptions=True
        )
        with pytest.raises(JournalError, match="the disk is full"):
            await journal.transact(Store.counts)
    written = [type(failure) for failure in failures].count(type(None))
    assert found(tmp_path / "journal") == [f"narrator-{number}" for number in range(written + 1)]


async def test_a_run_that_asks_for_nothing_is_recorded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BEAT", 0.001)
    monkeypatch.setattr(store, "BEAT", 0.0)
    async with writing(tmp_path / "journal") as journal:
        await journal.begin_run(RUN, {}, [])
        commits = await commits_of(journal)
        await until(lambda: len(commits) > 3)
        await journal.end_run()
        last = await journal.last_run()
    assert last is not None
    assert last.alive_at > RUN.alive_at


async def test_without_a_run_nothing_is_recorded_but_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BEAT", 0.0)
    async with writing(tmp_path / "journal") as journal:
        commits = await commits_of(journal)
        await journal.end_run()
        await asyncio.sleep(0.01)
        assert await journal.last_run() is None
    assert len(commits) == 2


@pytest.mark.parametrize("name", ["journal", "journal-wal"])
async def test_a_file_that_is_gone_is_never_said_to_be_written(tmp_path: Path, name: str) -> None:
    async with writing(tmp_path / "journal") as journal:
        await journal.transact(intend(0))
        (tmp_path / name).unlink()
        for number in (1, 2):
            with pytest.raises(JournalError, match=f"/{name} was deleted during the run"):
                await journal.transact(intend(number))


async def test_an_error_of_the_journal_keeps_its_cause(tmp_path: Path) -> None:
    async with writing(tmp_path / "journal") as journal:
        for _ in range(2):
            with pytest.raises(JournalError, match="no such table: songs") as caught:
                await journal.transact(lambda store: store._connection.execute("SELECT * FROM songs"))
            assert type(caught.value.__cause__).__name__ == "OperationalError"
