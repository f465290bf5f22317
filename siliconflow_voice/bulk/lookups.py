"""Finds out what became of unknown uploads, by one listing for all processes that share a journal."""

from __future__ import annotations

import asyncio
import secrets

from attrs import define

from siliconflow_voice.bulk.postgres import Account, PostgresJournal
from siliconflow_voice.bulk.resume import Listed, check_account, fingerprint_of, old_ones, resolve
from siliconflow_voice.errors import AmbiguousUploadError, JournalError, SiliconFlowError
from siliconflow_voice.models import Voice
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.uploader import Uploader

__all__ = ["Lookups"]

# Seconds between two looks at what another process is finding out.
_POLL = 0.25


@define(eq=False)
class Lookups:
    """The lookups of one run.

    Whatever has to be looked up says so in the journal; one process at a time lists the account, for all that
    said so before, and records what it found. An account of a million voices is listed once for all of them.
    """

    journal: PostgresJournal
    uploader: Uploader

    async def begin(self) -> None:
        """Check that the journal is this account's, or make it so, by a listing of what is there before.

        Raises:
            JournalError: It is another account's, or can't be used.
            SiliconFlowError: The account can't be listed.
        """
        settings, journal = self.uploader.settings, self.journal
        address = str(settings.base_url)
        account = await journal.account()
        while account is None:
            if await journal.begin_lookup():
                try:
                    if await journal.account() is None:
                        await self._begin_account(address)
                finally:
                    await journal.end_lookup()
            else:
                await asyncio.sleep(_POLL)
            account = await journal.account()
        if account.address != address:
            raise JournalError(
                f"The journal {journal.shown} records uploads to {account.address}, not to {address}"
            )
        fingerprint = fingerprint_of(settings.api_key, account.salt)
        if not await journal.knows(fingerprint):
            listed, _ = await self._list(frozenset(), None)
            unknown = (await journal.counts()).get("unknown", 0)
            check_account(journal.shown, await journal.any_uri(), unknown, listed.accounts)
            await journal.trust(fingerprint)

    async def look_up(
        self, key: bytes, until: float | None, *, part_of_another: bool = False
    ) -> Voice | AmbiguousUploadError | None:
        """Find out what became of an upload that is to be looked up, by the loop's time *until*.

        Returns:
            Its voice, marked as recovered; None if it was not stored; an error if that can't be told, or not
            in time.
        """
        try:
            async with asyncio.timeout_at(until):
                while True:
                    record, seconds, candidates = await self.journal.looked_up(key)
                    if seconds is None:
                        break
                    if seconds > 0:
                        await asyncio.sleep(seconds)
                    elif await self.journal.begin_lookup():
                        await self._look_up_all(until, part_of_another=part_of_another)
                    else:
                        await asyncio.sleep(_POLL)
        except TimeoutError:
            return AmbiguousUploadError(
                "An upload's answer was lost, and the deadline passed before its voice was looked up"
            )
        except JournalError:
            raise
        except SiliconFlowError as error:
            return AmbiguousUploadError(
                f"An upload's answer was lost, and listing the account to find its voice failed: {error}"
            )
        if record.uri is not None:
            return Voice(record.uri, record.model, record.custom_name, record.text, recovered=True)
        if record.state != "unknown":
            return None
        voices = [Voice(uri, record.model, record.custom_name, record.text) for uri in candidates]
        return AmbiguousUploadError(
            f"The upload's answer was lost, and its voice can't be told apart: {len(voices)} of the "
            f"account's voices could be its own or another upload's",
            candidates=tuple(voices),
        )

    async def _look_up_all(self, until: float | None, *, part_of_another: bool) -> None:
        """Look up all that may be by now, being the one process that does."""
        journal = self.journal
        try:
            unknown = await journal.to_look_up()
            names = frozenset(record.custom_name for record in unknown)
            _, voices = await self._list(names, until, part_of_another=part_of_another)
            # An upload under way may have made one of them: first these, then what was recorded meanwhile.
            rivals = await journal.rivals(names, [record.key for record in unknown])
            others = await journal.uris_of(names)
            account = await journal.account()
            with OwnThread("lookup") as thread:
                before = b"" if account is None else account.before
                old = await thread.run(old_ones, before, [voice.uri for voice in voices])
            new = [voice for voice in voices if voice.uri not in old and voice.uri not in others]
            came_to = resolve([*unknown, *rivals], new)
            wanted = {record.key for record in unknown}
            await journal.resolve(
                {key: voice.uri for key, voice in came_to.found.items() if key in wanted},
                came_to.absent & wanted,
                {
                    key: [voice.uri for voice in voices]
                    for key, voices in came_to.ambiguous.items()
                    if key in wanted
                },
            )
        finally:
            await journal.end_lookup()

    async def _begin_account(self, address: str) -> None:
        """Record whose journal it is, and which voices are there before."""
        listed, _ = await self._list(frozenset(), None)
        with OwnThread("listing") as thread:
            before = await thread.run(listed.before, ())
        account = Account(address, secrets.token_bytes(16), before)
        fingerprint = fingerprint_of(self.uploader.settings.api_key, account.salt)
        await self.journal.begin_account(account, fingerprint)

    async def _list(
        self, names: frozenset[str], until: float | None, *, part_of_another: bool = False
    ) -> tuple[Listed, list[Voice]]:
        listed = Listed(names)
        by = self.uploader.until() if until is None else until
        voices = await self.uploader.list_voices(by, listed.keep, part_of_another=part_of_another)
        return listed, voices
