from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from support.terminal import bulk, files, json_lines, table, voices

from siliconflow_voice import Journal
from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator

Captured = pytest.CaptureFixture[str]


@pytest.fixture
async def journal(tmp_path: Path, emulator: Emulator, address: str, capsys: Captured) -> str:
    """The journal of a run, two of whose uploads were made and one failed."""
    await bulk(voices(tmp_path, 3, missing=[1]))
    capsys.readouterr()
    return str(tmp_path / "voices.journal")


@pytest.fixture
def full() -> Iterator[TextIO]:
    """A standard output on a full disk."""
    with Path("/dev/full").open("w", encoding="utf-8", buffering=1) as file:
        yield file


async def journal_command(*arguments: str) -> int:
    return await execute(["journal", *arguments])


async def test_counts_are_by_state(journal: str, capsys: Captured) -> None:
    assert await journal_command("counts", journal) == 0
    assert "        2  uploaded\n" in capsys.readouterr().out
    assert await journal_command("counts", journal, "--json") == 0
    [counts] = json_lines(capsys.readouterr().out)
    assert counts == {"event": "counts", "uploaded": 2}


async def test_voices_that_were_replaced_are_listed(
    journal: str, tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    manifest = tmp_path / "voices.csv"
    # Another recording each, as people have them.
    (tmp_path / "voice-0.mp3").write_bytes((tmp_path / "voice.mp3").read_bytes() + bytes(1))
    old_row, new_row = "voice.mp3,voice-0,第 0 句", "voice-0.mp3,voice-0,第零句"
    manifest.write_text(manifest.read_text("utf-8").replace(old_row, new_row), "utf-8")
    await bulk(manifest)
    capsys.readouterr()
    (old,) = [voice.uri for voice in emulator.voices if voice.text == "第 0 句"]
    (new,) = [voice.uri for voice in emulator.voices if voice.text == "第零句"]
    assert await journal_command("superseded", journal) == 0
    assert capsys.readouterr().out == f"voice-0  {old}  {new}  {tmp_path / 'voice.mp3'}\n"
    assert await journal_command("superseded", journal, "--json") == 0
    (record,) = json_lines(capsys.readouterr().out)
    assert (record["event"], record["uri"], record["superseded_by"]) == ("superseded", old, new)


async def test_records_are_listed_all_or_those_of_a_state(
    journal: str, emulator: Emulator, capsys: Captured
) -> None:
    assert await journal_command("records", journal) == 0
    shown = capsys.readouterr().out
    assert [line.split("  ")[0] for line in shown.splitlines()] == ["uploaded"] * 2
    assert all(voice.uri in shown for voice in emulator.voices)
    assert await journal_command("records", journal, "--state", "unknown") == 0
    assert capsys.readouterr().out == ""
    assert await journal_command("records", journal, "--json") == 0
    records = json_lines(capsys.readouterr().out)
    assert {record["uri"] for record in records} == {voice.uri for voice in emulator.voices}


async def test_an_export_is_a_table(journal: str, tmp_path: Path, capsys: Captured) -> None:
    assert await journal_command("export", journal, str(tmp_path / "out.csv")) == 0
    assert capsys.readouterr().out == f"2 uploads are in {tmp_path / 'out.csv'}\n"
    assert [row["state"] for row in table(tmp_path / "out.csv")] == ["uploaded"] * 2


async def test_an_export_that_can_t_be_written_says_so(
    journal: str, tmp_path: Path, capsys: Captured
) -> None:
    assert await journal_command("export", journal, str(tmp_path / "none" / "out.csv")) == 3
    assert "out.csv can't be written: No such file or directory" in capsys.readouterr().err


async def test_a_voice_that_was_deleted_is_forgotten_and_sent_again(
    journal: str, tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    uri = emulator.voices[0].uri
    assert await journal_command("forget", journal, uri) == 0
    assert await journal_command("forget", journal, uri) == 1
    assert capsys.readouterr().out == "Recorded\nThe journal has no such upload; nothing was changed\n"
    await bulk(tmp_path / "voices.csv")
    assert len(emulator.voices) == 3


async def test_an_unknown_upload_is_decided(journal: str, capsys: Captured) -> None:
    arguments = [journal, "--sha256", "0" * 64, "--name", "voice-0"]
    assert await journal_command("decide", *arguments, "--absent") == 1
    assert await journal_command("decide", *arguments) == 2
    assert await journal_command("decide", *arguments, "--absent", "--uri", "speech:a:b:c") == 2
    errors = capsys.readouterr().err
    assert errors.count("Pass either --uri, for the voice that it has, or --absent") == 2


async def test_no_journal_is_created(tmp_path: Path, capsys: Captured) -> None:
    assert await journal_command("counts", str(tmp_path / "voices.journal")) == 2
    assert "There is no journal" in capsys.readouterr().err
    assert files(tmp_path) == []


async def test_records_come_in_the_order_in_which_they_were_begun(journal: str) -> None:
    async with Journal(journal) as opened:
        names = [record["custom_name"] async for record in opened.records()]
    assert sorted(names) == ["voice-0", "voice-2"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("listing", ["records", "superseded"])
async def test_a_full_disk_ends_a_listing(
    *,
    journal: str,
    full: TextIO,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    listing: str,
) -> None:
    manifest = tmp_path / "voices.csv"
    manifest.write_text(manifest.read_text("utf-8").replace("第 0 句", "第零句"), "utf-8")
    await bulk(manifest)
    monkeypatch.setattr("sys.stdout", full)
    assert await journal_command(listing, journal) == 3
    assert "Standard output can't be written" in capsys.readouterr().err
