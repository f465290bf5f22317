"""Sources that hang in the middle of an upload, and a client that must come out of it as it was."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from siliconflow_voice import RetryPolicy, Throttle, Timeouts, Voice, VoiceClient
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.pool import BLOCK
from siliconflow_voice.emulator import Emulator
from support.recordings import SPEECH, TEXT


@define
class BlockedStream:
    """A stream that waits in its middle."""

    reached: asyncio.Event = field(factory=asyncio.Event)
    go_on: asyncio.Event = field(factory=asyncio.Event)
    closed: bool = False

    async def audio(self) -> AsyncIterator[bytes]:
        try:
            yield SPEECH[:8192]
            self.reached.set()
            await self.go_on.wait()
            yield SPEECH[8192:]
        finally:
            self.closed = True


class BlockedFile(io.BytesIO):
    """A file whose reads hang from the second block on, in their thread, until they are let go on."""

    def __init__(self) -> None:
        super().__init__(bytes(3 * BLOCK))
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def readinto(self, buffer: object, /) -> int:
        if self.tell() >= BLOCK:
            self.reached.set()
            assert self.go_on.wait(30)
        return super().readinto(buffer)  # type: ignore[arg-type] # on purpose


@define
class Stage:
    """A client and what it must leave as it was."""

    emulator: Emulator
    client: VoiceClient
    throttle: Throttle
    encoding: Encoding

    def upload(self, audio: object, client: VoiceClient | None = None) -> asyncio.Task[Voice]:
        return asyncio.create_task(
            (client or self.client).upload_voice(
                audio,  # type: ignore[arg-type] # on purpose
                custom_name="narrator",
                text=TEXT,
                encoding=self.encoding,
                on_ambiguous="raise",
            )
        )

    async def goes_on(self) -> bool:
        """Whether the next upload goes well."""
        voice = await self.upload(SPEECH)
        return [stored.uri for stored in self.emulator.voices] == [voice.uri]


@asynccontextmanager
async def stage(encoding: Encoding, *, timeouts: Timeouts = Timeouts()) -> AsyncIterator[Stage]:  # noqa: B008 - frozen
    throttle, tasks = Throttle(), asyncio.all_tasks()
    async with Emulator(max_audio_bytes=1 << 30) as emulator:
        async with VoiceClient(
            "sk-test",
            base_url=emulator.base_url,
            throttle=throttle,
            limits=None,
            timeouts=timeouts,
            retry=RetryPolicy.none(),
        ) as client:
            yield Stage(emulator, client, throttle, encoding)
            connector = client._uploader.engine.channel.connection.session().connector
            assert connector is not None
            assert len(connector._acquired) == 0
        told = [(gate.in_flight, gate.waiting) for gate in throttle.snapshot()]
        assert told == [(0, 0)] * len(told)
    gc.collect()
    assert asyncio.all_tasks() <= tasks


async def outcome(task: asyncio.Task[Voice]) -> BaseException | None:
    await asyncio.wait([task])
    return asyncio.CancelledError() if task.cancelled() else task.exception()
