from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import RetryPolicy, Throttle, Voice, VoiceClient
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.throttle.limiter import Verdict
from siliconflow_voice.uploads.recovery import OnAmbiguous

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
    """Cancel an upload after so many turns of the loop; tell whether it was still under way.

    There is nothing else that it may come to: it is cancelled, or it had made its voice.
    """
    task = asyncio.create_task(
        client.upload_voice(audio, custom_name="narrator", text=TEXT, encoding=encoding)  # type: ignore[arg-type] # on purpose
    )
    for _ in range(steps):
        if task.done():
            break
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or isinstance(task.result(), Voice)
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
                connector = client._uploader.engine.channel.connection.session().connector
                assert connector is not None
                assert len(connector._acquired) == 0
                if not any(under_way):
                    break
            gate = throttle.gate(emulator.base_url, "FunAudioLLM/CosyVoice2-0.5B")
            assert steps < FAR_PAST_THE_END - 1
        assert open_files_in(tmp_path) == []
    gc.collect()
    assert (gate.in_flight, gate.waiting) == (0, 0)
    assert len(asyncio.all_tasks()) <= tasks_before


# What a cancellation says of the voice.


async def notes_after(
    seconds: float,
    emulator: Emulator,
    *,
    on_ambiguous: OnAmbiguous = "raise",
    throttle: Throttle | None = None,
) -> list[str]:
    """The notes on the cancellation of an upload so many seconds after its call."""
    retry = RetryPolicy(wait_initial=1e-6, deadline=None)
    async with VoiceClient(
        "sk-test", base_url=emulator.base_url, retry=retry, throttle=throttle, limits=None
    ) as client:
        task = asyncio.create_task(
            client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous=on_ambiguous)
        )
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    return getattr(caught.value, "__notes__", [])


MAY_BE_STORED = [
    "upload_voice narrator: all was sent, and the voice may have been stored: check list_voices()"
]


@virtual_time
async def test_a_cancellation_after_all_was_sent_says_that_the_voice_may_be_stored() -> None:
    async with Emulator(latency=10) as emulator:
        assert await notes_after(5, emulator) == MAY_BE_STORED
    assert [voice.custom_name for voice in emulator.voices] == ["narrator"]


@virtual_time
async def test_one_in_the_line_says_nothing() -> None:
    async with Emulator() as emulator:
        throttle = Throttle(max_concurrency=1)
        gate = throttle.gate(emulator.base_url, "FunAudioLLM/CosyVoice2-0.5B")
        admission = await gate.enter(gate.turn(), 1, retry=False)
        assert await notes_after(5, emulator, throttle=throttle) == []
        assert gate.in_flight == 1
        gate.leave(admission, Verdict.NEITHER)


@virtual_time
async def test_one_within_the_body_says_nothing() -> None:
    reached = asyncio.Event()

    async def audio() -> AsyncIterator[bytes]:
        yield SPEECH[:8192]
        reached.set()
        await asyncio.sleep(1000)

    async with Emulator() as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        task = asyncio.create_task(client.upload_voice(audio(), custom_name="narrator", text=TEXT))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert getattr(caught.value, "__notes__", []) == []


@virtual_time
async def test_one_while_a_refusal_is_waited_out_says_nothing() -> None:
    fault = Fault.return_status(503, headers={"Retry-After": "60"})
    async with Emulator(faults=[fault]) as emulator:
        assert await notes_after(30, emulator) == []


@virtual_time
async def test_one_of_a_listing_says_nothing() -> None:
    async with Emulator(latency=10) as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        task = asyncio.create_task(client.list_voices())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert getattr(caught.value, "__notes__", []) == []


@pytest.mark.parametrize(
    "seconds", [20.5, 25]
)  # listed for 10 s, sent for 10 s, then waits 1 s, then lists again
@virtual_time
async def test_one_while_a_lost_voice_is_looked_for_says_so(seconds: float) -> None:
    async with Emulator(latency=10, faults=[Fault.drop_answer()]) as emulator:
        assert await notes_after(seconds, emulator, on_ambiguous="reconcile") == MAY_BE_STORED


@virtual_time
async def test_one_after_it_was_looked_for_in_vain_says_nothing() -> None:
    faults = [
        Fault.return_status(500),
        Fault.return_status(503, headers={"Retry-After": "60"}),
    ]
    async with Emulator(faults=faults) as emulator:
        assert await notes_after(30, emulator, on_ambiguous="reconcile") == []
        assert emulator.unmet_faults == ()


@virtual_time
async def test_one_before_a_lost_one_is_sent_again_says_so() -> None:
    faults = [Fault.drop_answer(), Fault.return_status(503, headers={"Retry-After": "60"})]
    async with Emulator(faults=faults) as emulator:
        assert await notes_after(30, emulator, on_ambiguous="retry") == MAY_BE_STORED


@virtual_time
async def test_a_timeout_hands_on_what_the_cancellation_says() -> None:
    async with Emulator(latency=10) as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(5):
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous="raise")
    assert getattr(caught.value.__cause__, "__notes__", []) == MAY_BE_STORED
