from __future__ import annotations

import signal
import sys

import pytest
from support.terminal import started

from siliconflow_voice import OverloadedError, RetryPolicy, VoiceClient
from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.emulator import __main__ as terminal

Captured = pytest.CaptureFixture[str]


async def test_it_runs_the_emulator_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    emulators: list[Emulator] = []

    async def serve(emulator: Emulator) -> None:
        emulators.append(emulator)

    monkeypatch.setattr(terminal, "serve", serve)
    assert await execute(["serve", "--return-status", "503,share=0.2", "--drop-answer"]) == 0
    [emulator] = emulators
    expected = Fault.return_status(503, times=None, share=0.2), Fault.drop_answer(times=None)
    assert emulator.unmet_faults == expected


@pytest.mark.parametrize("option", ["--help", "-h"])
async def test_its_help_is_the_emulators_by_the_commands_name(option: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="0"):
        await execute(["serve", option])
    out = capsys.readouterr().out
    assert out.startswith("usage: siliconflow-voice serve [options]\n")
    assert "  siliconflow-voice serve --port 8000\n" in out


async def test_an_invalid_option_is_refused_in_one_sentence(capsys: Captured) -> None:
    with pytest.raises(SystemExit, match="2"):
        await execute(["serve", "--version"])
    usage = "For usage, run: siliconflow-voice serve --help"
    assert capsys.readouterr().err == f"error: unrecognized arguments: --version. {usage}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal(number: signal.Signals) -> None:
    async with started("serve", "--return-status", "503,endpoint=list") as command:
        assert command.process.stdout is not None
        base_url = (await command.process.stdout.readline()).decode().strip()
        async with VoiceClient("sk-test", base_url=base_url, retry=RetryPolicy.none()) as client:
            with pytest.raises(OverloadedError):
                await client.list_voices()
        command.process.send_signal(number)
        ended = await command.ended()
    assert (ended.status, ended.err) == (0, f"status page: {base_url.removesuffix('v1')}\n")
