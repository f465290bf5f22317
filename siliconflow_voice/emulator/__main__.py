"""Run the emulator from a terminal: ``python -m siliconflow_voice.emulator --port 8000``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from siliconflow_voice.emulator.faults import Fault
from siliconflow_voice.emulator.quotas import Quota
from siliconflow_voice.emulator.server import Emulator
from siliconflow_voice.signals import on_stop_signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["main", "serve"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator with the command line's options until SIGINT or SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m siliconflow_voice.emulator",
        description="Run an emulator of SiliconFlow's voice API on loopback, and print its address.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free port)")
    parser.add_argument(
        "--requests-per-minute",
        type=int,
        metavar="N",
        help="uploads per minute and model (default: unlimited)",
    )
    parser.add_argument(
        "--tokens-per-minute",
        type=int,
        metavar="N",
        help="characters of text per minute and model (default: unlimited)",
    )
    parser.add_argument(
        "--fail-503",
        type=float,
        metavar="SHARE",
        help="share of uploads to answer with 503, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--limit-status",
        type=int,
        choices=(429, 403),
        default=429,
        help="status that refuses an upload above those limits (default: 429)",
    )
    parser.add_argument(
        "--close-idle",
        type=float,
        metavar="SECONDS",
        help="close connections that are idle for so long, 0 behind each answer (default: never)",
    )
    parser.add_argument(
        "--max-audio-mb",
        type=float,
        default=5.0,
        metavar="N",
        help="largest recording to accept (default: 5)",
    )
    parser.add_argument(
        "--api-key", default="sk-test", metavar="KEY", help="API key to accept (default: sk-test)"
    )
    options = parser.parse_args(arguments)
    try:
        emulator = Emulator(
            api_key=options.api_key,
            port=options.port,
            quota=Quota(
                requests=options.requests_per_minute,
                tokens=options.tokens_per_minute,
                told_as=options.limit_status,
            ),
            faults=_faults(options.fail_503, options.close_idle),
            max_audio_bytes=int(options.max_audio_mb * 1_000_000),
        )
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(serve(emulator))
    return 0


def _faults(fail_503: float | None, close_idle: float | None) -> Iterator[Fault]:
    if fail_503:
        yield Fault.return_status(503, times=None, share=fail_503)
    if close_idle is not None:
        yield Fault.close_idle(close_idle, times=None, endpoint="any")


async def serve(emulator: Emulator) -> None:
    """Print the emulator's address and serve until SIGINT or SIGTERM. For the main thread only."""
    stop = asyncio.Event()
    with on_stop_signal(lambda _number: stop.set()):
        async with emulator:
            print(emulator.base_url, flush=True)  # noqa: T201 - scripts wait for this line
            await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
