from __future__ import annotations

import errno
import struct
import sys
from pathlib import Path

import pytest
from support.made import hum, wav
from support.recordings import SPEECH
from support.terminal import Broken, Terminal, bulk, files, json_lines, stdout_is, voices

from siliconflow_voice.bulk import checking
from siliconflow_voice.emulator import Emulator

Captured = pytest.CaptureFixture[str]


async def test_a_good_manifest_has_no_problems_and_nothing_is_sent(
    tmp_path: Path, emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
    assert await bulk(voices(tmp_path, 3), check=True) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "3 rows, no problems. Nothing was sent."
    assert out[2] == "To estimate how long the upload takes, pass --requests-per-minute."
    assert emulator.requests == []
    assert files(tmp_path) == ["voice.mp3", "voices.csv"]


async def test_each_problem_is_told_with_its_line_and_column(tmp_path: Path, capsys: Captured) -> None:
    manifest = voices(tmp_path, 3, missing=[1])
    with manifest.open("a", encoding="utf-8") as file:
        file.write("voice.mp3,bad name,[red]\x1b[31m[/nope],\n")
        file.write("too,few\n")
    assert await bulk(manifest, check=True) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [
        f"line 3, column audio: {tmp_path / 'missing-1.mp3'} can't be read: no such file or directory",
        "line 5, column custom_name: 'bad name' does not match [A-Za-z0-9_-]{1,64}: it has ' '",
        "line 6 has 2 cells, and the header has 4: the column text is missing",
    ]
    assert out[3] == "5 rows, 3 problems. Nothing was sent."


async def test_one_is_not_several(tmp_path: Path, capsys: Captured) -> None:
    await bulk(voices(tmp_path, 1, missing=[0]), check=True)
    assert "\n1 row, 1 problem. Nothing was sent.\n" in capsys.readouterr().out


async def test_it_says_how_much_there_is_to_send_and_how_long_that_takes(
    tmp_path: Path, capsys: Captured
) -> None:
    await bulk(voices(tmp_path, 90), check=True, encoding="base64", requests_per_minute=60)
    size = 90 * len(SPEECH) / 1e6
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith(f"{size:.1f} MB of audio, 0:")
    assert out[1].endswith(f"; {size * 4 / 3:.1f} MB to send.")
    assert out[2] == "At 60 requests a minute, the upload takes 0:01:30."


async def test_recordings_of_unknown_length_are_counted(tmp_path: Path, capsys: Captured) -> None:
    manifest = voices(tmp_path, 2)
    # Sent as it is read: what is after its header is anybody's guess.
    (tmp_path / "voice.mp3").write_bytes(b"OggS" + bytes(24) + b"\x13OpusHead" + bytes(100))
    await bulk(manifest, check=True)
    assert "of audio, unmeasured; " in capsys.readouterr().out


async def test_so_are_those_among_others(tmp_path: Path, capsys: Captured) -> None:
    manifest = voices(tmp_path, 1)
    (tmp_path / "other.wav").write_bytes(wav(hum(8), fmt=struct.pack("<HHIIHH", 0x9999, 1, 16_000, 0, 0, 4)))
    with manifest.open("a", encoding="utf-8") as file:
        file.write("other.wav,other,其他,\n")
    assert await bulk(manifest, check=True) == 0
    assert "of audio, 0:00:06 and 1 unmeasured; " in capsys.readouterr().out


async def test_for_a_program_there_is_an_object_for_each_problem_and_the_totals_last(
    tmp_path: Path, capsys: Captured
) -> None:
    manifest = voices(tmp_path, 3, missing=[1])
    assert await bulk(manifest, check=True, json=True, requests_per_minute=60) == 1
    problem, report = json_lines(capsys.readouterr().out)
    assert problem == {
        "event": "problem",
        "line": 3,
        "field": "audio",
        "rule": "source",
        "reason": f"{tmp_path / 'missing-1.mp3'} can't be read: no such file or directory",
    }
    assert (report["event"], report["rows"], report["problems"], report["seconds_at_this_rate"]) == (
        "checked",
        3,
        1,
        2.0,
    )


async def test_for_a_program_a_time_that_is_not_known_is_null(tmp_path: Path, capsys: Captured) -> None:
    assert await bulk(voices(tmp_path), check=True, json=True) == 0
    (report,) = json_lines(capsys.readouterr().out)
    assert report["seconds_at_this_rate"] is None


@pytest.mark.parametrize("missing", [[], [1]])
async def test_a_reader_that_leaves_ends_it(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, missing: list[int]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert await bulk(voices(tmp_path, missing=missing), check=True) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"


async def test_no_room_to_compare_rows_ends_it(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_CREATE", "no SQL")
    assert await bulk(voices(tmp_path), check=True) == 3
    assert 'temporary file: near "no": syntax error.\n' in capsys.readouterr().err


@pytest.mark.parametrize(("as_json", "shown"), [(False, True), (True, False)])
async def test_somebody_who_watches_sees_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool, shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with stdout_is(Terminal(), monkeypatch) as terminal:
        assert await bulk(voices(tmp_path), check=True, json=as_json) == 0
    assert ("Checking all rows and recordings …" in terminal.getvalue()) is shown
