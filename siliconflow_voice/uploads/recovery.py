"""Finds out whether an upload whose answer was lost was stored."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TypeAlias

from attrs import define, evolve, field

from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.searching import SharedListings

__all__ = ["Keep", "KnownVoices", "Likeness", "ListVoicesUntil", "OnAmbiguous", "Recovery", "likeness"]

OnAmbiguous: TypeAlias = Literal["reconcile", "raise", "retry"]

# Seconds after which an upload tries a listing again that has failed.
_TRY_AGAIN = 60.0
# Uploads that are remembered as lost, the latest ones.
_MOST_LOST = 10_000


class _Described(Protocol):
    """A voice, or an upload that is to become one."""

    @property
    def model(self) -> str: ...
    @property
    def custom_name(self) -> str: ...
    @property
    def text(self) -> str: ...


Keep: TypeAlias = Callable[[Voice], bool]
ListVoices: TypeAlias = Callable[[Keep], Awaitable[list[Voice]]]
"""Lists the account, and returns those voices that are to be kept."""
ListVoicesUntil: TypeAlias = "Callable[[float | None, Keep], Awaitable[list[Voice]]]"
"""Likewise, by the loop's time that it is called with."""
Likeness: TypeAlias = "tuple[str, str, str]"


class Recovery(Protocol):
    """What an upload asks of whatever looks for its voice after a lost answer."""

    @property
    def complete(self) -> bool:
        """Whether it is known what there was before: without that, nothing can be looked up."""
        ...

    def uploading(self, wanted: Voice) -> AbstractContextManager[None]:
        """Return a scope in which the upload is under way."""
        ...

    def add(self, uri: str) -> None:
        """Note the voice that the upload has made."""
        ...

    def lose(self, wanted: Voice) -> None:
        """Note that the upload may have been stored, and that the search for its voice is over."""
        ...

    async def find(
        self, wanted: Voice, list_voices: ListVoicesUntil, *, until: float | None
    ) -> Voice | AmbiguousUploadError | None:
        """Look for its voice by the loop's time *until*; return None if it was not stored."""
        ...


@define(eq=False)
class KnownVoices:
    """The uris that an account is known to have, so that a new voice can be told from an old one.

    Kept as hashes, eight bytes each: an account may have very many voices, and a run may make them.
    """

    complete: bool = False
    """Whether the account was listed: any other voice that is found later is new."""
    _listed: set[int] = field(factory=set[int], repr=False)
    _made: array[int] = field(factory=lambda: array("q"), repr=False)
    """Not a set: it grows with each upload, and is searched only when an answer was lost."""
    _try_again_at: float = 0.0
    _under_way: Counter[Likeness] = field(factory=Counter[Likeness], repr=False)
    _listing: asyncio.Lock = field(factory=asyncio.Lock, repr=False)
    _lost: dict[bytes, None] = field(factory=dict[bytes, None], repr=False)
    """Digests of uploads that may have been stored, and whose voices were not found; the latest last."""
    _searches: SharedListings[Voice] = field(factory=SharedListings[Voice], repr=False)

    def __contains__(self, uri: str) -> bool:
        return hash(uri) in self._listed or hash(uri) in self._made

    @property
    def busy(self) -> bool:
        """Whether an upload is under way: a listing may already show its voice."""
        return bool(self._under_way)

    def add(self, uri: str) -> None:
        """Add a voice that an upload has made."""
        self._made.append(hash(uri))

    def learn(self, hashes: Iterable[int]) -> None:
        """Add all voices of the account, by the hashes of their uris."""
        self._listed.update(hashes)
        self.complete = True

    def lose(self, wanted: Voice) -> None:
        """Note that an upload may have been stored, and that the search for its voice is over."""
        digest = _digest(likeness(wanted))
        self._lost.pop(digest, None)
        self._lost[digest] = None
        if len(self._lost) > _MOST_LOST:
            del self._lost[next(iter(self._lost))]

    @contextmanager
    def uploading(self, wanted: Voice) -> Generator[None, None, None]:
        """Note that an upload is under way, so that its voice is not taken for another's."""
        like = likeness(wanted)
        self._under_way[like] += 1
        try:
            yield
        finally:
            self._under_way[like] -= 1
            if not self._under_way[like]:
                del self._under_way[like]

    async def prepare(self, list_voices: ListVoices, *, until: float | None) -> bool:
        """List the account, once for all uploads; return whether that succeeded by the loop's time *until*.

        If it fails, uploads go on, their unknown outcomes are raised, and a later upload lists again.
        """
        try:
            async with asyncio.timeout_at(until), self._listing:
                now = asyncio.get_running_loop().time()
                if not self.complete and now >= self._try_again_at:
                    self._try_again_at = now + _TRY_AGAIN
                    await list_voices(self._note)
                    self.complete = True
        except (SiliconFlowError, TimeoutError):
            return False
        except asyncio.CancelledError:
            self._try_again_at = 0.0  # the service did not fail: another upload may list at once
            raise
        return self.complete

    def _note(self, voice: Voice) -> bool:
        """Add a voice that existed before, of which only the hash is kept."""
        self._listed.add(hash(voice.uri))
        return False

    def _is_like_one_under_way(self, voice: Voice) -> bool:
        return likeness(voice) in self._under_way

    async def find(
        self, wanted: Voice, list_voices: ListVoicesUntil, *, until: float | None
    ) -> Voice | AmbiguousUploadError | None:
        """Look for a new voice like *wanted*, by the loop's time *until*.

        Returns:
            The voice, marked as recovered; None if it was not stored; an error if there are several, or if
            the account can't be listed.
        """
        try:
            voices = await self._searches.list_by(
                until, lambda latest: list_voices(latest, self._is_like_one_under_way)
            )
        except SiliconFlowError as error:
            return AmbiguousUploadError(
                f"The upload's answer was lost, and listing the account to find its voice failed: {error}"
            )
        like = likeness(wanted)
        found = [voice for voice in voices if likeness(voice) == like and voice.uri not in self]
        if not found:
            return None
        rivals = self._under_way[like] + (_digest(like) in self._lost)
        if len(found) > 1 or rivals > 1:
            return AmbiguousUploadError(
                f"The upload's answer was lost, and its voice can't be told apart: new voices with this "
                f"model, name and text: {len(found)}; uploads of them with an unknown outcome: {rivals}",
                candidates=tuple(found),
            )
        self.add(found[0].uri)
        return evolve(found[0], recovered=True)


def likeness(described: _Described) -> Likeness:
    """Return the model, name and text, by which alone a listing tells voices apart."""
    # Whether the service keeps the ends of a transcript as they were is not known.
    return described.model, described.custom_name, described.text.strip()


def _digest(like: Likeness) -> bytes:
    # The lengths keep the three apart.
    joined = "".join(f"{len(part)}:{part}" for part in like)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()
