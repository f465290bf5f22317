from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import resource
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.journals import Blocker, entry, file_of, recorded, refused, uri_of
from support.terminal import until

from siliconflow_voice.bulk import journal as journal_module
from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.store import Store
from siliconflow_voice.errors import ConfigurationError, JournalError

FIELDS = "audio,sha256,model,custom_name,text,state,uri,error,trace_id,attempts,at"
TEXT = '他说："好，\n再见"；=1+1\t\u2028\u20ac🎙'


async def fill(journal: Journal) -> None:
    """Put an upload of each state into a journal."""
    entries = [entry(number, text=TEXT, audio=f"声音/{number}.mp3") for number in range(5)]
    await recorded(journal, entries[0], "uploaded", trace_id="ti_1", attempts=2)
    await recorded(journal, entries[1], "recovered")
    await recorded(journal, entries[2], "failed", trace_id="ti_2", attempts=1)
    await recorded(journal, entries[3], "pending")
    await recorded(journal, entries[4], "unknown")


async def set_clock(journal: Journal, place: str) -> None:
    """Have all of a journal's records be of one time."""
    if journal.path is None:
        async with await psycopg.AsyncConnection.connect(place, autocommit=True) as connection:
            await connection.execute(
                "UPDATE siliconflow_voice.uploads SET at = to_timestamp(1700000000.0625)"
            )
    else:
        await file_of(journal).transact(
            lambda store: store._connection.execute("UPDATE uploads SET at = 1700000000.0625")
        )


EXPECTED: list[dict[str, Any]] = [
    {
        "audio": f"声音/{number}.mp3",
        "sha256": f"{number:064x}",
        "model": entry().model,
        "custom_name": f"narrator-{number}",
        "text": TEXT,
        "state": state,
        "uri": uri_of(entry(number)) if number < 2 else None,
        "error": str(refused("ti_2")) if number == 2 else None,
        "trace_id": {0: "ti_1", 2: "ti_2"}.get(number),
        "attempts": {0: 2, 2: 1}.get(number, 0),
        "at": "2023-11-14T22:13:20.062+00:00",
    }
    for number, state in enumerate(["uploaded", "recovered", "failed", "pending", "unknown"])
]


@pytest.fixture
async def journal(place: str) -> AsyncIterator[Journal]:
    async with Journal(place) as journal:
        await fill(journal)
        await set_clock(journal, place)
        yield journal


@pytest.fixture
async def journal_file(tmp_path: Path) -> AsyncIterator[Journal]:
    """One that is a file."""
    async with Journal(tmp_path / "voices.journal") as journal:
        await fill(journal)
        yield journal


def others_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} - {"voices.journal", "voices.journal-wal"}


async def test_a_csv_has_a_mark_a_header_and_every_upload(journal: Journal, tmp_path: Path) -> None:
    target = tmp_path / "voices.csv"
    assert await journal.export(target) == 5
    content = target.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert content.startswith(b"\xef\xbb\xbf" + FIELDS.encode() + b"\r\n")
    assert rows == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in EXPECTED
    ]


async def test_a_jsonl_has_every_upload_on_a_line(journal: Journal, tmp_path: Path) -> None:
    target = tmp_path / "voices.jsonl"
    assert await journal.export(target) == 5
    lines = target.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == EXPECTED
    assert (lines[-1], "🎙".encode() in lines[0]) == (b"", True)


@pytest.mark.parametrize("size", [1, 2, 5, 6])
async def test_it_does_not_matter_how_many_are_read_at_once(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(journal_module, "_PAGE", size)
    assert await journal.export(tmp_path / "voices.jsonl") == 5
    lines = (tmp_path / "voices.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == EXPECTED


@pytest.mark.parametrize(
    ("name", "content"), [("empty.csv", f"\ufeff{FIELDS}\r\n".encode()), ("empty.jsonl", b"")]
)
async def test_an_empty_journal_makes_an_empty_file(tmp_path: Path, name: str, content: bytes) -> None:
    async with Journal(tmp_path / "voices.journal") as journal:
        assert await journal.export(tmp_path / name) == 0
    assert (tmp_path / name).read_bytes() == content


@settings(deadline=None, max_examples=25)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, unique=True))
def test_any_text_can_be_read_back(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("texts")

    async def run() -> None:
        async with Journal(folder / "voices.journal") as journal:
            for text in texts:
                await file_of(journal).transact(partial(Store.intend, entry=entry(text=text)))
            await journal.export(folder / "voices.csv")
            await journal.export(folder / "voices.jsonl")

    asyncio.run(run())
    with (folder / "voices.csv").open(encoding="utf-8-sig", newline="") as file:
        # But for the apostrophe that keeps a spreadsheet from running it.
        assert [row["text"].removeprefix("'") for row in csv.DictReader(file)] == [
            text.removeprefix("'") for text in texts
        ]
    with (folder / "voices.jsonl").open(encoding="utf-8", newline="\n") as file:
        assert [json.loads(line)["text"] for line in file] == texts


@pytest.mark.parametrize(
    ("name", "chosen", "first"),
    [
        ("voices.CSV", None, b"\xef\xbb\xbf"),
        ("voices.JsonL", None, b'{"a'),
        ("voices.txt", "csv", b"\xef\xbb\xbf"),
        ("voices.csv", "jsonl", b'{"a'),
        ("voices", "jsonl", b'{"a'),
    ],
)
async def test_the_format_is_what_is_asked_for_or_what_the_name_ends_with(
    journal: Journal, tmp_path: Path, name: str, chosen: Any, first: bytes
) -> None:
    await journal.export(str(tmp_path / name), format=chosen)
    assert (tmp_path / name).read_bytes()[:3] == first


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("voices.xlsx", None, "got 'xlsx'"),
        ("voices", None, "got a file without a suffix"),
        ("voices.csv", "CSV", "got 'CSV'"),
        ("voices.csv", "", "got a file without a suffix"),
    ],
)
async def test_another_format_is_refused(
    journal: Journal, tmp_path: Path, name: str, chosen: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^An export must be csv or jsonl, {said}"):
        await journal.export(tmp_path / name, format=chosen)
    assert others_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["voices.journal", "link"])
async def test_the_journal_itself_is_not_replaced(journal_file: Journal, tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("voices.journal")
    with pytest.raises(ConfigurationError, match=f"{name} would overwrite the journal; export to"):
        await journal_file.export(tmp_path / name, format="csv")
    assert sum((await journal_file.counts()).values()) == 5


async def test_the_journal_is_not_replaced_by_a_part_either(tmp_path: Path) -> None:
    async with Journal(tmp_path / "voices.csv.part") as journal:
        with pytest.raises(ConfigurationError, match="would overwrite the journal"):
            await journal.export(tmp_path / "voices.csv")
        assert await journal.counts() == {}


async def test_a_file_that_exists_is_replaced(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "voices.csv").write_text("old")
    await journal.export(tmp_path / "voices.csv")
    assert (tmp_path / "voices.csv").read_text(encoding="utf-8-sig").startswith(FIELDS)
    assert others_in(tmp_path) == {"voices.csv"}


@contextmanager
def files_of_at_most(size: int) -> Generator[None, None, None]:
    """Let each write fail that goes beyond it, as one does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["voices.csv", "voices.jsonl"])
@pytest.mark.parametrize("size", [100, 700])
async def test_one_that_fails_midway_leaves_the_old_file_and_nothing_else(
    journal: Journal, tmp_path: Path, name: str, size: int
) -> None:
    (tmp_path / name).write_text("old")
    with files_of_at_most(size), pytest.raises(OSError, match="File too large") as caught:
        await journal.export(tmp_path / name)
    assert caught.value.errno == errno.EFBIG
    assert (others_in(tmp_path), (tmp_path / name).read_text()) == ({name}, "old")
    assert await journal.export(tmp_path / name) == 5


async def test_so_does_one_whose_journal_fails(
    journal_file: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_PAGE", 2)
    (tmp_path / "voices.csv").write_text("old")
    pages: list[object] = []
    read_page = Store.page

    def fail_later(store: Store, after: int, size: int) -> object:
        pages.append(read_page(store, after, size))
        if len(pages) == 2:
            (tmp_path / "voices.journal").unlink()
        return pages[-1]

    monkeypatch.setattr(Store, "page", fail_later)
    with pytest.raises(JournalError, match="was deleted during the run"):
        await journal_file.export(tmp_path / "voices.csv")
    assert ((tmp_path / "voices.csv").read_text(), others_in(tmp_path)) == ("old", {"voices.csv"})


async def test_so_does_one_that_is_cancelled(journal_file: Journal, tmp_path: Path) -> None:
    (tmp_path / "voices.csv").write_text("old")
    blocker = Blocker()
    blocked = asyncio.create_task(file_of(journal_file).transact(blocker))
    await blocker.reached.wait()
    export = asyncio.create_task(journal_file.export(tmp_path / "voices.csv"))
    await until(lambda: others_in(tmp_path) == {"voices.csv", "voices.csv.part"})
    export.cancel()
    await asyncio.wait([export])
    blocker.go_on.set()
    await blocked
    assert export.cancelled()
    assert ((tmp_path / "voices.csv").read_text(), others_in(tmp_path)) == ("old", {"voices.csv"})


async def test_a_target_that_can_not_be_replaced_is_an_error(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "voices.csv").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        await journal.export(tmp_path / "voices.csv")
    with pytest.raises(FileNotFoundError):
        await journal.export(tmp_path / "missing" / "voices.csv")
    assert others_in(tmp_path) == {"voices.csv"}


async def test_it_is_on_the_disk_before_it_takes_its_name(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}

    def noted(name: str, *args: Any) -> None:
        done.append(name)
        real[name](*args)

    for name in real:
        monkeypatch.setattr(os, name, partial(noted, name))
    await journal.export(tmp_path / "voices.csv")
    assert done == ["fsync", "replace"]
