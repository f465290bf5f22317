"""Peak memory of a process that uploads one file, a large one against a tiny one, in each encoding."""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from sink import serving

from siliconflow_voice import Encoding, Timeouts, VoiceClient

MIB = 1 << 20
ENCODINGS: tuple[Encoding, ...] = ("multipart", "base64")


async def upload(port: int, path: str, encoding: Encoding) -> None:
    """Upload one file."""
    timeouts = Timeouts(attempt=None)
    async with VoiceClient(
        "sk-test", base_url=f"http://127.0.0.1:{port}", limits=None, timeouts=timeouts
    ) as client:
        await client.upload_voice(path, custom_name="bench", text="慢工出细活", encoding=encoding)


def peak(port: int, path: Path, encoding: Encoding) -> float:
    """MiB that a process of its own needs at most for it."""
    command = [sys.executable, __file__, "--child", str(port), str(path), encoding]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Compare, and say by how much the large file's peak is above the tiny one's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        port, path, encoding = options.child
        asyncio.run(upload(int(port), path, encoding))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    with serving() as port, tempfile.TemporaryDirectory() as folder:
        tiny, large = Path(folder, "tiny"), Path(folder, "large")
        tiny.write_bytes(bytes(1024))
        with large.open("wb") as file:
            for _ in range(options.mib):
                file.write(bytes(MIB))
        for encoding in ENCODINGS:
            small, big = peak(port, tiny, encoding), peak(port, large, encoding)
            print(
                f"{encoding:10} 1 KiB: {small:6.1f} MiB   {options.mib} MiB: {big:6.1f} MiB   "
                f"+ {big - small:.1f} MiB (asked: + 12 MiB at most)"
            )


if __name__ == "__main__":
    main()
