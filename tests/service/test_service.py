"""The handlers that the documentation shows, each in a process of its own, with callers as they are."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from attrs import define
from support.recordings import SPEECH, TEXT

from siliconflow_voice import errors
from siliconflow_voice.emulator import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "service.md"
START = {
    "aiohttp": "from service import app, web; web.run_app(app, host='127.0.0.1', port={port}, print=None)",
    "fastapi": "import uvicorn; uvicorn.run('service:app', port={port}, log_config=None)",
}
PYTHONPATH = [path for path in [os.environ.get("PYTHONPATH")] if path]
LOGGED = "import logging; logging.basicConfig(level='INFO'); "

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")


def handler(framework: str) -> str:
    blocks: list[str] = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    [source] = [block for block in blocks if "\napp" in block and f"from {framework} import" in block]
    return source


def test_the_page_has_a_status_for_every_error_and_every_rule() -> None:
    cells = re.findall(r"^\| (`[^|]*`) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    package = Path(errors.__file__).parent
    sources = [path.read_text("utf-8") for path in package.rglob("*.py")]
    rules = {rule for source in sources for rule in re.findall(r'rule="(\w+)"', source)}
    assert named == {*errors.__all__, *rules}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of the emulator's, which sets no events
            await asyncio.sleep(0.01)


@define
class Service:
    """A service under test."""

    url: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    async def post(self, name: str) -> tuple[int, str]:
        """Have a voice made; return the status and the answer."""
        form = aiohttp.FormData({"name": name, "text": TEXT})
        form.add_field("recording", SPEECH, filename="a.mp3", content_type="audio/mpeg")
        async with self.session.post(f"{self.url}/voices", data=form) as response:
            return response.status, await response.text()

    def callers(self, count: int) -> list[asyncio.Task[tuple[int, str]]]:
        """Call as many times at once."""
        return [asyncio.create_task(self.post(f"v{number}")) for number in range(count)]

    async def stopped(self) -> str:
        """Stop it as an orchestrator does; return what it has logged."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            _, logged = await self.process.communicate()
        assert self.process.returncode in {0, -signal.SIGTERM}
        return logged.decode()


@asynccontextmanager
async def serving(framework: str, emulator: Emulator, folder: Path) -> AsyncIterator[Service]:
    (folder / "service.py").write_text(handler(framework), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"SILICONFLOW_API_KEY": "sk-test", "SILICONFLOW_BASE_URL": emulator.base_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOGGED + START[framework].format(port=port)),
        cwd=folder,
        # Not by the folder that it runs in: where the tests run safely, that is not looked into.
        env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join([str(folder), *PYTHONPATH])},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            service = Service(f"http://127.0.0.1:{port}", process, session)
            await answers(service)
            yield service
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def answers(service: Service) -> None:
    async with asyncio.timeout(20):
        while service.process.returncode is None:
            try:
                async with service.session.get(service.url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


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
