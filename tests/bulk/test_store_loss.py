from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.journals import begin, copy_of, entry, found, opened, records, unwritable

from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("other"))
    path.with_name("other").replace(path)


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


@pytest.mark.parametrize("name", ["journal", "journal-wal"])
@pytest.mark.parametrize(
    ("lose", "verb"), [(Path.unlink, "deleted"), (move, "deleted"), (replace, "replaced")]
)
@pytest.mark.parametrize("use", [lambda store: begin(store, entry(1)), records], ids=["write", "read"])
def test_a_file_that_is_gone_is_an_error_of_the_next_transaction(
    tmp_path: Path, name: str, lose: Callable[[Path], None], verb: str, use: Callable[[Store], object]
) -> None:
    with opened(tmp_path / "journal") as store:
        begin(store, entry(0))
        lose(tmp_path / name)
        with pytest.raises(JournalError, match=rf"The journal .*/{name} was {verb} during the run"):
            use(store)


def test_one_that_goes_while_it_is_committed_is_one_too(tmp_path: Path) -> None:
    def lose_it(statement: str) -> None:
        if statement == "COMMIT":
            (tmp_path / "journal").unlink()

    with opened(tmp_path / "journal") as store:
        store._connection.set_trace_callback(lose_it)
        with pytest.raises(JournalError, match="was deleted during the run"):
            begin(store, entry())


def test_the_log_is_found_beside_the_file_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "journal")
    with opened(tmp_path / "link") as store:
        begin(store, entry())
        (tmp_path / "real" / "journal-wal").unlink()
        with pytest.raises(JournalError, match="journal-wal was deleted during the run"):
            begin(store, entry(1))


def test_a_link_that_leads_elsewhere_now_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "other"):
        with opened(tmp_path / name):
            pass
    (tmp_path / "link").symlink_to("one")
    with opened(tmp_path / "link") as store:
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("other")
        with pytest.raises(JournalError, match="link was replaced during the run"):
            begin(store, entry())


def test_what_can_not_be_looked_at_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with opened(folder / "journal") as store:
        folder.rename(tmp_path / "moved")
        folder.touch()
        with pytest.raises(JournalError, match="can't be used: Not a directory"):
            begin(store, entry())


def test_a_log_that_was_deleted_takes_nothing_along_if_the_run_ends_well(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as store:
        begin(store, entry())
        (tmp_path / "journal-wal").unlink()
    assert found(tmp_path / "journal") == ["narrator-0"]


def test_a_full_disk_is_said_and_what_was_committed_before_stays(tmp_path: Path) -> None:
    committed: list[str] = []

    def fill(store: Store) -> None:
        while len(committed) < 1000:
            upload = entry(len(committed))
            begin(store, upload)
            committed.append(upload.custom_name)

    with opened(tmp_path / "journal") as store:
        store._connection.execute("PRAGMA max_page_count = 12")
        with pytest.raises(JournalError, match="can't be written: the disk is full"):
            fill(store)
        assert [record.custom_name for record in records(store)] == committed
        left = copy_of(tmp_path / "journal", tmp_path / "copy")
    assert len(committed) > 10
    assert (found(tmp_path / "journal"), found(left)) == (committed, committed)


def test_a_file_that_is_read_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(path):
        pass
    with unwritable(path) as possible:
        if not possible:
            pytest.skip("root can write to all files here, and can't make one immutable")
        with pytest.raises(JournalError, match=r"can't be written: .*/journal is read-only"):
            Store.open(path)


def test_a_folder_that_is_read_only_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with opened(folder / "journal"):
        pass
    with unwritable(folder) as possible:
        if not possible:
            pytest.skip("root can write to all folders here, and can't make one immutable")
        with pytest.raises(JournalError, match=r"can't be written: .*/folder is read-only"):
            Store.open(folder / "journal")
        with pytest.raises(JournalError, match=r"can't be used: (Permission denied|Operation not permitted)"):
            Store.open(folder / "another")
    assert [file.name for file in folder.iterdir()] == ["journal"]
