from __future__ import annotations

import pytest
from support.bulk import item, statuses_of
from support.journals import entry, recorded

from siliconflow_voice import Journal, VoiceClient
from siliconflow_voice.bulk import journal as journal_module
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.emulator import Emulator


async def replaced(place: str, *entries: Entry) -> list[tuple[int, int]]:
    """Upload these, one after the other; return which of them is superseded, and by which."""
    async with Journal(place) as journal:
        for number, upload in enumerate(entries):
            await recorded(journal, upload, "uploaded", uri=f"speech:x:emulated:{number}")
        numbers = {f"speech:x:emulated:{number}": number for number in range(len(entries))}
        return [(numbers[old["uri"]], numbers[old["superseded_by"]]) async for old in journal.superseded()]


async def test_nothing_is_superseded_where_nothing_was_changed(place: str) -> None:
    assert await replaced(place, *[entry(number) for number in range(4)]) == []


@pytest.mark.parametrize(
    "changes", [{"text": "corrected"}, {"sha256": "f" * 64}, {"text": "corrected", "audio": "other.mp3"}]
)
async def test_a_later_voice_of_the_name_supersedes_those_before(place: str, changes: dict[str, str]) -> None:
    versions = [entry(0), entry(1), entry(0, **changes), entry(0, text="corrected again")]
    assert await replaced(place, *versions) == [(0, 3), (2, 3)]


async def test_so_does_one_of_the_recording_with_another_text(place: str) -> None:
    assert await replaced(place, entry(0), entry(0, text="corrected", custom_name="b")) == [(0, 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"custom_name": "b"},  # a recording may make voices of other names
        {"model": "another"},
        {"custom_name": "b", "text": "another", "sha256": "f" * 64},  # many are called the same: in memory
        {"custom_name": "b", "text": "another", "audio": "other.mp3"},
    ],
)
async def test_another_voice_does_not(place: str, changes: dict[str, str]) -> None:
    assert await replaced(place, entry(0), entry(0, **changes)) == []


async def test_what_has_no_voice_neither_is_nor_supersedes(place: str) -> None:
    async with Journal(place) as journal:
        await recorded(journal, entry(0), "uploaded")
        await recorded(journal, entry(0, text="corrected"), "unknown")
        await recorded(journal, entry(0, text="corrected again"), "failed")
        assert [old async for old in journal.superseded()] == []


async def test_they_come_in_pages(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_PAGE", 2)
    versions = [entry(0, text=str(number)) for number in range(6)]
    assert await replaced(place, *versions) == [(number, 5) for number in range(5)]


async def test_they_can_be_deleted_and_forgotten(client: VoiceClient, emulator: Emulator, place: str) -> None:
    async with Journal(place) as journal:
        for text in ("wrong", "right"):
            assert await statuses_of(client, [item(text=text)], journal=journal) == ["uploaded"]
        records = {record["uri"]: record async for record in journal.records()}
        (old,) = [old async for old in journal.superseded()]
        assert old == {**records[old["uri"]], "superseded_by": old["superseded_by"]}
        assert (old["text"], records[old["superseded_by"]]["text"]) == ("wrong", "right")
        await client.delete_voice(old["uri"])
        assert await journal.forget(old["uri"])
        assert [voice.text for voice in emulator.voices] == ["right"]
        assert [old async for old in journal.superseded()] == []
        assert await statuses_of(client, [item(text="right")], journal=journal) == ["skipped"]
