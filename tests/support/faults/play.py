"""Plays one case, and looks for what it has left behind."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import pybase64
from attrs import define, field, frozen

from siliconflow_voice import (
    AmbiguousUploadError,
    AttemptEvent,
    Event,
    RetryPolicy,
    SiliconFlowError,
    SourceConsumedError,
    Timeouts,
    VoiceClient,
    WaitEvent,
)
from siliconflow_voice.audio.source import Audio
from support.faults.acts import faulty_server
from support.faults.rules import ACCEPT, BODY, CONNECT, HANDSHAKE, Case, Outcome, Source
from support.faults.stage import Moment, Names, Stage, faulty, well
from support.patient_time import PatientLoop
from support.raw_server import Exchange, RawServer, raw_server
from support.recordings import TEXT

_RETRY = RetryPolicy(attempts=2, wait_initial=0.01, wait_max=0.01)
_TIMEOUTS = Timeouts(attempt=12, connect=5, stall=5)
_PIECE = 300_000  # of a stream
_DESCRIPTORS = Path("/proc/self/fd")


@frozen
class Recording:
    """Audio, and where it stands as a file."""

    audio: bytes
    path: Path
    base64: bytes

    @classmethod
    def made(cls, path: Path, size: int) -> Recording:
        audio = random.Random(size).randbytes(size)  # noqa: S311 - to be told apart from any other
        path.write_bytes(audio)
        return cls(audio, path, pybase64.b64encode(audio))


@frozen
class World:
    """What all cases share."""

    small: Recording
    large: Recording
    """More than loopback's buffers take."""
    contexts: Mapping[str, ssl.SSLContext]
    """The server's, by what the client is to find."""
    trust: ssl.SSLContext
    """The client's."""


@define
class Played:
    """What came of a case."""

    outcome: Outcome
    consumed: bool
    connections: int
    """To the server that is well from its second connection on, or to begin with."""
    elsewhere: int
    """Connections to the other origin."""
    intact: bool
    """Whether the recording came whole, and was the same, with every request that was accepted."""
    left: list[str] = field(factory=list)
    met: str = field(default="", eq=False)
    """What the faulted attempt's error says."""
    raised: str = field(default="", eq=False)
    """What the caller is told by the error that ends the call; empty if there is a voice."""


def play(case: Case, world: World) -> Played:
    """Play a case in virtual time."""
    left: list[str] = []
    before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=PatientLoop) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: left.append(context["message"]))
            played = runner.run(_perform(case, world))
        gc.collect()
    left += [f"a warning: {warning.message}" for warning in warned]
    left += [f"an open file: {path}" for path in _open_files(world.small.path.parent)]
    left += [f"a thread: {thread.name}" for thread in threading.enumerate() if thread not in before]
    played.left += left
    return played


async def _perform(case: Case, world: World) -> Played:
    recording = world.large if case.moment in {ACCEPT, BODY} else world.small
    events: list[Event] = []
    async with _stage(case, world) as (servers, elsewhere, stage):
        server = servers[-1]
        async with _client(case, world, server, stage, events) as client:
            with _source(case.source, recording) as audio:
                raised: SiliconFlowError | None = None
                try:
                    await client.upload_voice(
                        audio,
                        custom_name="narrator",
                        text=TEXT,
                        encoding=case.encoding,
                        on_ambiguous="raise",
                    )
                except SiliconFlowError as error:
                    raised = error
            left = _connections(client)
        left += await _after(servers, stage)
        played = Played(
            outcome=_outcome(events, raised),
            consumed=stage.consumed,
            connections=len(server.exchanges),
            elsewhere=len(elsewhere.exchanges),
            intact=raised is not None or _has(server.exchanges[-1], recording),
            left=left,
            met=str(_met(events, raised) or ""),
            raised=str(raised or ""),
        )
    left += [f"a task: {task!r}" for task in asyncio.all_tasks() - {asyncio.current_task()}]
    return played


@asynccontextmanager
async def _stage(case: Case, world: World) -> AsyncIterator[tuple[list[RawServer], RawServer, Stage]]:
    """Start the servers that the client is to meet, in this order, and one that it is not."""
    async with AsyncExitStack() as stack:
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        elsewhere = await stack.enter_async_context(raw_server(_unexpected))
        stage = Stage(elsewhere.base_url, nobody.getsockname()[1])
        scripts = [faulty(case.fault.act, case.moment, stage), well(stage)]
        match case.moment:
            case Moment.CONNECT:
                serving = [raw_server(scripts[1])]
            case Moment.HANDSHAKE:
                context = world.contexts.get(case.fault.certificate)
                if context is not None:
                    context.sni_callback = lambda *_: stage.consume()
                serving = [
                    raw_server(scripts[0], ssl=context),
                    raw_server(scripts[1], ssl=world.contexts["good"]),
                ]
            case _:
                serving = [raw_server(*scripts, receive_buffer=1 << 18)]
        servers = [await stack.enter_async_context(server) for server in serving]
        stage.faulty_port = servers[0].port
        yield servers, elsewhere, stage


async def _unexpected(_exchange: Exchange) -> None:
    """Do nothing: to be connected to at all is noted."""


@asynccontextmanager
async def _client(
    case: Case, world: World, server: RawServer, stage: Stage, events: list[Event]
) -> AsyncIterator[VoiceClient]:
    url = server.base_url
    session: aiohttp.ClientSession | None = None
    if case.moment in {CONNECT, HANDSHAKE}:
        names = Names(stage, case.fault.lookup or faulty_server)
        url = url.replace("127.0.0.1", "localhost").replace("localhost", "voice.localhost")
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=names, use_dns_cache=False, ssl=world.trust)
        )
    async with VoiceClient(
        "sk-test",
        base_url=url,
        session=session,
        allow_http=True,  # to a name that the stage resolves
        retry=_RETRY,
        timeouts=_TIMEOUTS,
        limits=None,
        on_event=events.append,
    ) as client:
        yield client
    if session is not None:
        await session.close()


@contextmanager
def _source(kind: Source, recording: Recording) -> Iterator[Audio]:
    match kind:
        case "path":
            yield recording.path
        case "bytes":
            yield recording.audio
        case "file":
            with recording.path.open("rb") as file:
                yield file
        case "stream":
            yield _stream(recording.audio)


async def _stream(audio: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(audio), _PIECE):
        yield audio[start : start + _PIECE]


def _outcome(events: list[Event], raised: SiliconFlowError | None) -> Outcome:
    history = [event.attempt for event in events if isinstance(event, AttemptEvent)]
    met = _met(events, raised)
    if raised is not None:
        assert (raised.attempts, raised.failure) == (tuple(history), history[-1].failure)
    return Outcome(
        None if met is None else type(met),
        history[0].failure,
        len(history),
        None if raised is None else type(raised),
    )


def _met(events: list[Event], raised: SiliconFlowError | None) -> SiliconFlowError | None:
    """Give what the faulted attempt failed with: what was waited for, or is raised, or wrapped in that."""
    waits = [event.error for event in events if isinstance(event, WaitEvent)]
    if waits:
        return waits[0]
    if isinstance(raised, AmbiguousUploadError | SourceConsumedError):
        assert isinstance(raised.__cause__, SiliconFlowError)
        return raised.__cause__
    return raised


def _has(exchange: Exchange, recording: Recording) -> bool:
    body, audio = exchange.body, recording.audio
    if b"multipart/form-data" not in exchange.head:
        audio = recording.base64
    start = body.index(audio[:60])
    return body[start : start + len(audio)] == audio and len(body) - start - len(audio) < 60


def _connections(client: VoiceClient) -> list[str]:
    """Say which connections are still held, though the call is over."""
    connector = cast("Any", client._uploader.engine.channel.connection.session().connector)
    return [f"a connection held: {connection!r}" for connection in connector._acquired]


async def _after(servers: list[RawServer], stage: Stage) -> list[str]:
    """Say which connections there are once the client is closed, and which a server sees no end of."""
    ports = {server.port for server in servers}
    await asyncio.sleep(1)
    loop = cast("Any", asyncio.get_running_loop())
    left = [
        f"a connection open: {transport!r}"
        for transport in loop._transports.values()
        if transport._sock is not None and transport.get_extra_info("peername")[1] in ports
    ]
    stage.released.set()
    try:
        async with asyncio.timeout(60):
            for server in servers:
                await server.ended()
    except TimeoutError:
        left.append("a connection without an end")
    return left


def _open_files(folder: Path) -> list[str]:
    if not _DESCRIPTORS.is_dir():
        return []  # only Linux tells
    found = []
    for descriptor in _DESCRIPTORS.iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found
