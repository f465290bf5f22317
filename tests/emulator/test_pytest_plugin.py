from __future__ import annotations

from collections.abc import Callable

import pytest

pytest_plugins = ["pytester"]

Run = Callable[[str], pytest.RunResult]

HEAD = """
import aiohttp
from siliconflow_voice.emulator import Fault

pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    def run_test(body: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + body)
        return pytester.runpytest_inprocess(
            "-p",
            "no:cacheprovider",
            "-o",
            "asyncio_mode=auto",
            "-o",
            "asyncio_default_fixture_loop_scope=function",
        )

    return run_test


def test_a_test_whose_faults_were_met_passes(run: Run) -> None:
    result = run("""
async def test_a_list(siliconflow_emulator):
    async with siliconflow_emulator(faults=[Fault.return_status(503, endpoint="list")]) as emulator:
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-test"}) as session:
            async with session.get(emulator.base_url + "/audio/voice/list") as response:
                assert response.status == 503
""")
    result.assert_outcomes(passed=1)


def test_a_test_whose_faults_were_not_met_fails_and_names_each(run: Run) -> None:
    result = run("""
async def test_nothing(siliconflow_emulator):
    async with siliconflow_emulator(faults=[Fault.return_status(503, times=2)]):
        pass
    siliconflow_emulator(faults=[Fault.drop_answer(endpoint="any")])
""")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["no request met these faults: return_status(503) on upload, drop_answer() on any"]
    )
