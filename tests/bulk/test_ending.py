from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from support.bulk import item, items, outcomes_of, stored, taken, until
from support.recordings import SPEECH
from support.virtual_time import virtual_time

from siliconflow_voice import (
    AuthenticationError,
    InsufficientBalanceError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    RealNameRequiredError,
    RetryPolicy,
    SiliconFlowError,
    Throttle,
    UnexpectedRedirectError,
    UploadOutcome,
    VoiceClient,
    VoiceUpload,
    upload_many,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota

HOPELESS = [
    (401, None, AuthenticationError),
    (402, None, InsufficientBalanceError),
    (403, 30001, InsufficientBalanceError),
    (403, 20051, RealNameRequiredError),
    (403, 30002, PermissionDeniedError),
    (403, 30012, PermissionDeniedError),
    (404, None, NotFoundError),
    (429, 50608, QuotaExhaustedError),
    (307, None, UnexpectedRedirectError),
]


@pytest.mark.parametrize(("status", "code", "error"), HOPELESS)
async def test_what_all_would_meet_ends_the_run_and_leaves_the_rest(
    client: VoiceClient, emulator: Emulator, status: int, code: int | None, error: type[Exception]
) -> None:
    got: list[UploadOutcome] = []
    outcomes = upload_many(client, items(100), concurrency=2)
    got += [await anext(outcomes) for _ in range(5)]
    emulator.add_fault(Fault.return_status(status, code=code, times=None))
    with pytest.raises(error):
        await taken(outcomes, got)
    assert {outcome.status for outcome in got} == {"uploaded"}
    # Those that were under way beside it may have met it too.
    uploads = [record for record in emulator.requests if record.endpoint == "upload"]
    assert (len(got), len(uploads) - len(got)) == (len(emulator.voices), len(uploads) - len(emulator.voices))
    assert 1 <= len(uploads) - len(got) <= 2


async def test_a_permission_that_one_lacks_is_its_own_failure(
    client: VoiceClient, emulator: Emulator
) -> None:
    emulator.add_fault(Fault.return_status(403, code=30003))
    outcomes = await outcomes_of(client, items(3), concurrency=1)
    assert [outcome.status for outcome in outcomes] == ["failed", "uploaded", "uploaded"]


@virtual_time
async def test_what_is_under_way_is_finished_when_a_run_ends() -> None:
    async with Emulator(latency=5) as emulator:
        throttle = Throttle(max_concurrency=3)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            # The first is answered at once, with what ends the run; the others are under way by then.
            emulator.add_fault(Fault.return_status(402))
            emulator.add_fault(Fault.delay(3, times=2))
            got: list[UploadOutcome] = []
            with pytest.raises(InsufficientBalanceError):
                await taken(upload_many(client, items(50), concurrency=20), got)
        assert sorted(voice.custom_name for voice in emulator.voices) == sorted(
            outcome.upload.custom_name for outcome in got
        )
        assert (len(got), emulator.in_flight) == (2, 0)


@virtual_time
async def test_one_that_is_to_be_tried_again_is_let_go_when_a_run_ends() -> None:
    async with Emulator() as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            emulator.add_fault(Fault.return_status(503, headers={"Retry-After": "100"}))
            emulator.add_fault(Fault.return_status(401))
            began = asyncio.get_running_loop().time()
            with pytest.raises(AuthenticationError):
                await taken(upload_many(client, items(2), concurrency=2), [])
            assert asyncio.get_running_loop().time() - began < 110
        assert stored(emulator) == {}


async def test_one_that_waits_for_the_next_upload_is_let_go_when_a_run_ends(
    client: VoiceClient, emulator: Emulator
) -> None:
    emulator.add_fault(Fault.return_status(401))

    async def come() -> AsyncIterator[VoiceUpload]:
        yield item()
        await asyncio.Event().wait()

    with pytest.raises(AuthenticationError):
        await taken(upload_many(client, come()), [])


async def test_the_first_of_two_reasons_to_end_is_raised(client: VoiceClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault.return_status(401, times=None))
    with pytest.raises(AuthenticationError):
        await taken(upload_many(client, items(30), concurrency=16), [])


async def test_closing_ends_what_hangs(client: VoiceClient, emulator: Emulator) -> None:
    async with aclosing(upload_many(client, items(20), concurrency=4)) as outcomes:
        await anext(outcomes)
        emulator.add_fault(Fault.stall_after(0, times=None))
        await until(lambda: emulator.in_flight > 0)
    assert [task for task in asyncio.all_tasks() if "_Worker.run" in repr(task)] == []


async def test_a_cancellation_ends_what_hangs(client: VoiceClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault.delay(3600, times=None))
    task = asyncio.create_task(taken(upload_many(client, items(20), concurrency=4), []))
    await until(lambda: bool(emulator.voices))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [task for task in asyncio.all_tasks() if "_Worker.run" in repr(task)] == []


async def test_an_iterator_that_nobody_finishes_ends_with_its_loop(emulator: Emulator) -> None:
    async def leave_early(address: str) -> int:
        async with VoiceClient("sk-test", base_url=address) as client:
            async for outcome in upload_many(client, items(20)):
                return outcome.index
        raise AssertionError

    assert await leave_early(emulator.base_url) in range(20)


async def test_an_error_that_is_no_ones_failure_comes_out_as_it_is(
    client: VoiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("siliconflow_voice.uploads.uploader.check_texts", broken)
    with pytest.raises(ZeroDivisionError):
        await taken(upload_many(client, items(3)), [])


async def test_an_iterable_that_was_cancelled_is_not_taken_for_one_that_is_done(client: VoiceClient) -> None:
    async def come() -> AsyncIterator[VoiceUpload]:
        for upload in items(3):
            yield upload
        fetching = asyncio.create_task(asyncio.Event().wait())
        fetching.cancel()
        await fetching

    got: list[UploadOutcome] = []
    with pytest.raises(SiliconFlowError, match="The run was cancelled by its iterable"):
        await taken(upload_many(client, come()), got)
    assert len(got) <= 3


async def test_a_timeout_around_an_iterables_yields_ends_the_run_and_no_upload(
    client: VoiceClient, emulator: Emulator
) -> None:
    emulator.add_fault(Fault.delay(0.1, times=None))

    async def come() -> AsyncIterator[VoiceUpload]:
        async with asyncio.timeout(0.05):
            for upload in items(9):
                yield upload

    got: list[UploadOutcome] = []
    with pytest.raises(SiliconFlowError, match="The run was cancelled by its iterable"):
        await taken(upload_many(client, come(), concurrency=2), got)
    assert stored(emulator) == {outcome.upload.custom_name: 1 for outcome in got}


async def test_what_is_no_error_but_ends_programs_leaves_nobody_waiting(client: VoiceClient) -> None:
    class Unusual(BaseException):
        pass

    def come() -> Iterator[VoiceUpload]:
        yield item()
        raise Unusual

    with pytest.raises(BaseExceptionGroup) as caught:
        await asyncio.wait_for(taken(upload_many(client, come()), []), 10)
    assert [type(error) for error in caught.value.exceptions] == [Unusual]


async def test_a_run_whose_task_is_cancelled_leaves_nobody_waiting(
    client: VoiceClient, emulator: Emulator
) -> None:
    emulator.add_fault(Fault.delay(3600, times=None))
    task = asyncio.create_task(taken(upload_many(client, items(3)), []))
    await until(lambda: bool(emulator.voices))
    # As a program's end does that cancels whatever there is.
    for other in asyncio.all_tasks() - {asyncio.current_task(), task}:
        if "Workers.work" in repr(other):
            other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("concurrency", [1, 5, 2000])
async def test_tasks_may_begin_at_once(client: VoiceClient, emulator: Emulator, concurrency: int) -> None:
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not of 3.11
    try:
        uploads = [item(number, custom_name="旁白") if number % 2 else item(number) for number in range(40)]
        outcomes = await asyncio.wait_for(outcomes_of(client, uploads, concurrency=concurrency), 20)
        assert [outcome.status for outcome in outcomes] == ["uploaded", "failed"] * 20

        def broken() -> Iterator[VoiceUpload]:
            yield from items(2)
            raise ValueError("the list is gone")

        with pytest.raises(ValueError, match="the list is gone"):
            await asyncio.wait_for(outcomes_of(client, broken(), concurrency=concurrency), 20)
    finally:
        asyncio.get_running_loop().set_task_factory(None)


@virtual_time
async def test_an_outcome_that_is_in_hand_is_given_when_the_run_ends() -> None:
    async def slow_to_close() -> AsyncIterator[bytes]:
        try:
            yield SPEECH * 2  # more than is read ahead to look at
            yield b""
        finally:
            await asyncio.sleep(5)

    async with Emulator() as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            emulator.add_fault(Fault.return_status(400))
            emulator.add_fault(Fault.return_status(401))
            got: list[UploadOutcome] = []

            async def come() -> AsyncIterator[VoiceUpload]:
                yield item(0, audio=slow_to_close())
                await asyncio.sleep(1)  # it is refused meanwhile, and closes its audio
                yield item(1)

            with pytest.raises(AuthenticationError):
                await taken(upload_many(client, come(), concurrency=2), got)
    assert [(outcome.index, outcome.status) for outcome in got] == [(0, "failed")]


@virtual_time
async def test_a_run_ends_when_the_limit_lets_nothing_pass_any_more() -> None:
    async with Emulator() as emulator:
        retry = RetryPolicy(deadline=2)
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            got: list[UploadOutcome] = []
            outcomes = upload_many(client, items(100))
            got += [await anext(outcomes) for _ in range(10)]
            emulator.add_fault(Fault.return_status(403, message="RPM limit exceeded", times=None))
            with pytest.raises(RateLimitError) as caught:
                await taken(outcomes, got)
    assert "run again later" in caught.value.__notes__[0]
    # The throttle has held back the rest: few more were sent than were under way at the first refusal.
    uploads = sum(request.endpoint == "upload" for request in emulator.requests)
    assert uploads - len(emulator.voices) <= 16 + 6


@virtual_time
async def test_a_run_goes_on_when_the_limit_passes() -> None:
    async with Emulator(quota=Quota(requests=10)) as emulator:
        retry = RetryPolicy(deadline=90)
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            got: list[UploadOutcome] = []
            await taken(upload_many(client, items(60)), got)
    assert len(got) == 60
    assert len(emulator.voices) > 30
