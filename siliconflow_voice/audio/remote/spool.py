"""What was fetched: in memory up to a block, and in a temporary file without a name beyond that."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from functools import partial
from typing import BinaryIO, cast

from siliconflow_voice.audio.files import FileReading
from siliconflow_voice.audio.pool import BLOCK, STEP, ReadPool
from siliconflow_voice.audio.readings import BytesReading, Reading
from siliconflow_voice.errors import AudioSourceError

__all__ = ["Spool"]


class Spool:
    """Bytes that are added one after the other, and then read as often as needed."""

    def __init__(self, name: str, pool: ReadPool) -> None:
        self._name = name
        self._pool = pool
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._closed = False
        self.size = 0

    @property
    def sha256(self) -> str:
        """The digest of all that was added, in hexadecimal."""
        return self._digest.hexdigest()

    async def add(self, chunk: bytes | memoryview) -> None:
        """Add some bytes.

        Raises:
            AudioSourceError: There is no room for the temporary file.
        """
        self._digest.update(chunk)
        self._waiting += chunk
        self.size += len(chunk)
        if self.size > BLOCK and len(self._waiting) >= STEP:
            await self._flush()

    async def reading(self, content_type: str | None) -> Reading:
        """Return what reads all of it, from the start each time; nothing more is added.

        Raises:
            AudioSourceError: As of :meth:`add`.
        """
        if self.size <= BLOCK:
            return BytesReading(self._waiting, content_type, self._pool)
        if self._waiting:
            await self._flush()
        file = cast("BinaryIO", self._file)
        return FileReading(file, self._name, content_type, self._pool, start=0, lock=self._lock)

    def close(self) -> None:
        """Free memory and disk, behind a read or write that is under way."""
        self._pool.later(self._close)

    async def _flush(self) -> None:
        piece, self._waiting = self._waiting, bytearray()
        await self._pool.begin(partial(self._write, piece))

    def _write(self, piece: bytearray) -> None:
        with self._lock:
            if self._closed:  # the write was abandoned, and its thread came late
                return
            try:
                if self._file is None:
                    self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - open as long as it is read
                self._file.write(piece)
            except OSError as error:
                raise AudioSourceError(
                    f"{self._name} can't be kept in a temporary file: {error.strerror}"
                ) from error

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            if self._file is not None:
                self._file.close()
