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

from siliconflow_voice.cli.terminal import (
    UNPRINTABLE,
    Stdout,
    escaped,
    format_bytes,
    format_duration,
    is_watched,
    open_closed_streams,
    print_error,
    shortened,
)

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
    assert (stdout.error, stdout.failure()) == (None, None)


def test_a_pipe_that_is_closed_is_noted_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = stdout_to(Broken(PIPE), monkeypatch)
    assert stdout.write("lost") == 4
    assert stdout.error is PIPE
    assert str(stdout.failure()) == "Standard output can't be written: Broken pipe."


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
    assert str(stdout.failure()) == "Standard output can't be written: gone."


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
    [("utf-8", '{"event": "慢"}\n'), ("UTF8", '{"event": "慢"}\n'), ("gbk", '{"event": "\\u6162"}\n')],
)
def test_json_is_ascii_where_the_encoding_is_not_utf_8(
    encoding: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with encoded(encoding) as file:
        stdout_to(file, monkeypatch).event("慢")
        assert file.buffer.getvalue().decode(encoding) == written  # type: ignore[attr-defined] # in memory


@given(st.text(st.characters()))
def test_json_has_nothing_that_a_terminal_obeys_and_reads_back_the_same(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch, encoded("utf-8") as file:
        stdout_to(file, patch).event("text", text=text)
        line = file.buffer.getvalue().decode()  # type: ignore[attr-defined] # in memory
    assert (json.loads(line), UNPRINTABLE.findall(line)) == ({"event": "text", "text": text}, ["\n"])


def test_a_console_takes_text_for_nothing_but_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]x[/] [/nope] :smile: speech:cat:account:1 http://127.0.0.1"
    Stdout().console().print(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_terminal_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert is_watched(stdout_to(Terminal(), monkeypatch).console())


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [(io.StringIO(), "FORCE_COLOR", "1"), (Terminal(), "TERM", "dumb")],
)
def test_a_log_or_a_terminal_that_can_only_print_is_not_watched(
    file: io.StringIO, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert not is_watched(stdout_to(file, monkeypatch).console())


def test_a_complaint_goes_to_standard_error_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("bad \x1b[31m[red]")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "siliconflow-voice: bad \\x1b[31m[red]\n")


def test_a_complaint_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Broken(PIPE)
    monkeypatch.setattr(sys, "stderr", stderr)
    print_error("bad")
    assert stderr.getvalue() == ""


def test_streams_that_were_closed_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    open_closed_streams()
    assert (sys.stdin.read(), sys.stdout.write("x"), sys.stderr.write("x")) == ("", 1, 1)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        number = stream.fileno()
        stream.close()
        os.close(number)


def test_streams_that_are_open_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    open_closed_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (5_000_000, "5.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (1_234_500_000_000, "1,234.5 GB"),
    ],
)
def test_amounts_have_the_unit_that_suits_them(count: float, text: str) -> None:
    assert format_bytes(count) == text


@given(st.floats(0, 1e15))
def test_no_amount_has_four_digits_of_a_smaller_unit(count: float) -> None:
    number, unit = format_bytes(count).split(" ")
    assert unit == "GB" or float(number) < 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (0.6, "0:00:01"), (59.6, "0:01:00"), (3599, "0:59:59"), (100_000, "27:46:40")],
)
def test_durations_are_rounded_to_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 慢工 [red]", "plain 慢工 [red]"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x07\x7f\x9b31m", r"\x07\x7f\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\udcff"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text())
def test_whatever_a_text_has_nothing_to_obey_is_left_of_it(text: str) -> None:
    assert UNPRINTABLE.search(escaped(text)) is None


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_words_stay_as_they_are(text: str) -> None:
    assert escaped(text) == text


def test_a_long_text_is_cut() -> None:
    assert shortened("word " * 100, 12) == "word word w…"


def test_a_text_that_just_fits_is_whole() -> None:
    assert shortened("a" * 400) == "a" * 400
