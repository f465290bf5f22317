"""The account's voices, one by one: uploaded, listed, deleted."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import pytest
from support.recordings import MP3, SPEECH, TEXT
from support.terminal import Broken, Terminal, in_a_terminal, json_lines, run, started, until

from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.uploads import uploader

Captured = pytest.CaptureFixture[str]
UPLOAD = ("upload", str(MP3), "--name", "narrator", "--text", TEXT)
pytestmark = pytest.mark.usefixtures("address")


@pytest.fixture
async def three(emulator: Emulator, capsys: Captured) -> list[str]:
    """Give the uris of three voices."""
    for name in ("narrator", "test-1", "test-2"):
        assert await execute(["upload", str(MP3), "--name", name, "--text", f"{name}\tsays {TEXT}"]) == 0
    capsys.readouterr()
    return [voice.uri for voice in emulator.voices]


def terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Let standard input be a terminal, whose user answers."""
    stdin = Terminal(answer)
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.mark.parametrize("encoding", ["multipart", "base64"])
async def test_an_upload_prints_the_uri_and_nothing_else(
    emulator: Emulator, capsys: Captured, encoding: str
) -> None:
    assert await execute([*UPLOAD, "--encoding", encoding]) == 0
    [voice] = emulator.voices
    assert (voice.custom_name, voice.text, voice.size) == ("narrator", TEXT, len(SPEECH))
    assert capsys.readouterr() == (f"{voice.uri}\n", "")


async def test_an_upload_for_a_program_is_an_object(emulator: Emulator, capsys: Captured) -> None:
    assert await execute([*UPLOAD, "--json"]) == 0
    [voice] = emulator.voices
    [shown] = json_lines(capsys.readouterr().out)
    assert shown.pop("trace_id").startswith("ti_")
    assert shown == {
        "event": "voice",
        "uri": voice.uri,
        "model": voice.model,
        "custom_name": "narrator",
        "text": TEXT,
        "status": "uploaded",
    }


async def test_with_ensure_a_voice_is_uploaded_once(emulator: Emulator, capsys: Captured) -> None:
    assert await execute([*UPLOAD, "--ensure", "--json"]) == 0
    assert await execute([*UPLOAD, "--ensure", "--json"]) == 0
    first, second = json_lines(capsys.readouterr().out)
    assert (first["status"], second["status"]) == ("uploaded", "existing")
    assert [first["uri"], second["uri"]] == [voice.uri for voice in emulator.voices] * 2


async def test_the_text_may_be_in_a_file(tmp_path: Path, emulator: Emulator) -> None:
    file = tmp_path / "narrator.txt"
    file.write_text(f"{TEXT}\n", "utf-8-sig")
    assert await execute(["upload", str(MP3), "--name", "narrator", "--text-file", str(file)]) == 0
    assert [voice.text for voice in emulator.voices] == [TEXT]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--name", "na rator", "--text", "x"), "--name: 'na rator' does not match [A-Za-z0-9_-]{1,64}: it"),
        (("--name", "narrator", "--text", " "), "text: is empty"),
        (("--name", "narrator"), "Pass the words that are spoken, with either --text or --text-file"),
        (("--name", "narrator", "--text", "x", "--model", ""), "--model: is empty"),
    ],
)
async def test_what_would_be_refused_is_not_sent(
    emulator: Emulator, capsys: Captured, arguments: tuple[str, ...], problem: str
) -> None:
    assert await execute(["upload", str(MP3), *arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n"), len(emulator.requests)) == ("", 1, 0)
    assert problem in captured.err


async def test_a_file_that_is_not_a_recording_is_refused_by_its_name(
    tmp_path: Path, emulator: Emulator, capsys: Captured
) -> None:
    page = tmp_path / "page.mp3"
    page.write_bytes(b"<!DOCTYPE html>")
    assert await execute(["upload", str(page), "--name", "a", "--text", "b"]) == 2
    assert await execute(["upload", str(tmp_path / "none.mp3"), "--name", "a", "--text", "b"]) == 3
    page_error, missing_error = capsys.readouterr().err.splitlines()
    assert page_error.startswith(f"siliconflow-voice: {page} is a page of HTML")
    assert missing_error.endswith("none.mp3 can't be read: no such file or directory.")


async def test_a_voice_that_was_found_after_a_lost_answer_is_printed_with_a_note(
    emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "_SETTLING", 0)
    emulator.add_fault(Fault.drop_answer())
    assert await execute([*UPLOAD]) == 0
    emulator.add_fault(Fault.drop_answer())
    assert await execute([*UPLOAD, "--json"]) == 0
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first == emulator.voices[0].uri
    assert '"status": "recovered"' in second
    assert captured.err == (
        "siliconflow-voice: The answer was lost; the voice was found in the account's list.\n"
    )


async def test_an_upload_that_may_have_been_stored_says_how_to_look_for_it(
    emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch, no_backoff: None
) -> None:
    monkeypatch.setattr(uploader, "_SETTLING", 0)
    emulator.add_fault(Fault.drop_answer())
    emulator.add_fault(Fault.return_status(400, times=None, endpoint="list"))
    assert await execute([*UPLOAD]) == 3
    err = capsys.readouterr().err
    assert "list_voices" not in err
    look = "Look for it before you upload it again: siliconflow-voice list --name narrator\n"
    assert err.endswith(f". {look}")


async def test_a_long_wait_is_told(
    emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.add_fault(Fault.return_status(503, headers={"Retry-After": "1"}))
    assert await execute([*UPLOAD]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("siliconflow-voice: Waiting 1 s: HTTP 503 (code 50505")


async def test_an_upload_that_is_interrupted_says_whether_the_voice_may_exist(
    emulator: Emulator, address: str
) -> None:
    emulator.add_fault(Fault.delay(3600))
    async with started(*UPLOAD, "--base-url", address) as command:
        await until(lambda: bool(emulator.voices))
        command.signal(2)
        ended = await command.ended()
    note, end = ended.err.splitlines()
    assert (ended.status, ended.out, end) == (130, "", "siliconflow-voice: interrupted")
    look = "Look for it before you upload it again: siliconflow-voice list --name narrator"
    assert note == f"siliconflow-voice: All was sent, and the voice may have been stored. {look}"


@pytest.mark.parametrize("sent", [True, False])
async def test_only_an_upload_that_was_sent_is_to_be_looked_for(
    emulator: Emulator, capsys: Captured, sent: bool
) -> None:
    fault = Fault.delay(3600) if sent else Fault.delay(3600, endpoint="list")
    emulator.add_fault(fault)
    uploading = asyncio.create_task(execute([*UPLOAD]))
    await until(lambda: fault not in emulator.unmet_faults and (bool(emulator.voices) or not sent))
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert ("Look for it" in capsys.readouterr().err) is sent


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_a_terminal_shows_a_bar_and_the_wait(emulator: Emulator, address: str) -> None:
    emulator.add_fault(Fault.return_status(503, headers={"Retry-After": "1"}))
    status, shown = await in_a_terminal(b"", *UPLOAD, "--base-url", address, SILICONFLOW_API_KEY="sk-test")
    assert status == 0
    assert "Uploading patience-zh.mp3" in shown
    assert "Waiting 1 s: HTTP 503" in shown
    assert emulator.voices[0].uri in shown


async def test_a_list_is_a_line_per_voice(three: list[str], emulator: Emulator, capsys: Captured) -> None:
    assert await execute(["list"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == three
    assert lines[0][1:] == ["narrator", emulator.voices[0].model, f"narrator\\tsays {TEXT}"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--name", "test-*"], ["test-1", "test-2"]),
        (["--name", "TEST-?"], []),
        (["--model", "FunAudioLLM/CosyVoice2-0.5B", "--name", "n*"], ["narrator"]),
        (["--model", "fnlp/MOSS-TTSD-v0.5"], []),
    ],
)
async def test_a_list_may_be_narrowed(
    three: list[str], capsys: Captured, options: list[str], found: list[str]
) -> None:
    assert await execute(["list", "--json", *options]) == 0
    assert [voice["custom_name"] for voice in json_lines(capsys.readouterr().out)] == found


async def test_a_terminal_has_a_table(three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    assert await execute(["list"]) == 0
    table = shown.getvalue()
    assert all(uri in table for uri in three)
    assert "3 voices" in table
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    assert await execute(["list", "--name", "none"]) == 0
    assert "0 voices" in shown.getvalue()
    assert "uri" not in shown.getvalue()
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    assert await execute(["list", "--name", "narrator"]) == 0
    assert "1 voice" in shown.getvalue()


async def test_voices_are_deleted_in_order_and_each_once(
    three: list[str], emulator: Emulator, capsys: Captured
) -> None:
    assert await execute(["delete", "--yes", three[2], three[0], three[2]]) == 0
    assert capsys.readouterr() == (f"Deleted {three[2]}\nDeleted {three[0]}\n", "")
    assert [voice.uri for voice in emulator.voices] == [three[1]]


async def test_a_voice_that_does_not_exist_keeps_no_other_from_being_deleted(
    three: list[str], emulator: Emulator, capsys: Captured
) -> None:
    gone = "speech:gone:emulated:token"
    assert await execute(["delete", "--yes", gone, three[0]]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"Deleted {three[0]}\n"
    assert captured.err.startswith(f"siliconflow-voice: {gone}: HTTP 400 (code 20059")
    assert await execute(["delete", "--yes", "--json", gone, three[1]]) == 1
    refused, deleted = json_lines(capsys.readouterr().out)
    assert (refused["deleted"], deleted) == (
        False,
        {"event": "deletion", "uri": three[1], "deleted": True, "error": None},
    )
    assert "The voice does not exist" in refused["error"]


async def test_a_failure_that_every_voice_would_meet_ends_the_deletion(
    three: list[str], emulator: Emulator, capsys: Captured
) -> None:
    emulator.add_fault(Fault.return_status(401, endpoint="delete"))
    assert await execute(["delete", "--yes", *three]) == 3
    assert (len(emulator.voices), capsys.readouterr().out) == (3, "")


async def test_nothing_is_deleted_where_there_is_no_terminal_to_ask_in(
    three: list[str], emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert await execute(["delete", three[0]]) == 2
    assert len(emulator.voices) == 3
    err = capsys.readouterr().err
    assert "Nothing was deleted, since there is no terminal to ask in: pass --yes to delete.\n" in err


@pytest.mark.parametrize("uri", ["narrator", "FunAudioLLM/CosyVoice2-0.5B:alex", "speech"])
async def test_what_is_not_the_uri_of_a_voice_deletes_nothing(
    three: list[str], emulator: Emulator, capsys: Captured, uri: str
) -> None:
    assert await execute(["delete", "--yes", three[0], uri]) == 2
    assert len(emulator.voices) == 3
    assert "find it with: siliconflow-voice list" in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("YES\n", 1), ("\n", 3), ("no\n", 3), ("", 3)])
async def test_a_terminal_is_asked(
    *,
    three: list[str],
    emulator: Emulator,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    terminal(monkeypatch, answer)
    assert await execute(["delete", *three[:2]]) == (0 if left == 1 else 1)
    assert len(emulator.voices) == left
    err = capsys.readouterr().err
    assert err.startswith(f"  {three[0]}\n  {three[1]}\nDelete these 2 voices for good? [y/N] ")
    assert ("Nothing was deleted." in err) is (left == 3)


async def test_it_asks_and_answers_in_chinese(
    three: list[str], emulator: Emulator, capsys: Captured, monkeypatch: pytest.MonkeyPatch, chinese: None
) -> None:
    terminal(monkeypatch, "是\n")
    assert await execute(["delete", three[0]]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"  {three[0]}\n永久删除这个音色？[y/N] "
    assert captured.out == f"已删除 {three[0]}\n"


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], [*UPLOAD]])
async def test_a_reader_that_has_gone_is_told_by_the_status(
    three: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError(32, "Broken pipe")))
    assert await execute(command) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"


async def test_the_life_of_a_voice_in_processes(emulator: Emulator, address: str) -> None:
    options = ("--base-url", address)
    uploaded = await run(*UPLOAD, *options)
    assert (uploaded.status, uploaded.err) == (0, "")
    listed = await run("list", *options)
    assert listed.out.startswith(uploaded.out.strip() + "\t")
    deleted = await run("delete", "--yes", uploaded.out.strip(), *options)
    assert (deleted.status, deleted.out) == (0, f"Deleted {uploaded.out}")
    assert emulator.voices == []
