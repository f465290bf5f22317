"""A run's use of a journal that other runs write to: an upload is claimed before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from attrs import Factory, define, field, frozen

from siliconflow_voice.bulk.journaling import ClaimLostError
from siliconflow_voice.bulk.lookups import Lookups
from siliconflow_voice.bulk.member import Member
from siliconflow_voice.bulk.postgres import PostgresJournal
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.database import Address
from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.recovery import ListVoicesUntil
from siliconflow_voice.uploads.uploader import Uploader
from siliconflow_voice.uploads.values import Status
from siliconflow_voice.validation import positive

__all__ = ["Claiming", "InDatabase"]

# Seconds between two looks at an upload that another run has claimed.
_POLL = 0.5


@define(eq=False)
class Claiming:
    """A journal that any number of runs write to at once."""

    journal: PostgresJournal
    _lookups: Lookups
    _settle: float

    def is_under_way(self, entry: Entry) -> bool:
        return entry.key in self.journal.one_at_a_time

    @asynccontextmanager
    async def alone(self, entry: Entry) -> AsyncGenerator[None, None]:
        async with self.journal.one_at_a_time.alone(entry.key):
            try:
                yield
            except (asyncio.CancelledError, AmbiguousUploadError):
                self.journal.release(entry)
                raise

    async def known(self, entry: Entry, waits: Callable[[], object]) -> tuple[Status, Voice] | None:
        waited = False
        while True:
            claim = await self.journal.claim(entry, self._settle)
            if claim is None:
                continue
            uri, state = claim.record.uri, claim.record.state
            if uri is not None:
                voice = Voice(uri, entry.model, entry.custom_name, entry.text, recovered=state == "recovered")
                return "skipped", voice
            if claim.mine:
                return await self._looked_up(entry) if state == "unknown" else None
            if not waited:
                waits()
                waited = True
            await asyncio.sleep(_POLL)

    async def _looked_up(self, entry: Entry) -> tuple[Status, Voice] | None:
        """Look up what became of an upload whose run ended in the middle of it."""
        found = await self._lookups.look_up(entry.key, None)
        if isinstance(found, AmbiguousUploadError):
            raise found
        return None if found is None else ("recovered", found)

    def recovery(self, entry: Entry) -> _Recovery:
        return _Recovery(self.journal, self._lookups, entry)

    async def begins(self, entry: Entry, *, first: bool) -> None:  # noqa: ARG002 - each time: it may have been taken over
        if not await self.journal.intend(entry):
            raise ClaimLostError(
                f"{entry.custom_name} was taken over by another run: this one could not reach the journal"
            )

    async def done(self, entry: Entry, voice: Voice) -> None:
        await self.journal.done(entry, voice)

    async def failed(self, entry: Entry, error: SiliconFlowError) -> None:
        await self.journal.failed(entry, error)


@frozen
class InDatabase:
    """The place of a journal that runs share."""

    url: str = field(repr=False)
    lease: float = field(validator=positive)
    patience: float = field(validator=positive)
    address: Address = field(
        init=False, default=Factory(lambda self: Address.parse(self.url), takes_self=True)
    )
    path: None = field(init=False, default=None)

    @property
    def shown(self) -> str:
        return self.address.shown

    def journal(self) -> _DatabaseJournal:
        return _DatabaseJournal(Member(self.address, self.lease, self.patience))


class _DatabaseJournal(PostgresJournal):
    """One that begins a run by checking whose it is."""

    async def begin(self, uploader: Uploader, settle: float) -> Claiming:
        lookups = Lookups(self, uploader)
        await lookups.begin()
        return Claiming(self, lookups, settle)


@frozen(eq=False)
class _Recovery:
    """Looks for the voice of one upload: the journal knows what else there is."""

    _journal: PostgresJournal
    _lookups: Lookups
    _entry: Entry

    @property
    def complete(self) -> bool:
        return True

    @contextmanager
    def uploading(self, wanted: Voice) -> Generator[None, None, None]:  # noqa: ARG002 - the journal has it
        yield

    def add(self, uri: str) -> None:
        """The journal will have it."""

    def lose(self, wanted: Voice) -> None:
        """The journal has it."""

    async def find(
        self,
        wanted: Voice,  # noqa: ARG002 - the journal has it
        list_voices: ListVoicesUntil,  # noqa: ARG002 - one process lists for all
        *,
        until: float | None,
    ) -> Voice | AmbiguousUploadError | None:
        await self._journal.look_for(self._entry.key, 0.0)
        return await self._lookups.look_up(self._entry.key, until, part_of_another=True)
