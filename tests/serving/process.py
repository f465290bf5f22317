"""The handlers that the documentation shows, each in a process of its own, and callers of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from attrs import define
from support.recordings import SPEECH, TEXT

from siliconflow_voice.emulator import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "service.md"
START = {
    "aiohttp": "from handlers import app, web; web.run_app(app, host='127.0.0.1', port={port}, print=None)",
    "fastapi": "import uvicorn; uvicorn.run('handlers:app', port={port}, log_config=None)",
}
CLIENT = "VoiceClient(retry=RetryPolicy(deadline=20))"
PYTHONPATH = [path for path in [os.environ.get("PYTHONPATH")] if path]
LOGGED = "import logging; logging.basicConfig(level='INFO'); "


def handler(framework: str) -> str:
    """Return the page's handler for a framework."""
    blocks: list[str] = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    [source] = [block for block in blocks if "\napp" in block and f"from {framework} import" in block]
    return source


def with_window(source: str, window: float, deadline: float) -> str:
    """Return the handler with the vendor's minute, and the deadline of a call, of another length."""
    before, after = source.split(CLIENT)
    client = f"VoiceClient(retry=RetryPolicy(deadline={deadline}), throttle=Throttle(window={window}))"
    return f"from siliconflow_voice import Throttle\n{before}{client}{after}"


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

    async def stopped(self, within: float = 15) -> str:
        """Stop it as an orchestrator does, with so many seconds of grace; return what it has logged."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within):
            _, logged = await self.process.communicate()
        assert self.process.returncode in {0, -signal.SIGTERM}
        return logged.decode()


@asynccontextmanager
async def serving(
    framework: str, emulator: Emulator, folder: Path, source: str = ""
) -> AsyncIterator[Service]:
    """Run the page's handler, or *source*, against the emulator."""
    (folder / "handlers.py").write_text(source or handler(framework), "utf-8")
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
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        ) as session:
            service = Service(f"http://127.0.0.1:{port}", process, session)
            await _until_it_answers(service)
            yield service
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _until_it_answers(service: Service) -> None:
    async with asyncio.timeout(20):
        while service.process.returncode is None:
            try:
                async with service.session.get(service.url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
