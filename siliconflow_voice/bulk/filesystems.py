"""Tells whether a file is on a network filesystem, where locks and writes are not to be relied on."""

from __future__ import annotations

import os
import re
from pathlib import Path

from siliconflow_voice.errors import JournalError

__all__ = ["check", "kind_of"]

_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "coda", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
) | {
    f"fuse.{kind}"
    for kind in (
        "blobfuse2", "ceph", "cosfs", "davfs", "gcsfuse", "glusterfs", "juicefs", "ossfs", "rclone", "s3fs",
        "sshfs",
    )
}  # fmt: skip
_ESCAPE = re.compile(r"\\([0-7]{3})")


def check(path: Path) -> None:
    """Refuse a file on a network filesystem, as far as this system tells.

    SQLite's own advice, https://www.sqlite.org/useovernet.html: the locks that keep two runs apart don't work
    on many of them.

    Raises:
        JournalError: It is on one.
    """
    # First, since looking at it may be what mounts it.
    place = os.path.realpath(path)
    try:
        mounts = os.fsdecode(_MOUNTS.read_bytes())
    except OSError:
        return  # no Linux
    kind = kind_of(place, mounts)
    if kind in _REMOTE:
        raise JournalError(
            f"The journal {path} would be on a network filesystem ({kind}), where neither locks nor writes "
            f"are to be relied on: put it on a local disk"
        )


def kind_of(path: str, mounts: str) -> str | None:
    """Give the type of the filesystem that an absolute path is on, by the text of ``mountinfo``."""
    found, longest = None, -1
    for line in mounts.split("\n"):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two on one point, the later lies over the other.
        if inside and len(point) >= longest:
            found, longest = after.split(" ")[0], len(point)
    return found
