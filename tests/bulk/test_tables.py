from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import uploads
from support.terminal import files, table

from siliconflow_voice.bulk.lines import trim
from siliconflow_voice.bulk.tables import TableFormat, TableWriter, is_table_of, table_format

COLUMNS = ["audio", "custom_name", "text"]
ROW = {"audio": "a.mp3", "custom_name": "narrator", "text": "慢工，出\n细活"}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def writer(path: Path, kind: TableFormat = "csv") -> TableWriter:
    return TableWriter(path, COLUMNS, kind)


def write(path: Path, *rows: dict[str, Any], kind: TableFormat = "csv") -> None:
    table = writer(path, kind)
    table.write(rows)
    table.commit()


def test_a_csv_begins_with_its_columns_and_a_mark_for_excel(path: Path) -> None:
    write(path, ROW)
    assert path.read_bytes() == '\ufeffaudio,custom_name,text\r\na.mp3,narrator,"慢工，出\n细活"\r\n'.encode()


def test_json_lines_are_legible(path: Path) -> None:
    write(path, ROW, kind="jsonl")
    text = path.read_text(encoding="utf-8")
    assert (json.loads(text), "慢工" in text, text.count("\n")) == (ROW, True, 1)


@pytest.mark.parametrize(
    ("kind", "content"), [("csv", b"\xef\xbb\xbfaudio,custom_name,text\r\n"), ("jsonl", b"")]
)
def test_a_table_of_no_rows_has_its_columns(path: Path, kind: TableFormat, content: bytes) -> None:
    write(path, kind=kind)
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_each_row_is_in_the_part_at_once(path: Path, kind: TableFormat) -> None:
    table = writer(path, kind)
    for number in range(3):
        table.write([{"audio": f"{number}.mp3"}])
        assert path.with_name("t.csv.part").read_bytes().count(b".mp3") == number + 1
    table.discard()


def test_a_file_stays_as_it_was_until_the_table_is_complete(path: Path) -> None:
    path.write_text("old")
    table = writer(path)
    states = [(table.begun, table.committed, path.read_text())]
    table.write([ROW])
    states.append((table.begun, table.committed, path.read_text()))
    table.commit()
    states.append((table.begun, table.committed, path.read_text(encoding="utf-8-sig")[:5]))
    assert states == [(False, False, "old"), (True, False, "old"), (False, True, "audio")]
    assert files(path.parent) == ["t.csv"]


def test_it_is_on_the_disk_before_it_takes_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def noted(name: str, *args: Any) -> None:
        done.append(name)
        real[name](*args)

    for name in real:
        monkeypatch.setattr(os, name, partial(noted, name))
    write(path, ROW)
    assert done == ["fsync", "replace"]


def test_what_is_discarded_leaves_the_file_as_it_was(path: Path) -> None:
    path.write_text("old")
    table = writer(path)
    table.write([ROW])
    table.discard()
    table.discard()
    assert (path.read_text(), files(path.parent), table.committed) == ("old", ["t.csv"], False)


def test_what_is_discarded_before_it_is_begun_leaves_nothing(path: Path) -> None:
    writer(path).discard()
    assert files(path.parent) == []


@pytest.mark.parametrize("late", [TableWriter.begin, TableWriter.commit, lambda table: table.write([ROW])])
def test_nothing_is_written_once_it_is_discarded(path: Path, late: Callable[[TableWriter], object]) -> None:
    table = writer(path)
    table.discard()
    with pytest.raises(OSError, match=os.strerror(errno.ECANCELED)):
        late(table)
    assert files(path.parent) == []


def test_discarding_waits_for_what_is_being_written(path: Path) -> None:
    table, reached, go_on = writer(path), threading.Event(), threading.Event()

    class Slow(dict[str, str]):
        def get(self, *_: object) -> str:
            reached.set()
            go_on.wait(10)
            return "slow"

    writing = threading.Thread(target=table.write, args=([Slow()],))
    writing.start()
    assert reached.wait(10)
    discarding = threading.Thread(target=table.discard)
    discarding.start()
    assert files(path.parent) == ["t.csv.part"]
    go_on.set()
    writing.join()
    discarding.join()
    assert files(path.parent) == []


def test_a_part_that_a_killed_writer_left_is_replaced(path: Path) -> None:
    path.with_name("t.csv.part").write_text("torn")
    write(path, ROW)
    assert (files(path.parent), len(table(path))) == (["t.csv"], 1)


def test_a_part_that_is_a_link_is_not_followed(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("kept")
    path.with_name("t.csv.part").symlink_to(elsewhere)
    write(path, ROW)
    assert (elsewhere.read_text(), len(table(path))) == ("kept", 1)


def test_of_two_writers_at_once_the_later_one_wins_and_the_other_is_told(path: Path) -> None:
    first, second = writer(path), writer(path)
    first.write([ROW, ROW])
    second.write([ROW])
    with pytest.raises(FileExistsError, match="another program writes it too"):
        first.commit()
    second.commit()
    assert (len(table(path)), files(path.parent)) == (1, ["t.csv"])
    first.discard()


def test_cells_that_a_row_lacks_are_empty(path: Path) -> None:
    write(path, {"audio": "a.mp3", "other": "x", "text": None})
    assert table(path) == [{"audio": "a.mp3", "custom_name": "", "text": ""}]


def test_what_utf_8_can_not_carry_is_escaped(path: Path) -> None:
    write(path, {"audio": "\udcff.mp3"})
    assert table(path)[0]["audio"] == r"\udcff.mp3"


@pytest.mark.parametrize(
    ("name", "kind"), [("csv", "csv"), ("jsonl", "jsonl"), ("CSV", None), ("", None), ("xlsx", None)]
)
def test_formats_are_csv_and_jsonl(name: str, kind: str | None) -> None:
    assert table_format(name) == kind


def test_a_table_is_known_by_its_columns(path: Path) -> None:
    write(path, ROW)
    first, last = COLUMNS[:1], COLUMNS[-1:]
    assert is_table_of(path, first=first, last=last)
    assert not is_table_of(path, first=last, last=last)
    assert not is_table_of(path, first=first, last=first)


@pytest.mark.parametrize("content", [None, b"", b"audio,custom_name\n", b"\xff\xfe", b"a" * 5000])
def test_any_other_file_is_not_one(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    assert not is_table_of(path, first=COLUMNS[:1], last=COLUMNS[-1:])


@given(audio=CELL, custom_name=CELL, text=CELL)
async def test_whatever_its_cells_are_a_table_reads_back_as_a_manifest(
    tmp_path_factory: pytest.TempPathFactory, audio: str, custom_name: str, text: str
) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    cells = {"audio": audio, "custom_name": custom_name, "text": text}
    table = TableWriter(path, COLUMNS, "csv", faithful=True)
    table.write([cells])
    table.commit()
    # A row of nothing is not read as one.
    assert [upload.cells for upload in await uploads(path)] == [cells] * any(map(trim, cells.values()))
