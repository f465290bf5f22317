from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from siliconflow_voice.fleet import round as rounds
from siliconflow_voice.fleet.round import GRACE, HEARTBEAT, Ask, End, Entry, Played, Rival, Rivals, play
from siliconflow_voice.throttle.limiter import Admission, Limiter, Verdict
from siliconflow_voice.throttle.opening import Opening
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace

NOW = 1_000_000.0


def limiter(*, requests: int | None = None, tokens: int | None = None, capacity: int = 100) -> Limiter:
    return Limiter(Pace(60.0, requests), Pace(60.0, tokens), Overload(capacity))


def asks(count: int, tokens: float = 1.0) -> list[Ask]:
    return [Ask(tokens, retry=False)] * count


def rival(served: float, *, expects_at: float = NOW + HEARTBEAT) -> Rival:
    return Rival("other", served, 1.0, False, expects_at)


def waiting_beside(other: Rival, *, leads: bool = False) -> Rivals:
    return Rivals(other.served, other, other if leads else None, [5], 1)


def played(
    each: Limiter,
    entry: Entry,
    rivals: Rivals | None = None,
    *,
    asking: Sequence[Ask] = (),
    ends: Sequence[End] = (),
    waiting: int | None = None,
    now: float = NOW,
    leaving: bool = False,
) -> Played:
    return play(
        each,
        now,
        entry,
        rivals or Rivals(),
        asks=asking,
        ends=ends,
        waiting=len(asking) if waiting is None else waiting,
        floor=0.0,
        leaving=leaving,
    )


def test_all_pass_that_may() -> None:
    entry = Entry(NOW)
    result = played(limiter(requests=5), entry, asking=asks(8, tokens=3.0))
    assert (len(result.granted), entry.in_flight, entry.tokens, entry.waiting) == (5, 5, 15.0, 3)
    assert (result.calls, result.leader, result.come_at) == (None, None, NOW + HEARTBEAT)


def test_one_that_knows_when_there_is_room_comes_then() -> None:
    each, entry = limiter(requests=2), Entry(NOW)
    first = played(each, entry, asking=asks(2))
    ends = [End(admission, Verdict.ACCEPTED, None, NOW + 0.1) for admission in first.granted]
    result = played(each, entry, asking=asks(1), ends=ends, now=NOW + 59.0)
    assert result.come_at == pytest.approx(NOW + 60.1, abs=0.6)
    assert entry.held_back_until == result.come_at + 30  # type: ignore[operator] # it is a number


def test_one_without_calls_need_not_come() -> None:
    entry = Entry(NOW)
    assert played(limiter(), entry).come_at is None


def test_one_that_more_wait_for_than_it_asked_for_comes_again_at_once() -> None:
    entry = Entry(NOW)
    assert played(limiter(), entry, asking=asks(3), waiting=10).come_at == NOW


def test_what_was_not_sent_costs_nothing() -> None:
    each, entry = limiter(requests=5), Entry(NOW)
    (admission,) = played(each, entry, asking=asks(1, tokens=7.0)).granted
    played(each, entry, ends=[End(admission, None, None, NOW + 1)])
    assert (entry.served, entry.in_flight, entry.tokens) == (0.0, 0, 0.0)
    assert (each.requests.traffic.used, each.tokens.traffic.used, each.in_flight) == (0.0, 0.0, 0)


def test_what_one_that_leaves_holds_counts_as_sent() -> None:
    each, entry = limiter(requests=5), Entry(NOW)
    played(each, entry, asking=asks(3))
    played(each, entry, leaving=True)
    assert (each.in_flight, each.requests.traffic.used) == (0, 3)


# Between processes.


def test_one_that_is_far_ahead_yields_and_calls_the_other() -> None:
    entry = Entry(NOW, served=50.0, waiting=1)
    result = played(limiter(requests=60), entry, waiting_beside(rival(10.0)), asking=asks(3))
    assert (result.granted, result.calls, result.leader) == ([], "other", "other")
    assert result.come_at == NOW + GRACE


def test_one_that_was_served_less_goes_first() -> None:
    entry = Entry(NOW, served=10.0, waiting=1)
    result = played(limiter(requests=60), entry, waiting_beside(rival(50.0), leads=True), asking=asks(3))
    assert (len(result.granted), result.leader) == (3, "other")  # none of its own waits any more


def test_the_one_that_leads_goes_on_until_it_is_a_slice_ahead() -> None:
    each, entry = limiter(requests=6000), Entry(NOW, served=20.0, waiting=1)
    result = played(each, entry, waiting_beside(rival(20.0)), asking=asks(40))
    assert len(result.granted) == 10  # a tenth of a second of the limit
    assert (result.leader, result.calls) == ("other", "other")


def test_the_others_leave_it_to_the_one_that_leads() -> None:
    each, entry = limiter(requests=6000), Entry(NOW, served=20.0, waiting=1)
    result = played(each, entry, waiting_beside(rival(22.0), leads=True), asking=asks(40))
    assert (result.granted, result.leader, result.calls) == ([], "other", "other")


def test_one_that_comes_by_itself_in_time_is_not_called() -> None:
    each, entry = limiter(requests=60), Entry(NOW, served=50.0, waiting=1)
    beside = waiting_beside(rival(10.0, expects_at=NOW))
    assert played(each, entry, beside, asking=asks(1)).calls is None


def test_one_that_should_have_come_long_ago_is_called() -> None:
    each, entry = limiter(requests=60), Entry(NOW, served=50.0, waiting=1)
    beside = waiting_beside(rival(10.0, expects_at=NOW - 1))
    assert played(each, entry, beside, asking=asks(1)).calls == "other"


def test_an_answer_calls_one_that_waits_for_it() -> None:
    each, entry = limiter(capacity=1), Entry(NOW)
    (admission,) = played(each, entry, asking=asks(1)).granted
    beside = waiting_beside(rival(0.0))
    assert played(each, entry, beside).calls is None
    assert played(each, entry, beside, ends=[End(admission, Verdict.ACCEPTED, None, NOW)]).calls == "other"


def test_one_that_will_be_back_is_left_its_share() -> None:
    each, entry = limiter(requests=60), Entry(NOW, served=50.0, waiting=1)
    result = played(each, entry, Rivals(few=10.0), asking=asks(3))
    assert (result.granted, result.calls, result.come_at) == ([], None, NOW + GRACE)


def test_one_that_was_held_back_says_when_it_will_be_back() -> None:
    each, entry = limiter(requests=60), Entry(NOW, held_back_until=NOW + 10)
    played(each, entry, asking=asks(1))
    assert entry.returns_by == NOW + GRACE
    played(each, entry, now=NOW + 20)
    assert entry.returns_by == 0


def test_where_no_limit_is_known_nothing_is_kept_for_one_that_is_not_there() -> None:
    each, entry = limiter(), Entry(NOW)
    each.requests.phase = Opening(each.requests.traffic)  # eight at once, and more in a moment
    result = played(each, entry, asking=asks(20))
    assert (len(result.granted), entry.held_back_until) == (8, 0.0)


def test_one_that_comes_new_does_not_make_up_for_the_time_before() -> None:
    entry = Entry(NOW)
    play(
        limiter(),
        NOW,
        entry,
        waiting_beside(rival(500.0)),
        asks=asks(1),
        ends=[],
        waiting=1,
        floor=500.0,
    )
    assert entry.served == 501


@pytest.mark.parametrize(
    ("declared", "price"),
    [({}, 1.0), ({"requests": 60}, 1.0), ({"tokens": 600}, 20.0), ({"requests": 60, "tokens": 600}, 2.0)],
)
def test_a_request_is_priced_by_what_is_limited(declared: dict[str, int], price: float) -> None:
    entry = Entry(NOW)
    played(limiter(**declared), entry, asking=asks(1, tokens=20.0))
    assert entry.served == price


def test_many_processes_come_less_often() -> None:
    entry = Entry(NOW)
    result = played(limiter(), entry, Rivals(processes=1000), asking=asks(1))
    assert result.come_at == NOW + HEARTBEAT + 1000 * rounds.APART
    assert entry.dies_at > result.come_at


# A town of processes.


@define
class Process:
    """One that always has so many calls, each of which takes so long."""

    callers: int
    latency: float
    tokens: float
    entry: Entry
    comes_at: float = 0.0
    called_at: float | None = None
    under_way: list[tuple[float, Admission]] = field(factory=list[tuple[float, Admission]])
    passed: int = 0


@define
class Town:
    """Processes before one row, in virtual time."""

    limiter: Limiter
    processes: dict[str, Process]
    leader: str | None = None
    floor: float = 0.0
    made: Counter[str] = field(factory=Counter[str])

    def live(self, seconds: float) -> None:
        now = 0.0
        while True:
            name = min(self.processes, key=lambda name: self._next(self.processes[name]))
            at = self._next(self.processes[name])
            if at > seconds:
                return
            now = max(now, at) + 0.001
            self._round(name, now)

    def _next(self, process: Process) -> float:
        return min([process.comes_at, *(at for at, _ in process.under_way)])

    def _round(self, name: str, now: float) -> None:
        self.made[name] += 1
        process = self.processes[name]
        over = [each for each in process.under_way if each[0] <= now]
        process.under_way = [each for each in process.under_way if each[0] > now]
        waiting = process.callers - len(process.under_way)
        self.limiter.load(json.loads(json.dumps(self.limiter.state(0.0))), 0.0)
        result = play(
            self.limiter,
            now,
            process.entry,
            self._rivals(name, now),
            asks=asks(waiting, process.tokens),
            ends=[End(admission, Verdict.ACCEPTED, None, at) for at, admission in over],
            waiting=waiting,
            floor=self.floor,
        )
        self.floor, self.leader = result.floor, result.leader or (name if process.entry.waiting else None)
        process.under_way += [(now + process.latency, admission) for admission in result.granted]
        process.passed += len(result.granted)
        process.comes_at = float("inf") if result.come_at is None else max(result.come_at, now)
        process.called_at = None
        if result.calls is not None:
            called = self.processes[result.calls]
            called.comes_at = min(called.comes_at, now + 0.002)
            called.called_at = now if called.called_at is None else called.called_at

    def _rivals(self, name: str, now: float) -> Rivals:
        others = {
            other: each.entry
            for other, each in self.processes.items()
            if other != name and not (each.called_at is not None and each.called_at < now - GRACE)
        }
        waiting = [
            Rival(other, entry.served, entry.wants, entry.retry, entry.expects_at)
            for other, entry in others.items()
            if entry.waiting
        ]
        contending = [entry.served for entry in others.values() if entry.waiting or entry.returns_by > now]
        return Rivals(
            min(contending, default=None),
            min(waiting, key=lambda each: each.served, default=None),
            next((each for each in waiting if each.process == self.leader), None),
            [self.processes[each.process].entry.waiting for each in waiting],
            len(self.processes) - 1,
        )


process = st.builds(
    Process,
    callers=st.integers(4, 40),
    latency=st.floats(0.01, 0.5),
    tokens=st.just(1.0),
    entry=st.builds(Entry, born_at=st.just(0.0)),
)


@settings(deadline=None, max_examples=5)
@given(st.lists(process, min_size=2, max_size=5), st.integers(60, 300))
def test_all_that_have_calls_enough_get_the_same(processes: list[Process], limit: int) -> None:
    town = Town(
        limiter(requests=limit, capacity=1000),
        {str(number): evolve(each) for number, each in enumerate(processes)},
    )
    town.live(59.0)  # a first window, in which none was held back yet
    before = [each.passed for each in town.processes.values()]
    town.live(239.0)
    passed = [each.passed - first for each, first in zip(town.processes.values(), before, strict=True)]
    assert sum(passed) == 3 * limit
    assert max(passed) - min(passed) <= 0.1 * limit
    assert town.made.total() < 10 * (sum(passed) + sum(before)) + 1000
