"""What a journal keeps of uploads and of its last run, in SQLite: every statement, for one thread alone."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import Factory, define, field, fields, frozen

from siliconflow_voice.bulk.journal_file import Files, check_files, connect, journal_errors
from siliconflow_voice.errors import JournalError

__all__ = ["BEAT", "Entry", "LastRun", "Record", "State", "Store"]

BEAT = 1.0
"""Seconds between two records of a run that goes on."""

State: TypeAlias = Literal["pending", "unknown", "uploaded", "recovered", "failed"]

_CREATE = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    audio TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    custom_name TEXT NOT NULL,
    text TEXT NOT NULL,
    uri TEXT,
    error TEXT,
    trace_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    at REAL NOT NULL
);
CREATE INDEX unknown ON uploads (id) WHERE state = 'unknown';
"""
_COLUMNS = "key, state, audio, sha256, model, custom_name, text, uri, error, trace_id, attempts, at"
_UPSERT = """
INSERT INTO uploads (key, state, audio, sha256, model, custom_name, text, error, trace_id, attempts, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, audio = excluded.audio, error = excluded.error,
    trace_id = excluded.trace_id, attempts = excluded.attempts, at = excluded.at
WHERE uploads.uri IS NULL
"""


# By name, or by recording where the text is another. First which of these there are several of: they are few,
# and to sort all rows takes long.
_SUPERSEDED = f"""
WITH
    names AS (
        SELECT model, custom_name FROM uploads WHERE uri IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1
    ),
    recordings AS (
        SELECT model, audio, sha256 FROM uploads WHERE uri IS NOT NULL GROUP BY 1, 2, 3
        HAVING min(text) != max(text)
    ),
    voices AS (
        SELECT * FROM uploads WHERE uri IS NOT NULL AND (
            (model, custom_name) IN names OR (model, audio, sha256) IN recordings
        )
    )
SELECT id, {_COLUMNS}, CASE WHEN newest != uri THEN newest ELSE corrected END FROM (
    SELECT
        *,
        first_value(uri) OVER by_name AS newest,
        first_value(uri) OVER by_audio AS corrected,
        first_value(text) OVER by_audio AS corrected_text
    FROM voices
    WINDOW
        by_name AS (PARTITION BY model, custom_name ORDER BY at DESC, id DESC),
        by_audio AS (PARTITION BY model, audio, sha256 ORDER BY at DESC, id DESC)
)
WHERE id > ? AND (newest != uri OR corrected_text != text) ORDER BY id LIMIT ?
"""  # noqa: S608 - our own names

# SQLite keeps any value in any column: only a damaged or a forged file has others than these.
_WRONG = """
SELECT id FROM uploads WHERE typeof(key) != 'blob'
    OR state NOT IN ('pending', 'unknown', 'uploaded', 'recovered', 'failed')
    OR typeof(audio) != 'text' OR typeof(sha256) != 'text' OR typeof(model) != 'text'
    OR typeof(custom_name) != 'text' OR typeof(text) != 'text'
    OR typeof(uri) NOT IN ('text', 'null') OR typeof(error) NOT IN ('text', 'null')
    OR typeof(trace_id) NOT IN ('text', 'null') OR typeof(attempts) != 'integer'
    OR typeof(at) != 'real' OR at NOT BETWEEN 0 AND 253402300799
LIMIT 1
"""


def _key_of(entry: Entry) -> bytes:
    # The lengths keep the four apart, whatever is in them.
    parts = (entry.sha256, entry.model, entry.custom_name, entry.text)
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(joined.encode(), digest_size=16).digest()


@frozen
class Entry:
    """What is uploaded. Two are the same upload if audio, model, name and text are."""

    audio: str
    """What the audio is called: a path, mostly. It is for people, and not part of the key."""
    sha256: str
    """Of the audio, in hexadecimal."""
    model: str
    custom_name: str
    text: str
    key: bytes = field(init=False, repr=False, default=Factory(_key_of, takes_self=True))


@frozen
class Record:
    """What the journal knows of an upload."""

    key: bytes
    state: State
    audio: str
    sha256: str
    model: str
    custom_name: str
    text: str
    uri: str | None
    error: str | None
    trace_id: str | None
    attempts: int
    at: float
    """Seconds since 1970, of its latest change."""


@frozen
class LastRun:
    """What a run leaves for the next one."""

    address: str
    """The API's, which the uploads were sent to."""
    salt: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)
    """Of the key, with the salt."""
    alive_at: float
    """Seconds since 1970: when it ended, or, if it was killed, up to a second after that."""
    before: bytes = field(repr=False)
    """The uris that the account had when that run began, as hashes."""


_FACTS: dict[str, type] = {
    "address": str,
    "salt": bytes,
    "fingerprint": bytes,
    "alive_at": float,
    "before": bytes,
}


@define(eq=False)
class Store:
    """An open journal file: locked for this process, and usable in the thread that opened it alone."""

    path: Path
    _connection: sqlite3.Connection
    _files: Files = field(factory=dict[str, Any])
    _alive_at: float | None = field(default=None, init=False)
    """What is recorded of the run that goes on, or None if there is none."""

    @property
    def running(self) -> bool:
        """Whether a run goes on, which is to be recorded about every second: one that is killed can't."""
        return self._alive_at is not None

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a journal, or create it, readable by its owner alone.

        Raises:
            JournalError: It is in use, damaged, another program's, a newer version's, or on storage that is
                read-only or remote.
        """
        return cls(path, *connect(path, _CREATE, _WRONG))

    def close(self) -> None:
        """Close the file, and let others open it."""
        with journal_errors(self.path):
            self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Make what is done within it durable, all or nothing.

        Raises:
            JournalError: It could not be.
        """
        with journal_errors(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
                check_files(self._files)
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def last_run(self) -> LastRun | None:
        """Return what the last run left, or None if there was none."""
        facts: dict[str, Any] = dict(self._connection.execute("SELECT name, value FROM facts").fetchall())
        if not facts:
            return None
        typed = all(isinstance(value, _FACTS.get(name, ())) for name, value in facts.items())
        # Its hashes have eight bytes each.
        if not typed or facts.keys() != _FACTS.keys() or len(facts["before"]) % 8:
            raise JournalError(f"The journal {self.path} is damaged: what its last run left makes no sense")
        return LastRun(**facts)

    def begin_run(self, run: LastRun, found: Mapping[bytes, str], absent: Iterable[bytes]) -> None:
        """Record a run's beginning, and what became of the unknown uploads; it goes on until it is ended.

        Args:
            run: What the next run is left.
            found: The uris of those that were stored, by their key.
            absent: The keys of those that were not.
        """
        for key, uri in found.items():
            self.done(key, "recovered", uri)
        for key in absent:
            self._connection.execute(
                "UPDATE uploads SET state = 'pending', at = ? WHERE key = ? AND uri IS NULL",
                (time.time(), key),
            )
        facts = [(attribute.name, getattr(run, attribute.name)) for attribute in fields(LastRun)]
        self._connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
        self._alive_at = run.alive_at

    def beat(self) -> None:
        """Record that the run goes on, if one does, and that was not recorded for a second."""
        until = time.time() + BEAT
        # A clock that was set back is followed too.
        if self._alive_at is not None and abs(until - self._alive_at) >= BEAT:
            self._record_alive(until)

    def end_run(self) -> None:
        """Record that the run has ended, if one goes on."""
        if self._alive_at is not None:
            self._record_alive(time.time())
            self._alive_at = None

    def _record_alive(self, at: float) -> None:
        self._alive_at = at
        self._connection.execute("UPDATE facts SET value = ? WHERE name = 'alive_at'", (at,))

    def find(self, key: bytes) -> Record | None:
        """Return what is known of an upload, or None."""
        return next(self._records("WHERE key = ?", key), None)

    def unknown(self) -> list[Record]:
        """Return the uploads that were begun and whose end was not recorded."""
        return list(self._records("WHERE state = 'unknown' ORDER BY id"))

    def uris_of(self, names: Collection[str]) -> set[str]:
        """Return the uris that were uploaded under these names."""
        rows = self._connection.execute(
            "SELECT uri FROM uploads WHERE uri IS NOT NULL"
            " AND custom_name IN (SELECT value FROM json_each(?))",
            (json.dumps(list(names)),),
        )
        return {uri for (uri,) in rows}

    def any_uri(self) -> str | None:
        """Return the uri of some upload, or None if there is none."""
        row = self._connection.execute("SELECT uri FROM uploads WHERE uri IS NOT NULL LIMIT 1").fetchone()
        return None if row is None else row[0]

    def counts(self) -> dict[str, int]:
        """Count the uploads in each state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM uploads GROUP BY state").fetchall())

    def page(self, after: int, size: int) -> list[tuple[int, Record]]:
        """Return up to *size* records whose number is above *after*, in order, each with its number."""
        rows = self._connection.execute(
            f"SELECT id, {_COLUMNS} FROM uploads WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - our own names
            (after, size),
        )
        return [(row[0], Record(*row[1:])) for row in rows]

    def superseded(self, after: int, size: int) -> list[tuple[int, Record, str]]:
        """Return a page, as :meth:`page` does, of what has a voice and was replaced by a later upload's.

        Each also has the later upload's uri. That is one of the same model and name; or of the same model,
        audio and digest, with another text.
        """
        rows = self._connection.execute(_SUPERSEDED, (after, size))
        return [(row[0], Record(*row[1:-1]), row[-1]) for row in rows]

    def intend(self, entry: Entry) -> None:
        """Record that an upload is about to be sent."""
        self._put(entry, "unknown", None, None, 0)

    def failed(
        self, entry: Entry, state: State, error: str, *, trace_id: str | None = None, attempts: int = 0
    ) -> None:
        """Record that an upload failed; *state* is ``unknown`` if its voice may exist all the same."""
        self._put(entry, state, error, trace_id, attempts)

    def done(
        self, key: bytes, state: State, uri: str, *, trace_id: str | None = None, attempts: int = 0
    ) -> None:
        """Record an upload's uri."""
        cursor = self._connection.execute(
            "UPDATE uploads SET state = ?, uri = ?, error = NULL, trace_id = ?, attempts = ?, at = ?"
            " WHERE key = ?",
            (state, uri, trace_id, attempts, time.time(), key),
        )
        if not cursor.rowcount:
            raise JournalError(f"The journal {self.path} has no upload that {uri} could be the voice of")

    def decide(self, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Record what became of an upload that is unknown; return whether there was one."""
        cursor = self._connection.execute(
            "UPDATE uploads SET state = ?, uri = ?, error = NULL, at = ?"
            " WHERE sha256 = ? AND custom_name = ? AND state = 'unknown'",
            ("pending" if uri is None else "recovered", uri, time.time(), sha256, custom_name),
        )
        return cursor.rowcount > 0

    def forget(self, uri: str) -> bool:
        """Record that a voice does not exist any more; return whether it was an upload's."""
        cursor = self._connection.execute(
            "UPDATE uploads SET state = 'pending', uri = NULL, at = ? WHERE uri = ?", (time.time(), uri)
        )
        return cursor.rowcount > 0

    def _put(
        self, entry: Entry, state: State, error: str | None, trace_id: str | None, attempts: int
    ) -> None:
        values = entry.key, state, entry.audio, entry.sha256, entry.model, entry.custom_name, entry.text
        self._connection.execute(_UPSERT, (*values, error, trace_id, attempts, time.time()))

    def _records(self, where: str, *values: object) -> Iterator[Record]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM uploads {where}", values)  # noqa: S608 - likewise
        return (Record(*row) for row in rows)
