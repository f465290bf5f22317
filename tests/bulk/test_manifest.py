from __future__ import annotations

import os
import pickle
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.manifests import HEADER, csv_file, json_file, refusals, uploads
from support.recordings import MP3, SPEECH, TEXT

from siliconflow_voice import ConfigurationError, InvalidUploadError, VoiceClient, upload_many
from siliconflow_voice.bulk import manifest as manifests
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.uploads.values import DEFAULT_MODEL

LACKS_ALL = "lacks the columns audio, custom_name, text; it has"


def texts(upload: ManifestUpload) -> tuple[str, str, str, str]:
    return upload.custom_name, upload.text, upload.model, upload.encoding


async def test_a_csv_file_is_uploaded_row_by_row(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "a.mp3").write_bytes(SPEECH)
    path = csv_file(tmp_path, f"recordings/a.mp3,a,{TEXT}", f"recordings/a.mp3,b,{TEXT}")
    outcomes = [outcome async for outcome in upload_many(client, Manifest(path))]
    assert [outcome.status for outcome in outcomes] == ["uploaded", "uploaded"]
    assert {(voice.custom_name, voice.text) for voice in emulator.voices} == {("a", TEXT), ("b", TEXT)}


async def test_a_wrong_row_fails_alone_and_sends_nothing(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "a.mp3").write_bytes(SPEECH)
    wrong = ["a.mp3,b", "a.mp3,b,hello, world", ",b,text", "a.mp3,b,", 'a.mp3,b,"never']
    path = csv_file(tmp_path, *wrong[:2], f"a.mp3,good,{TEXT}", *wrong[2:])
    outcomes = [outcome async for outcome in upload_many(client, Manifest(path))]
    errors = {
        outcome.upload.line: outcome.error
        for outcome in outcomes
        if isinstance(outcome.upload, ManifestUpload) and outcome.status == "failed"
    }
    assert sorted(errors) == [2, 3, 5, 6, 7]
    assert {type(error) for error in errors.values()} == {InvalidUploadError}
    assert [voice.custom_name for voice in emulator.voices] == ["good"]
    assert sum(request.endpoint == "upload" for request in emulator.requests) == 1


async def test_an_encoding_that_is_none_fails_its_row(
    client: VoiceClient, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "a.mp3").write_bytes(SPEECH)
    path = csv_file(tmp_path, "a.mp3,a,text,gzip", header=f"{HEADER},encoding")
    (outcome,) = [outcome async for outcome in upload_many(client, Manifest(path))]
    assert (str(outcome.error), emulator.voices) == (
        "encoding: 'gzip' is not one of multipart, base64.",
        [],
    )


async def test_optional_columns_are_taken(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "a.mp3,a,text,another/model,base64",
        "a.mp3,b,text,,",
        "a.mp3,c,text,  , ",
        header=f"{HEADER},model,encoding",
    )
    assert [texts(upload) for upload in await uploads(path)] == [
        ("a", "text", "another/model", "base64"),
        ("b", "text", DEFAULT_MODEL, "multipart"),
        ("c", "text", DEFAULT_MODEL, "multipart"),
    ]


async def test_the_defaults_can_be_given(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text")
    (upload,) = await uploads(Manifest(path, model="another/model", upload_encoding="base64"))
    assert texts(upload) == ("a", "text", "another/model", "base64")


async def test_space_around_cells_is_left_out_but_for_the_text(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path, " a.mp3 , a , as it is , m , base64 ", header=" audio ,custom_name , text,model, encoding"
    )
    (upload,) = await uploads(path)
    assert texts(upload) == ("a", " as it is ", "m", "base64")


async def test_a_json_lines_file_has_an_object_in_each_line(tmp_path: Path) -> None:
    path = json_file(
        tmp_path,
        '{"audio": "a.mp3", "custom_name": "a", "text": "one\\ntwo", "encoding": "base64"}',
        "",
        '{"text": "慢", "custom_name": " b ", "audio": "b.mp3", "model": null, "seconds": 5.6}',
    )
    rows = await uploads(path)
    assert [(upload.line, *texts(upload)) for upload in rows] == [
        (1, "a", "one\ntwo", DEFAULT_MODEL, "base64"),
        (3, "b", "慢", DEFAULT_MODEL, "multipart"),
    ]


@pytest.mark.parametrize("name", ["voices.CSV", "voices.JSONL", "voices.ndjson"])
async def test_the_format_is_told_by_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    one_row = '{"audio": "a.mp3", "custom_name": "a", "text": "t"}'
    path.write_text(f"{HEADER}\na.mp3,a,t\n" if name.endswith("CSV") else one_row)
    assert [texts(upload)[:2] for upload in await uploads(path)] == [("a", "t")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_a_row_has_the_line_on_which_it_begins(tmp_path: Path, end: str) -> None:
    path = tmp_path / "voices.csv"
    lines = ["", HEADER, "a.mp3,a,one", "", 'a.mp3,b,"two', "", 'and three"', "  ", "a.mp3,c,four"]
    path.write_bytes(end.join(lines).encode())
    rows = await uploads(path)
    assert [(upload.line, upload.text) for upload in rows] == [
        (3, "one"),
        (5, f"two{end}{end}and three"),
        (9, "four"),
    ]


async def test_a_row_has_its_cells_as_they_were_written(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1, a.mp3 ,a,慢,", header=f"id,{HEADER},model")
    (upload,) = await uploads(path)
    assert upload.cells == {"id": "1", "audio": " a.mp3 ", "custom_name": "a", "text": "慢", "model": ""}


async def test_a_row_is_known_by_what_it_uploads_and_not_by_its_cells(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3,a,text,7", header=f"{HEADER},id")
    (upload,) = await uploads(Manifest(path, allow_outside=True))
    (again,) = await uploads(Manifest(csv_file(tmp_path, " a.mp3,a,text"), allow_outside=True))
    assert (upload, upload.cells == again.cells) == (again, False)
    assert "cells" not in repr(upload)


async def test_an_upload_pickles(tmp_path: Path) -> None:
    (upload,) = await uploads(Manifest(csv_file(tmp_path, "a.mp3,a,text"), allow_outside=True))
    assert pickle.loads(pickle.dumps(upload)) == upload  # noqa: S301 - our own


async def test_a_manifest_can_be_read_again(tmp_path: Path) -> None:
    manifest = Manifest(csv_file(tmp_path, "a.mp3,a,text", "a.mp3,b,text"))
    assert [await manifest.scan(), len(await uploads(manifest)), len(await uploads(manifest))] == [2, 2, 2]


async def test_a_header_alone_is_a_manifest_of_nothing(tmp_path: Path) -> None:
    manifest = Manifest(csv_file(tmp_path))
    assert (await manifest.scan(), await uploads(manifest)) == (0, [])


async def test_as_many_rows_as_are_read_at_once_are_all_there(tmp_path: Path) -> None:
    count = 2 * manifests._ROWS_AT_ONCE
    manifest = Manifest(csv_file(tmp_path, *("a.mp3,a,text" for _ in range(count))))
    assert (await manifest.scan(), len(await uploads(manifest))) == (count, count)


async def test_few_long_rows_are_read_at_once(tmp_path: Path) -> None:
    manifest = Manifest(csv_file(tmp_path, *(f"a.mp3,a,{'x' * 100_000}" for _ in range(30))))
    async with aclosing(manifest._read(len_of_raw)) as chunks:
        assert [len(chunk) async for chunk in chunks] == [11, 11, 8]


def len_of_raw(row: Any) -> int:
    return len(row.raw)


async def test_a_scan_counts_wrong_rows_too(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a.mp3", "a.mp3,a,text", ",,,x")
    assert (await Manifest(path).scan(), len(await refusals(path))) == (3, 2)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("audio,custom_name", "lacks the column text; it has: audio, custom_name"),
        ("name,transcript", f"{LACKS_ALL}: name, transcript"),
        ("audio|custom_name|text", f"{LACKS_ALL}: audio|custom_name|text"),
        ("audio,,custom_name,", "lacks the column text; it has: audio, custom_name"),
        (
            "audio,custom\u200e_nam,text",
            "lacks the column custom_name; it has: audio, custom\\u200e_nam, text",
        ),
        ("audio,text,custom_name,text", "has the column text more than once"),
        ("audio,text,custom_name,model,model", "has the column model more than once"),
        ("text,audio,text,custom_name,audio", "has the columns audio, text more than once"),
        ('audio,custom_name,"text', "has a quote that is never closed"),
    ],
)
async def test_a_header_that_is_wrong_is_refused(tmp_path: Path, header: str, reason: str) -> None:
    manifest = Manifest(csv_file(tmp_path, header=header))
    for read in (manifest.scan, lambda: uploads(manifest)):
        with pytest.raises(InvalidUploadError) as caught:
            await read()
        assert (caught.value.field, caught.value.reason) == ("manifest", f"{manifest.path} line 1 {reason}")


async def test_other_columns_may_be_there_twice(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1,a.mp3,a,text,2,3,4,", header=f"note,{HEADER},note,note (2),note,")
    (upload,) = await uploads(path)
    assert upload.text == "text"
    own = {name: cell for name, cell in upload.cells.items() if name not in HEADER.split(",")}
    assert own == {"note": "1", "note (2)": "2", "note (2) (2)": "3", "note (3)": "4"}


async def test_the_columns_have_an_empty_name_if_cells_have_no_column(tmp_path: Path) -> None:
    manifest = Manifest(csv_file(tmp_path, "a.mp3,a,hello, world"))
    await manifest.scan()
    assert manifest.columns == ("audio", "custom_name", "text", "")


@pytest.mark.parametrize("name", ["voices.csv", "voices.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n \n\n", b"\xef\xbb\xbf"])
async def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidUploadError, match=r"manifest: .* is empty"):
        await Manifest(path).scan()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "can't be read: no such file or directory"),
        (Path.mkdir, "can't be read: is a directory"),
        (os.mkfifo, "is a FIFO, not a regular file"),
        (lambda path: path.symlink_to("/dev/null"), "is a device, not a regular file"),
    ],
)
async def test_what_is_no_file_is_refused(tmp_path: Path, make: Any, reason: str) -> None:
    path = tmp_path / "voices.csv"
    make(path)
    for read in (Manifest(path).scan, lambda: uploads(path)):
        with pytest.raises(InvalidUploadError) as caught:
            await read()
        assert (caught.value.field, caught.value.reason) == ("manifest", f"{path} {reason}")


@pytest.mark.parametrize("name", ["voices", "voices.doc", ".csv"])
def test_a_file_of_another_format_is_refused(name: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        Manifest(name)
    assert caught.value.reason == (
        f"{name} is not a supported kind of table, by its name; "
        f"supported: .csv, .tsv, .txt, .xlsx, .xlsm, .jsonl, .ndjson"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 3}, "path must be a path, got int"),
        ({"root": 3}, "root must be a path, got int"),
        (
            {"encoding": "utf-9"},
            "a text encoding, such as utf-8 or gb18030, got 'utf-9'",
        ),
        ({"encoding": "hex"}, "encoding must be the name of a text encoding"),
        ({"encoding": "utf\0"}, "encoding must be the name of a text encoding"),
        ({"encoding": None}, "encoding must be the name of a text encoding"),
        ({"upload_encoding": "gzip"}, "upload_encoding: 'gzip' is not one of multipart, base64"),
    ],
)
def test_what_can_not_work_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, InvalidUploadError), match=message):
        Manifest(**{"path": "voices.csv"} | arguments)


def test_a_representation_has_the_path() -> None:
    assert repr(Manifest(Path("voices.csv"))) == "Manifest('voices.csv')"


async def test_the_way_to_a_file_can_be_from_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: VoiceClient
) -> None:
    (tmp_path / "a.mp3").write_bytes(MP3.read_bytes())
    csv_file(tmp_path, "a.mp3,a,text")
    monkeypatch.chdir(tmp_path)
    (outcome,) = [outcome async for outcome in upload_many(client, Manifest("voices.csv"))]
    assert outcome.status == "uploaded"
