"""What several processes make of one quota: with one shared throttle, and with plain ones."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from siliconflow_voice import RetryPolicy, SiliconFlowError, Throttle, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault, Quota
from siliconflow_voice.fleet import SharedThrottle
from siliconflow_voice.throttle.limiter import Verdict

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.postgres import Postgres  # the tests' own server

HEAD = Path(__file__).parents[1].joinpath("examples/recordings/patience-zh.mp3").read_bytes()[:400]
TEXT = "慢工出细活"


async def work(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Upload as a process of its own: so many recordings, or for so many seconds."""
    names = (f"{plan['name']}-{number}" for number in itertools.count())
    waits: list[float] = []
    failed, loop = 0, asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        throttle = Throttle(max_concurrency=plan["capacity"], window=plan["window"])
        if plan["database"] is not None:
            shared = SharedThrottle(plan["database"], max_concurrency=plan["capacity"], window=plan["window"])
            throttle = await stack.enter_async_context(shared)
        client = await stack.enter_async_context(
            VoiceClient(
                "sk-test",
                base_url=plan["base_url"],
                throttle=throttle,
                limits=None,
                retry=RetryPolicy(deadline=plan["deadline"]),
            )
        )
        began, cpu = loop.time(), time.process_time()
        end = began + plan["seconds"]
        share = itertools.islice(names, plan["uploads"])

        async def caller() -> None:
            nonlocal failed
            for name in share:
                asked = loop.time()
                if asked > end:
                    return
                try:
                    voice = await client.upload_voice(HEAD, custom_name=name, text=TEXT, on_ambiguous="raise")
                except SiliconFlowError:
                    failed += 1
                else:
                    last = voice.attempts[-1]
                    waits.append(loop.time() - asked - last.seconds)

        async with asyncio.TaskGroup() as group:
            for _ in range(plan["callers"]):
                group.create_task(caller())
        seconds, cpu = loop.time() - began, time.process_time() - cpu
    return {
        "name": plan["name"],
        "seconds": seconds,
        "done": len(waits),
        "failed": failed,
        "cpu": cpu,
        "p50": statistics.median(waits) if waits else 0.0,
        "p95": statistics.quantiles(waits, n=20)[-1] if len(waits) > 1 else 0.0,
        "most": max(waits, default=0.0),
    }


async def run(plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run each plan in a process of its own."""

    async def one(plan: dict[str, Any]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--child", json.dumps(plan), stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        result: dict[str, Any] = json.loads(out)
        return result

    return list(await asyncio.gather(*map(one, plans)))


def quota(options: argparse.Namespace) -> Quota:
    """Return the emulator's."""
    return Quota(requests=options.quota, window=options.window, kind=options.kind)


async def finish(options: argparse.Namespace, database: str | None) -> None:
    """Divide the uploads among the processes, and say how long all of them take."""
    faults = [Fault.delay(options.latency, times=None)] if options.latency else []
    async with Emulator(quota=quota(options), faults=faults) as emulator:
        plans = [
            {
                "name": f"process-{number}",
                "uploads": options.uploads // options.processes,
                "seconds": 3600,
                "callers": options.callers,
                "capacity": options.callers,
                "window": options.window,
                "database": database,
                "base_url": emulator.base_url,
                "deadline": options.deadline,
            }
            for number in range(options.processes)
        ]
        results = await run(plans)
        refused = sum(record.refused for record in emulator.requests)
        stored = len(emulator.voices)
    seconds = max(result["seconds"] for result in results)
    ideal = (options.uploads - 1) // options.quota * options.window
    done, failed = (sum(each[what] for each in results) for what in ("done", "failed"))
    cpu = 1e3 * sum(each["cpu"] for each in results) / max(done, 1)
    print(
        f"{'shared' if database else 'plain':7} {stored:6,} stored {failed:5,} failed {refused:6,} refused "
        f"({refused / max(stored + refused, 1):.1%})  {seconds:7.2f} s, ideal {ideal:.1f} s: "
        f"{seconds / max(ideal, 0.001):5.2f} ×  {cpu:.2f} ms of CPU an upload",
        flush=True,
    )


async def compete(options: argparse.Namespace, database: str | None) -> None:
    """Let two services with few callers go on beside a fleet with many, and say what each gets."""
    faults = [Fault.delay(options.latency, times=None)] if options.latency else []
    async with Emulator(quota=quota(options), faults=faults) as emulator:
        plans = [
            {
                "name": name,
                "uploads": 10**9,
                "seconds": options.seconds,
                "callers": callers,
                "capacity": 32,
                "window": options.window,
                "database": database,
                "base_url": emulator.base_url,
                "deadline": options.deadline,
            }
            for name, callers in (("service-a", 8), ("service-b", 8), ("fleet", 32))
        ]
        results = await run(plans)
        refused = sum(record.refused for record in emulator.requests)
        total = len(emulator.voices)
    print(
        f"{'shared' if database else 'plain'}: {total:,} stored in {options.seconds} s, {refused:,} refused"
    )
    for each in results:
        print(
            f"    {each['name']:10} {each['done']:6,} ({each['done'] / max(total, 1):5.1%})  "
            f"{each['failed']} failed   waited {each['p50']:.2f} s, p95 {each['p95']:.2f} s, "
            f"most {each['most']:.2f} s",
            flush=True,
        )


async def unlimited(options: argparse.Namespace, database: str | None) -> None:
    """Say what passes through one process where there is no limit."""
    throttle: Throttle = Throttle(max_concurrency=options.callers)
    async with AsyncExitStack() as stack:
        if database is not None:
            throttle = await stack.enter_async_context(
                SharedThrottle(database, max_concurrency=options.callers)
            )
        gate, numbers = throttle.gate("http://localhost/v1", "model"), iter(range(options.uploads))

        async def caller() -> None:
            for _ in numbers:
                admission = await gate.enter(gate.turn(), 5.0, retry=False)
                await asyncio.sleep(0.01)
                gate.leave(admission, Verdict.ACCEPTED)

        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(2 * options.callers):
                group.create_task(caller())
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{'shared' if database else 'plain':7} {options.uploads / seconds:7,.0f} permits/s, "
        f"{1e3 * cpu / options.uploads:.3f} ms of CPU each"
    )


def commits(server: Postgres, database: str) -> int:
    """Return how many transactions a database has seen."""
    time.sleep(1.5)  # its statistics are a little late
    name = database.rpartition("/")[2]
    ((count,),) = server.execute(f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'")  # noqa: S608 - ours
    assert isinstance(count, int)
    return count


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--callers", type=int, default=32, help="calls at once, in each process")
    parser.add_argument("--uploads", type=int, default=1_000)
    parser.add_argument("--quota", type=int, default=250, help="requests in a window")
    parser.add_argument("--window", type=float, default=2.5, help="seconds: 6,000 a minute by default")
    parser.add_argument("--kind", default="fixed", help="fixed, sliding or bucket")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds until an upload is answered")
    parser.add_argument("--seconds", type=float, default=8.0, help="for which services compete")
    parser.add_argument("--deadline", type=float, default=600.0)
    parser.add_argument("--only", nargs="*", default=["unlimited", "finish", "compete"])
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(asyncio.run(work(options.child))))
        return
    scenes = {"unlimited": unlimited, "finish": finish, "compete": compete}
    with Postgres(durable=True) as server:
        for name in options.only:
            print(f"{name}: {options.quota} in {options.window} s, {options.kind}", flush=True)
            database = server.create()
            before = commits(server, database)
            began = time.perf_counter()
            asyncio.run(scenes[name](options, database))
            seconds = time.perf_counter() - began
            made = commits(server, database) - before
            print(f"        {made:,} transactions: {made / seconds:.0f} a second", flush=True)
            asyncio.run(scenes[name](options, None))


if __name__ == "__main__":
    main()
