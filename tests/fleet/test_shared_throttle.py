from __future__ import annotations

import asyncio
import functools
import itertools
import threading

import pytest
from support import recordings
from support.postgres import Postgres
from support.sharing import compete, entered, gate_of, holding, pass_through, until, uploading

from siliconflow_voice import ConfigurationError, InvalidUploadError, Throttle, VoiceClient
from siliconflow_voice.emulator import Emulator, Quota
from siliconflow_voice.fleet import SharedThrottle
from siliconflow_voice.throttle.limiter import Verdict


async def test_it_is_accepted_wherever_a_throttle_is(emulator: Emulator, database_url: str) -> None:
    async with SharedThrottle(database_url) as throttle:
        assert isinstance(throttle, Throttle)
        async with VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client:
            voice = await client.upload_voice(recordings.SPEECH, custom_name="narrator", text="慢工出细活")
    assert [voice.uri] == [stored.uri for stored in emulator.voices]


async def test_two_services_share_a_quota_that_neither_knows(database_url: str) -> None:
    quota = Quota(requests=20, window=1.0)
    async with Emulator(quota=quota) as emulator:

        async def serve(names: list[str]) -> None:
            async with (
                SharedThrottle(database_url, window=quota.window) as throttle,
                VoiceClient("sk-test", base_url=emulator.base_url, throttle=throttle) as client,
                asyncio.TaskGroup() as group,
            ):
                for name in names:
                    group.create_task(
                        client.upload_voice(recordings.SPEECH, custom_name=name, text="慢工出细活")
                    )

        await asyncio.gather(*(serve([f"{each}-{number}" for number in range(30)]) for each in "ab"))
        refused = sum(record.refused for record in emulator.requests)
        assert len(emulator.voices) == 60
        assert refused <= 30  # the first burst of both, and probes


async def test_no_more_pass_at_once_than_all_processes_may(database_url: str) -> None:
    async with (
        SharedThrottle(database_url, max_concurrency=3) as one,
        SharedThrottle(database_url, max_concurrency=3) as other,
    ):
        held = [await entered(one), await entered(one), await entered(other)]
        waiting = asyncio.create_task(entered(other))
        await until(lambda: gate_of(other).waiting == 1)
        await asyncio.sleep(0.1)
        assert not waiting.done()
        gate_of(one).leave(held[0], Verdict.ACCEPTED)
        await waiting


async def test_an_answer_in_one_opens_the_gate_of_another_at_once(database_url: str) -> None:
    loop = asyncio.get_running_loop()
    async with (
        SharedThrottle(database_url, max_concurrency=1) as one,
        SharedThrottle(database_url, max_concurrency=1) as other,
    ):
        held = await entered(one)
        waiting = asyncio.create_task(entered(other))
        await until(lambda: gate_of(other).in_flight == 1)
        began = loop.time()
        gate_of(one).leave(held, Verdict.ACCEPTED)
        await waiting
        assert loop.time() - began < 1.0  # by itself it would come after two


async def test_a_refusal_in_one_closes_the_gate_of_all(database_url: str) -> None:
    async with SharedThrottle(database_url) as one, SharedThrottle(database_url) as other:
        await pass_through(other)
        await pass_through(one, Verdict.OVERLOADED, retry_after=100)
        await until(lambda: one.expected_wait("model") > 99)
        waiting = asyncio.create_task(entered(other))
        await until(lambda: gate_of(other).opens_in() > 99)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_what_was_declared_is_never_exceeded(database_url: str) -> None:
    passed: list[float] = []
    loop = asyncio.get_running_loop()

    async def call(throttle: Throttle) -> None:
        admission = await entered(throttle)
        passed.append(loop.time())
        await asyncio.sleep(0.02)
        gate_of(throttle).leave(admission, Verdict.ACCEPTED)

    async with (
        SharedThrottle(database_url, requests_per_minute=10, window=0.6) as one,
        SharedThrottle(database_url, requests_per_minute=10, window=0.6) as other,
        asyncio.TaskGroup() as group,
    ):
        for throttle in itertools.islice(itertools.cycle([one, other]), 35):
            group.create_task(call(throttle))
    assert len(passed) == 35
    assert all(later - first >= 0.6 for first, later in zip(passed, passed[10:], strict=False))
    assert passed[-1] - passed[0] < 4


async def test_what_was_learned_is_there_for_the_next_process(database_url: str) -> None:
    async with SharedThrottle(database_url) as first:
        for _ in range(5):
            await pass_through(first)
        await pass_through(first, Verdict.REQUESTS_REFUSED)
    async with SharedThrottle(database_url) as second:
        waiting = asyncio.create_task(entered(second))
        await until(lambda: gate_of(second).limiter.requests.limit == 5)
        assert second.state()["gates"][0]["limiter"]["requests"]["phase"]["is"] == "Closed"
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_what_another_throttle_learned_is_gone_on_from_where_there_is_nothing_yet(
    database_url: str,
) -> None:
    async with SharedThrottle(database_url) as first:
        await pass_through(first, Verdict.OVERLOADED, retry_after=50)
        await until(lambda: first.expected_wait("model") > 49)
        state = first.state()
    async with SharedThrottle(database_url, account="other", state=state) as second:
        waiting = asyncio.create_task(entered(second))
        await until(lambda: 40 < second.expected_wait("model") < 51)
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_state_of_another_version_is_not_gone_on_from(database_url: str) -> None:
    gate = {"address": "http://localhost/v1", "model": "model", "limiter": {"requests": {}}}
    async with SharedThrottle(database_url, state={"gates": [gate]}) as throttle:
        await pass_through(throttle)


async def test_accounts_models_and_addresses_are_apart(database_url: str) -> None:
    async with (
        SharedThrottle(database_url, max_concurrency=1) as one,
        SharedThrottle(database_url, max_concurrency=1, account="another") as other,
    ):
        held = [await entered(one), await entered(other), await entered(one, model="m")]
        elsewhere = one.gate("http://elsewhere/v1", "model")
        await elsewhere.enter(elsewhere.turn(), 1.0, retry=False)
        assert len(held) == 3


async def test_another_key_does_not_share_it(database_url: str) -> None:
    async with (
        SharedThrottle(database_url) as throttle,
        SharedThrottle(database_url, account="b") as other,
        VoiceClient("sk-test", throttle=throttle) as client,
    ):
        with pytest.raises(ConfigurationError, match=r"such as SharedThrottle\(…, account"):
            client.with_options(api_key="sk-test-2")
        assert client.with_options(api_key="sk-test-2", throttle=other).throttle is other
        assert client.with_options(limits=None).throttle is throttle


# Permits.


async def test_a_call_that_is_cancelled_as_it_is_admitted_gives_its_permit_back(database_url: str) -> None:
    async with SharedThrottle(database_url, max_concurrency=1, requests_per_minute=2) as throttle:
        gate = gate_of(throttle)
        held = await entered(throttle)
        waiting = [asyncio.create_task(entered(throttle)) for _ in range(2)]
        await until(lambda: gate_of(throttle).waiting == 2)
        gate.leave(held, Verdict.ACCEPTED)
        while not (passing := gate.agent.line.first()[0].admitted).done():  # type: ignore[attr-defined]
            await asyncio.sleep(0)
            if gate.waiting < 2:
                break
        del passing
        waiting[0].cancel()
        await asyncio.wait(waiting)
        # As a request that was sent it would have used up the second of two.
        assert not waiting[1].cancelled()
        gate.leave(waiting[1].result(), Verdict.ACCEPTED)
        await until(lambda: throttle.snapshot()[0].in_flight == 0)
        assert throttle.snapshot()[0].requests_used == 2


async def test_those_that_are_cancelled_in_the_line_take_none(database_url: str) -> None:
    async with SharedThrottle(database_url, max_concurrency=1) as throttle:
        held = await entered(throttle)
        waiting = [asyncio.create_task(entered(throttle)) for _ in range(3)]
        await until(lambda: gate_of(throttle).waiting == 3)
        waiting[0].cancel()
        waiting[1].cancel()
        gate_of(throttle).leave(held, Verdict.ACCEPTED)
        gate_of(throttle).leave(await waiting[2], Verdict.ACCEPTED)
        await until(lambda: throttle.snapshot()[0].in_flight == 0)


async def test_what_a_killed_process_held_comes_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the process that comes after: the killed one's own heartbeat is as it is for users.
    process = await asyncio.to_thread(holding, database_url, 4)
    async with SharedThrottle(database_url, max_concurrency=4) as throttle:
        waiting = asyncio.create_task(entered(throttle))
        await until(lambda: gate_of(throttle).in_flight == 4)
        process.kill()
        await asyncio.to_thread(process.communicate)
        await asyncio.wait_for(waiting, 15)
        assert throttle.snapshot()[0].in_flight == 1
        assert throttle.snapshot()[0].requests_used == 5  # they count as sent


async def test_what_one_held_that_is_closed_is_free_at_once(database_url: str) -> None:
    loop = asyncio.get_running_loop()
    async with SharedThrottle(database_url, max_concurrency=1) as other:
        async with SharedThrottle(database_url, max_concurrency=1) as one:
            held = await entered(one)
            gate = gate_of(one)
            waiting = asyncio.create_task(entered(other))
            await until(lambda: gate_of(other).in_flight == 1)
        began = loop.time()
        await waiting
        assert loop.time() - began < 1.0  # by itself it would come after two
        gate.leave(held, Verdict.ACCEPTED)  # is not reported any more


async def test_processes_share_a_quota_though_one_is_killed(database_url: str) -> None:
    async with Emulator(quota=Quota(requests=20, window=1.0)) as emulator:
        ask = functools.partial(uploading, database_url, emulator.base_url, 1.0)
        killed, *others = [await ask(name, 25) for name in ("killed", "one", "other")]
        await until(lambda: len(emulator.voices) > 25, seconds=30)
        killed.kill()
        assert [await process.wait() for process in others] == [0, 0]
        await killed.wait()
        names = [voice.custom_name for voice in emulator.voices]
        assert len([name for name in names if not name.startswith("killed")]) == 50
        assert sum(record.refused for record in emulator.requests) <= 30


# Fairness.


async def test_processes_share_a_limit_equally_however_many_calls_each_has(database_url: str) -> None:
    settings = {"requests_per_minute": 60, "window": 0.6, "max_concurrency": 32}
    async with (
        SharedThrottle(database_url, **settings) as few,  # type: ignore[arg-type] # they are its own
        SharedThrottle(database_url, **settings) as many,  # type: ignore[arg-type] # they are its own
    ):
        made = await compete((few, 6), (many, 60), seconds=4.0)
    assert made.total() > 240
    assert 0.35 < made[0] / made.total() < 0.65


async def test_a_process_with_dear_requests_passes_fewer(database_url: str) -> None:
    settings = {"tokens_per_minute": 600, "window": 0.6, "max_concurrency": 32}
    async with (
        SharedThrottle(database_url, **settings) as cheap,  # type: ignore[arg-type] # they are its own
        SharedThrottle(database_url, **settings) as dear,  # type: ignore[arg-type] # they are its own
    ):
        both = await asyncio.gather(
            compete((cheap, 30), seconds=3.0, tokens=5.0), compete((dear, 30), seconds=3.0, tokens=20.0)
        )
    assert 2 < both[0].total() / both[1].total() < 7


async def test_the_line_of_others_is_expected_too(database_url: str) -> None:
    settings = {"requests_per_minute": 10, "max_concurrency": 32}
    async with (
        SharedThrottle(database_url, **settings) as one,  # type: ignore[arg-type] # they are its own
        SharedThrottle(database_url, **settings) as other,  # type: ignore[arg-type] # they are its own
    ):
        for _ in range(10):
            await pass_through(one)
        waiting = [asyncio.create_task(entered(one)) for _ in range(9)]
        await until(lambda: one.snapshot()[0].opens_in > 50)
        assert one.expected_wait("model") == pytest.approx(60, abs=3)
        waiting += [asyncio.create_task(entered(other)) for _ in range(4)]
        await until(lambda: gate_of(other).opens_in() > 50)
        assert other.expected_wait("model") == pytest.approx(60, abs=3)
        gate_of(one).agent.come()  # type: ignore[attr-defined] # as by itself, later
        await until(lambda: one.expected_wait("model") == pytest.approx(120, abs=3))
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


# Misuse.


async def test_it_has_to_be_open(database_url: str) -> None:
    throttle = SharedThrottle(database_url)
    with pytest.raises(ConfigurationError, match="not open: use it within async with"):
        gate_of(throttle)
    async with throttle:
        await pass_through(throttle)
    with pytest.raises(ConfigurationError, match="not open"):
        gate_of(throttle)
    await throttle.close()


async def test_what_alone_costs_more_tokens_than_were_declared_is_refused(database_url: str) -> None:
    async with SharedThrottle(database_url, tokens_per_minute=10) as throttle:
        with pytest.raises(InvalidUploadError, match="11 tokens"):
            await entered(throttle, tokens=11)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"database_url": "journal.db"}, "URL is invalid"),
        ({"database_url": "postgresql://u:sk-test@[x/db"}, "URL is invalid"),
        ({"database_url": "postgresql:///db", "patience": 0}, "SharedThrottle.patience must be"),
        ({"database_url": "postgresql:///db", "max_concurrency": 0}, "SharedThrottle.max_concurrency must"),
    ],
)
def test_what_is_set_up_wrong_is_refused(arguments: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        SharedThrottle(**arguments)  # type: ignore[arg-type] # on purpose
    assert "sk-test" not in str(caught.value)


# Clocks.


async def test_a_database_whose_clock_is_set_back_goes_on_from_where_it_was(
    database_url: str, postgres_server: Postgres
) -> None:
    async with SharedThrottle(database_url, requests_per_minute=2) as throttle:
        await pass_through(throttle)
        await until(lambda: gate_of(throttle).in_flight == 0)
        await asyncio.sleep(0.1)
        postgres_server.execute("UPDATE siliconflow_voice.throttle_gates SET at = at + 3600", database_url)
        for _ in range(2):
            await pass_through(throttle)
        assert postgres_server.execute(
            "SELECT shift > 3590 FROM siliconflow_voice.throttle_gates", database_url
        ) == [(True,)]
        assert throttle.expected_wait("model") == pytest.approx(60, abs=2)


async def test_what_was_seen_long_ago_is_no_reason_to_fail_at_once(database_url: str) -> None:
    async with SharedThrottle(database_url, requests_per_minute=1) as throttle:
        await pass_through(throttle)
        gate = gate_of(throttle)
        await until(lambda: gate.is_idle() or gate.agent.is_idle)  # type: ignore[attr-defined] # it is its own
        assert gate.line().seconds > 50
        assert gate.line().at_least == 0


class SkewedLoop(asyncio.SelectorEventLoop):
    """One whose clock is an hour ahead."""

    def time(self) -> float:
        return super().time() + 3600


async def test_a_clock_that_is_an_hour_off_changes_nothing(postgres_server: Postgres) -> None:
    url = postgres_server.create()
    settings = {"requests_per_minute": 30, "window": 0.5}

    async def skewed() -> int:
        async with SharedThrottle(url, **settings) as throttle:  # type: ignore[arg-type] # they are its own
            return (await compete((throttle, 20), seconds=2.0)).total()

    made: list[int] = []

    def run() -> None:
        with asyncio.Runner(loop_factory=SkewedLoop) as runner:
            made.append(runner.run(skewed()))

    thread = threading.Thread(target=run)
    thread.start()
    async with SharedThrottle(url, **settings) as throttle:  # type: ignore[arg-type] # they are its own
        made.append((await compete((throttle, 20), seconds=2.0)).total())
    await asyncio.to_thread(thread.join)
    assert sum(made) <= 30 * 6
    assert min(made) > 30
