"""Where a manifest's recordings are: in its folder, however the slashes and accents in them are written."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from siliconflow_voice.audio.files import OPEN, PathReading
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import PathSource
from siliconflow_voice.errors import InvalidUploadError

__all__ = ["ListedSource"]

# Windows has neither: there, a link that is put in place between the check and the opening is followed.
_DESCENDS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# O_PATH: to pass through a folder takes no right to list it.
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0) | getattr(os, "O_CLOEXEC", 0)
# What a link raises where none is followed; a file in the place of a folder raises the same.
_LINK = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})


class ListedSource(PathSource):
    """The file that a row names.

    Args:
        name: As the row has it.
        root: The folder that it is relative to.
        confined: Whether it must be in that folder.
    """

    def __init__(self, name: str, root: Path, *, confined: bool) -> None:
        path = str(root / name)
        super().__init__(path, filename=path, content_type=None)
        self._listed = name, root, confined

    def __eq__(self, other: object) -> bool:
        return self._listed == other._listed if isinstance(other, ListedSource) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._listed)

    def reading(self, pool: ReadPool) -> Reading:
        return _ListedReading(*self._listed, pool)


class _ListedReading(PathReading):
    """Looks where a path leads each time that it is opened, and opens no other place than that."""

    def __init__(self, name: str, root: Path, confined: bool, pool: ReadPool) -> None:  # noqa: FBT001 - of a row
        path = str(root / name)
        super().__init__(path, path, None, pool)
        self._listed = name
        self._root = root
        self._confined = confined

    def _descriptor(self) -> int:
        written = str(self._root / _encodable(self._listed))
        try:
            return self._open_at(written)
        except FileNotFoundError:
            there = _as_on_disk(self._listed, self._root)
            if there == written:
                raise
            return self._open_at(there)

    def _open_at(self, path: str) -> int:
        if not self._confined:
            return os.open(path, OPEN)
        names = _names(Path(path), self._root)
        if names is not None and _DESCENDS:
            try:
                return _open_beneath(str(self._root), names)
            except OSError as error:
                if error.errno not in _LINK:
                    raise
        real, root = Path(os.path.realpath(path)), os.path.realpath(self._root)
        # Before it is looked for: whether a file exists outside is not for whoever wrote the manifest.
        if not real.is_relative_to(root):
            raise InvalidUploadError(
                "audio",
                f"{self._name} leads out of the folder {self._root}; allow_outside permits that",
                rule="outside",
            )
        return _open_beneath(root, real.relative_to(root).parts) if _DESCENDS else os.open(real, OPEN)


def _names(path: Path, root: Path) -> Sequence[str] | None:
    """Return the names that lead from the root to a path, or None where only the disk can tell."""
    if ".." in path.parts or not path.is_relative_to(root):
        return None
    return path.relative_to(root).parts


def _open_beneath(root: str, names: Sequence[str]) -> int:
    """Open a file by its names, one after the other, and follow no link below the root.

    A path that was checked and is then opened as a whole can be led elsewhere in between, by whoever may
    write to the folder: a walk from folder to folder can't.
    """
    if not names:
        return os.open(root, OPEN)  # the folder itself, which is refused for that
    folder = os.open(root, _FOLDER)
    try:
        for name in names[:-1]:
            outer, folder = folder, os.open(name, _FOLDER | _NO_LINK, dir_fd=folder)
            os.close(outer)
        return os.open(names[-1], OPEN | _NO_LINK, dir_fd=folder)
    finally:
        os.close(folder)


def _as_on_disk(name: str, root: Path) -> str:
    """Return a path with slashes for backslashes, and each of its names in the normal form that exists.

    Macs write accents, kana and Hangul in parts (NFD), most other systems write them as one (NFC).
    """
    path = root
    for part in Path(name.replace("\\", "/")).parts:
        spellings = [part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part)]
        encodable = [_encodable(spelling) for spelling in spellings]
        path /= next((name for name in encodable if os.path.lexists(path / name)), encodable[0])
    return str(path)


def _encodable(name: str) -> str:
    """Return a name that can be opened: on the disk it is in UTF-8, whatever the locale's encoding is."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    return name
