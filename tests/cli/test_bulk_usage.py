from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from support.terminal import bulk, files, voices

from siliconflow_voice.emulator import Emulator

Captured = pytest.CaptureFixture[str]


async def complaint(capsys: Captured, manifest: Path, **options: Any) -> str:
    """Run it; give what it complains of, if that is bad usage and all that it says."""
    assert await bulk(manifest, **options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("siliconflow-voice: ")
    return captured.err.removeprefix("siliconflow-voice: ").rstrip("\n")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("none.csv", None, "manifest: none.csv can't be read: "),
        ("folder.csv", "/", "manifest: folder.csv "),
        ("voices.doc", "", "manifest: voices.doc is not a supported kind of table"),
        ("empty.csv", "", "manifest: empty.csv is empty"),
        ("a.csv", "audio,text\n", "manifest: a.csv line 1 lacks the column custom_name"),
        ("[red]\x1b.csv", None, r"manifest: [red]\x1b.csv can't be read: "),
    ],
)
async def test_a_manifest_that_is_none_is_refused(
    *,
    tmp_path: Path,
    address: str,
    emulator: Emulator,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: str | None,
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name, content)
    assert (await complaint(capsys, Path(name))).startswith(problem)
    assert emulator.requests == []


def make(path: Path, content: str | None) -> None:
    """Make a file, a folder, or nothing."""
    if content == "/":
        path.mkdir()
    elif content is not None:
        path.write_text(content)


async def test_a_manifest_of_another_encoding_is_refused_with_advice(
    tmp_path: Path, address: str, capsys: Captured
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("audio,custom_name,text\na.mp3,a,慢工\n".encode("gb18030"))
    assert "(--manifest-encoding), such as gb18030" in await complaint(capsys, path)


async def test_an_encoding_that_is_none_is_refused(tmp_path: Path, address: str, capsys: Captured) -> None:
    problem = await complaint(capsys, voices(tmp_path), manifest_encoding="klingon")
    assert (
        problem
        == "--manifest-encoding must be the name of a text encoding, such as utf-8 or gb18030, got 'klingon'."
    )


async def test_without_a_key_nothing_is_begun(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    manifest, results = voices(tmp_path), tmp_path / "r.csv"
    problem = await complaint(capsys, manifest, results=results)
    assert problem == "No API key: set SILICONFLOW_API_KEY, or pass --api-key-file."
    assert files(tmp_path) == ["voice.mp3", "voices.csv"]


async def test_a_key_that_can_be_none_is_refused_and_not_quoted(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test\nsk-test")
    assert "sk-test" not in await complaint(capsys, voices(tmp_path))


async def test_an_address_that_would_get_the_key_unencrypted_is_refused(
    tmp_path: Path, key: None, capsys: Captured
) -> None:
    problem = await complaint(capsys, voices(tmp_path), base_url="http://192.0.2.1/v1")
    assert problem == "--base-url would send the key to 192.0.2.1 unencrypted: use https."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"results": "r.txt"}, "--results must name a .csv or .jsonl file, got r.txt."),
        (
            {"results": "voices.csv"},
            "the manifest and --results are the same file, voices.csv; choose different ones.",
        ),
        (
            {"failures": "k", "api_key_file": "k"},
            "--api-key-file and --failures are the same file, k; choose different ones.",
        ),
        (
            {"results": "none/r.csv"},
            "--results none/r.csv can't be written: No such file or directory.",
        ),
        (
            {"failures": "none/f.csv"},
            "--failures none/f.csv can't be written: No such file or directory.",
        ),
        (
            {"report": "none/r.html"},
            "--report none/r.html can't be written: No such file or directory.",
        ),
    ],
)
async def test_files_that_can_not_be_are_refused_before_anything_is_sent(
    *,
    tmp_path: Path,
    address: str,
    emulator: Emulator,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = voices(Path()).read_bytes()
    paths = {name: Path(path) for name, path in options.items()}
    assert await complaint(capsys, Path("voices.csv"), **paths) == problem
    assert ((tmp_path / "voices.csv").read_bytes(), emulator.requests) == (manifest, [])
    assert files(tmp_path) == ["voice.mp3", "voices.csv"]
