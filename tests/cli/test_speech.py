"""Voices that are used from a terminal: spoken with, and what was spoken transcribed."""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path

import pytest
from support.made import hum, wav
from support.recordings import FOLDER, MP3, TEXT
from support.terminal import Terminal, files, json_lines, run

from siliconflow_voice import inspect_audio
from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator, Fault

Captured = pytest.CaptureFixture[str]
CapturedBytes = pytest.CaptureFixture[bytes]
pytestmark = pytest.mark.usefixtures("address")


def sent(emulator: Emulator, endpoint: str) -> int:
    """Give how many requests of a kind there were."""
    return sum(request.endpoint == endpoint for request in emulator.requests)


@pytest.mark.parametrize("name", ["a.mp3", "a.opus", "a.wav", "a.pcm", "A.WAV"])
async def test_a_file_has_the_format_of_its_name(tmp_path: Path, capsys: Captured, name: str) -> None:
    file = tmp_path / name
    assert await execute(["speak", "你好", "--voice", "alex", "-o", str(file)]) == 0
    kind = file.suffix[1:].lower()
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{file}: {kind}, ")
    assert "; first bytes after 0." in captured.out
    assert (captured.err, files(tmp_path)) == ("", [name])
    if kind != "pcm":
        assert (await inspect_audio(file)).format == kind


async def test_without_an_ending_a_file_is_mp3_and_another_format_is_passed(
    tmp_path: Path, capsys: Captured
) -> None:
    speak = ["speak", "你好", "--voice", "alex", "--json", "--output"]
    assert await execute([*speak, str(tmp_path / "a")]) == 0
    assert await execute([*speak, str(tmp_path / "b.audio"), "--format", "wav", "--sample-rate", "8000"]) == 0
    first, second = json_lines(capsys.readouterr().out)
    assert first["format"] == "mp3"
    assert second.pop("trace_id").startswith("ti_")
    assert second.pop("first_chunk_after") >= 0
    size = (tmp_path / "b.audio").stat().st_size
    assert second == {
        "event": "speech",
        "file": str(tmp_path / "b.audio"),
        "format": "wav",
        "sample_rate": 8_000,
        "size": size,
        "duration": (size - 44) / 16_000,
    }


async def test_a_file_of_another_ending_is_refused(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    assert await execute(["speak", "你好", "--voice", "alex", "-o", str(tmp_path / "a.m4a")]) == 2
    assert "end it with one of .mp3, .opus, .wav, .pcm, or pass --format" in capsys.readouterr().err
    assert emulator.requests == []


async def test_standard_output_has_the_audio_and_nothing_else(
    emulator: Emulator, capfdbinary: CapturedBytes
) -> None:
    speak = ["speak", "你好", "--voice", "alex", "--format", "wav"]
    assert await execute([*speak, "--output", "-"]) == 0
    chosen = capfdbinary.readouterr()
    assert await execute(speak) == 0
    default = capfdbinary.readouterr()
    assert (chosen.out[:4], chosen.err, default.out[:4], default.err) == (b"RIFF", b"", b"RIFF", b"")


async def test_a_terminal_is_not_shown_audio_unless_it_is_asked_for(
    emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert await execute(["speak", "你好", "--voice", "alex"]) == 2
    assert "A terminal can't play audio: pass --output FILE" in capsys.readouterr().err
    assert emulator.requests == []


async def test_json_is_not_mixed_with_audio(emulator: Emulator, capsys: Captured) -> None:
    assert await execute(["speak", "你好", "--voice", "alex", "--json"]) == 2
    assert "standard output has the audio: pass --output FILE" in capsys.readouterr().err
    assert emulator.requests == []


async def test_a_player_that_leaves_ends_it(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as player:
        monkeypatch.setattr(sys, "stdout", player)
        assert await execute(["speak", "你好", "--voice", "alex"]) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"


async def test_a_text_is_read_from_standard_input(
    tmp_path: Path, emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TEXT}\n"))
    file = str(tmp_path / "a.mp3")
    assert await execute(["speak", "-", "--voice", "alex", "-o", file]) == 0
    assert await execute(["transcribe", file]) == 0
    assert capsys.readouterr().out.splitlines()[1] == TEXT


async def test_the_numbers_are_passed_on(tmp_path: Path, emulator: Emulator) -> None:
    options = ["--speed", "1.5", "--gain", "-3", "--model", "fnlp/MOSS-TTSD-v0.5"]
    file = str(tmp_path / "a.mp3")
    assert await execute(["speak", "你好", "--voice", "alex", "-o", file, *options]) == 0
    assert sent(emulator, "speech") == 1


async def test_it_speaks_like_references(tmp_path: Path, emulator: Emulator, capsys: Captured) -> None:
    references = ["--reference", str(MP3), "--reference-text", TEXT]
    references += ["--reference", str(FOLDER / "shells-en.mp3"), "--reference-text", "She sells sea shells"]
    assert await execute(["speak", "[S1]你好[S2]Hello", "-o", str(tmp_path / "a.mp3"), *references]) == 0
    assert sent(emulator, "speech") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "Pass the voice to speak with: either --voice, or --reference"),
        (
            ["--voice", "alex", "--reference", str(MP3), "--reference-text", TEXT],
            "Pass the voice to speak with: either --voice, or --reference",
        ),
        (["--reference", str(MP3)], "Pass a --reference-text for each --reference"),
        (
            ["--reference", str(MP3), "--reference-text", " "],
            "--reference-text: is empty; it must be what is",
        ),
        (["--voice", "alex", "--speed", "9"], "--speed: must be from 0.25 to 4, got 9"),
        (["--voice", "alex", "--gain", "11"], "--gain: must be from -10 to 10, got 11"),
        (["--voice", "alex", "--sample-rate", "8000"], "--sample-rate: 8000 is not supported for mp3"),
        (["--voice", " "], "--voice: is empty"),
        (["--voice", "alex", "--vocie", "anna"], "Unknown option"),
    ],
)
async def test_what_would_be_refused_is_not_sent(
    tmp_path: Path, emulator: Emulator, capsys: Captured, options: list[str], problem: str
) -> None:
    assert await execute(["speak", "你好", "-o", str(tmp_path / "a.mp3"), *options]) == 2
    assert problem in capsys.readouterr().err
    assert emulator.requests == []


async def test_a_reference_that_can_t_be_read_is_named(tmp_path: Path, capsys: Captured) -> None:
    reference = ["--reference", str(tmp_path / "me.mp3"), "--reference-text", TEXT]
    assert await execute(["speak", "你好", "-o", str(tmp_path / "a.mp3"), *reference]) == 3
    (tmp_path / "me.mp3").write_bytes(b"")
    assert await execute(["speak", "你好", "-o", str(tmp_path / "a.mp3"), *reference]) == 2
    missing, empty = capsys.readouterr().err.splitlines()
    assert missing.endswith("me.mp3 can't be read: no such file or directory.")
    assert empty == f"siliconflow-voice: {tmp_path / 'me.mp3'} is empty."


@pytest.mark.parametrize("output", ["none/a.mp3", "."])
async def test_where_no_file_can_be_nothing_is_sent(
    tmp_path: Path, emulator: Emulator, capsys: Captured, output: str
) -> None:
    output = str(tmp_path / output)
    assert await execute(["speak", "你好", "--voice", "alex", "-o", output]) == 2
    assert await execute(["transcribe", str(MP3), "-o", output]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [error.startswith(f"siliconflow-voice: --output {output} can't be") for error in errors] == [
        True
    ] * 2
    assert emulator.requests == []


async def test_an_option_is_not_taken_for_a_file(emulator: Emulator, capsys: Captured) -> None:
    assert await execute(["speak", "你好", "--voice", "alex", "--output", "--json"]) == 2
    assert "--json is an option, not a file" in capsys.readouterr().err
    assert emulator.requests == []


async def test_an_unknown_voice_is_told_with_how_to_find_voices(tmp_path: Path, capsys: Captured) -> None:
    assert await execute(["speak", "你好", "--voice", "nobody", "-o", str(tmp_path / "a.mp3")]) == 3
    err = capsys.readouterr().err
    assert "code 20047" in err
    assert err.endswith("Invalid voice. To see the account's voices, run: siliconflow-voice list\n")
    assert files(tmp_path) == []


async def test_a_duration_that_is_not_known_is_not_guessed(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    strange = wav(hum(1), fmt=struct.pack("<HHIIHH", 0x9999, 1, 16_000, 0, 0, 4))
    emulator.add_fault(Fault.return_status(200, body=strange, content_type="audio/wav", endpoint="speech"))
    file = tmp_path / "a.wav"
    assert await execute(["speak", "你好", "--voice", "alex", "-o", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: wav, 32.0 kB, duration not known; first bytes")


async def test_speech_that_is_cut_off_leaves_what_was_there(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    file = tmp_path / "a.mp3"
    file.write_bytes(b"before")
    emulator.add_fault(Fault.truncate_answer(1_000, endpoint="speech"))
    assert await execute(["speak", "你好" * 100, "--voice", "alex", "-o", str(file)]) == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n"), file.read_bytes()) == ("", 1, b"before")
    assert files(tmp_path) == ["a.mp3"]


async def test_the_whole_life_of_a_voice_in_processes(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    options = ("--base-url", address)
    uri = (await run("upload", MP3, "--name", "narrator", "--text", TEXT, *options)).out.strip()
    assert (await run("list", *options)).out.startswith(uri)
    spoken = await run("speak", "你好，世界", "--voice", uri, "-o", tmp_path / "hello.wav", *options)
    assert (spoken.status, spoken.err) == (0, "")
    heard = await run("transcribe", tmp_path / "hello.wav", *options)
    assert (heard.status, heard.out) == (0, "你好，世界\n")
    assert (await run("delete", "--yes", uri, *options)).out == f"Deleted {uri}\n"
