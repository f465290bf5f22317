from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import begin, copy_of, entry, finish, opened, records

from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError

PAGE = 4096
FRAME = 24 + PAGE
HEADER = 32


State = list[tuple[str, str, str | None]]


@frozen
class Left:
    """A journal's files as a run left them that did not end."""

    path: Path
    states: list[State]
    """What was committed, after each transaction."""

    @property
    def log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def opened_after(self, change: Callable[[Left], object], folder: Path) -> State | str:
        """Do something to a copy of them; give what is in it then, or why it can't be opened."""
        copy = Left(copy_of(self.path, folder), self.states)
        change(copy)
        try:
            return state_of(copy.path)
        except JournalError as error:
            return error.message
        finally:
            shutil.rmtree(folder)


def state_of(path: Path) -> State:
    with opened(path) as store:
        held = records(store)
        with store.transaction():
            assert [store.find(record.key) for record in held] == held
            assert store.unknown() == [record for record in held if record.state == "unknown"]
    return [(record.custom_name, record.state, record.uri) for record in held]


def left_by_a_run(folder: Path, *, checkpoint: int) -> Left:
    states: list[State] = [[]]
    with opened(folder / "open") as store:
        store._connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint}")
        for number in range(40):
            upload = entry(number, text="words " * 100)
            for step in (begin, finish):
                step(store, upload)
                states.append([(record.custom_name, record.state, record.uri) for record in records(store)])
        return Left(copy_of(folder / "open", folder / "left"), states)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """All of it is in the log."""
    return left_by_a_run(tmp_path_factory.mktemp("whole"), checkpoint=100_000)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What the log holds, or held before it was begun anew, is in the file too."""
    return left_by_a_run(tmp_path_factory.mktemp("moved"), checkpoint=50)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """As a run leaves it that ends well."""
    path = tmp_path_factory.mktemp("closed") / "journal"
    with opened(path) as store:
        for number in range(150):
            begin(store, entry(number))
            finish(store, entry(number))
    return Left(path, [state_of(path)])


def cut_log(size: int) -> Callable[[Left], None]:
    return lambda copy: os.truncate(copy.log, size)


def test_what_a_run_left_is_all_there(left: Left, moved: Left, tmp_path: Path) -> None:
    def keep(copy: Left) -> None:
        assert copy.log.stat().st_size > HEADER

    assert left.opened_after(keep, tmp_path / "copy") == left.states[-1]
    assert moved.opened_after(keep, tmp_path / "copy") == moved.states[-1]


def test_it_is_so_after_it_was_opened_and_left_again(left: Left, tmp_path: Path) -> None:
    copy = copy_of(left.path, tmp_path / "first")
    for again in ("second", "third"):
        with opened(copy) as store:
            begin(store, entry(100))
            copy = copy_of(copy, tmp_path / again)
    assert state_of(copy) == [*left.states[-1], ("narrator-100", "unknown", None)]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_wherever_the_log_is_cut_off_what_was_committed_before_is_there(
    left: Left, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    size = left.log.stat().st_size
    frames = st.integers(0, (size - HEADER) // FRAME)
    edges = st.builds(lambda frame, shift: HEADER + frame * FRAME + shift, frames, st.integers(-1, 25))
    at = data.draw(st.integers(0, size) | edges.filter(lambda edge: edge <= size) | st.integers(0, HEADER))
    assert left.opened_after(cut_log(at), tmp_path_factory.mktemp("cut")) in left.states


def test_the_more_of_the_log_there_is_the_more_is_found(left: Left, tmp_path: Path) -> None:
    size = left.log.stat().st_size
    counts = [
        len(left.opened_after(cut_log(at), tmp_path / "cut")) for at in range(HEADER, size + 1, 10 * FRAME)
    ]
    assert (counts[0], sorted(counts), counts[-1] > 30) == (0, counts, True)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_log_that_is_older_than_the_file_gives_no_half_of_the_truth(
    moved: Left, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = data.draw(st.integers(0, moved.log.stat().st_size))
    told = moved.opened_after(cut_log(at), tmp_path_factory.mktemp("cut"))
    assert told in moved.states or "is damaged" in told


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_bytes_in_the_log_that_were_written_over_end_it_there(
    left: Left, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = data.draw(st.integers(HEADER, left.log.stat().st_size - 8))

    def write_over(copy: Left) -> None:
        with copy.log.open("r+b") as file:
            file.seek(at)
            file.write(b"\x5a" * 8)

    assert left.opened_after(write_over, tmp_path_factory.mktemp("over")) in left.states[:-1]


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_wherever_the_file_is_cut_off_it_is_damaged(
    closed: Left, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    size = closed.path.stat().st_size
    at = data.draw(st.integers(2, size - 1) | st.integers(1, size // PAGE - 1).map(lambda page: page * PAGE))
    told = closed.opened_after(lambda copy: os.truncate(copy.path, at), tmp_path_factory.mktemp("cut"))
    assert "is damaged" in told


@settings(deadline=None, max_examples=40)
@given(share=st.floats(0, 1))
def test_wherever_the_file_beside_a_log_is_cut_off_nothing_is_wrong(
    moved: Left, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = int(moved.path.stat().st_size * share)
    told = moved.opened_after(lambda copy: os.truncate(copy.path, at), tmp_path_factory.mktemp("cut"))
    assert told == moved.states[-1] or "is damaged" in told


@pytest.mark.parametrize(
    "lose", [lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 1), Path.unlink]
)
def test_one_that_lost_all_is_not_taken_for_new_if_its_log_shows_that(
    left: Left, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    copy = Left(copy_of(left.path, tmp_path / "copy"), left.states)
    lose(copy.path)
    before = copy.log.read_bytes()
    with pytest.raises(JournalError, match="is damaged: it is missing or empty, but its log open-wal is not"):
        Store.open(copy.path)
    assert copy.log.read_bytes() == before


def test_a_log_without_content_says_nothing(tmp_path: Path) -> None:
    for name in ("journal", "journal-wal"):
        (tmp_path / name).touch()
    assert state_of(tmp_path / "journal") == []


@pytest.mark.parametrize(
    "content",
    [lambda _: bytes(PAGE), lambda _: b"\xff" * PAGE, lambda pages: pages[0], lambda pages: pages[-2]],
    ids=["zeros", "ones", "the first page", "a later page"],
)
def test_a_page_that_was_written_over_is_damage(
    closed: Left, tmp_path: Path, content: Callable[[list[bytes]], bytes]
) -> None:
    whole = closed.path.read_bytes()
    pages = [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
    wrong = content(pages)

    def told(number: int) -> State | str:
        changed = b"".join([*pages[:number], wrong, *pages[number + 1 :]])
        return closed.opened_after(lambda copy: copy.path.write_bytes(changed), tmp_path / "copy")

    answers = {number: told(number) for number in range(len(pages)) if pages[number] != wrong}
    assert len(answers) > 12
    assert {number: answer for number, answer in answers.items() if "is damaged" not in answer} == {}


def test_an_upload_that_an_index_does_not_know_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(path):
        pass

    def change(statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            return connection.execute(statement, values).fetchall()

    [index] = change("SELECT * FROM sqlite_master WHERE name = 'unknown'")
    change("DELETE FROM sqlite_master WHERE name = 'unknown'")
    with closing(Store(path, sqlite3.connect(path, isolation_level=None))) as store:
        begin(store, entry())
    change("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", *index)
    with pytest.raises(JournalError, match="is damaged: row 1 missing from index unknown"):
        Store.open(path)


def test_what_is_said_of_damage_is_one_line(closed: Left, tmp_path: Path) -> None:
    def write_over(copy: Left) -> None:
        with copy.path.open("r+b") as file:
            file.seek(10 * PAGE)
            file.write(bytes(PAGE))

    assert "\n" not in closed.opened_after(write_over, tmp_path / "copy")


def test_damage_that_comes_while_it_is_open_is_an_error_and_no_record(closed: Left, tmp_path: Path) -> None:
    path = copy_of(closed.path, tmp_path / "copy")
    size = path.stat().st_size
    with opened(path) as store:
        store._connection.execute("PRAGMA cache_size = 0")
        with path.open("r+b") as file:
            file.seek(PAGE)
            file.write(b"\xff" * (size - PAGE))
        with pytest.raises(JournalError, match="is damaged"):
            records(store)


def test_a_text_that_is_none_is_an_error_and_no_record(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        begin(store, entry())
        store._connection.execute("UPDATE uploads SET text = CAST(x'ff' AS TEXT)")
        with pytest.raises(JournalError, match="can't be used: Could not decode to UTF-8"):
            records(store)


def test_tables_that_are_missing_are_an_error(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        store._connection.execute("DROP TABLE uploads")
    with pytest.raises(JournalError, match="is not a journal: it has other tables"):
        Store.open(tmp_path / "journal")


def test_a_journal_whose_making_was_interrupted_is_made_to_its_end(tmp_path: Path) -> None:
    with opened(tmp_path / "journal"):
        begun = copy_of(tmp_path / "journal", tmp_path / "copy")
    os.truncate(f"{begun}-wal", HEADER + FRAME)
    with opened(begun) as store:
        begin(store, entry())
    assert state_of(begun) == [("narrator-0", "unknown", None)]


def test_a_journal_whose_damage_sqlite_can_only_quote_in_bytes_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "voices.journal"
    Store.open(path).close()
    # As long as it was, and of no encoding: SQLite's message repeats it.
    path.write_bytes(path.read_bytes().replace(b"NOT NULL UNIQUE", b"NOT N\xefLL UNIQUE"))
    with pytest.raises(JournalError, match=r"is damaged\.$") as caught:
        Store.open(path)
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
