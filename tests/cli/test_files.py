from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import unwritable

from siliconflow_voice import ConfigurationError
from siliconflow_voice.cli.files import check_files, failures_of, how_to_run_again, journal_of


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
    assert journal_of(Path("a", manifest)) == Path("a", journal)


def test_failures_go_beside_the_manifest() -> None:
    assert failures_of(Path("a/voices.jsonl")) == Path("a/voices.failures.csv")


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
    again = how_to_run_again(
        Path(failures), Path("a/voices.csv"), Path("a/voices.journal"), root=root, encoding=encoding
    )
    assert again == f"with the same options{words}"


def test_files_of_their_own_are_taken_and_left_as_they_are(tmp_path: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("kept")
    check_files({"the manifest": tmp_path / "m.csv"}, {"--results": old, "--report": new, "--failures": None})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.csv", "kept")]


def test_one_file_for_two_things_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voices.csv"
    path.write_text("kept")
    with pytest.raises(ConfigurationError, match="the manifest and --report can't both be"):
        check_files({"the manifest": path}, {"--report": tmp_path / "x" / ".." / "voices.csv"})
    assert path.read_text() == "kept"


def test_the_journal_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "voices.csv"
    with pytest.raises(ConfigurationError, match="the manifest and --journal can't both be"):
        check_files({"the manifest": path, "--journal": path}, {})


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_one_file_by_two_names_is_refused(tmp_path: Path, link: object) -> None:
    path, other = tmp_path / "voices.csv", tmp_path / "report.html"
    path.write_text("kept")
    assert callable(link)
    link(other, path)
    with pytest.raises(ConfigurationError, match="can't both be"):
        check_files({"the manifest": path}, {"--report": other})
    assert path.read_text() == "kept"


def test_a_file_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_files({}, {"--results": tmp_path / "none" / "r.csv"})
    assert str(refused.value) == (
        f"--results, {tmp_path / 'none' / 'r.csv'}, can't be written: No such file or directory."
    )


def test_a_file_that_is_read_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("kept")
    with unwritable(path) as possible:
        if not possible:
            pytest.skip("this user may write anywhere")
        with pytest.raises(ConfigurationError, match="can't be written: "):
            check_files({}, {"--results": path})


def test_an_error_without_words_is_told_by_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(ConfigurationError, match="can't be written: gone"):
        check_files({}, {"--results": tmp_path / "r.csv"})
