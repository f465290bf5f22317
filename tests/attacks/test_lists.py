"""Lists that are made to grow, or to hold up the event loop, as they are parsed.

Then: 99 KiB, compressed, took 2.6 GB, and 248 KiB held the loop for 23 s; 600 KB of brackets took all memory
that there was.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import sys
import time
import tracemalloc
from collections.abc import Callable

import pytest
from support.raw_server import Exchange, Script, raw_server

from siliconflow_voice import InvalidResponseError, RetryPolicy, VoiceClient
from siliconflow_voice.api.voicelist import VoiceList

VOICE = b'{"uri":"speech:a"}'
DOCUMENTS: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda size: b"[" * size,
    "objects": lambda size: b'{"a":' * (size // 5),
    "brackets in a voice": lambda size: b'[{"uri":"speech:a","x":' + b"[" * size,
    "a voice of lists": lambda size: b'[{"uri":"speech:a","x":[' + b"[]," * (size // 3) + b"[]]}]",
    "a voice of numbers": lambda size: b'[{"uri":"speech:a","x":[' + b"9," * (size // 2) + b"9]}]",
    "digits": lambda size: b"[" + b"9" * size + b"]",
    "lists": lambda size: b"[1" + b",[]" * (size // 3) + b"]",
    "spaces": lambda size: b" " * size + b"[]",
}


def listing(body: bytes, headers: str = "") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(body, headers=headers)

    return script


@pytest.mark.parametrize("make", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_no_list_takes_more_memory_than_a_few_megabytes(make: Callable[[int], bytes]) -> None:
    data = make(3_000_000)
    voices = VoiceList(lambda _: True)
    voices.feed(b"[]")  # what is imported when it is first needed
    tracemalloc.start()
    try:
        voices = VoiceList(lambda _: True)
        for start in range(0, len(data), 1 << 14):
            voices.feed(data[start : start + (1 << 14)])
        voices.end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert voices.wrong is not None
    assert peak < 10_000_000


def test_an_entry_is_not_read_past_its_bound() -> None:
    voices = VoiceList(lambda _: True)
    voices.feed(b"[" + VOICE)
    for _ in range(300):
        voices.feed(b", " + VOICE + b" " * (1 << 14))
    assert (voices.wrong, len(voices.voices)) == (None, 301)
    for _ in range(18):
        voices.feed(b" " * (1 << 14))
    assert voices.wrong == "the list of voices has an entry of more than 262,144 bytes"


@pytest.mark.parametrize("packed", [False, True])
async def test_a_list_that_is_nested_is_refused_in_words(packed: bool) -> None:
    body = DOCUMENTS["brackets"](600_000)
    script = listing(gzip.compress(body), "Content-Encoding: gzip\r\n") if packed else listing(body)
    async with raw_server(script) as server:
        async with VoiceClient("sk-test", base_url=server.base_url, retry=RetryPolicy.none()) as client:
            with pytest.raises(InvalidResponseError, match="nested deeper than 16 levels"):
                await client.list_voices()


@pytest.mark.parametrize("count", [2_000, 10_000, 50_000])
async def test_no_list_holds_up_the_event_loop(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Voices of nothing are the slowest of all to parse, by the byte.
    body = b"[" + b'{"uri":""},' * count + b'{"uri":""}]'
    holds: list[float] = []
    collecting = 0.0
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time() - collecting
        run(handle)
        holds.append(time.thread_time() - collecting - began)

    def collects(phase: str, _info: dict[str, int]) -> None:
        nonlocal collecting
        collecting += time.thread_time() * (1 if phase == "stop" else -1)

    # A collection goes through all objects of the process, and those are pytest's.
    gc.callbacks.append(collects)
    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    worst: list[float] = []
    for _ in range(3):
        async with raw_server(listing(body)) as server:
            async with VoiceClient("sk-test", base_url=server.base_url, retry=RetryPolicy.none()) as client:
                # In a task of its own: what this one does between its steps counts as well.
                assert len(await asyncio.create_task(client.list_voices())) == count + 1
        worst.append(max(holds))
        holds.clear()
    gc.callbacks.remove(collects)
    # Lines that are counted, for their coverage, take longer.
    assert min(worst) < (0.02 if sys.gettrace() is None else 0.2)
