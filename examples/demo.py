"""The main job, watched: real recordings go to the emulator, through a small quota and an overloaded service.

python examples/demo.py            against the emulator, on this machine alone
python examples/demo.py --real     against SiliconFlow: makes ten voices there, and deletes them
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import os
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

from siliconflow_voice import (
    AttemptEvent,
    Encoding,
    Event,
    OutcomeEvent,
    OverloadedError,
    RateLimitError,
    SiliconFlowError,
    Throttle,
    Voice,
    VoiceClient,
    WaitEvent,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota

RECORDINGS = Path(__file__).parent / "recordings"
ENCODINGS: tuple[Encoding, ...] = ("multipart", "base64")

Job = tuple[Path, str, str, Encoding]
Outcome = Voice | SiliconFlowError


class Screen:
    """Shows what happens as it happens, and counts it."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.attempts: Counter[str] = Counter()
        self.waited = 0.0

    def say(self, subject: str, what: str) -> None:
        print(f"{time.perf_counter() - self.began:6.2f} s  {subject:26} {what}", flush=True)

    def show(self, event: Event) -> None:
        """Print an event of the client."""
        match event:
            case AttemptEvent(operation="upload_voice", attempt=attempt):
                result = f"HTTP {attempt.status}" if attempt.status else "no answer"
                code = f", code {attempt.code}" if attempt.code else ""
                self.attempts[result] += 1
                self.say(
                    event.subject, f"attempt {attempt.number}: {result}{code} in {attempt.seconds:.2f} s"
                )
            case WaitEvent(seconds=seconds, error=error):
                self.waited += seconds
                self.say(event.subject, f"waits {seconds:.2f} s: {reason(error)}")
            case OutcomeEvent(error=SiliconFlowError() as error):
                self.say(event.subject, f"failed: {error}")
            case _:
                pass


def reason(error: SiliconFlowError) -> str:
    """Return why a call waits, in a few words; the service's own may be long."""
    match error:
        case RateLimitError(kind=kind):
            return f"{kind.upper() if kind else 'rate'} limit reached"
        case OverloadedError():
            return "service overloaded"
        case _:
            return textwrap.shorten(error.message, 60, placeholder=" …")


def jobs() -> list[Job]:
    """Return each recording in each encoding."""
    with (RECORDINGS / "transcripts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        (RECORDINGS / row["audio"], f"{row['custom_name']}-{encoding}", row["text"], encoding)
        for encoding in ENCODINGS
        for row in rows
    ]


async def upload_all(client: VoiceClient, screen: Screen) -> dict[str, Outcome]:
    """Upload them all, side by side, as a batch of coroutines does."""
    outcomes: dict[str, Outcome] = {}

    async def upload(path: Path, name: str, text: str, encoding: Encoding) -> None:
        try:
            voice = await client.upload_voice(path, custom_name=name, text=text, encoding=encoding)
        except SiliconFlowError as error:
            outcomes[name] = error
        else:
            outcomes[name] = voice
            screen.say(name, voice.uri)

    async with asyncio.TaskGroup() as group:
        for job in jobs():
            group.create_task(upload(*job))
    return outcomes


async def against_the_emulator() -> bool:
    """Run it here, and compare what was stored with the files, byte by byte."""
    quota = Quota(requests=6, window=2.0, kind="sliding")
    faults = [Fault.return_status(503, times=4, share=0.4), Fault.drop_answer()]
    async with Emulator(quota=quota, faults=faults, latency=(0.05, 0.2)) as emulator:
        print(
            f"The emulator listens on {emulator.base_url}: {quota.requests} uploads per {quota.window:g} s,"
        )
        print("some answered with 503 (code 50505), and one stored and then never answered.\n")
        screen = Screen()
        throttle = Throttle(max_concurrency=4, window=quota.window)
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, on_event=screen.show
        ) as client:
            outcomes = await upload_all(client, screen)
        seconds = time.perf_counter() - screen.began
        stored = {voice.uri: voice for voice in emulator.voices}

    print(f"\n{'recording':22} {'encoding':10} {'attempts':>8}  {'stored':8} uri")
    good = 0
    for path, name, _, encoding in jobs():
        outcome = outcomes[name]
        if isinstance(outcome, SiliconFlowError):
            print(f"{path.name:22} {encoding:10} {len(outcome.attempts):8}  {'FAILED':8} {outcome}")
            continue
        voice = stored.pop(outcome.uri, None)
        same = voice is not None and voice.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        good += same
        note = " (its answer was lost; found in the list)" if outcome.recovered else ""
        verdict = "same" if same else "CHANGED"
        print(f"{path.name:22} {encoding:10} {len(outcome.attempts):8}  {verdict:8} {outcome.uri}{note}")
    attempts = ", ".join(f"{count} x {result}" for result, count in sorted(screen.attempts.items()))
    print(f"\n{good} of {len(jobs())} stored once and unchanged, {len(stored)} besides, in {seconds:.1f} s.")
    print(f"{sum(screen.attempts.values())} attempts ({attempts}), {screen.waited:.1f} s of waits in all.")
    if os.environ.get("SILICONFLOW_API_KEY"):
        print(
            "\nSILICONFLOW_API_KEY is set. To run the same against the real service (it makes ten voices in"
        )
        print("your account, and deletes them):  python -m nox -s demo -- --real")
    return good == len(jobs()) and not stored


async def against_the_service() -> bool:
    """Run it for real; what it uploads it deletes again."""
    screen = Screen()
    async with VoiceClient(on_event=screen.show) as client:
        outcomes = await upload_all(client, screen)
        voices = [outcome for outcome in outcomes.values() if isinstance(outcome, Voice)]
        listed = {voice.uri for voice in await client.list_voices()}
        found = sum(voice.uri in listed for voice in voices)
        for voice in voices:
            await client.delete_voice(voice.uri)
    print(f"\n{len(voices)} of {len(outcomes)} uploaded, {found} of them listed; all of them deleted again.")
    return found == len(outcomes)


def main() -> int:
    """Run one of the two; 0 if everything was stored once and unchanged."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", action="store_true", help="against SiliconFlow, with SILICONFLOW_API_KEY")
    options = parser.parse_args()
    return 0 if asyncio.run(against_the_service() if options.real else against_the_emulator()) else 1


if __name__ == "__main__":
    sys.exit(main())
