from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support.bulk import outcomes_of
from support.fleets import Database, options
from support.terminal import voices

from siliconflow_voice import (
    ConfigurationError,
    FleetError,
    InvalidUploadError,
    Manifest,
    ManifestUpload,
    VoiceClient,
)
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import Submission, cancel, results, submit, work


class Cut(Manifest):
    """One whose reading ends in the middle."""

    async def __aiter__(self) -> AsyncGenerator[ManifestUpload, None]:
        count = 0
        async for upload in super().__aiter__():
            if count == 25:
                raise KeyboardInterrupt
            count += 1
            yield upload


class Edited(Manifest):
    """One that is changed while it is read."""

    async def __aiter__(self) -> AsyncGenerator[ManifestUpload, None]:
        async for upload in super().__aiter__():
            yield upload
        with Path(self.path).open("a") as file:  # noqa: ASYNC230 - a line
            file.write("\n")


async def test_rows_are_queued_in_chunks_whose_jobs_say_only_which(
    tmp_path: Path, database: Database
) -> None:
    submitted = await submit(database.url, Manifest(voices(tmp_path, 45)))
    assert submitted == Submission(1, rows=45, queued=45, wrong=0)
    assert database.chunks() == [("waiting", 0, 0)] * 5
    assert database.jobs() == [("todo", {"submission": 1, "number": number}) for number in range(5)]
    assert len(database.statuses()) == 45


async def test_submitted_twice_is_the_same_as_once(tmp_path: Path, database: Database) -> None:
    manifest = Manifest(voices(tmp_path, 45))
    await submit(database.url, manifest)
    assert await submit(database.url, manifest) == Submission(1, rows=45, queued=0, wrong=0)
    assert (len(database.chunks()), len(database.jobs())) == (5, 5)


async def test_what_was_submitted_half_is_completed(tmp_path: Path, database: Database) -> None:
    path = voices(tmp_path, 45)
    with pytest.raises(KeyboardInterrupt):
        await submit(database.url, Cut(path))
    assert len(database.jobs()) == 2
    assert await submit(database.url, Manifest(path)) == Submission(1, rows=45, queued=25, wrong=0)
    assert len(database.jobs()) == 5


async def test_the_same_rows_in_another_folder_or_read_otherwise_are_another_submission(
    tmp_path: Path, database: Database
) -> None:
    path = voices(tmp_path, 3)
    others = [Manifest(path, root=tmp_path / "there"), Manifest(path, model="other"), Manifest(path)]
    found = [(await submit(database.url, manifest)).id for manifest in others]
    assert len(set(found)) == 3


async def test_a_manifest_that_is_done_is_not_queued_again(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    manifest = Manifest(voices(tmp_path, 15))
    await submit(database.url, manifest)
    await work(database.url, options(emulator), until_done=True)
    assert (await submit(database.url, manifest)).queued == 0


async def test_what_failed_is_queued_again_and_what_is_done_is_kept(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    manifest = Manifest(voices(tmp_path, 25, missing=[3, 4]))
    await submit(database.url, manifest)
    await work(database.url, options(emulator), until_done=True)
    for number in (3, 4):
        (tmp_path / f"missing-{number}.mp3").write_bytes((tmp_path / "voice.mp3").read_bytes())
    assert (await submit(database.url, manifest)).queued == 2
    assert database.chunks() == [("waiting", 8, 0), ("done", 10, 0), ("done", 5, 0)]
    await work(database.url, options(emulator), until_done=True)
    assert database.statuses() == ["uploaded"] * 25
    assert len(emulator.voices) == 25


async def test_what_was_cancelled_is_queued_again(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    manifest = Manifest(voices(tmp_path, 25))
    await submit(database.url, manifest)
    assert await cancel(database.url) == 25
    assert (database.chunks(), database.jobs()) == ([("cancelled", 0, 0)] * 3, [])
    await work(database.url, options(emulator), until_done=True)
    assert emulator.voices == []
    assert (await submit(database.url, manifest)).queued == 25
    await work(database.url, options(emulator), until_done=True)
    assert len(emulator.voices) == 25


async def test_one_of_several_is_cancelled(tmp_path: Path, database: Database) -> None:
    first, second = voices(tmp_path, 5), voices(tmp_path, 7, name="more.csv")
    await submit(database.url, Manifest(first))
    number = (await submit(database.url, Manifest(second))).id
    assert await cancel(database.url, number) == 7
    assert [state for state, _, _ in database.chunks()] == ["waiting", "cancelled"]
    with pytest.raises(ConfigurationError, match="There is no submission 99"):
        await cancel(database.url, 99)


async def test_wrong_rows_fail_at_once_as_they_do_in_a_bulk_run(
    tmp_path: Path, database: Database, client: VoiceClient
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("audio,custom_name,text\n,a,b\nhttps://x/y.mp3,a,b\nv.mp3,a\nv.mp3,c,d\n", "utf-8")
    submitted = await submit(database.url, Manifest(path))
    assert submitted == Submission(1, rows=4, queued=1, wrong=3)
    assert database.statuses() == ["failed", "failed", "failed", ""]
    outcomes = await outcomes_of(client, [upload async for upload in Manifest(path)])
    assert database.errors() == [str(outcome.error) for outcome in outcomes[:3]]


async def test_a_chunk_of_wrong_rows_alone_is_done_and_not_queued(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("audio,custom_name,text\n,a,b\n", "utf-8")
    for _ in range(2):
        assert await submit(database.url, Manifest(path)) == Submission(1, rows=1, queued=0, wrong=1)
    assert (database.chunks(), database.jobs()) == ([("done", 0, 1)], [])
    assert (await work(database.url, options(emulator), until_done=True)).failed == 0


async def test_a_cell_may_have_a_nul_in_it(tmp_path: Path, database: Database, emulator: Emulator) -> None:
    path = voices(tmp_path, 1)
    path.write_bytes(path.read_bytes().replace("甲".encode(), b"a\0b"))
    await submit(database.url, Manifest(path))
    await work(database.url, options(emulator), until_done=True)
    assert database.statuses() == ["uploaded"]


async def test_a_manifest_that_changes_meanwhile_is_refused(tmp_path: Path, database: Database) -> None:
    with pytest.raises(
        InvalidUploadError, match=r"voices.csv changed while it was submitted; submit it again"
    ):
        await submit(database.url, Edited(voices(tmp_path, 3)))


async def test_a_manifest_that_is_gone_is_refused(tmp_path: Path, database: Database) -> None:
    with pytest.raises(InvalidUploadError, match="can't be read"):
        await submit(database.url, Manifest(tmp_path / "gone.csv"))


async def test_a_manifest_that_goes_after_it_was_read_is_refused(tmp_path: Path, database: Database) -> None:
    class Gone(Manifest):
        async def scan(self) -> int:
            found = await super().scan()
            Path(self.path).unlink()  # noqa: ASYNC240 - one file
            return found

    with pytest.raises(InvalidUploadError, match=r"voices.csv can't be read: No such file or directory"):
        await submit(database.url, Gone(voices(tmp_path, 3)))


async def test_tables_of_a_newer_version_are_refused(tmp_path: Path, database: Database) -> None:
    manifest = Manifest(voices(tmp_path, 3))
    await submit(database.url, manifest)
    database.ask("UPDATE siliconflow_voice.versions SET version = 99 WHERE part = 'fleet'")
    with pytest.raises(FleetError, match=r"can't be used: .*of version 99.*upgrade siliconflow-voice"):
        await submit(database.url, manifest)


async def test_a_database_that_is_not_there_is_an_error_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://someone:se-cret@127.0.0.1:1/none"
    with pytest.raises(FleetError, match=r"postgresql://127\.0\.0\.1:1/none can't be used") as caught:
        await submit(url, Manifest(voices(tmp_path, 3)))
    assert "se-cret" not in f"{caught.value} {caught.value!r}"


async def test_a_queue_that_is_there_is_used(tmp_path: Path, database: Database) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 3)))
    database.ask("DROP SCHEMA siliconflow_voice CASCADE; DELETE FROM procrastinate_jobs")
    await submit(database.url, Manifest(voices(tmp_path, 3)))
    assert len(database.jobs()) == 1


async def test_a_million_rows_would_be_streamed(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a manifest is held but the chunks of one transaction."""
    monkeypatch.undo()
    await submit(database.url, Manifest(voices(tmp_path, 5_050)))
    assert database.ask("SELECT count(*), min(size), max(size) FROM siliconflow_voice.fleet_chunks") == [
        (51, 50, 100)
    ]
    assert await results(database.url, tmp_path / "r.csv") == 0
