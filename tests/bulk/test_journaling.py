from __future__ import annotations

import asyncio
from pathlib import Path

from attrs import define, field
from support.bulk import until
from support.journals import entry

from siliconflow_voice.bulk.journaling import Journaling
from siliconflow_voice.bulk.resume import Resumption
from siliconflow_voice.bulk.sqlite import SQLiteJournal


def journaling(path: Path) -> Journaling:
    return Journaling(SQLiteJournal(path), Resumption({}, frozenset(), {}))


@define
class Twin:
    """An upload that begins when it may, and ends when it is told."""

    _journaling: Journaling
    _number: int = 0
    begun: bool = False
    end: asyncio.Event = field(factory=asyncio.Event)

    async def run(self) -> None:
        async with self._journaling.alone(entry(self._number)):
            self.begun = True
            await self.end.wait()


async def test_one_of_the_same_waits_for_the_other(tmp_path: Path) -> None:
    kept = journaling(tmp_path / "j")
    twins = [Twin(kept), Twin(kept, 1), Twin(kept), Twin(kept)]
    tasks = [asyncio.create_task(twin.run()) for twin in twins]
    await until(lambda: twins[1].begun)
    assert [twin.begun for twin in twins] == [True, True, False, False]
    assert [kept.is_under_way(entry(number)) for number in range(3)] == [True, True, False]
    twins[0].end.set()
    await until(lambda: twins[2].begun)
    assert not twins[3].begun
    twins[2].end.set()
    await until(lambda: twins[3].begun)
    for twin in twins:
        twin.end.set()
    await asyncio.gather(*tasks)
    assert not kept.is_under_way(entry())


async def test_one_that_is_cancelled_keeps_no_other_waiting(tmp_path: Path) -> None:
    kept = journaling(tmp_path / "j")
    twins = [Twin(kept) for _ in range(3)]
    tasks = [asyncio.create_task(twin.run()) for twin in twins]
    await until(lambda: twins[0].begun)
    tasks[1].cancel()  # while it waits
    await asyncio.wait([tasks[1]])
    tasks[0].cancel()  # in the middle
    await until(lambda: twins[2].begun)
    twins[2].end.set()
    await tasks[2]
    assert (twins[1].begun, kept.is_under_way(entry())) == (False, False)
