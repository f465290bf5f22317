"""Finds out whether an upload whose answer was lost has made its voice."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Literal, Protocol, TypeAlias

from attrs import define, evolve, field

from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Voice

__all__ = ["KnownVoices", "Likeness", "OnAmbiguous", "likeness"]

OnAmbiguous: TypeAlias = Literal["reconcile", "raise", "retry"]

# Seconds until a listing that failed is tried again, along with some upload.
_TRY_AGAIN = 60.0


class _Described(Protocol):
    """Anything that is to become a voice, or is one."""

    @property
    def model(self) -> str: ...
    @property
    def custom_name(self) -> str: ...
    @property
    def text(self) -> str: ...


ListVoices: TypeAlias = Callable[[], Awaitable[list[Voice]]]
Likeness: TypeAlias = "tuple[str, str, str]"


@define(eq=False)
class KnownVoices:
    """The uris that an account had before, so that a new one can be told from an old one of the same name.

    Kept as hashes, eight bytes each: an account may have very many voices, and a run may make them.
    """

    complete: bool = False
    """Whether the account was listed: from then on, what an upload finds in addition is new."""
    _listed: set[int] = field(factory=set[int], repr=False)
    _made: array[int] = field(factory=lambda: array("q"), repr=False)
    """Not a set: it grows with each upload, and is searched only when an answer was lost."""
    _try_again_at: float = 0.0
    _under_way: Counter[Likeness] = field(factory=Counter[Likeness], repr=False)
    _listing: asyncio.Lock = field(factory=asyncio.Lock, repr=False)
    _lost: set[Likeness] = field(factory=set["Likeness"], repr=False)
    """Of uploads that may have been stored, and whose voices nobody has found."""
    _searching: int = 0
    _latest: tuple[float, list[Voice]] | None = field(default=None, repr=False)
    """When the latest listing for a search began, and what it found; kept while somebody searches."""

    def __contains__(self, uri: str) -> bool:
        return hash(uri) in self._listed or hash(uri) in self._made

    @property
    def busy(self) -> bool:
        """Whether an upload is under way, whose voice a listing could show already."""
        return bool(self._under_way)

    def add(self, uri: str) -> None:
        """Remember a voice that some upload is known to have made."""
        self._made.append(hash(uri))

    def learn(self, voices: list[Voice]) -> None:
        """Remember all that the account has."""
        self._listed.update(hash(voice.uri) for voice in voices)
        self.complete = True

    def lose(self, wanted: Voice) -> None:
        """Note that an upload may have been stored, and that nobody looks for its voice any more."""
        self._lost.add(likeness(wanted))

    @contextmanager
    def uploading(self, wanted: Voice) -> Generator[None, None, None]:
        """Note that an upload is under way, whose voice is not to be taken for another's."""
        like = likeness(wanted)
        self._under_way[like] += 1
        try:
            yield
        finally:
            self._under_way[like] -= 1
            if not self._under_way[like]:
                del self._under_way[like]

    async def prepare(self, list_voices: ListVoices, *, until: float | None) -> bool:
        """List the account, once for all; tell whether that has succeeded by the loop's time *until*.

        If it fails, uploads go on, an unknown outcome of theirs is raised, and a later upload tries again.
        """
        try:
            async with asyncio.timeout_at(until), self._listing:
                now = asyncio.get_running_loop().time()
                if not self.complete and now >= self._try_again_at:
                    self._try_again_at = now + _TRY_AGAIN
                    self.learn(await list_voices())
        except (SiliconFlowError, TimeoutError):
            return False
        except asyncio.CancelledError:
            self._try_again_at = 0.0  # it was not the service that failed: let another try
            raise
        return self.complete

    async def find(self, wanted: Voice, list_voices: ListVoices) -> Voice | AmbiguousUploadError | None:
        """Look for a voice like *wanted* that was not there before.

        Returns:
            The voice, marked as recovered; None if it was not stored; an error if there are several, or if
            that can't be told.
        """
        try:
            voices = await self._list_since(asyncio.get_running_loop().time(), list_voices)
        except SiliconFlowError as error:
            return AmbiguousUploadError(
                f"The upload's answer was lost, and the account can't be listed: {error}"
            )
        like = likeness(wanted)
        found = [voice for voice in voices if likeness(voice) == like and voice.uri not in self]
        if not found:
            return None
        rivals = self._under_way[like] + (like in self._lost)
        if len(found) > 1 or rivals > 1:
            return AmbiguousUploadError(
                f"The upload's answer was lost, and more than one upload or voice could be the one: "
                f"{len(found)} new in the account, {rivals} such uploads of which nobody knows",
                candidates=tuple(found),
            )
        self.add(found[0].uri)
        return evolve(found[0], recovered=True)

    async def _list_since(self, asked_at: float, list_voices: ListVoices) -> list[Voice]:
        """List the account; those who ask while it is being listed share the next listing."""
        self._searching += 1
        try:
            async with self._listing:
                if self._latest is None or self._latest[0] < asked_at:
                    began = asyncio.get_running_loop().time()
                    self._latest = began, await list_voices()
                return self._latest[1]
        finally:
            self._searching -= 1
            if not self._searching:
                self._latest = None


def likeness(described: _Described) -> Likeness:
    """Give what a listing tells uploads apart by: those of one model, name and text are alike."""
    # Whether the service keeps the ends of a transcript as they were is not known.
    return described.model, described.custom_name, described.text.strip()
