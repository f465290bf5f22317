"""A real run of the command that kills itself, with no warning to anything, at a moment that it is told.

python -m killing.victim MOMENT COUNT ARGUMENTS…
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from siliconflow_voice import cli
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.calls import call
from siliconflow_voice.transport.payload import Transfer

Blow = Callable[[], None]


def fatal(count: int) -> Blow:
    """Give what kills this process when it is called for the given time."""
    left = [count]

    def blow() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return blow


def before_the_intent(blow: Blow) -> None:
    original = Store.intend

    def intend(self: Store, entry: Any) -> None:
        blow()
        original(self, entry)

    Store.intend = intend  # type: ignore[method-assign] # to kill there


def before_the_commit(blow: Blow) -> None:
    """Of anything: intents, uris, failures."""
    original = Store.transaction

    @contextmanager
    def transaction(self: Store) -> Generator[None, None, None]:
        with original(self):
            yield
            blow()

    Store.transaction = transaction  # type: ignore[method-assign] # to kill there


def after_the_commit(blow: Blow) -> None:
    """Before anybody hears of it."""
    original = SQLiteJournal._answer

    def answer(self: SQLiteJournal, results: Any) -> None:
        blow()
        original(self, results)

    SQLiteJournal._answer = answer  # type: ignore[method-assign] # to kill there


def before_the_first_byte(blow: Blow) -> None:
    original = SQLiteJournal.intend

    async def intend(self: SQLiteJournal, entry: Any) -> None:
        await original(self, entry)
        blow()

    SQLiteJournal.intend = intend  # type: ignore[method-assign] # to kill there


def within_the_body(blow: Blow) -> None:
    """When some of the audio has left, and the end of the body has not."""

    def transfer(_on_sent: object) -> Transfer:
        return Transfer(lambda _sent: blow())

    call.Transfer = transfer  # type: ignore[assignment,attr-defined] # to kill there


def before_the_record(blow: Blow) -> None:
    """Between the answer and the commit of its uri."""
    original = SQLiteJournal.done

    async def done(self: SQLiteJournal, entry: Any, voice: Any) -> None:
        blow()
        await original(self, entry, voice)

    SQLiteJournal.done = done  # type: ignore[method-assign] # to kill there


MOMENTS: dict[str, Callable[[Blow], None]] = {
    moment.__name__: moment
    for moment in (
        before_the_intent,
        before_the_first_byte,
        within_the_body,
        before_the_record,
        before_the_commit,
        after_the_commit,
    )
}


def main() -> int:
    """Prepare the blow, and run the command."""
    moment, count, *arguments = sys.argv[1:]
    if moment in MOMENTS:
        MOMENTS[moment](fatal(int(count)))
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
