from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.manifests import uploads
from support.terminal import Broken, table

from siliconflow_voice import SiliconFlowError
from siliconflow_voice.cli.sheets import Sheet, Table

COLUMNS = ["audio", "custom_name", "text"]
ROW = {"audio": "a.mp3", "custom_name": "narrator", "text": "慢工，出\n细活"}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def test_a_table_begins_with_its_columns_and_a_mark_for_excel(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.add(ROW)
    sheet.close()
    assert (tmp_path / "t.csv").read_bytes() == (
        '\ufeffaudio,custom_name,text\r\na.mp3,narrator,"慢工，出\n细活"\r\n'.encode()
    )


def test_json_lines_are_legible(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path / "t.jsonl")
    sheet.add(ROW)
    sheet.close()
    text = (tmp_path / "t.jsonl").read_text(encoding="utf-8")
    assert (json.loads(text), "慢工" in text, text.count("\n")) == (ROW, True, 1)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_row_is_on_the_disk_at_once(tmp_path: Path, name: str) -> None:
    sheet = Table(tmp_path / name, COLUMNS) if name == "t.csv" else Sheet(tmp_path / name)
    sheet.add(ROW)
    before = (tmp_path / name).read_bytes()
    sheet.close()
    assert (before.count(b"a.mp3"), (tmp_path / name).read_bytes()) == (1, before)


def test_what_was_there_stays_until_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")
    sheet = Table(path, COLUMNS)
    assert (sheet.begun, path.read_text()) == (False, "old")
    sheet.add(ROW)
    sheet.close()
    assert (sheet.begun, [row["audio"] for row in table(path)]) == (True, ["a.mp3"])


def test_a_table_of_no_rows_has_its_columns(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.begin()
    sheet.begin()
    sheet.close()
    assert (tmp_path / "t.csv").read_text(encoding="utf-8-sig") == "audio,custom_name,text\n"


def test_a_sheet_that_was_never_begun_is_no_file(tmp_path: Path) -> None:
    Sheet(tmp_path / "t.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_cells_that_a_row_lacks_are_empty(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.add({"audio": "a.mp3", "other": "x", "text": None})
    sheet.close()
    assert table(tmp_path / "t.csv") == [{"audio": "a.mp3", "custom_name": "", "text": ""}]


def test_what_no_text_can_have_is_escaped(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.add({"audio": "\udcff.mp3"})
    sheet.close()
    assert table(tmp_path / "t.csv")[0]["audio"] == r"\udcff.mp3"


def test_a_folder_that_is_gone_is_told_of(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "none" / "t.csv", COLUMNS)
    with pytest.raises(SiliconFlowError, match="can't be written: No such file or directory"):
        sheet.add(ROW)
    sheet.close()


class Full(Broken):
    """A file on a disk that gets full, and that fails once more as it is closed."""

    _closing = False

    def close(self) -> None:
        first, self._closing = not self._closing, True
        if first:
            raise self._error
        super().close()  # with the object's end


def test_a_disk_that_gets_full_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full(OSError(errno.ENOSPC, "No space left on device"), after=3)
    monkeypatch.setattr(Path, "open", lambda *_, **__: full)
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.add(ROW)
    with pytest.raises(SiliconFlowError, match=r"t\.csv can't be written: No space left on device"):
        sheet.add(ROW)
    sheet.close()


def test_an_error_without_words_is_told_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda *_, **__: Broken(OSError("gone")))
    with pytest.raises(SiliconFlowError, match="can't be written: gone"):
        Sheet(tmp_path / "t.jsonl").add(ROW)


def test_a_table_of_the_same_columns_is_removed(tmp_path: Path) -> None:
    sheet = Table(tmp_path / "t.csv", COLUMNS)
    sheet.add(ROW)
    sheet.close()
    Table(tmp_path / "t.csv", COLUMNS).remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"audio,custom_name\n", b"\xff\xfe", b"a" * 5000])
def test_any_other_file_is_not_removed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    Table(tmp_path / "t.csv", COLUMNS).remove()
    assert (tmp_path / "t.csv").read_bytes() == content


def test_removing_what_is_not_there_does_nothing(tmp_path: Path) -> None:
    Table(tmp_path / "t.csv", COLUMNS).remove()
    assert list(tmp_path.iterdir()) == []


@given(audio=CELL, custom_name=CELL, text=CELL)
async def test_whatever_its_cells_are_a_table_reads_back_as_a_manifest(
    tmp_path_factory: pytest.TempPathFactory, audio: str, custom_name: str, text: str
) -> None:
    path = tmp_path_factory.mktemp("sheet") / "t.csv"
    cells = {"audio": audio, "custom_name": custom_name, "text": text}
    sheet = Table(path, COLUMNS)
    sheet.add(cells)
    sheet.close()
    assert [upload.cells for upload in await uploads(path)] == ([cells] if path.stat().st_size else [])
