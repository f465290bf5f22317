from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

import pytest
from support.terminal import expected, names, run, served, voices

import siliconflow_voice
from siliconflow_voice import cli
from siliconflow_voice.cli import app
from siliconflow_voice.emulator import Emulator

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_the_command_uploads_a_manifest(
    tmp_path: Path, key: None, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Emulator()) as emulator:
        arguments = ["bulk", str(voices(tmp_path, 3)), "--base-url", emulator.base_url]
        monkeypatch.setattr(sys, "argv", ["siliconflow-voice", *arguments])
        assert cli.main() == 0
    assert names(emulator) == expected(3)


def test_the_status_is_the_commands(tmp_path: Path) -> None:
    manifest = str(voices(tmp_path, 2, missing=[1]))
    assert cli.main(["bulk", manifest, "--check"]) == 1


def test_help_names_the_command(capsys: Captured) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Upload every recording listed in a manifest" in out


def test_without_a_command_there_is_help(capsys: Captured) -> None:
    assert cli.main([]) == 0
    assert "Usage: siliconflow-voice COMMAND" in capsys.readouterr().out


def test_the_commands_help_has_each_option_and_the_exit_statuses(capsys: Captured) -> None:
    assert cli.main(["bulk", "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("journal", "check", "results", "failures", "report", "json", "root", "api-key-file"):
        assert f"--{option} " in out
    words = " ".join(out.split())
    assert "Exit status: 0 all done; 1 some rows failed; 2 invalid usage; 3 stopped early by" in words
    assert ("[default: False]" in out, "--no-" in out, "--api-key " in out) == (False, False, False)


def test_the_version_is_the_packages(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{siliconflow_voice.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nonsense"], "nonsense"),
        (["bulk"], "MANIFEST"),
        (["bulk", "a.csv", "--nope"], "--nope"),
        (["bulk", "a.csv", "b.csv"], "Unexpected argument: b.csv."),
        (["bulk", "a.csv", "--api-key", "sk-test"], "--api-key"),
        (["bulk", "a.csv", "--no-json"], "--no-json"),
        (["bulk", "a.csv", "--concurrency", "[/nope]"], "--concurrency"),
        (["bulk", "a.csv", "--concurrency", "0"], "Must be >= 1"),
        (["bulk", "a.csv", "--requests-per-minute", "0"], "Must be >= 1"),
        (["bulk", "a.csv", "--check", "--requests-per-minute", "0"], "Must be >= 1"),
        (["bulk", "a.csv", "--tokens-per-minute", "-1"], "Must be >= 1"),
        (["bulk", "a.csv", "--settle", "-1"], "Must be >= 0"),
        (["bulk", "a.csv", "--settle", "nan"], "Must be >= 0"),
        (["bulk", "a.csv", "--encoding", "gzip"], "multipart"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], problem: str, capsys: Captured) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, problem in captured.err, captured.err.count("\n")) == ("", True, 1)
    usage = "siliconflow-voice --help" if arguments == ["nonsense"] else "siliconflow-voice bulk --help"
    assert captured.err.startswith("siliconflow-voice: ")
    assert captured.err.endswith(f" For usage, run: {usage}\n")


def test_an_interruption_before_the_run_is_told(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(coroutine: asyncio.Task[int]) -> int:
        coroutine.close()  # type: ignore[attr-defined] # a coroutine
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    assert app.run(["bulk", "a.csv"]) == 130
    assert capsys.readouterr().err == "siliconflow-voice: interrupted\n"


def test_it_runs_as_a_module(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["siliconflow-voice", "--version"])
    monkeypatch.delitem(sys.modules, "siliconflow_voice.__main__", raising=False)
    with pytest.raises(SystemExit) as ending:
        runpy.run_module("siliconflow_voice", run_name="__main__")
    assert (ending.value.code, capsys.readouterr().out) == (0, f"{siliconflow_voice.__version__}\n")


def test_importing_the_module_runs_nothing(capsys: Captured) -> None:
    runpy.run_module("siliconflow_voice.__main__", run_name="siliconflow_voice.__main__")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("library", ["cyclopts", "rich.console"])
def test_without_the_extra_it_says_what_to_install(
    library: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing(library, monkeypatch)
    assert cli.main(["bulk", "a.csv"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        f"siliconflow-voice needs {library}; run: python -m pip install 'siliconflow-voice[cli]'\n",
    )


def test_a_module_of_another_kind_that_is_missing_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    missing("siliconflow_voice.client", monkeypatch)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["bulk", "a.csv"])


def missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next import of the command find a module missing."""
    for module in [*sys.modules]:
        if module.startswith("siliconflow_voice.cli."):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(cli, "app")
    monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("library", ["cyclopts", "rich"])
async def test_without_the_extra_a_process_says_so_in_one_line(library: str) -> None:
    program = (
        f"import runpy, sys; sys.modules[{library!r}] = None; "
        "runpy.run_module('siliconflow_voice', run_name='__main__')"
    )
    ended = await run(python=("-c", program))
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"siliconflow-voice needs {library}")
    assert ended.err.endswith("; run: python -m pip install 'siliconflow-voice[cli]'\n")


async def test_a_command_whose_extra_is_missing_says_what_to_install(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause: ModuleNotFoundError | None = ModuleNotFoundError("no", name="procrastinate")

    class Lacking:
        def parse_args(self, *_: object, **__: object) -> None:
            raise ImportError("no fleet") from cause

    monkeypatch.setattr(app, "app", Lacking())
    assert await app.execute(["fleet", "status"]) == 2
    assert "needs procrastinate: install siliconflow-voice[fleet]" in capsys.readouterr().err
    cause = None
    with pytest.raises(ImportError, match="no fleet"):  # a mistake of our own
        await app.execute(["fleet", "status"])
