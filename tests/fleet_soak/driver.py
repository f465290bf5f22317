"""Runs a fleet against the service, kills its workers, restarts its database, and counts what came of it."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import math
import os
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from attrs import define, field, frozen
from killing.driver import wav
from support.postgres import Postgres

from siliconflow_voice import Manifest
from siliconflow_voice.fleet import FleetStatus, results, status, submit

_TESTS = Path(__file__).parents[1]


@frozen
class Plan:
    """What is done to the fleet."""

    uploads: int
    workers: int
    kills: int
    every: float
    """Seconds between two kills."""
    per_minute: int
    """The quota; 0 for none."""
    window: float
    """Seconds of the minute that the quota is scaled to."""
    lost: float
    """The share of answers that are lost."""
    restart: bool
    """Whether the database is restarted in the middle."""
    apart: bool
    """Whether each worker has a throttle of its own."""
    lease: float = 3.0
    seed: int = 7

    @property
    def in_a_window(self) -> int:
        """Requests that the quota allows in a window."""
        return round(self.per_minute * self.window / 60)

    @property
    def ideal(self) -> float:
        """Seconds that a sender needs who knows the quota."""
        return (math.ceil(self.uploads / self.in_a_window) - 1) * self.window if self.in_a_window else 0.0


@frozen
class Verdict:
    """What the service has in the end, and what that took."""

    missing: tuple[str, ...]
    twice: tuple[str, ...]
    seconds: float
    kills: int
    answers: Counter[str]
    """By endpoint and status."""
    results: Counter[str]
    """Rows of the fleet's results, by their status."""
    wrong_uris: int


@define
class Driver:
    """Carries out a plan."""

    plan: Plan
    folder: Path
    say: Callable[[str], object]
    _chance: random.Random = field(init=False)
    _workers: list[asyncio.subprocess.Process] = field(factory=list[asyncio.subprocess.Process], init=False)
    _kills: int = field(default=0, init=False)
    _command: tuple[str, ...] = field(default=(), init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.plan.seed)

    async def carry_out(self) -> Verdict:
        """Start all, kill, and return what came of it."""
        plan, loop = self.plan, asyncio.get_running_loop()
        with Postgres(durable=True) as server:
            url = server.create()
            await submit(url, Manifest(self._write_recordings()))
            service = await self._start(
                "service", str(plan.in_a_window), str(plan.window), str(plan.lost), str(plan.seed)
            )
            assert service.stdout is not None
            address = (await service.stdout.readline()).decode().strip()
            kind = "apart" if plan.apart else "shared"
            self._command = ("worker", url, address, str(plan.window), str(plan.lease), kind)
            began = loop.time()
            try:
                self._workers = [await self._start(*self._command) for _ in range(plan.workers)]
                await self._watch(server, url)
                seconds = loop.time() - began
            finally:
                for worker in self._workers:
                    if worker.returncode is None:
                        worker.kill()
                    await worker.wait()
                service.terminate()
                report: dict[str, Any] = json.loads((await service.communicate())[0])
            await results(url, self.folder / "results.csv")
        return self._judge(report, seconds)

    async def _watch(self, server: Postgres, url: str) -> None:
        """Kill and restart, until no row is left."""
        plan, loop = self.plan, asyncio.get_running_loop()
        next_kill, restarted, told = loop.time() + plan.every, not plan.restart, 0.0
        while True:
            found = await _status(url)
            if found is not None and not found.left:
                return
            if found is not None and loop.time() >= told:
                told = loop.time() + 5
                self.say(f"{found.done} done, {found.failed} failed, {self._kills} kills")
            if not restarted and found is not None and found.left <= plan.uploads // 2:
                restarted = True
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
                self.say("the database was restarted")
            if self._kills < plan.kills and loop.time() >= next_kill:
                next_kill = loop.time() + plan.every
                await self._kill()
            await self._replace()
            await asyncio.sleep(0.05)

    async def _kill(self) -> None:
        worker = self._chance.choice(self._workers)
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
            self._kills += 1

    async def _replace(self) -> None:
        """Start a worker for each that has ended."""
        for place, worker in enumerate(self._workers):
            if worker.returncode is not None:
                if worker.returncode > 0:
                    self.say(f"a worker ended with {worker.returncode}")
                self._workers[place] = await self._start(*self._command)

    async def _start(self, module: str, *arguments: str) -> asyncio.subprocess.Process:
        path = os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"fleet_soak.{module}",
            *arguments,
            env=os.environ | {"PYTHONPATH": path},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if module == "service" else None,
        )

    def _write_recordings(self) -> Path:
        manifest = self.folder / "voices.csv"
        with manifest.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["audio", "custom_name", "text"])
            for number in range(self.plan.uploads):
                (self.folder / f"{number}.wav").write_bytes(wav(struct.pack("<I", number) + bytes(64)))
                table.writerow([f"{number}.wav", f"voice-{number}", f"第 {number} 句"])
        return manifest

    def _judge(self, report: dict[str, Any], seconds: float) -> Verdict:
        stored: dict[str, list[str]] = {}
        for name, uri, digest in report["stored"]:
            audio = (self.folder / f"{name.removeprefix('voice-')}.wav").read_bytes()
            if digest == hashlib.sha256(audio).hexdigest():
                stored.setdefault(name, []).append(uri)
        with (self.folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return Verdict(
            missing=tuple(name for name in _names(self.plan.uploads) if name not in stored),
            twice=tuple(name for name, uris in stored.items() if len(uris) > 1),
            seconds=seconds,
            kills=self._kills,
            answers=Counter(report["answers"]),
            results=Counter(row["status"] for row in rows),
            wrong_uris=sum(row["uri"] not in stored.get(row["custom_name"], []) for row in rows),
        )


def _names(count: int) -> list[str]:
    return [f"voice-{number}" for number in range(count)]


async def _status(url: str) -> FleetStatus | None:
    """Return what the fleet is doing; None while the database is away."""
    try:
        return await status(url)
    except (psycopg.Error, OSError):
        return None
