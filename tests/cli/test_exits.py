from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.terminal import bulk, expected, json_lines, names, run, started, stuck_after, until, voices

from siliconflow_voice import JournalError, SiliconFlowError
from siliconflow_voice.cli.exits import Exit, Interruption
from siliconflow_voice.emulator import Emulator, Fault

Captured = pytest.CaptureFixture[str]
BOTH = [signal.SIGINT, signal.SIGTERM]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Make sure that all handlers are as before."""
    before = {number: signal.getsignal(number) for number in BOTH}
    yield
    assert {number: signal.getsignal(number) for number in BOTH} == before


async def interrupted(interruption: Interruption, *numbers: int) -> str:
    """Send signals to something that would last; say how it ended."""
    with interruption.at_signals():
        for number in numbers:
            signal.raise_signal(number)
        with interruption.of_this_task():
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return f"went on after {interruption.signal}"


@pytest.mark.parametrize("number", BOTH)
async def test_a_signal_ends_what_is_to_be_ended_and_the_rest_goes_on(number: int) -> None:
    assert await interrupted(Interruption(), number) == f"went on after {int(number)}"


async def test_of_several_signals_the_latest_counts() -> None:
    assert await interrupted(Interruption(), *BOTH, *BOTH) == "went on after 15"


async def test_a_signal_afterwards_ends_nothing() -> None:
    interruption = Interruption()
    with interruption.at_signals():
        with interruption.of_this_task():
            pass
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert interruption.signal == signal.SIGINT


async def test_one_that_came_before_ends_it_at_its_first_step() -> None:
    interruption = Interruption()
    interruption.end()
    steps = ["before"]
    with interruption.of_this_task():
        steps.append("within")
        await asyncio.sleep(0)
        steps.append("too far")
    assert steps == ["before", "within"]


async def test_somebody_elses_cancellation_is_theirs() -> None:
    async def last() -> None:
        with Interruption().of_this_task():
            await asyncio.Event().wait()

    task = asyncio.create_task(last())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_left_of_its_cancellations() -> None:
    task = asyncio.current_task()
    assert task is not None
    await interrupted(Interruption(), signal.SIGINT, signal.SIGINT, signal.SIGINT)
    assert task.cancelling() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_run_that_is_interrupted_sums_up_and_the_next_one_goes_on(
    *, tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, number: int, status: int
) -> None:
    manifest, results = voices(tmp_path, 40), tmp_path / "r.jsonl"
    stuck_after(emulator, 6)
    interrupting = asyncio.create_task(
        until(lambda: len(emulator.voices) > 6 and results.with_name("r.jsonl.part").exists())
    )
    interrupting.add_done_callback(lambda _: signal.raise_signal(number))
    assert await bulk(manifest, results=results, report=tmp_path / "r.html") == status
    out = capsys.readouterr().out
    assert f"Stopped early: interrupted by {signal.Signals(number).name}\n" in out
    assert (tmp_path / "r.html").exists()
    told = len(json_lines(results.read_text(encoding="utf-8")))
    assert f"{40 - told:>9}  left\n" in out
    emulator.clear_faults()
    assert await bulk(manifest, settle=0.0) == 0
    assert names(emulator) == expected(40)


@posix
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_a_process_that_gets_a_signal_ends_cleanly_and_the_next_one_goes_on(
    tmp_path: Path, emulator: Emulator, address: str, number: int, status: int
) -> None:
    manifest = voices(tmp_path, 40)
    stuck_after(emulator, 6)
    async with started("bulk", manifest, "--settle", "0") as command:
        await until(lambda: len(emulator.voices) > 6)
        command.signal(number)
        ended = await command.ended()
    assert (ended.status, ended.err) == (status, "")
    assert f"Stopped early: interrupted by {signal.Signals(number).name}\n" in ended.out
    emulator.clear_faults()
    again = await run("bulk", manifest, "--settle", "0", "--json")
    assert (again.status, again.err) == (0, "")
    assert names(emulator) == expected(40)


@posix
async def test_a_process_that_is_killed_is_waited_for_by_the_next_one_which_says_so(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest = voices(tmp_path, 40)
    stuck_after(emulator, 6)
    async with started("bulk", manifest) as command:
        await until(lambda: len(emulator.voices) > 6)
        command.signal(signal.SIGKILL)
        assert (await command.ended()).status == -signal.SIGKILL
    emulator.clear_faults()
    again = await run("bulk", manifest, "--settle", "0.5", "--json")
    assert (again.status, again.err, names(emulator)) == (0, "", expected(40))
    # A machine that is busy may take longer than that to begin the next one.
    settles = [event for event in json_lines(again.out) if event["event"] == "settle"]
    assert [event for event in settles if not 0 < event["seconds"] <= 0.5] == []


@posix
async def test_a_process_that_gets_many_signals_ends_cleanly(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    stuck_after(emulator, 0)
    async with started("bulk", voices(tmp_path, 40)) as command:
        await until(lambda: len(emulator.voices) > 0)
        for _ in range(3):
            command.signal(signal.SIGINT)
        ended = await command.ended()
    # The last may come when Python has given up its handlers, and kills it then.
    assert (ended.status in {130, -signal.SIGINT}, ended.err) == (True, "")


@posix
async def test_a_process_that_ignores_a_signal_goes_on_to_do_so(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest = voices(tmp_path, 5)
    emulator.add_fault(Fault.delay(0.2))
    program = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from siliconflow_voice.cli import main; sys.exit(main())"
    )
    async with started("bulk", manifest, python=("-c", program)) as command:
        await until(lambda: len(emulator.voices) > 0)
        command.signal(signal.SIGHUP)
        ended = await command.ended()
    assert (ended.status, names(emulator)) == (0, expected(5))


def test_all_done_is_zero() -> None:
    assert Exit.of(failed=0, error=None, signal=None) == Exit(0)


def test_some_that_failed_are_one() -> None:
    assert Exit.of(failed=3, error=None, signal=None) == Exit(1)


def test_what_stopped_it_is_three_and_told_with_its_notes() -> None:
    error = JournalError("The disk is full")
    error.add_note("narrator was uploaded")
    ending = Exit.of(failed=3, error=error, signal=None)
    assert ending == Exit(3, "The disk is full. narrator was uploaded", resumable=False)


def test_what_has_nothing_to_do_with_the_journal_can_be_gone_on_from() -> None:
    ending = Exit.of(failed=0, error=SiliconFlowError("No connection"), signal=None)
    assert ending == Exit(3, "No connection.", resumable=True)


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGINT, 130, "interrupted by SIGINT"), (signal.SIGTERM, 143, "interrupted by SIGTERM")],
)
def test_a_signal_goes_before_all_else(number: int, status: int, reason: str) -> None:
    ending = Exit.of(failed=3, error=JournalError("full"), signal=number)
    assert ending == Exit(status, reason)
