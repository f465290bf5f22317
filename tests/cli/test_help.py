"""The pages of ``--help``: each has its examples and its Chinese, and says nothing that is not so."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator

import pytest
from cyclopts import App
from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console

from siliconflow_voice.cli import help as pages
from siliconflow_voice.cli.app import app
from siliconflow_voice.cli.chinese_help import HELP
from siliconflow_voice.cli.help import TranslatedHelp, in_chinese

# The page of ``serve`` is the emulator's own; the others, where they are there, are in English as yet.
_NOT_OURS = {"audition", "fleet", "prepare", "serve"}


def commands(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give each command, and each family of commands."""
    yield path
    for name in of:
        if not name.startswith("-") and name not in _NOT_OURS:
            yield from commands(of[name], (*path, name))


def shown(path: tuple[str, ...]) -> str:
    page = io.StringIO()
    app.help_print([*path], console=Console(file=page, width=400, legacy_windows=False))
    return page.getvalue()


COMMANDS = [*commands()]
LEAVES = [path for path in COMMANDS if path not in {(), ("journal",)}]


class Noted(dict[str, str]):
    """The pages' Chinese, which notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(HELP)
        self.asked: set[str] = set()

    def get(self, key: str, default: object = None, /) -> str:
        self.asked.add(key)
        return super().get(key, str(default))


@pytest.fixture
def noted(chinese: None, monkeypatch: pytest.MonkeyPatch) -> Noted:
    monkeypatch.setattr(pages, "HELP", noted := Noted())
    return noted


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_page_is_in_chinese_as_a_whole(path: tuple[str, ...], noted: Noted) -> None:
    page = shown(path)
    assert noted.asked - {*HELP} == set(), "add them to cli/chinese_help.py"
    assert page.startswith("用法：siliconflow-voice")
    assert not re.search(r"\[(required|default|choices)", page)


def test_no_chinese_is_left_over(noted: Noted) -> None:
    for path in COMMANDS:
        shown(path)
    assert {*HELP} - noted.asked == set()


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_a_page_has_examples_that_the_command_understands(path: tuple[str, ...]) -> None:
    command = " ".join(("siliconflow-voice", *path))
    examples = re.findall(rf"^ .*?{command}(.*)$", shown(path), re.MULTILINE)
    assert examples
    for example in examples:
        own = re.split(r"[|<)]", example)[0]
        app.parse_args([*path, *shlex.split(own)], exit_on_error=False, print_error=False)


def test_examples_stay_as_they_are() -> None:
    text = "For example:\n\n    siliconflow-voice list\n    siliconflow-voice models\n"
    assert in_chinese(text) == "例如：\n\n    siliconflow-voice list\n    siliconflow-voice models"


def test_what_is_not_a_text_of_a_page_is_shown_as_it_is(chinese: None) -> None:
    page = io.StringIO()
    console = Console(file=page, width=80)
    panel = HelpPanel(
        format="parameter",
        title="Options",
        entries=[HelpEntry(positive_names=("--odd",), description="odd", required=True)],
    )
    TranslatedHelp()(console, console.options, panel)
    assert "odd" in page.getvalue()
