"""The files of a run, beside its manifest: what they are called, and that none replaces another."""

from __future__ import annotations

import codecs
import itertools
import os
from pathlib import Path

from siliconflow_voice.errors import ConfigurationError

__all__ = ["check_files", "failures_of", "how_to_run_again", "journal_of"]

_FAILURES = ".failures"


def journal_of(manifest: Path) -> Path:
    """Give the journal of a manifest.

    That of ``voices.failures.csv`` is that of ``voices.csv``, which has them too: with a journal of its own,
    what was mended there would be uploaded a second time by the next run of ``voices.csv``.
    """
    stem = manifest.stem
    while stem != _FAILURES and stem.endswith(_FAILURES):
        stem = stem.removesuffix(_FAILURES)
    return manifest.with_name(f"{stem}.journal")


def failures_of(manifest: Path) -> Path:
    """Give the file for the failures of a manifest."""
    return manifest.with_name(f"{manifest.stem}{_FAILURES}.csv")


def how_to_run_again(
    failures: Path, manifest: Path, journal: Path, *, root: Path | None, encoding: str
) -> str:
    """Say with what options the failures of a manifest are run again.

    Args:
        failures: Their file.
        manifest: Theirs.
        journal: The run's: without it, what was mended could be uploaded a second time.
        root: The option, if it was given.
        encoding: Likewise.
    """
    words = "with the same options"
    if codecs.lookup(encoding).name not in {"utf-8", "utf-8-sig"}:
        words += ", but no --manifest-encoding"
    if not _same(journal_of(failures), journal):
        words += f", and --journal {journal}"
    if root is None and not _same(failures.parent, manifest.parent):
        words += f", and --root {manifest.parent}"
    return words


def check_files(kept: dict[str, Path | None], written: dict[str, Path | None]) -> None:
    """Refuse files that can't be written, and those that would replace another, before anything is sent.

    Args:
        kept: By what they are called in a sentence; None for none.
        written: Likewise. As yet, what is in them stays.

    Raises:
        ConfigurationError: One can't be written, or is another one too.
    """
    files = [(name, path) for name, path in (kept | written).items() if path is not None]
    for (first, path), (second, other) in itertools.combinations(files, 2):
        if _same(path, other):
            raise ConfigurationError(f"{first} and {second} can't both be {other}")
    for name, path in files:
        if name in written:
            _check_writable(name, path)


def _same(path: Path, other: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)  # by another name: a link, or other letter case
    except OSError:
        return False


def _check_writable(name: str, path: Path) -> None:
    existed = path.exists()
    try:
        with path.open("a", encoding="utf-8"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{name}, {path}, can't be written: {reason}") from error
