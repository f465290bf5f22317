"""Fleets: workers in this process and in others, and what their tables hold."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from attrs import define

from siliconflow_voice import RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import WorkerOptions
from siliconflow_voice.throttle.throttle import Throttle
from support.terminal import Command, started

_CHUNKS = "SELECT state, done, failed FROM siliconflow_voice.fleet_chunks ORDER BY submission, number"
_JOBS = """
SELECT status::text, args FROM procrastinate_jobs WHERE queue_name = 'siliconflow_voice'
ORDER BY args->>'submission', args->>'number'
"""


@define
class Database:
    """A fleet's database, looked into."""

    url: str

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def chunks(self) -> list[tuple[str, int, int]]:
        """Return each chunk's state, and how many of its rows are done and failed."""
        return [(row[0], row[1], row[2]) for row in self.ask(_CHUNKS)]

    def jobs(self) -> list[tuple[str, dict[str, int]]]:
        """Return the state and the arguments of each chunk's job."""
        return [(row[0], row[1]) for row in self.ask(_JOBS)]

    def statuses(self) -> list[str]:
        """Return what became of the rows of all chunks, in their order; an empty text for nothing yet."""
        found: list[str] = []
        for size, results in self.ask(
            "SELECT size, results FROM siliconflow_voice.fleet_chunks ORDER BY submission, number"
        ):
            found += [results.get(str(place), {"status": ""})["status"] for place in range(size)]
        return found

    def errors(self) -> list[str]:
        """Return the errors of rows, in their order."""
        return [
            result["error"]
            for (results,) in self.ask(
                "SELECT results FROM siliconflow_voice.fleet_chunks ORDER BY submission, number"
            )
            for _, result in sorted(results.items(), key=lambda item: int(item[0]))
            if result["error"] is not None
        ]


def options(emulator: Emulator, *, key: str = "sk-test", **changes: Any) -> WorkerOptions:
    """Return what a worker is told that works with an emulator, and doesn't wait long."""

    def client(throttle: Throttle) -> VoiceClient:
        retry = RetryPolicy(wait_initial=0.001, wait_max=0.002)
        return VoiceClient(key, base_url=emulator.base_url, throttle=throttle, retry=retry)

    return WorkerOptions(client=client, **{"settle": 0.0} | changes)


@asynccontextmanager
async def worker(url: str, emulator: Emulator, *arguments: object) -> AsyncGenerator[Command, None]:
    """Start a worker as a process of its own."""
    environment = {"SILICONFLOW_DATABASE_URL": url, "SILICONFLOW_BASE_URL": emulator.base_url}
    async with started("fleet", "worker", *arguments, environment=environment) as command:
        yield command


@asynccontextmanager
async def procrastinate(url: str, emulator: Emulator, folder: Path) -> AsyncGenerator[Command, None]:
    """Start a worker by procrastinate's own command."""
    (folder / "plain.py").write_text(
        "import os\nfrom siliconflow_voice import fleet\n"
        'app = fleet.app(os.environ["SILICONFLOW_DATABASE_URL"])\n'
    )
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))  # not in safe mode
    environment = {
        "SILICONFLOW_DATABASE_URL": url,
        "SILICONFLOW_BASE_URL": emulator.base_url,
        "PYTHONPATH": path,
    }
    python = ("-m", "procrastinate", "--app=plain.app")
    async with started("worker", python=python, environment=environment, cwd=folder) as command:
        yield command
