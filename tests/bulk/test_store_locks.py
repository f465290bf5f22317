from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.journals import another_process, begin, entry, found, opened, tried_elsewhere

from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError


def test_a_second_opener_is_refused_until_the_first_has_closed_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(path) as store:
        for _ in range(2):
            with pytest.raises(JournalError, match=r"/journal is in use by another run\.$"):
                Store.open(path)
        begin(store, entry(0))
    with opened(path) as store:
        begin(store, entry(1))
    assert found(path) == ["narrator-0", "narrator-1"]


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("written", [False, True])
def test_another_process_is_refused_as_soon_as_it_is_open(
    tmp_path: Path, existed: bool, written: bool
) -> None:
    path = tmp_path / "journal"
    if existed:
        with opened(path) as store:
            begin(store, entry(0))
    with opened(path) as store:
        if written:
            begin(store, entry(1))
        assert tried_elsewhere(path) == f"The journal {path} is in use by another run"
        begin(store, entry(2))  # nor has that done it any harm
    assert tried_elsewhere(path) == ""
    assert found(path)[-1] == "narrator-2"


def test_it_is_refused_by_another_name_of_the_file_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("journal")
    with opened(tmp_path / "journal"):
        assert tried_elsewhere(tmp_path / "link").endswith("link is in use by another run")


def test_an_attempt_of_ones_own_to_open_it_again_lets_no_other_process_in(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(path):
        with pytest.raises(JournalError, match="is in use"):
            Store.open(path)
        assert tried_elsewhere(path).endswith("is in use by another run")


def test_what_another_process_holds_is_refused_until_it_has_closed_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with another_process(path) as process:
        with pytest.raises(JournalError, match="is in use by another run"):
            Store.open(path)
        process.communicate()  # its stdin is closed
    assert (found(path), process.returncode) == (["another"], 0)


def test_what_a_killed_process_held_can_be_opened_and_has_what_it_committed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with another_process(path) as process:
        process.kill()
        assert process.wait() == -9
        assert sorted(file.name for file in tmp_path.iterdir()) == ["journal", "journal-wal"]
        assert found(path) == ["another"]


def test_a_process_that_only_has_it_open_to_read_keeps_a_run_out(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with opened(path):
        pass
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('SELECT * FROM uploads'); print(flush=True); sys.stdin.read(); c.close()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        with pytest.raises(JournalError, match="is in use"):
            Store.open(path)
        shell.communicate()
    assert found(path) == []


@pytest.mark.parametrize("existed", [False, True])
def test_of_many_who_open_it_at_once_one_gets_in_at_most(tmp_path: Path, existed: bool) -> None:
    path = tmp_path / "journal"
    if existed:
        with opened(path):
            pass
    together = threading.Barrier(8)

    def attempt(_: int) -> str:
        together.wait(30)
        try:
            store = Store.open(path)
        except JournalError as error:
            together.wait(30)
            return error.message
        together.wait(30)
        store.close()
        return "open"

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(attempt, range(8)))
    assert told.count("open") <= 1
    assert set(told) - {"open"} == {f"The journal {path} is in use by another run"}
    assert found(path) == []
