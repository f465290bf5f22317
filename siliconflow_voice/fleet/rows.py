"""The shared throttle's tables: a row for each gate, under whose lock rounds are made, and its processes.

All times are the database's, in seconds, kept from going back if its clock does.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import asdict, astuple, field, fields, frozen

from siliconflow_voice.database import Connection
from siliconflow_voice.fleet.round import GRACE, Entry, Played, Rival, Rivals
from siliconflow_voice.throttle.limiter import Admission, Limiter
from siliconflow_voice.throttle.traffic import Permit

__all__ = ["MIGRATIONS", "Gates", "Key", "Locked", "Seen", "channel"]

# A migration that comes with another shape of the limiter's state sets it to NULL: it is learned anew.
MIGRATIONS = (
    """
CREATE TABLE siliconflow_voice.throttle_gates (
    id integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    account text NOT NULL,
    address text NOT NULL,
    model text NOT NULL,
    state bytea,
    shift float8 NOT NULL DEFAULT 0,
    at float8 NOT NULL DEFAULT 0,
    floor float8 NOT NULL DEFAULT 0,
    leader text,
    PRIMARY KEY (account, address, model)
) WITH (fillfactor = 20);
CREATE TABLE siliconflow_voice.throttle_processes (
    gate integer NOT NULL,
    process text NOT NULL,
    born_at float8 NOT NULL,
    number bigint NOT NULL,
    served float8 NOT NULL,
    in_flight integer NOT NULL,
    tokens float8 NOT NULL,
    waiting integer NOT NULL,
    wants float8 NOT NULL,
    retry boolean NOT NULL,
    expects_at float8 NOT NULL,
    dies_at float8 NOT NULL,
    held_back_until float8 NOT NULL,
    returns_by float8 NOT NULL,
    called_at float8,
    granted text NOT NULL,
    PRIMARY KEY (gate, process)
) WITH (fillfactor = 20);
""",
)

# A process that is stopped while it has the lock loses it.
_LOCK = """
SELECT id, state, shift, at, floor, leader, set_config('idle_in_transaction_session_timeout', '5s', true)
FROM siliconflow_voice.throttle_gates
WHERE account = %(account)s AND address = %(address)s AND model = %(model)s FOR UPDATE
"""
_CREATE = """
INSERT INTO siliconflow_voice.throttle_gates (account, address, model)
VALUES (%(account)s, %(address)s, %(model)s) ON CONFLICT DO NOTHING
"""
# After the lock, so that the time and the processes are those that the last round left.
_LOOK = """
WITH clock AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::float8 AS clock),
moment AS MATERIALIZED (SELECT greatest(clock + %(shift)s, %(at)s) AS now, clock FROM clock),
dead AS (
    DELETE FROM siliconflow_voice.throttle_processes USING moment
    WHERE gate = %(gate)s AND process <> %(process)s AND dies_at < now
    RETURNING in_flight, tokens
),
others AS MATERIALIZED (
    SELECT throttle_processes.* FROM siliconflow_voice.throttle_processes, moment
    WHERE gate = %(gate)s AND process <> %(process)s AND dies_at >= now
),
rivals AS MATERIALIZED (
    SELECT process, served, wants, retry, expects_at, waiting FROM others, moment
    WHERE waiting > 0 AND (called_at IS NULL OR called_at > now - %(grace)s)
)
SELECT now, now - clock,
    (SELECT coalesce(sum(in_flight), 0)::integer FROM dead), (SELECT coalesce(sum(tokens), 0) FROM dead),
    (SELECT row_to_json(throttle_processes) FROM siliconflow_voice.throttle_processes
        WHERE gate = %(gate)s AND process = %(process)s),
    (SELECT min(served) FROM others
        WHERE returns_by > now OR waiting > 0 AND (called_at IS NULL OR called_at > now - %(grace)s)),
    (SELECT row_to_json(rivals) FROM rivals ORDER BY served, process LIMIT 1),
    (SELECT row_to_json(rivals) FROM rivals WHERE process = %(leader)s),
    (SELECT coalesce(array_agg(waiting), '{}') FROM rivals), (SELECT count(*) FROM others)
FROM moment
"""
_STORE = """
WITH gate AS (
    UPDATE siliconflow_voice.throttle_gates
    SET state = %(state)b, shift = %(shift)s, at = %(now)s, floor = %(floor)s, leader = %(leader)s
    WHERE id = %(gate)s
), called AS (
    UPDATE siliconflow_voice.throttle_processes SET called_at = coalesce(called_at, %(now)s)
    WHERE gate = %(gate)s AND process = %(calls)s
), own AS (
"""
_KEEP = """
    INSERT INTO siliconflow_voice.throttle_processes
    VALUES (%(gate)s, %(process)s, %(born_at)s, %(number)s, %(served)s, %(in_flight)s, %(tokens)s,
        %(waiting)s, %(wants)s, %(retry)s, %(expects_at)s, %(dies_at)s,
        %(held_back_until)s, %(returns_by)s, NULL, %(granted)s)
    ON CONFLICT (gate, process) DO UPDATE SET
        (born_at, number, served, in_flight, tokens, waiting, wants, retry, expects_at, dies_at,
            held_back_until, returns_by, called_at, granted)
        = (excluded.born_at, excluded.number, excluded.served, excluded.in_flight, excluded.tokens,
            excluded.waiting, excluded.wants, excluded.retry, excluded.expects_at, excluded.dies_at,
            excluded.held_back_until, excluded.returns_by, NULL, excluded.granted)
"""
_GO = "DELETE FROM siliconflow_voice.throttle_processes WHERE gate = %(gate)s AND process = %(process)s"
_CALL = "SELECT pg_notify(%(channel)s, %(payload)s)"


@frozen
class Key:
    """What has a gate of its own."""

    account: str
    address: str
    model: str


@frozen
class Locked:
    """A gate's row, which no other process changes until the transaction ends."""

    id: int
    state: bytes | None = field(repr=False)
    shift: float
    at: float
    floor: float
    leader: str | None

    def load(
        self,
        limiter: Limiter,
        limiters: Callable[[], Limiter],
        learned: Mapping[str, Any] | None,
        now: float,
    ) -> None:
        """Have a limiter go on from the row.

        Args:
            limiter: It.
            limiters: Makes one that has learned nothing.
            learned: What is known if there is nothing in the row.
            now: The time.
        """
        if self.state is not None:
            limiter.load(json.loads(zlib.decompress(self.state)), 0.0)
            return
        try:
            limiter.load(limiters().state(now) if learned is None else learned, now)
        except KeyError:
            limiter.load(limiters().state(now), now)  # another version's: it is learned again
        limiter.abandon(now)


@frozen
class Seen:
    """What a process sees under the lock."""

    now: float
    shift: float
    lost: tuple[int, float]
    """Requests and tokens that dead processes held."""
    entry: Entry | None
    granted: list[Admission]
    """What the entry's round granted."""
    rivals: Rivals


@frozen
class Gates:
    """The statements of one process."""

    process: str

    async def lock(self, connection: Connection, key: Key) -> Locked:
        """Lock a gate's row, which is made if there is none."""
        while True:
            row = await (await connection.execute(_LOCK, asdict(key))).fetchone()
            if row is not None:
                return Locked(*row[:-1])
            await connection.execute(_CREATE, asdict(key))

    async def look(self, connection: Connection, gate: Locked) -> Seen:
        """Read the time and the processes, and remove the dead ones."""
        facts = {
            "gate": gate.id,
            "process": self.process,
            "shift": gate.shift,
            "at": gate.at,
            "leader": gate.leader,
            "grace": GRACE,
        }
        row = await (await connection.execute(_LOOK, facts)).fetchone()
        assert row is not None  # noqa: S101 - a SELECT of a single row
        now, shift, requests, tokens, own, few, first, leader, waiting, processes = row
        rivals = Rivals(few, _rival(first), _rival(leader), waiting, processes)
        entry, granted = None, []
        if own is not None:
            entry = Entry(**{each.name: own[each.name] for each in fields(Entry)})
            granted = _loaded(own["granted"])
        return Seen(now, shift, (requests, tokens), entry, granted, rivals)

    async def store(
        self,
        connection: Connection,
        gate: Locked,
        seen: Seen,
        limiter: Limiter,
        *,
        entry: Entry | None,
        played: Played,
    ) -> None:
        """Write what comes of a round.

        Args:
            connection: In a transaction.
            gate: What was locked.
            seen: What was seen.
            limiter: What was learned.
            entry: The process's own; None if it goes.
            played: What came of it.
        """
        facts: dict[str, Any] = {
            "gate": gate.id,
            "process": self.process,
            "state": zlib.compress(json.dumps(limiter.state(0.0)).encode(), 1),
            "shift": seen.shift,
            "now": seen.now,
            "floor": played.floor,
            "leader": played.leader or (self.process if entry is not None and entry.waiting else None),
            "calls": played.calls,
        }
        own = _GO
        if entry is not None:
            own = _KEEP
            facts |= asdict(entry)
            facts["granted"] = _dumped(played.granted)
        end = "SELECT 1"
        if played.calls is not None:
            end = _CALL
            facts |= {"channel": channel(played.calls), "payload": str(gate.id)}
        await connection.execute(f"{_STORE}{own}) {end}".encode(), facts)


def channel(process: str) -> str:
    """Return the channel on which a process is called."""
    return f"siliconflow_voice_{process}"


def _rival(facts: dict[str, Any] | None) -> Rival | None:
    if facts is None:
        return None
    return Rival(facts["process"], facts["served"], facts["wants"], facts["retry"], facts["expects_at"])


def _dumped(granted: Sequence[Admission]) -> str:
    return json.dumps([[*astuple(each.requests), *astuple(each.tokens), each.overload] for each in granted])


def _loaded(granted: str) -> list[Admission]:
    return [Admission(Permit(*facts[:4]), Permit(*facts[4:8]), facts[8]) for facts in json.loads(granted)]
