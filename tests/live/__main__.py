"""Record the real service, and print where the emulator differs: ``python -m nox -s live``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from live.cycle import record
from live.shapes import differences
from siliconflow_voice.emulator import Emulator


async def compare(base_url: str, api_key: str) -> tuple[str, list[str]]:
    """Return a service's recording as JSON, and where the emulator's recording differs."""
    service = await record(base_url, api_key)
    async with Emulator() as emulator:
        emulated = await record(emulator.base_url, "sk-test")
    recording = json.dumps(service, indent=2, ensure_ascii=False) + "\n"
    return recording, list(differences(service, emulated))


def main(arguments: list[str] | None = None) -> int:
    """Carry it out; 1 if there is no key. It costs two uploads, and speech of some hundred bytes."""
    parser = argparse.ArgumentParser(prog="nox -s live --", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("live.json"), help="default: live.json")
    options = parser.parse_args(arguments)
    key = os.environ.get("SILICONFLOW_API_KEY")
    if not key:
        print("SILICONFLOW_API_KEY is not set: set it to a key of SiliconFlow to record the real service")
        return 1
    base_url = os.environ.get("SILICONFLOW_BASE_URL", "https://api.siliconflow.cn/v1")
    recording, found = asyncio.run(compare(base_url, key))
    options.output.write_text(recording, "utf-8")
    print(*found, sep="\n")
    print(f"{len(found)} differences between the service and the emulator; recorded in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
