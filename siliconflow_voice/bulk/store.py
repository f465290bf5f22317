"""What a journal keeps, in SQLite: every statement that there is, for one thread alone."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import Factory, define, field, frozen

from siliconflow_voice.bulk import filesystems
from siliconflow_voice.errors import JournalError

__all__ = ["Entry", "Record", "State", "Store"]

State: TypeAlias = Literal["pending", "sent", "uploaded", "recovered", "failed"]

# "sfvj", so that no other program's database is taken for a journal.
_APPLICATION = 0x7366766A
_SCHEMA = 1
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
CREATE INDEX unknown ON uploads (id) WHERE state = 'sent';
"""
_COLUMNS = "key, state, audio, sha256, model, custom_name, text, uri, error, trace_id, attempts, at"
_UPSERT = """
INSERT INTO uploads (key, state, audio, sha256, model, custom_name, text, error, trace_id, attempts, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, audio = excluded.audio, error = excluded.error,
    trace_id = excluded.trace_id, attempts = excluded.attempts, at = excluded.at
WHERE uploads.uri IS NULL
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
    """What the audio is called: a path, mostly. It is for people, and no part of the key."""
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


@define(eq=False)
class Store:
    """An open journal file: locked for this process, and of use in the thread that opened it alone."""

    path: Path
    _connection: sqlite3.Connection
    _files: dict[str, tuple[int, int]] = field(factory=dict[str, "tuple[int, int]"])

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a journal, or create it, readable by its owner alone.

        Raises:
            JournalError: It can't be used: in use, damaged, of another program or a newer version, on
                storage that is read-only or far away.
        """
        with journal_errors(path):
            filesystems.check(path)
            _create(path)
            connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                # Held until the connection is closed or the process dies, however it dies. And with it,
                # SQLite shares no memory with others, which is where its WAL has gone wrong before 3.51.3.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                _prepare(connection, path)
                store = cls(path, connection)
                store.remember_files()
            except BaseException:
                connection.close()
                raise
            return store

    def close(self) -> None:
        """Give up the file."""
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
                self.check_files()
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def remember_files(self) -> None:
        """Take down which files on the disk are this journal's."""
        # The second holds what was committed last: without it, that would be lost.
        for path in (str(self.path), _log_of(self.path)):
            status = os.stat(path)  # noqa: PTH116 - often, and pathlib is slow
            self._files[path] = status.st_dev, status.st_ino

    def check_files(self) -> None:
        """See that what is written has a name: SQLite writes to deleted files without complaint."""
        for path, identity in self._files.items():
            try:
                status = os.stat(path)  # noqa: PTH116 - likewise
            except FileNotFoundError:
                raise JournalError(f"The journal {path} was deleted during the run") from None
            if (status.st_dev, status.st_ino) != identity:
                raise JournalError(f"The journal {path} was replaced during the run")

    def fact(self, name: str) -> Any:
        """Give what is kept under a name, or None."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_fact(self, name: str, value: str | bytes) -> None:
        """Keep something under a name."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def find(self, key: bytes) -> Record | None:
        """Give what is known of an upload."""
        return next(self._records("WHERE key = ?", key), None)

    def unknown(self) -> list[Record]:
        """Give the uploads that were begun, and of which nobody knows what became of them."""
        return list(self._records("WHERE state = 'sent' ORDER BY id"))

    def uris_of(self, names: list[str]) -> set[str]:
        """Give the uris that were uploaded under these names."""
        rows = self._connection.execute(
            "SELECT uri FROM uploads WHERE uri IS NOT NULL"
            " AND custom_name IN (SELECT value FROM json_each(?))",
            (json.dumps(names),),
        )
        return {uri for (uri,) in rows}

    def any_uri(self) -> str | None:
        """Give the uri of some upload, or None if there is none."""
        row = self._connection.execute("SELECT uri FROM uploads WHERE uri IS NOT NULL LIMIT 1").fetchone()
        return None if row is None else row[0]

    def counts(self) -> dict[State, int]:
        """Count the uploads in each state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM uploads GROUP BY state").fetchall())

    def page(self, after: int, size: int) -> list[tuple[int, Record]]:
        """Give some records in the order in which they were first written, each with its number."""
        rows = self._connection.execute(
            f"SELECT id, {_COLUMNS} FROM uploads WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 - our own names
            (after, size),
        )
        return [(row[0], Record(*row[1:])) for row in rows]

    def intend(self, entry: Entry) -> None:
        """Take down that an upload is about to be sent."""
        self._put(entry, "sent", None, None, 0)

    def failed(
        self, entry: Entry, state: State, error: str, *, trace_id: str | None = None, attempts: int = 0
    ) -> None:
        """Take down that an upload failed; *state* is ``sent`` if its voice may exist all the same."""
        self._put(entry, state, error, trace_id, attempts)

    def done(
        self, key: bytes, state: State, uri: str, *, trace_id: str | None = None, attempts: int = 0
    ) -> None:
        """Take down an upload's uri."""
        cursor = self._connection.execute(
            "UPDATE uploads SET state = ?, uri = ?, error = NULL, trace_id = ?, attempts = ?, at = ?"
            " WHERE key = ?",
            (state, uri, trace_id, attempts, time.time(), key),
        )
        if not cursor.rowcount:
            raise JournalError(f"The journal {self.path} has no upload that {uri} could be the voice of")

    def not_stored(self, key: bytes) -> None:
        """Take down that an upload which was begun has not made its voice."""
        self._connection.execute(
            "UPDATE uploads SET state = 'pending', at = ? WHERE key = ? AND uri IS NULL", (time.time(), key)
        )

    def decide(self, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Take down what became of an upload that is open; tell whether there was one."""
        cursor = self._connection.execute(
            "UPDATE uploads SET state = ?, uri = ?, error = NULL, at = ?"
            " WHERE sha256 = ? AND custom_name = ? AND state = 'sent'",
            ("pending" if uri is None else "recovered", uri, time.time(), sha256, custom_name),
        )
        return cursor.rowcount > 0

    def forget(self, uri: str) -> bool:
        """Take down that a voice is no more; tell whether it was an upload's."""
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


def _log_of(path: Path) -> str:
    """Give the path of the write-ahead log, which lies beside the file that a link leads to."""
    return f"{os.path.realpath(path)}-wal"


def _create(path: Path) -> None:
    """Create the file if there is none, or see that the one that exists is of use.

    That is not opened: closing it would give up the locks on it of all this process.
    """
    place, log = Path(os.path.realpath(path)), Path(_log_of(path))
    # SQLite takes a file of one byte for empty too, and what is empty for new; and it deletes the log then.
    if (not place.exists() or place.stat().st_size <= 1) and log.exists() and log.stat().st_size:
        raise JournalError(
            f"The journal {path} is damaged: it is missing or empty, but {log.name}, which belongs to it, is "
            f"not. Bring it back, or compare what is to be uploaded with the account's list before you begin "
            f"anew: without it, all is sent again"
        )
    if not place.exists():
        with suppress(FileExistsError):
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    for needed in (place, place.parent):
        if not os.access(needed, os.W_OK):
            raise JournalError(f"The journal {path} can't be written: {needed} is read-only")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """See whose the file is, lock it, and create what a new one lacks."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    new = tables == 0 and application == 0
    if not new and application != _APPLICATION:
        raise JournalError(f"{path} is no journal, but a database of another program")
    if not new and schema > _SCHEMA:
        raise JournalError(
            f"The journal {path} was written by a newer version of siliconflow_voice: use that one"
        )
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"The journal {path} is on storage where SQLite can't keep a write-ahead log")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # on a Mac, fsync alone does not reach the disk
    connection.execute("BEGIN IMMEDIATE")
    if new:
        for statement in _CREATE.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page:
        # SQLite takes the page to end with zeros: among them may be a uri's last characters.
        raise JournalError(f"The journal {path} is damaged: it was cut off")
    # Not the quick one: of an upload that is missing from the index alone, a run would know nothing.
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"The journal {path} is damaged: {verdict.splitlines()[-1]}")


_REASONS = {
    sqlite3.SQLITE_BUSY: "is in use by another run",
    sqlite3.SQLITE_FULL: "can't be written: the disk is full",
    sqlite3.SQLITE_READONLY: "can't be written: it is read-only",
    sqlite3.SQLITE_NOTADB: "is damaged, or is no journal",
    sqlite3.SQLITE_CORRUPT: "is damaged",
}


@contextmanager
def journal_errors(path: Path) -> Generator[None, None, None]:
    """Turn what SQLite and the file system raise into the SDK's own error."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        reason = _REASONS.get(code, f"can't be used: {error}")
        raise JournalError(f"The journal {path} {reason}") from error
    except OSError as error:
        raise JournalError(f"The journal {path} can't be used: {error.strerror or error}") from error
