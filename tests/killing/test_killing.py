from __future__ import annotations

from pathlib import Path

import pytest

from killing.driver import ALL_MOMENTS, Driver


@pytest.mark.parametrize("moment", ALL_MOMENTS)
async def test_a_run_that_is_killed_twice_loses_nothing_and_makes_nothing_twice(
    tmp_path: Path, moment: str
) -> None:
    driver = Driver(tmp_path, uploads=96, seed=7, say=print)
    verdict = await driver.carry_out([moment, moment], most=24)
    assert (verdict.missing, verdict.twice, verdict.wrong_uris, verdict.kills) == ((), (), 0, 2)
