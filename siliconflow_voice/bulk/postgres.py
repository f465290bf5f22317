"""A journal in PostgreSQL, for any number of runs at once: uploads are claimed, and commits are shared."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from attrs import define, field, frozen

from siliconflow_voice.bulk import statements as sql
from siliconflow_voice.bulk.alone import OneAtATime
from siliconflow_voice.bulk.member import Member, Rows
from siliconflow_voice.bulk.store import Entry, Record
from siliconflow_voice.database import Connection, Database, DatabaseError
from siliconflow_voice.errors import APIStatusError, JournalError, SiliconFlowError
from siliconflow_voice.models import Failure, Voice

__all__ = ["Account", "Claim", "PostgresJournal"]

# Seconds for which a question about all uploads may take.
_LONGEST_READ = 3600.0

_log = logging.getLogger("siliconflow_voice")


@frozen
class Claim:
    """What came of claiming an upload."""

    record: Record
    mine: bool
    """Whether this run has it; otherwise it has its voice, or another run is at it."""


@frozen
class Account:
    """Whose journal it is."""

    address: str
    """The API's, which the uploads are sent to."""
    salt: bytes = field(repr=False)
    """For the fingerprints of its keys."""
    before: bytes = field(repr=False)
    """The uris that it had when the first run began, as hashes."""


@define(eq=False)
class PostgresJournal:
    """A journal in a database, as one process has it open; what is asked of it is durable when it answers.

    What is asked for while a transaction is under way goes into the next one. A process that has it open
    proves by a heartbeat, on the database's clock, that it lives: what it has claimed is its own until it
    closes the journal, or until its lease has run out. A lost connection is made anew and waited for;
    meanwhile nothing is answered, so nothing is sent. Each method raises a :class:`JournalError` where it
    fails.
    """

    member: Member
    one_at_a_time: OneAtATime = field(factory=OneAtATime, init=False, repr=False)
    """For the uploads of this process: a claim is a process's, and not a run's."""
    _looking_up: bool = field(default=False, init=False)

    @property
    def shown(self) -> str:
        """Where it is, as messages have it."""
        return self.member.address.shown

    async def open(self) -> None:
        """Connect, create the tables if there are none, and begin to prove that this process lives."""
        await self.member.open()

    def leave(self) -> None:
        """Have what was asked for finished and the connection closed, without waiting for that."""
        self.member.leave()

    async def close(self) -> None:
        """Finish what was asked for, release what is claimed, and close the connection."""
        await self.member.close()

    # --- a run

    async def account(self) -> Account | None:
        """Return whose journal it is, or None if there was no run yet."""
        row = await self.member.row(sql.ACCOUNT)
        return None if row is None else Account(*row)

    async def end_run(self) -> None:
        """Do nothing: that its process lives is what counts, and not a run."""

    async def knows(self, fingerprint: bytes) -> bool:
        """Return whether a key with this fingerprint was found to be the account's."""
        return bool(await self.member.ask(sql.KNOWS, fingerprint=fingerprint))

    async def begin_account(self, account: Account, fingerprint: bytes) -> None:
        """Record whose journal it is, unless that is recorded."""
        await self.member.ask(
            sql.BEGIN_ACCOUNT,
            address=account.address,
            salt=account.salt,
            before=account.before,
            fingerprint=fingerprint,
        )

    async def trust(self, fingerprint: bytes) -> None:
        """Record that a key with this fingerprint is the account's."""
        await self.member.ask(sql.TRUST, fingerprint=fingerprint)

    async def uris_of(self, names: Collection[str]) -> set[str]:
        """Return the uris that were uploaded under these names."""
        return {uri for (uri,) in await self.member.ask(sql.URIS_OF, names=list(names))}

    async def any_uri(self) -> str | None:
        """Return the uri of some upload, or None if there is none."""
        row = await self.member.row(sql.ANY_URI)
        return None if row is None else row[0]

    # --- an upload of a run

    async def claim(self, entry: Entry, settle: float) -> Claim | None:
        """Claim an upload for this process, unless it has its voice or a living process has it.

        Args:
            entry: The upload.
            settle: Seconds after the end of the process that had it before which its voice may be missing
                from the list.

        Returns:
            What came of it; None if another process recorded it in this very moment: ask again.
        """
        row = await self.member.row(sql.CLAIM, entry.key, **_texts(entry), settle=settle)
        return None if row is None else Claim(Record(bytes(row[1]), *row[2:]), row[0])

    async def intend(self, entry: Entry) -> bool:
        """Record that an upload is about to be sent; if this raises, nothing must be sent.

        Returns:
            Whether it is this process's still: if not, another has taken it over.
        """
        return bool(await self.member.ask(sql.INTEND, entry.key))

    async def done(self, entry: Entry, voice: Voice) -> None:
        """Record an upload's voice; an error's note has the uri that could not be recorded."""
        try:
            recorded = await self.member.ask(
                sql.DONE,
                entry.key,
                state="recovered" if voice.recovered else "uploaded",
                uri=voice.uri,
                trace_id=voice.trace_id,
                attempts=len(voice.attempts),
            )
        except JournalError as error:
            error.add_note(f"{entry.custom_name} was uploaded, but could not be recorded: {voice.uri}")
            raise
        if not recorded:
            _log.warning(
                "%s has two voices: another run took it over, and has recorded its own besides %s",
                entry.custom_name,
                voice.uri,
            )

    async def failed(self, entry: Entry, error: SiliconFlowError) -> None:
        """Record that an upload failed; it stays unknown if its voice may exist all the same."""
        await self.member.ask(
            sql.FAILED,
            entry.key,
            state="unknown" if error.failure is Failure.UNKNOWN else "failed",
            error=_text(str(error)),
            trace_id=error.trace_id if isinstance(error, APIStatusError) else None,
            attempts=len(error.attempts),
        )

    def release(self, entry: Entry) -> None:
        """Give a claim back, without waiting for that."""
        self.member.put(sql.RELEASE, entry.key)

    # --- lookups: see lookups.py

    async def look_for(self, key: bytes, after: float) -> None:
        """Ask for an upload's voice to be looked up, in *after* seconds at the earliest."""
        await self.member.ask(sql.LOOK_FOR, key, after=after)

    async def looked_up(self, key: bytes) -> tuple[Record, float | None, list[str]]:
        """Return an upload, the seconds until it may be looked up, and the uris that may be its own.

        The seconds are None if it is not to be looked up, or was.
        """
        ((found, *record, seconds, candidates),) = await self.member.ask(sql.FIND, key)
        return Record(bytes(found), *record), seconds, candidates or []

    async def begin_lookup(self) -> bool:
        """Become the one process that looks up voices for all; return whether no other is."""
        if self._looking_up:
            return False
        self._looking_up = True
        try:
            self._looking_up = bool(await self.member.ask(sql.BEGIN_LOOKUP))
        except BaseException:
            self._looking_up = False
            raise
        return self._looking_up

    async def end_lookup(self) -> None:
        """Let others look up voices."""
        self._looking_up = False
        await self.member.ask(sql.END_LOOKUP)

    async def to_look_up(self) -> list[Record]:
        """Return the uploads that may be looked up now."""
        return [Record(bytes(row[0]), *row[1:]) for row in await self.member.ask(sql.TO_LOOK_UP)]

    async def rivals(self, names: Collection[str], but: Collection[bytes]) -> list[Record]:
        """Return the uploads of these names whose outcome is unknown, *but* some."""
        rows = await self.member.ask(sql.RIVALS, names=list(names), but=list(but))
        return [Record(bytes(row[0]), *row[1:]) for row in rows]

    async def resolve(
        self, found: Mapping[bytes, str], absent: Iterable[bytes], ambiguous: Mapping[bytes, list[str]]
    ) -> None:
        """Record what a lookup came to, of each upload by its key."""
        for key, uri in found.items():
            await self.member.ask(sql.RESOLVE, key, state="recovered", uri=uri, candidates=None)
        for key in absent:
            await self.member.ask(sql.RESOLVE, key, state="pending", uri=None, candidates=None)
        for key, uris in ambiguous.items():
            await self.member.ask(sql.RESOLVE, key, state="unknown", uri=None, candidates=uris)

    # --- by hand

    async def counts(self) -> dict[str, int]:
        """Count the uploads in each state."""
        return dict(await self.member.ask(sql.COUNTS))

    async def page(self, after: int, size: int) -> list[tuple[int, Record]]:
        """Return up to *size* records whose number is above *after*, in order, each with its number."""
        rows = await self.member.ask(sql.PAGE, after=after, size=size)
        return [(row[0], Record(bytes(row[1]), *row[2:])) for row in rows]

    async def superseded(self, after: int, size: int) -> list[tuple[int, Record, str]]:
        """Return a page of the uploads that were replaced by a later one, each with the later one's uri."""
        # On a connection of its own: of millions it takes minutes, in which no claim may run out.
        reading = Database(self.member.address, "reading", _LONGEST_READ)

        async def read(connection: Connection) -> Rows:
            values = {"after": after, "size": size}
            return await (await connection.execute(sql.SUPERSEDED.encode(), values)).fetchall()

        try:
            rows = await reading.transact(read)
        except DatabaseError as error:
            raise self.member.error(error) from None
        finally:
            await reading.close()
        return [(row[0], Record(bytes(row[1]), *row[2:-1]), row[-1]) for row in rows]

    async def decide(self, sha256: str, custom_name: str, uri: str | None) -> bool:
        """Record what became of an upload that is unknown; return whether there was one."""
        state = "pending" if uri is None else "recovered"
        return bool(
            await self.member.ask(sql.DECIDE, sha256=sha256, custom_name=custom_name, uri=uri, state=state)
        )

    async def forget(self, uri: str) -> bool:
        """Record that a voice does not exist any more; return whether it was an upload's."""
        return bool(await self.member.ask(sql.FORGET, uri=uri))


def _texts(entry: Entry) -> dict[str, str]:
    return {name: _text(getattr(entry, name)) for name in ("audio", "sha256", "model", "custom_name", "text")}


def _text(text: str) -> str:
    """Return a text as the database can hold it: without NUL, which PostgreSQL has no room for."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
