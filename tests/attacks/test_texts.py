"""Texts that others wrote, wherever they go: one line of a log, no formula, nothing that is not seen.

Then: a uri forged a line of the log, a cell of ``results.csv`` ran as a formula, and tag characters passed.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from pathlib import Path

import pytest
from support.recordings import SPEECH, TEXT

from siliconflow_voice import AudioSourceError, InvalidUploadError, SiliconFlowError, VoiceClient
from siliconflow_voice.bulk.listed import ManifestUpload
from siliconflow_voice.bulk.tables import TableWriter
from siliconflow_voice.cli.outputs import FailedRow, Outputs
from siliconflow_voice.cli.terminal import UNPRINTABLE, Stdout, escaped
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.uploads.values import UploadOutcome

FORGED = "a\r\n\x1b[2K2026-01-01 CRITICAL forged\u2028line\u202e"
FORMULAS = [*"=+-@", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "＝1", "\n=1"]
HIDDEN = [
    "\u200b",
    "\u2060",
    "\u3164",
    "\xad",
    "\ufeff",
    "\U000e0041",
    "\U000e0100",
    "\u202e",
    "\x1b",
    "\udcff",
]


async def test_a_uri_forges_no_line_of_the_log(
    emulator: Emulator, client: VoiceClient, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.add_fault(Fault.return_status(503, endpoint="any"))
    with caplog.at_level(logging.DEBUG, "siliconflow_voice"), pytest.raises(SiliconFlowError) as caught:
        await client.delete_voice(f"speech:{FORGED}")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.isprintable() for line in [*lines, str(caught.value)])


@pytest.mark.parametrize("make", [AudioSourceError, SiliconFlowError])
def test_every_message_is_one_line(make: type[SiliconFlowError]) -> None:
    error = make(f"{FORGED} can't be read")
    assert (error.message.isprintable(), str(error).isprintable(), repr(error).isprintable()) == (
        True,
        True,
        True,
    )
    assert r"a\r\n\x1b[2K2026-01-01 CRITICAL forged\u2028line\u202e can't be read" in str(error)


async def test_the_name_of_a_file_is_one_line_in_a_message(client: VoiceClient, tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[31mb.mp3"
    with pytest.raises(AudioSourceError) as missing:
        await client.upload_voice(path, custom_name="a", text=TEXT)
    path.write_bytes(b"")
    with pytest.raises(InvalidUploadError) as empty:
        await client.upload_voice(path, custom_name="a", text=TEXT)
    assert all(str(error.value).isprintable() for error in (missing, empty))
    assert empty.value.reason.isprintable()


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("faithful", [False, True])
def test_no_cell_begins_a_formula_but_in_a_table_that_is_run_again(
    tmp_path: Path, formula: str, faithful: bool
) -> None:
    table = TableWriter(tmp_path / "t.csv", ["line", "text"], "csv", faithful=faithful)
    table.write([{"line": 1, "text": formula}])
    table.commit()
    content = (tmp_path / "t.csv").read_bytes().decode("utf-8-sig")
    [_, row] = csv.reader(io.StringIO(content, newline=""))
    assert row == ["1", formula if faithful else f"'{formula}"]


def test_the_failures_of_a_run_are_as_they_were_and_its_results_are_safe(tmp_path: Path) -> None:
    cells = {"audio": "=a.mp3", "custom_name": "-b", "text": "+c"}
    upload = ManifestUpload(SPEECH, "-b", "+c", line=2, cells=cells)
    outputs = Outputs(results=tmp_path / "r.csv", failures=tmp_path / "f.csv")
    outputs.write(UploadOutcome(0, upload, "failed", error=SiliconFlowError("=1")))
    outputs.close(complete=True)
    tables = [
        next(csv.DictReader(io.StringIO((tmp_path / name).read_bytes().decode("utf-8-sig"), newline="")))
        for name in ("r.csv", "f.csv")
    ]
    assert [{name: row[name] for name in cells} for row in tables] == [
        {name: f"'{cell}" for name, cell in cells.items()},
        cells,
    ]


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_nothing_that_is_not_seen_passes_into_report_or_json(
    hidden: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"a{hidden}b"
    assert UNPRINTABLE.search(escaped(text)) is None
    upload = ManifestUpload(SPEECH, text, text, line=2, cells={"audio": text})
    row = FailedRow.of(UploadOutcome(0, upload, "failed", error=SiliconFlowError(text)))
    assert not any(hidden in cell for cell in (row.custom_name, row.audio, row.error))
    Stdout().event("failed", custom_name=text)
    line = capsys.readouterr().out
    assert hidden not in line
    assert json.loads(line)["custom_name"] == text


@pytest.mark.parametrize("text", ["声音", "한국어", "é", "👍🏽", "👁️", "नमस्ते"])
def test_what_is_seen_is_shown(text: str) -> None:
    assert escaped(text) == text
