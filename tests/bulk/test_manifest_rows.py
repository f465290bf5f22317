"""Rows that are wrong, each of which fails alone, and says why."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manifests import HEADER, csv_file, json_file, refusals, uploads
from support.recordings import SPEECH

from siliconflow_voice import InvalidUploadError
from siliconflow_voice.bulk import lines
from siliconflow_voice.bulk.manifest import Manifest

ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "gb18030", "shift_jis", "iso2022_jp", "utf-7", "idna", "ascii"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.mp3,b", "has 2 cells, and the header has 3: the column text is missing"),
        ("a.mp3", "has 1 cell, and the header has 3: the columns custom_name, text are missing"),
        (
            "a.mp3,b,hello, world",
            "has 4 cells, and the header has 3: a text with a comma in it must be in quotes",
        ),
        ('a.mp3,b,"text', "has a quote that is never closed"),
        (
            'a.mp3,b,"he said "so""',
            "is not CSV: ',' expected after '\"'; within quotes, a quote is written twice",
        ),
        (
            f"a.mp3,b,{'x' * (csv.field_size_limit() + 1)}",
            "is not CSV: field larger than field limit (131072); within quotes, a quote is written twice",
        ),
        (f"a.mp3,b,{'text,' * 300_000}", "has more than 1,048,576 characters"),
    ],
    ids=range(7),
)
async def test_a_row_of_csv_that_is_wrong_as_a_whole_says_why(tmp_path: Path, line: str, reason: str) -> None:
    path = csv_file(tmp_path, "a.mp3,a,one", line, "a.mp3,c,three")
    assert await refusals(path) == [(3, f"manifest: {path} line 3 {reason}")]
    assert [upload.line for upload in await uploads(path)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON at column 2: Expecting property name"),
        ("a.mp3,a,text", "is not JSON at column 1: Expecting value"),
        ("[]", "is JSON, but not an object"),
        ("null", "is JSON, but not an object"),
        ('{"audio": "\0"}', "is not JSON at column 12: Invalid control character"),
        ("[" * 100_000, "is not JSON that can be read: maximum recursion depth exceeded"),
        ("9" * 5000, "is not JSON that can be read: Exceeds the limit"),
        ('{"audio": "a.mp3"} ' + " " * (1 << 20), "has more than 1,048,576 characters"),
    ],
    ids=range(8),
)
async def test_a_line_that_is_no_json_says_why(tmp_path: Path, line: str, reason: str) -> None:
    path = json_file(tmp_path, '{"audio": "a.mp3", "custom_name": "a", "text": "t"}', line)
    ((number, message),) = await refusals(path)
    assert (number, message.startswith(f"manifest: {path} line 2 {reason}")) == (2, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": ""}, "audio: is empty; it must be the path of a recording"),
        ({"audio": " "}, "audio: is empty; it must be the path of a recording"),
        ({"audio": None}, "audio: is missing"),
        ({"custom_name": None}, "custom_name: is missing"),
        ({"text": None}, "text: is missing"),
        ({"text": 5}, "text: must be text, not a number (5)"),
        ({"custom_name": ["a"]}, "custom_name: must be text, not a list (['a'])"),
        ({"model": False}, "model: must be text, not a truth value (False)"),
        ({"encoding": {}}, "encoding: must be text, not a dict ({})"),
        ({"audio": "a\0b"}, "audio: has a NUL character"),
        ({"text": "a\0b"}, "text: has a NUL character"),
        ({"audio": "\udcff"}, "audio: has a lone surrogate, which UTF-8 can't carry"),
        ({"text": "\ud800"}, "text: has a lone surrogate, which UTF-8 can't carry"),
        ({"audio": "https://example.com/a.mp3"}, "audio: is a URL: allow its host with --allow-host"),
        ({"audio": "HTTP://example.com/a.mp3"}, "audio: is a URL: allow its host with --allow-host"),
        ({"audio": "data:audio/mpeg;base64,SUQz"}, "audio: is a URL: download it first, and put"),
    ],
)
async def test_a_value_that_is_none_for_its_column_fails_its_row(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    row = {"audio": "a.mp3", "custom_name": "a", "text": "t"} | changes
    ((line, told),) = await refusals(json_file(tmp_path, json.dumps(row)))
    assert (line, told.startswith(message)) == (1, True)


async def test_a_nul_in_a_cell_fails_its_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,one\0", "a.mp3,b,two")
    assert await refusals(path) == [(2, "text: has a NUL character")]


async def test_the_audio_is_named_first_of_what_is_wrong(tmp_path: Path) -> None:
    path = json_file(tmp_path, '{"audio": "", "custom_name": 5}')
    assert await refusals(path) == [(1, "audio: is empty; it must be the path of a recording")]


async def test_a_quote_that_is_never_closed_takes_no_other_row_with_it(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a.mp3,a,"one', "a.mp3,b,two", 'a.mp3,c,"three"', "a.mp3,d,four")
    assert [line for line, _ in await refusals(path)] == [2]
    assert [upload.text for upload in (await uploads(path))[1:]] == ["two", "three", "four"]


async def test_a_quote_that_is_never_closed_takes_no_other_row_with_it_in_a_large_file(
    tmp_path: Path,
) -> None:
    path = csv_file(tmp_path, 'a.mp3,a,"one', *(f"a.mp3,b,{number}" for number in range(15_000)))
    assert [line for line, _ in await refusals(path)] == [2]
    assert [upload.text for upload in (await uploads(path))[1:]] == [str(number) for number in range(15_000)]


async def test_a_row_of_cells_without_end_is_given_up(tmp_path: Path) -> None:
    # Each cell ends, and the row goes on.
    path = csv_file(tmp_path, *['x","'] * 250_000)
    (line, reason), *_ = await refusals(path)
    assert (line, "is not CSV: a row of more than 1,048,576 characters" in reason) == (2, True)


async def test_lines_are_not_read_again_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_MOST_AGAIN", 20)
    path = csv_file(tmp_path, *['x","'] * 10)
    # All of it twice, and twenty characters; what is left then is one row.
    assert [line for line, _ in await refusals(path)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("write", "row", "cells"),
    [
        (
            csv_file,
            "a.mp3,b,hello, world,, again",
            {"audio": "a.mp3", "custom_name": "b", "text": "hello", "": " world, again"},
        ),
        (csv_file, "a.mp3,b", {"audio": "a.mp3", "custom_name": "b", "text": ""}),
        (csv_file, 'a.mp3,b,"one', {"audio": 'a.mp3,b,"one'}),
        (json_file, "nonsense", {"audio": "nonsense"}),
        (
            json_file,
            '{"audio": "a.mp3", "custom_name": "a", "text": ["t"], "id": 7, "ok": true, "tags": ["x"]}',
            {
                "audio": "a.mp3",
                "custom_name": "a",
                "id": "7",
                "ok": "true",
                "tags": '["x"]',
                "": 'text: ["t"]',
            },
        ),
        (
            json_file,
            '{"audio": "a.mp3", "text": "\\ud800", "\\udfff": "x\\ud801", "id": null, "": 7}',
            {
                "audio": "a.mp3",
                "\ufffd": "x\ufffd",
                "id": "",
                "": 'text: "\\ud800"; 7',
            },
        ),
        (json_file, '{"audio": "a.mp3", "custom_name": null, "text": "t"}', {"audio": "a.mp3", "text": "t"}),
    ],
)
async def test_the_cells_of_a_wrong_row_make_a_wrong_row_again(
    tmp_path: Path, write: Callable[..., Path], row: str, cells: dict[str, str]
) -> None:
    (upload,) = await uploads(write(tmp_path, row))
    assert upload.cells == cells
    written = io.StringIO()
    table = csv.DictWriter(written, [*HEADER.split(","), "id", "ok", "tags", "\ufffd", ""])
    table.writerow(upload.cells)
    header = ",".join(table.fieldnames)
    (again,) = await uploads(csv_file(tmp_path, written.getvalue().rstrip("\r\n"), header=header))
    assert again.cells == dict.fromkeys(filter(None, table.fieldnames), "") | cells
    (tmp_path / "a.mp3").write_bytes(SPEECH)
    assert [problem async for problem in Manifest(tmp_path / "voices.csv").check()]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text('",\r\n a')
FOLDER = Path(tempfile.gettempdir())


@settings(deadline=None)
@given(table=st.lists(TEXTS.filter(str.strip), min_size=1), windows=st.booleans())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
async def test_what_csv_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, table: list[str], windows: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"written-{encoding}.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        # Unless told to, it does not quote a line break other than its own.
        writer = csv.writer(file) if windows else csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(["audio", "custom_name", "text"])
        writer.writerows([["a.mp3", "a", text] for text in table])
    manifest = Manifest(path, encoding=encoding.removesuffix("-sig"))
    assert await manifest.scan() == len(table)
    assert [upload.text for upload in await uploads(manifest)] == table


@settings(deadline=None, max_examples=400)
@given(encoding=st.sampled_from(ENCODINGS), content=st.binary() | st.text('",\r\n a\0{}:[]').map(str.encode))
@pytest.mark.parametrize("name", ["any.csv", "any.jsonl"])
@pytest.mark.parametrize("header", [b"", f"{HEADER}\n".encode()])
async def test_any_bytes_make_rows_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, header: bytes, encoding: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(header + content)
    manifest = Manifest(path, encoding=encoding)
    try:
        count = len(await refusals(manifest))
        assert await manifest.scan() >= count
    except InvalidUploadError as error:
        assert error.field == "manifest"  # noqa: PT017 - that is all that may come


@pytest.mark.parametrize("name", ["voices.csv", "voices.jsonl"])
async def test_a_file_that_is_one_long_line_is_not_held_in_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("w") as file:
        file.write(f"{HEADER}\n")
        for _ in range(64):
            file.write("x" * (1 << 20))
    tracemalloc.start()
    try:
        await Manifest(path).scan()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
