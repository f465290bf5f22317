"""The command that prepares recordings."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from support import spoken
from support.terminal import Broken, json_lines, run

from siliconflow_voice.cli.app import execute

Captured = pytest.CaptureFixture[str]
pytestmark = spoken.needs_tools


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    return spoken.through(spoken.speak(spoken.LINES[0], folder / "a.wav"), folder / "voice.m4a")


async def test_recordings_are_written_to_a_folder(recorded: Path, tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "new" / "references"
    assert await execute(["prepare", str(recorded), "-o", str(output)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{recorded}: kept 0.00-")
    assert " to -16." in said
    assert said.endswith(f"kB -> {output / 'voice.mp3'}\n")
    assert spoken.probe(output / "voice.mp3")["format"]["format_name"] == "mp3"


async def test_one_that_is_too_long_is_cut(recorded: Path, tmp_path: Path, capsys: Captured) -> None:
    long = spoken.through(["-stream_loop", "7", "-i", str(recorded)], tmp_path / "long.wav")
    assert await execute(["prepare", str(long), "--output", str(tmp_path), "--format", "mp3"]) == 0
    assert f"{long}: cut to " in capsys.readouterr().out


async def test_those_that_can_not_be_prepared_are_named_and_the_others_are_made(
    recorded: Path, tmp_path: Path, capsys: Captured
) -> None:
    page, silence = tmp_path / "page.mp3", tmp_path / "silence.wav"
    page.write_text("<!DOCTYPE html>")
    spoken.through(["-f", "lavfi", "-i", "anullsrc=d=3"], silence)
    arguments = [
        "prepare",
        "--json",
        "--format",
        "wav",
        str(page),
        str(silence),
        str(recorded),
        "-o",
        str(tmp_path / "out"),
    ]
    assert await execute(arguments) == 1
    first, second, third = json_lines(capsys.readouterr().out)
    assert (first["event"], first["rule"], first["output"]) == ("prepared", "source", None)
    assert "a page of HTML" in first["reason"]
    assert second["rule"] == "no_speech"
    assert (third["output"], third["was_cut"]) == (str(tmp_path / "out" / "voice.wav"), False)
    assert third["report"]["source_codec"] == "aac"
    assert third["report"]["trimmed"] < 1
    assert third["reason"] is None


async def test_in_words_too(tmp_path: Path, capsys: Captured) -> None:
    assert await execute(["prepare", str(tmp_path / "none.m4a"), "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(
        f"{tmp_path / 'none.m4a'}: Failed: {tmp_path / 'none.m4a'} can't be read"
    )


async def test_what_is_too_quiet_to_measure_has_no_figure(tmp_path: Path, capsys: Captured) -> None:
    whisper = spoken.speak(spoken.LINES[0], tmp_path / "a.wav")
    quiet = spoken.through(whisper, tmp_path / "quiet.wav", "-af", "volume=-58dB", "-c:a", "pcm_s24le")
    assert await execute(["prepare", str(quiet), "-o", str(tmp_path / "out")]) == 0
    assert ", ? to -16." in capsys.readouterr().out


async def test_no_original_is_replaced(recorded: Path, tmp_path: Path, capsys: Captured) -> None:
    original = spoken.through(recorded, tmp_path / "voice.mp3")
    before = original.read_bytes()
    assert await execute(["prepare", str(original), "-o", str(tmp_path)]) == 2
    assert (
        f"--output {tmp_path} would replace the recording {original}; choose another"
        in capsys.readouterr().err
    )
    assert await execute(["prepare", str(recorded), str(original), "-o", str(tmp_path / "out")]) == 2
    assert "would both become" in capsys.readouterr().err
    assert original.read_bytes() == before


async def test_a_folder_that_can_not_be_created_is_named(recorded: Path, capsys: Captured) -> None:
    assert await execute(["prepare", str(recorded), "-o", str(recorded)]) == 2
    assert f"--output {recorded} can't be created: File exists" in capsys.readouterr().err


async def test_without_the_extra_the_first_recording_ends_it(
    recorded: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "siliconflow_voice.audio.preparation.making", None)
    assert await execute(["prepare", str(recorded), "-o", str(tmp_path)]) == 2
    assert "pip install 'siliconflow-voice[prepare]'" in capsys.readouterr().err


async def test_a_reader_that_leaves_ends_it(
    recorded: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert await execute(["prepare", str(recorded), "-o", str(tmp_path)]) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"


async def test_its_help_has_examples() -> None:
    ended = await run("prepare", "--help")
    assert "siliconflow-voice prepare interview.m4a -o references" in " ".join(ended.out.split())
