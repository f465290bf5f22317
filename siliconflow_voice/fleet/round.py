"""One round of a process at a shared gate: its answers in, its next calls through. Pure.

Of the processes that wait, one leads: it passes until it is a slice ahead of the one that was served least.
Then that one leads. So they share what there is equally, and not each permit costs each of them a round. A
process whose calls are all under way, and which the limit held back a moment ago, is left its share as well:
else whichever has more calls at once would take what a new window brings.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from siliconflow_voice.throttle.limiter import Admission, Limiter, Verdict

__all__ = ["GRACE", "Ask", "End", "Entry", "Played", "Rival", "Rivals", "play"]

# Seconds that a process which leads has to come, before it is passed over.
GRACE = 0.25
# Seconds of the limit by which one process may be ahead of another.
SLICE = 0.1
# Of a window, for which a limit counts as short once there is room again.
SHORT = 0.5
# Seconds after which a process comes by itself, while it waits or has requests under way; and for each other
# process beside it, so that a thousand that wait don't keep the database busy by that alone.
HEARTBEAT, APART = 2.0, 0.01
# Heartbeats that are missed before what a process held is taken from it.
MISSED = 3
# A process that comes by itself this much later need not be called.
_SOON = 0.01


@frozen
class Ask:
    """A call that wants to pass."""

    tokens: float
    retry: bool


@frozen
class End:
    """What became of a request."""

    admission: Admission
    verdict: Verdict | None
    """None if it was not sent."""
    retry_after: float | None
    at: float


@define
class Entry:
    """What is known of a process at a gate."""

    born_at: float
    """Which of its entries it is: permits of an earlier one were taken from it."""
    number: int = 0
    """Of its last round."""
    served: float = 0.0
    """What it was let pass, in requests or tokens, since its first; not less than those that waited had."""
    in_flight: int = 0
    tokens: float = 0.0
    """Of what is in flight."""
    waiting: int = 0
    wants: float = 1.0
    """Tokens of the first that waits."""
    retry: bool = False
    """Whether that was turned away because of an overload before."""
    expects_at: float = 0.0
    """When it comes again by itself."""
    dies_at: float = 0.0
    """When it is taken to be dead, if it has not come."""
    held_back_until: float = 0.0
    """Until when a limit counts as short, as it held back the process."""
    returns_by: float = 0.0
    """When its requests should have been answered: until then it is left its share."""


@frozen
class Rival:
    """Another process that waits."""

    process: str
    served: float
    wants: float
    retry: bool
    expects_at: float


@frozen
class Rivals:
    """The other processes, but for those that didn't come when they were called."""

    few: float | None = None
    """What the least served was served, of those that wait and those that will be back."""
    first: Rival | None = None
    """The least served of those that wait."""
    leader: Rival | None = None
    """The one that led, if it still waits."""
    waiting: Sequence[int] = ()
    """How many calls each has waiting."""
    processes: int = 0
    """How many others there are, waiting or not."""


@define
class Played:
    """What comes of a round."""

    granted: list[Admission] = field(factory=list[Admission])
    floor: float = 0.0
    """What the least served of those that wait was served: a process that begins to wait begins there."""
    leader: str | None = None
    """The process that leads: its name, or None for the one whose round it was, or if none waits."""
    calls: str | None = None
    """The process that should come, as it can pass earlier than it knows."""
    come_at: float | None = None
    """When to come again; None if that is not needed."""


def play(
    limiter: Limiter,
    now: float,
    entry: Entry,
    rivals: Rivals,
    *,
    asks: Sequence[Ask],
    ends: Sequence[End],
    waiting: int,
    floor: float,
    leaving: bool = False,
) -> Played:
    """Apply the answers, and admit what may pass; limiter and entry are changed.

    Args:
        limiter: What the account may be sent.
        now: The database's time.
        entry: The process's own.
        rivals: The others.
        asks: The first of its calls that wait.
        ends: What became of its requests since the last round.
        waiting: How many of its calls wait, those that ask included.
        floor: What the last round returned for it.
        leaving: Whether the process goes, and learns of no further answer.
    """
    for end in ends:
        _end(limiter, entry, end)
    if leaving:
        limiter.lose(now, entry.in_flight, entry.tokens)
        entry.in_flight = 0
    if not entry.waiting:
        entry.served = max(entry.served, floor)
    played = Played(floor=floor)
    entry.waiting = waiting
    for ask in asks:
        entry.wants, entry.retry = ask.tokens, ask.retry
        ready_at = limiter.ready_at(now, ask.tokens, retry=ask.retry)
        if ready_at is not None and ready_at > now and _limit(limiter) is not None:
            entry.held_back_until = ready_at + limiter.requests.window * SHORT
        if ready_at != now or _next(limiter, entry, rivals) is not entry:
            break
        played.floor = max(played.floor, _few(entry, rivals))
        played.granted.append(limiter.admit(now, ask.tokens, retry=ask.retry))
        entry.in_flight += 1
        entry.tokens += ask.tokens
        entry.served += _price(limiter, ask.tokens)
        entry.waiting -= 1
    _go_on(limiter, now, entry, rivals, played)
    return played


def _end(limiter: Limiter, entry: Entry, end: End) -> None:
    tokens = end.admission.tokens.cost
    if end.verdict is None:
        entry.served -= _price(limiter, tokens)
        limiter.refund(end.admission)
    else:
        limiter.answered(end.at, end.admission, end.verdict, retry_after=end.retry_after)
    entry.in_flight -= 1
    entry.tokens = entry.tokens - tokens if entry.in_flight else 0.0


def _go_on(limiter: Limiter, now: float, entry: Entry, rivals: Rivals, played: Played) -> None:
    """Decide which process comes next, and when this one does."""
    heartbeat = HEARTBEAT + APART * rivals.processes
    latency = 2 * limiter.requests.traffic.latency + GRACE
    comes_at = now + heartbeat
    leader = _next(limiter, entry, rivals)
    if leader is None:
        comes_at = min(comes_at, now + latency)
    else:
        ready_at = limiter.ready_at(now, leader.wants, retry=leader.retry)
        if isinstance(leader, Rival):
            played.leader = leader.process
            overdue = leader.expects_at < now - GRACE
            if ready_at is not None and (overdue or ready_at < leader.expects_at - _SOON):
                played.calls = leader.process
        if ready_at is not None:
            comes_at = min(comes_at, ready_at + (0 if leader is entry else GRACE))
    entry.expects_at = comes_at
    entry.dies_at = now + MISSED * heartbeat
    entry.returns_by = now + latency if entry.in_flight and entry.held_back_until > now else 0.0
    if entry.waiting:
        played.come_at = comes_at
    elif entry.in_flight:
        played.come_at = now + heartbeat


def _next(limiter: Limiter, entry: Entry, rivals: Rivals) -> Entry | Rival | None:
    """Return the process that is to pass next: the one whose round it is, another, or None if none may."""
    if not entry.waiting and rivals.first is None:
        return None
    few = _few(entry, rivals)
    ahead = max(_slice(limiter), _price(limiter, entry.wants))
    leader: Entry | Rival | None = rivals.leader
    if leader is None and entry.waiting:
        leader = entry
    if leader is None or leader.served - few >= ahead:
        leader = rivals.first
        if leader is None or (entry.waiting and entry.served <= leader.served):
            leader = entry
    return leader if leader.served - few < ahead else None


def _few(entry: Entry, rivals: Rivals) -> float:
    if rivals.few is None:
        return entry.served
    return min(entry.served, rivals.few) if entry.waiting else rivals.few


def _price(limiter: Limiter, tokens: float) -> float:
    """Return what a request takes of the limit, in requests; or in tokens, if they alone are limited."""
    requests, limit = limiter.requests.limit, limiter.tokens.limit
    if limit is None:
        return 1.0
    return tokens if requests is None else max(1.0, tokens * requests / limit)


def _slice(limiter: Limiter) -> float:
    limit = _limit(limiter)
    return limiter.overload.capacity / 4 if limit is None else limit / limiter.requests.window * SLICE


def _limit(limiter: Limiter) -> float | None:
    return limiter.requests.limit or limiter.tokens.limit
