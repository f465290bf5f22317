"""Takes the uploads of a run one by one, from whatever iterable they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeAlias

from attrs import define, field

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.uploads import VoiceUpload

__all__ = ["Intake", "Uploads"]

Uploads: TypeAlias = "Iterable[VoiceUpload] | AsyncIterable[VoiceUpload]"

_END = object()


def _iterator(uploads: Uploads) -> AsyncIterator[VoiceUpload] | Iterator[VoiceUpload]:
    return aiter(uploads) if isinstance(uploads, AsyncIterable) else iter(uploads)


@define(eq=False)
class Intake:
    """Gives each upload its index."""

    _uploads: AsyncIterator[VoiceUpload] | Iterator[VoiceUpload] = field(converter=_iterator)
    _taken: int = field(default=0, init=False)
    _exhausted: bool = field(default=False, init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def take(self) -> tuple[int, VoiceUpload] | None:
        """Give the next one, or None if there is none left.

        Raises:
            ConfigurationError: It is no upload.
            Exception: Whatever the iterable raises.
        """
        async with self._turn:
            if self._exhausted:
                return None
            upload: object
            if isinstance(self._uploads, AsyncIterator):
                upload = await anext(self._uploads, _END)
            else:
                upload = next(self._uploads, _END)
            if upload is _END:
                self._exhausted = True
                return None
            index, self._taken = self._taken, self._taken + 1
        if not isinstance(upload, VoiceUpload):
            raise ConfigurationError(
                f"uploads gave a {type(upload).__name__} in place of VoiceUpload {index}"
            )
        return index, upload
