from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journals import RUN, absent, begin, entry, files_of, finish, opened, records, uri_of

from siliconflow_voice.bulk import journal_file
from siliconflow_voice.bulk import store as store_module
from siliconflow_voice.bulk.store import Entry, LastRun, Record, Store
from siliconflow_voice.errors import JournalError

Parts = tuple[str, str, str, str]
parts = st.tuples(*[st.text(max_size=4) | st.sampled_from(["a", "ab", "b", '"', ",", '", "'])] * 4)


def key_of(values: Parts, audio: str = "narrator.mp3") -> bytes:
    return Entry(audio, *values).key


@given(parts, st.text(), st.text())
def test_an_upload_is_the_same_whatever_its_audio_is_called(values: Parts, one: str, other: str) -> None:
    assert key_of(values, one) == key_of(values, other)


@given(parts, parts)
def test_another_digest_model_name_or_text_makes_another_upload(one: Parts, other: Parts) -> None:
    assert (key_of(one) == key_of(other)) is (one == other)


@given(st.text(min_size=1), st.text())
def test_what_moves_from_one_field_to_the_next_makes_another_upload(moved: str, text: str) -> None:
    assert key_of(("00", "model", moved, text)) != key_of(("00", "model", "", moved + text))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177])
def test_the_files_are_for_their_owner_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with opened(tmp_path / "journal"):
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"journal": 0o600, "journal-wal": 0o600}


def test_so_is_a_file_that_a_link_leads_to_before_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "journal")
    before = os.umask(0)
    try:
        with opened(tmp_path / "link"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


def test_closing_it_leaves_one_file(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        begin(store, entry())
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


def test_the_log_is_one_file_from_opening_to_closing(tmp_path: Path) -> None:
    log = tmp_path / "journal-wal"
    with opened(tmp_path / "journal"):
        pass
    with opened(tmp_path / "journal") as store:
        at_first = log.stat().st_ino
        store._connection.execute("PRAGMA wal_autocheckpoint = 3")
        for number in range(20):
            begin(store, entry(number))
        assert log.stat().st_ino == at_first
        assert log.stat().st_size < 20 * 4096  # it was begun anew meanwhile


def test_what_is_written_is_synchronised_each_time_and_shared_with_nobody(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        begin(store, entry())
        settings = {
            name: store._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "fullfsync", "locking_mode")
        }
        assert [file.name for file in files_of(store.path)] == ["journal", "journal-wal"]
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "fullfsync": 1,
        "locking_mode": "exclusive",
    }


def test_a_file_without_content_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").touch()
    with opened(tmp_path / "journal") as store:
        assert records(store) == []


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(JournalError, match=r"music\.db is not a journal, but another program's database"):
        Store.open(path)
    assert ([file.name for file in tmp_path.iterdir()], path.read_bytes()) == (["music.db"], content)


def test_so_is_one_that_says_whose_it_is_and_is_empty(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "music.db")
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    with pytest.raises(JournalError, match="another program's database"):
        Store.open(tmp_path / "music.db")


def test_a_text_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("words\n" * 1000)
    with pytest.raises(JournalError, match=r"notes\.txt is damaged, or is not a journal"):
        Store.open(path)
    assert path.read_text() == "words\n" * 1000


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        store._connection.execute("PRAGMA user_version = 2")
    with pytest.raises(JournalError, match="was written by a newer version of siliconflow_voice: upgrade"):
        Store.open(tmp_path / "journal")


def test_storage_where_no_log_can_be_kept_is_refused() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(JournalError, match="on storage where SQLite can't keep a write-ahead log"):
        journal_file._prepare(connection, Path("journal"), "")
    connection.close()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing/journal", "can't be used: No such file"), ("", "is a directory, not a regular file")],
)
def test_a_path_where_no_file_can_be_is_refused(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(JournalError, match=reason):
        Store.open(tmp_path / path)


def test_an_error_of_sqlite_becomes_the_sdks_own_with_its_cause(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        with pytest.raises(JournalError, match="can't be used: no such table: songs") as caught:
            with store.transaction():
                store._connection.execute("SELECT * FROM songs")
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_what_fails_in_a_transaction_undoes_all_of_it(tmp_path: Path) -> None:
    def attempt(store: Store) -> None:
        with store.transaction():
            store.intend(entry(1))
            raise LookupError

    with opened(tmp_path / "journal") as store:
        begin(store, entry(0))
        with pytest.raises(LookupError):
            attempt(store)
        begin(store, entry(2))
        assert [record.custom_name for record in records(store)] == ["narrator-0", "narrator-2"]


def test_an_upload_that_was_begun_is_unknown_until_its_end_is_told(tmp_path: Path) -> None:
    entries = [entry(number) for number in range(5)]
    with opened(tmp_path / "journal") as store:
        begin(store, *entries)
        with store.transaction():
            store.failed(entries[0], "unknown", "Its answer was lost.")
            store.done(entries[0].key, "uploaded", "speech:a:b:c", trace_id="ti_1", attempts=2)
            store.failed(entries[1], "failed", "HTTP 400: no.", trace_id="ti_2", attempts=1)
            store.failed(entries[2], "unknown", "Its answer was lost.", attempts=3)
            absent(store, entries[3].key)
        told = [
            (record.state, record.uri, record.error, record.trace_id, record.attempts)
            for record in records(store)
        ]
        with store.transaction():
            assert [record.key for record in store.unknown()] == [entries[2].key, entries[4].key]
            assert store.counts() == {"uploaded": 1, "failed": 1, "unknown": 2, "pending": 1}
    assert told == [
        ("uploaded", "speech:a:b:c", None, "ti_1", 2),
        ("failed", None, "HTTP 400: no.", "ti_2", 1),
        ("unknown", None, "Its answer was lost.", None, 3),
        ("pending", None, None, None, 0),
        ("unknown", None, None, None, 0),
    ]


def test_an_upload_that_failed_before_it_was_begun_is_kept_too(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        with store.transaction():
            store.failed(entry(), "failed", "The deadline passed.")
        assert [record.state for record in records(store)] == ["failed"]


def test_one_that_is_begun_again_forgets_its_failure_and_is_called_as_it_is_now(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        with store.transaction():
            store.failed(entry(), "failed", "HTTP 400: no.", trace_id="ti_2", attempts=1)
        begin(store, entry(audio="moved.mp3"))
        [record] = records(store)
    assert (record.state, record.audio, record.error, record.trace_id, record.attempts) == (
        "unknown",
        "moved.mp3",
        None,
        None,
        0,
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["intend", "failed", "open", "done", "absent"])),
        max_size=12,
    )
)
def test_what_has_its_uri_never_loses_it_nor_is_unknown_again(orders: list[tuple[int, str]]) -> None:
    store = Store(Path("journal"), sqlite3.connect(":memory:", isolation_level=None))
    for statement in store_module._CREATE.split(";"):
        store._connection.execute(statement)
    expected: dict[int, str] = {}
    for number, order in orders:
        upload = entry(number)
        match order:
            case "done" if number in expected:
                store.done(upload.key, "uploaded", uri_of(upload))
                expected[number] = "uploaded"
            case "absent" if number in expected:
                absent(store, upload.key)
                expected[number] = "uploaded" if expected[number] == "uploaded" else "pending"
            case "intend" | "failed" | "open":
                state = {"intend": "unknown", "failed": "failed", "open": "unknown"}[order]
                if order == "intend":
                    store.intend(upload)
                else:
                    store.failed(upload, state, "It failed.")  # type: ignore[arg-type] # a state it is
                expected[number] = "uploaded" if expected.get(number) == "uploaded" else state
    found = {number: store.find(entry(number).key) for number in (0, 1)}
    store.close()
    assert {number: record.state for number, record in found.items() if record is not None} == expected
    assert {number for number, record in found.items() if record is not None and record.uri} == {
        number for number, state in expected.items() if state == "uploaded"
    }


def test_a_uri_of_an_upload_that_was_never_begun_is_an_error(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        with pytest.raises(JournalError, match="has no upload that speech:a:b:c could be the voice of"):
            with store.transaction():
                store.done(entry().key, "uploaded", "speech:a:b:c")


def test_it_gives_back_what_was_put_in(tmp_path: Path) -> None:
    upload = entry(text='两\n行, "quoted" and \' and \0 and 🎙', audio="声音/?.mp3")
    with opened(tmp_path / "journal") as store:
        begin(store, upload)
        with store.transaction():
            record = store.find(upload.key)
            assert store.find(bytes(16)) is None
    assert isinstance(record, Record)
    assert Entry(record.audio, record.sha256, record.model, record.custom_name, record.text) == upload


def test_the_uris_of_names_are_found(tmp_path: Path) -> None:
    entries = [entry(0), entry(1), entry(2, custom_name="narrator-0"), entry(3, custom_name='"')]
    with opened(tmp_path / "journal") as store:
        with store.transaction():
            assert store.any_uri() is None
        begin(store, *entries, entry(4, custom_name="narrator-0"))
        finish(store, *entries)
        with store.transaction():
            assert store.uris_of(["narrator-0", '"', "nobody"]) == {uri_of(entries[at]) for at in (0, 2, 3)}
            assert store.uris_of([]) == set()
            assert store.any_uri() == uri_of(entries[0])


def test_records_come_in_pages_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    entries = [entry(number) for number in (3, 1, 2)]
    with opened(tmp_path / "journal") as store:
        begin(store, *entries)
        finish(store, entries[0])
        with store.transaction():
            first = store.page(0, 2)
            second = store.page(first[-1][0], 2)
            assert store.page(second[-1][0], 2) == []
    names = [[record.custom_name for _, record in page] for page in (first, second)]
    assert names == [["narrator-3", "narrator-1"], ["narrator-2"]]


def alive(store: Store, method: Callable[[Store], None], now: float, patch: pytest.MonkeyPatch) -> float:
    """Return when the last run is said to have been alive, after a call at a time."""
    patch.setattr(time, "time", lambda: now)
    with store.transaction():
        method(store)
        last = store.last_run()
    assert last is not None
    return last.alive_at


def test_that_a_run_goes_on_is_recorded_each_second_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = RUN.alive_at - 1
    with opened(tmp_path / "journal") as store:
        absent(store)
        beats = [(0.9, began + 1), (1.0, began + 2), (1.5, began + 2), (9.0, began + 10), (-5.0, began - 4)]
        assert [alive(store, Store.beat, began + after, monkeypatch) for after, _ in beats] == [
            at for _, at in beats
        ]
        assert alive(store, Store.end_run, began + 0.5, monkeypatch) == began + 0.5
        for method in (Store.beat, Store.end_run):
            assert alive(store, method, began + 60, monkeypatch) == began + 0.5
    with opened(tmp_path / "journal") as store:
        # Another run that was not begun yet has sent nothing.
        for method in (Store.beat, Store.end_run):
            assert alive(store, method, began + 90, monkeypatch) == began + 0.5


def test_what_a_run_left_is_kept_until_the_next_one(tmp_path: Path) -> None:
    upload = entry()
    with opened(tmp_path / "journal") as store:
        assert store.last_run() is None
        begin(store, upload)
        for run in (RUN, LastRun("http://[::1]", b"", b"1234", 1.5, b"")):
            with store.transaction():
                store.begin_run(run, {upload.key: "speech:a:b:c"}, [])
            assert store.last_run() == run
        assert [(record.state, record.uri) for record in records(store)] == [("recovered", "speech:a:b:c")]
