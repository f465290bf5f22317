from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from support.recordings import TEXT

from siliconflow_voice import ConfigurationError
from siliconflow_voice.cli.texts import read_stdin, text_of


def refused(text: str | None, file: Path | None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        text_of(text, file)
    return str(caught.value)


def test_a_text_is_taken_as_it_is() -> None:
    assert text_of(" a\n", None) == " a\n"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_of_a_file_the_last_line_break_is_left_out(tmp_path: Path, end: str) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(f"{TEXT}\n{TEXT}{end}".encode())
    assert text_of(None, file) == f"{TEXT}\n{TEXT}"


def test_a_text_may_come_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TEXT}\n"))
    assert text_of(None, Path("-")) == TEXT


@pytest.mark.parametrize(("text", "file"), [(None, None), ("a", Path("a.txt"))])
def test_either_a_text_or_a_file_is_passed(text: str | None, file: Path | None) -> None:
    assert refused(text, file) == "Pass the words that are spoken, with either --text or --text-file."


def test_what_is_not_a_text_is_refused_with_what_to_do(tmp_path: Path) -> None:
    gbk, large, missing = (tmp_path / name for name in ("gbk.txt", "large.txt", "missing.txt"))
    gbk.write_bytes(TEXT.encode("gbk"))
    large.write_bytes(bytes(1_000_001))
    assert refused(None, gbk) == f"--text-file {gbk} is not UTF-8 text; save it as UTF-8."
    assert refused(None, large) == f"--text-file {large} is larger than 1 MB; pass a file of text."
    assert refused(None, missing) == f"--text-file {missing} can't be read: No such file or directory."


def test_standard_input_that_is_not_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode("gbk")), "utf-8"))
    with pytest.raises(ConfigurationError, match="Standard input can't be read: 'utf-8' codec"):
        read_stdin()
