"""Speech as its consumer has it: chunks as they arrive, all of it at once, or a file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from attrs import define, field

from siliconflow_voice.errors import ConfigurationError, InvalidResponseError, SiliconFlowError
from siliconflow_voice.models import Attempt
from siliconflow_voice.speech.parameters import SpeechParameters
from siliconflow_voice.speech.saving import SpeechFile
from siliconflow_voice.speech.speaker import OpenSpeech, Speaker
from siliconflow_voice.speech.wav import repair as repair_wav

__all__ = ["Speech"]

_MAGIC = ((b"RIFF", "wav"), (b"OggS", "opus"), (b"ID3", "mp3"))


@define(eq=False, repr=False)
class Speech:
    """Speech that arrives while it is spoken; made by :meth:`VoiceClient.stream_speech`.

    ::

        async with client.stream_speech("慢工出细活", voice=voice) as speech:
            async for chunk in speech:
                player.write(chunk)

    Entering it sends the request and waits for the first bytes, which is as far as anything is retried. Read
    it once: by iterating, by :meth:`read` or by :meth:`save`. What is not read yet waits at the service.
    Leaving it early closes the connection.
    """

    _parameters: SpeechParameters
    _speaker: Callable[[], Speaker]
    """Returns what speaks, unless the client is closed."""
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)
    _open: OpenSpeech | None = field(default=None, init=False)
    _format: str = field(default="", init=False)
    _rest: bytes = field(default=b"", init=False)
    """The first half of a sample, until the second comes."""
    _begun: bool = field(default=False, init=False)
    _waiting: bool = field(default=False, init=False)
    _over: bool = field(default=False, init=False)
    _error: SiliconFlowError | None = field(default=None, init=False)
    received: int = field(default=0, init=False)
    """Bytes that were handed out."""

    async def __aenter__(self) -> Self:
        if self._open is not None:
            raise ConfigurationError("This speech was opened before: call stream_speech again")
        async with AsyncExitStack() as stack:
            self._open = await self._speaker().open(self._parameters, stack)
            self._format = _format_of(self._open.success.value.beginning, self._parameters.response_format)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._over:
            self._finish(None)
            self._error = ConfigurationError("The speech is closed: read it within its `async with`")
        await self._stack.aclose()

    def __repr__(self) -> str:
        state = "not open" if self._open is None else "over" if self._over else "open"
        return f"<Speech: {state}, {self.received:,} bytes>"

    @property
    def format(self) -> str:
        """``mp3``, ``opus``, ``wav`` or ``pcm``: what was asked for, unless the first bytes say otherwise."""
        self._opened()
        return self._format

    @property
    def sample_rate(self) -> int:
        """The samples a second that were asked for."""
        return int(self._parameters.sample_rate or 0)

    @property
    def trace_id(self) -> str | None:
        """``x-siliconcloud-trace-id``: quote it to SiliconFlow's support."""
        return self._opened().success.trace_id

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts up to the first bytes."""
        return self._opened().success.attempts

    @property
    def first_chunk_after(self) -> float:
        """Seconds from the beginning of the last attempt to the first bytes."""
        return self.attempts[-1].seconds

    def __aiter__(self) -> Self:
        self._opened()
        if self._over and self._error is None:
            raise ConfigurationError("The speech was read already: call stream_speech again")
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk: of pcm, whole samples alone.

        Raises:
            APIConnectionError: The stream was cut off, or stalled.
            InvalidResponseError: It ended within a sample.
        """
        self._begun = True
        while not self._over:
            piece = await self._next()
            if isinstance(piece, SiliconFlowError):
                self._finish(piece)
            elif not piece:
                self._finish(self._in_half())
            elif chunk := self._whole_samples(piece):
                self.received += len(chunk)
                return chunk
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def read(self, *, repair: bool = True) -> bytes:
        """Return all of it.

        Args:
            repair: Whether to give a wav its true sizes. The service streams it with placeholders, by which
                many programs can't tell how long it is.

        Raises:
            APIConnectionError: The stream was cut off, or stalled.
            InvalidResponseError: It ended within a sample.
            ConfigurationError: It is not open, or was read from already.
        """
        whole = io.BytesIO()
        async for chunk in self._from_the_start():
            whole.write(chunk)
        if repair and self._format == "wav":
            repair_wav(whole)
        return whole.getvalue()

    async def save(self, path: str | os.PathLike[str], *, repair: bool = True) -> int:
        """Write all of it to a file, and return its size in bytes.

        The file is written beside *path*, as ``NAME.part``, and takes its name when all of it has come: what
        stood there before stays until then, and a link is replaced, not followed.

        Args:
            path: The file.
            repair: Whether to give a wav its true sizes.

        Raises:
            APIConnectionError: The stream was cut off, or stalled; there is no file.
            InvalidResponseError: It ended within a sample; there is no file.
            SiliconFlowError: The file can't be written.
            ConfigurationError: It is not open, or was read from already.
        """
        chunks, file, size = self._from_the_start(), SpeechFile(path), 0
        pool = self._opened().pool
        try:
            await pool.begin(file.begin)
            async for chunk in chunks:
                await pool.begin(partial(file.write, chunk))
                size += len(chunk)
            await pool.begin(partial(file.commit, as_wav=repair and self._format == "wav"))
        except BaseException:
            pool.later(file.discard)
            raise
        return size

    async def _next(self) -> bytes | SiliconFlowError:
        stream = self._opened().success.value
        if self._waiting:
            raise ConfigurationError("The speech is being read by another task: read it in one")
        self._waiting = True
        try:
            return await stream.next()
        finally:
            self._waiting = False

    def _from_the_start(self) -> Self:
        self._opened()
        if self._begun:
            raise ConfigurationError("The speech was read from already: call stream_speech again")
        return self

    def _opened(self) -> OpenSpeech:
        if self._open is None:
            raise ConfigurationError(
                "The speech is not open: use `async with client.stream_speech(…) as speech`"
            )
        return self._open

    def _whole_samples(self, piece: bytes) -> bytes:
        """Return what there is in whole samples, and keep the half of one for later."""
        if self._format != "pcm":
            return piece
        piece, self._rest = self._rest + piece, b""
        if len(piece) % 2:
            piece, self._rest = piece[:-1], piece[-1:]
        return piece

    def _in_half(self) -> InvalidResponseError | None:
        """Return the error of speech that has ended within a sample, or None."""
        if not self._rest:
            return None
        answer = self._opened().success.value.answer
        return InvalidResponseError(
            f"The speech ended within a sample, after {self.received + 1:,} bytes: a part of it is missing",
            status=answer.status,
            trace_id=answer.trace_id,
        )

    def _finish(self, error: SiliconFlowError | None) -> None:
        """End the call."""
        self._over, self._error = True, error
        opened = self._opened()
        opened.success.value.close()
        opened.operation.end(error)


def _format_of(beginning: bytes, asked: str) -> str:
    if beginning[:1] == b"\xff" and asked != "pcm" and beginning[1:2] >= b"\xe0":
        return "mp3"
    return next((word for magic, word in _MAGIC if beginning.startswith(magic)), asked)
