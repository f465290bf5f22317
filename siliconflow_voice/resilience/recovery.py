"""Finds out whether an upload whose answer was lost has made its voice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from attrs import define, evolve, field

from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Voice

__all__ = ["KnownVoices", "OnAmbiguous"]

OnAmbiguous: TypeAlias = Literal["reconcile", "raise", "retry"]

# Seconds until a listing that failed is tried again, along with some upload.
_TRY_AGAIN = 60.0

ListVoices: TypeAlias = Callable[[], Awaitable[list[Voice]]]


@define(eq=False)
class KnownVoices:
    """The uris that an account had before, so that a new one can be told from an old one of the same name.

    Kept as hashes: eight bytes each, for accounts with very many voices.
    """

    complete: bool = False
    """Whether the account was listed: from then on, what an upload finds in addition is new."""
    _hashes: set[int] = field(factory=set[int], repr=False)
    _try_again_at: float = 0.0
    _listing: asyncio.Lock = field(factory=asyncio.Lock, repr=False)

    def add(self, uri: str) -> None:
        """Remember a voice that some upload is known to have made."""
        self._hashes.add(hash(uri))

    async def prepare(self, list_voices: ListVoices) -> bool:
        """List the account, once for all; tell whether that has succeeded.

        If it fails, uploads go on, an unknown outcome of theirs is raised, and a later upload tries again.
        """
        async with self._listing:
            now = asyncio.get_running_loop().time()
            if not self.complete and now >= self._try_again_at:
                try:
                    voices = await list_voices()
                except SiliconFlowError:
                    self._try_again_at = now + _TRY_AGAIN
                else:
                    self._hashes.update(hash(voice.uri) for voice in voices)
                    self.complete = True
        return self.complete

    async def find(self, wanted: Voice, list_voices: ListVoices) -> Voice | None:
        """Look for a voice like *wanted* that was not there before.

        Returns:
            It, marked as recovered; None if it was not stored.

        Raises:
            AmbiguousUploadError: There are several, or there is no telling.
        """
        try:
            voices = await list_voices()
        except SiliconFlowError as error:
            raise AmbiguousUploadError(
                f"The upload's answer was lost, and the account can't be listed: {error}"
            ) from None
        found = [voice for voice in voices if hash(voice.uri) not in self._hashes and _alike(voice, wanted)]
        if len(found) > 1:
            raise AmbiguousUploadError(
                f"The upload's answer was lost, and {len(found)} new voices could be the one",
                candidates=tuple(found),
            )
        if not found:
            return None
        self.add(found[0].uri)
        return evolve(found[0], recovered=True)


def _alike(voice: Voice, wanted: Voice) -> bool:
    # Whether the service keeps the ends of a transcript as they were is not known.
    return (voice.model, voice.custom_name, voice.text.strip()) == (
        wanted.model,
        wanted.custom_name,
        wanted.text.strip(),
    )
