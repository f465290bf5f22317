"""Tables as Excel, LibreOffice and people write them; those in ``tables`` are LibreOffice's own."""

from __future__ import annotations

import builtins
import io
import os
import re
import sys
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manifests import HEADER, refusals, uploads
from support.recordings import SPEECH, TEXT

from siliconflow_voice import InvalidUploadError, VoiceClient, upload_many
from siliconflow_voice.bulk import workbook
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.emulator import Emulator

TABLES = Path(__file__).parent / "tables"
DEFAULT = "FunAudioLLM/CosyVoice2-0.5B"
SLOW = "慢工出细活"
QUOTE_IT = "a text with a comma in it must be in quotes"
NAMELESS = "has a cell in a column without a name (' world')"
SEPARATORS = {
    "sep=,": ",",
    "sep=;": ";",
    "SEP=;": ";",
    "sep=\t": "\t",
    '"sep=;"': ";",
    "sep=|": "|",
    "sep=,,,": ",",
}
INVISIBLE = [
    "\ufeff",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\xa0",
    "\u200e",
    "\u200f",
    "\u202a",
    "\u202c",
    "\u2068",
]


def table(folder: Path, content: str | bytes, name: str = "voices.csv", encoding: str = "utf-8") -> Path:
    """Write a table byte by byte."""
    path = folder / name
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


async def rows_of(manifest: Manifest | Path) -> list[tuple[int, str, str, str]]:
    """Read the good rows: where each is, and what its recording, its name and its text are."""
    manifest = Manifest(manifest) if isinstance(manifest, Path) else manifest
    assert await refusals(manifest) == []
    folder = f"{manifest.recordings.root}{os.sep}"
    return [
        (upload.line, getattr(upload.audio, "filename").removeprefix(folder), upload.custom_name, upload.text)  # noqa: B009 - some have none
        for upload in await uploads(manifest)
    ]


async def why_not(path: Path | Manifest) -> str:
    """Return why a whole file is refused."""
    with pytest.raises(InvalidUploadError) as caught:
        await (Manifest(path) if isinstance(path, Path) else path).scan()
    assert caught.value.field == "manifest"
    return caught.value.reason.partition(" ")[2]


# --- rows of nothing, cells that are missing, and cells too many


@pytest.mark.parametrize(
    "nothing",
    [",,", ", ,", ",", '"","",""', "\t", " , \u3000,\xa0", "\u200b,\ufeff,", ",,,,,,,,", "\u00ad", "\x1a"],
    ids=ascii,
)
async def test_a_row_of_nothing_is_skipped_wherever_it_is(tmp_path: Path, nothing: str) -> None:
    lines = [nothing, HEADER, nothing, "v1.mp3,voice-1,text 1", nothing, nothing, "v2.mp3,b,two", nothing]
    path = table(tmp_path, "\r\n".join(lines))
    assert await rows_of(path) == [(4, "v1.mp3", "voice-1", "text 1"), (7, "v2.mp3", "b", "two")]
    assert await Manifest(path).scan() == 2


@pytest.mark.parametrize("row", [",,text", "v1.mp3,,", ",voice-1,", ",,,note"])
async def test_a_row_of_anything_is_not(tmp_path: Path, row: str) -> None:
    check = Manifest(table(tmp_path, f"{HEADER},note\n{row}\n")).check()
    problems = [problem async for problem in check]
    assert (check.report.rows, {problem.line for problem in problems}) == (1, {2})


async def test_nul_bytes_are_not_nothing_but_damage(tmp_path: Path) -> None:
    path = table(tmp_path, f"{HEADER}\nv1.mp3,a,text\n" + "\0" * 40)
    assert [line for line, _ in await refusals(path)] == [3]


@pytest.mark.parametrize(
    ("row", "model"),
    [("v1.mp3,a,text", ""), ("v1.mp3,a,text,", ""), ("v1.mp3,a,text,m", "m"), ("v1.mp3,a,text,m,,,", "m")],
)
async def test_cells_that_are_missing_at_the_end_are_empty(tmp_path: Path, row: str, model: str) -> None:
    path = table(tmp_path, f"{HEADER},model,encoding,note\n{row}\n")
    (upload,) = await uploads(path)
    assert await refusals(path) == []
    assert (upload.text, upload.model, upload.encoding) == ("text", model or DEFAULT, "multipart")
    assert (upload.cells["model"], upload.cells["note"]) == (model, "")


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (HEADER, "v1.mp3,a", "has 2 cells, and the header has 3: the column text is missing"),
        (
            f"model,{HEADER}",
            "m,v1.mp3",
            "has 2 cells, and the header has 4: the columns custom_name, text are missing",
        ),
        (HEADER, "v1.mp3", "has 1 cell, and the header has 3: the columns custom_name, text are missing"),
    ],
)
async def test_a_row_without_what_it_needs_is_refused(
    tmp_path: Path, header: str, row: str, reason: str
) -> None:
    path = table(tmp_path, f"{header}\n{row}\n")
    assert await refusals(path) == [(2, f"manifest: {path} line 2 {reason}")]


@pytest.mark.parametrize("end", [",", ",,,", ', ,""', ",\u200b", ",\xa0,"], ids=ascii)
@pytest.mark.parametrize("header", [HEADER, f"{HEADER},", f"{HEADER},,"])
async def test_cells_too_many_are_ignored_if_there_is_nothing_in_them(
    tmp_path: Path, header: str, end: str
) -> None:
    path = table(tmp_path, f"{header}\r\nv1.mp3,a,one{end}\r\nv2.mp3,b,two\r\n")
    assert await rows_of(path) == [(2, "v1.mp3", "a", "one"), (3, "v2.mp3", "b", "two")]
    assert [set(upload.cells) for upload in await uploads(path)] == [{"audio", "custom_name", "text"}] * 2


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (HEADER, "v1.mp3,a,hello, world", f"has 4 cells, and the header has 3: {QUOTE_IT}"),
        (HEADER, "v1.mp3,a,hello,,!", f"has 5 cells, and the header has 3: {QUOTE_IT}"),
        (f"{HEADER},", "v1.mp3,a,hello, world", f"{NAMELESS}: {QUOTE_IT}"),
        (f"{HEADER},,", "v1.mp3,a,hello, world", f"{NAMELESS}: {QUOTE_IT}"),
        ("audio;custom_name;text;", "v1.mp3;a;hello; world", f"{NAMELESS}: a text with a semicolon in it"),
    ],
)
async def test_a_text_is_never_cut_where_it_has_a_separator(
    tmp_path: Path, header: str, row: str, reason: str
) -> None:
    path = table(tmp_path, f"{header}\n{row}\n")
    ((line, told),) = await refusals(path)
    assert (line, told.startswith(f"manifest: {path} line 2 {reason}")) == (2, True)


# --- what separates the cells


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("says", "sign"), SEPARATORS.items())
async def test_a_first_line_may_say_what_separates(tmp_path: Path, says: str, sign: str, mark: str) -> None:
    header, row = HEADER.replace(",", sign), sign.join(["v1.mp3", "voice-1", f'"a{sign} b"'])
    path = table(tmp_path, f"{mark}{says}\r\n{header}\r\n{row}\r\n")
    assert await rows_of(path) == [(3, "v1.mp3", "voice-1", f"a{sign} b")]


@pytest.mark.parametrize("name", ["voices.csv", "voices.tsv", "voices.txt"])
@pytest.mark.parametrize("sign", [";", "\t"])
async def test_what_makes_a_header_of_the_first_line_separates(tmp_path: Path, name: str, sign: str) -> None:
    lines = [
        sign * 2,
        f"\u200b{sign}\xa0{sign}",
        f'"text"{sign}audio{sign}"custom_name"',
        f"one, two{sign}v1.mp3{sign}voice-1",
        sign * 2,
    ]
    assert await rows_of(table(tmp_path, "\n".join(lines), name)) == [(4, "v1.mp3", "voice-1", "one, two")]


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\naudio,custom_name,text\n",
        "audio|custom_name|text\n",
        "sep=\naudio;custom_name\n",
        "a sep=;\n",
        "sep=,",
        'sep="\naudio"custom_name"text\n',
        "sep=x\naudioxcustom_namextext\n",
        f"{'x' * 140_000}\n",  # more than a cell may have
    ],
)
async def test_what_makes_no_header_is_refused(tmp_path: Path, content: str) -> None:
    assert await why_not(table(tmp_path, content))


# --- what is not seen


@pytest.mark.parametrize("char", INVISIBLE, ids=ascii)
async def test_invisible_characters_at_the_ends_of_names_and_paths_go(tmp_path: Path, char: str) -> None:
    header = ",".join(f"{char}{name}{char} {char}" for name in HEADER.split(","))
    row = f"{char}v1.mp3{char},{char}voice-1 {char},{char}text 1"
    path = table(tmp_path, f"{char}{char}{header}\r\n{row}\r\n")
    # A transcript is what is written.
    assert await rows_of(path) == [(2, "v1.mp3", "voice-1", f"{char}text 1")]
    assert [set(upload.cells) for upload in await uploads(path)] == [{"audio", "custom_name", "text"}]


@pytest.mark.parametrize(
    "header",
    [
        "Audio,Custom_Name,TEXT",
        "audio,customName,text",
        " Audio ,Custom Name,Text*",
        "audio,custom-name,te\u200bxt",
    ],
)
async def test_a_known_column_is_known_however_it_is_spelled(tmp_path: Path, header: str) -> None:
    path = table(tmp_path, f"{header}\r\nv1.mp3,voice-1,text 1\r\n")
    assert await rows_of(path) == [(2, "v1.mp3", "voice-1", "text 1")]


async def test_a_column_of_its_own_spelling_comes_first(tmp_path: Path) -> None:
    path = table(tmp_path, f"Text,{HEADER},MODEL\r\nother,v1.mp3,voice-1,text 1,m\r\n")
    (upload,) = await uploads(path)
    assert (upload.text, upload.model, upload.cells["Text"]) == ("text 1", "m", "other")


async def test_one_that_is_there_twice_in_other_spellings_is_refused(tmp_path: Path) -> None:
    assert (
        await why_not(table(tmp_path, "audio,custom_name,Text,TEXT\n"))
        == "line 1 has the column text more than once"
    )


@pytest.mark.parametrize(
    "end", ["\x1a", "\r\n\x1a", "\r\n\x1a\r\n", "\x1a\x1a", "\r\n\x1a\x1a\x1a"], ids=ascii
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_a_control_z_at_the_end_is_neither_a_row_nor_a_part_of_one(
    tmp_path: Path, end: str, encoding: str
) -> None:
    path = table(tmp_path, f"{HEADER}\r\nv1.mp3,voice-1,text 1{end}", encoding=encoding)
    assert await rows_of(path) == [(2, "v1.mp3", "voice-1", "text 1")]
    lines = table(
        tmp_path, f'{{"audio": "v1.mp3", "custom_name": "a", "text": "t"}}{end}', "v.jsonl", encoding
    )
    assert await rows_of(lines) == [(1, "v1.mp3", "a", "t")]


# --- encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("shift_jis", "ゆっくり仕事をしましょう"),
        ("gb18030", SLOW),
        ("big5", "慢工出細活"),
        ("euc_kr", "천천히"),
        ("cp1252", "déjà vu"),
        ("koi8-r", "тише едешь"),
    ],
)
async def test_no_encoding_is_guessed(tmp_path: Path, encoding: str, text: str) -> None:
    path = table(tmp_path, f"{HEADER}\r\nv1.mp3,voice-1,{text}\r\n", encoding=encoding)
    assert await why_not(path) == (
        "line 2 is not utf-8: save the table as UTF-8, or pass the encoding that it was saved in "
        "(--manifest-encoding), such as gb18030, big5 or shift_jis"
    )
    assert [upload.text for upload in await uploads(path)] == [""]
    assert await rows_of(Manifest(path, encoding=encoding)) == [(2, "v1.mp3", "voice-1", text)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "gb18030"])
async def test_a_mark_says_what_the_encoding_is(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "gb18030" else ""
    path = table(tmp_path, f"{mark}{HEADER}\nv1.mp3,voice-1,{SLOW}\n", encoding=encoding)
    for told in ("utf-8", "shift_jis", "gb18030"):
        assert await rows_of(Manifest(path, encoding=told)) == [(2, "v1.mp3", "voice-1", SLOW)]


# --- what LibreOffice Calc writes


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("voices.xlsx", "utf-8"),
        ("voices-utf-8.csv", "utf-8"),
        ("voices-utf-16.csv", "utf-8"),
        ("voices-gb18030.csv", "gb18030"),
    ],
)
async def test_a_table_of_calcs_is_read_in_each_format(name: str, encoding: str) -> None:
    rows = await rows_of(Manifest(TABLES / name, encoding=encoding))
    assert [row[1:] for row in rows] == [
        ("v1.mp3", "voice-1", f"{SLOW}, 再给我两分钟"),
        ("v2.mp3", "7", 'He said "slowly"'),
        ("v3.mp3", "voice-3", "第一行\n第二行"),
        ("é-か゛-각.mp3", "voice-4", SLOW),
    ]
    assert [line for line, *_ in rows] == ([3, 5, 6, 8] if name.endswith("xlsx") else [3, 5, 6, 9])
    cells = [upload.cells for upload in await uploads(Manifest(TABLES / name, encoding=encoding))]
    assert [(row["model"], row["note"]) for row in cells[:3]] == [
        ("", ""),
        ("", "2024-05-01"),
        ("fnlp/MOSS-TTSD-v0.5", "0.5"),
    ]


async def test_a_workbook_is_uploaded(client: VoiceClient, emulator: Emulator, tmp_path: Path) -> None:
    for name in ("v1.mp3", "v2.mp3", "v3.mp3", unicodedata.normalize("NFD", "é-か゛-각.mp3")):
        (tmp_path / name).write_bytes(SPEECH)
    manifest = Manifest(TABLES / "voices.xlsx", root=tmp_path)
    outcomes = [outcome async for outcome in upload_many(client, manifest)]
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert sorted(voice.custom_name for voice in emulator.voices) == ["7", "voice-1", "voice-3", "voice-4"]


async def test_the_sheet_that_has_the_columns_is_taken_and_a_hidden_one_never() -> None:
    assert await rows_of(Manifest(TABLES / "second-sheet.xlsx")) == [(2, "v1.mp3", "voice-1", "text 1")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("two-sheets.xlsx", "has the columns in 2 sheets (voices, old): leave them in one"),
        ("no-columns.xlsx", "line 1 lacks the columns audio, custom_name, text; it has: 这里是说明"),
        ("empty.xlsx", "is empty"),
    ],
)
async def test_a_workbook_in_which_none_or_several_could_be_meant_is_refused(name: str, reason: str) -> None:
    assert await why_not(TABLES / name) == reason


async def test_no_transcript_is_made_of_a_value_that_may_be_shown_otherwise() -> None:
    manifest = Manifest(TABLES / "values.xlsx")
    assert await refusals(manifest) == [
        (2, "text: must be text, not a number (7)"),
        (3, "text: must be text, not a number (0.5)"),
        (4, "text: must be text, not a number (1)"),
        (5, "text: must be text, not a date or a time (2024-05-01)"),
        (6, "text: must be text, not a truth value (True)"),
    ]
    rows = await uploads(manifest)
    # The error of a formula is an empty cell, which no upload may have.
    assert rows[-1].text == ""
    # What the values were is kept where it never becomes a transcript.
    assert [row.cells.get("") for row in rows] == [
        *("text: 7.0", "text: 0.5", "text: 1.0", 'text: "2024-05-01"', "text: true", None)
    ]


# --- workbooks by other means


def changed(folder: Path, part: str, old: str, new: str, name: str = "voices.xlsx") -> Path:
    """Write a workbook of Calc's in which something was replaced."""
    packed = io.BytesIO()
    with zipfile.ZipFile(TABLES / "voices.xlsx") as source, zipfile.ZipFile(packed, "w") as target:
        for entry in source.namelist():
            content = source.read(entry).decode()
            assert entry != part or re.search(old, content)
            target.writestr(entry, re.sub(old, new, content, count=1) if entry == part else content)
    return table(folder, packed.getvalue(), name)


async def test_what_is_noted_beside_a_table_is_kept_with_its_row(tmp_path: Path) -> None:
    note = r'\1<c r="J3" t="inlineStr"><is><t>beside</t></is></c></row>'
    path = changed(tmp_path, "xl/worksheets/sheet1.xml", r'(<row r="3".*?)</row>', note)
    manifest = Manifest(path)
    await manifest.scan()
    assert manifest.columns[-1] == "column 9"
    assert [upload.cells.get("column 9") for upload in await uploads(manifest)] == [
        "beside",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("name", ["voices.xlsm", "voices.csv", "voices.txt", "VOICES.XLSX"])
async def test_a_workbook_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = table(tmp_path, (TABLES / "second-sheet.xlsx").read_bytes(), name)
    assert await rows_of(path) == [(2, "v1.mp3", "voice-1", "text 1")]


async def test_a_text_that_is_called_a_workbook_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = table(tmp_path, f"{HEADER}\nv1.mp3,voice-1,text 1\n", "voices.xlsx")
    assert await rows_of(path) == [(2, "v1.mp3", "voice-1", "text 1")]


@pytest.mark.parametrize(
    ("shared", "text"),
    [
        (
            '<r><t>ゆっ</t></r><r><rPr><b/></rPr><t xml:space="preserve"> くり</t></r>',
            "ゆっ くり",
        ),  # partly bold
        (
            '<t>仕事</t><rPh sb="0" eb="2"><t>シゴト</t></rPh><phoneticPr fontId="1"/>',
            "仕事",
        ),  # as Japanese is typed
        ("<t>one_x000D_&#10;two</t>", "one\r\ntwo"),  # as other programs write Alt+Enter
        ("<t>a_x005F_x000D_b &amp; c</t>", "a_x000D_b & c"),
        ('<t xml:space="preserve">  as it is </t>', "  as it is "),
    ],
)
async def test_a_text_is_what_excel_shows(tmp_path: Path, shared: str, text: str) -> None:
    path = changed(
        tmp_path, "xl/sharedStrings.xml", f"<si><t[^>]*>{SLOW}, 再给我两分钟</t></si>", f"<si>{shared}</si>"
    )
    assert (await rows_of(path))[0] == (3, "v1.mp3", "voice-1", text)


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("far", ["XFD1048576", "xfd1048576", "ALL1048575", "B99999999"])
async def test_a_cell_far_off_is_refused_and_takes_no_memory(tmp_path: Path, far: str) -> None:
    path = changed(tmp_path, SHEET, 'r="F6"', f'r="{far}"')
    assert re.fullmatch(
        r"has a sheet of [0-9,]+ rows and [0-9,]+ columns, which is too large: delete .*, or save it as CSV",
        await why_not(path),
    )


async def test_a_cell_at_the_end_of_a_column_is_not_too_far(tmp_path: Path) -> None:
    path = changed(tmp_path, SHEET, 'r="F6"', 'r="F200000"')
    assert [upload.line for upload in await uploads(path)] == [3, 5, 6, 8, 200_000]


async def test_what_unpacks_to_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_MOST_UNPACKED", 10_000)
    path = table(tmp_path, (TABLES / "voices.xlsx").read_bytes(), "voices.xlsx")
    assert await why_not(path) == "unpacks to more than 10,000 bytes"


async def test_references_are_found_across_what_is_read_at_once(tmp_path: Path) -> None:
    cell = b'<c r="AB7"/>'
    for before in range((1 << 20) - len(cell), (1 << 20) + 1):
        assert workbook._last_cell(io.BytesIO(b" " * before + cell)) == (7, 28)


@pytest.mark.parametrize("name", ["voices.xls", "voices.ods", "voices.xlsb"])
def test_a_workbook_of_another_kind_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(
        InvalidUploadError, match=rf"{name} is not a supported kind of table.*; save it as \.xlsx"
    ):
        Manifest(name)


async def test_one_with_a_password_or_of_the_old_kind_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "voices.xlsx")
    assert await why_not(path) == (
        "has a password or is of the old .xls kind: save it as .xlsx, without a password"
    )


async def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("v1.mp3", SPEECH)
    path = table(tmp_path, packed.getvalue(), "voices.xlsx")
    assert (await why_not(path)).startswith("is not a workbook that can be read: ")


async def test_without_the_reader_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "python_calamine":
            raise ModuleNotFoundError(name=name)
        return imported(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "python_calamine", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    assert await why_not(TABLES / "voices.xlsx") == (
        "is a workbook, and python-calamine, which reads those, is not installed: "
        "pip install 'siliconflow-voice[cli]', or save it as CSV"
    )


@settings(deadline=None, max_examples=300)
@given(
    cut=st.integers(0, 100),
    changes=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), max_size=6),
    packed=st.booleans(),
)
async def test_a_damaged_workbook_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, changes: list[tuple[int, int]], packed: bool
) -> None:
    content = bytearray((TABLES / "voices.xlsx").read_bytes())
    if not packed:  # so that what is changed is the content, and no sum of it
        plain = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(plain, "w") as target:
            for entry in source.namelist():
                data = bytearray(source.read(entry))
                for place, value in changes:
                    if entry == SHEET:
                        data[place % len(data)] = value
                target.writestr(entry, bytes(data))
        content = bytearray(plain.getvalue())
    else:
        for place, value in changes:
            content[place % len(content)] = value
        del content[len(content) - cut :]
    path = table(tmp_path_factory.getbasetemp(), bytes(content), "damaged.xlsx")
    try:
        await Manifest(path).scan()
    except InvalidUploadError as error:
        assert error.field == "manifest"  # noqa: PT017 - that is all that may come


# --- paths


NFC, NFD = (unicodedata.normalize(form, "é-が-각") for form in ("NFC", "NFD"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with recordings in it, and one beside it."""
    for name in (f"inside/{NFC}/a.mp3", f"inside/{NFC}/{NFD}.mp3", "inside/sub/b.mp3", "outside.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(SPEECH)
    return tmp_path / "inside"


@pytest.mark.parametrize("allow_outside", [False, True])
@pytest.mark.parametrize(
    "audio",
    [
        r"sub\b.mp3",
        r".\sub\b.mp3",
        r"sub\\b.mp3",
        rf"sub\..\{NFC}\a.mp3",
        f"{NFC}/a.mp3",
        f"{NFD}/a.mp3",
        f"{NFC}/{NFC}.mp3",
        f"{NFD}\\{NFC}.mp3",
        "\u202asub/b.mp3",
    ],
    ids=ascii,
)
async def test_a_recording_is_found_however_its_path_is_written(
    client: VoiceClient, folder: Path, audio: str, allow_outside: bool
) -> None:
    path = table(folder, f"{HEADER}\n{audio},a,{TEXT}\n")
    manifest = Manifest(path, allow_outside=allow_outside)
    (outcome,) = [outcome async for outcome in upload_many(client, manifest)]
    assert (outcome.error, outcome.size) == (None, len(SPEECH))


async def test_a_file_that_is_there_as_it_is_written_comes_first(folder: Path) -> None:
    if os.sep != "/":
        pytest.skip("a name can't have a backslash here")
    (folder / r"sub\b.mp3").write_bytes(SPEECH + bytes(7))
    (folder / f"{NFD}.mp3").write_bytes(SPEECH)
    (folder / f"{NFC}.mp3").write_bytes(SPEECH + bytes(9))
    path = table(folder, f"{HEADER}\nsub\\b.mp3,a,{TEXT}\n{NFC}.mp3,b,{TEXT}\n{NFD}.mp3,c,{TEXT}\n")
    check = Manifest(path).check()
    problems = [problem async for problem in check]
    assert (check.report.audio_bytes, problems) == (3 * len(SPEECH) + 16, [])


@pytest.mark.parametrize("allow_outside", [False, True])
@pytest.mark.parametrize(
    "audio", [r"sub\c.mp3", f"{NFC}/{NFC}", r"C:\voices\b.mp3", "SUB/b.mp3", f"{NFC}a.mp3"], ids=ascii
)
async def test_one_that_is_not_there_is_not_there(folder: Path, audio: str, allow_outside: bool) -> None:
    path = table(folder, f"{HEADER}\n{audio},a,{TEXT}\n")
    problems = [problem async for problem in Manifest(path, allow_outside=allow_outside).check()]
    assert [problem.reason for problem in problems] == [
        f"{folder / audio} can't be read: no such file or directory"
    ]


@pytest.mark.parametrize("audio", [r"..\outside.mp3", r"sub\..\..\outside.mp3", r"..\is-not-there.mp3"])
async def test_no_backslash_leads_out_of_the_folder(folder: Path, audio: str) -> None:
    path = table(folder, f"{HEADER}\n{audio},a,{TEXT}\n")
    problems = [problem async for problem in Manifest(path).check()]
    assert [problem.reason for problem in problems] == [
        f"{folder / audio} leads out of the folder {folder}; allow_outside permits that"
    ]
    problems = [problem async for problem in Manifest(path, allow_outside=True).check()]
    assert len(problems) == ("not-there" in audio)


async def test_a_source_is_known_by_what_it_leads_to(folder: Path) -> None:
    path = table(folder, f"{HEADER}\nsub/b.mp3,a,{TEXT}\nsub/b.mp3,a,{TEXT}\n{NFC}/a.mp3,a,{TEXT}\n")
    one, same, other = [upload.audio for upload in await uploads(path)]
    assert (one == same, one == other, one == "sub/b.mp3", len({one, same, other})) == (True, False, False, 2)
