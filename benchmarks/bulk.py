"""What a bulk run costs beside a bare loop of uploads, and what memory it takes however long it is."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sink import serving

from siliconflow_voice import Throttle, Voice, VoiceClient, VoiceUpload, upload_many
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry

AT_ONCE = 32
FILES = 64
TEXT = "慢工出细活"


def client(port: int) -> VoiceClient:
    """As a user has it, all checks and the throttle on."""
    throttle = Throttle(max_concurrency=AT_ONCE)
    return VoiceClient("sk-test", base_url=f"http://127.0.0.1:{port}", throttle=throttle)


def recordings(folder: Path) -> list[Path]:
    """Write files of 300 KB of sound: 9.4 s at 16 kHz."""
    paths = [folder / f"{number}.wav" for number in range(FILES)]
    for number, path in enumerate(paths):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(number.to_bytes(2, "little") * 150_000)
    return paths


def uploads(paths: list[Path], count: int) -> Iterator[VoiceUpload]:
    """Give so many, each under a name of its own."""
    for number in range(count):
        yield VoiceUpload(paths[number % FILES], f"voice-{number}", TEXT)


async def bare(port: int, paths: list[Path], count: int) -> float:
    """Time a bounded loop of ``upload_voice``."""
    items = uploads(paths, count)

    async def worker(client: VoiceClient) -> None:
        for item in items:
            await client.upload_voice(item.audio, custom_name=item.custom_name, text=item.text)

    async with client(port) as voices:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker(voices))
        return time.perf_counter() - began


async def bulk(port: int, paths: list[Path], count: int, journal: Path | None) -> float:
    """Time ``upload_many``."""
    async with client(port) as voices:
        began = time.perf_counter()
        async for outcome in upload_many(
            voices, uploads(paths, count), concurrency=2 * AT_ONCE, journal=journal
        ):
            assert outcome.status == "uploaded", outcome
        return time.perf_counter() - began


def overhead(folder: Path, latency: float, count: int, rounds: int) -> None:
    """Compare them, in turns, with a service that answers after so many seconds."""
    paths = recordings(folder)
    print(f"{count:,} recordings of 300 KB, each answered after {latency * 1e3:g} ms")
    with serving(latency) as port:
        seconds = _seconds(port, folder, paths, count, rounds)
    alone = statistics.median(seconds["bare loop"])
    for name, each in seconds.items():
        median = statistics.median(each)
        print(
            f"{name:24} {median:6.2f} s {count / median:8,.0f} uploads/s   {median / alone - 1:+.1%}",
            flush=True,
        )
    print("asked: + 15 % at most with the journal\n")


def _seconds(port: int, folder: Path, paths: list[Path], count: int, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, run in {
            "bare loop": partial(bare, port, paths, count),
            "upload_many": partial(bulk, port, paths, count, None),
            "upload_many, journal": partial(bulk, port, paths, count, folder / f"{port}-{number}.journal"),
        }.items():
            seconds.setdefault(name, []).append(asyncio.run(run()))
    return seconds


async def records(folder: Path, count: int) -> None:
    """Say how many records a second a journal takes, each on the disk before the next."""
    numbers = iter(range(count))

    async def worker(journal: SQLiteJournal) -> None:
        for number in numbers:
            entry = Entry(f"{number}.wav", f"{number:064x}", "model", f"voice-{number}", TEXT)
            await journal.intend(entry)
            await journal.done(entry, Voice(f"speech:{number}:account:x", "model", entry.custom_name, TEXT))

    journal = SQLiteJournal(folder / "records.journal")
    await journal.open()
    try:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(worker(journal))
        seconds = time.perf_counter() - began
    finally:
        await journal.close()
    print(f"journal: {2 * count / seconds:,.0f} records/s, from 64 coroutines\n", flush=True)


async def tiny(port: int, rows: int, journal: Path) -> None:
    """Upload so many rows of tiny audio."""
    head = Path(__file__).parents[1].joinpath("examples/recordings/patience-zh.mp3").read_bytes()[:4000]
    items = (VoiceUpload(head, f"voice-{number}", TEXT) for number in range(rows))
    statuses = Counter[str]()
    began = time.perf_counter()
    async with client(port) as voices:
        async for outcome in upload_many(voices, items, concurrency=2 * AT_ONCE, journal=journal):
            statuses[outcome.status] += 1
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "statuses": statuses,
            }
        )
    )


def memory(port: int, folder: Path, counts: list[int]) -> None:
    """Say what a run takes at most, by its rows: uploaded, and then skipped."""
    for rows in counts:
        journal = folder / f"{rows}.journal"
        for what in ("uploaded", "skipped"):
            command = [sys.executable, __file__, "--child", str(port), str(rows), str(journal)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            result = json.loads(done.stdout)
            assert result["statuses"] == {what: rows}, result
            each = rows / result["seconds"]
            print(
                f"{rows:9,} rows {what:9} {result['peak']:7.1f} MiB at most   {each:8,.0f} rows/s", flush=True
            )
        print(f"{'':9} journal   {journal.stat().st_size / 1e6:7.1f} MB", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=20_000)
    parser.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.05], help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        port, rows, journal = options.child
        asyncio.run(tiny(int(port), int(rows), Path(journal)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for latency in options.latency:
            overhead(folder, latency, options.uploads, options.rounds)
        asyncio.run(records(folder, 100_000))
        with serving() as port:
            memory(port, folder, options.rows)


if __name__ == "__main__":
    main()
