"""What the command says of recordings, before anything is sent."""

from __future__ import annotations

import errno
import shutil
import struct
import sys
from pathlib import Path

import pytest
from support.made import frames, hum, opus, wav
from support.recordings import MP3
from support.terminal import Broken, json_lines, run

from siliconflow_voice.cli.app import execute

Captured = pytest.CaptureFixture[str]


def recording(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


async def test_recordings_are_shown_with_their_format_size_and_duration(
    tmp_path: Path, capsys: Captured
) -> None:
    paths = [
        recording(tmp_path, "a.wav", wav(hum(8))),
        recording(tmp_path, "b.mp3", frames(10)),
        recording(tmp_path, "c.dat", opus(9)),
    ]
    assert await execute(["inspect", *paths]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{paths[0]}: wav, 256.0 kB, 8.00 s",
        f"{paths[1]}: mp3, 159.7 kB, 10.00 s",
        f"{paths[2]}: opus, {len(opus(9)) / 1000:.1f} kB, 9.00 s",
    ]


async def test_a_duration_that_is_not_known_is_not_a_reason_to_refuse(
    tmp_path: Path, capsys: Captured
) -> None:
    path = recording(tmp_path, "a.wav", wav(hum(8), fmt=struct.pack("<HHIIHH", 0x9999, 1, 16_000, 0, 0, 4)))
    assert await execute(["inspect", path]) == 0
    assert capsys.readouterr().out == f"{path}: wav, 256.0 kB, duration not known\n"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.wav", wav(hum(31)), "wav, 992.0 kB, 31.00 s. Refused: {} lasts 31.0 s; the limit is 30 s"),
        ("a.mp3", b"fLaC" + bytes(996), "flac, 1.0 kB, duration not known. Refused: {} is flac; "),
        ("a.mp3", b"\1" * 500, "not recognised, 500 B, duration not known. Refused: {} is not a recognised "),
        ("a.mp3", b"", "Refused: {} is empty"),
    ],
)
async def test_why_one_would_be_refused_is_said_and_the_status_is_1(
    tmp_path: Path, capsys: Captured, name: str, data: bytes, said: str
) -> None:
    shutil.copy(MP3, tmp_path / "good.mp3")
    bad = recording(tmp_path, name, data)
    assert await execute(["inspect", bad, str(tmp_path / "good.mp3")]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert said.format(bad) in first
    assert "Refused" not in second


async def test_what_can_not_be_read_is_refused_and_the_others_are_shown(
    tmp_path: Path, capsys: Captured
) -> None:
    good = recording(tmp_path, "a.wav", wav(hum(8)))
    missing = tmp_path / "missing\n.mp3"
    assert await execute(["inspect", str(missing), "https://example.com/a.mp3", good]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith("missing\\n.mp3 can't be read: no such file or directory")
    assert out[1].startswith(
        "Refused: the address https:/example.com/a.mp3, not a path: pass AudioSource.url(…)"
    )
    assert out[2] == f"{good}: wav, 256.0 kB, 8.00 s"


async def test_for_a_program_there_is_an_object_for_each(tmp_path: Path, capsys: Captured) -> None:
    good, long = (recording(tmp_path, f"{n}.wav", wav(hum(n))) for n in (8, 31))
    missing = str(tmp_path / "missing.mp3")
    assert await execute(["inspect", "--json", good, long, missing]) == 1
    first, second, third = json_lines(capsys.readouterr().out)
    assert first == {
        "event": "recording",
        "file": good,
        "format": "wav",
        "media_type": "audio/wav",
        "size": 256_044,
        "duration": 8.0,
        "rule": None,
        "reason": None,
    }
    assert (second["rule"], second["reason"]) == ("too_long", f"{long} lasts 31.0 s; the limit is 30 s")
    assert (third["rule"], third["format"], third["duration"]) == ("source", None, None)


async def test_a_reader_that_leaves_ends_it(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert await execute(["inspect", recording(tmp_path, "a.wav", wav(hum(8)))]) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"


async def test_a_process_needs_neither_a_key_nor_a_file_that_is_a_recording(tmp_path: Path) -> None:
    ended = await run(
        "inspect",
        recording(tmp_path, "配音.html", b"<!DOCTYPE html>"),
        environment={"SILICONFLOW_API_KEY": ""},
    )
    assert (ended.status, ended.err) == (1, "")
    assert "配音.html is a page of HTML, not audio" in ended.out
