"""Breaks inputs at random, and watches what comes of them."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from fuzzing.targets import Target
from siliconflow_voice import SiliconFlowError

__all__ = ["TOKENS", "Watch", "fuzz", "mutant", "seconds_allowed", "took"]

TOKENS = [
    b"\0", b"\xff\xfb\x90\xc4", b"ID3\3\0\0", b"RIFF", b"data", b"OggS", b"OpusHead", b'"', b"[", b"{", b"}",
    b"\\u0000", b"\\ud800", b"null", b"1e999", b"speech:", b"\xef\xbb\xbf", b"\xff\xfe", b",", b";", b"\n",
    b"\r", b"=", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"9" * 400, b"sk-test", b"://", b"@", b"%00",
]  # fmt: skip
_LONGEST = 1 << 18
_KEPT = 20
_WARM = 2_000


def seconds_allowed(target: Target, data: bytes) -> float:
    """Return the seconds of CPU that an input may take."""
    rows = data.count(b"\n") + data.count(b"\r") if target.row else 0
    return target.fixed + target.megabyte * len(data) / 1e6 + target.row * rows


def took(target: Target, data: bytes) -> float:
    """Return the seconds of CPU that an input takes, at the best of five times."""
    times: list[float] = []
    for _ in range(5):
        began = time.thread_time()
        with suppress(BaseException):  # which was found before
            target.read(data)
        times.append(time.thread_time() - began)
    return min(times)


@define(eq=False)
class Watch:
    """Reads one input after the other, and keeps what is wrong with any."""

    target: Target
    inputs: int = 0
    refused: int = 0
    """Inputs that ended in an error of the SDK's."""
    foreign: list[tuple[bytes, BaseException]] = field(factory=list)
    slow: list[tuple[float, bytes]] = field(factory=list)
    """The inputs that took the largest part of what they may, and that part; to be measured again alone,
    since what else the machine does, and a collection of garbage, strike any."""
    peak: int = 0
    """Bytes by which one input alone raised the most memory that the process has ever had."""
    grown: int = 0
    """Bytes of memory that the process has more at the end than once it was warm."""
    _most: int = 0
    _warm: int = 0

    def __call__(self, data: bytes) -> None:
        """Read an input."""
        began = time.thread_time()
        try:
            self.target.read(data)
        except SiliconFlowError:
            self.refused += 1
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            self.foreign.append((data, error))
        part = (time.thread_time() - began) / seconds_allowed(self.target, data)
        self.inputs += 1
        if len(self.slow) < _KEPT or part > self.slow[-1][0]:
            self.slow = sorted([*self.slow, (part, data)], key=lambda found: -found[0])[:_KEPT]
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if self.inputs > _WARM:
            self.peak = max(self.peak, most - self._most)
        self._most = most
        if self.inputs == _WARM:
            self._warm = _resident()

    def end(self) -> None:
        """Note by how much the memory has grown, and measure the slowest once more."""
        self.grown = _resident() - self._warm if self._warm else 0
        again = [
            (took(self.target, data) / seconds_allowed(self.target, data), data) for _, data in self.slow
        ]
        self.slow = sorted(again, key=lambda found: -found[0])

    @property
    def slowest(self) -> str:
        """The slowest input, in words."""
        if not self.slow:
            return "none"
        part, data = self.slow[0]
        seconds = part * seconds_allowed(self.target, data)
        return f"{1e3 * seconds:.2f} ms for {len(data):,} bytes ({part:.2f} of what is allowed)"


def _resident() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else 0


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


def fuzz(target: Target, *, seed: int, goes_on: Callable[[int], bool], more: Sequence[bytes] = ()) -> Watch:
    """Read one mutant after the other for as long as *goes_on*, which is told their number.

    Args:
        target: What reads them.
        seed: Of the chance that breaks them.
        goes_on: Called with the number of inputs so far.
        more: Seeds beside the target's own, which are first read as they are.
    """
    chance, watch = random.Random(seed), Watch(target)
    seeds = [*target.seeds, *more]
    for data in more:
        watch(data)
    while goes_on(watch.inputs):
        watch(mutant(chance, seeds))
    watch.end()
    return watch
