from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from support.hurried_time import hurried_time
from support.manifests import csv_file
from support.raw_server import raw_server
from support.recordings import SPEECH
from support.storage import serving
from support.terminal import bulk, expected, files, json_lines, names, table, voices

from siliconflow_voice import Journal
from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator, Fault

Captured = pytest.CaptureFixture[str]


async def test_all_recordings_of_a_manifest_are_uploaded(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    assert await bulk(voices(tmp_path, 30)) == 0
    captured = capsys.readouterr()
    assert (names(emulator), captured.err) == (expected(30), "")
    assert "       30  uploaded\n" in captured.out
    assert files(tmp_path) == ["voice.mp3", "voices.csv", "voices.journal"]


async def test_a_second_run_skips_what_is_there_and_counts_it_as_done(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest = voices(tmp_path, 30)
    await bulk(manifest)
    capsys.readouterr()
    assert await bulk(manifest) == 0
    assert "       30  skipped (the journal has the voice)\n" in capsys.readouterr().out
    assert names(emulator) == expected(30)


async def test_some_that_fail_stop_no_other(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    assert await bulk(voices(tmp_path, 5, missing=[1, 3])) == 1
    assert names(emulator) == ["voice-0", "voice-2", "voice-4"]
    out = capsys.readouterr().out
    assert f"line 3 voice-1: {tmp_path / 'missing-1.mp3'} can't be read: no such file or directory.\n" in out
    assert "        2  failed\n" in out


async def test_failures_are_a_manifest_that_runs_again_once_mended(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest, failures = voices(tmp_path, 5, missing=[1, 3]), tmp_path / "voices.failures.csv"
    await bulk(manifest)
    assert f"To retry failed rows, correct this manifest and run it with the same options: {failures}\n" in (
        capsys.readouterr().out
    )
    rows = sorted(table(failures), key=lambda row: row["failed_line"])
    assert [(row["failed_line"], row["audio"], row["text"], row["model"]) for row in rows] == [
        ("3", "missing-1.mp3", "第 1 句", ""),
        ("5", "missing-3.mp3", "第 3 句", ""),
    ]
    for row in rows:
        (tmp_path / row["audio"]).write_bytes((tmp_path / "voice.mp3").read_bytes())
    assert await bulk(failures) == 0
    assert names(emulator) == expected(5)


async def test_failures_have_the_columns_that_are_the_manifest_s_own(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest = voices(tmp_path, 3, missing=[1])
    lines = manifest.read_text("utf-8").splitlines()
    own = ["singer,note", "甲,", '乙,"a, b"', "丙,"]
    manifest.write_text("".join(f"{a},{b}\n" for a, b in zip(lines, own, strict=True)), "utf-8")
    assert await bulk(manifest) == 1
    [row] = table(tmp_path / "voices.failures.csv")
    assert (row["audio"], row["singer"], row["note"]) == ("missing-1.mp3", "乙", "a, b")


async def test_failures_have_every_cell_of_a_row_as_it_was(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    voices(tmp_path, 1)
    manifest, failures = tmp_path / "v.csv", tmp_path / "v.failures.csv"
    manifest.write_text(
        "speaker,line,audio,custom_name,text,note,note\n"
        "Li,12,voice.mp3,good,Good words.,a,b\n"
        'Wang,13,missing.mp3,missing,There is none.,keep me,"and, me"\n'
        "Zhao,14,voice.mp3,bad name,Words,=1+1,\n"
        "Chen,15,voice.mp3,comma,Hello, world,a,b\n"
        "Liu,16,voice.mp3,short\n"
    )
    assert await bulk(manifest) == 1
    with failures.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert ",".join(header) == (
        "audio,custom_name,text,model,encoding,speaker,line,note,note (2),,failed_line,failed_error"
    )
    assert sorted([",".join(row[:-1]) for row in rows], key=lambda row: row.rpartition(",")[2]) == [
        "missing.mp3,missing,There is none.,,,Wang,13,keep me,and, me,,3",
        "voice.mp3,bad name,Words,,,Zhao,14,=1+1,,,4",
        "voice.mp3,comma,Hello,,,Chen,15, world,a,b,5",
        "voice.mp3,short,,,,Liu,16,,,,6",
    ]
    # Run again as they are, the same rows are wrong.
    assert (await bulk(failures), names(emulator)) == (1, ["good"])
    again = tmp_path / "v.failures.failures.csv"
    columns = [column for column in header if not column.startswith("failed")]
    kept = [[row[column] for column in columns] for row in table(again)]
    assert sorted(kept) == sorted([row[: len(columns)] for row in rows])
    # Once the manifest is right, there are no failures left, whatever their columns were.
    manifest.write_text("audio,custom_name,text\nvoice.mp3,good,Good words.\n")
    assert (await bulk(manifest), failures.exists()) == (0, False)


async def test_what_was_mended_among_the_failures_is_not_uploaded_again_from_the_manifest(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest, failures = voices(tmp_path, 5, missing=[1]), tmp_path / "voices.failures.csv"
    await bulk(manifest)
    (tmp_path / "missing-1.mp3").write_bytes((tmp_path / "voice.mp3").read_bytes())
    assert (await bulk(failures), await bulk(manifest)) == (0, 0)
    assert (names(emulator), failures.exists()) == (expected(5), False)


async def test_files_go_where_they_are_told(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest, elsewhere = voices(tmp_path, 3, missing=[1]), tmp_path / "elsewhere"
    elsewhere.mkdir()
    places: dict[str, Any] = {
        "journal": elsewhere / "j",
        "results": elsewhere / "r.csv",
        "failures": elsewhere / "f.csv",
        "report": elsewhere / "r.html",
    }
    assert await bulk(manifest, **places) == 1
    assert files(elsewhere) == ["f.csv", "j", "r.csv", "r.html"]
    assert files(tmp_path) == ["elsewhere", "voice.mp3", "voices.csv"]
    assert f", and --journal {tmp_path}/elsewhere/j, and --root {tmp_path}: " in capsys.readouterr().out
    assert await bulk(elsewhere / "f.csv", root=tmp_path, journal=elsewhere / "j") == 1


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
async def test_results_have_the_uris_of_those_that_were_skipped_too(
    tmp_path: Path, emulator: Emulator, address: str, name: str
) -> None:
    manifest, results = voices(tmp_path, 3), tmp_path / name
    await bulk(manifest)
    await bulk(manifest, results=results)
    rows = table(results) if name == "r.csv" else json_lines(results.read_text(encoding="utf-8"))
    assert {(row["status"], row["uri"]) for row in rows} == {
        ("skipped", voice.uri) for voice in emulator.voices
    }


@hurried_time
async def test_a_lost_answers_voice_is_recovered(
    tmp_path: Path, emulator: Emulator, address: str, no_backoff: None, capsys: Captured
) -> None:
    emulator.add_fault(Fault.drop_answer())
    assert await bulk(voices(tmp_path, 1)) == 0
    out = capsys.readouterr().out
    assert "        1  recovered (the answer was lost; the voice was found in the account's list)\n" in out
    assert "attempts: 1 no answer\n" in out


async def test_for_a_program_there_is_an_object_for_each_outcome_and_the_summary_last(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    assert await bulk(voices(tmp_path, 3, missing=[1]), json=True) == 1
    captured = capsys.readouterr()
    *outcomes, summary = json_lines(captured.out)
    assert sorted((event["event"], event["line"], event["status"]) for event in outcomes) == [
        ("outcome", 2, "uploaded"),
        ("outcome", 3, "failed"),
        ("outcome", 4, "uploaded"),
    ]
    assert (summary["event"], summary["exit_status"], summary["uploaded"], captured.err) == (
        "summary",
        1,
        2,
        "",
    )


async def test_a_log_gets_few_quiet_lines(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    await bulk(voices(tmp_path, 100))
    out = capsys.readouterr().out
    assert (len(out.splitlines()), "\x1b" in out) == (8, False)


async def test_a_manifest_of_no_rows_is_done(tmp_path: Path, emulator: Emulator, address: str) -> None:
    results = tmp_path / "r.csv"
    assert await bulk(voices(tmp_path, 0), results=results) == 0
    assert table(results) == []


async def test_options_reach_the_rows_and_the_limits(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (tmp_path / "a.csv").write_bytes("audio,custom_name,text\nvoice.mp3,a,慢工\n".encode("gb18030"))
    voices(folder)
    status = await bulk(
        tmp_path / "a.csv",
        manifest_encoding="gb18030",
        root=folder,
        model="IndexTeam/IndexTTS-2",
        encoding="base64",
        concurrency=1,
        requests_per_minute=600,
        tokens_per_minute=1000,
        settle=0.0,
    )
    (voice,) = emulator.voices
    assert (status, voice.model, voice.text) == (0, "IndexTeam/IndexTTS-2", "慢工")


async def test_recordings_outside_are_uploaded_only_where_that_is_allowed(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    voices(tmp_path)
    (folder / "a.csv").write_text("audio,custom_name,text\n../voice.mp3,a,b\n")
    assert await bulk(folder / "a.csv") == 1
    assert await bulk(folder / "a.csv", allow_outside=True) == 0


async def test_odd_names_and_long_errors_are_shown_harmlessly(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    emulator.add_fault(Fault.return_status(400, message="[red]bad[/nope] \x1b[31m" + "x" * 2000))
    manifest = voices(tmp_path, 1, name="[red]\x1b[31m.csv")
    with manifest.open("a", encoding="utf-8") as file:
        file.write("[bold]\x1b]0;pwned\x07.mp3,<script>\x9b31m,words,\n")
    assert await bulk(manifest, report=tmp_path / "r.html") == 1
    captured = capsys.readouterr()
    report = (tmp_path / "r.html").read_text(encoding="utf-8")
    for text in (captured.out, captured.err, report):
        assert [sign for sign in ("\x1b", "\x07", "\x9b") if sign in text] == []
    assert "<script" not in report
    assert r"[red]\x1b[31m.csv: 0 of 2 done" in captured.out
    assert "(code 20015" in captured.out
    assert ": [red]bad[/nope] " in captured.out
    assert max(map(len, captured.out.splitlines())) < 600


async def test_no_key_is_in_anything_that_is_left_or_shown(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SILICONFLOW_API_KEY")
    key = tmp_path / "key"
    key.write_text("sk-test\n")
    manifest = voices(tmp_path, 3, missing=[1])
    for as_json in (False, True):
        await bulk(
            manifest,
            api_key_file=key,
            results=tmp_path / "r.jsonl",
            report=tmp_path / "r.html",
            json=as_json,
        )
    key.write_text("sk-test-that-is-wrong\n")
    assert await bulk(manifest, api_key_file=key) == 3
    captured = capsys.readouterr()
    left = {name: (tmp_path / name).read_bytes() for name in files(tmp_path) if name != "key"}
    assert len(left) == 6
    assert [name for name, content in left.items() if b"sk-test" in content] == []
    assert "sk-test" not in captured.out + captured.err


async def test_the_journal_can_be_exported(tmp_path: Path, emulator: Emulator, address: str) -> None:
    await bulk(voices(tmp_path, 3))
    async with Journal(tmp_path / "voices.journal") as journal:
        assert (await journal.counts())["uploaded"] == 3


async def test_recordings_are_fetched_from_hosts_that_are_allowed(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    async with raw_server(serving(SPEECH)) as server:
        there = f"http://127.0.0.1:{server.port}/a.mp3?sig=secret"
        manifest = csv_file(tmp_path, f"{there},one,t", "https://b.example/a.mp3?sig=secret,two,t")
        assert await bulk(manifest) == 1
        assert (names(emulator), server.exchanges) == ([], [])
        assert "audio: is a URL: allow its host with --allow-host" in capsys.readouterr().out
        options = [f"--allow-host=127.0.0.1:{server.port}", "--allow-host=c.example", "--allow-scheme=http"]
        results, report = tmp_path / "results.csv", tmp_path / "report.html"
        options += ["--allow-private", f"--results={results}", f"--report={report}"]
        assert await execute(["bulk", *options, str(manifest)]) == 1
    captured = capsys.readouterr()
    assert names(emulator) == ["one"]
    assert "https://b.example/a.mp3: its scheme is not allowed; " in captured.out
    shown = captured.out + captured.err + results.read_text("utf-8") + report.read_text("utf-8")
    assert "secret" not in shown
    # What is run again needs all of it.
    assert table(tmp_path / "voices.failures.csv")[0]["audio"] == "https://b.example/a.mp3?sig=secret"


async def test_a_host_that_is_none_is_bad_usage(tmp_path: Path, address: str, capsys: Captured) -> None:
    assert await bulk(voices(tmp_path), allow_host="https://a.example") == 2
    assert "RemoteAudio.hosts must hold hosts such as example.com" in capsys.readouterr().err
