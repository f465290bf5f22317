"""A burst of callers at a service whose vendor limits, refuses and loses answers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from attrs import frozen

from serving.process import handler, serving, with_window
from siliconflow_voice.emulator import Emulator, Fault, Quota

SCENARIOS = ("steady", "stopped", "disconnecting")
"""Left alone; sent SIGTERM in the middle; a third of the callers disconnect in the middle."""


@frozen
class Load:
    """What a service has to stand."""

    framework: str
    scenario: str
    callers: int
    requests: int
    """The quota: uploads a window."""
    window: float
    """Seconds of the vendor's minute, for the service too."""
    deadline: float
    """Seconds of a call of the service."""
    latency: tuple[float, float]
    overloaded: float = 0.2
    """The share of all requests that meet a 503."""
    lost: float = 0.02
    """The share of uploads that are stored and not answered; the first is, in any case."""
    seed: int = 0


@frozen
class Verdict:
    """What became of the calls."""

    statuses: Counter[int]
    """Of the callers that stayed; 0 is a call without an answer."""
    voices: int
    unanswered: int
    """Uploads that the emulator has not answered: lost on purpose, or too late for the deadline."""
    doubles: int
    """Voices that there are besides another of the same caller."""
    misled: tuple[str, ...]
    """Callers that were told of a voice that isn't there, or that one isn't there that is."""
    ambiguous: int
    """Callers that were told that it can't be known. It always can: the list shows each voice at once."""
    tracebacks: int
    drained: str
    """What the service has logged of its end."""
    seconds: float


async def carry_out(load: Load, folder: Path) -> Verdict:
    """Run the service, call it, and count."""
    overloaded = Fault.return_status(503, times=None, share=load.overloaded, endpoint="any")
    first, lost = Fault.drop_answer(), Fault.drop_answer(times=None, share=load.lost)
    quota = Quota(requests=load.requests, window=load.window)
    source = with_window(handler(load.framework), load.window, load.deadline)
    loop = asyncio.get_running_loop()
    async with (
        Emulator(
            quota=quota, faults=[first, overloaded, lost], latency=load.latency, seed=load.seed
        ) as emulator,
        serving(load.framework, emulator, folder, source) as service,
    ):
        began = loop.time()
        callers = service.callers(load.callers)
        logged = ""
        if load.scenario != "steady":
            while len(emulator.voices) < load.callers // 4:  # noqa: ASYNC110 - the emulator sets no events
                await asyncio.sleep(0.01)
        if load.scenario == "disconnecting":
            for caller in [caller for caller in callers if not caller.done()][: load.callers // 3]:
                caller.cancel()
        if load.scenario == "stopped":
            logged = await service.stopped(40)
        answers = await asyncio.gather(*callers, return_exceptions=True)
        seconds = loop.time() - began
        logged = logged or await service.stopped(40)
    told = {f"v{number}": _told(answer) for number, answer in enumerate(answers)}
    stayed = {name: status_and_uri for name, status_and_uri in told.items() if status_and_uri is not None}
    uris = {voice.uri: voice.custom_name for voice in emulator.voices}
    names = set(uris.values())
    return Verdict(
        statuses=Counter(status for status, _ in stayed.values()),
        voices=len(uris),
        unanswered=sum(record.endpoint == "upload" and record.status is None for record in emulator.requests),
        doubles=len(uris) - len(names),
        misled=tuple(
            name
            for name, (status, uri) in stayed.items()
            if (uris.get(uri) != name if status == 201 else status != 504 and name in names)
        ),
        ambiguous=sum(status == 504 for status, _ in stayed.values()),
        tracebacks=logged.count("Traceback"),
        drained="".join(line for line in logged.splitlines() if "Drained(" in line).rpartition("Voices: ")[2],
        seconds=seconds,
    )


def _told(answer: tuple[int, str] | BaseException) -> tuple[int, str] | None:
    """Return the status and the uri that a caller was answered; None if it had disconnected."""
    match answer:
        case asyncio.CancelledError():
            return None
        case BaseException():
            return 0, ""
        case status, text:
            return status, json.loads(text)["uri"] if status == 201 else ""
