from __future__ import annotations

import asyncio

import pytest
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import APITimeoutError, RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault


@virtual_time
async def test_who_waits_for_another_to_ensure_the_same_voice_keeps_the_deadline() -> None:
    async with Emulator(latency=20) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            first = asyncio.create_task(client.ensure_voice(SPEECH, custom_name="narrator", text=TEXT))
            await asyncio.sleep(1)
            hurried = client.with_options(retry=RetryPolicy(deadline=5))
            with pytest.raises(APITimeoutError, match="another ensure_voice call for 'narrator'"):
                await hurried.ensure_voice(SPEECH, custom_name="narrator", text=TEXT)
            assert asyncio.get_running_loop().time() == 6
            ensured = await first
            again = await client.ensure_voice(SPEECH, custom_name="narrator", text=TEXT)
    assert again == ensured
    assert len(emulator.voices) == 1


@virtual_time
async def test_a_list_that_was_taken_beside_an_upload_does_not_make_its_voice_an_old_one() -> None:
    async with Emulator(latency=10, faults=[Fault.drop_answer()]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.list_voices()
            uploading = asyncio.create_task(client.upload_voice(SPEECH, custom_name="narrator", text=TEXT))
            await asyncio.sleep(15)  # listed, and stored; its answer is yet to be lost
            await client.ensure_voice(SPEECH, custom_name="other", text=TEXT)
            voice = await uploading
    assert voice.recovered
    assert [stored.custom_name for stored in emulator.voices] == ["narrator", "other"]
