from __future__ import annotations

import io
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import siliconflow_voice.emulator
from siliconflow_voice.emulator import Emulator, Quota
from siliconflow_voice.emulator import __main__ as terminal

ROOT = Path(siliconflow_voice.emulator.__file__).parents[2]


class SignalAtTheFirstLine(io.StringIO):
    """A stdout that is read by somebody who stops the emulator as soon as it has its address."""

    number = signal.SIGTERM

    def flush(self) -> None:
        super().flush()
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_cleanly_at_a_signal(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    stdout = SignalAtTheFirstLine()
    stdout.number = number
    before = signal.getsignal(number)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert terminal.main(["--port", "0"]) == 0
    assert stdout.getvalue().startswith("http://127.0.0.1:")
    assert signal.getsignal(number) is before


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Emulator]:
    emulators: list[Emulator] = []

    async def serve(emulator: Emulator) -> None:
        emulators.append(emulator)

    monkeypatch.setattr(terminal, "serve", serve)
    return emulators


def test_quotas_and_faults_can_be_ordered(served: list[Emulator]) -> None:
    terminal.main(["--requests-per-minute", "60", "--tokens-per-minute", "9000", "--fail-503", "0.1"])
    (emulator,) = served
    assert emulator.quota == Quota(requests=60, tokens=9000)
    assert list(map(str, emulator.unmet_faults)) == ["return_status(503) on upload"]


def test_limits_told_otherwise_and_idle_connections_can_be_ordered(served: list[Emulator]) -> None:
    terminal.main(["--requests-per-minute", "60", "--limit-status", "403", "--close-idle", "0"])
    (emulator,) = served
    assert emulator.quota == Quota(requests=60, told_as=403)
    assert list(map(str, emulator.unmet_faults)) == ["close_idle(0.0) on any"]


@pytest.mark.parametrize(
    "arguments", [["--fail-503", "2"], ["--requests-per-minute", "0"], ["--close-idle", "-1"]]
)
def test_impossible_orders_are_refused_with_the_usage(
    served: list[Emulator], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        terminal.main(arguments)
    assert "error: " in capsys.readouterr().err
    assert served == []


def test_it_runs_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["emulator"])
    monkeypatch.setattr(sys, "stdout", SignalAtTheFirstLine())
    monkeypatch.delitem(sys.modules, "siliconflow_voice.emulator.__main__", raising=False)
    with pytest.raises(SystemExit) as ending:
        runpy.run_module("siliconflow_voice.emulator", run_name="__main__")
    assert ending.value.code == 0


def test_it_serves_in_a_process_of_its_own_until_it_is_told_to_stop() -> None:
    command = [
        sys.executable,
        "-m",
        "siliconflow_voice.emulator",
        "--max-audio-mb",
        "0.001",
        "--api-key",
        "sk-mine",
    ]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        answer = requests.post(
            base_url + "/uploads/audio/voice",
            headers={"Authorization": "Bearer sk-mine"},
            files={"file": bytes(1001)},
            data={"model": "IndexTeam/IndexTTS-2", "customName": "a", "text": "b"},
            timeout=10,
        )
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (413, 20045)
    assert (process.returncode, errors) == (0, "")
