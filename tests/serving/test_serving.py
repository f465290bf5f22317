from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.load import SCENARIOS, Load, carry_out
from serving.process import PAGE, START, handler, serving
from siliconflow_voice import errors
from siliconflow_voice.emulator import Emulator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")


def test_the_page_has_a_status_for_every_error_and_every_rule() -> None:
    cells = re.findall(r"^\| (`[^|]*`) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    package = Path(errors.__file__).parent
    sources = [path.read_text("utf-8") for path in package.rglob("*.py")]
    rules = {rule for source in sources for rule in re.findall(r'rule="(\w+)"', source)}
    assert named == {*errors.__all__, *rules}


def test_the_page_has_the_statuses_of_its_table_of_rules_as_code() -> None:
    _, _, page = PAGE.read_text("utf-8").partition("| `.rule` |")
    table = dict(re.findall(r"^\| (?:`(\w+)`|\(empty\)) \| .* \| (\d{3}) \|$", page, re.MULTILINE))
    [block] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"InvalidUploadError": errors.InvalidUploadError}
    exec(block, names)  # noqa: S102 - our own documentation
    assert len(table) > 5
    for rule, status in table.items():
        assert names["status_of"](errors.InvalidUploadError("audio", rule=rule)) == int(status)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of the emulator's, which sets no events
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("framework", START)
async def test_a_service_that_is_stopped_loses_no_voice(framework: str, tmp_path: Path) -> None:
    async with (
        Emulator(latency=0.3) as emulator,
        serving(framework, emulator, tmp_path) as service,
    ):
        callers = service.callers(40)
        await until(lambda: len(emulator.voices) >= 5)
        logged = await service.stopped()
        answers = await asyncio.gather(*callers)
        made = Counter(status for status, _ in answers)
        assert made == {201: len(emulator.voices), 503: 40 - len(emulator.voices)}
        assert len({voice.custom_name for voice in emulator.voices}) == len(emulator.voices)
        assert re.search(rf"Drained\(finished=\d+, released={made[503]}, unfinished=0\)", logged)
        assert "Traceback" not in logged


@pytest.mark.parametrize("framework", START)
async def test_callers_that_disconnect_harm_no_other(framework: str, tmp_path: Path) -> None:
    async with (
        Emulator(latency=0.2) as emulator,
        serving(framework, emulator, tmp_path) as service,
    ):
        callers = service.callers(30)
        await until(lambda: len(emulator.voices) >= 5)
        for caller in callers[20:]:
            caller.cancel()
        assert [status for status, _ in await asyncio.gather(*callers[:20])] == [201] * 20
        logged = await service.stopped()
        names = [voice.custom_name for voice in emulator.voices]
        assert len(set(names)) == len(names)
        assert "Traceback" not in logged


@pytest.mark.parametrize("framework", START)
async def test_a_caller_is_told_what_is_wrong_with_its_recording(framework: str, tmp_path: Path) -> None:
    async with Emulator() as emulator, serving(framework, emulator, tmp_path) as service:
        status, text = await service.post("no name")
        assert status == 422
        assert "custom_name" in text


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_burst_at_a_bad_service_makes_no_voice_twice_and_misleads_no_caller(
    scenario: str, tmp_path: Path
) -> None:
    load = Load("fastapi", scenario, callers=100, requests=60, window=1.5, deadline=60, latency=(0.05, 0.1))
    verdict = await carry_out(load, tmp_path)
    assert (verdict.doubles, verdict.misled, verdict.ambiguous, verdict.tracebacks) == (0, (), 0, 0)
    assert verdict.unanswered > 0
    assert verdict.statuses[201] > 0
    if scenario == "steady":
        assert verdict.statuses == {201: 100}
        assert verdict.voices == 100
    if scenario == "stopped":
        assert set(verdict.statuses) == {201, 503}
    if scenario == "disconnecting":
        assert verdict.statuses == {201: 67}


async def test_the_lifespan_of_fastapi_leaves_signals_as_they_were_and_runs_in_a_thread_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")
    names: dict[str, Any] = {}
    exec(handler("fastapi"), names)  # noqa: S102 - our own documentation
    before = signal.getsignal(signal.SIGTERM)

    async def live() -> bool:
        async with names["lifespan"](names["app"]):
            return signal.getsignal(signal.SIGTERM) is before

    assert not await live()
    assert await asyncio.to_thread(lambda: asyncio.run(live()))  # as Starlette's TestClient does
    assert signal.getsignal(signal.SIGTERM) is before
