"""Run the emulator from a terminal: ``python -m siliconflow_voice.emulator --port 8000``."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from siliconflow_voice.emulator.options import emulator_of
from siliconflow_voice.signals import on_stop_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siliconflow_voice.emulator.server import Emulator

__all__ = ["main", "run", "serve"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator with the command line's options until SIGINT or SIGTERM; return the exit status."""
    return asyncio.run(run(arguments, "python -m siliconflow_voice.emulator"))


async def run(arguments: Sequence[str] | None, program: str) -> int:
    """Run the emulator that a command line of *program* orders; return the exit status."""
    emulator = emulator_of(arguments, program)
    try:
        await serve(emulator)
    except OSError as error:
        print(f"error: can't listen: {error.strerror}", file=sys.stderr)  # noqa: T201 - a terminal's own
        return 1
    return 0


async def serve(emulator: Emulator) -> None:
    """Print the emulator's addresses and serve until SIGINT or SIGTERM. For the main thread only."""
    stop = asyncio.Event()
    with on_stop_signal(lambda _number: stop.set()):
        async with emulator:
            print(emulator.base_url, flush=True)  # noqa: T201 - scripts wait for this line
            print(f"status page: {emulator.status_url}", file=sys.stderr)  # noqa: T201 - for people
            await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
