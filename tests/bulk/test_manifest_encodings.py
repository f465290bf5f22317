"""Manifests in other encodings, and those that are in another than was said."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.manifests import HEADER, csv_file, refusals, uploads

from siliconflow_voice import InvalidUploadError
from siliconflow_voice.bulk.manifest import Manifest

CHINESE = "慢工出细活"
ROW = f"a.mp3,a,{CHINESE}"
PASS_GB18030 = "it would be read as gb18030: pass encoding='gb18030' (--manifest-encoding gb18030)"


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


async def test_a_scan_names_the_line_and_the_encoding_that_it_would_be_read_as(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text", ROW, encoding="gb18030")
    with pytest.raises(InvalidUploadError) as caught:
        await Manifest(path).scan()
    assert (caught.value.field, caught.value.reason) == (
        "manifest",
        f"{path} line 3 is not utf-8; {PASS_GB18030}",
    )


async def test_a_scan_looks_at_every_byte(tmp_path: Path) -> None:
    path = csv_file(tmp_path, *["a.mp3,a,text,"] * 20_000, header=f"{HEADER},note")
    path.write_bytes(path.read_bytes() + b"a.mp3,a,text,\xff")
    with pytest.raises(InvalidUploadError, match=r"line 20002 is not utf-8\.$"):
        await Manifest(path).scan()


async def test_without_a_scan_only_the_rows_concerned_fail(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text", ROW, "a.mp3,b,text", ROW, encoding="gb18030")
    assert await refusals(path) == [
        (line, f"manifest: {path} line {line} is not utf-8; {PASS_GB18030}") for line in (3, 5)
    ]
    rows = await uploads(path)
    assert [(upload.line, upload.text) for upload in rows] == [(2, "text"), (3, ""), (4, "text"), (5, "")]
    assert rows[1].cells == {"audio": ROW.encode("gb18030").decode("utf-8", "replace")}


async def test_another_encoding_is_named_only_if_all_of_the_file_is_of_it(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROW, encoding="gb18030")
    path.write_bytes(path.read_bytes() + b"a.mp3,b,\xff\n")
    assert [reason.rpartition(" line ")[2] for _, reason in await refusals(path)] == [
        "2 is not utf-8",
        "3 is not utf-8",
    ]


async def test_a_file_that_is_utf8_after_all_is_known_for_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidUploadError, match="is not ascii; it would be read as utf-8: pass"):
        await Manifest(csv_file(tmp_path, ROW), encoding="ascii").scan()


async def test_a_header_that_does_not_decode_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text,x", header=f"{HEADER},备注", encoding="gb18030")
    with pytest.raises(InvalidUploadError) as caught:
        await uploads(path)
    assert caught.value.reason == f"{path} line 1 is not utf-8; {PASS_GB18030}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
async def test_a_file_marked_as_utf16_is_known_for_it(tmp_path: Path, encoding: str) -> None:
    path = csv_file(tmp_path, ROW, encoding=encoding)
    for read in (Manifest(path).scan, lambda: uploads(path)):
        with pytest.raises(InvalidUploadError) as caught:
            await read()
        assert caught.value.reason == (
            f"{path} is {encoding}: save it as UTF-8, or pass encoding='{encoding}' "
            f"(--manifest-encoding {encoding})"
        )


async def test_utf16_that_ends_within_a_character_fails_its_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROW, "a.mp3,b,text", encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-1])
    refused = await refusals(Manifest(path, encoding="utf-16"))
    assert refused == [(3, f"manifest: {path} line 3 is not utf-16")]


async def test_an_encoding_that_reads_nothing_but_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidUploadError, match="can't be read: unsupported error handling"):
        await Manifest(csv_file(tmp_path, ROW), encoding="idna").scan()


async def test_a_file_that_is_marked_as_utf8_is_read_as_nothing_else(tmp_path: Path) -> None:
    manifest = Manifest(csv_file(tmp_path, ROW, header="\ufeff" + HEADER), encoding="gb18030")
    with pytest.raises(InvalidUploadError, match="is utf-8, as the mark at its front says: leave out enc"):
        await manifest.scan()
