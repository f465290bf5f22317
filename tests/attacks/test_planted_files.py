"""Files that another planted: a journal that isn't one, and links and FIFOs where a run writes.

Then: a crafted journal ran its triggers and raised a bare TypeError, a FIFO held up the run before it began,
a link's target was written over, and a dangling link was deleted.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import absent, begin, entry, finish, opened

from siliconflow_voice import ConfigurationError, JournalError
from siliconflow_voice.bulk import journal_file
from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.bulk.tables import is_table_of, write_anew
from siliconflow_voice.cli.files import Files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes and no FIFOs")

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
CRAFTED = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON uploads BEGIN DELETE FROM uploads; END",
    "a view": "CREATE VIEW v AS SELECT * FROM uploads",
    "a view in the place of a table": "DROP TABLE uploads; CREATE VIEW uploads AS SELECT 1 AS id",
    "a view without an end": f"DROP TABLE facts; CREATE VIEW facts AS {ENDLESS}",
    "a table more": "CREATE TABLE more (x)",
    "an index more": "CREATE INDEX more ON uploads (abs(id))",
    "a generated column": "ALTER TABLE uploads ADD COLUMN g AS (hex(zeroblob(9)))",
    "a column less": "ALTER TABLE uploads DROP COLUMN trace_id",
    "another collation": "DROP INDEX unknown; CREATE INDEX unknown ON uploads (id)",
    "no tables": "DROP TABLE uploads; DROP TABLE facts",
}
VALUES = ["NULL", "'x'", "x'ff'", "-1", "1e999", "9e18", "zeroblob(100)", "CAST(x'ff' AS TEXT)"]
COLUMNS = [
    *("key", "state", "audio", "sha256", "model", "custom_name", "text"),
    *("uri", "error", "trace_id", "attempts", "at"),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    with opened(path) as store:
        begin(store, entry(0), entry(1))
        finish(store, entry(0))
    return path


def craft(path: Path, *statements: str) -> None:
    """Change a journal as whoever may write to it can."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.executescript(statement)


@pytest.mark.parametrize("statement", CRAFTED.values(), ids=CRAFTED.keys())
def test_a_journal_with_another_schema_is_refused(journal: Path, statement: str) -> None:
    craft(journal, statement)
    with pytest.raises(JournalError, match="is not a journal: it has other tables than a journal has"):
        Store.open(journal)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", VALUES)
async def test_values_of_other_types_are_never_a_foreign_error(
    journal: Path, tmp_path: Path, column: str, value: str
) -> None:
    try:
        craft(journal, f"UPDATE uploads SET {column} = {value} WHERE id = 1")  # noqa: S608 - our own
    except sqlite3.IntegrityError:
        return  # the column itself refuses it
    try:
        async with Journal(journal) as opened_one:
            await opened_one.counts()
            await opened_one.export(tmp_path / "export.csv")
    except JournalError:
        pass


@pytest.mark.parametrize(
    "fact",
    [
        "'unknown', 1",
        "'address', x'00'",
        "'salt', 'x'",
        "'alive_at', 'soon'",
        "'before', x'0102'",
        "'before', NULL",
        "NULL, 1",
    ],
)
def test_what_a_last_run_left_is_checked(journal: Path, fact: str) -> None:
    with opened(journal) as store:
        begin_run(store)
    if fact.startswith("NULL"):
        craft(journal, "DELETE FROM facts WHERE name = 'salt'")
    else:
        craft(journal, f"INSERT OR REPLACE INTO facts VALUES ({fact})")  # noqa: S608 - our own
    with opened(journal) as store, pytest.raises(JournalError, match="what its last run left makes no sense"):
        store.last_run()


def begin_run(store: Store) -> None:
    with store.transaction():
        absent(store)
    assert store.last_run() is not None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_journal_that_others_may_write_to_is_refused(journal: Path, mode: int) -> None:
    journal.chmod(mode)
    with pytest.raises(JournalError, match=r"journal can be written by other users\. Make sure"):
        Store.open(journal)


@pytest.mark.parametrize("planted", ["journal", "journal-wal", "link"])
def test_a_journal_of_another_owner_is_refused(
    journal: Path, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    (journal.parent / "link").symlink_to(journal)
    (journal.parent / "journal-wal").touch(0o600)
    owner, lstat = os.geteuid() + 1, os.lstat

    def owned(path: str) -> os.stat_result:
        status = list(lstat(path))
        if Path(path).name == planted:
            status[4] = owner
        return os.stat_result(status)

    monkeypatch.setattr(os, "lstat", owned)
    with pytest.raises(JournalError, match=f"{planted} belongs to another user"):
        Store.open(journal.parent / ("link" if planted == "link" else "journal"))


def test_a_filesystem_without_modes_is_let_be(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = journal.with_name("mountinfo")
    table.write_text(f"27 1 254:0 / / rw - ext4 a rw\n41 27 0:45 / {journal.parent} rw - vfat b rw\n")
    monkeypatch.setattr(journal_file, "_MOUNTS", table)
    journal.chmod(0o666)
    with opened(journal) as store:
        assert store.counts() == {"unknown": 1, "uploaded": 1}


def test_where_users_are_unknown_nothing_is_checked(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    journal.chmod(0o666)
    journal_file.check_owner(journal)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize(
    ("plant", "wrong"),
    [
        (lambda path: path.symlink_to("elsewhere"), "is a link"),
        (os.mkfifo, "is a FIFO, not a regular file"),
        (lambda path: (path.touch(), path.chmod(0o666)), "can be written by other users"),
    ],
)
def test_what_lies_beside_a_journal_is_checked_too(
    journal: Path, suffix: str, plant: Callable[[Path], object], wrong: str
) -> None:
    plant(journal.with_name(f"journal{suffix}"))
    with pytest.raises(JournalError, match=f"journal{suffix} {wrong}"):
        Store.open(journal)
    assert not journal.with_name("elsewhere").exists()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_its_log_is_for_its_owner_alone_whatever_the_journals_mode(journal: Path, mode: int) -> None:
    journal.chmod(mode)
    with opened(journal) as store:
        begin(store, entry(2))
        beside = [path.stat().st_mode & 0o777 for path in journal.parent.glob("journal-*")]
    assert beside == [0o600]


@pytest.mark.parametrize("option", ["results", "failures", "report"])
def test_a_fifo_in_the_place_of_an_output_is_refused_and_holds_nothing_up(
    tmp_path: Path, option: str
) -> None:
    fifo = tmp_path / "out.csv"
    os.mkfifo(fifo)
    with pytest.raises(ConfigurationError, match="can't be written: it is a FIFO, not a regular file"):
        Files(**{option: fifo}).check(tmp_path / "voices.csv", None)


@pytest.mark.parametrize("option", ["results", "failures", "report"])
@pytest.mark.parametrize("target", ["missing", "victim"])
def test_a_link_in_the_place_of_an_output_is_neither_followed_nor_deleted_by_the_check(
    tmp_path: Path, option: str, target: str
) -> None:
    link, victim = tmp_path / "out.csv", tmp_path / "victim"
    victim.write_text("kept")
    link.symlink_to(target)
    Files(**{option: link}).check(tmp_path / "voices.csv", None)
    assert (link.is_symlink(), victim.read_text(), (tmp_path / "missing").exists()) == (True, "kept", False)


def test_a_report_replaces_a_link_and_leaves_what_it_leads_to(tmp_path: Path) -> None:
    link, victim = tmp_path / "report.html", tmp_path / "victim"
    victim.write_text("kept")
    link.symlink_to(victim)
    (tmp_path / "report.html.part").symlink_to(victim)
    write_anew(link, "<p>")
    assert (link.is_symlink(), link.read_text(), victim.read_text()) == (False, "<p>", "kept")


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (os.mkfifo, "a FIFO"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
    ],
)
async def test_an_export_to_what_is_not_a_file_is_refused_and_leaves_it(
    tmp_path: Path, plant: Callable[[Path], object], kind: str
) -> None:
    # Then: a FIFO, and a link to a device, were replaced by a file.
    target = tmp_path / "voices.csv"
    plant(target)
    before = target.lstat()
    async with Journal(tmp_path / "journal") as journal:
        with pytest.raises(FileExistsError, match=f"it is {kind}, not a regular file; write to another path"):
            await journal.export(target)
    assert (target.lstat().st_ino, target.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert not (tmp_path / "voices.csv.part").exists()


@pytest.mark.parametrize("plant", [os.mkfifo, lambda path: path.symlink_to("table.csv")])
def test_a_link_or_a_fifo_is_not_taken_for_an_earlier_table(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "table.csv").write_text("a,b\n")
    plant(tmp_path / "planted.csv")
    assert is_table_of(tmp_path / "table.csv", first=["a"], last=["b"])
    assert not is_table_of(tmp_path / "planted.csv", first=["a"], last=["b"])
