from __future__ import annotations

from pathlib import Path

import pytest
from support.fleets import Database, options
from support.terminal import bulk, json_lines, table, voices

from siliconflow_voice import ConfigurationError, Manifest
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import failures, results, submit, work


@pytest.fixture
def address(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)


async def done(database: Database, emulator: Emulator, manifest: Path) -> None:
    await submit(database.url, Manifest(manifest))
    await work(database.url, options(emulator), until_done=True)


async def test_results_and_failures_are_those_of_a_bulk_run(
    tmp_path: Path, database: Database, emulator: Emulator, address: None
) -> None:
    manifest = voices(tmp_path, 25, missing=[3, 12])
    await done(database, emulator, manifest)
    fleet_results, fleet_failures = tmp_path / "fleet.csv", tmp_path / "fleet.failures.csv"
    assert await results(database.url, fleet_results) == 25
    assert await failures(database.url, fleet_failures) == 2
    await bulk(manifest, results=tmp_path / "bulk.csv", failures=tmp_path / "bulk.failures.csv")
    ours, theirs = (
        table(fleet_results),
        sorted(table(tmp_path / "bulk.csv"), key=lambda row: int(row["line"])),
    )
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    told = ("line", "audio", "custom_name", "text", "model", "status", "bytes")
    assert [[row[name] for name in told] for row in ours] == [[row[name] for name in told] for row in theirs]
    assert all(row["uri"].startswith("speech:") for row in ours if row["status"] == "uploaded")
    failed = table(fleet_failures)
    assert [list(row) for row in failed] == [list(row) for row in table(tmp_path / "bulk.failures.csv")]
    assert [(row["failed_line"], row["audio"], row["speaker"]) for row in failed] == [
        ("5", "missing-3.mp3", "甲"),
        ("14", "missing-12.mp3", "甲"),
    ]


async def test_results_may_be_json_lines_of_one_submission(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await done(database, emulator, voices(tmp_path, 3))
    await done(database, emulator, voices(tmp_path, 12, name="more.csv"))
    path = tmp_path / "r.jsonl"
    assert await results(database.url, path, submission=2) == 12
    assert [row["line"] for row in json_lines(path.read_text("utf-8"))] == list(range(2, 14))
    assert await results(database.url, path) == 15


async def test_failures_that_are_mended_are_submitted_and_uploaded(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await done(database, emulator, voices(tmp_path, 5, missing=[1]))
    path = tmp_path / "f.csv"
    await failures(database.url, path)
    (tmp_path / "missing-1.mp3").write_bytes((tmp_path / "voice.mp3").read_bytes())
    await done(database, emulator, path)
    assert len(emulator.voices) == 5


async def test_failures_of_several_folders_are_not_mixed(tmp_path: Path, database: Database) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        await submit(database.url, Manifest(voices(tmp_path / name, 1)))
    with pytest.raises(ConfigurationError, match="different folders: pass the number of one"):
        await failures(database.url, tmp_path / "f.csv")
    assert await failures(database.url, tmp_path / "f.csv", submission=2) == 0


@pytest.mark.parametrize(("write", "name"), [(results, "r.xlsx"), (failures, "f.jsonl")])
async def test_other_kinds_of_files_are_refused(
    tmp_path: Path, database: Database, write: object, name: str
) -> None:
    assert callable(write)
    with pytest.raises(ConfigurationError, match=name):
        await write(database.url, tmp_path / name)


@pytest.mark.parametrize("write", [results, failures])
async def test_a_submission_that_is_not_there_is_refused(
    tmp_path: Path, database: Database, write: object
) -> None:
    assert callable(write)
    with pytest.raises(ConfigurationError, match="There is no submission 7"):
        await write(database.url, tmp_path / "r.csv", submission=7)


async def test_a_file_that_can_t_be_written_is_left_as_it_is(tmp_path: Path, database: Database) -> None:
    with pytest.raises(FileNotFoundError):
        await results(database.url, tmp_path / "none" / "r.csv")
