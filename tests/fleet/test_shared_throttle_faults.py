from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import postgres, recordings
from support.postgres import Postgres
from support.sharing import entered, gate_of, holding, pass_through, until

from siliconflow_voice import (
    APIConnectionError,
    AttemptEvent,
    Event,
    OverloadedError,
    RetryPolicy,
    SiliconFlowError,
    ThrottleError,
    VoiceClient,
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.database import Address, Connection, Database, connect
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.fleet import SharedThrottle
from siliconflow_voice.fleet import agent as agents
from siliconflow_voice.fleet.rows import Gates, Key
from siliconflow_voice.throttle.limiter import Verdict


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server that may be stopped; a throttle that is closed doesn't wait for it for long."""
    if postgres.MISSING:
        pytest.skip(postgres.REASON)
    monkeypatch.setattr(agents, "_PARTING", 0.5)
    with Postgres() as server:
        yield server


# The database is away.


async def test_nothing_passes_while_the_database_is_away_and_answers_are_told_afterwards(
    own_server: Postgres,
) -> None:
    async with SharedThrottle(own_server.create(), max_concurrency=2) as throttle:
        held = [await entered(throttle), await entered(throttle)]
        await asyncio.to_thread(own_server.stop)
        for admission in held:
            gate_of(throttle).leave(admission, Verdict.ACCEPTED)
        waiting = asyncio.create_task(entered(throttle))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await asyncio.to_thread(own_server.start)
        await waiting
        assert throttle.snapshot()[0].in_flight == 1
        assert throttle.snapshot()[0].requests_used == 3


async def test_uploads_go_on_after_a_restart_in_the_middle(own_server: Postgres) -> None:
    url = own_server.create()
    async with Emulator(faults=[Fault.delay(0.02, times=None)]) as emulator:

        async def upload(client: VoiceClient, names: list[str]) -> None:
            for name in names:
                await client.upload_voice(recordings.SPEECH, custom_name=name, text="慢工出细活")

        async with (
            SharedThrottle(url, max_concurrency=4) as one,
            SharedThrottle(url, max_concurrency=4) as other,
            VoiceClient("sk-test", base_url=emulator.base_url, throttle=one) as first,
            VoiceClient("sk-test", base_url=emulator.base_url, throttle=other) as second,
            asyncio.TaskGroup() as group,
        ):
            for number, client in enumerate([first, second] * 3):
                group.create_task(upload(client, [f"voice-{number}-{each}" for each in range(20)]))
            await until(lambda: len(emulator.voices) > 20)
            await asyncio.to_thread(own_server.stop)
            await asyncio.to_thread(own_server.start)
    assert len(emulator.voices) == 120


async def test_a_call_whose_deadline_passes_meanwhile_says_that_it_was_the_database(
    own_server: Postgres, emulator: Emulator
) -> None:
    async with (
        SharedThrottle(own_server.create()) as throttle,
        VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, retry=RetryPolicy(deadline=0.5)
        ) as client,
    ):
        await client.list_voices()
        await asyncio.to_thread(own_server.stop)
        with pytest.raises(
            ThrottleError, match=r"The database postgresql://127.* can't be used.*nothing was"
        ):
            await client.list_voices()
        assert len(emulator.requests) == 1


async def test_a_call_without_a_deadline_fails_when_the_patience_ends(
    own_server: Postgres, emulator: Emulator
) -> None:
    async with (
        SharedThrottle(own_server.create(), patience=0.3) as throttle,
        VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, retry=RetryPolicy(deadline=None)
        ) as client,
    ):
        await client.list_voices()
        await asyncio.to_thread(own_server.stop)
        with pytest.raises(ThrottleError, match="can't be used") as caught:
            await client.list_voices()
        assert caught.value.attempts == ()
        await asyncio.to_thread(own_server.start)
        await client.list_voices()


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        (Fault.return_status(503), ThrottleError, 1),
        (Fault.drop_answer(), APIConnectionError, 1),  # which says that the voice may be stored
    ],
    ids=["refused", "unknown"],
)
async def test_what_was_tried_before_the_database_went_is_told(
    own_server: Postgres, fault: Fault, error: type[SiliconFlowError], attempts: int
) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, AttemptEvent) and event.operation == "upload_voice":
            own_server.stop()

    retry = RetryPolicy(deadline=1.0, wait_initial=0.001)
    async with (
        Emulator(faults=[fault]) as emulator,
        SharedThrottle(own_server.create()) as throttle,
        VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, retry=retry, on_event=stop
        ) as client,
    ):
        with pytest.raises(error) as caught:
            await client.upload_voice(
                recordings.SPEECH, custom_name="narrator", text="慢工出细活", on_ambiguous="retry"
            )
        assert len(caught.value.attempts) == attempts
        assert (type(caught.value.__cause__) is OverloadedError) == (error is ThrottleError)


async def test_a_bulk_run_ends_when_the_patience_ends(own_server: Postgres, emulator: Emulator) -> None:
    uploads = [VoiceUpload(recordings.SPEECH, f"voice-{number}", "慢工出细活") for number in range(50)]
    async with (
        SharedThrottle(own_server.create(), patience=0.3) as throttle,
        VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client,
    ):
        outcomes = upload_many(client, uploads, concurrency=2)
        await anext(outcomes)
        await asyncio.to_thread(own_server.stop)
        with pytest.raises(ThrottleError):
            _ = [outcome async for outcome in outcomes]
    assert len(emulator.voices) < 50


async def test_a_closed_throttle_waits_no_longer_than_a_moment_for_its_database(
    own_server: Postgres,
) -> None:
    loop = asyncio.get_running_loop()
    throttle = SharedThrottle(own_server.create())
    await throttle.open()
    await entered(throttle)
    await asyncio.to_thread(own_server.stop)
    began = loop.time()
    await throttle.close()
    assert loop.time() - began < 2


async def test_one_that_does_not_answer_is_said_not_to(
    own_server: Postgres, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_LONG", 0.1)
    url = own_server.create()
    async with (
        SharedThrottle(url) as throttle,
        VoiceClient(
            "sk-test", base_url=emulator.base_url, throttle=throttle, retry=RetryPolicy(deadline=0.5)
        ) as client,
    ):
        await client.list_voices()
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute("LOCK TABLE siliconflow_voice.throttle_gates")
            with pytest.raises(ThrottleError, match="it does not answer; nothing was sent"):
                await client.list_voices()


async def test_those_that_wait_fail_when_it_is_closed(database_url: str) -> None:
    async with SharedThrottle(database_url, max_concurrency=1) as throttle:
        gate = gate_of(throttle)
        await entered(throttle)
        waiting = asyncio.create_task(entered(throttle))
        await until(lambda: gate.waiting == 1)
    with pytest.raises(ThrottleError, match="was closed while a call waited"):
        await waiting
    with pytest.raises(ThrottleError, match="is closed"):
        await gate.enter(gate.turn(), 1.0, retry=False)


async def test_what_is_refused_for_good_is_an_error_at_once(
    database_url: str, postgres_server: Postgres
) -> None:
    async with SharedThrottle(database_url) as throttle:
        await pass_through(throttle)
        postgres_server.execute("DROP TABLE siliconflow_voice.throttle_gates", database_url)
        with pytest.raises(ThrottleError, match=r'throttle_gates" does not exist'):
            await entered(throttle)


async def test_a_row_that_is_gone_is_begun_anew(database_url: str, postgres_server: Postgres) -> None:
    async with SharedThrottle(database_url, max_concurrency=1) as throttle:
        held = await entered(throttle)
        postgres_server.execute("DELETE FROM siliconflow_voice.throttle_gates", database_url)
        postgres_server.execute("DELETE FROM siliconflow_voice.throttle_processes", database_url)
        again = await entered(throttle)
        gate_of(throttle).leave(held, Verdict.ACCEPTED)  # means nothing to the new row
        gate_of(throttle).leave(again, Verdict.ACCEPTED)
        await until(lambda: throttle.snapshot()[0].in_flight == 0)
        assert throttle.snapshot()[0].requests_used == 1


async def test_tables_of_a_newer_version_are_refused(database_url: str, postgres_server: Postgres) -> None:
    async with SharedThrottle(database_url):
        pass
    postgres_server.execute("UPDATE siliconflow_voice.versions SET version = 99", database_url)
    throttle = SharedThrottle(database_url)
    with pytest.raises(ThrottleError, match=r"version 99.*upgrade siliconflow-voice"):
        await throttle.open()


# Rounds that are made twice.


@pytest.mark.parametrize("lost", ["after", "before"])
async def test_a_round_whose_commit_was_not_confirmed_counts_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    once, failures = Database._once, 0

    async def lose(database: Database, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        nonlocal failures
        failures += 1
        if failures % 2:
            if lost == "after":
                await once(database, work)
            raise psycopg.OperationalError("the connection was lost")
        return await once(database, work)

    async with SharedThrottle(database_url, max_concurrency=8, requests_per_minute=100) as throttle:
        await pass_through(throttle)
        monkeypatch.setattr(Database, "_once", lose)
        for _ in range(5):
            await pass_through(throttle)
        held = [await entered(throttle) for _ in range(8)]  # all there are
        assert (throttle.snapshot()[0].in_flight, throttle.snapshot()[0].requests_used) == (8, 14)
        for admission in held:
            gate_of(throttle).leave(admission, Verdict.ACCEPTED)
        await until(lambda: throttle.snapshot()[0].in_flight == 0)
        assert throttle.snapshot()[0].requests_used == 14
        monkeypatch.setattr(Database, "_once", once)


async def test_a_round_that_was_made_before_the_patience_ended_counts_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Database._once

    async def lose(database: Database, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        await once(database, work)
        raise psycopg.OperationalError("the connection was lost")

    async with SharedThrottle(database_url, max_concurrency=1, patience=0.2) as throttle:
        await pass_through(throttle)
        await until(lambda: gate_of(throttle).in_flight == 0)
        monkeypatch.setattr(Database, "_once", lose)
        with pytest.raises(ThrottleError, match="can't be used"):
            await entered(throttle)
        monkeypatch.setattr(Database, "_once", once)
        # What it was granted, and was not there for any more, has come back unused.
        await entered(throttle)
        assert throttle.snapshot()[0].in_flight == 1
        assert throttle.snapshot()[0].requests_used == 2


# Processes.


async def test_one_that_is_stopped_and_goes_on_takes_nothing_twice(database_url: str) -> None:
    process = await asyncio.to_thread(holding, database_url, 4)
    async with SharedThrottle(database_url, max_concurrency=4) as throttle:
        waiting = [asyncio.create_task(entered(throttle)) for _ in range(4)]
        await until(lambda: gate_of(throttle).in_flight == 4)
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.wait(waiting, timeout=15)
        os.kill(process.pid, signal.SIGCONT)
        assert throttle.snapshot()[0].in_flight == 4
        process.kill()
        await asyncio.to_thread(process.communicate)


async def test_one_that_is_stopped_with_the_lock_loses_it(database_url: str) -> None:
    key = Key("default", "http://localhost/v1", "model")

    async def stop(throttle: SharedThrottle) -> None:
        connection = await connect(Address.parse(database_url), "test")
        async with connection, connection.transaction():
            await Gates("stopped").lock(connection, key)
            async with asyncio.timeout(20):
                await pass_through(throttle)
            await connection.execute("SELECT 1")

    async with SharedThrottle(database_url) as throttle:
        await pass_through(throttle)
        with pytest.raises(psycopg.Error, match="idle-in-transaction timeout"):
            await stop(throttle)


# Faults of its own.


async def test_a_fault_of_its_own_fails_the_calls_and_is_logged(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with SharedThrottle(database_url) as throttle:
        await pass_through(throttle)
        with monkeypatch.context() as patch:
            patch.setattr(agents, "play", None)
            with pytest.raises(ThrottleError, match=r"a fault of its own \(TypeError"):
                await entered(throttle)
        assert "The shared throttle failed" in caplog.text


# The password.


async def test_a_password_stands_in_no_error_repr_or_log(
    own_server: Postgres, caplog: pytest.LogCaptureFixture, emulator: Emulator
) -> None:
    caplog.set_level(logging.DEBUG)
    url = own_server.create().replace("postgres@", "postgres:hunter2@")
    told: list[str] = []

    def tell(error: BaseException) -> None:
        # Without the caller's own frame, which has the URL in its hands.
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.TracebackException(type(error), error, frames, capture_locals=True).format
        told.append("".join(lines()))
        told.append(repr(error) + str(error) + repr(vars(error)))

    async with SharedThrottle(url, patience=0.2) as throttle:
        told.append(repr(throttle) + str(throttle) + json.dumps(throttle.state()))
        client = VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle)
        async with client:
            await client.list_voices()
            told.append(repr(throttle.snapshot()))
            await asyncio.to_thread(own_server.stop)
            with pytest.raises(SiliconFlowError) as failed:
                await client.list_voices()
            tell(failed.value)
        with pytest.raises(ThrottleError) as refused:
            await SharedThrottle(url).open()
        told.append(repr(refused.value) + str(refused.value))
    told.append(caplog.text)
    assert "hunter2" not in "".join(told)


def test_plain_services_need_nothing_else_of_the_fleet() -> None:
    code = (
        "import sys; from siliconflow_voice.fleet import SharedThrottle;"
        "print('procrastinate' in sys.modules, 'sqlite3' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 - ours
    assert process.stdout == "False False\n"
