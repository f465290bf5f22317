"""Takes the uploads of a run one by one, from whatever iterable they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from typing import Any, TypeAlias

from attrs import define, field

from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.uploads.values import VoiceUpload

__all__ = ["Intake", "Uploads"]

Uploads: TypeAlias = "Iterable[VoiceUpload] | AsyncIterable[VoiceUpload]"

_END = object()


@define(eq=False)
class Intake:
    """Gives each upload its index."""

    _uploads: Uploads
    _iterator: AsyncIterator[VoiceUpload] | Iterator[VoiceUpload] = field(init=False)
    _taken: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        uploads = self._uploads
        self._iterator = aiter(uploads) if isinstance(uploads, AsyncIterable) else iter(uploads)

    async def aclose(self) -> None:
        """Close the iterator, if it is not the caller's own: one of a manifest's has a file open."""
        iterator: Any = self._iterator
        if iterator is self._uploads:
            return
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
        elif isinstance(iterator, Generator):
            iterator.close()

    async def take(self) -> tuple[int, VoiceUpload] | None:
        """Give the next one, or None if there is none left.

        Raises:
            ConfigurationError: It is no upload.
            Exception: Whatever the iterable raises.
        """
        upload: object
        if isinstance(self._iterator, AsyncIterator):
            upload = await anext(self._iterator, _END)
        else:
            upload = next(self._iterator, _END)
        if upload is _END:
            return None
        index, self._taken = self._taken, self._taken + 1
        if not isinstance(upload, VoiceUpload):
            raise ConfigurationError(
                f"uploads gave a {type(upload).__name__} in place of VoiceUpload {index}"
            )
        return index, upload
