from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import (
    APIConnectionError,
    APITimeoutError,
    AttemptEvent,
    ConfigurationError,
    Event,
    Failure,
    InvalidUploadError,
    OutcomeEvent,
    OverloadedError,
    QueueEvent,
    QuotaExhaustedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    SiliconFlowError,
    SourceConsumedError,
    Throttle,
    Voice,
    VoiceClient,
    WaitEvent,
)
from siliconflow_voice.emulator import Emulator, Fault, Quota
from siliconflow_voice.throttle.overload import BUDGET


async def upload(emulator: Emulator, audio: object = SPEECH, **options: object) -> Voice:
    async with VoiceClient("sk-test", base_url=emulator.base_url, **options) as client:  # type: ignore[arg-type] # on purpose
        return await client.upload_voice(audio, custom_name="narrator", text=TEXT)  # type: ignore[arg-type] # on purpose


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_an_overload_is_waited_out() -> None:
    async with Emulator(faults=[Fault.return_status(503, times=4)]) as emulator:
        voice = await upload(emulator)
    assert [attempt.status for attempt in voice.attempts] == [503, 503, 503, 503, 200]
    assert [attempt.code for attempt in voice.attempts[:-1]] == [50505] * 4


@virtual_time
async def test_the_token_limit_is_waited_out() -> None:
    async with Emulator(quota=Quota(tokens=len(TEXT))) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            for name in ("first", "second"):
                await client.upload_voice(SPEECH, custom_name=name, text=TEXT)
        assert 60 <= now() < 120
    assert [voice.custom_name for voice in emulator.voices] == ["first", "second"]


@virtual_time
async def test_refusals_are_not_counted_as_failures() -> None:
    async with Emulator(faults=[Fault.return_status(429, times=9)]) as emulator:
        voice = await upload(emulator, retry=RetryPolicy(attempts=2))
    assert len(voice.attempts) == 10


@virtual_time
async def test_failures_are_counted() -> None:
    async with Emulator(faults=[Fault.reset_after(0, times=3)]) as emulator:
        with pytest.raises(SiliconFlowError) as caught:
            await upload(emulator, bytes_of_silence(), limits=None, retry=RetryPolicy(attempts=3))
    assert len(caught.value.attempts) == 3
    assert "Gave up after 3 attempts." in str(caught.value)


def bytes_of_silence() -> bytes:
    return bytes(16 << 20)


@virtual_time
async def test_a_long_outage_ends_with_the_deadline_and_the_whole_history() -> None:
    async with Emulator(faults=[Fault.return_status(503, times=None)]) as emulator:
        with pytest.raises(OverloadedError) as caught:
            await upload(emulator, retry=RetryPolicy(deadline=100))
        assert now() <= 100
        assert len(caught.value.attempts) == len(emulator.requests) - 1
    assert {attempt.failure for attempt in caught.value.attempts} == {Failure.REFUSED}


@virtual_time
async def test_a_daily_quota_is_not_waited_for() -> None:
    async with Emulator(faults=[Fault.return_status(429, code=50608)]) as emulator:
        with pytest.raises(QuotaExhaustedError) as caught:
            await upload(emulator)
    assert (caught.value.kind, len(caught.value.attempts)) == ("rpd", 1)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 418])
async def test_what_would_fail_again_is_not_tried_again(status: int) -> None:
    async with Emulator(faults=[Fault.return_status(status)]) as emulator:
        with pytest.raises(SiliconFlowError) as caught:
            await upload(emulator)
    assert (len(caught.value.attempts), caught.value.failure) == (1, Failure.FINAL)


@pytest.mark.parametrize("status", [429, 503])
async def test_without_retries_a_refusal_is_raised_at_once(status: int) -> None:
    async with Emulator(faults=[Fault.return_status(status)]) as emulator:
        with pytest.raises((RateLimitError, OverloadedError)):
            await upload(emulator, retry=RetryPolicy.none())


@pytest.mark.parametrize("seconds", [17, 120])
def test_retry_after_is_waited_for_exactly(seconds: int) -> None:
    @virtual_time
    async def run() -> None:
        fault = Fault.return_status(503, headers={"Retry-After": str(seconds)})
        async with Emulator(faults=[fault]) as emulator:
            await upload(emulator)
            assert now() == pytest.approx(seconds, abs=0.01)

    run()


@virtual_time
async def test_a_date_to_retry_after_is_compared_with_the_servers_clock() -> None:
    headers = {"Retry-After": "Tue, 24 Nov 2026 10:00:09 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}
    async with Emulator(faults=[Fault.return_status(503, headers=headers)]) as emulator:
        await upload(emulator)
        assert now() == pytest.approx(9, abs=0.01)


@virtual_time
async def test_a_retry_after_that_is_too_long_is_not_waited_for() -> None:
    fault = Fault.return_status(429, headers={"Retry-After": "121"})
    async with Emulator(faults=[fault]) as emulator:
        with pytest.raises(RateLimitError) as caught:
            await upload(emulator)
        assert (now(), caught.value.retry_after) == (0, 121)


@virtual_time
async def test_a_retry_after_past_the_deadline_is_not_waited_for() -> None:
    fault = Fault.return_status(429, headers={"Retry-After": "100"})
    async with Emulator(faults=[fault]) as emulator:
        with pytest.raises(RateLimitError):
            await upload(emulator, retry=RetryPolicy(deadline=60))
        assert now() == 0


@virtual_time
async def test_after_a_429_everybody_waits() -> None:
    fault = Fault.return_status(429, headers={"Retry-After": "40"})
    async with Emulator(faults=[fault]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            await client.list_voices()
            with pytest.raises(RateLimitError):
                await client.with_options(retry=RetryPolicy(deadline=1)).upload_voice(
                    SPEECH, custom_name="first", text=TEXT
                )
            async with asyncio.TaskGroup() as group:
                for name in ("second", "third"):
                    group.create_task(client.upload_voice(SPEECH, custom_name=name, text=TEXT))
        assert now() == pytest.approx(40, abs=0.01)


@virtual_time
async def test_a_gate_that_stays_closed_too_long_is_not_waited_for() -> None:
    fault = Fault.return_status(429, headers={"Retry-After": "86400"})
    async with Emulator(faults=[fault]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            with pytest.raises(RateLimitError):
                await client.upload_voice(SPEECH, custom_name="first", text=TEXT)
            hurried = client.with_options(retry=RetryPolicy(deadline=60))
            with pytest.raises(APITimeoutError, match="waiting for the throttle"):
                await hurried.upload_voice(SPEECH, custom_name="second", text=TEXT)
            assert now() == 0
            await client.upload_voice(SPEECH, custom_name="third", text=TEXT)
        assert now() == pytest.approx(120, abs=0.01)  # no longer, whatever the one who was refused was told


@virtual_time
async def test_to_retry_after_no_time_is_still_to_back_off() -> None:
    fault = Fault.return_status(503, times=5, headers={"Retry-After": "0"})
    async with Emulator(faults=[fault]) as emulator:
        await upload(emulator)
        assert now() > 0.5


@virtual_time
async def test_the_retries_of_an_overload_draw_on_the_budget() -> None:
    throttle = Throttle()
    budgets: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptEvent) and event.operation == "upload_voice":
            (gate,) = [gate for (_, model), gate in throttle._gates.items() if model]
            budgets.append(gate.limiter.overload.budget)

    async with Emulator(faults=[Fault.return_status(503, times=2)]) as emulator:
        await upload(emulator, on_event=note, throttle=throttle)
    # A retry costs one, half of one comes back in each second of a wait, and a success earns two.
    assert budgets[:2] == [BUDGET, BUDGET - 1]


@virtual_time
async def test_a_wait_for_the_throttle_ends_with_the_deadline() -> None:
    async with Emulator(latency=50) as emulator:
        throttle = Throttle(max_concurrency=1)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            first = asyncio.create_task(client.upload_voice(SPEECH, custom_name="first", text=TEXT))
            await asyncio.sleep(60)
            hurried = client.with_options(retry=RetryPolicy(deadline=20))
            with pytest.raises(APITimeoutError, match="waiting for the throttle") as caught:
                await hurried.upload_voice(SPEECH, custom_name="second", text=TEXT)
            assert (now(), caught.value.failure, caught.value.attempts) == (75, Failure.NOT_SENT, ())
            await first


@virtual_time
async def test_a_deadline_in_the_throttle_raises_the_failure_before() -> None:
    refused = asyncio.Event()

    def look(event: Event) -> None:
        if isinstance(event, WaitEvent):
            refused.set()

    async with Emulator(
        latency=50, faults=[Fault.return_status(503, headers={"Retry-After": "1"})]
    ) as emulator:
        throttle = Throttle(max_concurrency=1)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            hurried = client.with_options(retry=RetryPolicy(deadline=60), on_event=look)
            task = asyncio.create_task(
                hurried.upload_voice(SPEECH, custom_name="first", text=TEXT, on_ambiguous="raise")
            )
            await refused.wait()
            other = asyncio.create_task(
                client.upload_voice(SPEECH, custom_name="second", text=TEXT, on_ambiguous="raise")
            )
            with pytest.raises(OverloadedError) as caught:
                await task
            assert len(caught.value.attempts) == 1
            await other


@virtual_time
async def test_a_stream_is_tried_once_and_the_error_says_why() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    async with Emulator(faults=[Fault.return_status(503)]) as emulator:
        with pytest.raises(SourceConsumedError, match="the audio can't be read again") as caught:
            await upload(emulator, stream())
    assert isinstance(caught.value.__cause__, OverloadedError)
    assert (len(caught.value.attempts), caught.value.failure) == (1, Failure.REFUSED)


async def test_without_retries_a_stream_fails_as_it_comes(emulator: Emulator) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield SPEECH

    emulator.add_fault(Fault.return_status(429))
    with pytest.raises(RateLimitError):
        await upload(emulator, stream(), retry=RetryPolicy.none())


async def test_a_stream_that_is_refused_by_the_checks_is_closed(emulator: Emulator) -> None:
    closed = False

    async def stream() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"no audio at all"
            yield b"that anybody would know"
        finally:
            closed = True

    with pytest.raises(InvalidUploadError):
        await upload(emulator, stream())
    assert closed


async def test_a_stream_that_was_not_begun_is_tried_again(unused_tcp_port: int) -> None:
    begun = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield SPEECH

    retry = RetryPolicy(attempts=3, wait_initial=0.001)
    async with VoiceClient("sk-test", base_url=f"http://127.0.0.1:{unused_tcp_port}", retry=retry) as client:
        with pytest.raises(APIConnectionError) as caught:
            await client.upload_voice(stream(), custom_name="narrator", text=TEXT, on_ambiguous="raise")
    assert (begun, len(caught.value.attempts)) == (1, 3)


@virtual_time
async def test_what_may_be_repeated_is_tried_again_after_an_unknown_outcome() -> None:
    async with Emulator(faults=[Fault.drop_answer(endpoint="list", times=2)]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            assert await client.list_voices() == []


@virtual_time
async def test_a_call_tells_what_it_does() -> None:
    events: list[Event] = []
    async with Emulator(faults=[Fault.return_status(503)]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url, on_event=events.append) as client:
            await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous="raise")
    refused, waits, accepted, ended = events
    assert isinstance(refused, AttemptEvent)
    assert isinstance(waits, WaitEvent)
    assert isinstance(accepted, AttemptEvent)
    assert isinstance(ended, OutcomeEvent)
    assert (refused.attempt.status, accepted.attempt.status, ended.error) == (503, 200, None)
    assert {(event.operation, event.subject, event.call) for event in events} == {
        ("upload_voice", "narrator", 1)
    }
    assert accepted.attempt.waited == pytest.approx(waits.seconds, abs=1e-6)
    assert ended.seconds == pytest.approx(now(), abs=1e-6)


@virtual_time
async def test_a_failed_call_tells_its_error() -> None:
    events: list[Event] = []
    async with Emulator(faults=[Fault.return_status(500, times=None)]) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url, on_event=events.append) as client:
            with pytest.raises(SiliconFlowError) as caught:
                await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous="retry")
    assert isinstance(events[-1], OutcomeEvent)
    assert events[-1].error is caught.value
    assert (type(caught.value), len(caught.value.attempts)) == (ServerError, 6)


async def test_an_event_handler_that_fails_is_logged_and_changes_nothing(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_event: Event) -> None:
        raise LookupError("a bug of the user's")

    await upload(emulator, on_event=fail)
    assert len(emulator.voices) == 1
    assert "a bug of the user's" in caplog.text


async def test_neither_log_nor_error_has_the_key(caplog: pytest.LogCaptureFixture) -> None:
    echo = Fault.return_status(
        400, body='{"code":20015,"message":"bad key sk-test"}', headers={"x-siliconcloud-trace-id": "sk-test"}
    )
    async with Emulator(faults=[echo]) as emulator:
        with pytest.raises(SiliconFlowError) as caught:
            await upload(emulator)
    assert "bad key ***" in str(caught.value)
    assert "sk-test" not in str(vars(caught.value)) + repr(caught.value) + caplog.text


async def test_an_error_leads_to_nothing_of_aiohttps(emulator: Emulator) -> None:
    await emulator.close()
    with pytest.raises(APIConnectionError) as caught:
        await upload_to_nobody()
    chain: list[BaseException] = []
    link: BaseException | None = caught.value
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    frames = [frame for error in chain for frame in files(error)]
    assert [file for file in frames if "aiohttp" in file] == []
    assert {type(error).__module__ for error in chain} == {"siliconflow_voice.errors"}


async def upload_to_nobody() -> None:
    async with VoiceClient("sk-test", base_url="http://127.0.0.1:9", retry=RetryPolicy.none()) as client:
        await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT, on_ambiguous="raise")


def files(error: BaseException) -> list[str]:
    found = []
    link = error.__traceback__
    while link is not None:
        found.append(link.tb_frame.f_code.co_filename)
        link = link.tb_next
    return found


@given(st.integers(1, 2000), st.floats(0.001, 10), st.floats(0.001, 100))
def test_backoff_stays_within_its_bounds(failures: int, initial: float, maximum: float) -> None:
    policy = RetryPolicy(wait_initial=initial, wait_max=maximum)
    assert 0 <= policy.backoff(failures) <= min(maximum, initial * 2.0 ** min(failures - 1, 64))


def test_backoff_doubles_what_it_draws_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _, ceiling: ceiling)
    policy = RetryPolicy(wait_initial=0.5, wait_max=3)
    assert [policy.backoff(failures) for failures in range(1, 6)] == [0.5, 1, 2, 3, 3]


def test_each_refusal_doubles_the_wait_which_the_history_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _, ceiling: ceiling)

    @virtual_time
    async def run() -> None:
        async with Emulator(faults=[Fault.return_status(503, times=4)]) as emulator:
            voice = await upload(emulator)
        assert [attempt.waited for attempt in voice.attempts] == pytest.approx([0, 0.5, 1, 2, 4])

    run()


@virtual_time
async def test_the_wait_that_is_told_is_the_throttles_where_that_is_longer() -> None:
    events: list[Event] = []
    async with Emulator(quota=Quota(requests=1)) as emulator:
        for_two = VoiceClient("sk-test", base_url=emulator.base_url, on_event=events.append)
        async with for_two as client:
            await client.upload_voice(SPEECH, custom_name="first", text=TEXT)
            voice = await client.upload_voice(SPEECH, custom_name="second", text=TEXT)
    told = [event.seconds for event in events if isinstance(event, WaitEvent)]
    waited = [attempt.waited for attempt in voice.attempts[1:]]
    assert told == pytest.approx(waited)
    assert max(told) > 1


@pytest.mark.parametrize(
    "policy",
    [
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(deadline=0),
        lambda: RetryPolicy(wait_initial=-1),
        lambda: RetryPolicy(wait_max=float("nan")),
        lambda: Throttle(max_concurrency=0),
    ],
)
def test_nonsense_is_refused(policy: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"above 0|at least 1"):
        policy()


# The line before the throttle.


@virtual_time
async def test_a_call_that_waits_for_its_first_turn_tells_how_long_and_behind_how_many() -> None:
    events: list[Event] = []
    throttle = Throttle(requests_per_minute=1)
    async with Emulator() as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, on_event=events.append, throttle=throttle
        ) as client:
            async with asyncio.TaskGroup() as group:
                for name in ("first", "second", "third"):
                    group.create_task(
                        client.upload_voice(SPEECH, custom_name=name, text=TEXT, on_ambiguous="raise")
                    )
    queued = [event for event in events if isinstance(event, QueueEvent)]
    assert [(event.subject, event.ahead) for event in queued] == [("second", 0), ("third", 1)]
    assert [event.seconds for event in queued] == pytest.approx([60, 120], abs=1)


@virtual_time
async def test_a_call_whose_turn_comes_after_its_deadline_fails_at_once_and_says_why() -> None:
    retry = RetryPolicy(deadline=20)
    throttle = Throttle(requests_per_minute=2)
    async with Emulator() as emulator:
        async with VoiceClient(
            "sk-test", base_url=emulator.base_url, retry=retry, throttle=throttle
        ) as client:
            for name in ("first", "second"):
                await client.upload_voice(SPEECH, custom_name=name, text=TEXT)
            began = now()
            with pytest.raises(APITimeoutError) as caught:
                await client.upload_voice(SPEECH, custom_name="third", text=TEXT)
    assert now() == began
    assert re.search(
        r"deadline would pass while waiting for the throttle: its turn is about 6\d s away, "
        r"behind 0 other calls, with \d+\.\d s left, as \d+\.\d s are kept back to look for a lost answer; "
        r"nothing was sent",
        str(caught.value),
    )
