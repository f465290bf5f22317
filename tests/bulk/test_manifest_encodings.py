"""Manifests in other encodings, and those that are in another than was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.manifests import HEADER, csv_file, json_file, refusals, uploads

from siliconflow_voice import InvalidUploadError
from siliconflow_voice.bulk.manifest import Manifest

CHINESE = "慢工出细活"
ROW = f"a.mp3,a,{CHINESE}"
SAVE_IT = (
    "save the table as UTF-8, or pass the encoding that it was saved in (--manifest-encoding), such as "
    "gb18030, big5 or shift_jis"
)


@pytest.mark.parametrize("spelling", ["utf-8", "UTF8", "utf_8", "utf-8-sig", "U8"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
async def test_utf8_is_read_with_and_without_a_mark(tmp_path: Path, spelling: str, mark: str) -> None:
    manifest = Manifest(csv_file(tmp_path, ROW, header=mark + HEADER), encoding=spelling)
    assert (await manifest.scan(), [upload.text for upload in await uploads(manifest)]) == (1, [CHINESE])


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("gbk", ""), ("big5", "")]
    + [(name, mark) for name in ("gb18030", "utf-16", "utf-16-le", "utf-32") for mark in ("", "\ufeff")],
)
async def test_other_encodings_are_read_when_told(tmp_path: Path, encoding: str, mark: str) -> None:
    path = csv_file(tmp_path, "a.mp3,a,慢", header=mark + HEADER, encoding=encoding)
    manifest = Manifest(path, encoding=encoding)
    assert (await manifest.scan(), [upload.text for upload in await uploads(manifest)]) == (1, ["慢"])


async def test_json_lines_are_read_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "voices.jsonl"
    path.write_bytes('{"audio": "a.mp3", "custom_name": "a", "text": "慢"}\n'.encode("utf-16"))
    assert [upload.text for upload in await uploads(Manifest(path, encoding="utf-16"))] == ["慢"]


async def test_a_scan_names_the_line_and_says_what_to_do(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text", ROW, encoding="gb18030")
    with pytest.raises(InvalidUploadError) as caught:
        await Manifest(path).scan()
    assert (caught.value.field, caught.value.reason) == (
        "manifest",
        f"{path} line 3 is not utf-8: {SAVE_IT}",
    )


async def test_a_scan_looks_at_every_byte(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text,"] * 20_000, header=f"{HEADER},note")
    path.write_bytes(path.read_bytes() + b"a.mp3,a,text,\xff")
    with pytest.raises(InvalidUploadError, match=r"line 20002 is not utf-8: save the table"):
        await Manifest(path).scan()


async def test_without_a_scan_only_the_rows_concerned_fail(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text", ROW, "a.mp3,b,text", ROW, encoding="gb18030")
    assert await refusals(path) == [
        (line, f"manifest: {path} line {line} is not utf-8: {SAVE_IT}") for line in (3, 5)
    ]
    rows = await uploads(path)
    assert [(upload.line, upload.text) for upload in rows] == [(2, "text"), (3, ""), (4, "text"), (5, "")]
    assert rows[1].cells == {"audio": ROW.encode("gb18030").decode("utf-8", "replace")}


async def test_no_other_encoding_is_guessed_in_parts_of_a_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROW, encoding="gb18030")
    path.write_bytes(path.read_bytes() + b"a.mp3,b,\xff\n")
    assert [reason.rpartition(" line ")[2] for _, reason in await refusals(path)] == [
        f"2 is not utf-8: {SAVE_IT}",
        f"3 is not utf-8: {SAVE_IT}",
    ]


async def test_a_file_that_is_utf8_after_all_is_known_for_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidUploadError, match="is not ascii, but all of the file is utf-8: pass that"):
        await Manifest(csv_file(tmp_path, ROW), encoding="ascii").scan()


async def test_rows_behind_one_that_does_not_decode_are_read(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROW, *[f"a.mp3,a,{number}" for number in range(9_000)])
    refused = await refusals(Manifest(path, encoding="ascii"))
    assert [line for line, _ in refused] == [2]
    rows = await uploads(Manifest(path, encoding="ascii"))
    assert [upload.text for upload in rows[1:]] == [str(number) for number in range(9_000)]


async def test_a_header_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text,x", header=f"{HEADER},备注", encoding="gb18030")
    with pytest.raises(InvalidUploadError) as caught:
        await uploads(path)
    assert caught.value.reason == f"{path} line 1 is not utf-8: {SAVE_IT}"


@pytest.mark.parametrize("told", ["utf-8", "gb18030", "ascii", "utf-16-le"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("write", [csv_file, json_file])
async def test_a_mark_overrules_what_is_told(
    tmp_path: Path, encoding: str, told: str, write: Callable[..., Path]
) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    row = ROW if write is csv_file else f'{{"audio": "a.mp3", "custom_name": "a", "text": "{CHINESE}"}}'
    path = write(tmp_path, row)
    path.write_bytes((mark + path.read_text(encoding="utf-8")).encode(encoding))
    manifest = Manifest(path, encoding=told)
    assert (await manifest.scan(), [upload.text for upload in await uploads(manifest)]) == (1, [CHINESE])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_utf16_without_a_mark_is_not_guessed_but_seen(tmp_path: Path, encoding: str) -> None:
    path = csv_file(tmp_path, ROW, encoding=encoding)
    with pytest.raises(InvalidUploadError) as caught:
        await Manifest(path).scan()
    assert "lacks the columns audio, custom_name, text" in caught.value.reason
    assert "It looks like UTF-16 without a mark: save it as UTF-8" in caught.value.reason
    assert caught.value.reason.isprintable()


async def test_utf16_that_ends_within_a_character_fails_its_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROW, "a.mp3,b,text", encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-1])
    refused = await refusals(Manifest(path, encoding="utf-16"))
    assert refused == [(3, f"manifest: {path} line 3 is not utf-16: {SAVE_IT}")]


async def test_an_encoding_that_reads_nothing_but_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidUploadError, match="can't be read: unsupported error handling"):
        await Manifest(csv_file(tmp_path, ROW), encoding="idna").scan()
