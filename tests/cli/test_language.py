"""English or Chinese: which, and that no message lacks its Chinese."""

from __future__ import annotations

import ast
import io
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from siliconflow_voice import cli, errors
from siliconflow_voice.cli.app import execute
from siliconflow_voice.cli.chinese import MESSAGES
from siliconflow_voice.cli.language import speaks_chinese, translated
from siliconflow_voice.cli.wording import in_options, told
from siliconflow_voice.emulator import Emulator, Fault

VARIABLES = ("SILICONFLOW_VOICE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
HINTS = {
    kind.hint
    for kind in (getattr(errors, name) for name in errors.__all__)
    if kind.hint and kind is not errors.AmbiguousUploadError
}


def messages() -> Iterator[str]:
    """Give each message that the command passes to ``translated``."""
    for path in Path(cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "translated"
            ):
                match node.args[0]:
                    case ast.Constant(value=str(message)):
                        yield message
                    case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(many))):
                        yield from (one, many)
                    case _:  # a hint of an error's
                        assert path.name == "wording.py", ast.unparse(node)


def fields(message: str) -> set[tuple[str, str | None]]:
    return {(name, form) for _, name, form, _ in string.Formatter().parse(message) if name is not None}


@pytest.mark.parametrize(
    ("variables", "chinese"),
    [
        ({}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, True),
        ({"LANG": "de_DE.UTF-8", "SILICONFLOW_VOICE_LANG": "ZH"}, True),
        ({"LC_ALL": "zh_CN.UTF-8", "SILICONFLOW_VOICE_LANG": "en"}, False),
    ],
)
def test_the_first_variable_that_is_set_decides(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], chinese: bool
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert speaks_chinese() is chinese
    assert translated("Nothing was deleted.") == ("没有删除任何音色。" if chinese else "Nothing was deleted.")


def test_what_can_t_show_chinese_gets_english(chinese: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert speaks_chinese()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert not speaks_chinese()


def test_values_are_not_taken_for_fields(chinese: None) -> None:
    assert translated("Deleted {uri}", uri="{count}") == "已删除 {count}"


@pytest.mark.parametrize("message", sorted({*messages(), *map(in_options, HINTS)}))
def test_a_message_has_its_chinese_with_the_same_fields(message: str) -> None:
    assert fields(MESSAGES[message]) == fields(message)


def test_an_error_in_chinese_has_its_next_step_in_chinese(chinese: None) -> None:
    error = errors.QuotaExhaustedError("RPD limit reached", status=429, code=50608)
    next_step = "当日额度已用完：请明天再试，或联系 SiliconFlow 提高额度。"
    assert told(error) == f"HTTP 429 (code 50608): RPD limit reached. {next_step}"


def test_a_sentence_in_chinese_keeps_its_full_stop(chinese: None) -> None:
    assert told(errors.ConfigurationError("没有密钥。")) == "没有密钥。"


async def test_an_error_in_english_says_how_often_it_was_tried(
    emulator: Emulator, address: str, no_backoff: None, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.add_fault(Fault.return_status(500, times=None, endpoint="list"))
    assert await execute(["list"]) == 3
    assert "Gave up after 6 attempts.\n" in capsys.readouterr().err
