"""Makes the tables beside it by LibreOffice Calc, as a user would save them: ``python make.py``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
UTF_8, GB18030, UTF_16 = 76, 85, 65535

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles>
<number:date-style style:name="N1"><number:year number:style="long"/><number:text>-</number:text>
<number:month number:style="long"/><number:text>-</number:text><number:day number:style="long"/>
</number:date-style>
<number:percentage-style style:name="N2">
<number:number number:decimal-places="0" number:min-integer-digits="1"/><number:text>%</number:text>
</number:percentage-style>
<number:boolean-style style:name="N3"><number:boolean/></number:boolean-style>
<style:style style:name="date" style:family="table-cell" style:data-style-name="N1"/>
<style:style style:name="percentage" style:family="table-cell" style:data-style-name="N2"/>
<style:style style:name="boolean" style:family="table-cell" style:data-style-name="N3"/>
<style:style style:name="hidden" style:family="table">
<style:table-properties table:display="false"/></style:style>
</office:automatic-styles>
<office:body><office:spreadsheet>"""
TAIL = "</office:spreadsheet></office:body></office:document>"


def cell(value: str) -> str:
    """Write a cell: text, or ``kind:value``, or a formula."""
    kind, _, rest = value.partition(":")
    if not value:
        return "<table:table-cell/>"
    if value.startswith("="):
        return f'<table:table-cell table:formula="of:{escape(value, {chr(34): "&quot;"})}"/>'
    if kind in {"date", "boolean", "percentage", "float"} and rest:
        name = {"date": "date-value", "boolean": "boolean-value"}.get(kind, "value")
        style = "" if kind == "float" else f' table:style-name="{kind}"'
        return f'<table:table-cell{style} office:value-type="{kind}" office:{name}="{rest}"/>'
    lines = "".join(f"<text:p>{escape(line)}</text:p>" for line in value.split("\n"))
    return f'<table:table-cell office:value-type="string">{lines}</table:table-cell>'


def sheet(name: str, rows: list[list[str]], style: str = "") -> str:
    """Write a sheet."""
    body = "".join(
        f"<table:table-row>{''.join(map(cell, row)) or '<table:table-cell/>'}</table:table-row>"
        for row in rows
    )
    hidden = f' table:style-name="{style}"' if style else ""
    return f'<table:table table:name="{name}"{hidden}>{body}</table:table>'


def save(name: str, *sheets: str, formats: dict[str, str] | None = None) -> None:
    """Have Calc save some sheets under a name: as a workbook, or in formats by what is added to the name."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{name}.fods"
        source.write_text(HEAD + "".join(sheets) + TAIL, encoding="utf-8")
        for end, options in (formats or {"": "xlsx"}).items():
            subprocess.run(
                ["soffice", "--headless", "--convert-to", options, "--outdir", folder, str(source)],
                check=True,
                capture_output=True,
            )
            suffix = options.partition(":")[0]
            made = Path(folder) / f"{name}.{suffix}"
            (HERE / f"{name}{end}.{suffix}").write_bytes(made.read_bytes())


def text(separator: str, encoding: int) -> str:
    """Give Calc's options for CSV."""
    return f"csv:Text - txt - csv (StarCalc):{ord(separator)},34,{encoding},1"


VOICES = [
    ["", "", "", "", "", ""],
    ["", "audio", "custom_name", "text", "model", "note"],
    ["", "v1.mp3", "voice-1", "慢工出细活, 再给我两分钟", "", ""],
    [],
    ["", "v2.mp3", "float:7", 'He said "slowly"', "", "date:2024-05-01"],
    ["", " v3.mp3\u00a0", "voice-3\u200b", "第一行\n第二行", "fnlp/MOSS-TTSD-v0.5", "float:0.5"],
    ["", "", "", " ", "", ""],
    ["", "é-か゛-각.mp3", '="voice-"&2*2', '="慢工"&"出细活"', "", ""],
    [],
    [],
]
COLUMNS = ["audio", "custom_name", "text"]


def main() -> None:
    """Make all of them."""
    formats = {
        "": "xlsx",
        "-utf-8": text(",", UTF_8),
        "-utf-16": text("\t", UTF_16),
        "-gb18030": text(";", GB18030),
    }
    save("voices", sheet("voices", VOICES), formats=formats)
    notes = sheet("说明", [["这里是说明"], ["audio", "to be done"]])
    good = sheet("voices", [COLUMNS, ["v1.mp3", "voice-1", "text 1"]])
    old = sheet("old", [COLUMNS, ["v2.mp3", "voice-2", "text 2"]])
    save("second-sheet", notes, good, sheet("old", [COLUMNS, ["v2.mp3", "b", "c"]], "hidden"))
    save("two-sheets", notes, good, old)
    save("no-columns", notes, sheet("empty", [[]]))
    save("empty", sheet("empty", [[]]))
    values = ["float:7", "float:0.5", "percentage:1", "date:2024-05-01", "boolean:true", "=1/0"]
    rows = [["v1.mp3", f"n-{number}", value] for number, value in enumerate(values)]
    save("values", sheet("voices", [COLUMNS, *rows]))


if __name__ == "__main__":
    main()
