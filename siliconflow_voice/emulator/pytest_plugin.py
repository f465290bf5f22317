"""A fixture that creates emulators, and fails a test whose faults did not happen.

Opt in with ``pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]`` in ``conftest.py``, then::

    async def test_that_an_overload_is_survived(siliconflow_emulator):
        async with siliconflow_emulator(faults=[Fault.return_status(503, times=2)]) as emulator:
            ...  # point a client at emulator.base_url

The mark ``@pytest.mark.siliconflow_faults(Fault.return_status(503, times=2))`` does the same from outside.
It works with any plugin that runs the test's loop. An async test of it that none of them runs is run here.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from siliconflow_voice.emulator.faults import Fault
from siliconflow_voice.emulator.server import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["siliconflow_emulator"]


_MARK = "siliconflow_faults"


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line("markers", f"{_MARK}(*faults): faults of the test's first siliconflow_emulator.")


@pytest.fixture
def siliconflow_emulator(request: pytest.FixtureRequest) -> Iterator[Callable[..., Emulator]]:
    """Return a function that creates an `Emulator` from its options, for the test to enter.

    The first one has the faults of the marks ``siliconflow_faults`` too, before its own. A fault that no
    request met fails the test afterwards, since it did not test what it claims to.
    """
    marked = [fault for mark in request.node.iter_markers(_MARK) for fault in mark.args]
    if wrong := [fault for fault in marked if not isinstance(fault, Fault)]:
        pytest.fail(
            f"the mark {_MARK} accepts faults, such as Fault.drop_answer(), got {wrong[0]!r:.80}",
            pytrace=False,
        )
    made: list[Emulator] = []

    def make(**options: Any) -> Emulator:
        faults = [*([] if made else marked), *options.pop("faults", ())]
        emulator = Emulator(faults=faults, **options)
        made.append(emulator)
        return emulator

    yield make
    unmet = [fault for emulator in made for fault in emulator.unmet_faults] if made else marked
    if unmet:
        faults = ", ".join(map(str, unmet))
        pytest.fail(f"no request met these faults: {faults}", pytrace=False)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test of the fixture in a loop of its own, where no other plugin has taken it on.

    In pytest-asyncio's strict mode and with anyio's plugin, that is a test without a mark.
    """
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test) or siliconflow_emulator.name not in pyfuncitem.fixturenames:
        return None
    parameters = inspect.signature(test).parameters
    asyncio.run(test(**{name: value for name, value in pyfuncitem.funcargs.items() if name in parameters}))
    return True
