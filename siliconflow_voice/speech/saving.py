"""Writes speech to a file that takes its name only when all of it is there and on the disk."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.speech.wav import repair

__all__ = ["SpeechFile"]


class SpeechFile:
    """A file that is written beside its place, as ``NAME.part``, and put there at the end.

    A link in its place is replaced and not followed. All methods block, and raise SiliconFlowError.

    Args:
        path: The file; one that exists is replaced.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(f"{self._path.name}.part")
        self._file: BinaryIO | None = None
        # A call whose caller was cancelled may still be running when the file is discarded.
        self._lock = threading.Lock()
        self._discarded = False

    def begin(self) -> None:
        """Create the part; one that is there is replaced."""
        with self._writing():
            if self._discarded:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            with suppress(FileNotFoundError):
                kind = self._path.lstat().st_mode
                if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
                    raise OSError(errno.EINVAL, "it is not a regular file")
            # Not opened as it is: it may be a link to elsewhere, or another writer's that is still there.
            self._part.unlink(missing_ok=True)
            self._file = cast("BinaryIO", self._part.open("x+b"))

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        with self._writing():
            self._opened().write(data)

    def commit(self, *, as_wav: bool) -> None:
        """Put it in place, durably; *as_wav* with true sizes in its header."""
        with self._writing():
            file = self._opened()
            if as_wav:
                repair(file)
            file.flush()
            os.fsync(file.fileno())
            ours = os.fstat(file.fileno())
            file.close()
            if not os.path.samestat(ours, self._part.lstat()):
                raise FileExistsError(errno.EEXIST, "another program writes it too")
            os.replace(self._part, self._path)  # noqa: PTH105 - beside os.fsync, which pathlib lacks
            self._file = None

    def discard(self) -> None:
        """Remove the part, unless it was put in place."""
        with self._lock:
            file, self._file, self._discarded = self._file, None, True
            if file is not None:
                with suppress(OSError):
                    file.close()  # writes what is left, and fails where that has failed before
                with suppress(OSError):
                    self._part.unlink()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        return self._file

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        with self._lock:
            try:
                yield
            except OSError as error:
                raise SiliconFlowError(f"{self._path} can't be written: {error.strerror or error}") from error
