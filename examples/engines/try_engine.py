"""Run an engine's example against the emulator, kill its workers in the middle, and count the voices.

python examples/engines/try_engine.py celery
python examples/engines/try_engine.py ray
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from siliconflow_voice.emulator import Emulator, Fault

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "tests"))  # for a PostgreSQL server of its own

from support.postgres import Postgres, free_port  # noqa: E402 - from there

ROWS, CHUNK = 200, 20


def recordings(folder: Path) -> list[dict[str, str]]:
    """Make recordings, each another."""
    speech = (HERE.parent / "recordings" / "patience-zh.mp3").read_bytes()
    rows = []
    for number in range(ROWS):
        path = folder / f"{number}.mp3"
        path.write_bytes(speech + bytes(number + 1))
        rows.append(
            {"audio": str(path), "custom_name": f"narrator-{number}", "text": "慢工出细活，再给我两分钟"}
        )
    return rows


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a broker of its own, and yield its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def celery(rows: list[dict[str, str]], stored: Callable[[], int]) -> tuple[int, list[str]]:
    """Return how many workers were killed, and the results."""
    command = [sys.executable, "-m", "celery", "--app", "celery_voices", "worker", "--concurrency", "2"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--loglevel", "error"], cwd=HERE, start_new_session=True, env=os.environ
        )

    from celery_voices import upload  # noqa: PLC0415 - reads the environment

    tasks = [upload.delay(rows[begin : begin + CHUNK]) for begin in range(0, ROWS, CHUNK)]
    kills, worker = 0, start()
    try:
        for share in (0.2, 0.5, 0.8):
            while stored() < share * ROWS:
                time.sleep(0.02)
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            kills, worker = kills + 1, start()
        return kills, [uri for task in tasks for uri in task.get(timeout=300)]
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def ray(rows: list[dict[str, str]], stored: Callable[[], int]) -> tuple[int, list[str]]:
    """Return how many workers were killed, and the results."""
    import psutil  # noqa: PLC0415 - comes with Ray
    import ray as engine  # noqa: PLC0415
    from ray_voices import upload  # noqa: PLC0415 - reads the environment

    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    engine.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
        _node_ip_address="127.0.0.1",
    )
    kills = 0
    try:
        tasks = [upload.remote(rows[begin : begin + CHUNK]) for begin in range(0, ROWS, CHUNK)]
        for share in (0.2, 0.5, 0.8):
            while stored() < share * ROWS:
                time.sleep(0.02)
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::upload"):
                    process.kill()
                    kills += 1
        return kills, [uri for result in engine.get(tasks) for uri in result]
    finally:
        engine.shutdown()


async def main(engine: str) -> int:
    """Return how the process is to exit: 0 if each voice is there once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(Postgres())
        rows = recordings(folder)
        async with Emulator(faults=[Fault.delay(0.1, times=None)]) as emulator:
            os.environ |= {
                "SILICONFLOW_API_KEY": "sk-test",
                "SILICONFLOW_BASE_URL": emulator.base_url,
                "SILICONFLOW_DATABASE_URL": postgres.url(),
                "VISIBILITY": "5",
            }
            if engine == "celery":
                os.environ["BROKER_URL"] = stack.enter_context(redis(folder))
            began = time.perf_counter()
            kills, uris = await asyncio.to_thread(
                {"celery": celery, "ray": ray}[engine], rows, lambda: len(emulator.voices)
            )
            seconds = time.perf_counter() - began
            times = Counter(voice.custom_name for voice in emulator.voices)
    missing = sum(not times[row["custom_name"]] for row in rows)
    wrong = sum(uri not in {voice.uri for voice in emulator.voices} for uri in uris)
    twice = sum(count > 1 for count in times.values())
    print(f"{engine}: {ROWS} uploads, {kills} workers killed, {seconds:.1f} s: ", end="")
    print(f"missing {missing}, twice {twice}, without a uri {wrong}")
    return int(bool(missing or twice or wrong))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
