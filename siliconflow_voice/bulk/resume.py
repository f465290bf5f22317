"""The beginning of a run: whose journal it is, and what became of what the last run left unknown."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable

from attrs import define, field, frozen

from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import BEAT, LastRun, Record
from siliconflow_voice.calls.events import SettleEvent
from siliconflow_voice.calls.history import guarded
from siliconflow_voice.errors import JournalError
from siliconflow_voice.models import Voice
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.recovery import Likeness, likeness
from siliconflow_voice.uploads.uploader import Uploader

__all__ = ["Listed", "Resumption", "check_account", "fingerprint_of", "old_ones", "resolve", "resume"]

logger = logging.getLogger("siliconflow_voice")


@define(eq=False)
class Listed:
    """What is kept of the account's list, as it comes: of most voices, sixteen bytes."""

    _names: frozenset[str]
    """Of the voices that are kept whole."""
    known: array[int] = field(factory=lambda: array("q"), init=False)
    """The hashes of the uris, as the client's memory has them."""
    accounts: set[str] = field(factory=set[str], init=False)
    """The account's part of the uris: more than one, if it lists others' voices too."""
    _hashes: array[int] = field(factory=lambda: array("Q"), init=False)

    def keep(self, voice: Voice) -> bool:
        """Note a voice; return whether it is to be kept whole."""
        self.known.append(hash(voice.uri))
        self._hashes.append(_hash(voice.uri))
        if account := _account(voice.uri):
            self.accounts.add(account)
        return voice.custom_name in self._names

    def before(self, but: Iterable[str]) -> bytes:
        """Return all uris *but* some as hashes of eight bytes, for the next run."""
        others = set(map(_hash, but))
        return array("Q", (number for number in self._hashes if number not in others)).tobytes()


def old_ones(before: bytes, uris: Iterable[str]) -> set[str]:
    """Return those of some uris that are among the hashes of :meth:`Listed.before`."""
    wanted = {_hash(uri): uri for uri in uris}
    hashes = array("Q")
    hashes.frombytes(before)
    return {wanted[number] for number in hashes if number in wanted}


@frozen
class Resumption:
    """What became of the uploads that were unknown."""

    found: dict[bytes, Voice]
    """The voices of those that were stored, by their key."""
    absent: frozenset[bytes]
    """The keys of those that were not stored."""
    ambiguous: dict[bytes, tuple[Voice, ...]]
    """The others, by their key, with the voices that could be theirs."""


async def resume(journal: SQLiteJournal, uploader: Uploader, *, settle: float) -> Resumption:
    """Check that a journal is this account's, and look up the unknown uploads, in one listing.

    Args:
        journal: Open, and this run's.
        uploader: Of the client.
        settle: Seconds that have to be over since the last run's end, before an upload that is missing from
            the voice list counts as not stored.

    Raises:
        JournalError: It is another account's, or can't be used.
        APIStatusError: The account can't be listed; as are APIConnectionError and InvalidResponseError.
    """
    key, address = uploader.settings.api_key, str(uploader.settings.base_url)
    last = await journal.last_run()
    if last is not None and last.address != address:
        raise JournalError(f"The journal {journal.path} records uploads to {last.address}, not to {address}")
    unknown = await journal.unknown()
    await _let_settle(journal.path, uploader, unknown, last, settle)
    names = frozenset(record.custom_name for record in unknown)
    listed = Listed(names)
    voices = await uploader.list_voices(uploader.until(), listed.keep)
    if last is not None and last.fingerprint != fingerprint_of(key, last.salt):
        check_account(journal.path, await journal.any_uri(), len(unknown), listed.accounts)
    others = await journal.uris_of(names)
    salt = secrets.token_bytes(16)
    with OwnThread("resume") as thread:
        uris = [voice.uri for voice in voices]
        old = await thread.run(old_ones, b"" if last is None else last.before, uris)
        candidates = [voice for voice in voices if voice.uri not in old and voice.uri not in others]
        resumption = resolve(unknown, candidates)
        # What may be an unknown upload's voice must not count as old the next time either.
        still_open = [voice.uri for several in resumption.ambiguous.values() for voice in several]
        before = await thread.run(listed.before, still_open)
    await journal.begin_run(
        LastRun(address, salt, fingerprint_of(key, salt), time.time() + BEAT, before),
        found={upload: voice.uri for upload, voice in resumption.found.items()},
        absent=resumption.absent,
    )
    for voice in resumption.found.values():
        uploader.known.add(voice.uri)
    if not uploader.known.busy:
        uploader.known.learn(listed.known)
    return resumption


async def _let_settle(
    path: object, uploader: Uploader, unknown: Collection[Record], last: LastRun | None, settle: float
) -> None:
    """Wait until the service must be done with what the last run had under way as it ended."""
    if not unknown:
        return
    # The clock is that on the wall, since it was another process; one that was set back makes this wait for
    # *settle*, and no longer.
    over = max([record.at for record in unknown] + ([] if last is None else [last.alive_at]))
    seconds = min(settle, max(0.0, over + settle - time.time()))
    if seconds:
        logger.info("%s: waits %.2f s for %d unknown uploads of the last run", path, seconds, len(unknown))
        if (on_event := uploader.settings.on_event) is not None:
            number = next(uploader.engine.numbers)
            guarded(on_event, SettleEvent(number, "upload_many", str(path), seconds, len(unknown)))
        await asyncio.sleep(seconds)


def resolve(unknown: Collection[Record], candidates: Iterable[Voice]) -> Resumption:
    """Decide what became of uploads, by the voices that were not there before and are no other upload's.

    Two uploads that are alike in model, name and text can't be told apart by a listing: one new voice could
    be either's. If there is none, neither was stored.
    """
    alike: dict[Likeness, list[Voice]] = defaultdict(list)
    for voice in candidates:
        alike[likeness(voice)].append(voice)
    rivals: dict[Likeness, list[bytes]] = defaultdict(list)
    for record in unknown:
        rivals[likeness(record)].append(record.key)
    found: dict[bytes, Voice] = {}
    absent: set[bytes] = set()
    ambiguous: dict[bytes, tuple[Voice, ...]] = {}
    for like, keys in rivals.items():
        match alike[like]:
            case []:
                absent.update(keys)
            case [voice] if len(keys) == 1:
                found[keys[0]] = voice
            case several:
                ambiguous.update(dict.fromkeys(keys, tuple(several)))
    return Resumption(found, frozenset(absent), ambiguous)


def check_account(path: object, uri: str | None, unknown: int, listed: set[str]) -> None:
    """Refuse a journal of another account: a key may be new, the account's part of its uris stays."""
    if uri is None and not unknown:
        return  # there is nothing of any account in it
    recorded = _account(uri or "")
    if not recorded or not listed:
        raise JournalError(
            f"The journal {path} was written with another key, and nothing shows that the account is the "
            f"same: use that key. With another journal, what was under way ({unknown}) is sent again"
        )
    if recorded not in listed:
        raise JournalError(
            f"The journal {path} belongs to account {recorded}, and this key to {', '.join(sorted(listed))}: "
            f"use that account's key, or another journal"
        )


def _account(uri: str) -> str:
    """Return the account's part of ``speech:<name>:<account>:<random>``, or an empty string."""
    parts = uri.rsplit(":", 2)
    return parts[1] if len(parts) == 3 else ""


def fingerprint_of(key: str, salt: bytes) -> bytes:
    """Return what tells an API key from most others, and nothing else of it."""
    # Cut short: it fits any number of keys, and none can be computed from it.
    return hashlib.blake2b(key.encode(), salt=salt, digest_size=4).digest()


def _hash(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode(), digest_size=8).digest(), "big")
