from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.journals import unwritable
from support.terminal import files as files_in

from siliconflow_voice import ConfigurationError
from siliconflow_voice.cli.files import Files


@pytest.mark.parametrize(
    ("manifest", "journal"),
    [
        ("voices.csv", "voices.journal"),
        ("voices.jsonl", "voices.journal"),
        ("voices.2024.csv", "voices.2024.journal"),
        ("voices.failures.csv", "voices.journal"),
        ("voices.failures.failures.csv", "voices.journal"),
        (".failures.csv", ".failures.journal"),
    ],
)
def test_a_manifest_and_its_failures_have_one_journal(manifest: str, journal: str) -> None:
    assert Files().journal_of(Path("a", manifest)) == Path("a", journal)


def test_failures_go_beside_the_manifest() -> None:
    assert Files().failures_of(Path("a/voices.jsonl")) == Path("a/voices.failures.csv")


@pytest.mark.parametrize(
    ("failures", "root", "encoding", "words"),
    [
        ("a/voices.failures.csv", None, "utf-8", ""),
        ("a/voices.failures.csv", None, "UTF-8-SIG", ""),
        ("a/bad.csv", None, "utf8", ", and --journal a/voices.journal"),
        ("voices.failures.csv", None, "utf8", ", and --journal a/voices.journal, and --root a"),
        ("voices.failures.csv", Path("b"), "utf8", ", and --journal a/voices.journal"),
        ("a/voices.failures.csv", None, "gb18030", ", but no --manifest-encoding"),
    ],
)
def test_what_else_failures_need_is_said(failures: str, root: Path | None, encoding: str, words: str) -> None:
    again = Files(failures=Path(failures)).how_to_run_again(
        Path("a/voices.csv"), root=root, encoding=encoding
    )
    assert again == f"with the same options{words}"


def test_other_options_for_a_journal_are_said_too() -> None:
    again = Files(journal=Path("b/j")).how_to_run_again(Path("a/voices.csv"), root=None, encoding="utf-8")
    assert again == "with the same options, and --journal b/j"


def refused(manifest: Path, *, key: Path | None = None, **paths: Any) -> str:
    """Check files; return what is wrong with them."""
    with pytest.raises(ConfigurationError) as caught:
        Files(**paths).check(manifest, key)
    return str(caught.value)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "voices.csv"
    path.write_text("kept")
    return path


def test_files_of_their_own_are_accepted_and_left_as_they_are(tmp_path: Path, manifest: Path) -> None:
    old = tmp_path / "old.csv"
    old.write_text("kept")
    Files(results=old, report=tmp_path / "new.html").check(manifest, None)
    assert files_in(tmp_path) == ["old.csv", "voices.csv"]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept", "kept"]


@pytest.mark.parametrize(
    ("option", "name", "first", "second"),
    [
        ("report", "x/../voices.csv", "the manifest", "--report"),
        ("journal", "voices.csv", "the manifest", "--journal"),
        ("results", "voices.journal", "--journal", "--results"),
        ("results", "voices.failures.csv", "--results", "--failures"),
        ("failures", "key", "--api-key-file", "--failures"),
        ("journal", "voices.failures.csv.part", "--journal", "the .part file of --failures"),
    ],
)
def test_one_file_for_two_things_is_refused(
    manifest: Path, option: str, name: str, first: str, second: str
) -> None:
    path = manifest.with_name(name) if "/" not in name else manifest.parent / "x" / ".." / "voices.csv"
    told = refused(manifest, key=manifest.with_name("key"), **{option: path})
    assert told.startswith(f"{first} and {second} are the same file, ")
    assert told.endswith("; choose different ones.")
    assert manifest.read_text() == "kept"


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_one_file_by_two_names_is_refused(tmp_path: Path, manifest: Path, link: object) -> None:
    other = tmp_path / "report.html"
    assert callable(link)
    link(other, manifest)
    assert "the manifest and --report are the same file" in refused(manifest, report=other)
    assert manifest.read_text() == "kept"


def test_a_file_in_no_folder_is_refused(tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "none" / "r.csv"
    assert refused(manifest, results=path) == f"--results {path} can't be written: No such file or directory."


def test_a_file_in_a_folder_that_is_read_only_is_refused(tmp_path: Path, manifest: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "r.csv"
    path.write_text("kept")
    with unwritable(folder) as possible:
        if not possible:
            pytest.skip("this user may write anywhere")
        told = refused(manifest, results=path)
    assert told.startswith(f"the .part file of --results {path}.part can't be written: ")


def test_a_file_that_is_read_only_is_refused(tmp_path: Path, manifest: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("kept")
    with unwritable(path) as possible:
        if not possible:
            pytest.skip("this user may write anywhere")
        assert "r.csv can't be written: " in refused(manifest, results=path)


def test_an_error_without_words_is_told_by_its_own(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(os, "open", fail)
    assert refused(manifest, results=tmp_path / "r.csv").endswith("r.csv can't be written: gone.")
