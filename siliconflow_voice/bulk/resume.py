"""The beginning of a run: whose journal it is, and what became of what the last run left unknown."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable
from math import inf
from pathlib import Path

from attrs import field, frozen

from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import LastRun, Record
from siliconflow_voice.errors import JournalError
from siliconflow_voice.models import Voice
from siliconflow_voice.threads import OwnThread
from siliconflow_voice.uploads.recovery import Likeness, likeness
from siliconflow_voice.uploads.uploader import Uploader

__all__ = ["Before", "Resumption", "resolve", "resume"]


@frozen
class Before:
    """The uris that the account had when the last run began, as sorted hashes of eight bytes."""

    _hashes: array[int] = field(factory=lambda: array("Q"), repr=False)

    @classmethod
    def of(cls, uris: Iterable[str]) -> Before:
        """Hash them."""
        return cls(array("Q", sorted(map(_hash, uris))))

    @classmethod
    def load(cls, blob: bytes) -> Before:
        """Read what :meth:`dump` wrote."""
        hashes = array("Q")
        hashes.frombytes(blob)
        return cls(hashes)

    def dump(self) -> bytes:
        """Return them as bytes."""
        return self._hashes.tobytes()

    def __contains__(self, uri: str) -> bool:
        wanted = _hash(uri)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


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
        settle: Seconds to wait, after the last run's end, before an upload that is missing from the voice
            list counts as not stored.

    Raises:
        JournalError: It is another account's, or can't be used.
        APIStatusError: The account can't be listed; as are APIConnectionError and InvalidResponseError.
    """
    key, address = uploader.settings.api_key, str(uploader.settings.base_url)
    last = await journal.last_run()
    if last is not None and last.address != address:
        raise JournalError(f"The journal {journal.path} records uploads to {last.address}, not to {address}")
    unknown = await journal.unknown()
    if unknown:
        # They were begun at the latest then, and could be under way until the deadline of that run. The clock
        # is that on the wall, since it was another process; one that was set back makes it wait no longer.
        over = max(record.at for record in unknown) + (inf if last is None else last.deadline)
        await asyncio.sleep(min(settle, max(0.0, over + settle - time.time())))
    voices = await uploader.list_voices(uploader.until())
    if last is not None and last.fingerprint != _fingerprint(key, last.salt):
        _check_account(journal.path, await journal.any_uri(), unknown, voices)
    others = await journal.uris_of({record.custom_name for record in unknown})
    with OwnThread("resume") as thread:
        before = Before.load(last.before if last is not None else b"")
        resumption, before = await thread.run(_look_up, unknown, voices, before, others)
    salt = secrets.token_bytes(16)
    deadline = uploader.settings.retry.deadline
    await journal.begin_run(
        LastRun(address, salt, _fingerprint(key, salt), inf if deadline is None else deadline, before.dump()),
        found={upload: voice.uri for upload, voice in resumption.found.items()},
        absent=resumption.absent,
    )
    for voice in resumption.found.values():
        uploader.known.add(voice.uri)
    if not uploader.known.busy:
        uploader.known.learn(hash(voice.uri) for voice in voices)
    return resumption


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


def _look_up(
    unknown: list[Record], voices: list[Voice], before: Before, others: set[str]
) -> tuple[Resumption, Before]:
    """Return what became of the unknown uploads, and the voices that will be old ones for the next run."""
    names = {record.custom_name for record in unknown}
    candidates = (
        voice
        for voice in voices
        if voice.custom_name in names and voice.uri not in others and voice.uri not in before
    )
    resumption = resolve(unknown, candidates)
    # What may be an unknown upload's voice must not count as old the next time either.
    still_open = {voice.uri for several in resumption.ambiguous.values() for voice in several}
    return resumption, Before.of(voice.uri for voice in voices if voice.uri not in still_open)


def _check_account(path: Path, uri: str | None, unknown: list[Record], voices: list[Voice]) -> None:
    """Refuse a journal of another account: a key may be new, the account's part of its uris stays."""
    if uri is None and not unknown:
        return  # there is nothing of any account in it
    recorded, listed = _account(uri or ""), {_account(voice.uri) for voice in voices} - {""}
    if not recorded or not listed:
        raise JournalError(
            f"The journal {path} was written with another key, and nothing shows that the account is the "
            f"same: use that key. With another journal, what was under way ({len(unknown)}) is sent again"
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


def _fingerprint(key: str, salt: bytes) -> bytes:
    # Cut short: it fits any number of keys, and none can be computed from it.
    return hashlib.blake2b(key.encode(), salt=salt, digest_size=4).digest()


def _hash(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode(), digest_size=8).digest(), "big")
