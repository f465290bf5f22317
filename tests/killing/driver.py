"""Starts runs, kills them, starts them again, and counts what is missing and what is there twice."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import os
import random
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from killing.victim import MOMENTS
from siliconflow_voice import Journal
from siliconflow_voice.emulator import Emulator, Fault

STORED = "after_it_was_stored"
"""Before it was answered: the server's side of the moments."""
AT_RANDOM = "at_random"
ALL_MOMENTS = (*MOMENTS, STORED, AT_RANDOM)

_TESTS = Path(__file__).parents[1]
# Every so many uploads is one of more than one block, so that a body can be left in the middle.
_LARGE_EVERY = 16
_MUCH = 300_000


@frozen
class Verdict:
    """What the service had in the end."""

    uploads: int
    kills: int
    missing: tuple[str, ...]
    """Names of the manifest that it doesn't have, or with other audio."""
    twice: tuple[str, ...]
    """Names that it has more than once."""
    wrong_uris: int
    """Uris in the journal that are not the service's."""
    seconds: float
    kills_at: Counter[str]


@define
class Driver:
    """Kills runs of one manifest."""

    folder: Path
    uploads: int
    seed: int
    say: Callable[[str], object]
    _chance: random.Random = field(init=False)
    _kills: Counter[str] = field(factory=Counter[str], init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    @property
    def manifest(self) -> Path:
        return self.folder / "voices.csv"

    @property
    def journal(self) -> Path:
        return self.folder / "voices.journal"

    async def carry_out(self, moments: list[str], *, most: int) -> Verdict:
        """Kill one run at each moment, after up to *most* of its uploads; then let one live."""
        began = time.perf_counter()
        digests = self._write_recordings()
        async with Emulator(latency=(0.0, 0.01), seed=self.seed) as emulator:
            for number, moment in enumerate(moments, 1):
                before = len(emulator.voices)
                code, output = await self._life(emulator, moment, self._chance.randint(1, most))
                if code == -signal.SIGKILL:
                    self._kills[moment] += 1
                elif code != 0:
                    raise RuntimeError(f"run {number} ({moment}) ended with {code}: {output}")
                self.say(
                    f"{number}/{len(moments)} {moment}: {len(emulator.voices) - before} more, "
                    f"{len(emulator.voices)} stored"
                )
            code, output = await self._life(emulator, "never", 0)
            if code != 0:
                raise RuntimeError(f"the last run ended with {code}: {output}")
            names = Counter(voice.custom_name for voice in emulator.voices)
            stored = {voice.custom_name: voice.sha256 for voice in emulator.voices}
            uris = {voice.uri for voice in emulator.voices}
        async with Journal(self.journal) as journal:
            await journal.export(self.folder / "voices.jsonl")
            recorded = await journal.counts()
        self.say(f"the journal has {recorded}")
        text = (self.folder / "voices.jsonl").read_text(encoding="utf-8")
        return Verdict(
            uploads=self.uploads,
            kills=self._kills.total(),
            missing=tuple(name for name, digest in digests.items() if stored.get(name) != digest),
            twice=tuple(name for name, count in names.items() if count > 1),
            wrong_uris=len(digests) - sum(uri in text for uri in uris),
            seconds=time.perf_counter() - began,
            kills_at=self._kills,
        )

    async def _life(self, emulator: Emulator, moment: str, count: int) -> tuple[int, str]:
        """Run the command until it is dead or done; give its exit status and what it said."""
        if moment == STORED:
            # Stored at once, and answered when it is of no use any more.
            emulator.add_fault(Fault.delay(3600, times=None))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "killing.victim", moment, str(count), "bulk", str(self.manifest),
            "--journal", str(self.journal), "--base-url", emulator.base_url, "--settle", "0.2",
            cwd=self.folder,
            env=os.environ | {"SILICONFLOW_API_KEY": "sk-test", "PYTHONPATH": _path()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        ended = asyncio.ensure_future(process.communicate())
        before = len(emulator.voices)
        try:
            if moment == STORED:
                await self._until(ended, lambda: len(emulator.voices) > before + count % 3)
            elif moment == AT_RANDOM:
                await self._until(ended, lambda: len(emulator.voices) >= before + count)
                await asyncio.sleep(self._chance.uniform(0, 0.005))
            if moment in {STORED, AT_RANDOM} and process.returncode is None:
                process.kill()
            output, _ = await ended
        finally:
            ended.cancel()
            emulator.clear_faults()
        return int(process.returncode or 0), output.decode(errors="replace")

    @staticmethod
    async def _until(ended: asyncio.Future[Any], holds: Callable[[], bool]) -> None:
        while not holds() and not ended.done():  # noqa: ASYNC110 - the emulator tells nobody of what it stores
            await asyncio.sleep(0.001)

    def _write_recordings(self) -> dict[str, str]:
        """Write the manifest and its recordings; give the digest of each, by name."""
        digests: dict[str, str] = {}
        with self.manifest.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["audio", "custom_name", "text", "encoding"])
            for number in range(self.uploads):
                name = f"voice-{number}"
                samples = _MUCH if number % _LARGE_EVERY == 0 else 64
                audio = wav(struct.pack("<I", number) + bytes(samples))
                (self.folder / f"{name}.wav").write_bytes(audio)
                digests[name] = hashlib.sha256(audio).hexdigest()
                encoding = "base64" if number % 3 == 0 else ""
                table.writerow([f"{name}.wav", name, f"第 {number} 句", encoding])
        return digests


def wav(samples: bytes) -> bytes:
    """Put 16-bit samples, 16,000 a second, into a wav file."""
    riff = struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    return riff + form + struct.pack("<4sI", b"data", len(samples)) + samples


def _path() -> str:
    """Give what the victim finds its modules by; the package as this process has it."""
    return os.pathsep.join([str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
