"""A gate of a throttle, and those who pass through it."""

from __future__ import annotations

import asyncio

from siliconflow_voice import Throttle
from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.limiter import Admission, Verdict


def gate_of(throttle: Throttle | None = None) -> Gate:
    return (throttle or Throttle()).gate("http://localhost/v1", "model")


def passing(
    gate: Gate, turn: int | None = None, *, tokens: float = 1.0, retry: bool = False
) -> asyncio.Task[Admission]:
    """Enter in a task, as the next in the line or at a given turn."""
    turn = gate.turn() if turn is None else turn
    return asyncio.create_task(gate.enter(turn, tokens, retry=retry))


async def pass_through(
    gate: Gate,
    verdict: Verdict = Verdict.ACCEPTED,
    *,
    seconds: float = 0.0,
    tokens: float = 1.0,
    retry_after: float | None = None,
) -> None:
    admission = await gate.enter(gate.turn(), tokens, retry=False)
    await asyncio.sleep(seconds)
    gate.leave(admission, verdict, retry_after=retry_after)


async def turns_of_the_loop(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def now() -> float:
    return asyncio.get_running_loop().time()
