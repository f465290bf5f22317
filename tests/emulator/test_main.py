from __future__ import annotations

import asyncio
import io
import re
import runpy
import signal
import socket
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import aiohttp
import pytest
import requests

import siliconflow_voice.emulator
from siliconflow_voice.emulator import Emulator, Fault, Quota
from siliconflow_voice.emulator import __main__ as terminal
from siliconflow_voice.emulator.options import emulator_of

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


def test_latency_and_quota_can_be_ordered(served: list[Emulator]) -> None:
    terminal.main([])
    terminal.main(["--requests-per-minute", "60", "--tokens-per-minute", "9000", "--latency", "0.5-1.5"])
    terminal.main(["--requests-per-minute", "60", "--limit-status", "403", "--window", "6"])
    terminal.main(["--requests-per-minute", "6", "--quota-kind", "bucket", "--burst", "2", "--latency", "1"])
    assert [emulator.quota for emulator in served] == [
        Quota(),
        Quota(requests=60, tokens=9000),
        Quota(requests=60, told_as=403, window=6),
        Quota(requests=6, kind="bucket", burst=2),
    ]


async def test_an_answer_takes_the_latency_that_was_ordered() -> None:
    loop = asyncio.get_running_loop()
    async with (
        emulator_of(["--latency", "0.05-0.06"], "emulator") as emulator,
        aiohttp.ClientSession() as session,
    ):
        began = loop.time()
        async with session.get(emulator.base_url):
            assert loop.time() - began >= 0.05


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--return-status", "503"], Fault.return_status(503, times=None)),
        (
            ["--return-status", "429,code=50608,message=RPD limit,times=2"],
            Fault.return_status(429, code=50608, message="RPD limit", times=2),
        ),
        (["--return-status", "503,share=0.2"], Fault.return_status(503, times=None, share=0.2)),
        (["--delay", "2,endpoint=list"], Fault.delay(2.0, times=None, endpoint="list")),
        (["--stall-after", "1000"], Fault.stall_after(1000, times=None)),
        (["--reset-after", "1000"], Fault.reset_after(1000, times=None)),
        (["--drop-answer"], Fault.drop_answer(times=None)),
        (["--drop-answer", "share=0.02"], Fault.drop_answer(times=None, share=0.02)),
        (["--truncate-answer", "8"], Fault.truncate_answer(8, times=None)),
        (["--trickle-answer", "0.5"], Fault.trickle_answer(0.5, times=None)),
        (["--close-idle", "0"], Fault.close_idle(0.0, times=None, endpoint="any")),
        (["--close-idle", "15,endpoint=list"], Fault.close_idle(15.0, times=None, endpoint="list")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_fault_can_be_ordered(served: list[Emulator], arguments: list[str], fault: Fault) -> None:
    terminal.main(arguments)
    (emulator,) = served
    assert emulator.unmet_faults == (fault,)


def test_there_is_an_option_for_each_fault() -> None:
    kinds = {name for name, value in vars(Fault).items() if isinstance(value, classmethod)}
    with pytest.raises(SystemExit), redirect_stdout(io.StringIO()) as out:
        terminal.main(["--help"])
    options = set(re.findall(r"^  --([\w-]+)", out.getvalue(), re.MULTILINE))
    assert {kind.replace("_", "-") for kind in kinds} <= options


def test_the_examples_of_its_help_are_accepted(
    served: list[Emulator], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        terminal.main(["--help"])
    _, _, examples = capsys.readouterr().out.partition("examples:\n")
    lines = examples.splitlines()
    for line in lines:
        terminal.main(line.removeprefix("  python -m siliconflow_voice.emulator").split())
    assert len(served) == len(lines) > 3


def test_faults_are_met_in_the_order_of_the_command_line(served: list[Emulator]) -> None:
    terminal.main(["--delay", "1", "--return-status", "503", "--delay", "2"])
    (emulator,) = served
    names = [fault.name for fault in emulator.unmet_faults]
    assert names == ["delay(1.0)", "return_status(503)", "delay(2.0)"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("--port 65536", "argument --port: '65536' is not a port, from 0 to 65535"),
        ("--latency 2-1", "argument --latency: '2-1' is not a range from less to more seconds"),
        ("--latency=-1", "argument --latency: '-1' is not a number from 0"),
        ("--window 0", "argument --window: a window takes more than 0 seconds"),
        ("--requests-per-minute 0", "argument --requests-per-minute: '0' is not a whole number from 1"),
        ("--max-audio-mb nan", "argument --max-audio-mb: 'nan' is not a number from 0"),
        ("--burst 3", "--burst needs --quota-kind bucket and --requests-per-minute"),
        ("--close-idle -1", "argument --close-idle: '-1' is not a number from 0"),
        ("--return-status 99", "argument --return-status: status must be from 200 to 599, got 99"),
        (
            "--return-status share=1",
            "argument --return-status: 'share=1' has no value in front of its settings",
        ),
        (
            "--return-status 503,share=2",
            "argument --return-status: share must be above 0 and at most 1, got 2.0",
        ),
        ("--stall-after 1.5", "argument --stall-after: '1.5' is not a whole number"),
        (
            "--drop-answer 5",
            "argument --drop-answer: '5' is not a setting: pass share=…, times=…, endpoint=…",
        ),
        ("--delay 1,2", "argument --delay: '2' is not a setting: pass share=…, times=…, endpoint=…"),
        ("--delay x", "argument --delay: 'x' is not a number from 0"),
        ("--fail", "unrecognized arguments: --fail"),
    ],
)
def test_impossible_orders_are_refused_in_one_sentence(
    served: list[Emulator], arguments: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        terminal.main(arguments.split())
    usage = "For usage, run: python -m siliconflow_voice.emulator --help"
    assert capsys.readouterr().err == f"error: {problem}. {usage}\n"
    assert served == []


def test_a_port_in_use_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert terminal.main(["--port", str(other.getsockname()[1])]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: can't listen: ")


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
    assert (process.returncode, errors) == (0, f"status page: {base_url.removesuffix('v1')}\n")
