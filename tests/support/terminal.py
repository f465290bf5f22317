"""The command in a terminal and out of one: its manifests, its processes, and standard outputs that fail."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import shutil
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen
from rich.console import Console

import siliconflow_voice
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.cli.app import execute
from siliconflow_voice.cli.exits import Exit
from siliconflow_voice.cli.stats import Stats
from siliconflow_voice.cli.summary import Summary
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.values import Status, UploadOutcome
from support.recordings import MP3

PACKAGE = Path(siliconflow_voice.__file__).parents[1]


def voices(folder: Path, count: int = 3, *, missing: Iterable[int] = (), name: str = "voices.csv") -> Path:
    """Write a manifest of so many rows, of which some have no recording, and the others one for all."""
    gone = set(missing)
    shutil.copy(MP3, folder / "voice.mp3")
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["audio", "custom_name", "text", "speaker"])
        for number in range(count):
            audio = f"missing-{number}.mp3" if number in gone else "voice.mp3"
            table.writerow([audio, f"voice-{number}", f"第 {number} 句", "甲"])
    return path


async def bulk(manifest: Path, **options: object) -> int:
    """Run the command ``bulk`` in this loop, with its options; return the exit status."""
    arguments = ["bulk", str(manifest)]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        match value:
            case True:
                arguments.append(option)
            case None | False:
                pass
            case _:
                arguments += [option, str(value)]
    return await execute(arguments)


def names(emulator: Emulator) -> list[str]:
    """Give the names of all voices that are stored, those that are there twice twice."""
    return sorted(voice.custom_name for voice in emulator.voices)


def expected(count: int) -> list[str]:
    """Give what :func:`names` gives if each row of :func:`voices` is stored once."""
    return sorted(f"voice-{number}" for number in range(count))


def stuck_after(emulator: Emulator, count: int) -> None:
    """Answer so many uploads, and store the others without an answer."""
    if count:
        emulator.add_fault(Fault.delay(0.0, times=count))
    emulator.add_fault(Fault.delay(3600, times=None))


def table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, as Excel does."""
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> list[str]:
    """Give the names of what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def outcome(
    line: int = 2,
    status: Status = "uploaded",
    *,
    name: str = "narrator",
    audio: str = "voice.mp3",
    error: SiliconFlowError | None = None,
    size: int | None = None,
    **cells: str,
) -> UploadOutcome:
    """Make the outcome of a manifest's row."""
    if status == "failed":
        error = error or SiliconFlowError("it went wrong")
    upload = ManifestUpload(
        audio, name, "words", line=line, cells={"audio": audio, "custom_name": name, "text": "words", **cells}
    )
    voice = None if error else Voice(f"speech:{name}:emulated:{line:020}", upload.model, name, "words")
    return UploadOutcome(line - 2, upload, status, voice, error, size)


@frozen
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str


@define
class Command:
    """The command, as a process of its own."""

    process: asyncio.subprocess.Process

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def ended(self) -> Ended:
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def started(
    *arguments: object, python: Iterable[str] = ("-m", "siliconflow_voice"), **changes: Any
) -> AsyncGenerator[Command, None]:
    """Start it, with warnings as errors; whatever happens, it ends with this."""
    environment = os.environ | {"SILICONFLOW_API_KEY": "sk-test", "PYTHONPATH": str(PACKAGE)}
    options: dict[str, Any] = {
        "env": environment | changes.pop("environment", {}),
        "stdin": asyncio.subprocess.DEVNULL,
        "stdout": asyncio.subprocess.PIPE,
        "stderr": asyncio.subprocess.PIPE,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", *python, *map(str, arguments), **options | changes
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(*arguments: object, **changes: Any) -> Ended:
    """Run it to its end."""
    async with started(*arguments, **changes) as command:
        return await command.ended()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what nobody tells of: also until a fleet's lease has run out, and its sweep has come by."""
    async with asyncio.timeout(90):
        while not holds():  # noqa: ASYNC110 - the emulator tells nobody of what it stores
            await asyncio.sleep(0.002)


async def in_a_terminal(
    typed: bytes, *arguments: str, prompt: bytes = b"API key: ", **variables: str
) -> tuple[int, str]:
    """Run the command in a terminal, and type something when it asks; give its status and what it shows."""
    program = (
        "import os, sys; os.setsid(); import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        "os.execv(sys.executable, [sys.executable, '-m', 'siliconflow_voice', *sys.argv[1:]])"
    )
    ours, theirs = os.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    environment = {"SILICONFLOW_API_KEY": "", "TERM": "xterm", "PYTHONUTF8": "1"} | variables
    async with started(*arguments, python=("-c", program), environment=environment, **streams) as command:
        os.close(theirs)
        os.set_blocking(ours, False)
        shown = bytearray()
        ended = asyncio.ensure_future(command.process.wait())
        while not ended.done():
            await until(lambda: ended.done() or _has_more(ours, shown))
            if typed and prompt in shown:
                os.write(ours, typed)
                typed = b""
        _has_more(ours, shown)
        status = await ended
    os.close(ours)
    return status, shown.decode(errors="replace")


def _has_more(descriptor: int, shown: bytearray) -> bool:
    try:
        data = os.read(descriptor, 1 << 16)
    except OSError:  # nothing for now, or nobody is left
        return False
    shown += data
    return bool(data)


@contextmanager
def served(emulator: Emulator) -> Generator[Emulator, None, None]:
    """Run an emulator in a thread, for what has no loop, or one of its own."""
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with emulator:
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield emulator
    finally:
        over.set()
        thread.join()


@define
class Clock:
    """A clock that is set by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


DONE = Exit(0)


def summary_of(ended: Exit = DONE, *, failures: Path | None = None, **statuses: int) -> Summary:
    """Make what a run of 10,000 rows came to."""
    clock = Clock()
    stats = Stats(10_000, now=clock)
    stats.statuses.update(statuses)  # type: ignore[arg-type] # the statuses
    stats.attempts.update({"accepted": 9000, "rate_limited": 12, "no_answer": 1})
    stats.timeline.at(0.0).attempts.update(stats.attempts)
    stats.sent_bytes = 180_000_000
    clock.now = 3725.4
    return Summary(
        Path("voices.csv"),
        "https://api.siliconflow.cn/v1",
        Path("voices.journal"),
        failures,
        "with the same options",
        ended,
        stats,
    )


class Terminal(io.StringIO):
    """A standard stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A standard output that takes some texts, and then no more."""

    def __init__(self, error: OSError, *, after: int = 0) -> None:
        super().__init__()
        self._error = error
        self._left = after

    def write(self, text: str) -> int:
        if not self._left:
            raise self._error
        self._left -= 1
        return super().write(text)


@define
class Paper:
    """A console that writes into memory, a terminal or not."""

    terminal: bool = False
    width: int = 100
    file: io.StringIO = field(factory=io.StringIO)
    console: Console = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.console = Console(
            file=self.file,
            force_terminal=self.terminal,
            force_interactive=self.terminal,
            color_system=None,
            width=self.width,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )

    @property
    def text(self) -> str:
        """All that was written."""
        return self.file.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@contextmanager
def stdout_is(file: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Generator[io.StringIO, None, None]:
    """Put something in place of standard output."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        yield file
