"""What makes a shell complete the command's words, tried in the shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from siliconflow_voice.cli.app import execute

Captured = pytest.CaptureFixture[str]

_BASH = """
source {script}
COMP_WORDS=(siliconflow-voice {words}) COMP_CWORD={last} COMP_TYPE=9
_siliconflow_voice
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


async def script_for(shell: str, folder: Path, capsys: Captured) -> Path:
    assert await execute(["completion", shell]) == 0
    path = folder / f"script.{shell}"
    path.write_text(capsys.readouterr().out, "utf-8")
    return path


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - a shell, with our script


@needs("bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tr", ["transcribe"]),
        ("journal su", ["superseded"]),
        ("speak --form", ["--format"]),
        ("speak --format m", ["mp3"]),
        ("models text", ["text-to-speech"]),
        ("upload --ens", ["--ensure"]),
    ],
)
async def test_bash_completes_commands_options_and_choices(
    tmp_path: Path, capsys: Captured, words: str, completed: list[str]
) -> None:
    script = await script_for("bash", tmp_path, capsys)
    program = _BASH.format(script=script, words=words, last=len(words.split()))
    assert told("bash", "-c", program).split() == completed


@needs("zsh")
async def test_zsh_accepts_its_script(tmp_path: Path, capsys: Captured) -> None:
    script = await script_for("zsh", tmp_path, capsys)
    text = script.read_text("utf-8")
    assert text.startswith("#compdef siliconflow-voice\n")
    assert told("zsh", "-n", str(script)) == ""
    for word in ("transcribe", "--sample-rate", "superseded"):
        assert word in text


async def test_fish_has_a_script(tmp_path: Path, capsys: Captured) -> None:
    script = await script_for("fish", tmp_path, capsys)
    assert "complete -c siliconflow-voice" in script.read_text("utf-8")


@pytest.mark.parametrize(
    ("shell", "installed", "startup"),
    [
        ("bash", ".local/share/bash-completion/completions/siliconflow-voice", ".bashrc"),
        ("zsh", ".zsh/completions/_cyclopts_siliconflow-voice", ".zshrc"),
    ],
)
async def test_it_is_installed_where_the_shell_finds_it(
    *,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    shell: str,
    installed: str,
    startup: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / startup).write_text("# before\n", "utf-8")
    for _ in range(2):
        assert await execute(["completion", shell, "--install"]) == 0
    assert (tmp_path / installed).exists()
    lines = (tmp_path / startup).read_text("utf-8").splitlines()
    assert "# before" in lines
    assert sum(str((tmp_path / installed).parent) in line for line in lines) == 1
    said = f"Installed {tmp_path / installed}; start a new shell to use it\n"
    assert capsys.readouterr().out == said * 2


async def test_where_it_can_t_be_installed_it_says_so(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".local").write_text("", "utf-8")
    assert await execute(["completion", "bash", "--install"]) == 3
    assert capsys.readouterr().err.startswith("siliconflow-voice: The script can't be installed: ")


async def test_an_unknown_shell_is_refused(capsys: Captured) -> None:
    assert await execute(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
