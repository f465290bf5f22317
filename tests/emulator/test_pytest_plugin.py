from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.recordings import SPEECH

pytest_plugins = ["pytester"]

Run = Callable[[str], pytest.RunResult]

HEAD = """
import aiohttp
from siliconflow_voice.emulator import Fault

pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]
"""

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "testing.md"


def first_example() -> str:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(str(block) for block in blocks if "siliconflow_emulator" in block)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    def run_test(body: str) -> pytest.RunResult:
        pytester.makepyfile(HEAD + body)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *asyncio("auto"))

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


MARKED = """
import pytest

async def status(emulator):
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-test"}) as session:
        async with session.get(emulator.base_url + "/models") as response:
            return response.status

pytestmark = pytest.mark.siliconflow_faults(Fault.return_status(502, endpoint="models"))
"""


def test_faults_can_be_marked_nearest_first_and_before_the_emulators_own(run: Run) -> None:
    result = run(
        MARKED
        + """
@pytest.mark.siliconflow_faults(Fault.return_status(504, endpoint="models"))
async def test_models(siliconflow_emulator):
    own = [Fault.return_status(503, endpoint="models")]
    async with siliconflow_emulator(faults=own) as emulator, siliconflow_emulator() as other:
        assert [await status(emulator) for _ in range(4)] == [504, 502, 503, 200]
        assert await status(other) == 200
"""
    )
    result.assert_outcomes(passed=1)


def test_marked_faults_that_were_not_met_fail_the_test_with_and_without_an_emulator(run: Run) -> None:
    result = run(
        MARKED
        + """
async def test_nothing(siliconflow_emulator):
    siliconflow_emulator()

async def test_without(siliconflow_emulator):
    pass
"""
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["no request met these faults: return_status(502) on models"] * 2)


def test_what_is_not_a_fault_can_not_be_marked(run: Run) -> None:
    result = run(
        MARKED
        + """
@pytest.mark.siliconflow_faults("return-503")
async def test_nothing(siliconflow_emulator):
    pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*accepts faults, such as Fault.drop_answer(), got 'return-503'"])


def asyncio(mode: str) -> list[str]:
    return ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function"]


ALONE = ["-p", "no:asyncio", "-p", "no:anyio"]
WITH = {
    "pytest alone": ALONE,
    "pytest-asyncio, strict": [*asyncio("strict"), "-p", "no:anyio"],
    "pytest-asyncio, auto": [*asyncio("auto"), "-p", "no:anyio"],
    "anyio": ["-p", "no:asyncio"],
    "both": asyncio("strict"),
}


def run_module(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest('pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]')
    pytester.makepyfile(source)
    pytester.path.joinpath("narrator.mp3").write_bytes(SPEECH)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error", *options)


@pytest.mark.parametrize("options", WITH.values(), ids=WITH)
def test_the_first_example_of_the_page_passes(pytester: pytest.Pytester, options: list[str]) -> None:
    run_module(pytester, first_example(), *options).assert_outcomes(passed=1)


@pytest.mark.parametrize("mark", ["asyncio", "anyio"])
def test_a_marked_test_is_left_to_the_plugin_of_the_mark(pytester: pytest.Pytester, mark: str) -> None:
    source = f"""
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


{first_example()}
pytestmark = pytest.mark.{mark}
"""
    run_module(pytester, source, *asyncio("strict")).assert_outcomes(passed=1)


def test_only_async_tests_of_the_fixture_are_run_and_they_can_fail(pytester: pytest.Pytester) -> None:
    source = """
class TestNarrator:
    async def test_a_method_with_another_fixture_and_a_default(self, siliconflow_emulator, tmp_path, times=1):
        async with siliconflow_emulator() as emulator:
            assert (emulator.voices, tmp_path.is_dir(), times) == ([], True, 1)


async def test_that_fails(siliconflow_emulator):
    assert siliconflow_emulator is None


async def test_without_the_fixture():
    pass
"""
    result = run_module(pytester, source, *ALONE)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*assert * is None", "async def functions are not natively supported.*"])
