"""The beginning of a run: whose journal it is, and what became of the uploads that the last run left open."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import partial
from math import inf

from attrs import field, frozen

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.store import Record, Store
from siliconflow_voice.errors import JournalError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.recovery import Likeness, likeness
from siliconflow_voice.uploads.uploader import Uploader

__all__ = ["Before", "Resumption", "resolve", "resume"]


@frozen
class Before:
    """The uris that the account had when the last run began, as sorted hashes of eight bytes."""

    _hashes: array[int] = field(factory=lambda: array("Q"), repr=False)

    @classmethod
    def of(cls, uris: Iterable[str]) -> Before:
        """Take them down."""
        return cls(array("Q", sorted(map(_hash, uris))))

    @classmethod
    def load(cls, blob: bytes | None) -> Before:
        """Read what :meth:`dump` wrote."""
        hashes = array("Q")
        hashes.frombytes(blob or b"")
        return cls(hashes)

    def dump(self) -> bytes:
        """Give them as bytes."""
        return self._hashes.tobytes()

    def __contains__(self, uri: str) -> bool:
        wanted = _hash(uri)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


@frozen
class Resumption:
    """What became of the uploads that were left open."""

    found: dict[bytes, Voice]
    """Those that were stored, by their key."""
    absent: frozenset[bytes]
    """Those that were not."""
    doubtful: dict[bytes, tuple[Voice, ...]]
    """Those of which it can't be told, with the voices that could be theirs."""


async def resume(journal: Journal, uploader: Uploader, *, settle: float) -> Resumption:
    """Make sure that a journal is this account's, and look up what was left open, in one listing.

    Args:
        journal: Open.
        uploader: Of the client.
        settle: Seconds that the service is given to finish with what it was sent before the last run ended.

    Raises:
        JournalError: It is another account's, or can't be used.
        APIStatusError: The account can't be listed; as are APIConnectionError and InvalidResponseError.
    """
    key, address = uploader.settings.api_key, str(uploader.settings.base_url)
    # What is raised is not raised in the journal's thread: a refusal is none of its failures.
    made_at, same_key, deadline = await journal.transact(partial(_origin, key=key))
    if made_at not in {None, address}:
        raise JournalError(f"The journal {journal.path} is of uploads to {made_at}, not to {address}")
    unknown = await journal.transact(Store.unknown)
    if unknown:
        # They were begun at the latest then, and could be under way until the deadline of that run. The clock
        # is that on the wall, since it was another process; one that was set back makes it wait no longer.
        over = max(record.at for record in unknown) + deadline
        await asyncio.sleep(min(settle, max(0.0, over + settle - time.time())))
    voices = await uploader.list_voices(uploader.until())
    if not same_key:
        _check_account(journal, await journal.transact(Store.any_uri), unknown, voices)
    resumption = await journal.transact(partial(_look_up, unknown=unknown, voices=voices))
    await journal.transact(
        partial(
            _take_down,
            resumption=resumption,
            voices=voices,
            key=key,
            address=address,
            deadline=uploader.settings.retry.deadline,
        )
    )
    for voice in resumption.found.values():
        uploader.known.add(voice.uri)
    if not uploader.known.busy:
        uploader.known.learn(hash(voice.uri) for voice in voices)
    return resumption


def resolve(unknown: Collection[Record], candidates: Iterable[Voice]) -> Resumption:
    """Say what became of uploads, by the voices that were not there before and are nobody else's.

    Two uploads that are alike in model, name and text can't be told apart by a listing: one new voice is
    then either's. None at all was neither's.
    """
    alike: dict[Likeness, list[Voice]] = defaultdict(list)
    for voice in candidates:
        alike[likeness(voice)].append(voice)
    rivals: dict[Likeness, list[bytes]] = defaultdict(list)
    for record in unknown:
        rivals[likeness(record)].append(record.key)
    found: dict[bytes, Voice] = {}
    absent: set[bytes] = set()
    doubtful: dict[bytes, tuple[Voice, ...]] = {}
    for like, keys in rivals.items():
        match alike[like]:
            case []:
                absent.update(keys)
            case [voice] if len(keys) == 1:
                found[keys[0]] = voice
            case several:
                doubtful.update(dict.fromkeys(keys, tuple(several)))
    return Resumption(found, frozenset(absent), doubtful)


def _look_up(store: Store, *, unknown: list[Record], voices: list[Voice]) -> Resumption:
    names = {record.custom_name for record in unknown}
    named = [voice for voice in voices if voice.custom_name in names]
    before = Before.load(store.fact("before"))
    others = store.uris_of(sorted({voice.custom_name for voice in named}))
    return resolve(unknown, (voice for voice in named if voice.uri not in others and voice.uri not in before))


def _take_down(
    store: Store,
    *,
    resumption: Resumption,
    voices: list[Voice],
    key: str,
    address: str,
    deadline: float | None,
) -> None:
    for upload, voice in resumption.found.items():
        store.done(upload, "recovered", voice.uri)
    for upload in resumption.absent:
        store.not_stored(upload)
    # What may be an open upload's voice must not count as old the next time either.
    open_ones = {voice.uri for candidates in resumption.doubtful.values() for voice in candidates}
    store.set_fact("before", Before.of(voice.uri for voice in voices if voice.uri not in open_ones).dump())
    store.set_fact("address", address)
    store.set_fact("deadline", str(inf if deadline is None else deadline))
    salt = secrets.token_bytes(16)
    store.set_fact("salt", salt)
    store.set_fact("fingerprint", _fingerprint(key, salt))


def _origin(store: Store, *, key: str) -> tuple[str | None, bool, float]:
    """Tell to what address the last run sent, if there was one, whether with this key, and its deadline."""
    made_at = store.fact("address")
    if made_at is None:
        return None, True, inf
    same_key = bool(store.fact("fingerprint") == _fingerprint(key, store.fact("salt")))
    return made_at, same_key, float(store.fact("deadline"))


def _check_account(journal: Journal, uri: str | None, unknown: list[Record], voices: list[Voice]) -> None:
    """Refuse a journal of another account: a key may be new, the account's part of its uris stays."""
    if uri is None and not unknown:
        return  # nothing in it is anybody's
    theirs, ours = _account(uri or ""), {_account(voice.uri) for voice in voices} - {""}
    if not theirs or not ours:
        raise JournalError(
            f"The journal {journal.path} was written with another key, and nothing shows that it is the same "
            f"account's: use the key of then. Another journal sends again what was under way ({len(unknown)})"
        )
    if theirs not in ours:
        raise JournalError(
            f"The journal {journal.path} is of account {theirs}; this key is of {', '.join(sorted(ours))}"
        )


def _account(uri: str) -> str:
    """Give the account's part of ``speech:<name>:<account>:<random>``, or nothing."""
    parts = uri.rsplit(":", 2)
    return parts[1] if len(parts) == 3 else ""


def _fingerprint(key: str, salt: bytes) -> bytes:
    # Cut short: it fits any number of keys, and is computed from by nobody.
    return hashlib.blake2b(key.encode(), salt=salt, digest_size=4).digest()


def _hash(uri: str) -> int:
    return int.from_bytes(hashlib.blake2b(uri.encode(), digest_size=8).digest(), "big")
