"""What is spoken in recordings, and the models that there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.recordings import FOLDER, MP3, TEXT
from support.terminal import Terminal, json_lines

from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator, Fault

Captured = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("address")


async def test_one_transcript_is_its_text_and_several_have_their_files(
    emulator: Emulator, capsys: Captured
) -> None:
    assert await execute(["upload", str(MP3), "--name", "narrator", "--text", TEXT]) == 0
    capsys.readouterr()
    assert await execute(["transcribe", str(MP3)]) == 0
    assert capsys.readouterr() == (f"{TEXT}\n", "")
    shells = FOLDER / "shells-en.mp3"
    assert await execute(["transcribe", str(MP3), str(shells), "--plain"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{MP3}: {TEXT}"
    assert second.startswith(f"{shells}: ")


async def transcribed(*arguments: str, capsys: Captured) -> dict[str, Any]:
    assert await execute(["transcribe", "--json", *arguments]) == 0
    [shown] = json_lines(capsys.readouterr().out)
    return shown


async def test_a_transcript_for_a_program_is_an_object(capsys: Captured) -> None:
    shown = await transcribed(str(MP3), capsys=capsys)
    assert shown.pop("trace_id").startswith("ti_")
    assert shown.pop("usage")["type"] == "duration"
    text = shown.pop("text")
    assert text.endswith("😊")
    assert shown == {
        "event": "transcript",
        "file": str(MP3),
        "language": "Chinese",
        "duration": None,
        "segments": None,
        "error": None,
    }
    assert (await transcribed(str(MP3), "--plain", capsys=capsys))["text"] == text.removesuffix("😊")


async def test_transcripts_are_written_to_a_file_and_json_beside(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "a.txt"
    assert await execute(["transcribe", str(MP3), "--plain", "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    text = file.read_text("utf-8")
    shown = await transcribed(str(MP3), "--plain", "-o", str(file), capsys=capsys)
    assert f"{shown['text']}\n" == file.read_text("utf-8") == text


async def test_a_recording_that_is_refused_keeps_no_other_from_being_transcribed(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    emulator.add_fault(Fault.return_status(400, endpoint="transcribe"))
    missing, output = str(tmp_path / "none.mp3"), tmp_path / "a.txt"
    recordings = [str(MP3), missing, str(FOLDER / "shells-en.mp3")]
    assert await execute(["transcribe", *recordings, "-o", str(output)]) == 1
    assert output.read_text("utf-8").startswith(f"{recordings[2]}: ")
    refused, unread = capsys.readouterr().err.splitlines()
    assert refused.startswith(f"siliconflow-voice: {MP3}: HTTP 400")
    assert unread.startswith(f"siliconflow-voice: {missing} can't be read: no such file")
    assert await execute(["transcribe", missing, "--json", "-o", str(tmp_path / "b.txt")]) == 1
    [shown] = json_lines(capsys.readouterr().out)
    assert (shown["text"], "no such file" in shown["error"]) == (None, True)
    assert not (tmp_path / "b.txt").exists()


async def test_a_failure_that_every_recording_would_meet_ends_it(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    emulator.add_fault(Fault.return_status(401, endpoint="transcribe"))
    assert await execute(["transcribe", str(MP3), str(MP3)]) == 3
    assert sum(request.endpoint == "transcribe" for request in emulator.requests) == 1


async def test_silence_is_an_answer(emulator: Emulator, capsys: Captured) -> None:
    emulator.add_fault(Fault.return_status(200, body='{"text": ""}', endpoint="transcribe"))
    assert await execute(["transcribe", str(MP3)]) == 0
    assert capsys.readouterr() == ("\n", f"siliconflow-voice: {MP3}: nothing was heard\n")


async def test_a_terminal_is_shown_no_control_characters(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.add_fault(Fault.return_status(200, body='{"text": "a\\u001bb\\nc"}', endpoint="transcribe"))
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    assert await execute(["transcribe", str(MP3)]) == 0
    assert shown.getvalue() == "a\\x1bb\nc\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a folder can't be made unwritable elsewhere as here")
async def test_a_file_that_can_t_be_written_at_the_end_is_told(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.txt"
    (tmp_path / "a.txt.part").mkdir()
    assert await execute(["transcribe", str(MP3), "-o", str(output)]) == 3
    assert f"--output {output} can't be written: " in capsys.readouterr().err


async def test_models_are_listed_by_kind_or_all(emulator: Emulator, capsys: Captured) -> None:
    assert await execute(["models", "text-to-speech"]) == 0
    speaking = capsys.readouterr().out.splitlines()
    assert "FunAudioLLM/CosyVoice2-0.5B" in speaking
    assert await execute(["models"]) == 0
    both = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [model for kind, model in both if kind == "text-to-speech"] == speaking
    assert ["speech-to-text", "FunAudioLLM/SenseVoiceSmall"] in both
    assert await execute(["models", "--json", "speech-to-text"]) == 0
    shown = json_lines(capsys.readouterr().out)
    assert shown[0] == {"event": "model", "kind": "speech-to-text", "id": "FunAudioLLM/SenseVoiceSmall"}
    assert await execute(["models", "image"]) == 2
