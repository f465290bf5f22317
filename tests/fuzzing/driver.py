"""Breaks inputs at random, and watches what comes of them."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

from attrs import define, field

from fuzzing.targets import Target
from siliconflow_voice import SiliconFlowError

__all__ = ["Found", "fuzz"]

TOKENS = [
    b"\0", b"\xff\xfb\x90\xc4", b"ID3\3\0\0", b"RIFF", b"data", b"OggS", b"OpusHead", b'"', b"[", b"{", b"}",
    b"\\u0000", b"\\ud800", b"null", b"1e999", b"speech:", b"\xef\xbb\xbf", b"\xff\xfe", b",", b";", b"\n",
    b"\r", b"=", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"9" * 400, b"sk-test", b"://", b"@", b"%00",
]  # fmt: skip
_LONGEST = 1 << 18


@define
class Found:
    """What came of one target's inputs."""

    inputs: int = 0
    refused: int = 0
    """Inputs that ended in an error of the SDK's."""
    foreign: list[tuple[bytes, BaseException]] = field(factory=list)
    slowest: float = 0.0
    """Seconds of CPU a megabyte; inputs of less than 64 KiB count as if they had that."""
    growth: int = 0
    """Bytes that are held more at the end than after 500 inputs."""


def mutant(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed, broken in one to eight places."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        at = chance.randint(0, len(data))
        match chance.randrange(6):
            case 0 if data:
                data[min(at, len(data) - 1)] = chance.randrange(256)
            case 1:
                data[at:at] = chance.choice(TOKENS) * chance.choice([1, 1, 1, 50])
            case 2:
                del data[at : at + chance.choice([1, 4, 100, 10_000])]
            case 3:
                data[at:at] = data[at : at + chance.choice([4, 100, 4000])] * chance.choice([1, 2, 30])
            case 4:
                data[at:at] = chance.choice(seeds)[: chance.choice([10, 1000])]
            case _:
                data[at : at + 4] = chance.randbytes(4)
    return bytes(data[:_LONGEST])


def fuzz(target: Target, *, seed: int, goes_on: Callable[[int], bool]) -> Found:
    """Read one mutant after the other for as long as *goes_on*, which is told their number."""
    chance, found = random.Random(seed), Found()
    held = 0
    tracemalloc.start()
    try:
        while goes_on(found.inputs):
            data = mutant(chance, target.seeds)
            began = time.process_time()
            try:
                target.read(data)
            except SiliconFlowError:
                found.refused += 1
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                found.foreign.append((data, error))
            found.slowest = max(found.slowest, (time.process_time() - began) / max(len(data) / 1e6, 1 / 16))
            found.inputs += 1
            if found.inputs == 500:
                held = tracemalloc.get_traced_memory()[0]
        found.growth = tracemalloc.get_traced_memory()[0] - held
    finally:
        tracemalloc.stop()
    return found
