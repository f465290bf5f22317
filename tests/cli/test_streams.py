from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminal import Broken, Terminal

from siliconflow_voice.cli.streams import Stdout, complain, console_on, is_watched, open_closed_ones
from siliconflow_voice.cli.words import UNSHOWABLE

PIPE = OSError(errno.EPIPE, "Broken pipe")


def stdout_to(file: io.TextIOBase, monkeypatch: pytest.MonkeyPatch) -> Stdout:
    monkeypatch.setattr(sys, "stdout", file)
    return Stdout()


def encoded(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def test_what_is_written_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    stdout = Stdout()
    assert stdout.write("慢工\n") == 3
    stdout.flush()
    assert capsys.readouterr().out == "慢工\n"
    assert (stdout.error, stdout.lost()) == (None, None)


def test_a_pipe_that_is_closed_is_noted_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = stdout_to(Broken(PIPE), monkeypatch)
    assert stdout.write("lost") == 4
    assert stdout.error is PIPE
    assert str(stdout.lost()) == "Standard output can't be written: Broken pipe."


def test_after_the_first_failure_nothing_more_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Broken(PIPE)
    stdout = stdout_to(file, monkeypatch)
    stdout.write("lost")
    monkeypatch.setattr(file, "write", pytest.fail)
    stdout.write("more")
    stdout.flush()
    assert stdout.error is PIPE


def test_an_error_without_words_is_told_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = stdout_to(Broken(OSError("gone")), monkeypatch)
    stdout.write("lost")
    assert str(stdout.lost()) == "Standard output can't be written: gone."


def test_a_pipe_that_is_closed_is_not_written_to_at_the_interpreters_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as file:
        stdout = stdout_to(file, monkeypatch)
        os.close(reading)
        stdout.write("lost")
        stdout.flush()
        assert stdout.fileno() == file.fileno()
        assert isinstance(stdout.error, BrokenPipeError)
        assert os.fstat(file.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    with encoded("ascii") as file:
        stdout_to(file, monkeypatch).write("慢")
        assert file.buffer.getvalue() == rb"\u6162"  # type: ignore[attr-defined] # in memory


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("utf-8", '{"name": "慢"}\n'), ("UTF8", '{"name": "慢"}\n'), ("gbk", '{"name": "\\u6162"}\n')],
)
def test_json_is_ascii_where_the_encoding_is_not_utf_8(
    encoding: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with encoded(encoding) as file:
        stdout_to(file, monkeypatch).write_json({"name": "慢"})
        assert file.buffer.getvalue().decode(encoding) == written  # type: ignore[attr-defined] # in memory


@given(st.text(st.characters()))
def test_json_has_nothing_that_a_terminal_obeys_and_reads_back_the_same(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch, encoded("utf-8") as file:
        stdout_to(file, patch).write_json({"text": text})
        line = file.buffer.getvalue().decode()  # type: ignore[attr-defined] # in memory
    assert (json.loads(line), UNSHOWABLE.findall(line)) == ({"text": text}, ["\n"])


def test_a_console_takes_text_for_nothing_but_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]x[/] [/nope] :smile: speech:cat:account:1 http://127.0.0.1"
    console_on(Stdout()).print(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_terminal_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert is_watched(console_on(stdout_to(Terminal(), monkeypatch)))


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [(io.StringIO(), "FORCE_COLOR", "1"), (Terminal(), "TERM", "dumb")],
)
def test_a_log_or_a_terminal_that_can_only_print_is_not_watched(
    file: io.StringIO, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert not is_watched(console_on(stdout_to(file, monkeypatch)))


def test_a_complaint_goes_to_standard_error_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    complain("bad \x1b[31m[red]")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "siliconflow-voice: bad \\x1b[31m[red]\n")


def test_a_complaint_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Broken(PIPE)
    monkeypatch.setattr(sys, "stderr", stderr)
    complain("bad")
    assert stderr.getvalue() == ""


def test_streams_that_were_closed_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    open_closed_ones()
    assert (sys.stdin.read(), sys.stdout.write("x"), sys.stderr.write("x")) == ("", 1, 1)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        number = stream.fileno()
        stream.close()
        os.close(number)


def test_streams_that_are_open_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    open_closed_ones()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
