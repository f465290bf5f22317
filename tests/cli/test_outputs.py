from __future__ import annotations

from pathlib import Path

import pytest
from support.terminal import json_lines, outcome, table

from siliconflow_voice import Attempt, ConfigurationError, OverloadedError, SiliconFlowError
from siliconflow_voice.cli.outputs import FailedRow, Outputs, as_row


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


@pytest.mark.parametrize("name", ["r.csv", "r.CSV", "r.jsonl"])
def test_all_outcomes_are_in_the_results(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Outputs(results=path, failures=tmp_path / "f.csv") as outputs:
        outputs.write(outcome(2))
        outputs.write(outcome(3, "failed"))
        outputs.write(outcome(4, "skipped"))
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
    assert str(refused.value) == f"--results takes a file that ends in .csv or .jsonl, not {name}."


def test_failures_keep_their_cells_and_say_where_they_were_and_why(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    with Outputs(results=None, failures=path) as outputs:
        outputs.write(outcome(9, "failed", name=" odd name ", model="", encoding="base64", speaker="甲"))
        assert outputs.failures == path
    assert table(path) == [
        {
            "audio": "voice.mp3",
            "custom_name": " odd name ",
            "text": "words",
            "model": "",
            "encoding": "base64",
            "line": "9",
            "error": "it went wrong.",
        }
    ]


def test_without_a_failure_there_is_no_file_of_failures(tmp_path: Path) -> None:
    with Outputs(results=None, failures=tmp_path / "f.csv") as outputs:
        outputs.write(outcome())
        outputs.complete()
    assert (outputs.failures, list(tmp_path.iterdir())) == (None, [])


def test_failures_of_an_earlier_run_are_gone_once_all_is_done(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    with Outputs(results=None, failures=path) as outputs:
        outputs.write(outcome(status="failed"))
        outputs.complete()
    assert path.exists()
    with Outputs(results=None, failures=path) as outputs:
        outputs.write(outcome())
        assert path.exists()
        outputs.complete()
    assert not path.exists()


def test_a_run_that_comes_to_nothing_leaves_earlier_files_as_they_are(tmp_path: Path) -> None:
    results, failures = tmp_path / "r.csv", tmp_path / "f.csv"
    results.write_text("old results")
    failures.write_text("old failures")
    with Outputs(results=results, failures=failures):
        pass
    assert (results.read_text(), failures.read_text()) == ("old results", "old failures")


def test_the_results_of_no_rows_replace_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old results")
    with Outputs(results=path, failures=tmp_path / "f.csv") as outputs:
        outputs.complete()
    assert table(path) == []


def test_so_many_failures_are_kept_for_the_report_and_no_more(tmp_path: Path) -> None:
    with Outputs(results=None, failures=tmp_path / "f.csv") as outputs:
        for line in range(2, 232):
            outputs.write(outcome(line, "failed"))
    assert [row.line for row in outputs.sample] == list(range(2, 202))
    assert len(table(tmp_path / "f.csv")) == 230
