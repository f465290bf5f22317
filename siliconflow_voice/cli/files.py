"""The files of a bulk run, beside its manifest: their names, and that none overwrites another."""

from __future__ import annotations

import codecs
import errno
import itertools
import os
import stat
from pathlib import Path

from attrs import frozen
from cyclopts import Group, Parameter

from siliconflow_voice.audio.files import kind_of
from siliconflow_voice.bulk.tables import part_of
from siliconflow_voice.cli.language import translated
from siliconflow_voice.errors import ConfigurationError

__all__ = ["Files", "check_writable"]

_FAILURES = ".failures"


@Parameter(name="*", group=Group("Files", sort_key=1))
@frozen
class Files:
    """The files that a run writes."""

    journal: Path | None = None
    """Record uploads and their results here, to resume from (default: NAME.journal beside the manifest)."""
    results: Path | None = None
    """Write every row's outcome to this .csv or .jsonl file (default: none)."""
    failures: Path | None = None
    """Write failed rows here, as a manifest you can run again (default: NAME.failures.csv beside the
    manifest)."""
    report: Path | None = None
    """Write an HTML report with a timeline of the run (default: none)."""

    def journal_of(self, manifest: Path) -> Path:
        """Return the journal of a manifest.

        ``voices.failures.csv`` shares that of ``voices.csv``: with a journal of its own, a row that was
        corrected there would be uploaded a second time by the next run of ``voices.csv``.
        """
        stem = manifest.stem
        while stem != _FAILURES and stem.endswith(_FAILURES):
            stem = stem.removesuffix(_FAILURES)
        return self.journal or manifest.with_name(f"{stem}.journal")

    def failures_of(self, manifest: Path) -> Path:
        """Return the file for the failures of a manifest."""
        return self.failures or manifest.with_name(f"{manifest.stem}{_FAILURES}.csv")

    def check(self, manifest: Path, key: Path | None) -> None:
        """Refuse files that can't be written or would overwrite another, before anything is sent.

        Args:
            manifest: The manifest.
            key: The file with the API key, if there is one.

        Raises:
            ConfigurationError: One can't be written, or is another one too.
        """
        kept = {
            translated("the manifest"): manifest,
            "--journal": self.journal_of(manifest),
            "--api-key-file": key,
        }
        tables = {"--results": self.results, "--failures": self.failures_of(manifest)}
        written = {**tables, "--report": self.report}
        parts = {
            translated("the .part file of {option}", option=name): path and part_of(path)
            for name, path in written.items()
        }
        files = [(name, path) for name, path in (kept | written | parts).items() if path is not None]
        for (first, path), (second, other) in itertools.combinations(files, 2):
            if _same(path, other):
                raise ConfigurationError(
                    translated(
                        "{first} and {second} are the same file, {file}; choose different ones",
                        first=first,
                        second=second,
                        file=other,
                    )
                )
        for name, path in files:
            if name in written or name in parts:
                check_writable(name, path)

    def how_to_run_again(self, manifest: Path, *, root: Path | None, encoding: str) -> str:
        """Return with which options the failures of a manifest are run again.

        Args:
            manifest: The manifest.
            root: Its option ``--root``.
            encoding: Its option ``--manifest-encoding``.
        """
        failures, journal = self.failures_of(manifest), self.journal_of(manifest)
        words = translated("with the same options")
        if codecs.lookup(encoding).name not in {"utf-8", "utf-8-sig"}:
            words += translated(", but no --manifest-encoding")
        if not _same(Files().journal_of(failures), journal):
            words += translated(", and --journal {file}", file=journal)
        if root is None and not _same(failures.parent, manifest.parent):
            words += translated(", and --root {file}", file=manifest.parent)
        return words


def _same(path: Path, other: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)  # by another name: a link, or other letter case
    except OSError:
        return False


def check_writable(name: str, path: Path) -> None:
    """Check that a file can be written, and leave it as it is; what is a link will be replaced.

    Raises:
        ConfigurationError: It can't be written; *name* is the option's.
    """
    try:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                _check_existing(path, mode)
        else:
            path.unlink()
    except OSError as error:
        raise ConfigurationError(
            translated(
                "{option} {file} can't be written: {reason}",
                option=name,
                file=path,
                reason=error.strerror or error,
            )
        ) from error


def _check_existing(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {kind_of(mode)}, not a regular file")
    # Not by os.access alone, which doesn't know of read-only flags.
    os.close(os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)))
