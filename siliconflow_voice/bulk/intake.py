"""Takes the uploads of a run one by one, from whatever iterable they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeAlias

from attrs import define, field

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.uploads import VoiceUpload

__all__ = ["Intake", "Uploads"]

Uploads: TypeAlias = "Iterable[VoiceUpload] | AsyncIterable[VoiceUpload]"


@define(eq=False)
class Intake:
    """Gives each upload its index."""

    _uploads: Uploads
    _iterator: AsyncIterator[VoiceUpload] = field(init=False)
    _taken: int = field(default=0, init=False)
    _exhausted: bool = field(default=False, init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        uploads = self._uploads
        self._iterator = aiter(uploads) if isinstance(uploads, AsyncIterable) else _asynchronous(uploads)

    async def take(self) -> tuple[int, VoiceUpload] | None:
        """Give the next one, or None if there is none left.

        Raises:
            ConfigurationError: It is no upload.
            Exception: Whatever the iterable raises.
        """
        async with self._turn:
            if self._exhausted:
                return None
            try:
                upload: object = await anext(self._iterator)
            except StopAsyncIteration:
                self._exhausted = True
                return None
            index, self._taken = self._taken, self._taken + 1
        if not isinstance(upload, VoiceUpload):
            raise ConfigurationError(
                f"uploads gave a {type(upload).__name__} in place of VoiceUpload {index}"
            )
        return index, upload


async def _asynchronous(uploads: Iterable[VoiceUpload]) -> AsyncIterator[VoiceUpload]:
    for upload in uploads:
        yield upload
