"""Uploads a second, against peers: one server, one run, ratios instead of seconds."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import trustme
from attrs import evolve, frozen
from peers import AT_ONCE, PEERS, Upload
from recordings import FORMATS, recording
from sink import serving


@frozen
class Row:
    """A line of the table: the SDK, in one situation, against the peers that it names."""

    scheme: str
    encoding: str
    at_once: int
    audio_format: str
    asked: Mapping[str, float]
    """The ratio that is asked for, by the peer's name."""

    def __str__(self) -> str:
        return f"{self.encoding} {self.scheme} {self.audio_format}, {self.at_once} at once"


@frozen
class Cost:
    """What one upload takes."""

    seconds: float
    cpu: float
    """Seconds of this process's CPU, all threads together."""


ROWS = [
    Row("https", "multipart", AT_ONCE, "wav", {"bare": 0.85, "FormData": 1.5, "httpx": 3.5, "openai": 3}),
    Row("https", "multipart", 1, "wav", {"bare": 0.85, "FormData": 1.4, "httpx": 2.2, "openai": 2.5}),
    Row("http", "multipart", AT_ONCE, "wav", {"bare": 0.8, "FormData": 2.2, "httpx": 5, "openai": 5}),
    Row("http", "base64", AT_ONCE, "wav", {"json=": 3.5}),
    Row("https", "base64", AT_ONCE, "wav", {"json=": 2.2}),
    # What is parsed of them before differs, and so may the cost.
    *(
        Row(scheme, "multipart", AT_ONCE, audio_format, {"bare": asked})
        for audio_format in FORMATS
        if audio_format != "wav"
        for scheme, asked in (("https", 0.85), ("http", 0.8))
    ),
]


async def cost(upload: Upload, path: Path, at_once: int, seconds: float) -> Cost:
    """Upload for so many seconds, so many at once."""
    done = 0
    began, cpu = time.perf_counter(), time.process_time()

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await upload(path)
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return Cost((time.perf_counter() - began) / done, (time.process_time() - cpu) / done)


async def measure(
    row: Row, base: str, tls: ssl.SSLContext | None, path: Path, *, seconds: float, rounds: int
) -> dict[str, list[Cost]]:
    """Take turns, so that what else the machine does hits all alike."""
    costs = defaultdict[str, list[Cost]](list)
    async with AsyncExitStack() as stack:
        peers = {
            name: await stack.enter_async_context(PEERS[name](base, tls))
            for name in (row.encoding, *row.asked)
        }
        for upload in peers.values():
            await cost(upload, path, row.at_once, seconds / 4)  # warm
        for _ in range(rounds):
            for name, upload in peers.items():
                costs[name].append(await cost(upload, path, row.at_once, seconds))
    return costs


def report(row: Row, costs: Mapping[str, list[Cost]]) -> Iterator[str]:
    """Yield a line for each peer: its cost, and the ratio that is reached beside the one that is asked for.

    The ratio is the median of the rounds' ratios: what disturbs one round disturbs both.
    """
    for name, rounds in costs.items():
        rate = statistics.median(1 / cost.seconds for cost in rounds)
        cpu = statistics.median(1e3 * cost.cpu for cost in rounds)
        line = f"{row!s:38} {name:10} {rate:7,.0f}/s {cpu:7.3f} ms CPU"
        if name in row.asked:
            pairs = zip(rounds, costs[row.encoding], strict=True)
            ratio = statistics.median(theirs.seconds / ours.seconds for theirs, ours in pairs)
            short = "" if ratio >= row.asked[name] else "   short"
            line = f"{line} {ratio:7.2f} x   asked {row.asked[name]:4.2f} x{short}"
        yield line


def chosen(only: str, against: str | None) -> Iterator[Row]:
    """Yield the rows that have *only* in their names, with all of their peers or that one."""
    for row in ROWS:
        if only in str(row):
            asked = {name: ratio for name, ratio in row.asked.items() if against in {None, name}}
            yield evolve(row, asked=asked)


def main() -> None:
    """Start the servers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each peer in each round (default: 1)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each peer (default: 7)")
    parser.add_argument("--only", default="", help="the rows that have this in their names")
    parser.add_argument("--against", help="this peer alone, such as bare")
    parser.add_argument("--quick", action="store_true", help="a first look, in half a minute")
    options = parser.parse_args()
    seconds, rounds = (0.25, 3) if options.quick else (options.seconds, options.rounds)
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = folder / "certificate.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        paths = {audio_format: recording(folder, audio_format) for audio_format in FORMATS}
        with serving() as plain, serving(certificate=certificate) as encrypted:
            for row in chosen(options.only, options.against):
                port, tls = (plain, None) if row.scheme == "http" else (encrypted, trusting)
                base, path = f"{row.scheme}://127.0.0.1:{port}", paths[row.audio_format]
                costs = asyncio.run(measure(row, base, tls, path, seconds=seconds, rounds=rounds))
                print(*report(row, costs), sep="\n", flush=True)


if __name__ == "__main__":
    main()
