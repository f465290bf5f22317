from __future__ import annotations

import asyncio
from pathlib import Path

from support.journals import entry

from siliconflow_voice import Journal
from siliconflow_voice.bulk.bookkeeping import Bookkeeping
from siliconflow_voice.bulk.resume import Resumption


def books(path: Path) -> Bookkeeping:
    return Bookkeeping(Journal(path), Resumption({}, frozenset(), {}))


async def test_one_of_the_same_waits_for_the_other(tmp_path: Path) -> None:
    kept = books(tmp_path / "j")
    await kept.enter(entry(1))
    await kept.enter(entry(2))
    second, third = (asyncio.ensure_future(kept.enter(entry(1))) for _ in range(2))
    await asyncio.sleep(0)
    assert (second.done(), third.done()) == (False, False)
    kept.leave(entry(1))
    await second
    assert not third.done()
    kept.leave(entry(1))
    await third


async def test_one_that_is_cancelled_while_it_waits_keeps_nobody_waiting(tmp_path: Path) -> None:
    kept = books(tmp_path / "j")
    await kept.enter(entry())
    second, third = (asyncio.ensure_future(kept.enter(entry())) for _ in range(2))
    await asyncio.sleep(0)
    second.cancel()
    kept.leave(entry())
    await third
    assert second.cancelled()
