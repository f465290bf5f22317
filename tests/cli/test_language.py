"""English or Chinese: which, and that no message lacks its Chinese."""

from __future__ import annotations

import ast
import io
import string
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from support.terminal import voices

from siliconflow_voice import cli, errors
from siliconflow_voice.cli.app import execute
from siliconflow_voice.cli.chinese import MESSAGES
from siliconflow_voice.cli.language import speaks_chinese, translated
from siliconflow_voice.cli.stats import ATTEMPTS, STATUSES
from siliconflow_voice.cli.summary import _EXPLAINED
from siliconflow_voice.cli.wording import in_options, told
from siliconflow_voice.emulator import Emulator, Fault

VARIABLES = ("SILICONFLOW_VOICE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
HINTS = {
    kind.hint
    for kind in (getattr(errors, name) for name in errors.__all__)
    if kind.hint and kind is not errors.AmbiguousUploadError
}


# What is taken from a table, by the module that does.
TABLES: dict[str, list[str]] = {
    "wording.py": [*map(in_options, HINTS)],
    "summary.py": [*ATTEMPTS.values(), *_EXPLAINED.values()],
    "progress.py": [*STATUSES],
}


def messages() -> Iterator[str]:
    """Give each message that the command passes to ``translated``."""
    yield from chain(*TABLES.values())
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
                    case _:
                        assert path.name in TABLES, ast.unparse(node)


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


@pytest.mark.parametrize("message", sorted({*messages()}))
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


def test_no_chinese_is_left_over() -> None:
    assert {*MESSAGES} - {*messages()} == set()


async def test_a_run_is_told_in_chinese(
    tmp_path: Path, address: str, chinese: None, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = voices(tmp_path, 2, missing=[1])
    assert await execute(["bulk", str(manifest), "--check", "--requests-per-minute", "60"]) == 1
    rows, sizes, time = capsys.readouterr().out.splitlines()[1:]
    assert rows == "2 行，1 个问题。没有发送任何数据。"
    assert sizes.startswith("音频 45.0 kB，时长 0:00:06；需发送 ")
    assert time == "每分钟 60 次请求，上传需要 0:00:01。"
    assert await execute(["bulk", str(manifest)]) == 1
    out = capsys.readouterr().out
    assert "\n        1  已上传\n" in out
    again = tmp_path / "voices.failures.csv"
    assert f"\n要重试失败的行，请改好这个清单再运行（选项不变）：{again}\n" in out
