"""A fixture that makes emulators, and fails a test whose faults did not happen.

Opt in with ``pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]`` in ``conftest.py``, then::

    async def test_that_an_overload_is_survived(siliconflow_emulator):
        async with siliconflow_emulator(faults=[Fault.return_status(503, times=2)]) as emulator:
            ...  # point a client at emulator.base_url

It does not care which plugin runs the test's loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from siliconflow_voice.emulator.server import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["siliconflow_emulator"]


@pytest.fixture
def siliconflow_emulator() -> Iterator[Callable[..., Emulator]]:
    """Make an `Emulator` from its own options, for the test to enter with ``async with``.

    A fault that was ordered and not met fails the test afterwards: it did not test what it says.
    """
    made: list[Emulator] = []

    def make(**options: Any) -> Emulator:
        emulator = Emulator(**options)
        made.append(emulator)
        return emulator

    yield make
    unmet = [fault for emulator in made for fault in emulator.unmet_faults]
    if unmet:
        pytest.fail("faults that were ordered and not met: " + ", ".join(map(str, unmet)), pytrace=False)
