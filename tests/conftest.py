"""What all tests share: a clean environment, loops, the emulator, a client that talks to it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import settings
from support import postgres as postgresql
from support.hurried_time import HurriedLoop

from siliconflow_voice import RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator

# How long an example takes says nothing on a machine that does something else besides.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]


def pytest_configure() -> None:
    """Meet signals as in a terminal, also where the tests run in the background: SIGINT is ignored there."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need PostgreSQL, so that they can be left out: on one Python is enough."""
    for item in items:
        fixtures, call = getattr(item, "fixturenames", ()), getattr(item, "callspec", None)
        needs_it = {"postgres_server", "database_url", "own_server"}.intersection(fixtures)
        if needs_it or (call is not None and call.params.get("place") == "postgresql"):
            item.add_marker("postgresql")


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test in hurried time if it asks for that."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and marker.kwargs.get("loop_factories"):
        return {"hurried": HurriedLoop}
    return {"real": asyncio.new_event_loop}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a recording by its size: pytest would make all of its bytes part of the test's name."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 100 else None


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILICONFLOW_API_KEY", "SILICONFLOW_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    logging.getLogger("siliconflow_voice").setLevel(logging.DEBUG)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgresql.Postgres]:
    """A PostgreSQL server, for all tests of a process."""
    if postgresql.MISSING:
        pytest.skip(postgresql.REASON)
    with postgresql.Postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres_server: postgresql.Postgres) -> str:
    """An empty database."""
    return postgres_server.create()


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A well-behaved service."""
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[VoiceClient]:
    """A client of it that doesn't wait long."""
    retry = RetryPolicy(wait_initial=0.001, wait_max=0.002)
    async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
        yield client
