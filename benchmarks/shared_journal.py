"""What a journal in PostgreSQL costs: uploads a second, transactions an upload, a list of a million."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sink import serving

from siliconflow_voice import AttemptEvent, Event, Throttle, VoiceClient, VoiceUpload, upload_many

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # for a PostgreSQL server of its own

from support.postgres import Postgres

AT_ONCE = 32
TEXT = "慢工出细活"
HEAD = Path(__file__).parents[1].joinpath("examples/recordings/patience-zh.mp3").read_bytes()[:4000]


def uploads(worker: int, count: int) -> Iterator[VoiceUpload]:
    """Give so many of tiny audio, each under a name of its own."""
    return (VoiceUpload(HEAD, f"voice-{worker}-{number}", TEXT) for number in range(count))


async def work(port: int, database: str | None, worker: int, count: int) -> None:
    """Be one worker, and say what it took."""
    listings = 0

    def on_event(event: Event) -> None:
        nonlocal listings
        listings += isinstance(event, AttemptEvent) and event.operation == "list_voices"

    client = VoiceClient(
        "sk-test",
        base_url=f"http://127.0.0.1:{port}",
        throttle=Throttle(max_concurrency=AT_ONCE),
        on_event=on_event,
        max_list_bytes=1 << 30,
    )
    sys.stdin.readline()
    began = time.perf_counter()
    async with client:
        async for outcome in upload_many(
            client, uploads(worker, count), concurrency=2 * AT_ONCE, journal=database
        ):
            assert outcome.status in {"uploaded", "skipped"}, outcome
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "listings": listings,
            }
        )
    )


def run(port: int, database: str | None, workers: int, count: int) -> list[dict[str, float]]:
    """Run so many worker processes at once, and return what each said."""
    processes = []
    for worker in range(workers):
        command = [sys.executable, __file__, "--work", str(port), database or "", str(worker), str(count)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    time.sleep(2)  # for their imports
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in processes]


def transactions(postgres: Postgres, database: str) -> int:
    """Return how many were committed in a database."""
    statement = "SELECT pg_stat_force_next_flush(), xact_commit FROM pg_stat_database"
    ((_, count),) = postgres.execute(f"{statement} WHERE datname = current_database()", database)
    return int(str(count))


def speed(postgres: Postgres, count: int) -> None:
    """Say how many uploads a second there are by 1, 2 and 4 workers."""
    with serving() as port:
        alone = max(told["seconds"] for told in run(port, None, 1, count))
        print(f"no journal, 1 worker: {count / alone:,.0f} uploads/s", flush=True)
        for workers in (1, 2, 4):
            database = postgres.create()
            seconds = max(told["seconds"] for told in run(port, database, workers, count // workers))
            time.sleep(1.5)  # the server counts with a delay
            each = transactions(postgres, database) / count
            print(
                f"PostgreSQL, {workers} workers: {count / seconds:,.0f} uploads/s, "
                f"{each:.2f} transactions an upload",
                flush=True,
            )


def million(postgres: Postgres, voices: int) -> None:
    """Say what the list of an account of many voices costs four workers."""
    with serving(voices=voices) as port:
        database = postgres.create()
        for when in ("first", "later"):
            told = run(port, database, 4, 100 if when == "first" else 200)
            print(
                f"a list of {voices:,} voices, {when} start of 4 workers: "
                f"{max(one['seconds'] for one in told):.1f} s, "
                f"{sum(one['listings'] for one in told):.0f} listings, "
                f"{max(one['peak'] for one in told):.0f} MiB at most",
                flush=True,
            )


def main() -> None:
    """Measure what is asked for, or be a worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=6000)
    parser.add_argument("--voices", type=int, default=1_000_000)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        port, database, worker, count = options.work
        asyncio.run(work(int(port), database or None, int(worker), int(count)))
        return
    with Postgres(durable=True) as postgres:
        if options.uploads:
            speed(postgres, options.uploads)
        if options.voices:
            million(postgres, options.voices)


if __name__ == "__main__":
    main()
