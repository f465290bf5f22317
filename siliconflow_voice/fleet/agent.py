"""Makes a process's rounds at a gate, one at a time: what gathers meanwhile goes into the next."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen

from siliconflow_voice.database import Connection, Database, DatabaseError
from siliconflow_voice.errors import SiliconFlowError, ThrottleError
from siliconflow_voice.fleet.round import Ask, End, Entry, Played, play
from siliconflow_voice.fleet.rows import Gates, Key
from siliconflow_voice.throttle.limiter import Admission, Limiter, Verdict
from siliconflow_voice.throttle.line import Line, Waiter

__all__ = ["Agent"]

_logger = logging.getLogger(__name__)

# Seconds that an answer which changes nothing for others may wait for company.
_COMPANY = 0.05
# Seconds until answers are reported again to a database that was away.
_AGAIN = 1.0
# Seconds after which a database that doesn't answer is trouble.
_LONG = 2.0
# Seconds for which the last round is waited for.
_PARTING = 5.0


@frozen
class _Grant(Admission):
    """What a request holds."""

    born_at: float
    """Which of the process's entries holds it."""
    began_at: float
    """The loop's time."""


@frozen
class _Report:
    grant: _Grant
    verdict: Verdict | None
    retry_after: float | None
    ended_at: float
    """The loop's time."""


@frozen
class _Round:
    """What goes to the database at once; if it is not known to have arrived, the very same goes again."""

    number: int
    waiters: list[Waiter]
    reports: list[_Report]
    waiting: int
    leaving: bool
    began_at: float


@frozen
class _Result:
    born_at: float
    played: Played
    beside: list[int]
    gate: int


@define(eq=False)
class Agent:
    """What stands between a line and the row of its gate."""

    _key: Key
    _rows: Gates
    _database: Database
    _numbers: Iterator[int]
    """Of rounds: no two of a process's have the same."""
    _limiters: Callable[[], Limiter]
    _learned: Mapping[str, Any] | None
    """What is known of a gate that has no row yet."""
    limiter: Limiter = field(init=False)
    """As it was left by the last round."""
    line: Line = field(factory=Line, init=False)
    gate: int | None = field(default=None, init=False)
    """The number of the gate's row."""
    beside: list[int] = field(factory=list[int], init=False)
    """How many calls of each other process wait."""
    offset: float = field(default=0.0, init=False)
    """By how many seconds the database's clock is ahead of the loop's."""
    _held: int = field(default=0, init=False)
    """Requests of this process that are under way."""
    _born_at: float | None = field(default=None, init=False)
    _reports: list[_Report] = field(factory=list[_Report], init=False)
    _round: _Round | None = field(default=None, init=False)
    """The one under way, or which may have been made."""
    _blocked: Waiter | None = field(default=None, init=False)
    """The first in the line, if the last round knew it and did not let it pass."""
    _due_at: float = field(default=math.inf, init=False)
    """The loop's time of the next round."""
    _sooner: asyncio.Event = field(factory=asyncio.Event, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)
    _gone: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.limiter = self._limiters()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self._task is None

    @property
    def trouble(self) -> str | None:
        """What is the matter with the database, or None."""
        problem = self._database.problem
        if problem is None and self._round is not None and _now() - self._round.began_at > _LONG:
            problem = "it does not answer"
        return None if problem is None else self._database.address.unusable(problem)

    def come(self) -> None:
        """Make a round for those that wait, if there are any."""
        if self.line:  # pragma: no branch - another round may just have let them pass
            self._due(_now())

    def line_changed(self) -> None:
        """Make a round for the first in the line, unless the last one was made for it."""
        if self._closed:
            self._fail(math.inf, "The shared throttle is closed")
        elif self.line and self.line.first()[0] is not self._blocked:
            self._due(_now())

    def report(self, admission: Admission, verdict: Verdict | None, retry_after: float | None) -> None:
        """Have the database told what became of a request.

        Args:
            admission: What it held.
            verdict: What its end says; None if it was not sent.
            retry_after: Seconds for which the service asked.
        """
        assert isinstance(admission, _Grant)  # noqa: S101 - no other is handed out
        now = _now()
        if admission.born_at != self._born_at or self._gone:
            return  # it was taken from a process that was thought to be dead
        self._held -= 1
        self._reports.append(_Report(admission, verdict, retry_after, now))
        matters = verdict is not Verdict.ACCEPTED or self.line or self.beside
        self._due(now if matters else now + _COMPANY)

    async def close(self) -> None:
        """Report what is known, and leave: what is under way counts as sent, and no answer of it is told."""
        self._closed = True
        self._fail(math.inf, "The shared throttle was closed while a call waited for it")
        if self._born_at is None and self._task is None:
            return
        self._due(_now())
        assert self._task is not None  # noqa: S101 - it is due
        _, late = await asyncio.wait([self._task], timeout=_PARTING)
        for task in late:
            task.cancel()
            await asyncio.wait([task])

    def _due(self, at: float) -> None:
        """Have a round made at a time of the loop's, or before."""
        if at < self._due_at:
            self._due_at = at
            self._sooner.set()
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._has_work():
                if _now() >= self._due_at:
                    self._due_at = math.inf
                    await self._make_round()
                    continue
                self._sooner.clear()
                try:
                    async with asyncio.timeout_at(self._due_at):
                        await self._sooner.wait()
                except TimeoutError:
                    pass  # it is due
        except Exception as error:
            _logger.exception("The shared throttle failed")
            self._fail(math.inf, f"The shared throttle failed by a fault of its own ({error!r})")
        finally:
            self._task = None

    def _has_work(self) -> bool:
        if self._closed:
            return not self._gone
        return bool(self.line or self._reports or self._held or self._round)

    async def _make_round(self) -> None:
        if self._round is None:
            waiters = self.line.first(self.limiter.overload.capacity)
            reports, self._reports = self._reports, []
            number = next(self._numbers)
            self._round = _Round(number, waiters, reports, len(self.line), self._closed, _now())
        else:
            self._round = evolve(self._round, began_at=_now())
        made = self._round
        try:
            result = await self._database.transact(partial(self._transact, made))
        except DatabaseError as error:
            self._fail(made.began_at, self._database.address.unusable(str(error)))
            self._gone = self._closed
            self._due(_now() if self.line else _now() + _AGAIN)
        else:
            self._round = None
            self._gone = made.leaving
            self._apply(made, result)

    async def _transact(self, made: _Round, connection: Connection) -> _Result:
        """Make a round: it may be the second time."""
        gate = await self._rows.lock(connection, self._key)
        seen = await self._rows.look(connection, gate)
        entry, limiter = seen.entry, self.limiter
        self.offset = seen.now - _now()  # the limiter's times go by it
        gate.load(limiter, self._limiters, self._learned, seen.now)
        if entry is not None and entry.number == made.number:
            played = Played(seen.granted, come_at=seen.now)
            return _Result(entry.born_at, played, list(seen.rivals.waiting), gate.id)
        ends = [
            _end(report, self.offset)
            for report in made.reports
            if entry is not None and report.grant.born_at == entry.born_at
        ]
        entry = Entry(seen.now) if entry is None else entry
        entry.number = made.number
        limiter.lose(seen.now, *seen.lost)
        played = play(
            limiter,
            seen.now,
            entry,
            seen.rivals,
            asks=[Ask(waiter.tokens, waiter.retry) for waiter in made.waiters],
            ends=ends,
            waiting=made.waiting,
            floor=gate.floor,
            leaving=made.leaving,
        )
        left = None if made.leaving else entry
        await self._rows.store(connection, gate, seen, limiter, entry=left, played=played)
        return _Result(entry.born_at, played, list(seen.rivals.waiting), gate.id)

    def _apply(self, made: _Round, result: _Result) -> None:
        """Let pass those that were admitted, and plan the next round."""
        self.gate, self.beside = result.gate, result.beside
        if result.born_at != self._born_at:
            self._born_at, self._held, self._reports = result.born_at, 0, []
        granted, now = result.played.granted, _now()
        for waiter, admission in zip(made.waiters, granted, strict=False):
            grant = _Grant(admission.requests, admission.tokens, admission.overload, result.born_at, now)
            self._held += 1
            self.line.discard(waiter)
            if waiter.admitted.done():
                self.report(grant, None, None)
            else:
                waiter.admitted.set_result(grant)
        self._blocked = made.waiters[len(granted)] if len(granted) < len(made.waiters) else None
        if result.played.come_at is not None:
            self._due(result.played.come_at - self.offset)
        self.line_changed()

    def _fail(self, since: float, why: str) -> None:
        """Fail the calls that have waited since a time of the loop's, or before."""
        for waiter in self.line.before(None):
            if waiter.since <= since and not waiter.admitted.done():
                waiter.admitted.set_exception(_unsent(why))
                self.line.discard(waiter)


def _unsent(why: str) -> SiliconFlowError:
    return ThrottleError(f"{why}; nothing was sent")


def _end(report: _Report, offset: float) -> End:
    """Return what is learned from a report, in the database's time."""
    grant = report.grant
    ended_at = max(report.ended_at + offset, grant.requests.sent_at)
    sent_at = ended_at - (report.ended_at - grant.began_at)
    admission = Admission(
        evolve(grant.requests, sent_at=sent_at), evolve(grant.tokens, sent_at=sent_at), grant.overload
    )
    return End(admission, report.verdict, report.retry_after, ended_at)


def _now() -> float:
    return asyncio.get_running_loop().time()
