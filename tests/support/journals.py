"""Journals: what is put into them, copies of their files, and others who hold them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

from attrs import define, field

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.postgres import PostgresJournal
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry, LastRun, Record, Store
from siliconflow_voice.errors import BadRequestError
from siliconflow_voice.models import Attempt, Voice
from siliconflow_voice.uploads.values import DEFAULT_MODEL
from support.recordings import TEXT

_HOLD = """
import sys
from pathlib import Path
from siliconflow_voice.bulk.store import Entry, Store
store = Store.open(Path(sys.argv[1]))
with store.transaction():
    store.intend(Entry("a.mp3", "00", "model", "another", "words"))
print("open", flush=True)
sys.stdin.read()
store.close()
"""
_TRY = """
import sys
from pathlib import Path
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import JournalError
try:
    Store.open(Path(sys.argv[1])).close()
except JournalError as error:
    print(error.message)
"""


def entry(number: int = 0, **changes: str) -> Entry:
    """Make an upload, each number's another."""
    fields = {
        "audio": f"{number}.mp3",
        "sha256": f"{number:064x}",
        "model": DEFAULT_MODEL,
        "custom_name": f"narrator-{number}",
        "text": TEXT,
    }
    return Entry(**fields | changes)


def uri_of(upload: Entry, account: str = "emulated") -> str:
    return f"speech:{upload.custom_name}:{account}:{upload.sha256[-20:]}"


@contextmanager
def opened(path: Path) -> Generator[Store, None, None]:
    with closing(Store.open(path)) as store:
        yield store


def begin(store: Store, *entries: Entry) -> None:
    """Take down, in one transaction, that uploads are about to be sent."""
    with store.transaction():
        for upload in entries:
            store.intend(upload)


def finish(store: Store, *entries: Entry) -> None:
    """Take down, in one transaction, the uris that uploads got."""
    with store.transaction():
        for upload in entries:
            store.done(upload.key, "uploaded", uri_of(upload))


RUN = LastRun("http://127.0.0.1", b"\0\xff", b"", 1_700_000_000.0, b"\xff" * 8)


def absent(store: Store, *keys: bytes) -> None:
    """Record that uploads made no voices, as a run does that has looked for them."""
    store.begin_run(RUN, {}, keys)


def records(store: Store) -> list[Record]:
    """Give all that a journal holds, in its order."""
    with store.transaction():
        return [record for _, record in store.page(0, 1_000_000)]


def found(path: Path) -> list[str]:
    """Open a journal, and give the names of what it holds, each of which its key must find."""
    with opened(path) as store:
        held = records(store)
        with store.transaction():
            assert [store.find(record.key) for record in held] == held
        return [record.custom_name for record in held]


def files_of(path: Path) -> list[Path]:
    """Give the journal's file and what lies beside it."""
    return sorted(path.parent.glob(f"{path.name}*"))


def copy_of(path: Path, folder: Path) -> Path:
    """Copy a journal as it is, open or not, such as the machine's end would leave it.

    Reading a file's copy gives up this process's lock on it: its opener goes on, but keeps no others out.
    """
    folder.mkdir(exist_ok=True)
    for file in files_of(path):
        shutil.copy(file, folder / file.name)
    return folder / path.name


@contextmanager
def another_process(path: Path) -> Generator[subprocess.Popen[str], None, None]:
    """Have another process open a journal, write into it, and keep it until its stdin is closed."""
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def tried_elsewhere(path: Path) -> str:
    """Have another process open a journal, and give what it says of that."""
    command = [sys.executable, "-c", _TRY, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    return done.stdout.strip()


@contextmanager
def unwritable(path: Path) -> Generator[bool, None, None]:
    """Keep this process, even as root, from writing to a file or folder; tell whether that is possible."""
    if os.geteuid():
        mode = path.stat().st_mode
        path.chmod(mode & ~0o222)
        try:
            yield True
        finally:
            path.chmod(mode)
        return
    chattr = shutil.which("chattr")

    def set_flag(flag: str) -> bool:
        command = [str(chattr), flag, str(path)]
        return chattr is not None and not subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 - likewise

    possible = set_flag("+i")
    try:
        yield possible
    finally:
        if possible:
            set_flag("-i")


@asynccontextmanager
async def writing(path: Path) -> AsyncGenerator[SQLiteJournal, None]:
    journal = SQLiteJournal(path)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()
        await asyncio.to_thread(journal._thread.join)


def file_of(journal: Journal) -> SQLiteJournal:
    """Return what an open journal in a file does its work with."""
    opened: object = journal._opened
    assert isinstance(opened, SQLiteJournal)
    return opened


async def recorded(
    journal: Journal,
    upload: Entry,
    state: str,
    *,
    uri: str | None = None,
    trace_id: str | None = None,
    attempts: int = 0,
) -> None:
    """Put an upload into an open journal of either kind, as runs do."""
    opened: object = journal._opened
    assert isinstance(opened, SQLiteJournal | PostgresJournal)
    if isinstance(opened, PostgresJournal):
        await opened.claim(upload, 0.0)
    if state != "pending":
        await opened.intend(upload)
    elif isinstance(opened, SQLiteJournal):
        await opened.intend(upload)
        await opened.transact(lambda store: absent(store, upload.key))
    history = tuple(Attempt(number, 0.0, 0.0) for number in range(1, attempts + 1))
    if state in {"uploaded", "recovered"}:
        recovered = state == "recovered"
        voice = Voice(
            uri or uri_of(upload),
            upload.model,
            upload.custom_name,
            upload.text,
            recovered,
            history,
            trace_id,
        )
        await opened.done(upload, voice)
    if state == "failed":
        error = refused(trace_id)
        error.attempts = history
        await opened.failed(upload, error)


def refused(trace_id: str | None) -> BadRequestError:
    """Make the error of an upload that failed."""
    return BadRequestError('"no"', status=400, trace_id=trace_id)


def intend(number: int) -> Callable[[Store], None]:
    """Give the operation that takes down that an upload is about to be sent."""
    return partial(Store.intend, entry=entry(number))


def fail(_: Store) -> NoReturn:
    """Be an operation that fails."""
    raise LookupError("no such thing")


@define
class Blocker:
    """An operation that holds up a journal's thread until it is let go on."""

    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    reached: asyncio.Event = field(factory=asyncio.Event)
    go_on: threading.Event = field(factory=threading.Event)

    def __call__(self, store: Store) -> str:
        self._loop.call_soon_threadsafe(self.reached.set)
        assert self.go_on.wait(30)
        return "blocked"
