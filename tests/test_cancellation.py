from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.recordings import SPEECH, TEXT

from siliconflow_voice import Throttle, VoiceClient
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.emulator import Emulator

FAR_PAST_THE_END = 4000


class Noted:
    """A stream that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def stream(self) -> AsyncIterator[bytes]:
        try:
            for start in range(0, len(SPEECH), 4096):
                await asyncio.sleep(0)
                yield SPEECH[start : start + 4096]
        finally:
            self.closed = True


def open_files_in(folder: Path) -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


async def cancelled_after(steps: int, client: VoiceClient, audio: object, encoding: Encoding) -> bool:
    """Cancel an upload after so many turns of the loop; tell whether it was still under way."""
    task = asyncio.create_task(
        client.upload_voice(audio, custom_name="narrator", text=TEXT, encoding=encoding)  # type: ignore[arg-type]
    )
    for _ in range(steps):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in Linux's /proc")
@pytest.mark.parametrize("encoding", ["multipart", "base64"])
async def test_cancelling_at_any_moment_leaves_nothing_behind(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(SPEECH * 40)
    throttle = Throttle()
    gate = None
    async with Emulator(max_audio_bytes=1 << 30) as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, limits=None
        ) as client:
            tasks_before = len(asyncio.all_tasks())
            for steps in range(FAR_PAST_THE_END):
                stream, file = Noted(), io.BytesIO(SPEECH)
                under_way = [
                    await cancelled_after(steps, client, audio, encoding)
                    for audio in (path, stream.stream(), file)
                ]
                assert not file.closed
                connector = client._engine.connection.session().connector
                assert connector is not None
                assert len(connector._acquired) == 0
                if not any(under_way):
                    break
            gate = throttle.gate(emulator.base_url, "FunAudioLLM/CosyVoice2-0.5B")
            assert steps < FAR_PAST_THE_END - 1
        assert open_files_in(tmp_path) == []
    gc.collect()
    assert (gate.in_flight, len(gate._waiting)) == (0, 0)
    assert len(asyncio.all_tasks()) <= tasks_before
