"""The file of a journal: refused where it can't be relied on, private to its owner, locked and checked."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from siliconflow_voice.audio.files import kind_of
from siliconflow_voice.errors import JournalError

__all__ = [
    "Files",
    "check_files",
    "check_filesystem",
    "check_owner",
    "connect",
    "filesystem_of",
    "journal_errors",
]

Files: TypeAlias = "dict[str, tuple[int, int]]"
"""Paths, each with the device and the inode behind it."""

# "sfvj", so that another program's database is never used as a journal.
_APPLICATION = 0x7366766A
_SCHEMA = 1

_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
) | {
    f"fuse.{kind}"
    for kind in (
        "blobfuse2", "ceph", "cosfs", "davfs", "gcsfuse", "glusterfs", "juicefs", "ossfs", "rclone", "s3fs",
        "sshfs",
    )
}  # fmt: skip
# Every file on them has the owner and the mode that the mount says.
_WITHOUT_MODES = frozenset(
    {"9p", "drvfs", "exfat", "fuseblk", "hfs", "msdos", "ntfs", "ntfs3", "vboxsf", "vfat", "virtiofs"}
)
_ESCAPE = re.compile(r"\\([0-7]{3})")

_REASONS = {
    sqlite3.SQLITE_BUSY: "is in use by another run",
    sqlite3.SQLITE_FULL: "can't be written: the disk is full",
    sqlite3.SQLITE_READONLY: "can't be written: it is read-only",
    sqlite3.SQLITE_NOTADB: "is damaged, or is not a journal",
    sqlite3.SQLITE_CORRUPT: "is damaged",
}


def connect(path: Path, schema: str, wrong: str) -> tuple[sqlite3.Connection, Files]:
    """Open a journal's database, locked for this process; create it with *schema* if there is none.

    Args:
        path: The file.
        schema: The statements that create a new one; an old one must have come from the same.
        wrong: A query that returns the number of a row with values that a journal never has.

    Returns:
        The connection, and which files on the disk it writes to, for :func:`check_files`.

    Raises:
        JournalError: It is in use, damaged, another program's, a newer version's, or on storage that is
            read-only or remote.
    """
    with journal_errors(path):
        check_filesystem(path)
        check_owner(path)
        _create(path)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            # A file may come with functions of its own, in views, triggers and indexes.
            connection.execute("PRAGMA trusted_schema = OFF")
            # Held until the connection is closed or the process dies, however it dies. And with it,
            # SQLite shares no memory with others, which is where its WAL has gone wrong before 3.51.3.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            _prepare(connection, path, schema)
            _check_values(connection, path, wrong)
            os.chmod(_log_of(path), 0o600)  # noqa: PTH101 - SQLite's has the journal's own mode
            # The log holds what was committed last: without it, that would be lost.
            return connection, {file: _identity(file) for file in (str(path), _log_of(path))}
        except BaseException:
            connection.close()
            raise


def check_files(files: Files) -> None:
    """Check that what is written still has a name: SQLite writes to deleted files without complaint.

    Raises:
        JournalError: It has not.
    """
    for path, identity in files.items():
        try:
            now = _identity(path)
        except FileNotFoundError:
            raise JournalError(f"The journal {path} was deleted during the run") from None
        if now != identity:
            raise JournalError(f"The journal {path} was replaced during the run")


@contextmanager
def journal_errors(path: Path) -> Generator[None, None, None]:
    """Turn what SQLite and the file system raise into the SDK's own error."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        reason = _REASONS.get(code, f"can't be used: {error}")
        raise JournalError(f"The journal {path} {reason}") from error
    except UnicodeDecodeError as error:  # of a message of SQLite's that quotes what is in the file
        raise JournalError(f"The journal {path} is damaged") from error
    except OSError as error:
        raise JournalError(f"The journal {path} can't be used: {error.strerror or error}") from error


def check_filesystem(path: Path) -> None:
    """Refuse a file on a network filesystem, as far as this system tells.

    SQLite's own advice, https://www.sqlite.org/useovernet.html: the locks that keep two runs apart don't work
    on many of them.

    Raises:
        JournalError: It is on one.
    """
    # First, since looking at it may be what mounts it.
    kind = _filesystem(os.path.realpath(path))
    if kind in _REMOTE:
        raise JournalError(
            f"The journal {path} would be on a network filesystem ({kind}), where neither locks nor writes "
            f"are reliable: put it on a local disk"
        )


def _filesystem(path: str) -> str | None:
    try:
        return filesystem_of(path, os.fsdecode(_MOUNTS.read_bytes()))
    except OSError:
        return None  # not Linux


def filesystem_of(path: str, mounts: str) -> str | None:
    """Return the type of the filesystem that an absolute path is on, by the text of ``mountinfo``."""
    found, longest = None, -1
    for line in mounts.split("\n"):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two on one point, the later lies over the other.
        if inside and len(point) >= longest:
            found, longest = after.split(" ")[0], len(point)
    return found


def check_owner(path: Path) -> None:
    """Refuse a journal, a link to one, or a log of one that another user planted, or may write to.

    Raises:
        JournalError: It is.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return
    real = os.path.realpath(path)
    if _filesystem(real) in _WITHOUT_MODES:
        return
    beside = [f"{real}{suffix}" for suffix in ("-wal", "-shm", "-journal")]
    for file in (str(path), real, *beside):
        try:
            status = os.lstat(file)
        except FileNotFoundError:
            continue
        wrong = ""
        if status.st_uid != os.geteuid():
            wrong = "belongs to another user"
        elif stat.S_ISLNK(status.st_mode):
            wrong = "is a link" if file in beside else ""
        elif not stat.S_ISREG(status.st_mode):
            wrong = f"is {kind_of(status.st_mode)}, not a regular file"
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            wrong = "can be written by other users"
        if wrong:
            raise JournalError(
                f"The journal {path} can't be relied on: {file} {wrong}. Make sure that it is yours, and "
                f"that only you can write to it, or choose another journal"
            )


def _check_schema(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Refuse a database that has anything more or less than a journal has: triggers, views, other tables."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema)
        expected = fresh.execute(query).fetchall()
    # One more than a journal has is enough to tell.
    if connection.execute(query).fetchmany(len(expected) + 1) != expected:
        raise JournalError(f"{path} is not a journal: it has other tables than a journal has")


def _check_values(connection: sqlite3.Connection, path: Path, wrong: str) -> None:
    if row := connection.execute(wrong).fetchone():
        raise JournalError(f"The journal {path} is damaged: its upload {row[0]} makes no sense")


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - often, and pathlib is slow
    return status.st_dev, status.st_ino


def _log_of(path: Path) -> str:
    """Return the path of the write-ahead log, which lies beside the file that a link leads to."""
    return f"{os.path.realpath(path)}-wal"


def _create(path: Path) -> None:
    """Create the file if there is none, or check that the one that exists can be written.

    An existing file is not opened: closing it would give up this process's locks on it.
    """
    place, log = Path(os.path.realpath(path)), Path(_log_of(path))
    # SQLite treats a file of one byte as empty too, and an empty one as new; and then it deletes the log.
    if (not place.exists() or place.stat().st_size <= 1) and log.exists() and log.stat().st_size:
        raise JournalError(
            f"The journal {path} is damaged: it is missing or empty, but its log {log.name} is not. Restore "
            f"it, or compare what is to be uploaded with the account's list before you begin anew: without "
            f"it, all of it is sent again"
        )
    if not place.exists():
        with suppress(FileExistsError):
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    for needed in (place, place.parent):
        if not os.access(needed, os.W_OK):
            raise JournalError(f"The journal {path} can't be written: {needed} is read-only")


def _prepare(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Check whose the file is, lock it, and create what a new one lacks."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    new = not tables and application == 0
    if not new and application != _APPLICATION:
        raise JournalError(f"{path} is not a journal, but another program's database")
    if not new and version > _SCHEMA:
        raise JournalError(
            f"The journal {path} was written by a newer version of siliconflow_voice: upgrade to that one"
        )
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise JournalError(f"The journal {path} is on storage where SQLite can't keep a write-ahead log")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # on a Mac, fsync alone does not reach the disk
    connection.execute("BEGIN IMMEDIATE")
    if not new:
        _check_schema(connection, path, schema)
    else:
        for statement in schema.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page:
        # SQLite reads zeros past the end: among them may be a uri's last characters.
        raise JournalError(f"The journal {path} is damaged: it was cut off")
    # Not the quick one: an upload that is missing from the index alone would be unknown to a run.
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise JournalError(f"The journal {path} is damaged: {verdict.splitlines()[-1]}")
