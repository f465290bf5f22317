from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.terminal import files, json_lines, outcome, table

from siliconflow_voice import Attempt, ConfigurationError, OverloadedError, SiliconFlowError
from siliconflow_voice.bulk.tables import TableWriter
from siliconflow_voice.cli.outputs import FailedRow, Outputs, as_row
from siliconflow_voice.uploads.values import UploadOutcome


def overloaded(attempts: int) -> SiliconFlowError:
    error = OverloadedError("busy", status=503, code=50505, trace_id="ti_1")
    error.attempts = tuple(Attempt(number, 0.0, 0.1) for number in range(1, attempts + 1))
    return error


def test_an_outcome_is_words_and_numbers() -> None:
    row = as_row(outcome(7, size=1234))
    assert row == {
        "line": 7,
        "audio": "voice.mp3",
        "custom_name": "narrator",
        "text": "words",
        "model": "FunAudioLLM/CosyVoice2-0.5B",
        "status": "uploaded",
        "uri": "speech:narrator:emulated:00000000000000000007",
        "error": None,
        "attempts": 0,
        "trace_id": None,
        "bytes": 1234,
    }


def test_a_failure_has_its_error_its_attempts_and_the_vendors_trace_id() -> None:
    row = as_row(outcome(status="failed", error=overloaded(2)))
    assert (row["uri"], row["attempts"], row["trace_id"]) == (None, 2, "ti_1")
    assert row["error"] == "HTTP 503 (code 50505, trace id ti_1): busy. Gave up after 2 attempts."


def test_a_failure_that_no_answer_came_to_has_no_trace_id() -> None:
    assert as_row(outcome(status="failed"))["trace_id"] is None


def test_a_failure_is_shown_in_brief_and_harmlessly() -> None:
    error = SiliconFlowError("x" * 1000)
    failed = outcome(3, "failed", name="\x1b[31mn" * 50, audio="a\n" * 500, error=error)
    row = FailedRow.of(failed)
    assert (row.line, "\x1b" in row.custom_name, "\n" in row.audio) == (3, False, False)
    assert (row.error[-1], len(row.error)) == ("…", 400)


def written(
    folder: Path,
    *outcomes: UploadOutcome,
    results: str | None = None,
    complete: bool = False,
    columns: Sequence[str] = (),
) -> Outputs:
    """Write outcomes as a run does, into f.csv and the results."""
    to = None if results is None else folder / results
    outputs = Outputs(results=to, failures=folder / "f.csv", columns=columns)
    for each in outcomes:
        outputs.write(each)
    outputs.close(complete=complete)
    return outputs


@pytest.mark.parametrize("name", ["r.csv", "r.CSV", "r.jsonl"])
def test_all_outcomes_are_in_the_results(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(tmp_path, outcome(2), outcome(3, "failed"), outcome(4, "skipped"), results=name)
    rows = json_lines(path.read_text(encoding="utf-8")) if name == "r.jsonl" else table(path)
    assert [(str(row["line"]), row["status"]) for row in rows] == [
        ("2", "uploaded"),
        ("3", "failed"),
        ("4", "skipped"),
    ]


@pytest.mark.parametrize("name", ["r.txt", "r", ".csv"])
def test_results_of_another_format_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Outputs(results=tmp_path / name, failures=tmp_path / "f.csv")
    assert str(refused.value) == f"--results must name a .csv or .jsonl file, got {name}."


def test_failures_keep_the_manifest_s_own_columns(tmp_path: Path) -> None:
    failed = outcome(9, "failed", speaker="甲")
    columns = ["speaker", "audio", "line", "custom_name", "text", "note"]
    assert written(tmp_path, failed, columns=columns).failures is not None
    [row] = table(tmp_path / "f.csv")
    assert list(row) == [
        *("audio", "custom_name", "text", "model", "encoding"),
        *("speaker", "line", "note", "failed_line", "failed_error"),
    ]
    assert (row["speaker"], row["note"], row["line"], row["failed_line"]) == ("甲", "", "", "9")


def test_failures_keep_their_cells_and_say_where_they_were_and_why(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    failed = outcome(9, "failed", name=" odd name ", model="", encoding="base64", speaker="甲")
    assert written(tmp_path, failed).failures == path
    assert table(path) == [
        {
            "audio": "voice.mp3",
            "custom_name": " odd name ",
            "text": "words",
            "model": "",
            "encoding": "base64",
            "failed_line": "9",
            "failed_error": "it went wrong.",
        }
    ]


def test_outcomes_can_be_followed_while_the_run_goes_on(tmp_path: Path) -> None:
    outputs = Outputs(results=tmp_path / "r.jsonl", failures=tmp_path / "f.csv")
    outputs.write(outcome(2, "failed"))
    assert (files(tmp_path), outputs.failures) == (["f.csv.part", "r.jsonl.part"], None)
    assert len(json_lines((tmp_path / "r.jsonl.part").read_text(encoding="utf-8"))) == 1
    outputs.close(complete=False)
    assert files(tmp_path) == ["f.csv", "r.jsonl"]


def test_without_a_failure_there_is_no_file_of_failures(tmp_path: Path) -> None:
    assert written(tmp_path, outcome(), complete=True).failures is None
    assert files(tmp_path) == []


@pytest.mark.parametrize(("complete", "left"), [(True, []), (False, ["f.csv"])])
def test_failures_of_an_earlier_run_are_gone_once_all_is_done(
    tmp_path: Path, complete: bool, left: list[str]
) -> None:
    written(tmp_path, outcome(status="failed"), complete=True)
    assert files(tmp_path) == ["f.csv"]
    written(tmp_path, outcome(), complete=complete)
    assert files(tmp_path) == left


def test_a_file_that_has_the_name_of_the_failures_and_is_none_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("mine")
    written(tmp_path, outcome(), complete=True)
    assert (tmp_path / "f.csv").read_text() == "mine"


def test_a_run_that_comes_to_nothing_leaves_earlier_files_as_they_are(tmp_path: Path) -> None:
    results, failures = tmp_path / "r.csv", tmp_path / "f.csv"
    results.write_text("old results")
    failures.write_text("old failures")
    written(tmp_path, results="r.csv")
    assert (results.read_text(), failures.read_text()) == ("old results", "old failures")


def test_the_results_of_no_rows_replace_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old results")
    written(tmp_path, results="r.csv", complete=True)
    assert table(path) == []


def test_so_many_failures_are_kept_for_the_report_and_no_more(tmp_path: Path) -> None:
    outputs = written(tmp_path, *(outcome(line, "failed") for line in range(2, 232)))
    assert [row.line for row in outputs.sample] == list(range(2, 202))
    assert len(table(tmp_path / "f.csv")) == 230


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("gone"), "gone"),
    ],
)
def test_a_disk_that_gets_full_is_told_of_and_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old results")
    outputs = Outputs(results=path, failures=tmp_path / "f.csv")
    outputs.write(outcome(2))

    def write(*_: object) -> None:
        raise error

    monkeypatch.setattr(TableWriter, "write", write)
    with pytest.raises(SiliconFlowError) as failed:
        outputs.write(outcome(3))
    assert str(failed.value) == f"{path} can't be written: {reason}."
    outputs.close(complete=False)
    assert (outputs.error, path.read_text(), files(tmp_path)) == (failed.value, "old results", ["r.csv"])


def test_a_table_that_can_not_be_finished_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    outputs = written(tmp_path, outcome(status="failed"), complete=True)
    assert str(outputs.error) == f"{tmp_path / 'f.csv'} can't be written: Is a directory."
    assert (outputs.failures, files(tmp_path)) == (None, ["f.csv"])


def test_of_two_tables_that_fail_the_first_is_told_of_and_both_are_given_up(tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    (tmp_path / "r.csv").mkdir()
    outputs = written(tmp_path, outcome(status="failed"), results="r.csv")
    assert str(outputs.error).startswith(f"{tmp_path / 'r.csv'} can't be written: ")
    assert files(tmp_path) == ["f.csv", "r.csv"]
