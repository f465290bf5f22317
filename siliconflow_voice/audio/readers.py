"""Recognises what can be read asynchronously, and what holds something to read, by what it can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from inspect import isawaitable, iscoroutinefunction, signature
from typing import Any, Protocol, cast

from siliconflow_voice.audio.pool import STEP

__all__ = ["AsyncReader", "file_inside", "stream_of"]


class AsyncReader(Protocol):
    """What has a ``read(n)`` to await: asyncio's and aiohttp's readers, aiofiles' files, an UploadFile."""

    def read(self, count: int, /) -> Awaitable[bytes]:
        """Return up to *count* bytes; none at its end."""
        ...


def file_inside(audio: Any) -> Any:
    """Return the file within an upload of Starlette, FastAPI or aiohttp's server; None if it isn't one.

    It can be rewound, where what is around it may be read but once.
    """
    file = getattr(audio, "file", None)
    named = hasattr(audio, "filename") and hasattr(audio, "content_type")
    return file if named and callable(getattr(file, "read", None)) else None


def stream_of(audio: Any) -> AsyncIterable[bytes] | bytes | None:
    """Return what yields the bytes of a response, an async reader or an async iterable; None for all else.

    A response of httpx that was read already comes as its bytes.
    """
    content = _content(audio)
    if hasattr(audio, "status") and _reads_async(content):  # a response of aiohttp
        return _through(content)
    iterate = getattr(audio, "aiter_bytes", None)
    if callable(iterate) and hasattr(audio, "status_code"):  # one of httpx
        return content if isinstance(content, bytes) else cast("AsyncIterable[bytes]", iterate())
    if _reads_async(audio):
        return _through(audio)
    if not isinstance(audio, AsyncIterable):
        return None
    # The iterator of a reader yields lines, which can be longer than it accepts.
    both = _takes_a_number(getattr(cast("Any", audio), "read", None))
    return _through_or_over(audio) if both else cast("AsyncIterable[bytes]", audio)


def _content(audio: Any) -> Any:
    try:
        return getattr(audio, "content", None)
    except Exception:  # noqa: BLE001 - httpx's, where the response is still to be read; or a caller's own
        return None


def _reads_async(audio: Any) -> bool:
    read = getattr(audio, "read", None)
    return iscoroutinefunction(read) and _takes_a_number(read)


def _takes_a_number(read: Any) -> bool:
    try:
        signature(read).bind(STEP)
    except (TypeError, ValueError):
        return False
    return True


async def _through(reader: Any) -> AsyncGenerator[bytes, None]:
    """Yield what ``await read(n)`` returns."""
    while chunk := await reader.read(STEP):
        yield chunk


async def _through_or_over(audio: Any) -> AsyncGenerator[bytes, None]:
    """Read what has both a ``read`` and an iterator, if it turns out that ``read`` must be awaited."""
    nothing = audio.read(0)
    if isawaitable(nothing):
        await nothing
        async for chunk in _through(audio):
            yield chunk
    else:
        async for chunk in audio:
            yield chunk
