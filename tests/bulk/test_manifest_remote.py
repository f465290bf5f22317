from __future__ import annotations

import hashlib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.manifests import csv_file, uploads
from support.raw_server import raw_server
from support.recordings import SPEECH
from support.storage import address, allowed, serving

from siliconflow_voice import (
    ConfigurationError,
    InvalidUploadError,
    Manifest,
    RemoteAudio,
    VoiceClient,
    upload_many,
)
from siliconflow_voice.emulator import Emulator


async def test_a_row_may_name_an_address_that_is_allowed(
    tmp_path: Path, client: VoiceClient, emulator: Emulator
) -> None:
    (tmp_path / "b.mp3").write_bytes(SPEECH)
    async with raw_server(serving(SPEECH)) as server:
        path = csv_file(
            tmp_path, f"{address(server)},a,t", "b.mp3,b,t", "https://elsewhere.example/a.mp3,c,t"
        )
        manifest = Manifest(path, remote=allowed(server))
        for statuses in (["failed", "uploaded", "uploaded"], ["failed", "skipped", "skipped"]):
            outcomes = []
            async with aclosing(upload_many(client, manifest, journal=tmp_path / "journal")) as running:
                outcomes = [outcome async for outcome in running]
            assert sorted(outcome.status for outcome in outcomes) == statuses
            (failed,) = (outcome for outcome in outcomes if outcome.status == "failed")
            assert isinstance(failed.error, InvalidUploadError)
            assert (failed.error.field, failed.error.rule) == ("audio", "host")
            assert "elsewhere.example/a.mp3: its scheme is not allowed" in failed.error.reason
    assert [voice.sha256 for voice in emulator.voices] == [hashlib.sha256(SPEECH).hexdigest()] * 2


async def test_a_row_keeps_its_address_as_it_was_written(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "https://a.example/b.mp3?sig=s,a,t")
    (upload,) = await uploads(Manifest(path, remote=RemoteAudio(hosts=["a.example"])))
    assert upload.cells["audio"] == "https://a.example/b.mp3?sig=s"
    assert "sig" not in repr(upload)


@pytest.mark.parametrize(
    ("audio", "rule", "reason"),
    [
        ("https://b.example/a", "host", "https://b.example/a: its host is not allowed; RemoteAudio(hosts=…)"),
        ("s3://a.example/a", "host", "s3://a.example/a: its scheme is not allowed"),
        ("file:///etc/passwd", "address", "an address of this machine's own disk"),
        ("https://me:secret@a.example/a", "address", "an address with a user or a password in it"),
        ("data:audio/mpeg;base64,SUQz", "address", "is a URL: download it first, and put"),
        ("", "empty", "is empty; it must be the path of a recording"),
    ],
)
async def test_a_row_with_another_fails_alone(tmp_path: Path, audio: str, rule: str, reason: str) -> None:
    path = csv_file(tmp_path, f'"{audio}",a,t', "b.mp3,b,t")
    manifest = Manifest(path, remote=RemoteAudio(hosts=["a.example"]))
    check = manifest.check()
    problems = [problem async for problem in check]
    assert check.report.rows == 2
    assert [problem.line for problem in problems] == [2, 3]
    assert problems[0].reason.startswith(reason)
    (first, _) = await uploads(manifest)
    with pytest.raises(InvalidUploadError) as caught:
        first.audio.reading(None)  # type: ignore[union-attr,arg-type] # that of a refused row needs none
    assert (caught.value.field, caught.value.rule) == ("audio", rule)


async def test_a_check_fetches_what_it_checks(tmp_path: Path) -> None:
    async with raw_server(serving(b"<html>")) as server:
        manifest = Manifest(csv_file(tmp_path, f"{address(server)},a,t"), remote=allowed(server))
        (problem,) = [problem async for problem in manifest.check()]
        assert problem.reason.startswith(f"{address(server)} is a page of HTML")


async def test_a_chain_of_file_systems_is_a_path(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "simplecache::memory://bucket/a.mp3,a,t")
    manifest = Manifest(path, remote=RemoteAudio(hosts=["*"], schemes=["memory"]))
    problems = [problem async for problem in manifest.check()]
    assert [problem.reason.rpartition(": ")[2] for problem in problems] == ["no such file or directory"]


def test_the_policy_of_a_manifest_is_one(tmp_path: Path) -> None:
    wrong: Any = ["a.example"]
    with pytest.raises(ConfigurationError, match="remote must be RemoteAudio or None, got list"):
        Manifest(tmp_path / "a.csv", remote=wrong)
